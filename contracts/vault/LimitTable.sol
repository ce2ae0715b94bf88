// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Bucket} from "../libraries/Bucket.sol";
import {VaultStorage} from "./VaultStorage.sol";

/// @title The table of limits
abstract contract LimitTable is VaultStorage {
    using Bucket for Bucket.State;

    function _limit(Limit limit_) internal view returns (uint256) {
        if (limit_ == Limit.IdleFloor) return _idleFloor;
        if (limit_ == Limit.MaxDrawdown) return _maxDrawdown;
        if (limit_ == Limit.MaxGrowthRate) return uint256(_maxGrowthRate) * WAD_PER_MILLIONTH;
        if (limit_ == Limit.Cooldown) return _cooldown;
        if (limit_ == Limit.MaxSilence) return _maxSilence;
        if (limit_ == Limit.LossCapacity) return _loss.capacity;
        if (limit_ == Limit.LossRefill) return _loss.refill;
        if (limit_ == Limit.TurnoverCapacity) return _turnover.capacity;
        if (limit_ == Limit.TurnoverRefill) return _turnover.refill;
        if (limit_ == Limit.PerformanceFee) return uint256(_performanceFee) * WAD_PER_BASIS_POINT;
        return limit_ == Limit.UnwindLoss ? _unwindLoss : _depositCap;
    }

    /// @dev No value of `MaxGrowthRate` is tighter than another.
    function _isTighter(Limit limit_, uint256 value, uint256 current) internal pure returns (bool) {
        if (limit_ == Limit.MaxGrowthRate) return false;
        return limit_ == Limit.IdleFloor || limit_ == Limit.Cooldown ? value > current : value < current;
    }

    /// @dev Sets a limit and notes that governance did, which is as loose as an abdicated one may ever be.
    function _governLimit(Limit limit_, uint256 value) internal {
        _setLimit(limit_, value);
        if (!_isAbdicated(limit_)) _governed[limit_] = _limit(limit_);
    }

    function _setLimit(Limit limit_, uint256 value) internal {
        if (limit_ == Limit.IdleFloor) {
            _idleFloor = uint64(_within(value, 0, WAD));
        } else if (limit_ == Limit.MaxDrawdown) {
            _maxDrawdown = uint64(_within(value, 0, WAD));
        } else if (limit_ == Limit.MaxGrowthRate) {
            _maxGrowthRate = uint32(_within(value, 0, 1000 * WAD) / WAD_PER_MILLIONTH);
        } else if (limit_ == Limit.Cooldown) {
            _cooldown = uint32(_within(value, 0, 30 days));
        } else if (limit_ == Limit.MaxSilence) {
            _maxSilence = uint32(_within(value, 1 hours, 365 days));
        } else if (limit_ == Limit.LossCapacity) {
            _loss.set(uint64(_within(value, 0, WAD)), _loss.refill);
        } else if (limit_ == Limit.LossRefill) {
            _loss.set(_loss.capacity, uint64(_within(value, 0, WAD)));
        } else if (limit_ == Limit.TurnoverCapacity) {
            _turnover.set(uint64(_within(value, 0, 10 * WAD)), _turnover.refill);
        } else if (limit_ == Limit.TurnoverRefill) {
            _turnover.set(_turnover.capacity, uint64(_within(value, 0, 10 * WAD)));
        } else if (limit_ == Limit.PerformanceFee) {
            _performanceFee = uint16(_within(value, 0, 0.3e18) / WAD_PER_BASIS_POINT);
        } else if (limit_ == Limit.UnwindLoss) {
            _unwindLoss = uint64(_within(value, 0, WAD));
        } else {
            _depositCap = uint128(_within(value, 0, MAX_ASSETS));
            _hasDepositCap = value != MAX_ASSETS;
        }
        emit LimitSet(limit_, _limit(limit_));
    }

    function _within(uint256 value, uint256 minimum, uint256 maximum) internal pure returns (uint256) {
        require(value >= minimum && value <= maximum, LimitOutOfRange(value, minimum, maximum));
        return value;
    }

    /// @dev A new keeper has the whole of `MaxSilence` before anyone may unwind.
    function _setKeeper(address newKeeper) internal {
        _keeper = newKeeper;
        _lastHeartbeat = uint40(block.timestamp);
        emit KeeperSet(newKeeper);
    }
}
