// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";

abstract contract SharePriceTest is BaseTest {
    function test_sharePrice_startsAtOne() public {
        assertEq(vault.sharePrice(), 1e18);
        assertEq(vault.highWaterMark(), 1e18);
        assertEq(vault.drawdownFloor(), 0.9e18);
        _deposit(ALICE, 1);
        assertEq(vault.sharePrice(), 1e18);
        _deposit(ALICE, 123 * UNIT);
        assertEq(vault.sharePrice(), 1e18);
    }

    /// @dev Price and NAV move together: +x % of NAV is +x % of the price, once the bid believes it.
    function test_sharePrice_followsNav(uint256 gain) public {
        gain = bound(gain, 0, 10e18);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.6e18, 0, 0);
        a.gain(1000 * UNIT * gain / WAD);
        uint256 error = 1e10 + WAD / (200 * UNIT); // gains come in whole units
        assertApproxEqRel(vault.valuation().navPrice, WAD + gain, error);
        assertEq(vault.sharePrice(), WAD, "not at once");
        _catchUp();
        assertApproxEqRel(vault.sharePrice(), WAD + gain, error);
    }

    function test_sharePrice_neverFallsByDepositsAndWithdrawals(uint256 gain, uint256 assets, uint256 part) public {
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.6e18, 0.2e18, 0);
        a.gain(bound(gain, 0, 1000 * UNIT));
        b.gain(bound(gain, 0, 77 * UNIT));
        _catchUp();
        // A unit for each strategy that is drawn from, times what a share of it is worth.
        uint256 rounding = a.convertToAssets(1) + b.convertToAssets(1) + 2;

        uint256 nav = vault.totalAssets();
        uint256 supply = vault.totalSupply();
        _deposit(BOB, bound(assets, 1, MOST));
        _assertPriceKept(nav, supply, 0);

        (nav, supply) = (vault.totalAssets(), vault.totalSupply());
        uint256 shares = bound(part, 0, vault.balanceOf(ALICE));
        vm.prank(ALICE);
        vault.redeem(shares, ALICE, ALICE);
        _assertPriceKept(nav, supply, rounding);

        (nav, supply) = (vault.totalAssets(), vault.totalSupply());
        assets = bound(part, 0, vault.maxWithdraw(BOB));
        vm.prank(BOB);
        vault.withdraw(assets, BOB, BOB);
        _assertPriceKept(nav, supply, rounding);
    }

    /// @dev No faster than its rate, and by no more than the gift.
    function test_sharePrice_donationsRaiseIt(uint256 donation, uint256 wait) public {
        donation = bound(donation, 1, MOST);
        wait = bound(wait, 0, 2 * 365 days);
        _deposit(ALICE, 1000 * UNIT);
        uint256 supply = vault.totalSupply();
        asset.mint(address(vault), donation);
        assertEq(vault.totalAssets(), 1000 * UNIT, "not at once");
        assertEq(_nav(), 1000 * UNIT + donation);
        vm.warp(block.timestamp + wait);
        uint256 most = 1000 * UNIT + 1000 * UNIT * wait * MAX_GROWTH_RATE / (WAD * 365 days);
        assertEq(vault.totalAssets(), most < _nav() ? most : _nav());
        _assertPriceKept(1000 * UNIT, supply, 0);
    }

    /* HIGH-WATER MARK */

    /// @dev Whatever the price does, the mark grows no faster than its rate.
    function test_mark_isBounded(uint256 donation, uint256 wait, uint256 again) public {
        donation = bound(donation, 1, MOST);
        wait = bound(wait, 0, 365 days);
        again = bound(again, 0, 365 days);
        _deposit(ALICE, 1000 * UNIT);
        asset.mint(address(vault), donation);
        assertEq(vault.highWaterMark(), 1e18, "not at once");

        vm.warp(block.timestamp + wait);
        uint256 most = WAD + WAD * MAX_GROWTH_RATE / WAD * wait / 365 days;
        uint256 mark = vault.highWaterMark();
        assertEq(mark, vault.sharePrice());
        assertLe(mark, most + 2);
        _touch();
        assertEq(vault.highWaterMark(), mark, "the record is what the view said");

        vm.warp(block.timestamp + again);
        most = mark + mark * MAX_GROWTH_RATE / WAD * again / 365 days;
        assertLe(vault.highWaterMark(), most + 2);
    }

    function test_mark_neverFalls(uint256 gain, uint256 loss) public {
        _deposit(ALICE, 1001 * UNIT);
        _rebalance(0.6e18, 0, 0);
        a.gain(bound(gain, 0, 300 * UNIT));
        vm.warp(block.timestamp + 400 days);
        _touch();
        uint256 mark = vault.highWaterMark();
        assertEq(mark, vault.sharePrice());
        a.lose(bound(loss, 0, 600 * UNIT));
        vm.prank(ALICE);
        vault.redeem(1, ALICE, ALICE);
        // Rounding, in favour of those who stay, may lift the price a little.
        uint256 price = vault.sharePrice();
        assertEq(vault.highWaterMark(), price > mark ? price : mark);
    }

    /// @dev What the bid does not believe, the mark does not either.
    function test_mark_followsTheBidAndNotNav(uint256 gain, uint256 wait) public {
        gain = bound(gain, 1, MOST);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.6e18, 0, 0);
        a.gain(gain);
        _touch();
        assertEq(vault.highWaterMark(), WAD);
        vm.warp(block.timestamp + bound(wait, 0, 365 days));
        uint256 mark = vault.highWaterMark();
        assertEq(mark, vault.sharePrice());
        _touch();
        a.lose(gain);
        _touch();
        assertEq(vault.highWaterMark(), mark, "and keeps it");
    }

    /// @dev Every deposit and withdrawal records the mark, so that it is there when the price comes back.
    function test_mark_isRecordedByEveryAction(uint256 which) public {
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0);
        _fund(ALICE, 10 * UNIT);
        a.gain(50 * UNIT);
        vm.warp(block.timestamp + 365 days);
        uint256 mark = vault.highWaterMark();
        assertApproxEqRel(mark, 1.05e18, DECIMALS == 0 ? 0.01e18 : 1e12);

        which %= 5;
        if (which == 4) _rebalance(0.5e18, HOLD, 0);
        vm.startPrank(ALICE);
        if (which == 0) vault.deposit(UNIT, ALICE);
        if (which == 1) vault.mint(UNIT, ALICE);
        if (which == 2) vault.withdraw(UNIT, ALICE, ALICE);
        if (which == 3) vault.redeem(UNIT, ALICE, ALICE);
        vm.stopPrank();
        a.lose(40 * UNIT);
        assertEq(vault.highWaterMark(), mark);
    }

    /// @dev Without a record in between, time alone lifts nothing once the price is back.
    function test_mark_followsThePriceNotTheClock() public {
        _deposit(ALICE, 1000 * UNIT);
        vm.warp(block.timestamp + 3650 days);
        assertEq(vault.highWaterMark(), 1e18);
    }

    /// @dev Dust: fewer than a thousand base units, and fewer shares than a thousand base units buy.
    function test_mark_ofDust() public {
        _deposit(ALICE, 10);
        asset.mint(address(vault), 989);
        assertGt(vault.sharePrice(), WAD);
        assertEq(vault.highWaterMark(), vault.sharePrice(), "dust has no past");
        asset.mint(address(vault), 1);
        assertEq(vault.highWaterMark(), WAD);
    }

    function test_mark_ofNoMoreThanDust() public {
        _deposit(ALICE, 1000);
        asset.burn(address(vault), 1);
        assertLt(vault.sharePrice(), WAD);
        assertEq(vault.highWaterMark(), WAD);
    }

    /// @dev When the last holder has left, what rounding left behind is nobody's price: the vault opens anew.
    function test_mark_isThePriceInAnEmptyVault(uint256 gain, uint256 wait) public {
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.6e18, 0.2e18, 0.1e18);
        // Only the strategy that is drawn from last gains: there a unit of the vault's is less than a share.
        c.gain(bound(gain, 0, 500 * UNIT));
        vm.warp(block.timestamp + bound(wait, 0, 4 * 365 days));
        _catchUp();
        _redeemAll(ALICE);
        assertEq(vault.totalSupply(), 0);

        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
        assertGt(vault.maxDeposit(BOB), MOST);
        _deposit(BOB, 100 * UNIT);
        assertApproxEqRel(_redeemAll(BOB), 100 * UNIT, 1e13);
    }

    /// @dev Nor is rounding a crash to whoever left a few base units behind, to halt the vault for everybody after them.
    function test_mark_isThePriceInAVaultOfDust(uint256 gain, uint256 dust) public {
        if (DECIMALS == 0) return; // a whole asset is a base unit: nothing is dust
        _deposit(ALICE, 1000 * UNIT);
        _deposit(MALLORY, bound(dust, 1, 100));
        _rebalance(0.6e18, 0.2e18, 0.1e18);
        c.gain(bound(gain, 0, 500 * UNIT));
        _catchUp();
        _redeemAll(ALICE);

        vm.expectPartialRevert(IVaultTypes.DrawdownWithinLimit.selector);
        vault.trip();
        assertGt(vault.maxDeposit(BOB), MOST);
    }

    /// @dev A gift to an empty vault makes shares dear; few of them are then worth much, and protected like any.
    function test_mark_protectsFewShares(uint256 gift) public {
        if (DECIMALS == 0) return; // a loss of this size is within rounding
        gift = bound(gift, UNIT, 100_000 * UNIT);
        asset.mint(address(vault), gift);
        _deposit(ALICE, 1000 * UNIT);
        assertApproxEqRel(vault.highWaterMark(), vault.sharePrice(), 1e14, "but for rounding");
        _rebalance(0.6e18, 0, 0);
        _loseShareOfNav(0.11e18);
        vault.trip();
    }

    /// @dev A crash that leaves next to nothing trips all the same.
    function test_mark_protectsAgainstACrash() public {
        _setCaps(a, 1e18, type(uint128).max);
        vm.prank(GOVERNANCE);
        vault.loosen(IVaultTypes.Limit.IdleFloor, 0);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(1e18, 0, 0);
        a.lose(1000 * UNIT);
        assertEq(vault.totalAssets(), 0);
        assertEq(vault.maxDeposit(BOB), 0);
        vault.trip();
    }

    /// @dev A new growth rate counts from now on, not for the time before.
    function test_mark_newRateDoesNotReachBack(uint64 rate, uint256 wait) public {
        rate = uint64(bound(rate, 0, 10e6)) * 1e12; // it is kept in millionths
        wait = bound(wait, 0, 365 days);
        _deposit(ALICE, 1000 * UNIT);
        asset.mint(address(vault), 100_000 * UNIT);
        vm.warp(block.timestamp + wait);
        uint256 bid = vault.totalAssets();
        _setLimit(IVaultTypes.Limit.MaxGrowthRate, rate);
        assertEq(vault.totalAssets(), bid);
        vm.warp(block.timestamp + 1 days);
        assertEq(vault.totalAssets(), bid + bid * rate * 1 days / (WAD * 365 days));
        assertEq(vault.highWaterMark(), vault.sharePrice());
    }

    /// @dev In a vault of dust the bid is NAV. A gift that lifts it out of that makes the bid what was recorded: of the gifts
    /// before, under a thousand base units are then not believed.
    function test_outOfDust_earlierGiftsAreNotBelieved(uint256 first, uint256 second) public {
        (first, second) = (bound(first, 0, 997), bound(second, 1000, 1000 * UNIT + 1000));
        uint256 shares = _deposit(ALICE, 1000 * UNIT);
        vm.prank(ALICE);
        vault.redeemInKind(shares - 2, ALICE, ALICE, new uint256[](0));
        vault.endTransaction();
        uint256 recorded = vault.totalAssets();
        asset.mint(address(vault), first);
        assertEq(vault.totalAssets(), recorded + first, "in dust");
        asset.mint(address(vault), second);
        assertEq(vault.totalAssets(), recorded, "out of it");
        assertLt(first, 1000);
    }
}

contract SharePriceTest0 is SharePriceTest {
    constructor() BaseTest(0) {}
}

contract SharePriceTest6 is SharePriceTest {
    constructor() BaseTest(6) {}
}

contract SharePriceTest8 is SharePriceTest {
    constructor() BaseTest(8) {}
}

contract SharePriceTest18 is SharePriceTest {
    constructor() BaseTest(18) {}
}

contract SharePriceTest24 is SharePriceTest {
    constructor() BaseTest(24) {}
}
