// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {LyingStrategy} from "./mocks/LyingStrategy.sol";

/// @notice A strategy capped at 1 %, which holds 10 of 1,000, lies; an accomplice who has deposited 10 leaves.
abstract contract LyingStrategyTest is AttackTest {
    uint256 internal constant HOARD = 9_000_000;

    LyingStrategy internal liar;

    function setUp() public override {
        super.setUp();
        liar = new LyingStrategy(asset);
        vm.label(address(liar), "liar");
        _add(address(liar), 0.01e18, type(uint128).max);
        _deposit(ALICE, 990 * UNIT);
        assertTrue(_enter(10 * UNIT));
        _endTransaction();
        _rebalance(_weights(0.3e18, 0.2e18, 0.1e18, 0.01e18));
        assertEq(liar.totalAssets(), 10 * UNIT);
    }

    /// @dev A factor that overstates, up to what 128 bits hold.
    function _over(uint256 lie) private view returns (uint256) {
        return bound(lie, WAD, type(uint128).max / UNIT);
    }

    /* FOR ONE TRANSACTION */

    function test_overstated_leaver(uint256 bid, uint256 ask) public {
        liar.lie(_over(bid), _over(ask));
        _leave();
        liar.lie(WAD, WAD);
        assertLe(_profit(), UNITS);
        assertLe(asset.balanceOf(MALLORY), 10 * UNIT, "989.99 before");
    }

    function test_overstated_withHoard(uint256 bid, uint256 ask, uint256 hoard, bool lieFirst) public {
        if (lieFirst) liar.lie(_over(bid), bound(ask, 0, 1e30));
        _enter(bound(hoard, 1, HOARD * UNIT));
        liar.lie(_over(bid), _over(ask));
        _leave();
        liar.lie(WAD, WAD);
        _leave();
        assertLe(_profit(), UNITS);
    }

    /// @dev So little that deposits stay open.
    function test_overstated_withinTheSpread(uint256 ask, uint256 hoard) public {
        liar.lie(WAD, bound(ask, WAD, 5.9e18));
        assertTrue(_enter(bound(hoard, UNIT, HOARD * UNIT)));
        liar.lie(6e18, WAD);
        _leave();
        assertLe(_profit(), UNITS);
    }

    /// @dev What is bought cheaply is what is in the strategy, and no more of it.
    function test_understated_boughtCheaply(uint256 bid, uint256 ask, uint256 hoard, uint256 wait, bool inKind) public {
        liar.lie(bound(bid, 0, WAD), bound(ask, 0, WAD));
        assertTrue(_enter(bound(hoard, UNIT, HOARD * UNIT)));
        liar.lie(WAD, WAD);
        wait = bound(wait, 0, 2 days);
        if (wait != 0) _wait(wait);
        if (inKind) _leaveInKind();
        else _leave();
        assertLe(_profit(), 10 * UNIT + UNITS);
    }

    function test_understated_noMoreAtOnce(uint256 bid, uint256 hoard) public {
        liar.lie(bound(bid, 0, WAD), 0);
        assertTrue(_enter(bound(hoard, UNIT, HOARD * UNIT)));
        liar.lie(type(uint64).max, WAD);
        _leave();
        assertLe(_profit(), UNITS);
    }

    /// @dev Who leaves during it is paid by the rest, and forgoes no more than the strategy.
    function test_understated_leaverForgoesThatStrategyOnly(uint256 bid) public {
        liar.lie(bound(bid, 0, WAD), 0);
        assertGe(_redeemAll(ALICE), 980.1e18 * UNIT / WAD - UNITS);
    }

    /* FOR WEEKS */

    /// @dev Up, down and dark, with capital that comes and goes, every day of a month, and a lie in each block.
    /// forge-config: default.fuzz.runs = 32
    function test_everyBlockForWeeks(uint256 seed) public {
        uint256 capital;
        uint256 most = 10 * UNIT;
        for (uint256 i; i < 60; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            liar.setDark(seed % 7 == 0);
            liar.lie(seed >> 8 & 3 == 0 ? 0 : _over(seed >> 16), seed >> 10 & 3 == 0 ? WAD : bound(seed, 0, 6e18));
            if (seed >> 12 & 1 == 0) _enter(bound(seed >> 32, 1, 100_000 * UNIT));
            if (seed >> 13 & 1 == 0) _leave(vault.balanceOf(MALLORY) * (seed >> 14 & 3) / 3);
            vm.prank(ALICE);
            vault.redeem(0, ALICE, ALICE);
            liar.setDark(false);
            liar.lie(WAD, WAD);
            if (seed >> 20 & 1 == 0) _leave(vault.balanceOf(MALLORY) / 2);
            uint256 wait = seed >> 21 & 1 == 0 ? SLOT : 12 hours;
            capital = vault.totalAssets();
            most += _growth(capital, wait);
            _wait(wait);
        }
        _leave();
        assertLe(_profit(), most + 60 * UNITS);
    }

    /// @dev One record a block lets the bound grow as compound interest does, and no faster.
    /// forge-config: default.fuzz.runs = 32
    function test_compounding(uint256 records) public {
        records = bound(records, 1, 365);
        liar.lie(type(uint64).max, WAD);
        for (uint256 i; i < records; ++i) {
            _wait(1 days);
            vm.prank(MALLORY);
            vault.redeem(0, MALLORY, MALLORY);
        }
        // The liar's own ceiling is what binds: it is not moved, so its growth is simple.
        assertLe(vault.totalAssets(), 1000 * UNIT + _growth(10 * UNIT, records * 1 days) + UNITS);
        _leave();
        assertLe(_profit(), _growth(10 * UNIT, records * 1 days) + UNITS);
    }

    /* OTHER LIES */

    function test_liesOfMaxWithdraw(uint256 max, uint256 bid, bool bounded) public {
        _stock();
        liar.lieOfMax(max % 3 == 0 ? 0 : bound(max, 0, type(uint128).max));
        liar.lie(_over(bid), WAD);
        _leaveAll(bounded);
    }

    /// @dev Shares that it says it burned: none, or all.
    function test_liesOfBurnedShares(uint256 burned, uint256 bid, bool bounded) public {
        _stock();
        liar.lieOfShares(bound(burned, 0, type(uint128).max), WAD);
        liar.lie(bid % 2 == 0 ? WAD : _over(bid), WAD);
        _leaveAll(bounded);
    }

    /// @dev Shares that it says it minted. More than 128 bits hold refuse the rebalance.
    function test_liesOfMintedShares(uint256 minted, uint256 bid, bool inKind) public {
        _stock();
        _rebalance(_weights(HOLD, HOLD, HOLD, 0));
        liar.lieOfShares(WAD, bound(minted, 0, type(uint64).max));
        if (!_tryRebalance(_weights(HOLD, HOLD, HOLD, 0.005e18))) return;
        liar.lie(bid % 2 == 0 ? WAD : bound(bid, WAD, 1e36), WAD);
        if (inKind) {
            uint256 shares = vault.balanceOf(MALLORY);
            vm.prank(MALLORY);
            vault.redeemInKind(shares, MALLORY, MALLORY, new uint256[](0));
            uint256 part = liar.balanceOf(MALLORY);
            vm.prank(MALLORY);
            liar.redeem(part, MALLORY, MALLORY);
        } else {
            _leaveAll(false);
        }
        assertLe(_profit(), 10 * UNIT + UNITS);
    }

    /// @dev Mallory owns half, so that who leaves takes all idle, and the liar is drawn from.
    function _stock() private {
        assertTrue(_enter(1000 * UNIT));
        _endTransaction();
        _rebalance(_weights(0.2e18, 0.1e18, 0, HOLD));
        _rebalance(_weights(0.3e18, 0.2e18, 0.3e18, HOLD));
    }

    function _leaveAll(bool bounded) private {
        uint256 shares = vault.balanceOf(MALLORY);
        vm.prank(MALLORY);
        if (bounded) vault.redeem(shares, MALLORY, MALLORY, 0);
        else vault.redeem(shares, MALLORY, MALLORY);
        assertLe(_profit(), 10 * UNIT + UNITS);
        liar.lie(WAD, WAD);
        liar.lieOfMax(WAD);
        // The others keep all that was not in the liar's hands.
        assertGe(_redeemAll(ALICE), 990 * UNIT - 10 * UNIT - UNITS);
    }
}

/// @notice A strategy of half of NAV glitches by a fifth.
abstract contract GlitchTest is AttackTest {
    LyingStrategy internal big;

    function setUp() public override {
        super.setUp();
        big = new LyingStrategy(asset);
        _add(address(big), 0.6e18, type(uint128).max);
        _deposit(ALICE, 700 * UNIT);
        assertTrue(_enter(300 * UNIT));
        _endTransaction();
        _rebalance(_weights(0.2e18, 0.1e18, 0, 0.5e18));
    }

    function test_glitch_leaverGetsNoMoreThanFair(uint256 lie, uint256 wait) public {
        wait = bound(wait, 0, 7 days);
        if (wait != 0) _wait(wait);
        big.lie(bound(lie, WAD, 1.2e18), bound(lie, WAD, 1.2e18));
        _leave();
        assertLe(asset.balanceOf(MALLORY), 300 * UNIT + _growth(500 * UNIT, wait), "329 before");
    }

    /// @dev The rest of what stays is not lost.
    function test_glitch_stayersKeepTheirs(uint256 lie) public {
        big.lie(bound(lie, WAD, 100e18), WAD);
        _leave();
        big.lie(WAD, WAD);
        assertGe(_redeemAll(ALICE), 700 * UNIT - UNITS);
    }
}

contract LyingStrategyTest6 is LyingStrategyTest {
    constructor() BaseTest(6) {}
}

contract LyingStrategyTest18 is LyingStrategyTest {
    constructor() BaseTest(18) {}
}

contract GlitchTest6 is GlitchTest {
    constructor() BaseTest(6) {}
}

contract GlitchTest18 is GlitchTest {
    constructor() BaseTest(18) {}
}
