// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {IAggregator} from "../../../contracts/interfaces/chainlink/IAggregator.sol";
import {ChainlinkOracle} from "../../../contracts/oracles/ChainlinkOracle.sol";
import {StandInFeed} from "../../../contracts/standins/StandInFeed.sol";

contract ChainlinkOracleTest is Test {
    uint256 private constant NOW = 1_750_000_000;
    uint32 private constant ETH_HEARTBEAT = 1 hours;
    uint32 private constant USDC_HEARTBEAT = 1 days;
    uint256 private constant GRACE = 30 minutes;

    StandInFeed private eth;
    StandInFeed private usdc;
    StandInFeed private sequencer;

    function setUp() public {
        vm.warp(NOW);
        (eth, usdc, sequencer) = (new StandInFeed(8), new StandInFeed(8), new StandInFeed(0));
        eth.set(2000e8, NOW);
        usdc.set(0.998e8, NOW);
        sequencer.set(0, NOW - 1 days);
    }

    /* HELPERS */

    function _ethFeed() internal view returns (ChainlinkOracle.Feed memory) {
        return ChainlinkOracle.Feed(eth, ETH_HEARTBEAT, 10e8, 100_000e8);
    }

    function _usdcFeed() internal view returns (ChainlinkOracle.Feed memory) {
        return ChainlinkOracle.Feed(usdc, USDC_HEARTBEAT, 0.5e8, 2e8);
    }

    function _none() internal pure returns (ChainlinkOracle.Feed memory feed) {}

    function _new(ChainlinkOracle.Feed memory base, ChainlinkOracle.Feed memory quote)
        internal
        returns (ChainlinkOracle)
    {
        return new ChainlinkOracle(base, quote, 18, 6, sequencer, GRACE);
    }

    /* THE PRICE */

    /// @dev ETH in USDC: 2000 dollars at 0.998 dollars, 6 decimals for 18.
    function test_price() public {
        ChainlinkOracle oracle = _new(_ethFeed(), _usdcFeed());
        assertEq(oracle.price(), uint256(2000e24) * 1000 / 998);
        assertEq(uint256(1e18) * oracle.price() / 1e36, 2_004_008_016);
    }

    /// @dev Without a feed for it the quote token is the feed's currency. Any decimals.
    function test_price_oneFeed(uint8 baseDecimals, uint8 quoteDecimals, uint8 feedDecimals, uint256 answer) public {
        baseDecimals = uint8(bound(baseDecimals, 0, 24));
        quoteDecimals = uint8(bound(quoteDecimals, 6, 18));
        feedDecimals = uint8(bound(feedDecimals, 0, 18));
        answer = bound(answer, 1, 1e20);
        StandInFeed feed = new StandInFeed(feedDecimals);
        feed.set(int256(answer), NOW);
        ChainlinkOracle oracle = new ChainlinkOracle(
            ChainlinkOracle.Feed(feed, 1, 1, 1e24), _none(), baseDecimals, quoteDecimals, IAggregator(address(0)), 0
        );
        assertEq(oracle.price(), answer * 10 ** (uint256(36) + quoteDecimals - baseDecimals - feedDecimals));
    }

    /* NO PRICE */

    function test_stale(uint256 age) public {
        ChainlinkOracle oracle = _new(_ethFeed(), _usdcFeed());
        vm.warp(NOW + ETH_HEARTBEAT);
        oracle.price();
        vm.warp(NOW + bound(age, ETH_HEARTBEAT + 1, 365 days));
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.StalePrice.selector, eth, NOW, ETH_HEARTBEAT));
        oracle.price();
    }

    /// @dev Each feed has its own heartbeat.
    function test_stale_theQuote() public {
        ChainlinkOracle oracle = _new(_ethFeed(), _usdcFeed());
        vm.warp(NOW + USDC_HEARTBEAT + 1);
        eth.set(2000e8, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.StalePrice.selector, usdc, NOW, USDC_HEARTBEAT));
        oracle.price();
        usdc.set(1e8, block.timestamp);
        oracle.price();
    }

    function test_fromTheFuture() public {
        ChainlinkOracle oracle = _new(_ethFeed(), _usdcFeed());
        eth.set(2000e8, NOW + 1);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.StalePrice.selector, eth, NOW + 1, ETH_HEARTBEAT));
        oracle.price();
    }

    /// @dev A feed that has never answered says 0 at time 0.
    function test_neverAnswered() public {
        ChainlinkOracle oracle = _new(_ethFeed(), _usdcFeed());
        eth.set(0, 0);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.StalePrice.selector, eth, 0, ETH_HEARTBEAT));
        oracle.price();
    }

    function test_absurd(int256 answer) public {
        ChainlinkOracle oracle = _new(_ethFeed(), _usdcFeed());
        vm.assume(answer < 10e8 || answer > 100_000e8);
        eth.set(answer, NOW);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.AbsurdPrice.selector, eth, answer));
        oracle.price();
        eth.set(10e8, NOW);
        oracle.price();
        eth.set(100_000e8, NOW);
        oracle.price();
        usdc.set(0.4e8, NOW);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.AbsurdPrice.selector, usdc, 0.4e8));
        oracle.price();
    }

    /// @dev While a rollup's sequencer is down, and a while after, others could not act on the price.
    function test_sequencer(uint256 wait) public {
        ChainlinkOracle oracle = _new(_ethFeed(), _usdcFeed());
        sequencer.set(1, NOW - 1 days);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.SequencerDown.selector, NOW - 1 days));
        oracle.price();
        sequencer.set(0, NOW);
        vm.warp(NOW + bound(wait, 0, GRACE));
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.SequencerDown.selector, NOW));
        oracle.price();
        vm.warp(NOW + GRACE + 1);
        oracle.price();
        sequencer.set(0, 0);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.SequencerDown.selector, 0));
        oracle.price();
    }

    /* SET-UP */

    function test_constructor_badFeeds() public {
        ChainlinkOracle.Feed memory feed = _ethFeed();
        feed.heartbeat = 0;
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.BadFeed.selector, eth));
        _new(feed, _none());
        feed = _ethFeed();
        feed.lowest = 0;
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.BadFeed.selector, eth));
        _new(feed, _none());
        feed.lowest = feed.highest;
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.BadFeed.selector, eth));
        _new(_usdcFeed(), feed);
        feed = _ethFeed();
        feed.aggregator = IAggregator(makeAddr("nobody"));
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.BadFeed.selector, feed.aggregator));
        _new(feed, _none());
        sequencer = StandInFeed(makeAddr("nobody"));
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.BadFeed.selector, sequencer));
        _new(_ethFeed(), _none());
    }

    function test_constructor_badDecimals() public {
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.BadDecimals.selector, 40, 0));
        new ChainlinkOracle(_ethFeed(), _none(), 40, 0, IAggregator(address(0)), 0);
        vm.expectRevert(abi.encodeWithSelector(ChainlinkOracle.BadDecimals.selector, 0, 45));
        new ChainlinkOracle(_ethFeed(), _none(), 0, 45, IAggregator(address(0)), 0);
        new ChainlinkOracle(_ethFeed(), _none(), 28, 0, IAggregator(address(0)), 0);
        new ChainlinkOracle(_ethFeed(), _none(), 0, 44, IAggregator(address(0)), 0);
    }
}
