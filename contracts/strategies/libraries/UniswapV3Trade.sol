// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";

import {IUniswapV3Pool} from "../../interfaces/uniswap/IUniswapV3Pool.sol";

/// @title Trades with a Uniswap V3 pool, and an oracle's price as the pool writes it
library UniswapV3Trade {
    uint256 private constant PRICE_UNIT = 1e36;

    /// @param amount What is paid in, or, negative, what comes out.
    /// @return whole Whether all of it was traded: a pool that runs out takes or pays less than it was asked for.
    function trade(IUniswapV3Pool pool, bool zeroForOne, int256 amount)
        internal
        returns (bool whole, uint256 paid, uint256 received)
    {
        if (amount == 0) return (true, 0, 0);
        uint160 end = zeroForOne ? TickMath.MIN_SQRT_PRICE + 1 : TickMath.MAX_SQRT_PRICE - 1;
        (int256 amount0, int256 amount1) = pool.swap(address(this), zeroForOne, amount, end, "");
        (int256 in_, int256 out) = zeroForOne ? (amount0, amount1) : (amount1, amount0);
        return (amount > 0 ? in_ == amount : out == amount, uint256(in_), uint256(-out));
    }

    /// @notice Square root of a token's price, times 2^96, within the pool's range.
    /// @param price As an `IOracle` answers it, in the pool's other token.
    function sqrtPrice(uint256 price, bool tokenIsFirst) internal pure returns (uint160) {
        uint256 ratio =
            tokenIsFirst ? Math.mulDiv(price, 1 << 192, PRICE_UNIT) : Math.mulDiv(PRICE_UNIT, 1 << 192, price);
        return uint160(Math.max(Math.min(Math.sqrt(ratio), TickMath.MAX_SQRT_PRICE - 1), TickMath.MIN_SQRT_PRICE + 1));
    }
}
