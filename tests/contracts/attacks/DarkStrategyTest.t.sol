// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {LyingStrategy} from "./mocks/LyingStrategy.sol";

/// @notice A strategy that goes dark and comes back around the exits of others.
abstract contract DarkStrategyTest is AttackTest {
    LyingStrategy internal big;

    function setUp() public override {
        super.setUp();
        big = new LyingStrategy(asset);
        _add(address(big), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(_weights(0.2e18, 0.1e18, 0, 0.5e18));
    }

    /// @dev Thief and victims come and go. A victim takes no less than 99 % of what was fair before.
    function test_dark_aroundExits(uint256 seed, uint256 hoard) public {
        assertTrue(_enter(bound(hoard, UNIT, 10_000 * UNIT)));
        _endTransaction();
        uint256 most = UNITS;
        uint256 forgone;
        for (uint256 i; i < 16; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 shares = vault.balanceOf(ALICE) / 20;
            uint256 fair = shares * vault.valuation().nav / vault.totalSupply();
            big.setDark(seed & 3 == 0);
            if (seed >> 2 & 1 == 0) {
                vm.prank(ALICE);
                try vault.redeem(shares, ALICE, ALICE, fair * 99 / 100) {
                    forgone += fair / 100 + 1;
                } catch {}
            }
            if (seed >> 3 & 1 == 0) {
                vm.startPrank(MALLORY);
                uint256 mine = vault.balanceOf(MALLORY) / 4;
                try vault.redeem(mine, MALLORY, MALLORY, 0) {} catch {}
                vm.stopPrank();
            }
            if (seed >> 4 & 1 == 0) _enter(bound(seed >> 8, 1, 1000 * UNIT));
            big.setDark(false);
            if (seed >> 5 & 1 == 0) _leave(vault.balanceOf(MALLORY) / 3);
            if (seed >> 6 & 1 == 0) vault.redeem(0, MALLORY, MALLORY);
            if (seed >> 7 & 1 == 0) {
                most += _growth(vault.valuation().nav, SLOT) + UNITS;
                _nextBlock();
            }
        }
        _leave();
        assertLe(_profit(), most + forgone);
    }

    /// @dev After a loss its record is higher than its value was. When it goes dark then, the exit with a bound still pays the
    /// price of the rest.
    function test_dark_afterALoss(uint256 loss, uint256 part) public {
        loss = bound(loss, 0, 99 * UNIT);
        vm.prank(address(big));
        asset.transfer(BOB, loss);
        vault.redeem(0, MALLORY, MALLORY);
        big.setDark(true);
        uint256 shares = bound(part, 1e6, vault.balanceOf(ALICE));
        uint256 rest = 500 * UNIT * shares / vault.totalSupply();
        vm.prank(ALICE);
        assertApproxEqAbs(vault.redeem(shares, ALICE, ALICE, 0), rest, UNITS);
    }

    /// @dev Dark and back: all that was recorded is there again.
    function test_dark_leavesNoTrace(uint256 wait) public {
        uint256 before = vault.totalAssets();
        big.setDark(true);
        vault.redeem(0, MALLORY, MALLORY);
        vault.deposit(0, MALLORY);
        _wait(bound(wait, 0, 30 days));
        vault.redeem(0, MALLORY, MALLORY);
        big.setDark(false);
        assertEq(vault.totalAssets(), before);
    }
}

contract DarkStrategyTest6 is DarkStrategyTest {
    constructor() BaseTest(6) {}
}

contract DarkStrategyTest18 is DarkStrategyTest {
    constructor() BaseTest(18) {}
}
