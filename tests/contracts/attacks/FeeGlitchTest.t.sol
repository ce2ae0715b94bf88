// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {LyingStrategy} from "./mocks/LyingStrategy.sol";

/// @notice One wrong valuation, at the highest performance fee, and anybody's `redeem(0)`.
abstract contract FeeGlitchTest is AttackTest {
    uint256 internal constant FEE = 0.3e18;

    LyingStrategy internal big;

    function setUp() public override {
        super.setUp();
        big = new LyingStrategy(asset);
        _add(address(big), 0.6e18, type(uint128).max);
        vm.startPrank(GOVERNANCE);
        vault.setFeeRecipient(BOB);
        vault.loosen(IVaultTypes.Limit.PerformanceFee, FEE);
        vm.stopPrank();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(_weights(0.2e18, 0.1e18, 0, 0.5e18));
    }

    function test_fee_onAGlitch(uint256 lie, uint256 wait, uint256 records) public {
        wait = bound(wait, 0, 30 days);
        records = bound(records, 1, 5);
        for (uint256 i; i < records; ++i) {
            if (wait != 0) _wait(wait);
            big.lie(bound(lie, WAD, 1e36), WAD);
            vm.prank(MALLORY);
            vault.redeem(0, MALLORY, MALLORY);
            big.lie(WAD, WAD);
        }
        uint256 most = _growth(1000 * UNIT, wait * records) * FEE / WAD;
        // Growth of growth, of the five records at most.
        most += most * wait * records * RATE / WAD / YEAR;
        uint256 paid = vault.previewRedeem(vault.balanceOf(BOB));
        assertLe(paid, most + UNITS, "149 before");
        assertFalse(vault.halted());
        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
        assertGe(_redeemAll(ALICE), 1000 * UNIT - most - UNITS);
    }

    /// @dev Down and up again is no gain.
    function test_fee_onRecovery(uint256 lie, uint256 wait) public {
        wait = bound(wait, 0, 365 days);
        big.lie(bound(lie, 0.8e18, WAD), WAD);
        vault.redeem(0, MALLORY, MALLORY);
        big.lie(WAD, WAD);
        if (wait != 0) _wait(wait);
        vault.redeem(0, MALLORY, MALLORY);
        assertEq(vault.balanceOf(BOB), 0);
    }
}

contract FeeGlitchTest6 is FeeGlitchTest {
    constructor() BaseTest(6) {}
}

contract FeeGlitchTest18 is FeeGlitchTest {
    constructor() BaseTest(18) {}
}
