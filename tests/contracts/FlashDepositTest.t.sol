// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";

/// @notice A deposit and a rebalance in one transaction. Here a test is one transaction until `endTransaction`.
contract FlashDepositTest is BaseTest {
    using Math for uint256;

    constructor() BaseTest(6) {}

    function _limits() internal view override returns (IVaultTypes.Limits memory limits) {
        limits = super._limits();
        (limits.lossCapacity, limits.lossRefill) = (0.01e18, 0);
        (limits.turnoverCapacity, limits.turnoverRefill) = (0.7e18, 0);
    }

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
    }

    function _flashDeposit(uint256 assets) private {
        _fund(MALLORY, assets);
        vm.startPrank(MALLORY);
        // The first counts, not the last.
        vault.deposit(assets - assets / 3, MALLORY);
        vault.mint(vault.previewDeposit(assets / 3), MALLORY);
        vm.stopPrank();
    }

    function test_flashDeposit_widensNoCap(uint256 assets) public {
        assets = bound(assets, 1000 * UNIT, MOST);
        _flashDeposit(assets);
        uint256 nav = vault.totalAssets();
        uint256 weight = 601 * UNIT * WAD / nav;
        bytes memory error = abi.encodeWithSelector(
            IVaultTypes.RelativeCapExceeded.selector, address(a), nav * weight / WAD, 600 * UNIT
        );
        vm.assume(nav * weight / WAD > 600 * UNIT);
        _refused(weight, 0, 0, error);

        _rebalance(600 * UNIT * WAD / nav, 0, 0);
        assertLe(_value(a), 600 * UNIT);
    }

    /// @dev Taken out again in the same transaction, it must not take the floor with it.
    function test_flashDeposit_widensNoFloor(uint256 assets) public {
        assets = bound(assets, 1000 * UNIT, MOST);
        _rebalance(0.3e18, 0.3e18, 0);
        _setLimit(IVaultTypes.Limit.TurnoverCapacity, 10e18);
        _flashDeposit(assets);
        uint256 nav = vault.totalAssets();
        IVaultTypes.Rebalance memory request = _request(HOLD, HOLD, (400 * UNIT * WAD) / nav);
        vm.expectPartialRevert(IVaultTypes.IdleFloorBreached.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);

        _rebalance(HOLD, HOLD, 380 * UNIT * WAD / nav);
        _redeemAll(MALLORY);
        assertGe(vault.idle() + 2, 20 * UNIT);
        assertApproxEqAbs(vault.totalAssets(), 1000 * UNIT, 3);
    }

    /// @dev Where nothing else is idle, nothing may be put anywhere.
    function test_flashDeposit_paysForNothing(uint256 assets, uint256 weight) public {
        assets = bound(assets, UNIT, MOST);
        _setLimit(IVaultTypes.Limit.IdleFloor, 0);
        _rebalance(0.4e18, 0.3e18, 0);
        vault.endTransaction();
        vm.prank(ALICE);
        vault.withdraw(300 * UNIT, ALICE, ALICE);
        assertEq(vault.idle(), 0);
        _setLimit(IVaultTypes.Limit.TurnoverCapacity, 10e18);
        _flashDeposit(assets);
        uint256 least = (64 * WAD).mulDiv(1, vault.totalAssets(), Math.Rounding.Ceil);
        weight = bound(weight, least, Math.min(WAD, (280 * UNIT).mulDiv(WAD, vault.totalAssets())));
        IVaultTypes.Rebalance memory request = _request(HOLD, HOLD, weight);
        vm.expectPartialRevert(IVaultTypes.IdleFloorBreached.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
        _rebalance(0, HOLD, 280 * UNIT * WAD / vault.totalAssets()); // of what comes out of another strategy
    }

    function test_flashDeposit_widensNoTurnover(uint256 assets) public {
        assets = bound(assets, 1000 * UNIT, MOST);
        _flashDeposit(assets);
        uint256 nav = vault.totalAssets();
        IVaultTypes.Rebalance memory request = _request(400 * UNIT * WAD / nav, 301 * UNIT * WAD / nav, 0);
        vm.expectPartialRevert(IVaultTypes.TurnoverBudgetExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    function test_flashDeposit_widensNoLossBudget(uint256 assets, uint256 slippage) public {
        assets = bound(assets, 1000 * UNIT, MOST);
        slippage = bound(slippage, 10 * UNIT + 1, 100 * UNIT);
        a.setSlippage(slippage);
        _flashDeposit(assets);
        uint256 nav = vault.totalAssets();
        IVaultTypes.Rebalance memory request = _request(500 * UNIT * WAD / nav, 0, 0);
        vm.expectPartialRevert(IVaultTypes.LossBudgetExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);

        a.setSlippage(10 * UNIT);
        _rebalance(500 * UNIT * WAD / nav, 0, 0);
        assertEq(vault.totalAssets(), nav - 10 * UNIT);
    }

    /// @dev With the transaction over, the deposit is as good as any other.
    function test_flashDeposit_endsWithTheTransaction() public {
        _flashDeposit(9000 * UNIT);
        IVaultTypes.Rebalance memory request = _request(0.6e18, 0, 0);
        vm.expectPartialRevert(IVaultTypes.RelativeCapExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
        vault.endTransaction();
        _rebalance(0.6e18, 0, 0);
        assertEq(_value(a), 6000 * UNIT);
    }

    /// @dev For a withdrawal followed by a deposit, the NAV between the two counts.
    function test_flashDeposit_afterAWithdrawal() public {
        _deposit(MALLORY, 9000 * UNIT);
        _redeemAll(MALLORY);
        _flashDeposit(9000 * UNIT);
        IVaultTypes.Rebalance memory request = _request(0.1e18, 0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IVaultTypes.RelativeCapExceeded.selector, address(a), 1000 * UNIT, 600 * UNIT)
        );
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev To the base unit.
    function test_flashDeposit_isMeasuredByWhatWasThere() public {
        _deposit(ALICE, 4);
        _flashDeposit(9000 * UNIT);
        IVaultTypes.Rebalance memory request = _request(0.1e18, 0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IVaultTypes.RelativeCapExceeded.selector, address(a), 1000 * UNIT, 600 * UNIT + 2)
        );
        vm.prank(KEEPER);
        vault.rebalance(request);
    }
}
