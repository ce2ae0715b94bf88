// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {LossyStrategy} from "../mocks/LossyStrategy.sol";
import {MockStrategy} from "../mocks/MockStrategy.sol";
import {VaultHarness} from "../utils/VaultHarness.sol";
import {HostileKeeper} from "./HostileKeeper.sol";
import {LyingStrategy} from "./LyingStrategy.sol";
import {Promises} from "./Promises.sol";

/// @notice The promises that no sequence of actions may break, with the keeper's key stolen and a strategy that lies. The
/// largest thefts that the campaign reached go to out/worst_case_stolen_key-<decimals>.json and
/// out/worst_case_lying_strategy-<decimals>.json, as shares (WAD) of their bounds; `make audit` reads them.
abstract contract VaultInvariants is BaseTest {
    address internal constant GUARDIAN = address(0x6a7d);
    uint64 internal constant GUARDIAN_ROLE = 1;
    string internal constant STOLEN_KEY = "worst_case_stolen_key";
    string internal constant LYING = "worst_case_lying_strategy";
    address internal immutable FEES = makeAddr("fees");

    HostileKeeper internal handler;
    LossyStrategy internal lossy;
    LyingStrategy internal liar;
    VaultHarness internal nested;

    function _limits() internal view override returns (IVaultTypes.Limits memory) {
        return IVaultTypes.Limits({
            idleFloor: IDLE_FLOOR,
            maxDrawdown: MAX_DRAWDOWN,
            maxGrowthRate: MAX_GROWTH_RATE,
            cooldown: 10 minutes,
            maxSilence: 30 days,
            lossCapacity: 0.01e18,
            lossRefill: uint64(0.01e18) / 7 days,
            turnoverCapacity: 1.5e18,
            turnoverRefill: uint64(1e18) / 1 days,
            performanceFee: DECIMALS == 18 ? 0.1e18 : 0,
            unwindLoss: 0.01e18,
            depositCap: uint128(5_000_000 * UNIT)
        });
    }

    function setUp() public override {
        super.setUp();
        lossy = new LossyStrategy(asset, MALLORY);
        liar = new LyingStrategy(asset);
        MockStrategy inner = new MockStrategy(asset);
        nested = _newVault(asset);
        vm.startPrank(GOVERNANCE);
        nested.addStrategy(address(inner), 1e18, type(uint128).max);
        nested.loosen(IVaultTypes.Limit.Cooldown, 0);
        nested.loosen(IVaultTypes.Limit.DepositCap, type(uint128).max);
        vault.removeStrategy(address(c));
        vm.stopPrank();
        _add(address(lossy), 0.4e18, uint128(300_000 * UNIT));
        _add(address(liar), 0.05e18, uint128(100_000 * UNIT));
        _add(address(nested), 0.3e18, type(uint128).max);
        _group(0, uint16(1 << 0 | 1 << 2), 0.8e18);
        _group(1, uint16(1 << 3 | 1 << 4), 0.3e18);
        _appointGuardian();
        vm.prank(GOVERNANCE);
        vault.setFeeRecipient(FEES);
        _deposit(ALICE, 1000 * UNIT);

        address[] memory depositors = new address[](5);
        (depositors[0], depositors[1], depositors[2], depositors[3]) = (KEEPER, ALICE, BOB, MALLORY);
        depositors[4] = FEES;
        Promises.Set memory set = Promises.Set(a, b, lossy, liar, nested, inner);
        handler = new HostileKeeper(vault, set, GOVERNANCE, MALLORY, depositors, 1_000_000 * UNIT);
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), _actions()));
        vm.createDir("out", true);
        vm.writeJson(_report(STOLEN_KEY, 0), _path(STOLEN_KEY));
        vm.writeJson(_report(LYING, 0), _path(LYING));
    }

    function _group(uint256 index, uint16 members, uint64 relativeCap) private {
        vm.prank(GOVERNANCE);
        vault.setGroup(index, IVaultTypes.Group(address(0), relativeCap, type(uint128).max, members));
    }

    function _appointGuardian() private {
        bytes4[] memory selectors = new bytes4[](5);
        selectors[0] = IVault.tighten.selector;
        selectors[1] = IVault.tightenCaps.selector;
        selectors[2] = IVault.halt.selector;
        selectors[3] = IVault.cutKeeper.selector;
        selectors[4] = IVault.tightenGroup.selector;
        vm.startPrank(GOVERNANCE);
        authority.setTargetFunctionRole(address(vault), selectors, GUARDIAN_ROLE);
        authority.grantRole(GUARDIAN_ROLE, GUARDIAN, 0);
        vm.stopPrank();
    }

    function _actions() private pure returns (bytes4[] memory actions) {
        bytes4[46] memory list = [
            HostileKeeper.lie.selector,
            HostileKeeper.lie.selector,
            HostileKeeper.makeExitsCostly.selector,
            HostileKeeper.rebalance.selector,
            HostileKeeper.rebalance.selector,
            HostileKeeper.rebalance.selector,
            HostileKeeper.steal.selector,
            HostileKeeper.steal.selector,
            HostileKeeper.stealWithFlashDeposit.selector,
            HostileKeeper.robWhileLow.selector,
            HostileKeeper.robWhileHigh.selector,
            HostileKeeper.deposit.selector,
            HostileKeeper.mint.selector,
            HostileKeeper.withdraw.selector,
            HostileKeeper.redeem.selector,
            HostileKeeper.withdrawBounded.selector,
            HostileKeeper.redeemBounded.selector,
            HostileKeeper.redeemInKind.selector,
            HostileKeeper.askWithLittleGas.selector,
            HostileKeeper.leaveWithLittleGas.selector,
            HostileKeeper.depositWithLittleGas.selector,
            HostileKeeper.tripWithLittleGas.selector,
            HostileKeeper.rebalanceWithLittleGas.selector,
            HostileKeeper.donateAssets.selector,
            HostileKeeper.donateStrategyShares.selector,
            HostileKeeper.gain.selector,
            HostileKeeper.lose.selector,
            HostileKeeper.setLiquidity.selector,
            HostileKeeper.setFault.selector,
            HostileKeeper.rebalanceNested.selector,
            HostileKeeper.wait.selector,
            HostileKeeper.wait.selector,
            HostileKeeper.trip.selector,
            HostileKeeper.unwind.selector,
            HostileKeeper.heartbeat.selector,
            HostileKeeper.resign.selector,
            HostileKeeper.tighten.selector,
            HostileKeeper.tightenCaps.selector,
            HostileKeeper.tightenGroup.selector,
            HostileKeeper.guardianTriesToLoosen.selector,
            HostileKeeper.halt.selector,
            HostileKeeper.cutKeeper.selector,
            HostileKeeper.resume.selector,
            HostileKeeper.resume.selector,
            HostileKeeper.sweep.selector,
            HostileKeeper.restate.selector
        ];
        actions = new bytes4[](list.length);
        for (uint256 i; i < list.length; ++i) {
            actions[i] = list[i];
        }
    }

    /// @dev One campaign for all of it; the two parts say what is promised.
    function invariant_theWallsHold() public view {
        _assertEveryActionKeptItsPromises();
        _assertTheBooksAreRight();
    }

    /// @dev Loss and turnover budgets within any window; caps of strategies and groups, liquidity and the idle floor after each
    /// rebalance; share price not lowered by deposits, withdrawals, exits in kind and gifts, nor by an unwinding beyond its
    /// limit; the bid grows at its rate, and the mark is its highest; what is recorded leaves with the shares; halted stays
    /// halted; the epoch only grows; a guardian loosens nothing; leaving in kind works in every state; previews and max
    /// functions are true, and there are none without a price; too little gas gives no wrong answer; an accomplice of a lying
    /// strategy takes no more than its bound. The handler checks them at every action, and this finds what it noticed.
    function _assertEveryActionKeptItsPromises() private view {
        assertEq(handler.broken(), "");
    }

    /// @dev Claims are covered; NAV is idle and what the booked shares are worth; the books are backed by real shares;
    /// nothing is left approved; and of what governance set, nothing has changed.
    function _assertTheBooksAreRight() private view {
        uint256 nav = asset.balanceOf(address(vault));
        IVaultTypes.Strategy[] memory all = vault.strategies();
        assertEq(all.length, 5);
        for (uint256 i; i < all.length; ++i) {
            nav += handler.claimed(address(all[i].target), all[i].shares);
            assertLe(all[i].shares, all[i].target.balanceOf(address(vault)), "books not backed");
            assertEq(asset.allowance(address(vault), address(all[i].target)), 0, "approval left");
        }
        if (vault.valued()) assertEq(vault.valuation().nav, nav);
        if (vault.valued()) assertLe(vault.convertToAssets(vault.totalSupply()), nav, "claims not covered");
        assertEq(vault.policyHash(), POLICY);
        assertEq(address(all[0].target), address(a));
        assertEq(all[0].relativeCap, 0.6e18);
        assertEq(all[2].absoluteCap, uint128(300_000 * UNIT));
        assertEq(vault.groups()[0].relativeCap, 0.8e18);
    }

    function afterInvariant() public {
        _keepWorst(STOLEN_KEY, handler.worst());
        _keepWorst(LYING, handler.worstLie());
        handler.everybodyLeaves();
        assertEq(handler.broken(), "");
    }

    function _keepWorst(string memory figure, uint256 reached) private {
        uint256 worst = vm.parseJsonUint(vm.readFile(_path(figure)), string.concat(".", figure));
        if (reached > worst) vm.writeJson(_report(figure, reached), _path(figure));
    }

    function _path(string memory figure) private view returns (string memory) {
        return string.concat("out/", figure, "-", vm.toString(DECIMALS), ".json");
    }

    function _report(string memory figure, uint256 worst) private pure returns (string memory) {
        return string.concat('{"', figure, '": "', vm.toString(worst), '"}');
    }
}

contract VaultInvariants6 is VaultInvariants {
    constructor() BaseTest(6) {}
}

contract VaultInvariants18 is VaultInvariants {
    constructor() BaseTest(18) {}
}
