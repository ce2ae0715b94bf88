// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {SilentStrategy} from "./mocks/SilentStrategy.sol";

/// @notice A strategy whose `max*` are all 0.
abstract contract SilentStrategyTest is AttackTest {
    SilentStrategy internal silent;

    function setUp() public override {
        super.setUp();
        silent = new SilentStrategy(asset);
        _add(address(silent), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(_weights(0.2e18, 0.1e18, 0, 0.5e18));
        assertEq(silent.totalAssets(), 500 * UNIT);
    }

    function test_silent_isLeft(uint256 assets, bool bounded) public {
        assets = bound(assets, 1, 1000 * UNIT);
        vm.prank(ALICE);
        if (bounded) vault.withdraw(assets, ALICE, ALICE, type(uint256).max);
        else vault.withdraw(assets, ALICE, ALICE);
        assertEq(asset.balanceOf(ALICE), assets);
        assertApproxEqAbs(vault.totalAssets(), 1000 * UNIT - assets, UNITS);
    }

    function test_silent_isRebalancedOutOf(uint256 weight) public {
        _rebalance(_weights(HOLD, HOLD, HOLD, bound(weight, 0, 0.5e18)));
        assertApproxEqAbs(vault.totalAssets(), 1000 * UNIT, UNITS);
    }

    function test_silent_isUnwound(uint256 cash) public {
        cash = bound(cash, UNIT, 500 * UNIT);
        vm.prank(GOVERNANCE);
        vault.halt();
        silent.setCash(cash);
        uint256 idle = vault.idle();
        assertApproxEqAbs(vault.unwind(address(silent), cash - 1), cash, 2);
        assertApproxEqAbs(vault.idle(), idle + cash, 2);
        silent.setCash(type(uint256).max);
        vault.unwind(address(silent), type(uint256).max);
        assertEq(silent.balanceOf(address(vault)), 0);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NothingToUnwind.selector, address(silent)));
        vault.unwind(address(silent), type(uint256).max);
    }

    /// @dev Money that could not come back does not go in.
    function test_silent_withoutCashIsNotEntered(uint256 cash) public {
        _rebalance(_weights(HOLD, HOLD, HOLD, 0.3e18));
        silent.setCash(bound(cash, 0, 400 * UNIT - UNITS));
        assertFalse(_tryRebalance(_weights(HOLD, HOLD, HOLD, 0.4e18)));
        silent.setCash(type(uint256).max);
        assertTrue(_tryRebalance(_weights(HOLD, HOLD, HOLD, 0.4e18)));
    }
}

contract SilentStrategyTest6 is SilentStrategyTest {
    constructor() BaseTest(6) {}
}

contract SilentStrategyTest18 is SilentStrategyTest {
    constructor() BaseTest(18) {}
}
