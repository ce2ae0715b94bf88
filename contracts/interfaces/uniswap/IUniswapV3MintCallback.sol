// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What a Uniswap V3 pool calls to be paid for liquidity
interface IUniswapV3MintCallback {
    function uniswapV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata data) external;
}
