// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title A token bucket: a budget with a maximum, which refills at a steady rate
/// @notice Within any window of `t` seconds at most `capacity + refill x t` can be spent, whatever the order and the number
/// of spends. The bucket stores the amount *used*, so an empty slot is a full bucket and a lower capacity binds at once.
library Bucket {
    using Math for uint256;

    /// @param capacity Maximum that can be spent at once.
    /// @param refill Amount that is refilled per second.
    /// @param used Amount spent and not refilled yet, at `usedAt`.
    struct State {
        uint64 capacity;
        uint64 refill;
        uint72 used;
        uint48 usedAt;
    }

    /// @notice The amount that can be spent now.
    function available(State memory bucket) internal view returns (uint256) {
        return uint256(bucket.capacity).saturatingSub(usedNow(bucket));
    }

    /// @notice The amount spent and not refilled yet, now.
    function usedNow(State memory bucket) internal view returns (uint256) {
        return uint256(bucket.used).saturatingSub(bucket.refill * (block.timestamp - bucket.usedAt));
    }

    /// @notice Spends `amount` if the bucket has it. Returns whether it had, and how much it had (0 for an amount of 0).
    function spend(State storage bucket, uint256 amount) internal returns (bool ok, uint256 left) {
        if (amount == 0) return (true, 0);
        State memory state = bucket;
        left = available(state);
        ok = amount <= left;
        if (ok) _record(bucket, usedNow(state) + amount);
    }

    /// @notice Changes capacity and refill from now on; up to now the bucket refills at the old rate.
    function set(State storage bucket, uint64 capacity, uint64 refill) internal {
        _record(bucket, usedNow(bucket));
        bucket.capacity = capacity;
        bucket.refill = refill;
    }

    /// @dev `used` never exceeds the largest capacity, which has 64 bits.
    function _record(State storage bucket, uint256 used) private {
        bucket.used = uint72(used);
        bucket.usedAt = uint48(block.timestamp);
    }
}
