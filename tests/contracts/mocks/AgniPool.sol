// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IAgniSwapCallback} from "../../../contracts/interfaces/uniswap/IAgniSwapCallback.sol";
import {IUniswapV3Pool} from "../../../contracts/interfaces/uniswap/IUniswapV3Pool.sol";
import {IUniswapV3SwapCallback} from "../../../contracts/interfaces/uniswap/IUniswapV3SwapCallback.sol";

/// @notice A real Uniswap V3 pool that asks for its money as Agni does. Agni's own bytecode is in no package.
contract AgniPool is IUniswapV3SwapCallback {
    IUniswapV3Pool private immutable POOL;

    constructor(IUniswapV3Pool pool) {
        POOL = pool;
    }

    function swap(address recipient, bool zeroForOne, int256 amount, uint160 limit, bytes calldata data)
        external
        returns (int256, int256)
    {
        return POOL.swap(recipient, zeroForOne, amount, limit, abi.encode(msg.sender, data));
    }

    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata data) external {
        (address trader, bytes memory inner) = abi.decode(data, (address, bytes));
        IAgniSwapCallback(trader).agniSwapCallback(amount0, amount1, inner);
        if (amount0 > 0) IERC20(POOL.token0()).transfer(address(POOL), uint256(amount0));
        if (amount1 > 0) IERC20(POOL.token1()).transfer(address(POOL), uint256(amount1));
    }

    /// @dev Everything else is answered by the real pool.
    fallback(bytes calldata question) external returns (bytes memory) {
        (bool ok, bytes memory answer) = address(POOL).call(question);
        require(ok, "the pool refused");
        return answer;
    }
}
