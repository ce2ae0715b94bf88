// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {HighWaterMark} from "../../contracts/libraries/HighWaterMark.sol";

contract HighWaterMarkTest is Test {
    uint256 private constant MARK = 1e18;

    function test_follow(uint256 price, uint256 rate, uint256 elapsed) public pure {
        price = bound(price, 0, 1e40);
        rate = bound(rate, 0, 10e18);
        elapsed = bound(elapsed, 0, 10 * 365 days);
        uint256 most = MARK + rate * elapsed / 365 days;
        uint256 expected = price <= MARK ? MARK : price < most ? price : most;
        assertEq(HighWaterMark.follow(MARK, price, rate, elapsed), expected);
    }

    /// @dev However often it is recorded, and whatever the price does in between, no record exceeds its own bound.
    function test_follow_manyRecords(uint256[20] memory prices, uint256[20] memory waits, uint256 rate) public pure {
        rate = bound(rate, 0, 1e18);
        uint256 mark = MARK;
        for (uint256 i; i < prices.length; ++i) {
            uint256 wait = bound(waits[i], 0, 30 days);
            uint256 next = HighWaterMark.follow(mark, bound(prices[i], 0.5e18, 3e18), rate, wait);
            assertGe(next, mark);
            assertLe(next, mark + mark * rate * wait / (1e18 * 365 days));
            mark = next;
        }
    }

    /// @dev No price, rate or time that the vault can hand over makes it revert: that would lock the vault.
    function test_follow_neverReverts(uint120 mark, uint256 price, uint64 rate, uint40 elapsed) public pure {
        uint256 next = HighWaterMark.follow(mark, price, bound(rate, 0, 10e18), elapsed);
        assertGe(next, mark);
        assertTrue(next <= price || next == mark);
    }
}
