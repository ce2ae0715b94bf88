// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Bucket} from "../../contracts/libraries/Bucket.sol";
import {Proof} from "./Proof.sol";

/// @notice The token bucket: the amount that can be spent, in any state.
/// @dev Bounds of the proofs: the product `refill x time` is what a solver finds hard, so the refill and each wait have 16
/// bits; capacity, use and amount are whole. Time enters the library only as a difference, so the moment of the last record
/// is fixed.
contract BucketProof is Proof {
    using Bucket for Bucket.State;

    uint48 internal constant RECORDED = 1_750_000_000;

    Bucket.State internal _bucket;

    /// @dev A state as the library leaves it or finds it: more may be used than the capacity, after it was lowered.
    function _start(uint64 capacity, uint16 refill, uint64 used, uint16 wait) internal {
        _bucket = Bucket.State(capacity, refill, used, RECORDED);
        vm.warp(RECORDED + wait);
    }

    function check_availableIsAtMostTheCapacity(uint64 capacity, uint16 refill, uint64 used, uint16 wait) external {
        _start(capacity, refill, used, wait);
        assert(_bucket.available() <= capacity);
    }

    function check_nothingUsedIsAFullBucket(uint64 capacity, uint16 refill, uint16 wait) external {
        _start(capacity, refill, 0, wait);
        assert(_bucket.available() == capacity);
    }

    function check_whatIsSpentIsTakenExactly(uint64 capacity, uint16 refill, uint64 used, uint16 wait, uint256 amount)
        external
    {
        _start(capacity, refill, used, wait);
        uint256 usedBefore = _bucket.usedNow();
        (bool ok,) = _bucket.spend(amount);
        if (!ok || amount == 0) return;
        assert(_bucket.used == usedBefore + amount && _bucket.usedAt == block.timestamp);
    }

    function check_exactlyWhatIsThereCanBeSpent(
        uint64 capacity,
        uint16 refill,
        uint64 used,
        uint16 wait,
        uint256 amount
    ) external {
        _start(capacity, refill, used, wait);
        bool enough = amount <= _bucket.available();
        (bool ok,) = _bucket.spend(amount);
        assert(ok == enough);
    }

    function check_aRefusedSpendingChangesNothing(
        uint64 capacity,
        uint16 refill,
        uint64 used,
        uint16 wait,
        uint256 amount
    ) external {
        _start(capacity, refill, used, wait);
        (bool ok,) = _bucket.spend(amount);
        if (ok) return;
        assert(_bucket.capacity == capacity && _bucket.refill == refill);
        assert(_bucket.used == used && _bucket.usedAt == RECORDED);
    }

    function check_waitingNeverCostsBudget(uint64 capacity, uint16 refill, uint64 used, uint16 wait) external {
        _start(capacity, refill, used, wait);
        assert(_bucket.usedNow() <= used);
    }

    function check_waitingGivesBackAtMostTheRefill(uint64 capacity, uint16 refill, uint64 used, uint16 wait) external {
        _start(capacity, refill, used, wait);
        unchecked {
            assert(_bucket.usedNow() + uint256(refill) * (block.timestamp - RECORDED) >= used);
        }
    }

    /// @dev The bound on what any window allows, for any number of spends, is an induction over them. Let `spent` be the
    /// amount spent since the window began and `earned` the refill since, and suppose `spent <= used + earned`,
    /// as it is at the beginning, where both are 0. A wait worth `back` and a spending leave `usedThen`, which the two
    /// assumptions describe: `check_waitingGivesBackAtMostTheRefill` with `check_whatIsSpentIsTakenExactly` proves the first,
    /// `check_whatIsThereIsTheCapacityLessWhatIsUsed` the second. The supposition holds again, and no more than
    /// `capacity + earned` was spent: what the bucket promises.
    function check_noWindowAllowsMoreThanCapacityAndRefill(
        uint64 capacity,
        uint128 spent,
        uint128 earned,
        uint64 used,
        uint112 back,
        uint64 amount,
        uint72 usedThen
    ) external pure {
        vm.assume(spent <= uint256(used) + earned);
        vm.assume(uint256(usedThen) + back >= uint256(used) + amount);
        vm.assume(usedThen <= capacity);
        uint256 spentThen = uint256(spent) + amount;
        uint256 earnedThen = uint256(earned) + back;
        assert(spentThen <= usedThen + earnedThen);
        assert(spentThen <= capacity + earnedThen);
    }

    /// @dev False on purpose, with the same assumptions. See `MUST_FAIL` of the audit.
    function check_refuted_noWindowAllowsAnything(
        uint64 capacity,
        uint128 spent,
        uint128 earned,
        uint64 used,
        uint112 back,
        uint64 amount,
        uint72 usedThen
    ) external pure {
        vm.assume(spent <= uint256(used) + earned);
        vm.assume(uint256(usedThen) + back >= uint256(used) + amount);
        vm.assume(usedThen <= capacity);
        assert(spent == 0 || amount == 0);
    }

    /// @dev With `check_exactlyWhatIsThereCanBeSpent`: after a spending, what is used is at most the capacity.
    function check_whatIsThereIsTheCapacityLessWhatIsUsed(uint64 capacity, uint16 refill, uint64 used, uint16 wait)
        external
    {
        _start(capacity, refill, used, wait);
        uint256 usedNow = _bucket.usedNow();
        uint256 available = _bucket.available();
        unchecked {
            assert(available == (usedNow < capacity ? capacity - usedNow : 0));
        }
    }

    /// @dev False on purpose: a bucket whose capacity was lowered has less than that. See `MUST_FAIL` of the audit.
    function check_refuted_everyBucketIsFull(uint64 capacity, uint16 refill, uint64 used, uint16 wait) external {
        _start(capacity, refill, used, wait);
        assert(_bucket.available() == capacity);
    }

    /// @dev A change of capacity or refill keeps what is used, and so the supposition of that induction.
    function check_newLimitsKeepWhatIsUsed(
        uint64 capacity,
        uint16 refill,
        uint64 used,
        uint16 wait,
        uint64 newCapacity,
        uint64 newRefill
    ) external {
        _start(capacity, refill, used, wait);
        uint256 usedBefore = _bucket.usedNow();
        _bucket.set(newCapacity, newRefill);
        assert(_bucket.usedNow() == usedBefore && _bucket.used == usedBefore);
        assert(_bucket.capacity == newCapacity && _bucket.refill == newRefill);
        assert(_bucket.available() <= newCapacity);
    }
}
