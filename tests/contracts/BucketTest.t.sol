// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Bucket} from "../../contracts/libraries/Bucket.sol";

contract BucketTest is Test {
    using Bucket for Bucket.State;

    Bucket.State private bucket;

    function setUp() public {
        vm.warp(1_750_000_000);
    }

    function test_spend(uint64 capacity, uint256 amount) public {
        bucket.set(capacity, 0);
        (bool ok, uint256 left) = bucket.spend(amount);
        assertEq(ok, amount <= capacity);
        if (amount != 0) assertEq(left, capacity);
        assertEq(bucket.available(), ok ? capacity - amount : capacity);
    }

    /// @dev Nothing can always be spent, and asks nothing of the storage: not even how much there is.
    function test_spend_nothing(uint64 capacity, uint64 spent) public {
        bucket.set(capacity, 0);
        bucket.spend(bound(spent, 0, capacity));
        uint48 at = bucket.usedAt;
        vm.warp(block.timestamp + 1);
        (bool ok, uint256 left) = bucket.spend(0);
        assertTrue(ok);
        assertEq(left, 0);
        assertEq(bucket.usedAt, at);
    }

    /// @dev Empty, it comes back at its rate, and no further than its capacity.
    function test_refill(uint64 capacity, uint64 refill, uint32 time) public {
        bucket.set(capacity, refill);
        bucket.spend(capacity);
        assertEq(bucket.available(), 0);
        vm.warp(block.timestamp + time);
        uint256 back = uint256(refill) * time;
        assertEq(bucket.available(), back < capacity ? back : capacity);
        vm.warp(block.timestamp + 1 + uint256(capacity) / (uint256(refill) + 1) * 2);
        if (refill > 1e6) assertEq(bucket.available(), capacity);
    }

    /// @dev Within every window: at most capacity + refill x its length, whatever the order.
    function test_windows(uint64 capacity, uint64 refill, uint256[16] memory amounts, uint256[16] memory waits) public {
        refill = uint64(bound(refill, 0, uint256(capacity) / 100));
        bucket.set(capacity, refill);
        uint256[] memory times = new uint256[](16);
        uint256[] memory spent = new uint256[](16);
        for (uint256 i; i < 16; ++i) {
            vm.warp(block.timestamp + bound(waits[i], 0, 60));
            uint256 amount = bound(amounts[i], 0, uint256(capacity) / 2);
            uint256 available = bucket.available();
            (bool ok,) = bucket.spend(amount);
            assertEq(ok, amount <= available);
            (times[i], spent[i]) = (block.timestamp, ok ? amount : 0);
            uint256 sum;
            for (uint256 j = i + 1; j > 0; --j) {
                sum += spent[j - 1];
                assertLe(sum, uint256(capacity) + uint256(refill) * (block.timestamp - times[j - 1]));
            }
        }
    }

    /// @dev A refused spending changes nothing.
    function test_spend_refused(uint64 capacity, uint64 spent) public {
        spent = uint64(bound(spent, 0, capacity));
        bucket.set(capacity, 0);
        bucket.spend(spent);
        (bool ok, uint256 left) = bucket.spend(uint256(capacity) - spent + 1);
        assertFalse(ok);
        assertEq(left, capacity - spent);
        assertEq(bucket.available(), capacity - spent);
        assertEq(bucket.usedNow(), spent);
    }

    /// @dev A new refill does not reach back; a lower capacity binds at once; a higher one gives back nothing spent.
    function test_set(uint64 capacity, uint64 spent, uint64 refill, uint64 next, uint32 time) public {
        spent = uint64(bound(spent, 0, capacity));
        bucket.set(capacity, 0);
        bucket.spend(spent);
        vm.warp(block.timestamp + time);
        bucket.set(next, refill);
        assertEq(bucket.usedNow(), spent);
        assertEq(bucket.available(), next > spent ? next - spent : 0);
        vm.warp(block.timestamp + 1);
        assertEq(bucket.usedNow(), spent > refill ? spent - refill : 0);
    }
}
