// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";

contract DeadMansSwitchTest is BaseTest {
    constructor() BaseTest(6) {}

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0);
    }

    function _assertShut() private {
        uint256 seen = vault.lastSeen();
        uint256 silence = vault.limits().maxSilence;
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.KeeperNotSilent.selector, seen, seen + silence));
        vault.unwind(address(a), type(uint256).max);
    }

    function test_silence_opensUnwindToAnyone(address anyone, uint256 silence, uint256 wait) public {
        silence = bound(silence, 1 hours, 365 days);
        wait = bound(wait, 0, silence);
        _setLimit(IVaultTypes.Limit.MaxSilence, silence);
        vm.warp(block.timestamp + wait);
        vm.prank(anyone);
        _assertShut();

        vm.warp(vault.lastSeen() + silence + 1);
        vm.prank(anyone);
        assertEq(vault.unwind(address(a), type(uint256).max), 500 * UNIT);
        assertEq(vault.idle(), 800 * UNIT);
        assertFalse(vault.halted(), "silence is no halt");
    }

    /// @dev Each sign of life starts the clock anew.
    function test_signsOfLife() public {
        vm.warp(block.timestamp + MAX_SILENCE);
        _rebalance(HOLD, HOLD, 0.1e18);
        vm.warp(block.timestamp + MAX_SILENCE);
        _assertShut();
        vm.expectEmit(address(vault));
        emit IVaultTypes.Heartbeat();
        vm.prank(KEEPER);
        vault.heartbeat();
        assertEq(vault.lastSeen(), block.timestamp);
        assertEq(vault.epoch(), 2, "a heartbeat is no rebalance");
        assertEq(vault.lastRebalance(), block.timestamp - MAX_SILENCE);
        vm.warp(block.timestamp + MAX_SILENCE);
        _assertShut();
        vm.warp(block.timestamp + 1);
        vault.unwind(address(a), type(uint256).max);
        // The keeper is back: shut again.
        _rebalance(0.1e18, HOLD, HOLD);
        _assertShut();
    }

    function test_heartbeat_onlyTheKeeper(address caller) public {
        vm.assume(caller != KEEPER);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotKeeper.selector, caller));
        vm.prank(caller);
        vault.heartbeat();
    }

    /// @dev A new keeper has the whole time; a keeper that was cut off, or gave up, leaves the clock running.
    function test_keeperChanges(uint256 wait, bool resigns) public {
        wait = bound(wait, 1, MAX_SILENCE);
        uint256 seen = vault.lastSeen();
        vm.warp(block.timestamp + wait);
        vm.prank(resigns ? KEEPER : GOVERNANCE);
        if (resigns) vault.resign();
        else vault.cutKeeper();
        vm.startPrank(GOVERNANCE);
        assertEq(vault.keeper(), address(0));
        assertEq(vault.lastSeen(), seen);
        vault.setKeeper(BOB);
        assertEq(vault.lastSeen(), block.timestamp);
    }
}
