// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {BaseTest} from "./BaseTest.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";

/// @notice A strategy whose valuation fails: it reverts, burns all gas, answers nothing, has no code, or answers nonsense.
abstract contract QuarantineTest is BaseTest {
    uint256 internal constant KINDS = 6;

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0.1e18);
    }

    function _break(uint256 kind) private {
        kind %= KINDS;
        if (kind < 3) a.setFault(MockStrategy.Part.PreviewRedeem, MockStrategy.Fault(kind + 1));
        bytes memory call = abi.encodeCall(a.previewRedeem, (500 * UNIT));
        if (kind == 3) vm.etch(address(a), "");
        if (kind == 4) vm.mockCall(address(a), call, abi.encode(type(uint256).max));
        if (kind == 5) vm.mockCall(address(a), call, abi.encode(uint256(type(uint128).max) + 1));
    }

    function test_quarantine_closesDeposits(uint256 kind) public {
        _break(kind);
        _fund(BOB, UNIT);
        assertFalse(vault.valued());
        assertEq(vault.totalAssets(), 500 * UNIT, "counts as nothing");
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxMint(BOB), 0);
        bytes memory error = abi.encodeWithSelector(IVault.ValuationFailed.selector, address(a));
        vm.startPrank(BOB);
        vm.expectRevert(error);
        vault.deposit(UNIT, BOB);
        vm.expectRevert(error);
        vault.mint(1, BOB);
        vm.stopPrank();
    }

    /// @dev The most that counts as an answer; one more does not (`_break`).
    function test_quarantine_notAtTheLargestValue() public {
        uint256 most = type(uint128).max;
        vm.mockCall(address(a), abi.encodeCall(a.previewRedeem, (500 * UNIT)), abi.encode(most));
        assertTrue(vault.valued());
        assertEq(vault.totalAssets(), most + 500 * UNIT);
    }

    function test_quarantine_stopsRebalancesAndTrip(uint256 kind) public {
        _break(kind);
        bytes memory error = abi.encodeWithSelector(IVault.ValuationFailed.selector, address(a));
        _refused(HOLD, HOLD, HOLD, error);
        assertLt(vault.sharePrice(), vault.drawdownFloor());
        vm.expectRevert(error);
        vault.trip();

        vm.startPrank(GOVERNANCE);
        vault.halt();
        vm.expectRevert(error);
        vault.resume();
    }

    /// @dev Whoever leaves is paid at the price of the rest, forgoes the broken strategy, and halts nothing.
    function test_quarantine_keepsWithdrawalsOpen(uint256 kind, uint256 shares) public {
        _break(kind);
        assertApproxEqAbs(vault.maxWithdraw(ALICE), 500 * UNIT, 1);
        assertEq(vault.maxRedeem(ALICE), vault.balanceOf(ALICE));
        shares = bound(shares, 1, vault.balanceOf(ALICE));
        uint256 expected = vault.previewRedeem(shares);
        vm.prank(ALICE);
        assertEq(vault.redeem(shares, ALICE, ALICE), expected);
        assertFalse(vault.halted());
    }

    function test_quarantine_endsByItself(uint256 kind) public {
        _break(kind % 3);
        a.setFault(MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.None);
        assertTrue(vault.valued());
        assertEq(vault.sharePrice(), WAD);
        _deposit(BOB, UNIT);
        _rebalance(HOLD, HOLD, 0.15e18);
    }

    /// @dev One that goes dark in the middle of a rebalance takes the rebalance with it.
    function test_quarantine_duringARebalance() public {
        a.setCallback(
            address(b), abi.encodeCall(b.setFault, (MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.Revert))
        );
        _refused(0.4e18, HOLD, HOLD, abi.encodeWithSelector(IVault.ValuationFailed.selector, address(b)));
    }

    /// @dev No terms of the fee at a price that is not known; no tightening that waits for a strategy's answer.
    function test_quarantine_andGovernance(uint256 kind) public {
        _break(kind);
        bytes memory error = abi.encodeWithSelector(IVault.ValuationFailed.selector, address(a));
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(error);
        vault.loosen(IVault.Limit.PerformanceFee, 0.1e18);
        vm.expectRevert(error);
        vault.loosen(IVault.Limit.MarkGrowthRate, 1);
        vm.expectRevert(error);
        vault.setFeeRecipient(BOB);
        vault.tighten(IVault.Limit.MaxDrawdown, 0.05e18);
        vault.tightenCaps(address(a), 0, 0);
    }

    function test_writeOff(uint256 kind) public {
        _break(kind);
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(abi.encodeWithSelector(IVault.StrategyNotEmpty.selector, address(a), 500 * UNIT));
        vault.removeStrategy(address(a));
        vm.expectRevert(abi.encodeWithSelector(IVault.UnknownStrategy.selector, ALICE));
        vault.writeOff(ALICE);
        vm.expectEmit(address(vault));
        emit IVault.StrategyWrittenOff(address(a), 500 * UNIT);
        vault.writeOff(address(a));
        assertTrue(vault.valued());
        assertEq(_shares(a), 0);
        vault.removeStrategy(address(a));
        vm.stopPrank();

        // Now it is a loss like any other: past the limit, and open to trip.
        vault.trip();
        assertEq(vault.strategies().length, 2);
        _redeemAll(ALICE);
        assertApproxEqAbs(asset.balanceOf(ALICE), 500 * UNIT, 3);
    }

    /// @dev A caller that gives too little gas to hear a strategy out gets nowhere.
    function test_quarantine_notByStarvation(uint256 gas_) public {
        gas_ = bound(gas_, 50_000, 400_000);
        uint256 shares = vault.balanceOf(ALICE) / 2;
        uint256 expected = vault.previewRedeem(shares);
        vm.prank(ALICE);
        try vault.redeem{gas: gas_}(shares, ALICE, ALICE) returns (uint256 assets) {
            assertEq(assets, expected);
        } catch {}
    }
}

contract QuarantineTest6 is QuarantineTest {
    constructor() BaseTest(6) {}
}

contract QuarantineTest18 is QuarantineTest {
    constructor() BaseTest(18) {}
}
