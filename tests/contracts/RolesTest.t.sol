// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {Vault} from "../../contracts/Vault.sol";
import {BaseTest} from "./BaseTest.sol";
import {PlainStrategy} from "./mocks/PlainStrategy.sol";
import {Token} from "./mocks/Token.sol";

contract RolesTest is BaseTest {
    constructor() BaseTest(6) {}

    function test_constructor() public {
        IERC20 token = IERC20(address(asset));
        vm.expectRevert(IVault.ZeroAddress.selector);
        new Vault(token, "Vault", "VLT", address(0), KEEPER, 0, 0, 0);
        vm.expectRevert(_outOfRange(1e18 + 1, 1e18));
        new Vault(token, "Vault", "VLT", address(authority), KEEPER, 1e18 + 1, 0, 0);
        vm.expectRevert(_outOfRange(1e18 + 1, 1e18));
        new Vault(token, "Vault", "VLT", address(authority), KEEPER, 0, 1e18 + 1, 0);
        vm.expectRevert(_outOfRange(10e18 + 1, 10e18));
        new Vault(token, "Vault", "VLT", address(authority), KEEPER, 0, 0, 10e18 + 1);

        Vault v = new Vault(token, "Vault", "VLT", address(authority), KEEPER, 0.01e18, 0.2e18, 0.3e18);
        assertEq(v.name(), "Vault");
        assertEq(v.symbol(), "VLT");
        assertEq(v.asset(), address(asset));
        assertEq(v.authority(), address(authority));
        assertEq(v.keeper(), KEEPER);
        assertEq(v.idleFloor(), 0.01e18);
        assertEq(v.maxDrawdown(), 0.2e18);
        assertEq(v.markGrowthRate(), 0.3e18);
        assertEq(v.epoch(), 0);
        assertEq(v.policyHash(), 0);
        assertFalse(v.halted());
        assertEq(v.highWaterMark(), 1e18);
        assertEq(v.HOLD(), type(uint256).max);
    }

    /// @dev Nobody but governance may set anything; the keeper no more than any stranger.
    function test_restricted(address caller) public {
        vm.assume(caller != GOVERNANCE);
        _assertRestricted(caller);
        _assertRestricted(KEEPER);
        _assertRestricted(ALICE);
    }

    function _assertRestricted(address caller) private {
        bytes[8] memory calls = [
            abi.encodeCall(vault.addStrategy, (address(a), 1, 1)),
            abi.encodeCall(vault.setCaps, (address(a), 1, 1)),
            abi.encodeCall(vault.setIdleFloor, (0)),
            abi.encodeCall(vault.setMaxDrawdown, (1)),
            abi.encodeCall(vault.setMarkGrowthRate, (1)),
            abi.encodeCall(vault.setKeeper, (caller)),
            abi.encodeCall(vault.commitPolicy, (DECISION)),
            abi.encodeCall(vault.resume, ())
        ];
        bytes memory expected = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller);
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(caller);
            (bool ok, bytes memory answer) = address(vault).call(calls[i]);
            assertFalse(ok);
            assertEq(answer, expected);
        }
    }

    function test_addStrategy() public {
        PlainStrategy other = new PlainStrategy(new Token(6));
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(IVault.ZeroAddress.selector);
        vault.addStrategy(address(0), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IVault.StrategyAlreadyAdded.selector, address(a)));
        vault.addStrategy(address(a), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IVault.WrongAsset.selector, address(other), other.asset()));
        vault.addStrategy(address(other), 1, 1);
        vm.expectRevert();
        vault.addStrategy(address(vault), 1, 1);
        PlainStrategy d = new PlainStrategy(asset);
        vm.expectRevert(_outOfRange(1e18 + 1, 1e18));
        vault.addStrategy(address(d), 1e18 + 1, 1);

        vm.expectEmit(address(vault));
        emit IVault.StrategyAdded(address(d), 0.2e18, 5);
        vm.expectEmit(address(vault));
        emit IVault.CapsSet(address(d), 0.2e18, 5);
        vault.addStrategy(address(d), 0.2e18, 5);
        IVault.Strategy[] memory all = vault.strategies();
        assertEq(all.length, 4);
        assertEq(address(all[3].target), address(d));
        assertEq(all[3].shares, 0);
        assertEq(all[3].relativeCap, 0.2e18);
        assertEq(all[3].absoluteCap, 5);

        while (all.length < 16) {
            vault.addStrategy(address(new PlainStrategy(asset)), 1, 1);
            all = vault.strategies();
        }
        d = new PlainStrategy(asset);
        vm.expectRevert(abi.encodeWithSelector(IVault.TooManyStrategies.selector, 16));
        vault.addStrategy(address(d), 1, 1);
    }

    function test_setCaps(uint64 relativeCap, uint128 absoluteCap) public {
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(abi.encodeWithSelector(IVault.UnknownStrategy.selector, ALICE));
        vault.setCaps(ALICE, 1, 1);
        if (relativeCap > 1e18) vm.expectRevert(_outOfRange(relativeCap, 1e18));
        vault.setCaps(address(b), relativeCap, absoluteCap);

        relativeCap = uint64(bound(relativeCap, 0, 1e18));
        vm.expectEmit(address(vault));
        emit IVault.CapsSet(address(b), relativeCap, absoluteCap);
        vault.setCaps(address(b), relativeCap, absoluteCap);
        assertEq(vault.strategies()[1].relativeCap, relativeCap);
        assertEq(vault.strategies()[1].absoluteCap, absoluteCap);
    }

    function test_setIdleFloor(uint64 floor) public {
        vm.startPrank(GOVERNANCE);
        if (floor > 1e18) vm.expectRevert(_outOfRange(floor, 1e18));
        vault.setIdleFloor(floor);
        floor = uint64(bound(floor, 0, 1e18));
        vm.expectEmit(address(vault));
        emit IVault.IdleFloorSet(floor);
        vault.setIdleFloor(floor);
        assertEq(vault.idleFloor(), floor);
    }

    function test_setMaxDrawdown(uint64 limit) public {
        vm.startPrank(GOVERNANCE);
        if (limit > 1e18) vm.expectRevert(_outOfRange(limit, 1e18));
        vault.setMaxDrawdown(limit);
        limit = uint64(bound(limit, 0, 1e18));
        vm.expectEmit(address(vault));
        emit IVault.MaxDrawdownSet(limit);
        vault.setMaxDrawdown(limit);
        assertEq(vault.maxDrawdown(), limit);
    }

    function test_setMarkGrowthRate(uint64 rate) public {
        vm.startPrank(GOVERNANCE);
        if (rate > 10e18) vm.expectRevert(_outOfRange(rate, 10e18));
        vault.setMarkGrowthRate(rate);
        rate = uint64(bound(rate, 0, 10e18));
        vm.expectEmit(address(vault));
        emit IVault.MarkGrowthRateSet(rate);
        vault.setMarkGrowthRate(rate);
        assertEq(vault.markGrowthRate(), rate);
    }

    function test_setKeeper(address keeper) public {
        vm.assume(keeper != KEEPER);
        vm.prank(GOVERNANCE);
        vm.expectEmit(address(vault));
        emit IVault.KeeperSet(keeper);
        vault.setKeeper(keeper);
        assertEq(vault.keeper(), keeper);

        IVault.Rebalance memory request = _request(0, 0, 0);
        _refused(request, abi.encodeWithSelector(IVault.NotKeeper.selector, KEEPER));
        vm.prank(keeper);
        vault.rebalance(request);
    }

    function test_commitPolicy(bytes32 policy) public {
        vm.prank(GOVERNANCE);
        vm.expectEmit(address(vault));
        emit IVault.PolicyCommitted(policy);
        vault.commitPolicy(policy);
        assertEq(vault.policyHash(), policy);
    }

    function _outOfRange(uint256 value, uint256 maximum) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVault.LimitOutOfRange.selector, value, maximum);
    }
}
