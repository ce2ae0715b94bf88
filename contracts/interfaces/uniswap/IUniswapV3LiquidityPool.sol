// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IUniswapV3Pool} from "./IUniswapV3Pool.sol";

/// @title The parts of a Uniswap V3 pool that a provider of liquidity uses
interface IUniswapV3LiquidityPool is IUniswapV3Pool {
    function maxLiquidityPerTick() external view returns (uint128);
    function feeGrowthGlobal0X128() external view returns (uint256);
    function feeGrowthGlobal1X128() external view returns (uint256);

    /// @param key `keccak256(abi.encodePacked(owner, lower, upper))`.
    /// @return liquidity The position's, whoever paid for it.
    /// @return growthInside0 Fees per liquidity within the range when the position was last touched, times 2^128.
    /// @return growthInside1 The same in the second token.
    /// @return owed0 What may be collected: fees up to then, and what was burned.
    /// @return owed1 The same in the second token.
    function positions(bytes32 key)
        external
        view
        returns (uint128 liquidity, uint256 growthInside0, uint256 growthInside1, uint128 owed0, uint128 owed1);

    /// @return amount0 What the pool is paid of its first token, through the caller's `uniswapV3MintCallback`.
    /// @return amount1 The same of its second token.
    function mint(address recipient, int24 lower, int24 upper, uint128 amount, bytes calldata data)
        external
        returns (uint256 amount0, uint256 amount1);

    /// @notice Turns liquidity into amounts that may be collected; with an amount of 0, only counts fees.
    function burn(int24 lower, int24 upper, uint128 amount) external returns (uint256 amount0, uint256 amount1);

    /// @notice Pays what may be collected, and no more than is asked for.
    function collect(address recipient, int24 lower, int24 upper, uint128 most0, uint128 most1)
        external
        returns (uint128 amount0, uint128 amount1);
}
