// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ISelf} from "../interfaces/ISelf.sol";
import {Bucket} from "../libraries/Bucket.sol";
import {Positions} from "./Positions.sol";

/// @title Rebalancing, and the walls around it
abstract contract Rebalancing is Positions {
    using Bucket for Bucket.State;
    using Math for uint256;

    function _rebalance(Rebalance calldata request) internal {
        _checkRequest(request);
        Books memory start = _accrue(false);
        uint256 floor = _checkTradable(start);
        uint256 nav = _navBeforeDeposit == 0 ? start.nav : Math.min(start.nav, _navBeforeDeposit - 1);

        uint256[] memory targets = _targets(request.weights, start, nav);
        (uint256 moved, uint256 grew) = _move(start.values, targets);
        Books memory end = _checkOutcome(start, nav, floor, moved, grew);
        uint256 price = _sharePrice(end.nav, start.supply);
        require(price >= request.minSharePrice, SharePriceBelowMinimum(price, request.minSharePrice));

        _record(end.bid);
        _lastRebalance = uint40(block.timestamp);
        emit Rebalanced(_epoch++, request.policyHash, request.decisionHash, request.weights, start.nav, end.nav);
    }

    function _checkRequest(Rebalance calldata request) internal view {
        _onlyKeeper();
        require(!_halted, VaultHalted());
        require(request.epoch == _epoch, WrongEpoch(request.epoch, _epoch));
        require(block.timestamp <= request.deadline, DeadlinePassed(request.deadline, block.timestamp));
        require(request.policyHash == _policyHash, WrongPolicy(request.policyHash, _policyHash));
        uint256 until = uint256(_lastRebalance) + _cooldown;
        require(block.timestamp >= until, CooldownRunning(until));
        uint256 expected = _count;
        require(request.weights.length == expected, WrongLength(request.weights.length, expected));
    }

    /// @dev Converts weights to amounts. Refuses at once whatever would fail later with a less telling error.
    /// @param nav Base of caps, without a flash deposit; the weights themselves are shares of `start.nav`.
    function _targets(uint256[] calldata weights, Books memory start, uint256 nav)
        internal
        view
        returns (uint256[] memory targets)
    {
        targets = new uint256[](weights.length);
        uint256 invested;
        for (uint256 i; i < weights.length; ++i) {
            uint256 target = start.values[i];
            if (weights[i] != LEAVE_IT) {
                target = start.nav.mulDiv(weights[i], WAD);
                if (target > start.values[i]) _checkCaps(_strategies[i], target, Math.min(nav, start.bid));
            }
            targets[i] = target;
            invested = invested.saturatingAdd(target);
        }
        _checkIdleFloor(start.nav.saturatingSub(invested), start.nav, start.nav - nav, start.idle);
    }

    /// @dev Withdraws, then deposits. What must be left of each position, if nothing is lost, replaces its value.
    /// @return moved The larger of the two sums: a unit moved between strategies counts once.
    /// @return grew Bit `i`: the strategy at position `i` was deposited into.
    function _move(uint256[] memory values, uint256[] memory targets) internal returns (uint256 moved, uint256 grew) {
        uint256 withdrawn;
        for (uint256 i; i < targets.length; ++i) {
            (uint256 value, uint256 target) = (values[i], targets[i]);
            if (target >= value) continue;
            withdrawn += value - target;
            Strategy storage s = _strategies[i];
            // Shares, and not an amount: what is left is then worth the target, whatever leaving costs.
            uint256 shares =
                target == 0 ? s.shares : uint256(s.shares).mulDiv(value - target, value, Math.Rounding.Ceil);
            // Rounding may bring a unit too much, which does not go back.
            values[i] = targets[i] = value.saturatingSub(_redeem(s, shares));
        }
        for (uint256 i; i < targets.length; ++i) {
            (uint256 value, uint256 target) = (values[i], targets[i]);
            if (target <= value) continue;
            moved += target - value;
            grew |= 1 << i;
            _put(_strategies[i], value, target - value);
            values[i] = target;
        }
        moved = Math.max(withdrawn, moved);
    }

    /// @dev Losses are summed leg by leg, so that no gain hides one. Caps and budgets count in NAV, but no more of it than the bid:
    /// a lie widens none.
    function _checkOutcome(Books memory start, uint256 nav, uint256 floor, uint256 moved, uint256 grew)
        internal
        returns (Books memory end)
    {
        end = _books(false);
        require(end.broken == address(0), ValuationFailed(end.broken));
        uint256 flash = start.nav - nav; // stays idle, and counts for nothing
        uint256 base = Math.min(nav, start.bid);
        uint256 lost;
        for (uint256 i; i < end.values.length; ++i) {
            lost += start.values[i].saturatingSub(end.values[i]);
            if (grew >> i & 1 == 1) _checkGrown(i, end.values[i], base);
        }
        _checkGroups(end.values, grew, base);
        _checkIdleFloor(end.idle, end.nav, flash, start.idle);

        base = Math.max(base, 1);
        uint256 share = moved.mulDiv(WAD, base, Math.Rounding.Ceil);
        (bool ok, uint256 left) = _turnover.spend(share);
        require(ok, TurnoverBudgetExceeded(share, left));
        share = lost.mulDiv(WAD, base, Math.Rounding.Ceil);
        (ok, left) = _loss.spend(share);
        require(ok, LossBudgetExceeded(share, left));
        require(end.price >= floor, DrawdownExceeded(end.price, floor));
    }

    /* THE WALLS */

    /// @dev A strategy that was deposited into is within its caps, and could pay everything back now.
    function _checkGrown(uint256 position, uint256 assets, uint256 base) internal {
        Strategy storage s = _strategies[position];
        _checkCaps(s, assets, base);
        _noteDiscount(position, s, assets);
        uint256 most = _most(s, IERC4626.maxWithdraw.selector);
        if (most + ROUNDING >= assets) return;
        // One that says nothing about what it can pay is tried.
        if (most == 0) {
            try ISelf(address(this)).draw(position, assets, assets, _rounding(assets, s.shares), true) {}
            catch (bytes memory reason) {
                if (bytes4(reason) == Probed.selector) return;
            }
        }
        revert Illiquid(address(s.target), assets, most);
    }

    function _noteDiscount(uint256 position, Strategy storage s, uint256 assets) internal {
        (bool ok, uint256 worth) = _askWorth(address(s.target), IERC4626.convertToAssets.selector, s.shares);
        bool discounted = !ok || worth > assets + ROUNDING;
        if (discounted != (_discounted >> position & 1 == 1)) _discounted ^= uint16(1 << position);
    }

    function _checkCaps(Strategy storage s, uint256 assets, uint256 base) internal view {
        uint256 relative = base.mulDiv(s.relativeCap, WAD);
        require(assets <= relative, RelativeCapExceeded(address(s.target), assets, relative));
        require(assets <= s.absoluteCap, AbsoluteCapExceeded(address(s.target), assets, s.absoluteCap));
    }

    function _checkGroups(uint256[] memory values, uint256 grew, uint256 base) internal view {
        for (uint256 g; g < _groupCount; ++g) {
            uint256 members = _groups[g].members;
            if (members & grew == 0) continue;
            uint256 assets;
            for (uint256 i; i < values.length; ++i) {
                if (members >> i & 1 == 1) assets += values[i];
            }
            uint256 cap = Math.min(base.mulDiv(_groups[g].relativeCap, WAD), _groups[g].absoluteCap);
            require(assets <= cap, GroupCapExceeded(g, assets, cap));
        }
    }

    /// @dev Who has left in front may have taken the idle under its floor: then no more of it may be invested.
    /// @param flash Came in this transaction, and goes with it: it is idle, stays idle, and pays for nothing.
    function _checkIdleFloor(uint256 idle_, uint256 nav, uint256 flash, uint256 before) internal view {
        uint256 floor = nav.saturatingSub(flash).mulDiv(_idleFloor, WAD, Math.Rounding.Ceil) + flash;
        floor = Math.min(before, floor);
        require(idle_ + ROUNDING * MAX_STRATEGIES >= floor, IdleFloorBreached(idle_, floor));
    }
}
