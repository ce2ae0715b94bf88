// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What a pool of Agni, Mantle's fork of Uniswap V3, calls to be paid
interface IAgniSwapCallback {
    function agniSwapCallback(int256 amount0, int256 amount1, bytes calldata data) external;
}
