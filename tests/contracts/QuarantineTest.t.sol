// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BoundedCall} from "../../contracts/libraries/BoundedCall.sol";
import {GrowthBound} from "../../contracts/libraries/GrowthBound.sol";
import {BaseTest} from "./BaseTest.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";
import {SlowStrategy} from "./mocks/SlowStrategy.sol";
import {VaultHarness} from "./utils/VaultHarness.sol";

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

    function _repair() private {
        a.setFault(MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.None);
        vm.clearMockedCalls();
    }

    function _error() private view returns (bytes memory) {
        return abi.encodeWithSelector(IVaultTypes.ValuationFailed.selector, address(a));
    }

    /* WHAT IS SHUT */

    function test_quarantine_closesDeposits(uint256 kind) public {
        _break(kind);
        _fund(BOB, UNIT);
        assertFalse(vault.valued());
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxMint(BOB), 0);
        vm.startPrank(BOB);
        vm.expectRevert(_error());
        vault.deposit(UNIT, BOB);
        vm.expectRevert(_error());
        vault.mint(1, BOB);
        vm.expectRevert(_error());
        vault.deposit(UNIT, BOB, 0);
        vm.expectRevert(_error());
        vault.mint(1, BOB, UNIT);
        vault.deposit(0, BOB);
        vault.mint(0, BOB);
        vm.stopPrank();
    }

    /// @dev A price without one strategy is none: every view that would make one reverts, and the limits say 0.
    function test_quarantine_showsNoPrice(uint256 kind) public {
        _break(kind);
        bytes[8] memory calls = [
            abi.encodeCall(vault.totalAssets, ()),
            abi.encodeCall(vault.sharePrice, ()),
            abi.encodeCall(vault.convertToShares, (1)),
            abi.encodeCall(vault.convertToAssets, (1)),
            abi.encodeCall(vault.previewDeposit, (1)),
            abi.encodeCall(vault.previewMint, (1)),
            abi.encodeCall(vault.previewWithdraw, (1)),
            abi.encodeCall(vault.previewRedeem, (1))
        ];
        for (uint256 i; i < calls.length; ++i) {
            (bool ok, bytes memory answer) = address(vault).staticcall(calls[i]);
            assertFalse(ok);
            assertEq(answer, _error());
        }
        assertEq(vault.maxWithdraw(ALICE), 0);
        assertEq(vault.maxRedeem(ALICE), 0);
    }

    /// @dev What remains to be read: who is broken, what the rest is worth, and the marks as they were.
    function test_quarantine_isTold(uint256 kind) public {
        _break(kind);
        IVaultTypes.Valuation memory v = vault.valuation();
        assertEq(v.broken, address(a));
        assertEq(v.nav, 500 * UNIT, "without the broken one");
        assertEq(v.bid, 500 * UNIT);
        assertEq(v.ask, 500 * UNIT);
        assertEq(v.highWaterMark, WAD);
        assertEq(v.drawdownFloor, 0.9e18);
        assertEq(vault.highWaterMark(), WAD);
        assertEq(vault.drawdownFloor(), 0.9e18);
    }

    /// @dev The most that counts as an answer; one more does not (`_break`). An answer is not believed for all that.
    function test_quarantine_notAtTheLargestValue() public {
        uint256 most = type(uint128).max;
        vm.mockCall(address(a), abi.encodeCall(a.previewRedeem, (500 * UNIT)), abi.encode(most));
        assertTrue(vault.valued());
        assertEq(vault.valuation().nav, most + 500 * UNIT);
        assertEq(vault.totalAssets(), 1000 * UNIT);
        assertEq(vault.maxDeposit(BOB), 0);
    }

    /// @dev One that says what leaving pays, but not what it is worth, keeps nobody in: only the ask is unknown. It is asked for
    /// that where it was worth more than leaving paid when it was last deposited into.
    function test_quarantine_ofTheAskAlone() public {
        a.setFault(MockStrategy.Part.ConvertToAssets, MockStrategy.Fault.Revert);
        _fund(BOB, 2 * UNIT);
        vm.prank(BOB);
        vault.deposit(UNIT, BOB);
        vault.endTransaction();
        _rebalance(0.55e18, HOLD, HOLD);
        assertTrue(vault.valued());
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxMint(BOB), 0);
        vm.expectRevert(_error());
        vault.previewDeposit(UNIT);
        vm.expectRevert(_error());
        vault.previewMint(1);
        vm.expectRevert(_error());
        vm.prank(BOB);
        vault.deposit(UNIT, BOB);

        assertEq(vault.totalAssets(), 1001 * UNIT);
        IVaultTypes.Valuation memory v = vault.valuation();
        assertEq(v.broken, address(a));
        assertEq(v.nav, 1001 * UNIT);
        assertEq(v.bid, 1001 * UNIT);
        assertEq(v.ask, 1001 * UNIT);
        assertEq(v.sharePrice, vault.sharePrice());
        _rebalance(0.4e18, HOLD, HOLD);
        assertEq(vault.maxWithdraw(ALICE), 1000 * UNIT);
        assertEq(vault.maxRedeem(ALICE), vault.balanceOf(ALICE));
        uint256 half = vault.balanceOf(ALICE) / 2;
        vm.prank(ALICE);
        assertEq(vault.redeem(half, ALICE, ALICE, 500 * UNIT), 500 * UNIT);
        assertEq(_redeemAll(ALICE), 500 * UNIT);
    }

    /// @dev Nor does it keep a loss from being recorded, by a touch or by whoever changes the fee.
    function test_quarantine_ofTheAskAloneRecordsLosses() public {
        a.setFault(MockStrategy.Part.ConvertToAssets, MockStrategy.Fault.Revert);
        _rebalance(0.55e18, HOLD, HOLD);
        b.lose(10 * UNIT);
        _touch();
        b.gain(10 * UNIT);
        assertEq(vault.totalAssets(), 990 * UNIT, "a gain is not believed at once");
        b.lose(20 * UNIT);
        _setLimit(IVaultTypes.Limit.PerformanceFee, 0.1e18);
        b.gain(20 * UNIT);
        assertEq(vault.totalAssets(), 980 * UNIT);
    }

    function test_quarantine_stopsRebalancesAndTrip(uint256 kind) public {
        _break(kind);
        _refused(HOLD, HOLD, HOLD, _error());
        vm.expectRevert(_error());
        vault.trip();

        vm.startPrank(GOVERNANCE);
        vault.halt();
        vm.expectRevert(_error());
        vault.resume();
    }

    /// @dev One that goes dark in the middle of a rebalance takes the rebalance with it.
    function test_quarantine_duringARebalance() public {
        a.setCallback(
            address(b), abi.encodeCall(b.setFault, (MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.Revert))
        );
        _refused(0.4e18, HOLD, HOLD, abi.encodeWithSelector(IVaultTypes.ValuationFailed.selector, address(b)));
    }

    /// @dev No terms of the fee at a price that is not known; no tightening that waits for a strategy's answer.
    function test_quarantine_andGovernance(uint256 kind) public {
        _break(kind);
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(_error());
        vault.loosen(IVaultTypes.Limit.PerformanceFee, 0.1e18);
        vm.expectRevert(_error());
        vault.loosen(IVaultTypes.Limit.MaxGrowthRate, 1);
        vm.expectRevert(_error());
        vault.setFeeRecipient(BOB);
        vm.expectRevert(_error());
        vault.restate(1);
        vault.tighten(IVaultTypes.Limit.MaxDrawdown, 0.05e18);
        vault.tightenCaps(address(a), 0, 0);
    }

    /* THE WAYS OUT */

    /// @dev Nobody leaves at half a price unasked: the exits without a bound wait, but for nothing.
    function test_quarantine_stopsExitsWithoutABound(uint256 kind, uint256 amount) public {
        _break(kind);
        amount = bound(amount, 1, 100 * UNIT);
        vm.startPrank(ALICE);
        vm.expectRevert(_error());
        vault.withdraw(amount, ALICE, ALICE);
        vm.expectRevert(_error());
        vault.redeem(amount, ALICE, ALICE);
        assertEq(vault.withdraw(0, ALICE, ALICE), 0);
        assertEq(vault.redeem(0, ALICE, ALICE), 0);
    }

    /// @dev Whoever sets a bound is paid at the price of the rest, forgoes the broken strategy, and halts nothing.
    function test_quarantine_keepsBoundedExitsOpen(uint256 kind, uint256 shares) public {
        _break(kind);
        uint256 owned = vault.balanceOf(ALICE);
        shares = bound(shares, 1, owned / 2);
        uint256 expected = shares * (500 * UNIT + 1) / (owned + 1e6);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, expected, expected + 1));
        vault.redeem(shares, ALICE, ALICE, expected + 1);
        assertEq(vault.redeem(shares, ALICE, ALICE, expected), expected);

        uint256 rest = vault.valuation().bid;
        (uint256 supply, uint256 assets) = (vault.totalSupply(), rest / 3);
        uint256 cost = (assets * (supply + 1e6) + rest) / (rest + 1);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, cost, cost - 1));
        vault.withdraw(assets, ALICE, ALICE, cost - 1);
        assertEq(vault.withdraw(assets, ALICE, ALICE, cost), cost);
        assertEq(asset.balanceOf(ALICE), expected + assets);
        assertFalse(vault.halted());
    }

    function test_quarantine_letsEverybodyOut(uint256 kind) public {
        _break(kind);
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        assertApproxEqAbs(vault.redeem(shares, ALICE, ALICE, 0), 500 * UNIT, 1);
        assertEq(vault.totalSupply(), 0);
        assertFalse(vault.halted());
    }

    /* HOW IT ENDS */

    function test_quarantine_endsByItself(uint256 kind) public {
        _break(kind % 3);
        _repair();
        assertTrue(vault.valued());
        assertEq(vault.sharePrice(), WAD);
        _deposit(BOB, UNIT);
        _rebalance(HOLD, HOLD, 0.15e18);
    }

    /// @dev With gains that the bid does not believe yet, and a fee on those that it does.
    function _gainAtAFee() private {
        vm.startPrank(GOVERNANCE);
        vault.setFeeRecipient(BOB);
        vault.loosen(IVaultTypes.Limit.PerformanceFee, 0.1e18);
        vm.stopPrank();
        a.gain(100 * UNIT);
        b.gain(50 * UNIT);
        vm.warp(block.timestamp + 30 days);
        vault.redeem(0, ALICE, ALICE); // records
    }

    /// @dev Afterwards all is as if there had been none, to the unit: the bid, the mark, the fee that is due, and what is
    /// recorded then. Nobody can use a quarantine to have a gain believed early, or late.
    function test_quarantine_leavesNoTrace(uint256 kind, uint256 time, uint256 later) public {
        (time, later) = (bound(time, 1, 365 days), bound(later, 1, 365 days));
        _gainAtAFee();
        uint256 snapshot = vm.snapshotState();
        vm.warp(block.timestamp + time + later);
        bytes memory expected = abi.encode(vault.valuation(), _recorded(), vault.feeMark());
        vm.revertToState(snapshot);

        bytes memory recorded = _recorded();
        _break(kind % 3);
        vm.warp(block.timestamp + time);
        vault.redeem(0, ALICE, ALICE);
        vault.deposit(0, ALICE);
        assertEq(_recorded(), recorded, "nothing is recorded");
        vm.warp(block.timestamp + later);
        _repair();
        IVaultTypes.Valuation memory v = vault.valuation();
        assertGt(v.highWaterMark, WAD);
        assertEq(abi.encode(v, _recorded(), vault.feeMark()), expected);
    }

    /// @dev The same with somebody who leaves meanwhile. What they take is gone, and nothing else: the bid starts from what it
    /// was, grows as it would have, and takes no step up to the whole when the strategy comes back.
    function test_quarantine_leavesNoTraceOfWhoLeft(uint256 kind, uint256 shares, uint256 time) public {
        time = bound(time, 0, 30 days);
        _gainAtAFee();
        uint256 bid = vault.totalAssets();
        assertLt(bid, vault.valuation().nav - 100 * UNIT, "the bound binds");
        uint256 snapshot = vm.snapshotState();
        vm.warp(block.timestamp + time);
        uint256 later = vault.totalAssets();
        vm.revertToState(snapshot);

        bytes memory marks = abi.encode(_mark(), vault.feeMark(), vault.balanceOf(BOB));
        _break(kind % 3);
        shares = bound(shares, 1e6, vault.balanceOf(ALICE) / 4);
        vm.prank(ALICE);
        uint256 paid = vault.redeem(shares, ALICE, ALICE, 0);
        _repair();
        assertEq(vault.totalAssets(), bid - paid);
        assertEq(abi.encode(_mark(), vault.feeMark(), vault.balanceOf(BOB)), marks);
        vm.warp(block.timestamp + time);
        assertEq(vault.totalAssets(), later - paid);
    }

    /// @dev As before, where it is the bound of the whole that binds: what was paid is taken off what is recorded.
    function test_quarantine_leavesNoTraceOfWhoLeft_inTheWhole(uint256 kind, uint256 shares, uint256 time) public {
        asset.mint(address(vault), 500 * UNIT);
        assertEq(vault.totalAssets(), 1000 * UNIT);
        _break(kind % 3);
        shares = bound(shares, 1e6, vault.balanceOf(ALICE) / 2);
        vm.prank(ALICE);
        uint256 paid = vault.redeem(shares, ALICE, ALICE, 0);
        _repair();
        assertEq(vault.totalAssets(), 1000 * UNIT - paid);
        time = bound(time, 0, 365 days);
        vm.warp(block.timestamp + time);
        assertEq(vault.totalAssets(), GrowthBound.grown(1000 * UNIT - paid, vault.limits().maxGrowthRate, time));
    }

    /// @dev A gift while one strategy is out is believed up to what was recorded of the whole, which whoever leaves forgoes a part
    /// of. When the strategy comes back, no more is believed than before.
    function test_quarantine_giftMeanwhile(uint256 kind, uint256 gift, uint256 shares) public {
        _break(kind % 3);
        gift = bound(gift, 1, 2000 * UNIT);
        asset.mint(address(vault), gift);
        IVaultTypes.Valuation memory v = vault.valuation();
        assertEq(v.nav, 500 * UNIT + gift);
        assertEq(v.bid, gift < 500 * UNIT ? v.nav : 1000 * UNIT);
        shares = bound(shares, 1, vault.balanceOf(ALICE));
        vm.prank(ALICE);
        uint256 paid = vault.redeem(shares, ALICE, ALICE, 0);
        assertLe(paid, shares * (1000 * UNIT + 1) / (1000 * UNIT * 1e6 + 1e6), "no more than without");
        _repair();
        if (vault.totalSupply() != 0) assertLe(vault.totalAssets(), 1000 * UNIT - paid);
    }

    function _mark() private view returns (uint256 mark) {
        (mark,) = vault.recordedMark();
    }

    function _recorded() private view returns (bytes memory) {
        (uint256 mark, uint256 recordedAt) = vault.recordedMark();
        return abi.encode(mark, recordedAt, vault.totalSupply());
    }

    function test_writeOff(uint256 kind) public {
        _break(kind);
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.StrategyNotEmpty.selector, address(a), 500 * UNIT));
        vault.removeStrategy(address(a));
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.UnknownStrategy.selector, ALICE));
        vault.writeOff(ALICE);
        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategyWrittenOff(address(a), 500 * UNIT);
        vault.writeOff(address(a));
        assertTrue(vault.valued());
        assertEq(_shares(a), 0);
        assertEq(vault.strategies()[0].recorded, 0);
        vault.removeStrategy(address(a));
        vm.stopPrank();

        // It is a loss like any other then: past the limit, and open to trip.
        vault.trip();
        assertEq(vault.strategies().length, 2);
        _redeemAll(ALICE);
        assertApproxEqAbs(asset.balanceOf(ALICE), 500 * UNIT, 3);
    }

    /* A BULKHEAD INSIDE A BULKHEAD */

    /// @dev An inner vault in quarantine has no price, so the outer one has none either: nobody enters cheaply, nobody trips,
    /// whoever leaves forgoes it or takes its shares, and afterwards nobody has lost by the others.
    function test_quarantine_ofAVaultInsideAVault(uint256 kind, uint256 shares) public {
        VaultHarness inner = _nest();
        uint256 price = vault.sharePrice();
        uint256 worth = vault.convertToAssets(vault.balanceOf(ALICE));
        _break(kind % 3);
        assertFalse(inner.valued());
        bytes memory error = abi.encodeWithSelector(IVaultTypes.ValuationFailed.selector, address(inner));
        assertEq(vault.valuation().broken, address(inner));
        vm.expectRevert(error);
        vault.trip();
        vm.expectRevert(error);
        vault.totalAssets();
        assertEq(vault.maxDeposit(MALLORY), 0);
        _fund(MALLORY, UNIT);
        vm.startPrank(MALLORY);
        vm.expectRevert(error);
        vault.deposit(UNIT, MALLORY);
        vm.startPrank(ALICE);
        vm.expectRevert(error);
        vault.redeem(1, ALICE, ALICE);

        shares = bound(shares, 1e6, vault.balanceOf(ALICE) / 4);
        uint256 paid = vault.redeem(shares, ALICE, ALICE, 0);
        (uint256 assets, uint256[] memory parts) = vault.redeemInKind(shares, ALICE, ALICE, new uint256[](0));
        vm.stopPrank();
        assertFalse(vault.halted());

        _repair();
        assertTrue(vault.valued());
        assertGe(vault.sharePrice(), price, "nobody who stayed has paid for it");
        paid += assets + b.previewRedeem(parts[0]) + c.previewRedeem(parts[1]) + inner.previewRedeem(parts[2]);
        assertLe(paid + vault.convertToAssets(vault.balanceOf(ALICE)), worth, "nobody who left has gained");
        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
    }

    /// @dev Moves the funds of `a` to a vault of its own, whose one strategy `a` then is. BOB owns half of the outer vault.
    function _nest() private returns (VaultHarness inner) {
        _rebalance(0, HOLD, HOLD);
        inner = _newVault(IERC20(address(asset)));
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(a));
        vault.addStrategy(address(inner), 0.5e18, type(uint128).max);
        inner.addStrategy(address(a), 0.9e18, type(uint128).max);
        vm.stopPrank();
        _deposit(BOB, 1000 * UNIT);
        uint256[] memory weights = new uint256[](3);
        (weights[0], weights[1], weights[2]) = (HOLD, HOLD, 0.5e18);
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
        inner.endTransaction();
        weights = new uint256[](1);
        weights[0] = 0.9e18;
        request = _request(weights);
        request.epoch = 0;
        vm.prank(KEEPER);
        inner.rebalance(request);
    }

    /* TOO LITTLE GAS */

    function _slow() private returns (SlowStrategy slow) {
        slow = new SlowStrategy(asset);
        _add(address(slow), 0.5e18, type(uint128).max);
        uint256[] memory weights = new uint256[](4);
        (weights[0], weights[1], weights[2], weights[3]) = (0.2e18, HOLD, HOLD, 0.3e18);
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
        slow.setCost(600_000);
    }

    /// @dev A reader that gives too little gas to hear a strategy out is told nothing, rather than half a price.
    function test_starvation_showsNoHalfPrice() public {
        _slow();
        uint256 shares = vault.balanceOf(ALICE);
        uint256 answered;
        for (uint256 gas_ = 100_000; gas_ <= 3_000_000; gas_ += 25_000) {
            try vault.convertToAssets{gas: gas_}(shares) returns (uint256 assets) {
                assertEq(assets, 1000 * UNIT);
                ++answered;
            } catch {}
            try vault.valuation{gas: gas_}() returns (IVaultTypes.Valuation memory v) {
                assertEq(v.broken, address(0));
                assertEq(v.bid, 1000 * UNIT);
            } catch {}
            try vault.valued{gas: gas_}() returns (bool valued) {
                assertTrue(valued);
            } catch {}
        }
        assertGt(answered, 50);
        vm.expectPartialRevert(BoundedCall.NotEnoughGas.selector);
        vault.convertToAssets{gas: 400_000}(shares);
    }

    /// @dev Nobody leaves at half a price, and nothing of it is recorded, however little gas they send.
    function test_starvation_getsNobodyOutOfOrder() public {
        _slow();
        uint256 shares = vault.balanceOf(ALICE) / 2;
        uint256 snapshot = vm.snapshotState();
        uint256 left;
        for (uint256 gas_ = 100_000; gas_ <= 4_500_000; gas_ += 75_000) {
            vm.prank(ALICE);
            try vault.redeem{gas: gas_}(shares, ALICE, ALICE) returns (uint256 assets) {
                assertEq(assets, 500 * UNIT);
                ++left;
            } catch {}
            assertEq(vault.sharePrice(), WAD);
            assertFalse(vault.halted());
            vm.revertToState(snapshot);
            vm.prank(ALICE);
            try vault.redeem{gas: gas_}(shares, ALICE, ALICE, 0) returns (uint256 assets) {
                assertEq(assets, 500 * UNIT);
            } catch {}
            vm.revertToState(snapshot);
        }
        assertGt(left, 20);
        vm.expectPartialRevert(BoundedCall.NotEnoughGas.selector);
        vm.prank(ALICE);
        vault.redeem{gas: 500_000}(shares, ALICE, ALICE);
    }
}

contract QuarantineTest6 is QuarantineTest {
    constructor() BaseTest(6) {}
}

contract QuarantineTest18 is QuarantineTest {
    constructor() BaseTest(18) {}
}
