// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BaseTest} from "../BaseTest.sol";
import {FeeStrategy} from "../mocks/FeeStrategy.sol";
import {AttackTest} from "./AttackTest.sol";

/// @notice Who deposits before a gain and leaves after it.
abstract contract JustInTimeTest is AttackTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.4e18, 0.2e18, 0);
    }

    /* A STEP OF YIELD */

    function test_step_byRedeem(uint256 hoard, uint256 step) public {
        hoard = bound(hoard, UNIT, 100_000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        a.gain(bound(step, 0, 10 * UNIT));
        _nextBlock();
        _leave();
        assertLe(_profit(), _growth(hoard + 1000 * UNIT, 2 * SLOT) + UNITS, "9.89 of 10 before");
    }

    /// @dev In kind is pro rata of what is really there: whoever was there before the step takes their part of it along.
    function test_step_inKind(uint256 hoard, uint256 step) public {
        hoard = bound(hoard, UNIT, 100_000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        a.gain(bound(step, 0, 10 * UNIT));
        _nextBlock();
        _leaveInKind();
        assertLe(_profit(), _part(10 * UNIT, hoard) + UNITS);
    }

    function _part(uint256 gain, uint256 hoard) private view returns (uint256) {
        return gain * hoard / (hoard + 1000 * UNIT);
    }

    /// @dev A hoard of 100,000 times the others' money: the strategy's own ceiling does not grow with it.
    function test_step_byAnyHoard(uint256 hoard) public {
        hoard = bound(hoard, UNIT, 100_000_000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        a.gain(10 * UNIT);
        _nextBlock();
        _leave();
        assertLe(_profit(), _growth(1010 * UNIT, 2 * SLOT) + UNITS, "rate x time of what the others have");
    }

    /// @dev The keeper leaves the strategy, and its gain is idle: then the ceiling of the whole is all that binds, and that
    /// grows with the thief's own capital.
    function test_step_broughtHomeByTheKeeper(uint256 hoard) public {
        hoard = bound(hoard, 10_000_000 * UNIT, 100_000_000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        a.gain(10 * UNIT);
        _rebalance(0, HOLD, HOLD);
        _nextBlock();
        _leave();
        assertLe(_profit(), _growth(hoard + 1010 * UNIT, 2 * SLOT) + UNITS, "rate x time of all that is there");
    }

    /* A GIFT */

    function test_gift_byRedeem(uint256 hoard, uint256 gift) public {
        hoard = bound(hoard, UNIT, 100_000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        asset.mint(address(vault), bound(gift, 0, 100 * UNIT));
        _leave();
        assertLe(_profit(), _growth(hoard + 1000 * UNIT, SLOT) + UNITS);
    }

    function test_gift_inKind(uint256 hoard, uint256 gift) public {
        hoard = bound(hoard, UNIT, 100_000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        asset.mint(address(vault), bound(gift, 0, 100 * UNIT));
        _leaveInKind();
        assertLe(_profit(), _part(100 * UNIT, hoard) + UNITS);
    }

    /// @dev After the gift there is nothing to be had: who enters pays for it.
    function test_gift_tooLate(uint256 hoard, uint256 gift, bool inKind) public {
        asset.mint(address(vault), bound(gift, 0, 50 * UNIT));
        _enter(bound(hoard, UNIT, 9_000_000 * UNIT));
        _nextBlock();
        if (inKind) _leaveInKind();
        else _leave();
        assertLe(_profit(), UNITS);
    }

    /* A POSITION THAT IS VALUED AT ITS EXIT */

    function _holdCostly() private returns (FeeStrategy costly) {
        costly = new FeeStrategy(asset);
        _add(address(costly), 0.4e18, type(uint128).max);
        _rebalance(_weights(0.4e18, 0.1e18, 0, 0.4e18));
    }

    /// @dev 30 basis points of haircut; the keeper leaves it at the real cost of 4.5.
    function test_haircut(uint256 hoard, bool inKind) public {
        FeeStrategy costly = _holdCostly();
        hoard = bound(hoard, UNIT, 1_000_000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        _rebalance(_weights(HOLD, HOLD, HOLD, 0));
        // What the fee took beyond the real cost comes back.
        asset.mint(address(vault), asset.balanceOf(address(costly)) * 255 / 300);
        _nextBlock();
        if (inKind) _leaveInKind();
        else _leave();
        assertLe(_profit(), UNITS);
    }

    /// @dev Shares bought at the ask are sold at the bid: round trips feed the others.
    function test_haircut_roundTrips(uint256 hoard, uint256 trips) public {
        _holdCostly();
        hoard = bound(hoard, UNIT, 1_000_000 * UNIT);
        trips = bound(trips, 1, 8);
        for (uint256 i; i < trips; ++i) {
            assertTrue(_enter(hoard));
            _leave();
            _nextBlock();
        }
        assertLe(_profit(), UNITS);
    }
}

contract JustInTimeTest6 is JustInTimeTest {
    constructor() BaseTest(6) {}
}

contract JustInTimeTest18 is JustInTimeTest {
    constructor() BaseTest(18) {}
}
