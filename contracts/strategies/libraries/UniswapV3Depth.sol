// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BitMath} from "@uniswap/v4-core/src/libraries/BitMath.sol";
import {SqrtPriceMath} from "@uniswap/v4-core/src/libraries/SqrtPriceMath.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";

import {IUniswapV3Pool} from "../../interfaces/uniswap/IUniswapV3Pool.sol";

/// @title How much a Uniswap V3 pool trades before its price reaches a limit
/// @notice The pool's own steps from tick to tick, without trading.
/// Source: Uniswap V3 whitepaper, section 6; `UniswapV3Pool.swap`.
library UniswapV3Depth {
    uint256 private constant PIPS = 1e6;

    /// @dev Steps, each to an initialised tick or the end of a word of 256 ticks, after which what was found is the answer: a
    /// lower bound. It bounds the gas.
    uint256 private constant MAX_STEPS = 24;

    /// @notice Liquidity of the pool that is not there for a trade, because it is taken out first.
    struct Removed {
        int24 lower;
        int24 upper;
        uint128 liquidity;
    }

    /// @dev What a walk through the ticks carries along.
    struct Walk {
        uint160 price;
        int24 tick;
        uint128 liquidity;
        int24 spacing;
        uint256 fee;
        Removed removed;
    }

    /// @notice What goes in, with the fee, and comes out until the price is `limit`; nothing where it is past that already.
    /// @param zeroForOne Whether the first token goes in and the price falls.
    /// @param limit Square root of the price, of the second token per first, times 2^96.
    function depth(IUniswapV3Pool pool, bool zeroForOne, uint160 limit)
        internal
        view
        returns (uint256 amountIn, uint256 amountOut)
    {
        return depth(pool, zeroForOne, limit, Removed({lower: 0, upper: 0, liquidity: 0}));
    }

    /// @notice The same once some liquidity has been taken out.
    function depth(IUniswapV3Pool pool, bool zeroForOne, uint160 limit, Removed memory removed)
        internal
        view
        returns (uint256 amountIn, uint256 amountOut)
    {
        Walk memory walk;
        (walk.price, walk.tick) = pool.slot0();
        (walk.liquidity, walk.spacing, walk.fee) = (pool.liquidity(), pool.tickSpacing(), pool.fee());
        walk.removed = removed;
        if (removed.lower <= walk.tick && walk.tick < removed.upper) walk.liquidity -= removed.liquidity;
        return _walk(pool, zeroForOne, limit, walk);
    }

    function _walk(IUniswapV3Pool pool, bool zeroForOne, uint160 limit, Walk memory walk)
        private
        view
        returns (uint256 amountIn, uint256 amountOut)
    {
        for (uint256 i; i < MAX_STEPS && _isBefore(walk.price, limit, zeroForOne); ++i) {
            (int24 next, bool initialised) = _nextTick(pool, walk, zeroForOne);
            uint160 end = TickMath.getSqrtPriceAtTick(next);
            bool reached = !_isBefore(end, limit, zeroForOne) && end != limit;
            (uint256 paid, uint256 received) = _step(walk, reached ? limit : end, zeroForOne);
            amountIn += paid;
            amountOut += received;
            if (reached) break;
            if (initialised) _cross(pool, walk, next, zeroForOne);
            (walk.price, walk.tick) = (end, zeroForOne ? next - 1 : next);
        }
    }

    function _isBefore(uint160 price, uint160 limit, bool zeroForOne) private pure returns (bool) {
        return zeroForOne ? price > limit : price < limit;
    }

    /// @dev Amounts of one step, rounded as the pool does.
    function _step(Walk memory walk, uint160 to, bool zeroForOne)
        private
        pure
        returns (uint256 paid, uint256 received)
    {
        if (zeroForOne) {
            paid = SqrtPriceMath.getAmount0Delta(to, walk.price, walk.liquidity, true);
            received = SqrtPriceMath.getAmount1Delta(to, walk.price, walk.liquidity, false);
        } else {
            paid = SqrtPriceMath.getAmount1Delta(walk.price, to, walk.liquidity, true);
            received = SqrtPriceMath.getAmount0Delta(walk.price, to, walk.liquidity, false);
        }
        paid += Math.mulDiv(paid, walk.fee, PIPS - walk.fee, Math.Rounding.Ceil);
    }

    function _cross(IUniswapV3Pool pool, Walk memory walk, int24 tick, bool zeroForOne) private view {
        (, int128 net,,) = pool.ticks(tick);
        if (tick == walk.removed.lower) net -= int128(walk.removed.liquidity);
        if (tick == walk.removed.upper) net += int128(walk.removed.liquidity);
        int256 liquidity = int256(uint256(walk.liquidity)) + (zeroForOne ? -int256(net) : int256(net));
        walk.liquidity = uint128(uint256(liquidity)); // as in the pool, which holds it in 128 bits
    }

    /// @dev The next initialised tick within a word of the bitmap, or the word's end; within the range of prices.
    function _nextTick(IUniswapV3Pool pool, Walk memory walk, bool zeroForOne)
        private
        view
        returns (int24 next, bool initialised)
    {
        int24 compressed = walk.tick / walk.spacing;
        if (walk.tick < 0 && walk.tick % walk.spacing != 0) compressed--;
        if (!zeroForOne) compressed++;
        uint8 bit = uint8(uint24(compressed));
        uint256 word = pool.tickBitmap(int16(compressed >> 8));
        if (zeroForOne) {
            word &= type(uint256).max >> (255 - bit);
            initialised = word != 0;
            next = compressed - int24(uint24(initialised ? bit - BitMath.mostSignificantBit(word) : bit));
        } else {
            word &= type(uint256).max << bit;
            initialised = word != 0;
            next = compressed
                + int24(uint24(initialised ? BitMath.leastSignificantBit(word) - bit : type(uint8).max - bit));
        }
        next *= walk.spacing;
        if (next < TickMath.MIN_TICK) next = TickMath.MIN_TICK;
        if (next > TickMath.MAX_TICK) next = TickMath.MAX_TICK;
    }
}
