// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Vm} from "forge-std/Vm.sol";

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {Vault} from "../../contracts/Vault.sol";
import {BaseTest} from "./BaseTest.sol";
import {PlainStrategy} from "./mocks/PlainStrategy.sol";
import {Token} from "./mocks/Token.sol";

contract RolesTest is BaseTest {
    constructor() BaseTest(6) {}

    function test_constructor() public {
        IERC20 token = IERC20(address(asset));
        IVaultTypes.Limits memory limits = _limits();
        vm.expectRevert(IVaultTypes.ZeroAddress.selector);
        new Vault(token, "Vault", "VLT", address(0), KEEPER, limits);
        // The last fills its type: nothing is over its maximum.
        for (uint256 i; i < LIMITS - 1; ++i) {
            (uint256 least, uint256 most) = _range(IVaultTypes.Limit(i));
            vm.expectRevert(abi.encodeWithSelector(IVaultTypes.LimitOutOfRange.selector, most + 1, least, most));
            new Vault(token, "Vault", "VLT", address(authority), KEEPER, _with(limits, i, most + 1));
        }
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.LimitOutOfRange.selector, 1 hours - 1, 1 hours, 365 days));
        new Vault(token, "Vault", "VLT", address(authority), KEEPER, _with(limits, 4, 1 hours - 1));

        limits = IVaultTypes.Limits(1, 2, 3e12, 4, 5 hours, 6, 7, 8, 9, 0.1e18, 0.2e18, 11);
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
        for (uint256 i; i < LIMITS; ++i) {
            assertFalse(v.abdicated(IVaultTypes.Limit(i)));
        }
    }

    /* WHO MAY CALL WHAT */

    /// @dev Nobody but governance may set anything; the keeper no more than any stranger.
    function test_restricted(address caller) public {
        vm.assume(caller != GOVERNANCE && caller != vault.authority()); // the authority may hand itself over
        _assertRestricted(caller);
        _assertRestricted(KEEPER);
        _assertRestricted(ALICE);
    }

    function _assertRestricted(address caller) private {
        bytes[] memory calls = _restricted(caller);
        bytes memory expected = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller);
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(caller);
            (bool ok, bytes memory answer) = address(vault).call(calls[i]);
            assertFalse(ok);
            assertEq(answer, expected);
        }
    }

    /// @dev Calls that governance could make, with as little sense as a stranger's.
    function _restricted(address caller) private returns (bytes[] memory calls) {
        calls = new bytes[](20);
        calls[0] = abi.encodeCall(vault.tighten, (IVaultTypes.Limit.MaxDrawdown, 1));
        calls[1] = abi.encodeCall(vault.tightenCaps, (address(a), 1, 1));
        calls[2] = abi.encodeCall(vault.tightenGroup, (0, 0, 0));
        calls[3] = abi.encodeCall(vault.halt, ());
        calls[4] = abi.encodeCall(vault.cutKeeper, ());
        calls[5] = abi.encodeCall(vault.loosen, (IVaultTypes.Limit.IdleFloor, 0));
        calls[6] = abi.encodeCall(vault.loosenCaps, (address(a), 1, 1));
        calls[7] = abi.encodeCall(vault.setGroup, (0, IVaultTypes.Group(ALICE, 0, 0, 0)));
        calls[8] = abi.encodeCall(vault.abdicate, (IVaultTypes.Limit.IdleFloor));
        calls[9] = abi.encodeCall(vault.abdicateCaps, ());
        calls[10] = abi.encodeCall(vault.addStrategy, (address(asset), 1, 1));
        calls[11] = abi.encodeCall(vault.removeStrategy, (address(a)));
        calls[12] = abi.encodeCall(vault.writeOff, (address(a)));
        calls[13] = abi.encodeCall(vault.setKeeper, (caller));
        calls[14] = abi.encodeCall(vault.commitPolicy, (DECISION));
        calls[15] = abi.encodeCall(vault.setFeeRecipient, (caller));
        calls[16] = abi.encodeCall(vault.sweep, (address(new Token(6)), caller));
        calls[17] = abi.encodeCall(vault.restate, (1));
        calls[18] = abi.encodeCall(vault.resume, ());
        calls[19] = abi.encodeCall(vault.setAuthority, (caller));
    }

    /// @dev Together with what is restricted, that is the whole interface: an interface's id is the sum of its selectors. A
    /// function that nobody has put in either list makes the sum wrong.
    function test_restricted_listIsWhole() public {
        bytes4[31] memory open = [
            IVault.rebalance.selector,
            IVault.heartbeat.selector,
            IVault.resign.selector,
            IVault.trip.selector,
            IVault.unwind.selector,
            bytes4(keccak256("deposit(uint256,address,uint256)")),
            bytes4(keccak256("mint(uint256,address,uint256)")),
            bytes4(keccak256("withdraw(uint256,address,address,uint256)")),
            bytes4(keccak256("redeem(uint256,address,address,uint256)")),
            IVault.redeemInKind.selector,
            IVault.HOLD.selector,
            IVault.SKIP.selector,
            IVault.keeper.selector,
            IVault.policyHash.selector,
            IVault.feeRecipient.selector,
            IVault.epoch.selector,
            IVault.lastRebalance.selector,
            IVault.lastSeen.selector,
            IVault.halted.selector,
            IVault.limits.selector,
            IVault.abdicated.selector,
            IVault.capsAbdicated.selector,
            IVault.strategies.selector,
            IVault.groups.selector,
            IVault.idle.selector,
            IVault.lossBudget.selector,
            IVault.turnoverBudget.selector,
            IVault.valuation.selector,
            IVault.sharePrice.selector,
            IVault.highWaterMark.selector,
            IVault.drawdownFloor.selector
        ];
        bytes4 sum = IVault.valued.selector;
        for (uint256 i; i < open.length; ++i) {
            sum ^= open[i];
        }
        bytes[] memory calls = _restricted(ALICE);
        for (uint256 i; i < calls.length - 1; ++i) {
            sum ^= bytes4(calls[i]);
        }
        assertEq(sum, type(IVault).interfaceId);
    }

    /// @dev The code that the vault runs for its governance is a contract too. Whoever calls it directly, governance itself
    /// included, works on that contract's own storage: of the vault nothing moves.
    function test_governanceCode_calledDirectlyChangesNothing() public {
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0.1e18);
        address code_ = vm.computeCreateAddress(address(vault), 1);
        assertGt(code_.code.length, 0);
        bytes[] memory calls = _restricted(GOVERNANCE);
        vm.startStateDiffRecording();
        for (uint256 i; i < calls.length; ++i) {
            vm.prank(MALLORY);
            (bool ok, bytes memory answer) = code_.call(calls[i]);
            assertFalse(ok);
            assertEq(answer, abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, MALLORY));
            vm.prank(GOVERNANCE);
            (ok,) = code_.call(calls[i]);
        }
        Vm.AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();
        uint256 writes;
        for (uint256 i; i < accesses.length; ++i) {
            for (uint256 k; k < accesses[i].storageAccesses.length; ++k) {
                Vm.StorageAccess memory access = accesses[i].storageAccesses[k];
                if (!access.isWrite) continue;
                ++writes;
                assertTrue(access.account != address(vault));
            }
        }
        assertGt(writes, 5, "governance did act on something");
    }

    function test_resign(address caller) public {
        vm.assume(caller != KEEPER);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotKeeper.selector, caller));
        vm.prank(caller);
        vault.resign();

        uint256 seen = vault.lastSeen();
        vm.warp(block.timestamp + 1 days);
        vm.expectEmit(address(vault));
        emit IVaultTypes.KeeperSet(address(0));
        vm.startPrank(KEEPER);
        vault.resign();
        assertEq(vault.keeper(), address(0));
        assertEq(vault.lastSeen(), seen, "the switch keeps running");
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotKeeper.selector, KEEPER));
        vault.resign();
        vm.stopPrank();
        _refused(0, 0, 0, abi.encodeWithSelector(IVaultTypes.NotKeeper.selector, KEEPER));
    }

    /* WHAT GOVERNANCE SETS */

    function test_addStrategy() public {
        PlainStrategy other = new PlainStrategy(new Token(6));
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(IVaultTypes.ZeroAddress.selector);
        vault.addStrategy(address(0), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.StrategyAlreadyAdded.selector, address(a)));
        vault.addStrategy(address(a), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.WrongAsset.selector, address(other), other.asset()));
        vault.addStrategy(address(other), 1, 1);
        vm.expectRevert(IVaultTypes.ZeroAddress.selector);
        vault.addStrategy(address(vault), 1, 1);
        PlainStrategy d = new PlainStrategy(asset);
        vm.expectRevert(_outOfRange(1e18 + 1, 1e18));
        vault.addStrategy(address(d), 1e18 + 1, 1);

        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategyAdded(address(d));
        vm.expectEmit(address(vault));
        emit IVaultTypes.CapsSet(address(d), 0.2e18, 5);
        vault.addStrategy(address(d), 0.2e18, 5);
        IVaultTypes.Strategy[] memory all = vault.strategies();
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
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.TooManyStrategies.selector, 16));
        vault.addStrategy(address(d), 1, 1);
    }

    function test_setCaps(uint64 relativeCap, uint128 absoluteCap) public {
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.UnknownStrategy.selector, ALICE));
        vault.loosenCaps(ALICE, 1, 1);
        if (relativeCap > 1e18) vm.expectRevert(_outOfRange(relativeCap, 1e18));
        vault.loosenCaps(address(b), relativeCap, absoluteCap);

        relativeCap = uint64(bound(relativeCap, 0, 1e18));
        vm.expectEmit(address(vault));
        emit IVaultTypes.CapsSet(address(b), relativeCap, absoluteCap);
        vault.loosenCaps(address(b), relativeCap, absoluteCap);
        assertEq(vault.strategies()[1].relativeCap, relativeCap);
        assertEq(vault.strategies()[1].absoluteCap, absoluteCap);
    }

    function test_setGroup() public {
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(_outOfRange(1, 0));
        vault.setGroup(1, IVaultTypes.Group(BOB, 0, 0, 0));
        vm.expectRevert(_outOfRange(1e18 + 1, 1e18));
        vault.setGroup(0, IVaultTypes.Group(BOB, 1e18 + 1, 0, 0));
        vm.expectRevert(_outOfRange(8, 7));
        vault.setGroup(0, IVaultTypes.Group(BOB, 1e18, 0, 8));
        for (uint16 i; i < 8; ++i) {
            IVaultTypes.Group memory group = IVaultTypes.Group(BOB, 0.1e18 * i, i, i);
            vm.expectEmit(address(vault));
            emit IVaultTypes.GroupSet(i, group);
            vault.setGroup(i, group);
            assertEq(vault.groups().length, i + 1);
        }
        vm.expectRevert(_outOfRange(8, 7));
        vault.setGroup(8, IVaultTypes.Group(BOB, 0, 0, 0));

        vault.setGroup(3, IVaultTypes.Group(ALICE, 1e18, 33, 7));
        IVaultTypes.Group[] memory groups = vault.groups();
        assertEq(groups.length, 8);
        for (uint16 i; i < 8; ++i) {
            IVaultTypes.Group memory expected = IVaultTypes.Group(BOB, 0.1e18 * i, i, i);
            if (i == 3) expected = IVaultTypes.Group(ALICE, 1e18, 33, 7);
            assertEq(abi.encode(groups[i]), abi.encode(expected));
        }
    }

    /// @dev Whoever is removed, and in what order: a group keeps its other members, and nobody joins.
    function test_removeStrategy_keepsTheGroups(uint16[8] memory members, uint256[5] memory removals) public {
        vm.startPrank(GOVERNANCE);
        for (uint256 i = 3; i < 16; ++i) {
            vault.addStrategy(address(new PlainStrategy(asset)), 1, 1);
        }
        for (uint256 g; g < 8; ++g) {
            vault.setGroup(g, IVaultTypes.Group(BOB, 1e18, 1, members[g]));
        }
        for (uint256 i; i < removals.length; ++i) {
            IVaultTypes.Strategy[] memory before = vault.strategies();
            IVaultTypes.Group[] memory was = vault.groups();
            uint256 gone = removals[i] % before.length;
            vault.removeStrategy(address(before[gone].target));
            IVaultTypes.Strategy[] memory left = vault.strategies();
            IVaultTypes.Group[] memory groups = vault.groups();
            assertEq(left.length, before.length - 1);
            for (uint256 k; k < left.length; ++k) {
                uint256 from = k < gone ? k : k + 1;
                assertEq(address(left[k].target), address(before[from].target));
                for (uint256 g; g < 8; ++g) {
                    assertEq(groups[g].members >> k & 1, was[g].members >> from & 1);
                    assertEq(groups[g].members >> left.length, 0, "nobody beyond the last");
                }
            }
        }
    }

    function test_loosen_everyLimitWithinItsRange(uint256 which, uint256 value) public {
        IVaultTypes.Limit limit = IVaultTypes.Limit(which % LIMITS);
        (uint256 least, uint256 most) = _range(limit);
        vm.startPrank(GOVERNANCE);
        if (value < least || value > most) {
            vm.expectRevert(abi.encodeWithSelector(IVaultTypes.LimitOutOfRange.selector, value, least, most));
        }
        vault.loosen(limit, value);

        value = bound(value, least, most);
        // The fee is kept in basis points, the growth in millionths.
        uint256 grain = limit == IVaultTypes.Limit.PerformanceFee ? 1e14 : 1;
        if (limit == IVaultTypes.Limit.MaxGrowthRate) grain = 1e12;
        uint256 kept = value / grain * grain;
        vm.expectEmit(address(vault));
        emit IVaultTypes.LimitSet(limit, kept);
        vault.loosen(limit, value);
        assertEq(_limit(limit), kept);
    }

    function test_loosen_everyLimitAtTheEndsOfItsRange() public {
        vm.startPrank(GOVERNANCE);
        for (uint256 i; i < LIMITS; ++i) {
            IVaultTypes.Limit limit = IVaultTypes.Limit(i);
            (uint256 least, uint256 most) = _range(limit);
            vault.loosen(limit, least);
            assertEq(_limit(limit), least);
            vault.loosen(limit, most);
            assertEq(_limit(limit), most);
            vm.expectRevert(abi.encodeWithSelector(IVaultTypes.LimitOutOfRange.selector, most + 1, least, most));
            vault.loosen(limit, most + 1);
            if (least == 0) continue;
            vm.expectRevert(abi.encodeWithSelector(IVaultTypes.LimitOutOfRange.selector, least - 1, least, most));
            vault.loosen(limit, least - 1);
        }
    }

    function test_setKeeper(address keeper) public {
        vm.assume(keeper != KEEPER);
        vm.prank(GOVERNANCE);
        vm.expectEmit(address(vault));
        emit IVaultTypes.KeeperSet(keeper);
        vault.setKeeper(keeper);
        assertEq(vault.keeper(), keeper);

        IVaultTypes.Rebalance memory request = _request(0, 0, 0);
        _refused(request, abi.encodeWithSelector(IVaultTypes.NotKeeper.selector, KEEPER));
        vm.prank(keeper);
        vault.rebalance(request);
    }

    function test_commitPolicy(bytes32 policy) public {
        vm.prank(GOVERNANCE);
        vm.expectEmit(address(vault));
        emit IVaultTypes.PolicyCommitted(policy);
        vault.commitPolicy(policy);
        assertEq(vault.policyHash(), policy);
    }

    function test_setFeeRecipient(address recipient) public {
        vm.prank(GOVERNANCE);
        vm.expectEmit(address(vault));
        emit IVaultTypes.FeeRecipientSet(recipient);
        vault.setFeeRecipient(recipient);
        assertEq(vault.feeRecipient(), recipient);
    }

    /* EVERY LIMIT, IN THE ORDER OF THE ENUM */

    function _range(IVaultTypes.Limit limit) private pure returns (uint256 least, uint256 most) {
        uint256[2][LIMITS] memory ranges = [
            [uint256(0), 1e18],
            [uint256(0), 1e18],
            [uint256(0), 1000e18],
            [uint256(0), 30 days],
            [uint256(1 hours), 365 days],
            [uint256(0), 1e18],
            [uint256(0), 1e18],
            [uint256(0), 10e18],
            [uint256(0), 10e18],
            [uint256(0), 0.3e18],
            [uint256(0), 1e18],
            [uint256(0), type(uint128).max]
        ];
        return (ranges[uint256(limit)][0], ranges[uint256(limit)][1]);
    }

    function _limit(IVaultTypes.Limit limit) private view returns (uint256) {
        return _words(vault.limits())[uint256(limit)];
    }

    function _with(IVaultTypes.Limits memory limits, uint256 i, uint256 value)
        private
        pure
        returns (IVaultTypes.Limits memory)
    {
        uint256[LIMITS] memory words = _words(limits);
        words[i] = value;
        return abi.decode(abi.encode(words), (IVaultTypes.Limits));
    }

    function _words(IVaultTypes.Limits memory limits) private pure returns (uint256[LIMITS] memory) {
        return abi.decode(abi.encode(limits), (uint256[12]));
    }

    function _outOfRange(uint256 value, uint256 maximum) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVaultTypes.LimitOutOfRange.selector, value, 0, maximum);
    }
}
