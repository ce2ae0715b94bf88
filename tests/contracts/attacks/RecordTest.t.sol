// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {LyingStrategy} from "./mocks/LyingStrategy.sol";
import {ThinStrategy} from "./mocks/ThinStrategy.sol";

/// @notice Who plays with what the vault has recorded: gifts, dust, restatements, and a record each block.
abstract contract RecordTest is AttackTest {
    LyingStrategy internal liar;
    ThinStrategy internal thin;

    function setUp() public override {
        super.setUp();
        vm.prank(GOVERNANCE);
        vault.removeStrategy(address(c));
        liar = new LyingStrategy(asset);
        thin = new ThinStrategy(asset, MALLORY);
        _add(address(liar), 0.01e18, type(uint128).max);
        _add(address(thin), 0.3e18, type(uint128).max);
    }

    function _stock() private {
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(_weights(0.3e18, 0.2e18, 0.01e18, 0));
    }

    function _give(uint256 assets) private {
        asset.mint(address(vault), assets);
        spent += assets;
    }

    /* GIFTS */

    /// @dev The thief gives, enters, leaves by any door, records and waits, in any order: it never pays.
    /// forge-config: default.fuzz.runs = 32
    function test_gifts_inAnyOrder(uint256 seed) public {
        _stock();
        uint256 most;
        for (uint256 i; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 what = seed % 7;
            uint256 assets = bound(seed >> 8, 1, 10_000 * UNIT);
            if (what == 0) _enter(assets);
            if (what == 1) _leave(bound(seed >> 8, 0, vault.balanceOf(MALLORY)));
            if (what == 2) _leaveInKind();
            if (what == 3) _give(assets / 100);
            if (what == 4) vault.redeem(0, MALLORY, MALLORY);
            if (what == 5) {
                most += _growth(vault.valuation().nav, SLOT);
                _nextBlock();
            }
            if (what == 6) _tryRebalance(_weights(bound(seed >> 8, 0, 0.6e18), HOLD, HOLD, HOLD));
            IVaultTypes.Valuation memory v = vault.valuation();
            assertGe(v.sharePrice + 1e12, v.highWaterMark, "nothing was lost, and the price fell");
        }
        _leave();
        assertLe(_profit(), most + 24 * UNITS);
    }

    /// @dev Around the border between dust and a vault, with a victim in between.
    function test_dust_inAnyOrder(uint256 seed) public {
        uint256 most;
        for (uint256 i; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 what = seed % 6;
            if (what == 0) _enter(bound(seed >> 8, 1, 2000));
            if (what == 1) _leave(bound(seed >> 8, 0, vault.balanceOf(MALLORY)));
            if (what == 2) _give(bound(seed >> 8, 1, 2000));
            if (what == 3) _leaveInKind();
            if (what == 4) vault.redeem(0, MALLORY, MALLORY);
            if (what == 5) _nextBlock();
            if (i == 12) {
                uint256 assets = bound(seed >> 16, 1, 100 * UNIT);
                _fund(ALICE, assets);
                vm.prank(ALICE);
                try vault.deposit(assets, ALICE) {} catch {}
                most = assets / 1e4 + 1000;
            }
        }
        _leave();
        assertLe(_profit(), most + UNITS, "more than the dust");
    }

    /* WHAT IS RECORDED TOO HIGH */

    /// @dev Who pays a cost on the way out (to itself) leaves a record that is too high by it: then a gift counts at once.
    function test_slack_byLeavingAtACost(uint256 hoard, uint256 gift) public {
        _stock();
        hoard = bound(hoard, 5000 * UNIT, 20_000 * UNIT);
        gift = bound(gift, UNIT, 50 * UNIT);
        assertTrue(_enter(hoard));
        _endTransaction();
        uint256 half = (1000 * UNIT + hoard) * 3 / 10;
        _rebalance(_weights(HOLD, HOLD, HOLD, 0.3e18));
        // All idle goes first, then the pool with half of what is in it for its cost.
        vm.startPrank(MALLORY);
        vault.withdraw(_least(vault.idle(), vault.maxWithdraw(MALLORY)), MALLORY, MALLORY);
        thin.setDepth(half / 2);
        uint256 shares = vault.balanceOf(MALLORY);
        vault.redeem(shares / 5, MALLORY, MALLORY, 0);
        vm.stopPrank();
        thin.setDepth(type(uint256).max);
        assertLe(_profit(), UNITS, "before the gift");
        asset.mint(address(vault), gift);
        _leave();
        assertLe(_profit(), UNITS, "of the gift");
    }

    /* RESTATE */

    /// @dev Governance lets a gift count. The thief knows the block.
    function test_restate_timing(uint256 hoard, uint256 gift, uint256 lie, bool early, bool inKind) public {
        _stock();
        gift = bound(gift, UNIT, 49 * UNIT);
        hoard = bound(hoard, UNIT, 100_000 * UNIT);
        asset.mint(address(vault), gift);
        _nextBlock();
        if (early) _enter(hoard);
        liar.lie(bound(lie, 0, 10e18), WAD);
        if (!early) _enter(hoard);
        vm.prank(GOVERNANCE);
        vault.restate(1000 * UNIT + gift);
        if (inKind) _leaveInKind();
        else _leave();
        liar.lie(WAD, WAD);
        _leave();
        assertLe(_profit(), 10 * UNIT + _growth(hoard, SLOT) + UNITS);
    }

    /* A RECORD EACH BLOCK */

    /// @dev The stolen key moves the liar up and down in every block, so that its ceiling starts anew each time.
    /// forge-config: default.fuzz.runs = 32
    function test_ceiling_movedEveryBlock(uint256 seed) public {
        _stock();
        assertTrue(_enter(10 * UNIT));
        _endTransaction();
        uint256 most = 11 * UNIT;
        for (uint256 i; i < 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            liar.lie(seed & 1 == 0 ? WAD : bound(seed >> 8, 0, 3e18), WAD);
            _tryRebalance(_weights(HOLD, HOLD, bound(seed >> 128, 0, 0.01e18), HOLD));
            // Another deposit beside it.
            if (seed >> 1 & 1 == 0) _tryRebalance(_weights(HOLD, bound(seed >> 64, 0, 0.3e18), HOLD, HOLD));
            _wait(1 hours);
            most += _growth(11 * UNIT, 1 hours);
        }
        liar.lie(type(uint64).max, WAD);
        _leave();
        assertLe(_profit(), most + UNITS);
        liar.lie(WAD, WAD);
        assertGe(vault.valuation().nav, 1000 * UNIT - most - 40 * UNITS);
    }

    function _least(uint256 x, uint256 y) private pure returns (uint256) {
        return x < y ? x : y;
    }
}

contract RecordTest6 is RecordTest {
    constructor() BaseTest(6) {}
}

contract RecordTest18 is RecordTest {
    constructor() BaseTest(18) {}
}
