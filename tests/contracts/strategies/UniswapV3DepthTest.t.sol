// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {IUniswapV3Pool} from "../../../contracts/interfaces/uniswap/IUniswapV3Pool.sol";
import {UniswapV3Depth} from "../../../contracts/strategies/libraries/UniswapV3Depth.sol";
import {Token} from "../mocks/Token.sol";
import {UniswapMarket} from "../utils/UniswapMarket.sol";

/// @notice What the library foresees is what Uniswap's own bytecode then trades, to the unit.
contract UniswapV3DepthTest is Test {
    uint256 private constant PRICE = 1e36;
    uint160 private constant LOWEST = 4_295_128_740;
    uint160 private constant HIGHEST = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_341;

    Token private asset;
    Token private token;
    UniswapMarket private market;
    IUniswapV3Pool private pool;

    function setUp() public {
        (asset, token) = (new Token(18), new Token(18));
        market = new UniswapMarket(asset, token);
        pool = market.pool();
        market.start(PRICE);
    }

    function _depth(bool zeroForOne, uint160 limit) external view returns (uint256, uint256) {
        return UniswapV3Depth.depth(pool, zeroForOne, limit);
    }

    /// @dev Compares with a trade to the limit.
    function _check(uint256 goal) internal {
        uint160 limit = market.sqrtPrice(goal);
        (uint160 spot,) = pool.slot0();
        bool zeroForOne = limit < spot;
        (uint256 paid, uint256 received) = UniswapV3Depth.depth(pool, zeroForOne, limit);
        (Token first, Token second) = (Token(pool.token0()), Token(pool.token1()));
        (Token in_, Token out) = zeroForOne ? (first, second) : (second, first);
        uint256 inBefore = in_.balanceOf(address(pool));
        uint256 outBefore = out.balanceOf(address(pool));
        market.push(goal);
        (spot,) = pool.slot0();
        assertEq(spot, limit);
        assertEq(paid, in_.balanceOf(address(pool)) - inBefore, "paid");
        assertEq(received, outBefore - out.balanceOf(address(pool)), "received");
        (paid, received) = UniswapV3Depth.depth(pool, zeroForOne, limit);
        assertEq(paid + received, 0, "there already");
    }

    function test_depth_isWhatThePoolTrades(uint256[4] memory widths, uint256[3] memory goals) public {
        for (uint256 i; i < widths.length; ++i) {
            market.provide(bound(widths[i], 1e18, 1e24), int24(int256(bound(widths[i] >> 128, 1, 400))));
        }
        for (uint256 i; i < goals.length; ++i) {
            _check(PRICE * bound(goals[i], 9_000, 11_000) / 10_000);
        }
    }

    /// @dev Without liquidity that is still there it is what it will be once that has left, but for the rounding of its ticks.
    function test_depth_withoutWhatLeaves(uint256 width, uint256 part, uint256 off, uint256 goal, bool zeroForOne)
        public
    {
        market.provide(1e24, 100);
        UniswapV3Depth.Removed memory removed;
        (removed.lower, removed.upper, removed.liquidity) = market.provide(1e24, int24(int256(bound(width, 1, 50))));
        market.push(PRICE * bound(off, 9_700, 10_300) / 10_000);
        removed.liquidity = uint128(bound(part, 0, removed.liquidity));
        uint160 limit = market.sqrtPrice(PRICE * bound(goal, 9_600, 10_400) / 10_000);
        (uint256 paid, uint256 received) = UniswapV3Depth.depth(pool, zeroForOne, limit, removed);
        market.remove(removed.lower, removed.upper, removed.liquidity);
        (uint256 paidThen, uint256 receivedThen) = UniswapV3Depth.depth(pool, zeroForOne, limit);
        assertApproxEqAbs(paid, paidThen, 4);
        assertApproxEqAbs(received, receivedThen, 4);
    }

    /// @dev On ticks exactly, in both directions, and with the price moved in between.
    function test_depth_endsOnATick(uint256 first, uint256 second) public {
        market.provide(1e24, 10);
        market.push(PRICE * bound(first, 9_960, 10_040) / 10_000);
        market.provide(1e23, 3);
        _check(PRICE * bound(second, 9_900, 10_100) / 10_000);
    }

    function test_depth_ofAnEmptyPool(bool zeroForOne) public view {
        (uint256 paid, uint256 received) = this._depth(zeroForOne, market.sqrtPrice(zeroForOne ? PRICE / 2 : PRICE * 2));
        assertEq(paid + received, 0);
    }

    function test_depth_pastTheLimit(bool zeroForOne) public {
        market.provide(1e24, 100);
        (uint256 paid, uint256 received) = this._depth(zeroForOne, market.sqrtPrice(zeroForOne ? PRICE * 2 : PRICE / 2));
        assertEq(paid + received, 0);
    }

    /// @dev The walk ends after a number of steps, and then says less than there is; its gas is bounded.
    function test_depth_manyTicks(bool up) public {
        for (int24 i = 1; i < 40; ++i) {
            market.provide(1e22, 2 * i);
        }
        uint256 goal = up ? PRICE * 108 / 100 : PRICE * 92 / 100;
        uint160 limit = market.sqrtPrice(goal);
        (uint160 spot,) = pool.slot0();
        uint256 before = gasleft();
        (uint256 paid,) = UniswapV3Depth.depth(pool, limit < spot, limit);
        assertLt(before - gasleft(), 500_000);
        Token in_ = Token(limit < spot ? pool.token0() : pool.token1());
        uint256 held = in_.balanceOf(address(pool));
        market.push(goal);
        assertGt(paid, 0);
        assertLt(paid, in_.balanceOf(address(pool)) - held);
    }

    /// @dev Far away, all that there is on the way.
    function test_depth_farAway() public {
        market.provide(1e24, 10);
        (uint256 paid, uint256 received) = this._depth(true, LOWEST);
        assertGt(paid, 0);
        assertGt(received, 0);
        (paid, received) = this._depth(false, HIGHEST);
        assertGt(paid, 0);
    }

    /// @dev The last word of ticks reaches beyond the ends of all prices; the walk does not.
    function test_depth_atTheEnds() public {
        for (uint256 i; i < 2; ++i) {
            UniswapMarket other = new UniswapMarket(asset, token);
            pool = other.pool();
            other.pool().initialize(i == 0 ? LOWEST + 1000 : HIGHEST - 1e30);
            (uint256 paid, uint256 received) = this._depth(i == 0, i == 0 ? LOWEST : HIGHEST);
            assertEq(paid + received, 0, "there is nothing");
        }
    }
}
