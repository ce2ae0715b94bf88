// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

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
        IVault.Limits memory limits = _limits();
        vm.expectRevert(IVault.ZeroAddress.selector);
        new Vault(token, "Vault", "VLT", address(0), KEEPER, limits);
        for (uint256 i; i < 10; ++i) {
            (uint256 least, uint256 most) = _range(IVault.Limit(i));
            vm.expectRevert(abi.encodeWithSelector(IVault.LimitOutOfRange.selector, most + 1, least, most));
            new Vault(token, "Vault", "VLT", address(authority), KEEPER, _with(limits, i, most + 1));
        }
        vm.expectRevert(abi.encodeWithSelector(IVault.LimitOutOfRange.selector, 1 hours - 1, 1 hours, 365 days));
        new Vault(token, "Vault", "VLT", address(authority), KEEPER, _with(limits, 4, 1 hours - 1));

        limits = IVault.Limits(1, 2, 3, 4, 5 hours, 6, 7, 8, 9, 0.1e18);
        Vault v = new Vault(token, "Vault", "VLT", address(authority), KEEPER, limits);
        assertEq(keccak256(abi.encode(v.limits())), keccak256(abi.encode(limits)));
        assertEq(v.name(), "Vault");
        assertEq(v.symbol(), "VLT");
        assertEq(v.asset(), address(asset));
        assertEq(v.authority(), address(authority));
        assertEq(v.keeper(), KEEPER);
        assertEq(v.epoch(), 0);
        assertEq(v.policyHash(), 0);
        assertEq(v.lastRebalance(), 0);
        assertEq(v.lastSeen(), block.timestamp, "a new keeper is not silent");
        assertEq(v.feeRecipient(), address(0));
        assertFalse(v.halted());
        assertTrue(v.valued());
        assertEq(v.highWaterMark(), 1e18);
        assertEq(v.HOLD(), type(uint256).max);
        assertEq(v.lossBudget(), 6);
        assertEq(v.turnoverBudget(), 8);
        assertFalse(v.capsAbdicated());
        for (uint256 i; i < 10; ++i) {
            assertFalse(v.abdicated(IVault.Limit(i)));
        }
    }

    /// @dev Nobody but governance may set anything; the keeper no more than any stranger.
    function test_restricted(address caller) public {
        vm.assume(caller != GOVERNANCE && caller != vault.authority()); // the authority may hand itself over
        _assertRestricted(caller);
        _assertRestricted(KEEPER);
        _assertRestricted(ALICE);
    }

    function _assertRestricted(address caller) private {
        bytes[16] memory calls = [
            abi.encodeCall(vault.tighten, (IVault.Limit.MaxDrawdown, 1)),
            abi.encodeCall(vault.tightenCaps, (address(a), 1, 1)),
            abi.encodeCall(vault.halt, ()),
            abi.encodeCall(vault.cutKeeper, ()),
            abi.encodeCall(vault.loosen, (IVault.Limit.IdleFloor, 0)),
            abi.encodeCall(vault.loosenCaps, (address(a), 1, 1)),
            abi.encodeCall(vault.abdicate, (IVault.Limit.IdleFloor)),
            abi.encodeCall(vault.abdicateCaps, ()),
            abi.encodeCall(vault.addStrategy, (address(a), 1, 1)),
            abi.encodeCall(vault.removeStrategy, (address(a))),
            abi.encodeCall(vault.writeOff, (address(a))),
            abi.encodeCall(vault.setKeeper, (caller)),
            abi.encodeCall(vault.commitPolicy, (DECISION)),
            abi.encodeCall(vault.setFeeRecipient, (caller)),
            abi.encodeCall(vault.resume, ()),
            abi.encodeCall(vault.setAuthority, (caller))
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
        vm.expectRevert(IVault.ZeroAddress.selector);
        vault.addStrategy(address(vault), 1, 1);
        PlainStrategy d = new PlainStrategy(asset);
        vm.expectRevert(_outOfRange(1e18 + 1, 1e18));
        vault.addStrategy(address(d), 1e18 + 1, 1);

        vm.expectEmit(address(vault));
        emit IVault.StrategyAdded(address(d));
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
        vault.loosenCaps(ALICE, 1, 1);
        if (relativeCap > 1e18) vm.expectRevert(_outOfRange(relativeCap, 1e18));
        vault.loosenCaps(address(b), relativeCap, absoluteCap);

        relativeCap = uint64(bound(relativeCap, 0, 1e18));
        vm.expectEmit(address(vault));
        emit IVault.CapsSet(address(b), relativeCap, absoluteCap);
        vault.loosenCaps(address(b), relativeCap, absoluteCap);
        assertEq(vault.strategies()[1].relativeCap, relativeCap);
        assertEq(vault.strategies()[1].absoluteCap, absoluteCap);
    }

    function test_loosen_everyLimitWithinItsRange(uint256 which, uint256 value) public {
        IVault.Limit limit = IVault.Limit(which % 10);
        (uint256 least, uint256 most) = _range(limit);
        vm.startPrank(GOVERNANCE);
        if (value < least || value > most) {
            vm.expectRevert(abi.encodeWithSelector(IVault.LimitOutOfRange.selector, value, least, most));
        }
        vault.loosen(limit, value);

        value = bound(value, least, most);
        bool fee = limit == IVault.Limit.PerformanceFee;
        vm.expectEmit(address(vault));
        emit IVault.LimitSet(limit, fee ? value / 1e14 * 1e14 : value);
        vault.loosen(limit, value);
        assertEq(_limit(limit), fee ? value / 1e14 * 1e14 : value);
    }

    function test_loosen_everyLimitAtTheEndsOfItsRange() public {
        vm.startPrank(GOVERNANCE);
        for (uint256 i; i < 10; ++i) {
            IVault.Limit limit = IVault.Limit(i);
            (uint256 least, uint256 most) = _range(limit);
            vault.loosen(limit, least);
            assertEq(_limit(limit), least);
            vault.loosen(limit, most);
            assertEq(_limit(limit), most);
            vm.expectRevert(abi.encodeWithSelector(IVault.LimitOutOfRange.selector, most + 1, least, most));
            vault.loosen(limit, most + 1);
            if (least == 0) continue;
            vm.expectRevert(abi.encodeWithSelector(IVault.LimitOutOfRange.selector, least - 1, least, most));
            vault.loosen(limit, least - 1);
        }
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

    function test_setFeeRecipient(address recipient) public {
        vm.prank(GOVERNANCE);
        vm.expectEmit(address(vault));
        emit IVault.FeeRecipientSet(recipient);
        vault.setFeeRecipient(recipient);
        assertEq(vault.feeRecipient(), recipient);
    }

    /* EVERY LIMIT, IN THE ORDER OF THE ENUM */

    function _range(IVault.Limit limit) private pure returns (uint256 least, uint256 most) {
        uint256[2][10] memory ranges = [
            [uint256(0), 1e18],
            [uint256(0), 1e18],
            [uint256(0), 10e18],
            [uint256(0), 30 days],
            [uint256(1 hours), 365 days],
            [uint256(0), 1e18],
            [uint256(0), 1e18],
            [uint256(0), 10e18],
            [uint256(0), 10e18],
            [uint256(0), 0.3e18]
        ];
        return (ranges[uint256(limit)][0], ranges[uint256(limit)][1]);
    }

    function _limit(IVault.Limit limit) private view returns (uint256) {
        return _words(vault.limits())[uint256(limit)];
    }

    function _with(IVault.Limits memory limits, uint256 i, uint256 value) private pure returns (IVault.Limits memory) {
        uint256[10] memory words = _words(limits);
        words[i] = value;
        return abi.decode(abi.encode(words), (IVault.Limits));
    }

    function _words(IVault.Limits memory limits) private pure returns (uint256[10] memory) {
        return abi.decode(abi.encode(limits), (uint256[10]));
    }

    function _outOfRange(uint256 value, uint256 maximum) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVault.LimitOutOfRange.selector, value, 0, maximum);
    }
}
