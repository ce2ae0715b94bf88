// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {VaultHarness} from "../utils/VaultHarness.sol";
import {AttackTest} from "./AttackTest.sol";
import {LyingStrategy} from "./mocks/LyingStrategy.sol";

/// @notice A Bulkhead vault as a strategy of another, and a strategy of the inner one that hiccups for a block.
abstract contract NestingTest is AttackTest {
    uint256 internal constant MOST_GAS = 3_000_000;

    VaultHarness internal inner;
    LyingStrategy internal deep;

    function setUp() public override {
        super.setUp();
        inner = _newVault(IERC20(address(asset)));
        deep = new LyingStrategy(asset);
        vm.prank(GOVERNANCE);
        inner.addStrategy(address(deep), 0.6e18, type(uint128).max);
        _add(address(inner), 0.6e18, type(uint128).max);
        vm.label(address(inner), "inner");

        _deposit(ALICE, 1000 * UNIT);
        _rebalance(_weights(0.2e18, 0.1e18, 0, 0.5e18));
        inner.endTransaction();
        uint256[] memory weights = new uint256[](1);
        weights[0] = 0.5e18;
        vm.prank(KEEPER);
        inner.rebalance(IVaultTypes.Rebalance(0, block.timestamp, 0, weights, POLICY, DECISION));
        _endTransaction();
    }

    /* A GAIN THAT IS NOT SHOWN YET */

    /// @dev The inner vault believes its gain as slowly as any. Whoever enters the outer one meanwhile gets a part of what is
    /// still to come, at once no more than the rate gives, and in the end no more than in proportion.
    function test_gain_notShownYet_isSharedWithWhoEnters(uint256 hoard, uint256 gain) public {
        hoard = bound(hoard, UNIT, 100_000 * UNIT);
        gain = bound(gain, UNIT, 10 * UNIT);
        asset.mint(address(deep), gain);
        assertEq(vault.valuation().nav, 1000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        uint256 snapshot = vm.snapshotState();
        _leave();
        assertLe(_profit(), _growth(1000 * UNIT, SLOT) + UNITS);
        vm.revertToState(snapshot);

        vm.warp(block.timestamp + 365 days);
        _leave();
        assertApproxEqAbs(_profit(), gain * hoard / (hoard + 1000 * UNIT), 2 * UNITS);
    }

    /// @dev A keeper's key that leaves the inner vault leaves such a gain to those who stay in it. No budget sees that, for the
    /// price never told it. What the price told is paid whole.
    function test_gain_notShownYet_isLeftBehind(uint256 gain) public {
        gain = bound(gain, UNIT, 10 * UNIT);
        asset.mint(address(deep), gain);
        uint256 budget = vault.lossBudget();
        _rebalance(_weights(0.2e18, 0.1e18, 0, 0));
        assertEq(vault.strategies()[3].shares, 0);
        assertApproxEqAbs(vault.totalAssets(), 1000 * UNIT, UNITS);
        assertApproxEqAbs(vault.lossBudget(), budget, UNITS);
        assertApproxEqAbs(asset.balanceOf(address(inner)) + asset.balanceOf(address(deep)), gain, UNITS);
    }

    /* A HICCUP */

    function test_hiccup_passesThrough() public {
        assertTrue(vault.valued());
        deep.setDark(true);
        assertFalse(inner.valued());
        assertFalse(vault.valued());
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxWithdraw(ALICE), 0);
        assertEq(vault.maxRedeem(ALICE), 0);
        bytes memory error = abi.encodeWithSelector(IVaultTypes.ValuationFailed.selector, address(inner));
        vm.expectRevert(error);
        vault.totalAssets();
        vm.expectRevert(error);
        vault.convertToAssets(1e18);
        vm.expectRevert(error);
        vault.previewRedeem(1e18);
        vm.expectRevert(error);
        vault.previewDeposit(1e18);
    }

    /// @dev Before, during and after, on either floor of the house.
    function test_hiccup_strangerGainsNothing(uint256 seed, uint256 hoard) public {
        hoard = bound(hoard, UNIT, 1_000_000 * UNIT);
        for (uint256 i; i < 8; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            deep.setDark(seed & 1 == 0);
            if (seed >> 1 & 3 == 0) _enter(hoard);
            if (seed >> 1 & 3 == 1) _leave(vault.balanceOf(MALLORY) / 2);
            if (seed >> 1 & 3 == 2) _enterInner(hoard);
            if (seed >> 1 & 3 == 3) _leaveInner(seed >> 8 & 1 == 0);
            if (seed >> 3 & 1 == 0) _leaveBounded();
            if (seed >> 4 & 1 == 0) _nextBlock();
            inner.endTransaction();
        }
        deep.setDark(false);
        _leave();
        _leaveInner(false);
        // Shares that were left in kind are worth what they pay.
        assertLe(_profit(), UNITS * 8);
        assertGe(vault.valuation().nav * vault.balanceOf(ALICE) / vault.totalSupply(), 1000 * UNIT - UNITS * 8);
    }

    function test_hiccup_nobodyTrips(uint256 wait, bool leaving) public {
        deep.setDark(true);
        _wait(bound(wait, 0, 1 days));
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.ValuationFailed.selector, address(inner)));
        vault.trip();
        if (leaving) {
            assertEq(vault.balanceOf(MALLORY), 0);
            vm.prank(ALICE);
            vault.redeem(1e6, ALICE, ALICE, 0);
        }
        vault.redeem(0, MALLORY, MALLORY);
        vault.deposit(0, MALLORY);
        deep.setDark(false);
        assertFalse(vault.halted());
        assertFalse(inner.halted());
        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
        assertGe(_redeemAll(ALICE), 1000 * UNIT - UNITS);
    }

    /* GAS-STARVED CALLERS */

    /// @dev Whatever gas a view is called with: it says what it says with all gas, or reverts.
    function test_starved_views(uint256 gas_) public view {
        gas_ = bound(gas_, 100_000, MOST_GAS);
        _sameOrNothing(gas_, abi.encodeCall(vault.totalAssets, ()));
        _sameOrNothing(gas_, abi.encodeCall(vault.convertToAssets, (1e18)));
        _sameOrNothing(gas_, abi.encodeCall(vault.convertToShares, (1e18)));
        _sameOrNothing(gas_, abi.encodeCall(vault.previewRedeem, (1e18)));
        _sameOrNothing(gas_, abi.encodeCall(vault.previewDeposit, (1e18)));
        _sameOrNothing(gas_, abi.encodeCall(vault.maxWithdraw, (ALICE)));
        _sameOrNothing(gas_, abi.encodeCall(vault.maxRedeem, (ALICE)));
        _sameOrNothing(gas_, abi.encodeCall(vault.maxDeposit, (ALICE)));
        _sameOrNothing(gas_, abi.encodeCall(vault.sharePrice, ()));
        _sameOrNothing(gas_, abi.encodeCall(vault.valued, ()));
        _sameOrNothing(gas_, abi.encodeCall(vault.highWaterMark, ()));
    }

    function test_starved_exits(uint256 gas_, bool bounded) public {
        gas_ = bound(gas_, 100_000, MOST_GAS);
        uint256 shares = vault.balanceOf(ALICE) * 9 / 10;
        uint256 fair = vault.previewRedeem(shares);
        vm.prank(ALICE);
        bytes memory call = bounded
            ? abi.encodeWithSignature("redeem(uint256,address,address,uint256)", shares, ALICE, ALICE, 0)
            : abi.encodeWithSignature("redeem(uint256,address,address)", shares, ALICE, ALICE);
        (bool ok,) = address(vault).call{gas: gas_}(call);
        if (ok) assertEq(asset.balanceOf(ALICE), fair);
        assertFalse(vault.halted());
    }

    function test_starved_deposit(uint256 gas_) public {
        gas_ = bound(gas_, 100_000, MOST_GAS);
        uint256 fair = vault.previewDeposit(UNIT);
        _fund(MALLORY, UNIT);
        vm.prank(MALLORY);
        (bool ok,) = address(vault).call{gas: gas_}(abi.encodeWithSignature("deposit(uint256,address)", UNIT, MALLORY));
        if (ok) assertEq(vault.balanceOf(MALLORY), fair);
    }

    /// @dev In kind, with too little gas: all parts, or a revert. Never a part that was passed over.
    function test_starved_inKind(uint256 gas_) public {
        gas_ = bound(gas_, 50_000, MOST_GAS);
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        (bool ok,) =
            address(vault).call{gas: gas_}(abi.encodeCall(vault.redeemInKind, (shares, ALICE, ALICE, new uint256[](0))));
        if (ok) assertGt(a.balanceOf(ALICE) * b.balanceOf(ALICE) * inner.balanceOf(ALICE), 0);
    }

    function test_starved_tripAndUnwind(uint256 gas_) public {
        gas_ = bound(gas_, 50_000, MOST_GAS);
        (bool ok,) = address(vault).call{gas: gas_}(abi.encodeCall(vault.trip, ()));
        assertFalse(ok);
        vm.prank(GOVERNANCE);
        vault.halt();
        uint256 nav = vault.totalAssets();
        (ok,) = address(vault).call{gas: gas_}(abi.encodeCall(vault.unwind, (address(inner), type(uint256).max)));
        assertApproxEqAbs(vault.totalAssets(), nav, UNITS);
    }

    /* INTERNAL */

    function _sameOrNothing(uint256 gas_, bytes memory call) private view {
        (bool ok, bytes memory answer) = address(vault).staticcall{gas: gas_}(call);
        if (!ok) return;
        (, bytes memory fair) = address(vault).staticcall(call);
        assertEq(answer, fair);
    }

    function _leaveBounded() private {
        uint256 shares = vault.balanceOf(MALLORY) / 3;
        vm.prank(MALLORY);
        try vault.redeem(shares, MALLORY, MALLORY, 0) {} catch {}
    }

    function _enterInner(uint256 assets) private {
        asset.mint(MALLORY, assets);
        vm.startPrank(MALLORY);
        asset.approve(address(inner), assets);
        try inner.deposit(assets, MALLORY) {
            spent += assets;
        } catch {
            asset.burn(MALLORY, assets);
        }
        vm.stopPrank();
    }

    function _leaveInner(bool bounded) private {
        uint256 shares = inner.balanceOf(MALLORY);
        vm.prank(MALLORY);
        if (bounded) {
            try inner.redeem(shares, MALLORY, MALLORY, 0) {} catch {}
        } else {
            try inner.redeem(shares, MALLORY, MALLORY) {} catch {}
        }
    }
}

contract NestingTest6 is NestingTest {
    constructor() BaseTest(6) {}
}

contract NestingTest18 is NestingTest {
    constructor() BaseTest(18) {}
}
