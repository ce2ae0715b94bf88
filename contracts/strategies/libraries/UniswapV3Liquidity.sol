// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SqrtPriceMath} from "@uniswap/v4-core/src/libraries/SqrtPriceMath.sol";

import {IUniswapV3LiquidityPool} from "../../interfaces/uniswap/IUniswapV3LiquidityPool.sol";

/// @title What liquidity in a range of a Uniswap V3 pool holds, what it takes, and what it has earned
/// @notice Prices are square roots of the price, of the second token per first, times 2^96.
/// Source: Uniswap V3 whitepaper, sections 6.2 to 6.4.
library UniswapV3Liquidity {
    uint256 private constant Q96 = 1 << 96;
    uint256 private constant Q128 = 1 << 128;

    /// @notice What liquidity holds while the price is `price`: outside the range, only one of the two tokens.
    function amounts(uint160 price, uint160 lower, uint160 upper, uint128 liquidity, bool roundUp)
        internal
        pure
        returns (uint256 amount0, uint256 amount1)
    {
        price = _within(price, lower, upper);
        amount0 = SqrtPriceMath.getAmount0Delta(price, upper, liquidity, roundUp);
        amount1 = SqrtPriceMath.getAmount1Delta(lower, price, liquidity, roundUp);
    }

    /// @notice The most liquidity that an amount of the first token is enough for; no bound where none of it is needed.
    function ofFirst(uint160 price, uint160 lower, uint160 upper, uint256 amount) internal pure returns (uint256) {
        price = _within(price, lower, upper);
        if (price == upper) return type(uint256).max;
        return Math.mulDiv(amount, Math.mulDiv(price, upper, Q96), upper - price);
    }

    /// @notice The same of the second token.
    function ofSecond(uint160 price, uint160 lower, uint160 upper, uint256 amount) internal pure returns (uint256) {
        price = _within(price, lower, upper);
        return price == lower ? type(uint256).max : Math.mulDiv(amount, Q96, price - lower);
    }

    /// @notice What a position may collect once the pool has counted its fees, to the unit.
    function owed(IUniswapV3LiquidityPool pool, address owner, int24 lower, int24 upper)
        internal
        view
        returns (uint256 owed0, uint256 owed1)
    {
        (uint128 liquidity, uint256 counted0, uint256 counted1, uint128 due0, uint128 due1) =
            pool.positions(keccak256(abi.encodePacked(owner, lower, upper)));
        (uint256 growth0, uint256 growth1) = _growthInside(pool, lower, upper);
        unchecked {
            // Growths wrap around, and so do their differences.
            owed0 = Math.mulDiv(growth0 - counted0, liquidity, Q128) + due0;
            owed1 = Math.mulDiv(growth1 - counted1, liquidity, Q128) + due1;
        }
    }

    /// @dev Fees per liquidity within the range: those of all prices, less those below it and those above it.
    function _growthInside(IUniswapV3LiquidityPool pool, int24 lower, int24 upper)
        private
        view
        returns (uint256 growth0, uint256 growth1)
    {
        (, int24 tick) = pool.slot0();
        (,, uint256 lower0, uint256 lower1) = pool.ticks(lower);
        (,, uint256 upper0, uint256 upper1) = pool.ticks(upper);
        unchecked {
            if (tick < lower) return (lower0 - upper0, lower1 - upper1);
            if (tick >= upper) return (upper0 - lower0, upper1 - lower1);
            growth0 = pool.feeGrowthGlobal0X128() - lower0 - upper0;
            growth1 = pool.feeGrowthGlobal1X128() - lower1 - upper1;
        }
    }

    function _within(uint160 price, uint160 lower, uint160 upper) private pure returns (uint160) {
        if (price < lower) return lower;
        return price > upper ? upper : price;
    }
}
