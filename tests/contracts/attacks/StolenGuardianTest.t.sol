// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {MockStrategy} from "../mocks/MockStrategy.sol";
import {AttackTest} from "./AttackTest.sol";

/// @notice A stolen guardian tightens all to nothing, after everything was given up.
abstract contract StolenGuardianTest is AttackTest {
    uint64 internal constant GUARDIAN_ROLE = 7;

    address internal immutable GUARDIAN = makeAddr("guardian");

    function setUp() public override {
        super.setUp();
        vm.startPrank(GOVERNANCE);
        authority.grantRole(GUARDIAN_ROLE, GUARDIAN, 0);
        authority.setTargetFunctionRole(address(vault), _guardianSelectors(), GUARDIAN_ROLE);
        vault.loosen(IVaultTypes.Limit.Cooldown, 1 hours);
        vault.setFeeRecipient(BOB);
        vault.loosen(IVaultTypes.Limit.PerformanceFee, 0.1e18);
        vault.setGroup(0, IVaultTypes.Group(address(0), 0.7e18, type(uint128).max, 3));
        vm.stopPrank();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.3e18, 0.2e18, 0.1e18);
    }

    function _limit(IVaultTypes.Limits memory l, uint256 i) private pure returns (uint256) {
        uint256 value;
        assembly {
            value := mload(add(l, mul(i, 0x20)))
        }
        return value;
    }

    function _tightest(uint256 i) private pure returns (uint256) {
        if (i == uint256(IVaultTypes.Limit.IdleFloor)) return 1e18;
        if (i == uint256(IVaultTypes.Limit.Cooldown)) return 30 days;
        return i == uint256(IVaultTypes.Limit.MaxSilence) ? 1 hours : 0;
    }

    function _abdicateAll() private {
        vm.startPrank(GOVERNANCE);
        for (uint256 i; i < LIMITS; ++i) {
            vault.abdicate(IVaultTypes.Limit(i));
        }
        vault.abdicateCaps();
        vm.stopPrank();
    }

    function _closeAll() private {
        vm.startPrank(GUARDIAN);
        for (uint256 i; i < LIMITS; ++i) {
            if (i != uint256(IVaultTypes.Limit.MaxGrowthRate)) vault.tighten(IVaultTypes.Limit(i), _tightest(i));
        }
        vault.tightenCaps(address(a), 0, 0);
        vault.tightenCaps(address(b), 0, 0);
        vault.tightenCaps(address(c), 0, 0);
        vault.tightenGroup(0, 0, 0);
        vault.cutKeeper();
        vault.halt();
        vm.stopPrank();
        vm.prank(GOVERNANCE);
        authority.revokeRole(GUARDIAN_ROLE, GUARDIAN);
    }

    function test_guardian_allIsRestored() public {
        IVaultTypes.Limits memory before = vault.limits();
        _abdicateAll();
        _closeAll();
        assertEq(vault.maxDeposit(BOB), 0);
        vm.prank(GUARDIAN);
        vm.expectRevert();
        vault.tighten(IVaultTypes.Limit.Cooldown, 30 days);

        vm.startPrank(GOVERNANCE);
        for (uint256 i; i < LIMITS; ++i) {
            vault.loosen(IVaultTypes.Limit(i), _limit(before, i));
        }
        vault.loosenCaps(address(a), 0.6e18, type(uint128).max);
        vault.loosenCaps(address(b), 0.5e18, type(uint128).max);
        vault.loosenCaps(address(c), 0.4e18, type(uint128).max);
        vault.setGroup(0, IVaultTypes.Group(address(0), 0.7e18, type(uint128).max, 3));
        vault.setKeeper(KEEPER);
        vault.resume();
        vm.stopPrank();
        assertEq(abi.encode(vault.limits()), abi.encode(before));
        vm.warp(block.timestamp + 1 hours);
        _deposit(BOB, UNIT);
        _rebalance(0.3e18, 0.2e18, 0.2e18);
        _redeemAll(ALICE);
    }

    /// @dev Not a unit beyond what was given up, before the guardian and after it.
    function test_guardian_notBeyond(uint256 by, bool after_) public {
        IVaultTypes.Limits memory before = vault.limits();
        _abdicateAll();
        if (after_) _closeAll();
        address stranger = address(new MockStrategy(asset));
        vm.startPrank(GOVERNANCE);
        for (uint256 i; i < LIMITS; ++i) {
            uint256 value = _limit(before, i);
            bool up = i != uint256(IVaultTypes.Limit.IdleFloor) && i != uint256(IVaultTypes.Limit.Cooldown);
            if (up && value == type(uint128).max) continue;
            value = up ? value + bound(by, 1, 1e18) : value - bound(by, 1, value);
            vm.expectRevert(IVaultTypes.Abdicated.selector);
            vault.loosen(IVaultTypes.Limit(i), value);
        }
        vm.expectRevert(IVaultTypes.Abdicated.selector);
        vault.loosenCaps(address(a), 0.6e18 + 1, type(uint128).max);
        vm.expectRevert(IVaultTypes.Abdicated.selector);
        vault.setGroup(0, IVaultTypes.Group(address(0), 0.7e18 + 1, type(uint128).max, 3));
        vm.expectRevert(IVaultTypes.Abdicated.selector);
        vault.setGroup(0, IVaultTypes.Group(address(0), 0.7e18, type(uint128).max, 1));
        vm.expectRevert(IVaultTypes.Abdicated.selector);
        vault.addStrategy(stranger, 0, 0);
        vm.stopPrank();
    }

    /// @dev The guardian sees the abdication announced, and tightens right in front of it.
    function test_guardian_inFrontOfAnAbdication(uint256 which) public {
        which = bound(which, 0, LIMITS - 1);
        if (which == uint256(IVaultTypes.Limit.MaxGrowthRate)) return;
        IVaultTypes.Limit limit = IVaultTypes.Limit(which);
        uint256 meant = _limit(vault.limits(), which);
        vm.prank(GUARDIAN);
        vault.tighten(limit, _tightest(which));
        vm.startPrank(GOVERNANCE);
        vault.abdicate(limit);
        authority.revokeRole(GUARDIAN_ROLE, GUARDIAN);
        vault.loosen(limit, meant);
        vm.stopPrank();
    }

    function test_guardian_inFrontOfAnAbdicationOfCaps() public {
        vm.prank(GUARDIAN);
        vault.tightenCaps(address(a), 0, 0);
        vm.startPrank(GOVERNANCE);
        vault.abdicateCaps();
        authority.revokeRole(GUARDIAN_ROLE, GUARDIAN);
        vault.loosenCaps(address(a), 0.6e18, type(uint128).max);
        vm.stopPrank();
    }

    /// @dev Leaving works with all closed.
    function test_guardian_cannotKeepAnybodyIn(bool inKind) public {
        _abdicateAll();
        _closeAll();
        if (inKind) {
            uint256 shares = vault.balanceOf(ALICE);
            vm.prank(ALICE);
            vault.redeemInKind(shares, ALICE, ALICE, new uint256[](0));
        } else {
            assertApproxEqAbs(_redeemAll(ALICE), 1000 * UNIT, UNITS);
        }
    }
}

contract StolenGuardianTest6 is StolenGuardianTest {
    constructor() BaseTest(6) {}
}

contract StolenGuardianTest18 is StolenGuardianTest {
    constructor() BaseTest(18) {}
}
