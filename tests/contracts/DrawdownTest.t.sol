// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {Token} from "./mocks/Token.sol";

abstract contract DrawdownTest is BaseTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.6e18, 0.2e18, 0.1e18);
    }

    function test_trip(address anyone, uint256 small, uint256 large) public {
        small = bound(small, 0, 0.1e18);
        large = bound(large, 0.1001e18, 0.6e18);
        _loseShareOfNav(small);
        bytes memory within =
            abi.encodeWithSelector(IVaultTypes.DrawdownWithinLimit.selector, vault.sharePrice(), vault.drawdownFloor());
        vm.expectRevert(within);
        vm.prank(anyone);
        vault.trip();
        assertFalse(vault.halted());

        a.gain(1000 * UNIT - vault.totalAssets());
        _loseShareOfNav(large);
        uint256 price = vault.sharePrice();
        vm.expectEmit(address(vault));
        emit IVaultTypes.Tripped(anyone, price, 1e18);
        vm.prank(anyone);
        vault.trip();
        assertTrue(vault.halted());

        vm.expectRevert(IVaultTypes.VaultHalted.selector);
        vault.trip();
    }

    /// @dev The limit to the unit: at the floor it holds, one unit of NAV below it may be tripped.
    function test_trip_atTheFloor() public {
        a.lose(100 * UNIT);
        assertGe(vault.sharePrice(), vault.drawdownFloor());
        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();

        a.lose(2);
        vault.trip();
    }

    /// @dev Exactly at the floor is within the limit, also when there is no room at all.
    function test_trip_exactlyAtTheFloor() public {
        vm.prank(GOVERNANCE);
        vault.tighten(IVaultTypes.Limit.MaxDrawdown, 0);
        assertEq(vault.sharePrice(), vault.drawdownFloor());
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.DrawdownWithinLimit.selector, 1e18, 1e18));
        vault.trip();
        _rebalance(0.5e18, HOLD, HOLD);

        a.lose(1);
        vault.trip();
    }

    /// @dev Halted is for good, whatever the price does afterwards; only governance ends it, with a new mark.
    function test_halt_isSticky() public {
        _loseShareOfNav(0.2e18);
        vault.trip();
        a.gain(500 * UNIT);
        vm.warp(block.timestamp + 1000 days);
        assertTrue(vault.halted());
        assertEq(vault.maxDeposit(ALICE), 0);
        _refused(HOLD, HOLD, HOLD, abi.encodeWithSelector(IVaultTypes.VaultHalted.selector));

        uint256 price = vault.sharePrice();
        vm.expectEmit(address(vault));
        emit IVaultTypes.Resumed(price);
        vm.prank(GOVERNANCE);
        vault.resume();
        assertFalse(vault.halted());
        assertEq(vault.highWaterMark(), price);
        _rebalance(0.1e18, HOLD, HOLD);

        vm.expectRevert(IVaultTypes.NotHalted.selector);
        vm.prank(GOVERNANCE);
        vault.resume();
    }

    function test_resume_startsTheMarkAtTheLowerPrice() public {
        _loseShareOfNav(0.2e18);
        vault.trip();
        vm.prank(GOVERNANCE);
        vault.resume();
        assertEq(vault.highWaterMark(), vault.sharePrice());
        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
    }

    /// @dev Deposits and withdrawals, of any size and in any state, are no gains and no losses.
    function test_trip_notByDepositsOrWithdrawals(uint256 deposited, uint256 redeemed, uint256 loss) public {
        loss = bound(loss, 0, 0.09e18);
        _loseShareOfNav(loss);
        _deposit(BOB, bound(deposited, 1, MOST));
        redeemed = bound(redeemed, 0, vault.balanceOf(ALICE));
        vm.prank(ALICE);
        vault.redeem(redeemed, ALICE, ALICE);
        _redeemAll(BOB);

        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
    }

    function test_rebalance_refusedUnderTheFloor(uint256 loss) public {
        _loseShareOfNav(bound(loss, 0.1001e18, 0.6e18));
        bytes memory error =
            abi.encodeWithSelector(IVaultTypes.DrawdownExceeded.selector, vault.sharePrice(), vault.drawdownFloor());
        _refused(HOLD, HOLD, HOLD, error);
    }

    /// @dev Nor may it lift itself over the floor: below it, only tripping and leaving are left.
    function test_rebalance_refusedUnderTheFloorThoughItGains() public {
        _loseShareOfNav(0.11e18);
        b.setCallback(address(asset), abi.encodeCall(Token.mint, (address(a), 50 * UNIT)));
        bytes memory error =
            abi.encodeWithSelector(IVaultTypes.DrawdownExceeded.selector, vault.sharePrice(), vault.drawdownFloor());
        _refused(0.4e18, 0.3e18, HOLD, error);
    }

    /// @dev A rebalance that itself loses too much is undone.
    function test_rebalance_refusedWhenItLosesTooMuch(uint256 slippage) public {
        slippage = bound(slippage, 101 * UNIT, 200 * UNIT);
        c.setSlippage(slippage);
        IVaultTypes.Rebalance memory request = _request(0.4e18, HOLD, 0.35e18);
        uint256 price = (1000 * UNIT - slippage + 1) * 1e24 / (vault.totalSupply() + 1e6);
        _refused(request, abi.encodeWithSelector(IVaultTypes.DrawdownExceeded.selector, price, 0.9e18));
        assertEq(vault.totalAssets(), 1000 * UNIT);

        c.setSlippage(99 * UNIT);
        _rebalance(0.4e18, HOLD, 0.35e18);
        assertEq(vault.totalAssets(), 901 * UNIT);
    }

    function test_maxDrawdown(uint64 limit, uint256 loss) public {
        limit = uint64(bound(limit, 0, 0.5e18));
        loss = bound(loss, 0.0001e18, 0.6e18);
        _setLimit(IVaultTypes.Limit.MaxDrawdown, limit);
        assertEq(vault.drawdownFloor(), WAD - limit);
        _loseShareOfNav(loss);
        if (vault.sharePrice() >= WAD - limit) vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
        assertEq(vault.halted(), loss > limit + 0.00000001e18 || vault.sharePrice() < WAD - limit);
    }

    /// @dev Somebody lifts a strategy's price for a moment and drops it again: the mark has not followed.
    function test_trip_notByASpike(uint256 spike) public {
        spike = bound(spike, 1, MOST);
        a.gain(spike);
        _touch();
        a.lose(spike);
        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
    }
}

contract DrawdownTest6 is DrawdownTest {
    constructor() BaseTest(6) {}
}

contract DrawdownTest8 is DrawdownTest {
    constructor() BaseTest(8) {}
}

contract DrawdownTest18 is DrawdownTest {
    constructor() BaseTest(18) {}
}
