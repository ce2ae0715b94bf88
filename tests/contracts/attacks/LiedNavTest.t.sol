// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {LyingStrategy} from "./mocks/LyingStrategy.sol";

/// @notice The thief has the keeper's key and a strategy of 1 %, which lies while the others are rebalanced: walls that are
/// shares of NAV must not move with it.
abstract contract LiedNavTest is AttackTest {
    uint64 internal constant BUDGET = 0.5e18;

    LyingStrategy internal liar;

    function setUp() public override {
        super.setUp();
        liar = new LyingStrategy(asset);
        _add(address(liar), 0.01e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(_weights(0.3e18, 0.2e18, 0.1e18, 0.01e18));
    }

    /// @dev `share` of the true NAV, as a weight of the NAV that is lied.
    function _lie(uint256 lie, uint256 share) private returns (uint256 weight) {
        lie = bound(lie, WAD, 10_000e18);
        liar.lie(lie, lie);
        weight = share * 1000 * UNIT / vault.valuation().nav;
    }

    function test_lie_widensNoRelativeCap(uint256 lie, uint256 share) public {
        uint256 weight = _lie(lie, bound(share, 0.4e18 + 1e12, 0.8e18));
        _tryRebalance(_weights(0, 0, weight, HOLD));
        assertLe(c.totalAssets(), 400 * UNIT + UNITS);
    }

    function test_lie_widensNoGroup(uint256 lie, uint256 share) public {
        vm.prank(GOVERNANCE);
        vault.setGroup(0, IVaultTypes.Group(address(0), 0.5e18, type(uint128).max, 3));
        uint256 weight = _lie(lie, bound(share, 0.2e18, 0.6e18));
        _tryRebalance(_weights(HOLD, weight, HOLD, HOLD));
        assertLe(a.totalAssets() + b.totalAssets(), 500 * UNIT + UNITS);
    }

    function test_lie_widensNoIdleFloor(uint256 lie, uint256 share) public {
        uint256 weight = _lie(lie, bound(share, 0.3e18, 0.6e18));
        _tryRebalance(_weights(weight, 0.2e18 * weight / 0.3e18, HOLD, HOLD));
        assertGe(vault.idle() + 16 * 2, 20 * UNIT);
    }

    /// @dev Down, so that a floor of what is left is lower.
    function test_understatement_widensNoIdleFloor(uint256 share) public {
        liar.lie(0, 0);
        _tryRebalance(_weights(bound(share, 0.3e18, 0.6e18), 0.3e18, HOLD, HOLD));
        assertGe(vault.idle() + 16 * 2, 20 * UNIT * 99 / 100);
    }

    function test_lie_widensNoTurnover(uint256 lie, uint256 share) public {
        _setLimit(IVaultTypes.Limit.TurnoverRefill, 0);
        vm.warp(block.timestamp + 1 days);
        _setLimit(IVaultTypes.Limit.TurnoverCapacity, 0.1e18);
        uint256 free = vault.turnoverBudget();
        uint256 weight = _lie(lie, bound(share, 0.1e18, 0.4e18));
        uint256 before = c.totalAssets();
        _tryRebalance(_weights(HOLD, HOLD, weight, HOLD));
        uint256 moved = c.totalAssets() > before ? c.totalAssets() - before : before - c.totalAssets();
        assertLe(moved, 1000 * UNIT * free / WAD + UNITS);
    }

    function test_lie_widensNoLossBudget(uint256 lie, uint256 loss) public {
        _setLimit(IVaultTypes.Limit.LossRefill, 0);
        _setLimit(IVaultTypes.Limit.LossCapacity, 0.01e18);
        a.setSlippage(bound(loss, 0, 100 * UNIT));
        uint256 before = a.totalAssets() + vault.idle();
        uint256 weight = _lie(lie, 0.2e18);
        _tryRebalance(_weights(weight, HOLD, HOLD, HOLD));
        assertLe(before - a.totalAssets() - vault.idle(), 10 * UNIT + UNITS);
    }

    /// @dev Two strategies of 1 % each: one lies, and the other takes all.
    function test_lie_ofOneFillsTheOther(uint256 lie) public {
        LyingStrategy thief = new LyingStrategy(asset);
        _add(address(thief), 0.01e18, type(uint128).max);
        uint256 weight = _lie(bound(lie, 2000e18, 5000e18), 0.3e18);
        uint256[] memory weights = new uint256[](5);
        (weights[0], weights[1], weights[2], weights[3], weights[4]) = (0, HOLD, HOLD, HOLD, weight);
        _tryRebalance(weights);
        assertLe(thief.steal(MALLORY), 10 * UNIT + UNITS);
    }
}

contract LiedNavTest6 is LiedNavTest {
    constructor() BaseTest(6) {}
}

contract LiedNavTest18 is LiedNavTest {
    constructor() BaseTest(18) {}
}
