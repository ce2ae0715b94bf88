// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Test} from "forge-std/Test.sol";

import {HighWaterMark} from "../../contracts/libraries/HighWaterMark.sol";

contract HighWaterMarkTest is Test {
    using HighWaterMark for HighWaterMark.Mark;

    HighWaterMark.Mark private mark;

    function setUp() public {
        vm.warp(1_750_000_000);
        mark.start(1e18);
    }

    function test_preview(uint256 price, uint256 rate, uint256 wait) public {
        price = bound(price, 0, 1e40);
        rate = bound(rate, 0, 10e18);
        wait = bound(wait, 0, 10 * 365 days);
        vm.warp(block.timestamp + wait);
        uint256 most = 1e18 + rate * wait / 365 days;
        uint256 expected = price <= 1e18 ? 1e18 : price < most ? price : most;
        assertEq(mark.preview(price, rate), expected);
        mark.start(expected);
        assertEq(mark.preview(0, rate), expected, "recorded");
        assertEq(mark.preview(type(uint256).max, rate), expected, "the clock has restarted");
    }

    /// @dev However often it is recorded, and whatever the price does, each step keeps to the rate.
    function test_start_manyRecords(uint256[20] memory prices, uint256[20] memory waits, uint256 rate) public {
        rate = bound(rate, 0, 1e18);
        uint256 before = 1e18;
        for (uint256 i; i < prices.length; ++i) {
            uint256 wait = bound(waits[i], 0, 30 days);
            vm.warp(block.timestamp + wait);
            uint256 value = mark.preview(bound(prices[i], 0.5e18, 3e18), rate);
            mark.start(value);
            assertGe(value, before);
            assertLe(value, before + before * rate * wait / (1e18 * 365 days));
            before = value;
        }
    }
}
