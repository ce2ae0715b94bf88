// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {LyingStrategy} from "./mocks/LyingStrategy.sol";

/// @notice The thief has the keeper's key, and a strategy of 1 % of its own that steals what it gets.
abstract contract StolenKeyTest is AttackTest {
    LyingStrategy internal liar;

    function setUp() public override {
        super.setUp();
        liar = new LyingStrategy(asset);
        _add(address(liar), 0.01e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(_weights(0.3e18, 0.2e18, 0.1e18, 0.01e18));
    }

    /// @dev It steals, admits the loss, and is filled again: the loss is not of a rebalance, so no budget binds it. The
    /// kill-switch does.
    function test_refilled_untilTheKillSwitch(uint256 wait) public {
        wait = bound(wait, 0, 1 days);
        for (uint256 i; i < 100; ++i) {
            liar.steal(MALLORY);
            liar.lie(0, 0);
            if (wait != 0) _wait(wait);
            if (!_tryRebalance(_weights(HOLD, HOLD, HOLD, 0))) break;
            if (!_tryRebalance(_weights(HOLD, HOLD, HOLD, 0.01e18))) break;
            liar.lie(WAD, WAD);
        }
        assertLe(asset.balanceOf(MALLORY), 1000 * UNIT * (uint256(MAX_DRAWDOWN) + 0.01e18) / WAD + UNITS);
    }

    /// @dev It steals, and denies the loss: then it is filled to its cap once.
    function test_refilled_denied(uint256 lie) public {
        uint256 stolen;
        for (uint256 i; i < 20; ++i) {
            liar.steal(MALLORY);
            // Nothing is in it: any factor of nothing is nothing, so the answer is made up.
            vm.mockCall(
                address(liar),
                abi.encodeWithSelector(liar.previewRedeem.selector),
                abi.encode(bound(lie, 10 * UNIT, 1e30))
            );
            _tryRebalance(_weights(HOLD, HOLD, HOLD, 0.01e18));
            _nextBlock();
        }
        stolen = asset.balanceOf(MALLORY);
        assertLe(stolen, 10 * UNIT + UNITS);
    }

    /// @dev With capital that stays for a block, the cap is a share of that too.
    function test_capital_widensTheShareOfTheCap(uint256 hoard) public {
        hoard = bound(hoard, UNIT, 200_000 * UNIT);
        assertTrue(_enter(hoard));
        _nextBlock();
        assertTrue(_tryRebalance(_weights(HOLD, HOLD, HOLD, 0.01e18)));
        liar.steal(MALLORY);
        vm.mockCall(
            address(liar), abi.encodeWithSelector(liar.previewRedeem.selector), abi.encode((hoard + 1000 * UNIT) / 100)
        );
        uint256 most = vault.maxRedeem(MALLORY);
        _leave(most);
        assertLe(_profit(), (hoard + 1000 * UNIT) / 100 + UNITS, "1 % of all, the thief's included");
    }

    /// @dev A relative cap counts the thief's own capital; the absolute one does not.
    function test_capital_takesNoMoreThanTheAbsoluteCap() public {
        vm.prank(GOVERNANCE);
        vault.loosenCaps(address(liar), 0.01e18, uint128(10 * UNIT));
        uint256 hoard = 99_000 * UNIT;
        assertTrue(_enter(hoard));
        _nextBlock();
        assertFalse(_tryRebalance(_weights(HOLD, HOLD, HOLD, 0.01e18)));
        assertTrue(_tryRebalance(_weights(HOLD, HOLD, HOLD, 0.0001e18)));
        liar.steal(MALLORY);
        vm.mockCall(address(liar), abi.encodeWithSelector(liar.previewRedeem.selector), abi.encode(1000 * UNIT));
        for (uint256 i; i < 3; ++i) {
            uint256 most = vault.maxWithdraw(MALLORY);
            uint256 liquid = asset.balanceOf(address(vault)) + a.totalAssets() + b.totalAssets() + c.totalAssets();
            vm.prank(MALLORY);
            vault.withdraw(most < liquid ? most : liquid, MALLORY, MALLORY);
        }
        assertLe(_profit(), 10 * UNIT + UNITS);
    }
}

contract StolenKeyTest6 is StolenKeyTest {
    constructor() BaseTest(6) {}
}

contract StolenKeyTest18 is StolenKeyTest {
    constructor() BaseTest(18) {}
}
