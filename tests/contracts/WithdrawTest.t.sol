// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BoundedCall} from "../../contracts/libraries/BoundedCall.sol";
import {BaseTest} from "./BaseTest.sol";
import {FeeStrategy} from "./mocks/FeeStrategy.sol";
import {LossyStrategy} from "./mocks/LossyStrategy.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";
import {SlowStrategy} from "./mocks/SlowStrategy.sol";

abstract contract WithdrawTest is BaseTest {
    /// @dev What a transaction may use (EIP-7825).
    uint256 internal constant TRANSACTION_GAS = 16_777_216;

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
    }

    function test_withdraw_fromIdle() public {
        uint256 owned = vault.convertToAssets(vault.balanceOf(ALICE));
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxWithdraw.selector, ALICE, owned + 1, owned));
        vm.prank(ALICE);
        vault.withdraw(owned + 1, ALICE, ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, MALLORY, 0, 10 * UNIT * 1e6)
        );
        vm.prank(MALLORY);
        vault.withdraw(10 * UNIT, MALLORY, ALICE);

        vm.expectEmit(address(vault));
        emit IERC4626.Withdraw(ALICE, BOB, ALICE, 10 * UNIT, 10 * UNIT * 1e6);
        vm.prank(ALICE);
        assertEq(vault.withdraw(10 * UNIT, BOB, ALICE), 10 * UNIT * 1e6);
        assertEq(asset.balanceOf(BOB), 10 * UNIT);
        assertEq(vault.totalAssets(), 990 * UNIT);
    }

    /// @dev What the error says can be withdrawn is what can be, to the last unit.
    function test_withdraw_errorSaysWhatIsOwned() public {
        _deposit(BOB, 500 * UNIT);
        _rebalance(0.5e18, 0, 0);
        a.lose(7 * UNIT + 1);
        uint256 most = vault.maxWithdraw(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxWithdraw.selector, ALICE, 1000 * UNIT, most));
        vm.prank(ALICE);
        vault.withdraw(1000 * UNIT, ALICE, ALICE);
    }

    /// @dev What is idle is enough: no strategy is asked to pay nothing.
    function test_withdraw_exactlyWhatIsIdle() public {
        _rebalance(0.6e18, 0, 0);
        vm.expectCall(address(a), abi.encodeWithSelector(a.withdraw.selector), 0);
        vm.prank(ALICE);
        vault.withdraw(400 * UNIT, ALICE, ALICE);
        assertEq(asset.balanceOf(address(vault)), 0);
    }

    /// @dev After a loss the last holder's shares are worth all that there is to pay, to the unit, and may all go.
    function test_maxRedeem_worthAllThatIsLiquid() public {
        _rebalance(0.6e18, 0, 0);
        a.lose(100 * UNIT);
        assertEq(vault.maxWithdraw(ALICE), 900 * UNIT);
        assertEq(vault.maxRedeem(ALICE), vault.balanceOf(ALICE));
        assertEq(_redeemAll(ALICE), 900 * UNIT);
    }

    /// @dev With part of it stuck: as many shares as what is liquid pays for, and no fraction more.
    function test_maxRedeem_roundsDown() public {
        _rebalance(0.6e18, 0, 0);
        a.lose(100 * UNIT);
        a.setLiquidity(UNIT);
        uint256 liquid = 401 * UNIT - 1; // the strategy rounds what it can pay down
        uint256 supply = vault.totalSupply() + 1e6;
        assertEq(vault.maxRedeem(ALICE), liquid * supply / (900 * UNIT + 1));
    }

    function test_redeem(uint256 shares) public {
        uint256 owned = vault.balanceOf(ALICE);
        shares = bound(shares, 1, owned);
        _rebalance(0.6e18, 0.3e18, 0);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, ALICE, owned + 1, owned));
        vm.prank(ALICE);
        vault.redeem(owned + 1, ALICE, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, MALLORY, 0, shares));
        vm.prank(MALLORY);
        vault.redeem(shares, MALLORY, ALICE);

        uint256 expected = vault.previewRedeem(shares);
        vm.prank(ALICE);
        assertEq(vault.redeem(shares, ALICE, ALICE), expected);
        assertEq(asset.balanceOf(ALICE), expected);
        assertEq(vault.balanceOf(ALICE), owned - shares);
    }

    function test_redeem_byAnAllowedSpender() public {
        vm.prank(ALICE);
        vault.approve(BOB, 100);
        vm.startPrank(BOB);
        vault.redeem(60, BOB, ALICE);
        assertEq(vault.allowance(ALICE, BOB), 40);
        vm.stopPrank();
    }

    /// @dev Idle first, then the strategies in the vault's order, each only for what is still missing.
    function test_withdraw_throughStrategiesInOrder(uint256 assets) public {
        _rebalance(0.3e18, 0.3e18, 0.3e18);
        assets = bound(assets, 1, 1000 * UNIT);
        vm.prank(ALICE);
        vault.withdraw(assets, ALICE, ALICE);

        assertEq(asset.balanceOf(ALICE), assets);
        uint256 left = assets;
        left -= _assertDrained(100 * UNIT, left, vault.idle());
        left -= _assertDrained(300 * UNIT, left, _value(a));
        left -= _assertDrained(300 * UNIT, left, _value(b));
        _assertDrained(300 * UNIT, left, _value(c));
    }

    function _assertDrained(uint256 had, uint256 needed, uint256 has) private pure returns (uint256 gave) {
        gave = needed < had ? needed : had;
        assertApproxEqAbs(has, had - gave, 1);
    }

    function test_withdraw_passesOverAStrategyThatReverts() public {
        _rebalance(0.3e18, 0.3e18, 0.3e18);
        a.setFault(MockStrategy.Part.Withdraw, MockStrategy.Fault.Revert);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotEnoughLiquidity.selector, 700 * UNIT + 1, 700 * UNIT));
        vm.prank(ALICE);
        vault.withdraw(700 * UNIT + 1, ALICE, ALICE);

        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategySkipped(address(a));
        vm.prank(ALICE);
        vault.withdraw(500 * UNIT, ALICE, ALICE);
        assertEq(asset.balanceOf(ALICE), 500 * UNIT);
        assertEq(_value(a), 300 * UNIT);
    }

    /// @dev What one pays is not taken where what stays in it has no valuation afterwards.
    function test_withdraw_passesOverAStrategyThatGoesDarkWhileItPays() public {
        _rebalance(0.3e18, 0.3e18, 0.3e18);
        bytes memory dark = abi.encodeCall(a.setFault, (MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.Revert));
        a.setCallback(address(a), dark);
        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategySkipped(address(a));
        vm.prank(ALICE);
        vault.withdraw(300 * UNIT, ALICE, ALICE);
        assertTrue(vault.valued());
        assertEq(_value(a), 300 * UNIT);
        assertEq(_value(b), 100 * UNIT);
    }

    /// @dev One that says nothing about what it can pay does not count towards the maximum, and is tried all the same.
    function test_withdraw_triesAStrategyThatDoesNotSayWhatItPays(uint256 kind, uint256 assets) public {
        _rebalance(0.3e18, 0.3e18, 0.3e18);
        bytes memory call = abi.encodeCall(a.maxWithdraw, (address(vault)));
        if (kind % 3 == 0) vm.mockCallRevert(address(a), call, "");
        if (kind % 3 == 1) vm.mockCall(address(a), call, "");
        if (kind % 3 == 2) vm.mockCall(address(a), call, abi.encode(0));
        assertEq(vault.maxWithdraw(ALICE), 700 * UNIT);
        assertEq(vault.maxRedeem(ALICE), vault.convertToShares(700 * UNIT));

        assets = bound(assets, 100 * UNIT, 1000 * UNIT);
        vm.prank(ALICE);
        vault.withdraw(assets, ALICE, ALICE);
        assertEq(asset.balanceOf(ALICE), assets);
        assertApproxEqAbs(_value(a), 300 * UNIT - (assets < 400 * UNIT ? assets - 100 * UNIT : 300 * UNIT), 1);
    }

    function test_withdraw_takesWhatIlliquidStrategiesHave(uint256 liquidA, uint256 liquidB) public {
        _rebalance(0.3e18, 0.3e18, 0.3e18);
        liquidA = bound(liquidA, 0, 300 * UNIT);
        liquidB = bound(liquidB, 0, 300 * UNIT);
        a.setLiquidity(liquidA);
        b.setLiquidity(liquidB);
        c.setLiquidity(0);
        uint256 most = 100 * UNIT + liquidA + liquidB;
        assertEq(vault.maxWithdraw(ALICE), most);

        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotEnoughLiquidity.selector, most + 1, most));
        vm.prank(ALICE);
        vault.withdraw(most + 1, ALICE, ALICE);
        vm.prank(ALICE);
        vault.withdraw(most, ALICE, ALICE);
        assertEq(asset.balanceOf(ALICE), most);
    }

    /* STRATEGIES THAT COST MORE TO LEAVE THAN THEY SAY */

    /// @dev In front of `c`, `lossy` and `a` hold 300 each; idle is 100. The lossy ones cost `share` (WAD) of what leaves them.
    function _investInLossy(uint256 share) private returns (LossyStrategy lossy) {
        lossy = new LossyStrategy(asset, MALLORY);
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(b));
        vault.removeStrategy(address(c));
        vault.addStrategy(address(lossy), 0.5e18, type(uint128).max);
        vault.addStrategy(address(c), 0.5e18, type(uint128).max);
        vm.stopPrank();
        _rebalance(0.3e18, 0.3e18, 0.3e18);
        lossy.setImpact(share);
        a.setSlippage(300 * UNIT * share / WAD);
    }

    /// @dev The exits without a bound pay what they preview, so such a strategy is no source for them.
    function test_withdraw_passesOverAStrategyThatCostsMoreThanItSays(uint256 share, uint256 assets) public {
        LossyStrategy lossy = _investInLossy(bound(share, 1e14, 0.9e18));
        assets = bound(assets, 101 * UNIT, 400 * UNIT);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotEnoughLiquidity.selector, 400 * UNIT + 1, 400 * UNIT));
        vm.prank(ALICE);
        vault.withdraw(400 * UNIT + 1, ALICE, ALICE);

        (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        uint256 preview = vault.previewWithdraw(assets);
        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategySkipped(address(a));
        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategySkipped(address(lossy));
        vm.prank(ALICE);
        assertEq(vault.withdraw(assets, ALICE, ALICE), preview);
        assertEq(_value(a), 300 * UNIT);
        assertEq(lossy.previewRedeem(lossy.balanceOf(address(vault))), 300 * UNIT);
        assertEq(asset.balanceOf(MALLORY), 0);
        _assertPriceKept(nav, supply, 1);
    }

    function test_redeem_passesOverAStrategyThatCostsMoreThanItSays(uint256 share, uint256 shares) public {
        _investInLossy(bound(share, 1e14, 0.9e18));
        shares = bound(shares, 101 * UNIT * 1e6, 399 * UNIT * 1e6);
        (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        uint256 preview = vault.previewRedeem(shares);
        vm.prank(ALICE);
        assertEq(vault.redeem(shares, ALICE, ALICE), preview);
        assertEq(asset.balanceOf(MALLORY), 0);
        _assertPriceKept(nav, supply, 1);
    }

    /// @dev What rounds is no cost: two units, and one share's worth.
    function test_withdraw_roundingIsNoCost(uint256 lost) public {
        _investInLossy(0);
        lost = bound(lost, 0, 6);
        a.setSlippage(lost);
        uint256 allowed = 3; // a share is worth one unit
        vm.prank(ALICE);
        vault.withdraw(300 * UNIT, ALICE, ALICE);
        assertEq(_value(a) < 300 * UNIT, lost <= allowed);
    }

    /// @dev The bounded withdrawal leaves through it, at the expense of whoever leaves: in shares.
    function test_withdraw_boundedPaysForTheWayOut(uint256 share, uint256 assets) public {
        LossyStrategy lossy = _investInLossy(bound(share, 0, 0.3e18));
        assets = bound(assets, 1, 600 * UNIT);
        (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        uint256 snapshot = vm.snapshotState();
        vm.prank(ALICE);
        uint256 shares = vault.withdraw(assets, ALICE, ALICE, type(uint256).max);
        assertEq(asset.balanceOf(ALICE), assets);
        uint256 cost = nav - assets - vault.totalAssets();
        assertApproxEqAbs(shares, vault.convertToShares(assets + cost), vault.convertToShares(4));
        _assertPriceKept(nav, supply, 4);

        vm.revertToState(snapshot);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, shares, shares - 1));
        vm.prank(ALICE);
        vault.withdraw(assets, ALICE, ALICE, shares - 1);
        assertEq(lossy.previewRedeem(lossy.balanceOf(address(vault))), 300 * UNIT);
    }

    /// @dev The bounded redemption: in assets. Nobody else sees a difference.
    function test_redeem_boundedPaysForTheWayOut(uint256 share, uint256 shares) public {
        _investInLossy(bound(share, 0, 0.3e18));
        shares = bound(shares, 1, vault.balanceOf(ALICE) - 2e6); // a strategy keeps a unit back for its rounding
        (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        uint256 fair = vault.convertToAssets(shares);
        uint256 snapshot = vm.snapshotState();
        vm.prank(ALICE);
        uint256 assets = vault.redeem(shares, ALICE, ALICE, 0);
        assertEq(asset.balanceOf(ALICE), assets);
        assertLe(assets, fair);
        assertApproxEqAbs(nav - vault.totalAssets(), fair, 4, "the way out is in it");
        _assertPriceKept(nav, supply, 4);

        vm.revertToState(snapshot);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, assets, assets + 1));
        vm.prank(ALICE);
        vault.redeem(shares, ALICE, ALICE, assets + 1);
    }

    /// @dev What one strategy costs is taken off what the next may: all of it together is never more than what is left to pay.
    function test_redeem_boundedPassesOverWhatWouldCostAllThatIsLeft() public {
        LossyStrategy[2] memory lossy = [new LossyStrategy(asset, MALLORY), new LossyStrategy(asset, MALLORY)];
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(a));
        vault.removeStrategy(address(b));
        vault.removeStrategy(address(c));
        vault.addStrategy(address(lossy[0]), 1e18, type(uint128).max);
        vault.addStrategy(address(lossy[1]), 1e18, type(uint128).max);
        vault.addStrategy(address(c), 1e18, type(uint128).max);
        vm.stopPrank();
        _setLimit(IVaultTypes.Limit.IdleFloor, 0);
        _rebalance(0.06e18, 0.5e18, 0.44e18);
        // The first pays 30 at a cost of 30; the second would pay 40 at a cost of 93.
        lossy[0].setImpact(0.5e18);
        lossy[1].setImpact(0.7e18);

        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategySkipped(address(lossy[1]));
        uint256 tenth = vault.balanceOf(ALICE) / 10;
        vm.prank(ALICE);
        assertEq(vault.redeem(tenth, ALICE, ALICE, 0), 70 * UNIT);
        assertEq(_value(c), 400 * UNIT);
    }

    /* STRATEGIES THAT BURN GAS */

    /// @dev Four that burn all they are given come first, with 175 each; a live one last, with 200. Idle has 100.
    function _investInBurners() private returns (SlowStrategy[4] memory burners) {
        uint256[] memory weights = new uint256[](5);
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(a));
        vault.removeStrategy(address(b));
        vault.removeStrategy(address(c));
        for (uint256 i; i < 4; ++i) {
            burners[i] = new SlowStrategy(asset);
            vault.addStrategy(address(burners[i]), 0.2e18, type(uint128).max);
            weights[i] = 0.175e18;
        }
        vault.addStrategy(address(c), 0.5e18, type(uint128).max);
        vm.stopPrank();
        weights[4] = 0.2e18;
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    function _setTemper(SlowStrategy[4] memory burners, SlowStrategy.Temper temper) private {
        for (uint256 i; i < 4; ++i) {
            burners[i].setTemper(temper);
        }
    }

    function _chargeAFee() private {
        vm.startPrank(GOVERNANCE);
        vault.setFeeRecipient(BOB);
        vault.loosen(IVaultTypes.Limit.PerformanceFee, 0.1e18);
        vm.stopPrank();
        asset.mint(address(vault), 10 * UNIT);
        vm.warp(block.timestamp + 90 days);
    }

    /// @dev What one transaction may use suffices to get past four of them, whether they refuse or pay as late as they can, and
    /// whether a fee is charged first or not.
    function test_withdraw_pastFourGasBurners() public {
        SlowStrategy[4] memory burners = _investInBurners();
        uint256 snapshot = vm.snapshotState();
        for (uint256 kind; kind < 4; ++kind) {
            (bool pay, bool fee) = (kind % 2 == 1, kind / 2 == 1);
            if (fee) _chargeAFee();
            _setTemper(burners, pay ? SlowStrategy.Temper.PaysLate : SlowStrategy.Temper.Refuses);
            uint256 assets = vault.idle() + (pay ? 850 * UNIT : 150 * UNIT);
            vm.prank(ALICE);
            vault.withdraw{gas: TRANSACTION_GAS}(assets, ALICE, ALICE);
            assertEq(asset.balanceOf(ALICE), assets);
            assertApproxEqAbs(_value(c), 50 * UNIT, 1, "from the last");
            assertEq(vault.balanceOf(BOB) > 0, fee);
            vm.revertToState(snapshot);

            if (fee) _chargeAFee();
            _setTemper(burners, pay ? SlowStrategy.Temper.PaysLate : SlowStrategy.Temper.Refuses);
            uint256 shares = vault.balanceOf(ALICE) * (pay ? 9 : 2) / 10;
            uint256 fair = vault.previewRedeem(shares);
            vm.prank(ALICE);
            assertApproxEqAbs(vault.redeem{gas: TRANSACTION_GAS}(shares, ALICE, ALICE, 0), fair, 8);
            assertLt(_value(c), 200 * UNIT);
            vm.revertToState(snapshot);
        }
    }

    /// @dev With less gas than a strategy may need, nothing is skipped: the withdrawal reverts, or takes what is first.
    function test_withdraw_tooLittleGasSkipsNobody() public {
        SlowStrategy[4] memory slow = _investInBurners();
        slow[0].setCost(600_000);
        uint256 snapshot = vm.snapshotState();
        uint256 passed;
        for (uint256 gas_ = 100_000; gas_ < 5_000_000; gas_ += 150_000) {
            for (uint256 bounded; bounded < 2; ++bounded) {
                vm.prank(ALICE);
                bytes memory call = bounded == 0
                    ? abi.encodeWithSignature("withdraw(uint256,address,address)", 200 * UNIT, ALICE, ALICE)
                    : abi.encodeWithSignature(
                        "withdraw(uint256,address,address,uint256)", 200 * UNIT, ALICE, ALICE, type(uint256).max
                    );
                (bool ok,) = address(vault).call{gas: gas_}(call);
                if (ok) {
                    ++passed;
                    assertApproxEqAbs(slow[0].convertToAssets(slow[0].balanceOf(address(vault))), 75 * UNIT, 1);
                    assertEq(asset.balanceOf(ALICE), 200 * UNIT);
                }
                vm.revertToState(snapshot);
            }
        }
        assertGt(passed, 10);
        vm.expectPartialRevert(BoundedCall.NotEnoughGas.selector);
        vm.prank(ALICE);
        vault.withdraw{gas: 2_000_000}(200 * UNIT, ALICE, ALICE);
    }

    /// @dev The step that a withdrawal makes on itself is nobody else's to make.
    function test_draw_onlyTheVault(address caller) public {
        vm.assume(caller != address(vault));
        _rebalance(0.3e18, 0.3e18, 0.3e18);
        vm.expectRevert(IVaultTypes.OnlySelf.selector);
        vm.prank(caller);
        vault.draw(0, UNIT, 300 * UNIT, 0, false);
    }

    /* WHATEVER HAPPENS */

    function test_withdraw_neverDependsOnKeeperOrKillSwitch() public {
        _rebalance(0.55e18, 0.2e18, 0.1e18);
        vm.prank(GOVERNANCE);
        vault.setKeeper(address(0));
        _loseShareOfNav(0.2e18);
        vault.trip();

        assertApproxEqAbs(_redeemAll(ALICE), 800 * UNIT, 3);
        assertEq(vault.totalSupply(), 0);
    }

    /// @dev Shares of a strategy that somebody sends to the vault are not in its books; they change nothing.
    function test_withdraw_donatedStrategySharesCountForNothing(uint256 donated) public {
        donated = bound(donated, 1, 1000 * UNIT);
        _rebalance(0.6e18, 0.3e18, 0);
        asset.mint(address(this), donated);
        asset.approve(address(a), donated);
        a.deposit(donated, address(vault));

        assertEq(vault.totalAssets(), 1000 * UNIT);
        _redeemAll(ALICE);
        assertEq(asset.balanceOf(ALICE), 1000 * UNIT);
        assertEq(_shares(a), 0);
        assertEq(a.balanceOf(address(vault)), donated);
    }

    /// @dev A strategy with an exit fee: its position is worth what leaving pays, and leaving works to the last unit.
    function test_withdraw_allThroughAStrategyWithAnExitFee(uint256 assets, uint256 donated) public {
        assets = bound(assets, UNIT, MOST);
        donated = bound(donated, 0, 10);
        FeeStrategy fee = new FeeStrategy(asset);
        _add(address(fee), 0.9e18, type(uint128).max);
        asset.mint(address(this), donated);
        asset.approve(address(fee), donated);
        _deposit(BOB, assets);
        uint256[] memory weights = new uint256[](4);
        weights[3] = 0.9e18;
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
        if (donated != 0) fee.deposit(donated, address(vault));

        uint256 nav = vault.totalAssets();
        assertLt(nav, 1000 * UNIT + assets);
        uint256 paid = _redeemAll(ALICE) + _redeemAll(BOB);
        assertGe(paid + 2, nav - nav / 400, "exit fees of the first to leave fall on the rest, no more");
        assertEq(vault.totalSupply(), 0);
    }
}

contract WithdrawTest6 is WithdrawTest {
    constructor() BaseTest(6) {}
}

contract WithdrawTest8 is WithdrawTest {
    constructor() BaseTest(8) {}
}

contract WithdrawTest18 is WithdrawTest {
    constructor() BaseTest(18) {}
}
