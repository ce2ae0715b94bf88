// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";
import {Token} from "./mocks/Token.sol";

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
        bytes4[] memory governor = new bytes4[](14);
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
        governor[11] = IVault.setGroup.selector;
        governor[12] = IVault.sweep.selector;
        governor[13] = IVault.restate.selector;
        vm.startPrank(GOVERNANCE);
        authority.setTargetFunctionRole(address(vault), _guardianSelectors(), GUARDIAN_ROLE);
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

    /// @dev The call waits for its delay, and then reverts with exactly this error.
    function _refusedAfterDelay(bytes memory call, bytes memory error) private {
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.startPrank(GOVERNOR);
        vm.expectRevert(error);
        authority.execute(address(vault), call);
        authority.cancel(GOVERNOR, address(vault), call);
        vm.stopPrank();
    }

    function _loosen(IVaultTypes.Limit limit, uint256 value) private {
        _afterDelay(abi.encodeCall(vault.loosen, (limit, value)));
    }

    function _setGroup(uint64 relativeCap, uint128 absoluteCap, uint16 members) private {
        _afterDelay(_groupCall(0, relativeCap, absoluteCap, members));
    }

    function _groupCall(uint256 index, uint64 relativeCap, uint128 absoluteCap, uint16 members)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(vault.setGroup, (index, IVaultTypes.Group(BOB, relativeCap, absoluteCap, members)));
    }

    /* LOOSENING WAITS */

    function test_governor_waits(uint256 early) public {
        early = bound(early, 1, DELAY);
        bytes memory call = abi.encodeCall(vault.loosen, (IVaultTypes.Limit.MaxDrawdown, 0.5e18));
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        vm.expectRevert();
        vm.prank(GOVERNOR);
        vault.loosen(IVaultTypes.Limit.MaxDrawdown, 0.5e18);

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
        IVaultTypes.Limit limit = IVaultTypes.Limit(which % LIMITS);
        uint256 current = _limit(limit);
        bool up = limit == IVaultTypes.Limit.IdleFloor || limit == IVaultTypes.Limit.Cooldown;
        if (value % 2 == 0) value = bound(value, 0, 2 * current + 1);
        vm.prank(GUARDIAN);
        try vault.tighten(limit, value) {
            assertTrue(limit != IVaultTypes.Limit.MaxGrowthRate);
            if (up) assertGt(_limit(limit), current);
            else assertLt(_limit(limit), current);
        } catch (bytes memory error) {
            assertEq(_limit(limit), current);
            bool tighter = limit != IVaultTypes.Limit.MaxGrowthRate && (up ? value > current : value < current);
            assertEq(bytes4(error), tighter ? IVaultTypes.LimitOutOfRange.selector : IVaultTypes.NotTighter.selector);
        }
    }

    function test_guardian_tightensCaps(uint64 relativeCap, uint128 absoluteCap) public {
        _afterDelay(abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18, 1000)));
        vm.startPrank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.UnknownStrategy.selector, ALICE));
        vault.tightenCaps(ALICE, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotTighter.selector, 0.5e18 + 1, 0.5e18));
        vault.tightenCaps(address(a), 0.5e18 + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotTighter.selector, 1001, 1000));
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

    function test_guardian_tightensGroups(uint64 relativeCap, uint128 absoluteCap) public {
        _setGroup(0.5e18, 1000, 5);
        vm.startPrank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotTighter.selector, 0.5e18 + 1, 0.5e18));
        vault.tightenGroup(0, 0.5e18 + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotTighter.selector, 1001, 1000));
        vault.tightenGroup(0, 0, 1001);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.LimitOutOfRange.selector, 1, 0, 1));
        vault.tightenGroup(1, 0, 0);

        relativeCap = uint64(bound(relativeCap, 0, 0.5e18));
        absoluteCap = uint128(bound(absoluteCap, 0, 1000));
        vm.expectEmit(address(vault));
        emit IVaultTypes.GroupSet(0, IVaultTypes.Group(BOB, relativeCap, absoluteCap, 5));
        vault.tightenGroup(0, relativeCap, absoluteCap);
        IVaultTypes.Group[] memory groups = vault.groups();
        assertEq(groups.length, 1);
        assertEq(abi.encode(groups[0]), abi.encode(IVaultTypes.Group(BOB, relativeCap, absoluteCap, 5)));
    }

    /// @dev However it asks, the guardian does nothing that is governance's.
    function test_guardian_isNotGovernance() public {
        bytes[14] memory calls = [
            abi.encodeCall(vault.loosen, (IVaultTypes.Limit.IdleFloor, 0)),
            abi.encodeCall(vault.loosenCaps, (address(a), 1e18, 1)),
            abi.encodeCall(vault.abdicate, (IVaultTypes.Limit.IdleFloor)),
            abi.encodeCall(vault.abdicateCaps, ()),
            abi.encodeCall(vault.addStrategy, (address(1), 1, 1)),
            abi.encodeCall(vault.removeStrategy, (address(a))),
            abi.encodeCall(vault.writeOff, (address(a))),
            abi.encodeCall(vault.setKeeper, (GUARDIAN)),
            abi.encodeCall(vault.commitPolicy, (DECISION)),
            abi.encodeCall(vault.setFeeRecipient, (GUARDIAN)),
            abi.encodeCall(vault.resume, ()),
            _groupCall(0, 1e18, 1, 7),
            abi.encodeCall(vault.sweep, (address(a), GUARDIAN)),
            abi.encodeCall(vault.restate, (1))
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
        _rebalance(0.5e18, 0, 0);
        vm.expectEmit(address(vault));
        emit IVaultTypes.Halted(GUARDIAN);
        vm.startPrank(GUARDIAN);
        vault.halt();
        vm.expectRevert(IVaultTypes.VaultHalted.selector);
        vault.halt();
        vm.stopPrank();
        assertTrue(vault.halted());
        vm.expectRevert(IVaultTypes.VaultHalted.selector);
        vault.trip();
        vault.unwind(address(a), type(uint256).max);
        assertEq(vault.idle(), 1000 * UNIT, "halted, anyone unwinds");
        _afterDelay(abi.encodeCall(vault.resume, ()));
        assertFalse(vault.halted());
    }

    function test_guardian_cutsTheKeeperOff() public {
        vm.expectEmit(address(vault));
        emit IVaultTypes.KeeperSet(address(0));
        vm.prank(GUARDIAN);
        vault.cutKeeper();
        IVaultTypes.Rebalance memory request = _request(0, 0, 0);
        _refused(request, abi.encodeWithSelector(IVaultTypes.NotKeeper.selector, KEEPER));
        _afterDelay(abi.encodeCall(vault.setKeeper, (BOB)));
        assertEq(vault.keeper(), BOB);
    }

    /* GIVING UP IS FOR EVER */

    /// @dev A value of each limit that can be both loosened and tightened.
    function _middle(uint256 limit) private pure returns (uint256) {
        uint256[LIMITS] memory values =
            [uint256(0.5e18), 0.5e18, 1e18, 1 days, 30 days, 0.5e18, 0.5e18, 1e18, 1e18, 0.1e18, 0.5e18, 1e12];
        return values[limit];
    }

    /// @dev A looser value for whoever asks for one unit more.
    function _looser(IVaultTypes.Limit limit, uint256 value) private pure returns (uint256) {
        return limit == IVaultTypes.Limit.IdleFloor || limit == IVaultTypes.Limit.Cooldown ? value - 1 : value + 1;
    }

    function test_abdicate_marksThatLimitAlone() public {
        for (uint256 given; given < LIMITS; ++given) {
            bytes memory call = abi.encodeCall(vault.abdicate, (IVaultTypes.Limit(given)));
            _schedule(call);
            vm.warp(block.timestamp + DELAY);
            vm.expectEmit(address(vault));
            emit IVaultTypes.LimitAbdicated(IVaultTypes.Limit(given));
            vm.prank(GOVERNOR);
            authority.execute(address(vault), call);
            for (uint256 i; i < LIMITS; ++i) {
                assertEq(vault.abdicated(IVaultTypes.Limit(i)), i <= given);
            }
            assertFalse(vault.capsAbdicated());
        }
    }

    /// @dev What the guardian tightens after that, governance may undo, up to the value that was given up and no further; and
    /// giving up again at the tight value takes nothing more away.
    function test_abdicate_undoneUpToTheValueGivenUp(uint256 which, uint256 tight, uint256 between) public {
        IVaultTypes.Limit limit = IVaultTypes.Limit(which % LIMITS);
        if (limit == IVaultTypes.Limit.MaxGrowthRate) return;
        bool up = limit == IVaultTypes.Limit.IdleFloor || limit == IVaultTypes.Limit.Cooldown;
        uint256 given = _middle(which % LIMITS);
        _loosen(limit, given);
        _afterDelay(abi.encodeCall(vault.abdicate, (limit)));
        bytes memory error = abi.encodeWithSelector(IVaultTypes.Abdicated.selector);
        _refusedAfterDelay(abi.encodeCall(vault.loosen, (limit, _looser(limit, given))), error);

        tight = up ? bound(tight, given + 1, 2 * given) : bound(tight, given / 2, given - 1);
        vm.prank(GUARDIAN);
        vault.tighten(limit, tight);
        _afterDelay(abi.encodeCall(vault.abdicate, (limit)));
        _refusedAfterDelay(abi.encodeCall(vault.loosen, (limit, _looser(limit, given))), error);
        between = up ? bound(between, given, tight) : bound(between, tight, given);
        _loosen(limit, between);
        _loosen(limit, given);
        assertEq(_limit(limit), given);
        _refusedAfterDelay(abi.encodeCall(vault.loosen, (limit, _looser(limit, given))), error);
    }

    /// @dev No rate of growth is tighter than another: the one that was given up stays, and so does what the bid counts.
    function test_abdicate_theGrowthRateStaysAsItIs(uint256 value) public {
        value = bound(value, 0, 1000e18);
        vm.assume(value != MAX_GROWTH_RATE);
        _afterDelay(abi.encodeCall(vault.abdicate, (IVaultTypes.Limit.MaxGrowthRate)));
        bytes memory error = abi.encodeWithSelector(IVaultTypes.Abdicated.selector);
        _refusedAfterDelay(abi.encodeCall(vault.loosen, (IVaultTypes.Limit.MaxGrowthRate, value)), error);
        _refusedAfterDelay(abi.encodeCall(vault.restate, (1)), error);
        vm.expectPartialRevert(IVaultTypes.NotTighter.selector);
        vm.prank(GUARDIAN);
        vault.tighten(IVaultTypes.Limit.MaxGrowthRate, value);
        _loosen(IVaultTypes.Limit.MaxGrowthRate, MAX_GROWTH_RATE);
        _loosen(IVaultTypes.Limit.MaxDrawdown, 0.5e18);
    }

    function test_abdicateCaps() public {
        _setGroup(0.6e18, 2000, 3);
        _afterDelay(abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18, 1000)));
        bytes memory call = abi.encodeCall(vault.abdicateCaps, ());
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(vault));
        emit IVaultTypes.CapsAbdicated();
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        assertTrue(vault.capsAbdicated());
        for (uint256 i; i < LIMITS; ++i) {
            assertFalse(vault.abdicated(IVaultTypes.Limit(i)));
        }
        bytes[8] memory calls = [
            abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18 + 1, 1000)),
            abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18, 1001)),
            abi.encodeCall(vault.addStrategy, (address(new MockStrategy(asset)), 1, 1)),
            _groupCall(0, 0.6e18 + 1, 2000, 3),
            _groupCall(0, 0.6e18, 2001, 3),
            _groupCall(0, 0.6e18, 2000, 1),
            _groupCall(0, 0.6e18, 2000, 0),
            _groupCall(1, 0, 0, 1)
        ];
        for (uint256 i; i < calls.length; ++i) {
            _refusedAfterDelay(calls[i], abi.encodeWithSelector(IVaultTypes.Abdicated.selector));
        }
        vm.prank(GUARDIAN);
        vault.tightenCaps(address(a), 0, 0);
        _afterDelay(abi.encodeCall(vault.removeStrategy, (address(a))));
    }

    /// @dev As with the limits: undone to the unit, and not beyond; also where caps were given up twice.
    function test_abdicateCaps_undoneUpToTheValuesGivenUp(uint64 relativeCap, uint128 absoluteCap) public {
        _setGroup(0.6e18, 2000, 3);
        _afterDelay(abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18, 1000)));
        _afterDelay(abi.encodeCall(vault.abdicateCaps, ()));
        vm.startPrank(GUARDIAN);
        vault.tightenCaps(address(a), uint64(bound(relativeCap, 0, 0.5e18)), uint128(bound(absoluteCap, 0, 1000)));
        vault.tightenGroup(0, uint64(bound(relativeCap, 0, 0.6e18)), uint128(bound(absoluteCap, 0, 2000)));
        vm.stopPrank();
        _afterDelay(abi.encodeCall(vault.abdicateCaps, ()));
        bytes memory error = abi.encodeWithSelector(IVaultTypes.Abdicated.selector);
        _refusedAfterDelay(abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18 + 1, 1000)), error);
        _refusedAfterDelay(_groupCall(0, 0.6e18, 2001, 3), error);

        _afterDelay(abi.encodeCall(vault.loosenCaps, (address(a), 0.5e18, 1000)));
        _setGroup(0.6e18, 2000, 3);
        assertEq(vault.strategies()[0].relativeCap, 0.5e18);
        assertEq(vault.strategies()[0].absoluteCap, 1000);
        assertEq(vault.groups()[0].relativeCap, 0.6e18);
        assertEq(vault.groups()[0].absoluteCap, 2000);
    }

    /* TOKENS THAT ARE NOT THE VAULT'S BUSINESS */

    /// @dev Rewards may be taken out; the asset, a strategy's shares and the vault's own shares never.
    function test_sweep(uint256 amount) public {
        amount = bound(amount, 1, type(uint128).max);
        _rebalance(0.5e18, 0.2e18, 0);
        vm.prank(ALICE);
        vault.transfer(address(vault), 1);
        address[4] memory kept = [address(asset), address(vault), address(a), address(c)];
        for (uint256 i; i < kept.length; ++i) {
            _refusedAfterDelay(
                abi.encodeCall(vault.sweep, (kept[i], GOVERNOR)),
                abi.encodeWithSelector(IVaultTypes.NotSweepable.selector, kept[i])
            );
        }
        Token reward = new Token(18);
        reward.mint(address(vault), amount);
        bytes memory call = abi.encodeCall(vault.sweep, (address(reward), BOB));
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(vault));
        emit IVaultTypes.Swept(address(reward), BOB, amount);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        assertEq(reward.balanceOf(BOB), amount);
        assertEq(reward.balanceOf(address(vault)), 0);
    }

    /* THE BID BY ANNOUNCEMENT */

    /// @dev After a gift the bid grows at once, to what was announced and to NAV at most; a strategy's lie after the
    /// announcement gets no more, and no announcement lowers the bid.
    function test_restate(uint256 gift, uint256 announced) public {
        gift = bound(gift, 200 * UNIT, MOST);
        announced = bound(announced, 0, 2 * MOST);
        asset.mint(address(vault), gift);
        vm.warp(block.timestamp + 1);
        vm.prank(ALICE);
        vault.redeem(0, ALICE, ALICE); // records
        bytes memory call = abi.encodeCall(vault.restate, (announced));
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        uint256 bid = vault.totalAssets();
        assertLt(bid, 1000 * UNIT + gift);
        uint256 expected = announced < bid ? bid : announced;
        if (expected > 1000 * UNIT + gift) expected = 1000 * UNIT + gift;
        vm.expectEmit(address(vault));
        emit IVaultTypes.Restated(expected);
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        assertEq(vault.totalAssets(), expected);
    }

    /* STRATEGIES */

    /// @dev The others keep their order, caps and shares; requests for the old order are void.
    function test_removeStrategy(uint256 which) public {
        MockStrategy[3] memory all = [a, b, c];
        which %= 3;
        _rebalance(which == 0 ? 0 : 0.1e18, which == 1 ? 0 : 0.2e18, which == 2 ? 0 : 0.3e18);
        IVaultTypes.Strategy[] memory before = vault.strategies();
        IVaultTypes.Rebalance memory request = _request(new uint256[](2));
        request.deadline = type(uint256).max;
        bytes memory call = abi.encodeCall(vault.removeStrategy, (address(all[which])));
        _schedule(call);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategyRemoved(address(all[which]));
        vm.prank(GOVERNOR);
        authority.execute(address(vault), call);
        _refused(request, abi.encodeWithSelector(IVaultTypes.WrongEpoch.selector, 1, 2));

        IVaultTypes.Strategy[] memory left = vault.strategies();
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

    function _limit(IVaultTypes.Limit limit) private view returns (uint256) {
        return abi.decode(abi.encode(vault.limits()), (uint256[12]))[uint256(limit)];
    }
}
