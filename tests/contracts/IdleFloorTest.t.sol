// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";

abstract contract IdleFloorTest is BaseTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
    }

    function test_idleFloor(uint64 floor, uint256 under) public {
        floor = uint64(bound(floor, 0.01e18, 0.9e18));
        under = bound(under, 33 * WAD / (1000 * UNIT) + 1, floor); // 32 units may be rounding
        _setLimit(IVaultTypes.Limit.IdleFloor, floor);
        _setCaps(a, 1e18, type(uint128).max);
        uint256 required = (1000 * UNIT * uint256(floor) + WAD - 1) / WAD;
        uint256 weight = WAD - floor + under;
        _refused(weight, 0, 0, _breached(1000 * UNIT - 1000 * UNIT * weight / WAD, required));

        _rebalance(WAD - floor, 0, 0);
        assertGe(vault.idle(), required);
        assertLe(vault.idle(), required + 1);
    }

    function test_idleFloor_countsAllPositions() public {
        _refused(0.5e18, 0.3e18, 0.2e18, _breached(0, 20 * UNIT));
        _refused(0.6e18, 0.5e18, 0.4e18, _breached(0, 20 * UNIT));
        _rebalance(0.5e18, 0.3e18, 0.18e18);
        assertEq(vault.idle(), 20 * UNIT);
    }

    function test_idleFloor_countsHeldPositions() public {
        _rebalance(0.5e18, 0.2e18, 0);
        _refused(HOLD, HOLD, 0.29e18, _breached(10 * UNIT, 20 * UNIT));
        _rebalance(HOLD, HOLD, 0.28e18);
        assertEq(vault.idle(), 20 * UNIT);
    }

    /// @dev After withdrawals have used up what was idle, a rebalance need not restore it, and takes no more of it.
    function test_idleFloor_mayStayUnder() public {
        _rebalance(0.5e18, 0.3e18, 0.18e18);
        vm.prank(ALICE);
        vault.withdraw(10 * UNIT, ALICE, ALICE);
        _rebalance(HOLD, HOLD, HOLD);
        _rebalance(0.4e18, 0.4e18, HOLD);
        uint256 idle = vault.idle();
        assertLt(idle, 990 * UNIT * 2 / 100);
        IVaultTypes.Rebalance memory request = _request(HOLD, HOLD, 0.19e18);
        vm.expectPartialRevert(IVaultTypes.IdleFloorBreached.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
        _rebalance(HOLD, HOLD, 0.1e18);
        assertGe(vault.idle(), 990 * UNIT * 2 / 100);
    }

    /// @dev A strategy that pays less than it says leaves less idle than the plan promised: that is checked afterwards.
    function test_idleFloor_isCheckedAfterwards(uint256 slippage) public {
        slippage = bound(slippage, UNIT, 50 * UNIT);
        _rebalance(0.5e18, 0.3e18, 0.18e18);
        c.setSlippage(slippage);
        uint256 idleAfter = 20 * UNIT > slippage ? 20 * UNIT - slippage : 0;
        vm.assume(idleAfter < (1000 * UNIT - slippage) * 2 / 100);
        IVaultTypes.Rebalance memory request = _request(0.55e18, HOLD, 0.13e18);
        if (slippage <= 20 * UNIT) {
            uint256 required = ((1000 * UNIT - slippage) * 2 + 99) / 100;
            _refused(request, _breached(idleAfter, required));
        } else {
            // Nothing is left to deposit with.
            vm.expectRevert();
            vm.prank(KEEPER);
            vault.rebalance(request);
        }
    }

    function _breached(uint256 idle, uint256 floor) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVaultTypes.IdleFloorBreached.selector, idle, floor);
    }
}

contract IdleFloorTest6 is IdleFloorTest {
    constructor() BaseTest(6) {}
}

contract IdleFloorTest8 is IdleFloorTest {
    constructor() BaseTest(8) {}
}

contract IdleFloorTest18 is IdleFloorTest {
    constructor() BaseTest(18) {}
}
