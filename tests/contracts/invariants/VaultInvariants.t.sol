// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {BaseTest} from "../BaseTest.sol";
import {MockStrategy} from "../mocks/MockStrategy.sol";
import {HostileKeeper} from "./HostileKeeper.sol";

/// @notice What no sequence of actions may break, with the keeper's key in the wrong hands.
abstract contract VaultInvariants is BaseTest {
    HostileKeeper internal handler;

    function setUp() public override {
        super.setUp();
        MockStrategy[] memory strategies = new MockStrategy[](3);
        (strategies[0], strategies[1], strategies[2]) = (a, b, c);
        _setCaps(c, 0.4e18, uint128(300_000 * UNIT));
        _deposit(ALICE, 1000 * UNIT);
        address[] memory depositors = new address[](4);
        (depositors[0], depositors[1], depositors[2], depositors[3]) = (KEEPER, ALICE, BOB, MALLORY);
        handler = new HostileKeeper(vault, strategies, depositors, 1_000_000 * UNIT);

        bytes4[] memory actions = new bytes4[](16);
        actions[0] = HostileKeeper.rebalance.selector;
        actions[1] = HostileKeeper.rebalance.selector;
        actions[2] = HostileKeeper.rebalanceToTheWalls.selector;
        actions[3] = HostileKeeper.deposit.selector;
        actions[4] = HostileKeeper.mint.selector;
        actions[5] = HostileKeeper.withdraw.selector;
        actions[6] = HostileKeeper.redeem.selector;
        actions[7] = HostileKeeper.donateAssets.selector;
        actions[8] = HostileKeeper.donateStrategyShares.selector;
        actions[9] = HostileKeeper.gain.selector;
        actions[10] = HostileKeeper.lose.selector;
        actions[11] = HostileKeeper.setLiquidity.selector;
        actions[12] = HostileKeeper.setSlippage.selector;
        actions[13] = HostileKeeper.wait.selector;
        actions[14] = HostileKeeper.trip.selector;
        actions[15] = HostileKeeper.unwind.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), actions));
    }

    /// @dev One campaign for all of it; the two parts say what is promised.
    function invariant_theWallsHold() public view {
        _assertEveryActionKeptItsPromises();
        _assertTheBooksAreRight();
    }

    /// @dev Caps and idle floor after each rebalance; share price not lowered by deposits, withdrawals, donations and
    /// lossless rebalances; high-water mark within its bound; halted stays halted; one epoch for each rebalance; previews
    /// and max functions true: the handler checks them at every action, and this finds what it noticed.
    function _assertEveryActionKeptItsPromises() private view {
        assertEq(handler.broken(), "");
    }

    /// @dev Claims are covered; NAV is idle and what the booked shares are worth; the books are backed by real shares;
    /// nothing is left approved; and of what governance set, nothing has changed.
    function _assertTheBooksAreRight() private view {
        uint256 nav = asset.balanceOf(address(vault));
        IVault.Strategy[] memory all = vault.strategies();
        for (uint256 i; i < all.length; ++i) {
            nav += all[i].target.previewRedeem(all[i].shares);
            assertLe(all[i].shares, all[i].target.balanceOf(address(vault)), "books not backed");
            assertEq(asset.allowance(address(vault), address(all[i].target)), 0, "approval left");
        }
        assertEq(vault.totalAssets(), nav);
        assertLe(handler.claims(), nav, "claims not covered");

        assertEq(vault.keeper(), KEEPER);
        assertEq(vault.policyHash(), POLICY);
        assertEq(vault.limits().idleFloor, IDLE_FLOOR);
        assertEq(vault.limits().maxDrawdown, MAX_DRAWDOWN);
        assertEq(vault.limits().markGrowthRate, MARK_GROWTH_RATE);
        assertEq(all[0].relativeCap, 0.6e18);
    }

    function afterInvariant() public {
        handler.everybodyLeaves();
        assertEq(handler.broken(), "");
    }
}

contract VaultInvariants6 is VaultInvariants {
    constructor() BaseTest(6) {}
}

contract VaultInvariants18 is VaultInvariants {
    constructor() BaseTest(18) {}
}
