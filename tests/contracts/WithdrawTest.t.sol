// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {BaseTest} from "./BaseTest.sol";
import {FeeStrategy} from "./mocks/FeeStrategy.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";

abstract contract WithdrawTest is BaseTest {
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
        vm.expectRevert(abi.encodeWithSelector(IVault.NotEnoughLiquidity.selector, 700 * UNIT + 1, 700 * UNIT));
        vm.prank(ALICE);
        vault.withdraw(700 * UNIT + 1, ALICE, ALICE);

        vm.expectEmit(address(vault));
        emit IVault.StrategySkipped(address(a));
        vm.prank(ALICE);
        vault.withdraw(500 * UNIT, ALICE, ALICE);
        assertEq(asset.balanceOf(ALICE), 500 * UNIT);
        assertEq(_value(a), 300 * UNIT);
    }

    function test_withdraw_passesOverAStrategyThatCannotSayWhatItPays() public {
        _rebalance(0.3e18, 0.3e18, 0.3e18);
        a.setFault(MockStrategy.Part.MaxWithdraw, MockStrategy.Fault.Revert);
        assertEq(vault.maxWithdraw(ALICE), 700 * UNIT);

        vm.prank(ALICE);
        vault.withdraw(700 * UNIT, ALICE, ALICE);
        assertEq(asset.balanceOf(ALICE), 700 * UNIT);
        assertEq(_value(a), 300 * UNIT);
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

        vm.expectRevert(abi.encodeWithSelector(IVault.NotEnoughLiquidity.selector, most + 1, most));
        vm.prank(ALICE);
        vault.withdraw(most + 1, ALICE, ALICE);
        vm.prank(ALICE);
        vault.withdraw(most, ALICE, ALICE);
        assertEq(asset.balanceOf(ALICE), most);
    }

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
        IVault.Rebalance memory request = _request(weights);
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
