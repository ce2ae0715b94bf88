// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {BaseTest} from "./BaseTest.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";

/// @notice Roles and delays as a real deployment has them: a guardian that acts at once, and a governor that waits.
contract GovernanceTest is BaseTest {
    uint64 internal constant ADMIN_ROLE = 0;
    uint64 internal constant GUARDIAN_ROLE = 1;
    uint64 internal constant GOVERNOR_ROLE = 2;
    uint32 internal constant DELAY = 3 days;
    address internal immutable GUARDIAN = makeAddr("guardian");
    address internal immutable GOVERNOR = makeAddr("governor");

    constructor() BaseTest(6) {}

    function setUp() public override {
        super.setUp();
        bytes4[] memory guardian = new bytes4[](4);
        guardian[0] = IVault.tighten.selector;
        guardian[1] = IVault.tightenCaps.selector;
        guardian[2] = IVault.halt.selector;
        guardian[3] = IVault.cutKeeper.selector;
        bytes4[] memory governor = new bytes4[](11);
        governor[0] = IVault.loosen.selector;
        governor[1] = IVault.loosenCaps.selector;
        governor[2] = IVault.abdicate.selector;
        governor[3] = IVault.abdicateCaps.selector;
        governor[4] = IVault.addStrategy.selector;
        governor[5] = IVault.removeStrategy.selector;
        governor[6] = IVault.writeOff.selector;
        governor[7] = IVault.setKeeper.selector;
        governor[8] = IVault.commitPolicy.selector;
        governor[9] = IVault.setFeeRecipient.selector;
        governor[10] = IVault.resume.selector;
        vm.startPrank(GOVERNANCE);
        authority.setTargetFunctionRole(address(vault), guardian, GUARDIAN_ROLE);
        authority.setTargetFunctionRole(address(vault), governor, GOVERNOR_ROLE);
        authority.setRoleGuardian(GOVERNOR_ROLE, GUARDIAN_ROLE);
        authority.grantRole(GUARDIAN_ROLE, GUARDIAN, 0);
        authority.grantRole(GOVERNOR_ROLE, GOVERNOR, DELAY);
        authority.grantRole(ADMIN_ROLE, GOVERNOR, DELAY);
        authority.renounceRole(ADMIN_ROLE, GOVERNANCE);
        vm.stopPrank();
        _deposit(ALICE, 1000 * UNIT);
    }

    function _schedule(bytes memory call) private {
        vm.prank(GOVERNOR);
        authority.schedule(address(vault), call, 0);
    }

    function _afterDelay(bytes memory call) private {
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
    }

    /* LOOSENING WAITS */

    function test_governor_waits(uint256 early) public {
        early = bound(early, 1, DELAY);
        bytes memory call = abi.encodeCall(vault.loosen, (IVault.Limit.MaxDrawdown, 0.5e18));
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        vm.expectRevert();
        vm.prank(GOVERNOR);
        vault.loosen(IVault.Limit.MaxDrawdown, 0.5e18);

        _schedule(call);
        uint256 ready = block.timestamp + DELAY;
        vm.warp(ready - early);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotReady.selector);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        assertEq(vault.limits().maxDrawdown, MAX_DRAWDOWN);

        vm.warp(ready);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        assertEq(vault.limits().maxDrawdown, 0.5e18);
    }

    function test_guardian_cancels() public {
        bytes memory call = abi.encodeCall(vault.loosenCaps, (address(a), 1e18, 1));
        _schedule(call);
        vm.expectPartialRevert(IAccessManager.AccessManagerUnauthorizedCancel.selector);
        vm.prank(MALLORY);
        authority.cancel(GOVERNOR, address(vault), call);
        vm.prank(GUARDIAN);
        authority.cancel(GOVERNOR, address(vault), call);
        vm.warp(block.timestamp + DELAY);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
    }

    /* TIGHTENING DOES NOT */

    function test_guardian_tightensAndNeverLoosens(uint256 which, uint256 value) public {
        IVault.Limit limit = IVault.Limit(which % 10);
        uint256 current = _limit(limit);
        bool up = limit == IVault.Limit.IdleFloor || limit == IVault.Limit.Cooldown;
        if (value % 2 == 0) value = bound(value, 0, 2 * current + 1);
        vm.prank(GUARDIAN);
        try vault.tighten(limit, value) {
            assertTrue(limit != IVault.Limit.MarkGrowthRate);
            if (up) assertGt(_limit(limit), current);
            else assertLt(_limit(limit), current);
        } catch (bytes memory error) {
            assertEq(_limit(limit), current);
            bool tighter = limit != IVault.Limit.MarkGrowthRate && (up ? value > current : value < current);
            assertEq(bytes4(error), tighter ? IVault.LimitOutOfRange.selector : IVault.NotTighter.selector);
        }
    }

    function test_guardian_tightensCaps(uint64 relativeCap, uint128 absoluteCap) public {
        _afterDelay(abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18, 1000)));
        vm.startPrank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(IVault.UnknownStrategy.selector, ALICE));
        vault.tightenCaps(ALICE, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotTighter.selector, 0.5e18 + 1, 0.5e18));
        vault.tightenCaps(address(a), 0.5e18 + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IVault.NotTighter.selector, 1001, 1000));
        vault.tightenCaps(address(a), 0, 1001);

        relativeCap = uint64(bound(relativeCap, 0, 0.5e18));
        absoluteCap = uint128(bound(absoluteCap, 0, 1000));
        vault.tightenCaps(address(a), relativeCap, absoluteCap);
        assertEq(vault.strategies()[0].relativeCap, relativeCap);
        assertEq(vault.strategies()[0].absoluteCap, absoluteCap);
    }

    /// @dev One of the two, while the other stays as it is.
    function test_guardian_tightensEitherCap() public {
        _afterDelay(abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18, 1000)));
        vm.startPrank(GUARDIAN);
        vault.tightenCaps(address(a), 0.5e18, 999);
        vault.tightenCaps(address(a), 0.4e18, 999);
        assertEq(vault.strategies()[0].relativeCap, 0.4e18);
        assertEq(vault.strategies()[0].absoluteCap, 999);
    }

    /// @dev However it asks, the guardian does nothing that is governance's.
    function test_guardian_isNotGovernance() public {
        bytes[11] memory calls = [
            abi.encodeCall(vault.loosen, (IVault.Limit.IdleFloor, 0)),
            abi.encodeCall(vault.loosenCaps, (address(a), 1e18, 1)),
            abi.encodeCall(vault.abdicate, (IVault.Limit.IdleFloor)),
            abi.encodeCall(vault.abdicateCaps, ()),
            abi.encodeCall(vault.addStrategy, (address(1), 1, 1)),
            abi.encodeCall(vault.removeStrategy, (address(a))),
            abi.encodeCall(vault.writeOff, (address(a))),
            abi.encodeCall(vault.setKeeper, (GUARDIAN)),
            abi.encodeCall(vault.commitPolicy, (DECISION)),
            abi.encodeCall(vault.setFeeRecipient, (GUARDIAN)),
            abi.encodeCall(vault.resume, ())
        ];
        for (uint256 i; i < calls.length; ++i) {
            vm.startPrank(GUARDIAN);
            (bool ok, bytes memory error) = address(vault).call(calls[i]);
            assertFalse(ok);
            assertEq(error, abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, GUARDIAN));
            vm.expectRevert();
            authority.schedule(address(vault), calls[i], 0);
            vm.stopPrank();
        }
    }

    function test_guardian_haltsAndOnlyGovernanceResumes() public {
        vm.expectEmit(address(vault));
        emit IVault.Halted(GUARDIAN);
        vm.startPrank(GUARDIAN);
        vault.halt();
        vm.expectRevert(IVault.VaultHalted.selector);
        vault.halt();
        vm.stopPrank();
        assertTrue(vault.halted());
        vm.expectRevert(IVault.VaultHalted.selector);
        vault.trip();
        vault.unwind(address(a));
        _afterDelay(abi.encodeCall(vault.resume, ()));
        assertFalse(vault.halted());
    }

    function test_guardian_cutsTheKeeperOff() public {
        vm.expectEmit(address(vault));
        emit IVault.KeeperSet(address(0));
        vm.prank(GUARDIAN);
        vault.cutKeeper();
        IVault.Rebalance memory request = _request(0, 0, 0);
        _refused(request, abi.encodeWithSelector(IVault.NotKeeper.selector, KEEPER));
        _afterDelay(abi.encodeCall(vault.setKeeper, (BOB)));
        assertEq(vault.keeper(), BOB);
    }

    /* GIVING UP IS FOR EVER */

    function test_abdicate(uint256 which) public {
        IVault.Limit limit = IVault.Limit(which % 10);
        bytes memory call = abi.encodeCall(vault.abdicate, (limit));
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(vault));
        emit IVault.LimitAbdicated(limit);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        for (uint256 i; i < 10; ++i) {
            assertEq(vault.abdicated(IVault.Limit(i)), i == uint256(limit));
        }
        assertFalse(vault.capsAbdicated());
        call = abi.encodeCall(vault.loosen, (limit, _limit(limit)));
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(IVault.Abdicated.selector);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        // Tightening stays possible, and so do the others.
        _afterDelay(abi.encodeCall(vault.loosen, (IVault.Limit((uint256(limit) + 1) % 10), 1 hours)));
        if (limit == IVault.Limit.MaxDrawdown) {
            vm.prank(GUARDIAN);
            vault.tighten(limit, 1);
        }
    }

    function test_abdicateCaps() public {
        bytes memory call = abi.encodeCall(vault.abdicateCaps, ());
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(vault));
        emit IVault.CapsAbdicated();
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        assertTrue(vault.capsAbdicated());
        for (uint256 i; i < 10; ++i) {
            assertFalse(vault.abdicated(IVault.Limit(i)));
        }
        bytes[2] memory calls = [
            abi.encodeCall(vault.loosenCaps, (address(a), 0, 0)),
            abi.encodeCall(vault.addStrategy, (address(new MockStrategy(asset)), 1, 1))
        ];
        for (uint256 i; i < 2; ++i) {
            _schedule(calls[i]);
            vm.warp(block.timestamp + DELAY);
            vm.expectRevert(IVault.Abdicated.selector);
            vm.prank(GOVERNOR);
            authority.execute(address(vault), calls[i]);
        }
        vm.prank(GUARDIAN);
        vault.tightenCaps(address(a), 0, 0);
        _afterDelay(abi.encodeCall(vault.removeStrategy, (address(a))));
    }

    /* STRATEGIES */

    /// @dev The others keep their order, caps and shares; requests for the old order are void.
    function test_removeStrategy(uint256 which) public {
        MockStrategy[3] memory all = [a, b, c];
        which %= 3;
        _rebalance(which == 0 ? 0 : 0.1e18, which == 1 ? 0 : 0.2e18, which == 2 ? 0 : 0.3e18);
        IVault.Strategy[] memory before = vault.strategies();
        IVault.Rebalance memory request = _request(new uint256[](2));
        request.deadline = type(uint256).max;
        bytes memory call = abi.encodeCall(vault.removeStrategy, (address(all[which])));
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(vault));
        emit IVault.StrategyRemoved(address(all[which]));
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        _refused(request, abi.encodeWithSelector(IVault.WrongEpoch.selector, 1, 2));

        IVault.Strategy[] memory left = vault.strategies();
        assertEq(left.length, 2);
        for (uint256 i; i < 2; ++i) {
            assertEq(abi.encode(left[i]), abi.encode(before[i < which ? i : i + 1]));
        }
        vault.totalAssets();
        _afterDelay(abi.encodeCall(vault.addStrategy, (address(all[which]), 0.5e18, 7)));
        assertEq(address(vault.strategies()[2].target), address(all[which]));
        for (uint256 i; i < 3; ++i) {
            _afterDelay(abi.encodeCall(vault.loosenCaps, (address(all[i]), 0.123e18, 9)));
        }
        left = vault.strategies();
        for (uint256 i; i < 3; ++i) {
            assertEq(left[i].relativeCap, 0.123e18);
        }
        vm.prank(GOVERNOR);
        vm.expectRevert();
        vault.removeStrategy(address(a));
    }

    function _limit(IVault.Limit limit) private view returns (uint256) {
        return abi.decode(abi.encode(vault.limits()), (uint256[10]))[uint256(limit)];
    }
}
