// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {LyingStrategy} from "./mocks/LyingStrategy.sol";

/// @notice A strategy of 1 % overstates what it is worth while others enter; the accomplice is in already.
abstract contract SpreadTest is AttackTest {
    LyingStrategy internal liar;

    function setUp() public override {
        super.setUp();
        liar = new LyingStrategy(asset);
        _add(address(liar), 0.01e18, type(uint128).max);
        assertTrue(_enter(1000 * UNIT));
        _endTransaction();
        _rebalance(_weights(0.3e18, 0.2e18, 0.1e18, 0.01e18));
    }

    /// @dev What one pays who names no bound: the spread, and a thousand units.
    function test_spread_isTheMost(uint256 ask, uint256 assets) public {
        liar.lie(WAD, bound(ask, WAD, 1e24));
        assets = bound(assets, 1, 1_000_000 * UNIT);
        _fund(ALICE, assets);
        vm.prank(ALICE);
        try vault.deposit(assets, ALICE) {} catch {}
        liar.lie(WAD, WAD);
        _leave();
        assertLe(_profit(), assets * 0.05e18 / 1.05e18 + 1000 + UNITS);
    }

    function test_spread_whoNamesABoundLosesNothing(uint256 ask, uint256 assets) public {
        assets = bound(assets, UNIT, 1_000_000 * UNIT);
        uint256 fair = vault.previewDeposit(assets);
        liar.lie(WAD, bound(ask, WAD + 1e12, 1e24));
        _fund(ALICE, assets);
        vm.prank(ALICE);
        try vault.deposit(assets, ALICE, fair) {} catch {}
        liar.lie(WAD, WAD);
        _leave();
        assertLe(_profit(), UNITS);
    }

    /// @dev The promise in its words, with a hoard that takes the whole gain: no more than what is in the lying strategy.
    function test_spread_isNoMoreThanTheLyingStrategyHolds() public {
        assertTrue(_enter(9_000_000 * UNIT));
        _nextBlock();
        liar.lie(WAD, 45_000e18);
        _deposit(ALICE, 100_000 * UNIT);
        liar.lie(WAD, WAD);
        _leave();
        assertLe(_profit(), 10 * UNIT + UNITS);
    }

    /// @dev No fee is due on what a newcomer has just paid for.
    function test_spread_newcomerPaysNoFeeOnTheGainOfOthers(uint256 gift) public {
        vm.startPrank(GOVERNANCE);
        vault.setFeeRecipient(BOB);
        vault.loosen(IVaultTypes.Limit.PerformanceFee, 0.3e18);
        vm.stopPrank();
        gift = bound(gift, 0, 49 * UNIT);
        asset.mint(address(vault), gift);
        _deposit(ALICE, 1000 * UNIT);
        vault.redeem(0, MALLORY, MALLORY);
        uint256 worth = vault.balanceOf(ALICE) * vault.valuation().nav / vault.totalSupply();
        // The fee on the gift itself is all that is due, and half of it is the newcomer's at most.
        assertGe(worth + gift * 3 / 20 + UNITS, 1000 * UNIT);
    }
}

contract SpreadTest6 is SpreadTest {
    constructor() BaseTest(6) {}
}

contract SpreadTest18 is SpreadTest {
    constructor() BaseTest(18) {}
}
