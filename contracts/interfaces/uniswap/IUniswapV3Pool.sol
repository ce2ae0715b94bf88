// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The parts of a Uniswap V3 pool that a trader, and a reader of its mean price, use
interface IUniswapV3Pool {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function fee() external view returns (uint24);
    function tickSpacing() external view returns (int24);
    function liquidity() external view returns (uint128);

    /// @dev Forks answer the same first two values, and others in other types.
    function slot0() external view returns (uint160 sqrtPriceX96, int24 tick);
    function tickBitmap(int16 word) external view returns (uint256);
    function observe(uint32[] calldata secondsAgos)
        external
        view
        returns (int56[] memory tickCumulatives, uint160[] memory secondsPerLiquidityCumulatives);
    function ticks(int24 tick)
        external
        view
        returns (uint128 liquidityGross, int128 liquidityNet, uint256 growthOutside0, uint256 growthOutside1);

    /// @param amount What is paid in where it is positive, or what comes out where it is negative.
    /// @return amount0 What the pool is owed of its first token; negative where it pays.
    /// @return amount1 The same of its second token.
    function swap(address recipient, bool zeroForOne, int256 amount, uint160 sqrtPriceLimitX96, bytes calldata data)
        external
        returns (int256 amount0, int256 amount1);
}
