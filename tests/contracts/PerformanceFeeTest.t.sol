// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";
import {VaultHarness} from "./utils/VaultHarness.sol";

abstract contract PerformanceFeeTest is BaseTest {
    uint256 internal constant FEE = 0.2e18;
    address internal immutable FEES = makeAddr("fees");

    /// @dev So fast that the bid believes any gain within a month.
    function _limits() internal view override returns (IVaultTypes.Limits memory limits) {
        limits = super._limits();
        limits.maxGrowthRate = 1000e18;
    }

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.6e18, 0.2e18, 0);
    }

    function _charge() private {
        vm.startPrank(GOVERNANCE);
        vault.loosen(IVaultTypes.Limit.PerformanceFee, FEE);
        vault.setFeeRecipient(FEES);
        vm.stopPrank();
    }

    function _believe() private {
        vm.warp(block.timestamp + 30 days);
    }

    function _gain(uint256 assets) private {
        a.gain(assets);
        _believe();
    }

    function test_fee_isOff(uint256 gain) public {
        vm.prank(GOVERNANCE);
        vault.setFeeRecipient(FEES);
        _gain(bound(gain, 0, 1000 * UNIT));
        _touch();
        assertEq(vault.balanceOf(FEES), 0);
    }

    /// @dev A fee with nobody to pay is none: nothing is minted, and nobody is kept in.
    function test_fee_withoutARecipient_isNone(uint256 rate, uint256 gain) public {
        _setLimit(IVaultTypes.Limit.PerformanceFee, bound(rate, 1, 3000) * 1e14);
        _gain(bound(gain, UNIT, 1000 * UNIT));
        uint256 supply = vault.totalSupply();
        _touch();
        assertEq(vault.totalSupply(), supply);
        _redeemAll(ALICE);
    }

    function test_fee_withoutARecipient_evenAtTheLeastRate() public {
        test_fee_withoutARecipient_isNone(1, 1000 * UNIT);
    }

    function test_fee_tellsWhatItCharged() public {
        _charge();
        _gain(100 * UNIT);
        uint256 snapshot = vm.snapshotState();
        _touch();
        (uint256 shares, uint256 price) = (vault.balanceOf(FEES), vault.sharePrice());
        assertGt(shares, 0);
        vm.revertToState(snapshot);
        vm.expectEmit(address(vault));
        emit IVaultTypes.FeeCharged(FEES, shares, price);
        _touch();
    }

    function test_fee_onGainsOnly(uint256 gain) public {
        gain = bound(gain, UNIT, 1000 * UNIT);
        _charge();
        _touch();
        assertEq(vault.balanceOf(FEES), 0, "nothing gained");
        _gain(gain);
        uint256 price = vault.sharePrice();
        _touch();
        assertEq(vault.sharePrice(), price, "the view took off what was due");
        assertApproxEqAbs(vault.convertToAssets(vault.balanceOf(FEES)), gain / 5, 3 + gain / 1e6);
        uint256 charged = vault.balanceOf(FEES);
        _touch();
        assertEq(vault.balanceOf(FEES), charged, "once");
    }

    /// @dev A valuation that is wrong for one transaction, whoever records it, and however often.
    function test_fee_notOnAGlitch(uint256 glitch, uint256 wait) public {
        glitch = bound(glitch, 1, 1500 * UNIT);
        _charge();
        vm.warp(block.timestamp + bound(wait, 0, 365 days));
        _touch();
        a.gain(glitch);
        for (uint256 i; i < 3; ++i) {
            _touch();
        }
        a.lose(glitch);
        _touch();
        assertEq(vault.balanceOf(FEES), 0);
        assertEq(vault.feeMark(), WAD);
        assertApproxEqAbs(_redeemAll(ALICE), 1000 * UNIT, 3);
    }

    /// @dev What was lost before the first fee is made good first: the mark begins at the price of the first deposit.
    function test_fee_notOnWhatWasLostBeforeIt(uint256 loss) public {
        loss = bound(loss, UNIT, 50 * UNIT);
        a.lose(loss);
        _touch();
        _charge();
        _gain(loss);
        _touch();
        assertEq(vault.totalAssets(), 1000 * UNIT);
        assertEq(vault.balanceOf(FEES), 0);
    }

    /// @dev A newcomer pays the ask, which lifts the bid per share: their own money is no gain.
    function test_fee_notOnWhatANewcomerPays(uint256 gain, uint256 assets) public {
        gain = bound(gain, UNIT, 29 * UNIT);
        assets = bound(assets, UNIT, 1_000_000 * UNIT);
        _charge();
        a.gain(gain);
        _deposit(BOB, assets);
        assertGt(vault.sharePrice(), WAD);
        _touch();
        assertEq(vault.balanceOf(FEES), 0);
    }

    function test_fee_notOnWhatANewcomerPays_evenAtTheLeastRate() public {
        _charge();
        _setLimit(IVaultTypes.Limit.PerformanceFee, 1e14);
        a.gain(29 * UNIT);
        _deposit(BOB, 1000 * UNIT);
        assertGt(vault.sharePrice(), WAD);
        assertEq(vault.feeMark(), vault.sharePrice());
    }

    /// @dev Who leaves in kind leaves the fee behind, also while only the ask of a strategy is unknown.
    function test_fee_dueInKind_whileAnAskIsUnknown() public {
        b.setFault(MockStrategy.Part.ConvertToAssets, MockStrategy.Fault.Revert);
        _rebalance(HOLD, 0.25e18, HOLD);
        _charge();
        _gain(100 * UNIT);
        assertNotEq(vault.valuation().broken, address(0));
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        vault.redeemInKind(shares, ALICE, ALICE, new uint256[](0));
        assertGt(vault.balanceOf(FEES), 0);
    }

    /// @dev Down and up again is no gain.
    function test_fee_notOnARecovery(uint256 loss) public {
        loss = bound(loss, 1, 99 * UNIT);
        _charge();
        _gain(100 * UNIT);
        _touch();
        uint256 charged = vault.balanceOf(FEES);
        a.lose(loss);
        _touch();
        _gain(loss);
        _touch();
        assertApproxEqAbs(vault.balanceOf(FEES), charged, 1e6);
    }

    /// @dev With a fee due, everybody gets what the preview said, and the max functions are true.
    function test_fee_previewsHold(uint256 gain, uint256 amount) public {
        _charge();
        _gain(bound(gain, 0, 1000 * UNIT));
        amount = bound(amount, 1, 500 * UNIT);
        uint256 snapshot = vm.snapshotState();

        uint256 expected = vault.previewDeposit(amount);
        assertEq(_deposit(BOB, amount), expected);
        vm.revertToState(snapshot);

        expected = vault.previewMint(amount * 1e6);
        _fund(BOB, expected);
        vm.prank(BOB);
        assertEq(vault.mint(amount * 1e6, BOB), expected);
        vm.revertToState(snapshot);

        expected = vault.previewWithdraw(amount);
        vm.prank(ALICE);
        assertEq(vault.withdraw(amount, ALICE, ALICE), expected);
        vm.revertToState(snapshot);

        expected = vault.previewRedeem(amount * 1e6);
        vm.prank(ALICE);
        assertEq(vault.redeem(amount * 1e6, ALICE, ALICE), expected);
        vm.revertToState(snapshot);

        uint256 most = vault.maxWithdraw(ALICE);
        vm.prank(ALICE);
        vault.withdraw(most, ALICE, ALICE);
        vm.revertToState(snapshot);

        vm.startPrank(ALICE);
        vault.redeem(vault.maxRedeem(ALICE), ALICE, ALICE);
        assertLe(vault.balanceOf(ALICE), 0);
    }

    /// @dev Leaving in kind does not get around it.
    function test_fee_isChargedInKindToo() public {
        _charge();
        _gain(100 * UNIT);
        vm.prank(ALICE);
        vault.redeemInKind(1e6, ALICE, ALICE, new uint256[](0));
        assertApproxEqRel(vault.convertToAssets(vault.balanceOf(FEES)), 20 * UNIT, 1e13);
    }

    /// @dev New terms never reach back: not a fee set late, not a recipient set late.
    function test_fee_newTermsDoNotReachBack(uint256 gain, bool recipientFirst) public {
        gain = bound(gain, UNIT, 1000 * UNIT);
        if (recipientFirst) {
            vm.prank(GOVERNANCE);
            vault.setFeeRecipient(FEES);
        } else {
            _setLimit(IVaultTypes.Limit.PerformanceFee, FEE);
        }
        _gain(gain);
        _charge();
        _touch();
        assertEq(vault.balanceOf(FEES), 0);
    }

    function test_fee_whatIsDueIsDueToTheOldRecipientAtTheOldRate() public {
        _charge();
        _gain(100 * UNIT);
        vm.startPrank(GOVERNANCE);
        vault.tighten(IVaultTypes.Limit.PerformanceFee, 0.1e18);
        uint256 charged = vault.balanceOf(FEES);
        assertApproxEqRel(vault.convertToAssets(charged), 20 * UNIT, 1e13);
        vault.setFeeRecipient(BOB);
        vm.stopPrank();
        _gain(100 * UNIT);
        _touch();
        assertEq(vault.balanceOf(FEES), charged);
        assertApproxEqRel(vault.convertToAssets(vault.balanceOf(BOB)), 10 * UNIT, 1e13);
    }

    /// @dev A fee that the constructor set is charged on gains like any other, never on deposits.
    function test_fee_setByTheConstructor(uint256 assets) public {
        assets = bound(assets, 1, MOST);
        IVaultTypes.Limits memory limits = _limits();
        limits.performanceFee = 0.3e18;
        vault = new VaultHarness(IERC20(address(asset)), "", "", address(authority), KEEPER, limits);
        assertEq(vault.limits().performanceFee, 0.3e18);
        vm.prank(GOVERNANCE);
        vault.setFeeRecipient(FEES);
        _deposit(BOB, assets);
        vm.prank(BOB);
        vault.redeem(0, BOB, BOB);
        assertEq(vault.balanceOf(FEES), 0);
        assertApproxEqAbs(_redeemAll(BOB), assets, 1);
    }

    /// @dev Somebody lifts the price of an (almost) empty vault: the next depositor pays no fee on it.
    function test_fee_notOnWhatAnEmptyVaultWasGiven(uint256 donation, uint256 dust) public {
        _charge();
        _redeemAll(ALICE);
        dust = bound(dust, 0, 1e6);
        if (dust > 0) {
            _fund(MALLORY, UNIT);
            vm.prank(MALLORY);
            vault.mint(dust, MALLORY);
        }
        asset.mint(address(vault), bound(donation, 1, 1000 * UNIT));
        if (vault.maxDeposit(BOB) == 0) {
            vm.prank(GOVERNANCE);
            vault.restate(type(uint256).max);
        }
        uint256 assets = 1_000_000 * UNIT;
        uint256 shares = _deposit(BOB, assets);
        uint256 worth = vault.convertToAssets(shares);
        _touch();
        assertEq(vault.convertToAssets(shares), worth);
        assertApproxEqRel(worth, assets, 0.001e18);
    }

    /// @dev A recipient that leaves with all it has earns the fee that is due at that moment, and leaves with it next.
    function test_fee_recipientLeavesInTwoSteps(uint256 gain) public {
        _charge();
        asset.mint(address(vault), 100 * UNIT);
        _believe();
        _redeemAll(ALICE);
        asset.mint(address(vault), bound(gain, UNIT, 1000 * UNIT));
        _believe();
        _redeemAll(FEES);
        assertGt(vault.balanceOf(FEES), 0, "the fee on its own gain");
        assertEq(vault.totalSupply(), vault.balanceOf(FEES), "somebody else has shares");
        _redeemAll(FEES);
        assertEq(vault.totalSupply(), 0, "shares are left");
    }

    /// @dev The fee never takes the price below the mark at which it was last charged.
    function test_fee_priceStaysAboveItsMark(uint256[8] memory gains) public {
        _charge();
        uint256 price = WAD;
        for (uint256 i; i < 8; ++i) {
            _gain(bound(gains[i], 0, 100 * UNIT));
            _touch();
            assertGe(vault.sharePrice(), price);
            assertLe(vault.feeMark(), vault.sharePrice());
            price = vault.sharePrice();
        }
    }
}

contract PerformanceFeeTest6 is PerformanceFeeTest {
    constructor() BaseTest(6) {}
}

contract PerformanceFeeTest18 is PerformanceFeeTest {
    constructor() BaseTest(18) {}
}
