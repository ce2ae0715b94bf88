// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {BaseTest} from "../BaseTest.sol";
import {LossyStrategy} from "../mocks/LossyStrategy.sol";
import {HostileKeeper} from "./HostileKeeper.sol";

/// @notice The promises that no sequence of actions may break, with the keeper's key stolen. The largest theft that the
/// campaign reached goes to out/worst_case_stolen_key-<decimals>.json, as a share (WAD) of the bound; `make audit` reads it.
abstract contract VaultInvariants is BaseTest {
    address internal constant GUARDIAN = address(0x6a7d);
    uint64 internal constant GUARDIAN_ROLE = 1;
    address internal immutable FEES = makeAddr("fees");

    HostileKeeper internal handler;
    LossyStrategy internal lossy;

    function _limits() internal view override returns (IVault.Limits memory) {
        return IVault.Limits({
            idleFloor: IDLE_FLOOR,
            maxDrawdown: MAX_DRAWDOWN,
            markGrowthRate: MARK_GROWTH_RATE,
            cooldown: 10 minutes,
            maxSilence: 30 days,
            lossCapacity: 0.01e18,
            lossRefill: uint64(0.01e18) / 7 days,
            turnoverCapacity: 1.5e18,
            turnoverRefill: uint64(1e18) / 1 days,
            performanceFee: DECIMALS == 18 ? 0.1e18 : 0
        });
    }

    function setUp() public override {
        super.setUp();
        lossy = new LossyStrategy(asset, MALLORY);
        vm.prank(GOVERNANCE);
        vault.removeStrategy(address(c));
        _add(address(lossy), 0.4e18, uint128(300_000 * UNIT));
        _appointGuardian();
        vm.prank(GOVERNANCE);
        vault.setFeeRecipient(FEES);
        _deposit(ALICE, 1000 * UNIT);

        address[] memory depositors = new address[](5);
        (depositors[0], depositors[1], depositors[2], depositors[3]) = (KEEPER, ALICE, BOB, MALLORY);
        depositors[4] = FEES;
        handler = new HostileKeeper(vault, a, b, lossy, GOVERNANCE, depositors, 1_000_000 * UNIT);
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), _actions()));
        vm.createDir("out", true);
        vm.writeJson(_report(0), _path());
    }

    function _appointGuardian() private {
        bytes4[] memory selectors = new bytes4[](4);
        selectors[0] = IVault.tighten.selector;
        selectors[1] = IVault.tightenCaps.selector;
        selectors[2] = IVault.halt.selector;
        selectors[3] = IVault.cutKeeper.selector;
        vm.startPrank(GOVERNANCE);
        authority.setTargetFunctionRole(address(vault), selectors, GUARDIAN_ROLE);
        authority.grantRole(GUARDIAN_ROLE, GUARDIAN, 0);
        vm.stopPrank();
    }

    function _actions() private pure returns (bytes4[] memory actions) {
        bytes4[26] memory list = [
            HostileKeeper.rebalance.selector,
            HostileKeeper.rebalance.selector,
            HostileKeeper.steal.selector,
            HostileKeeper.steal.selector,
            HostileKeeper.stealWithFlashDeposit.selector,
            HostileKeeper.deposit.selector,
            HostileKeeper.mint.selector,
            HostileKeeper.withdraw.selector,
            HostileKeeper.redeem.selector,
            HostileKeeper.redeemInKind.selector,
            HostileKeeper.donateAssets.selector,
            HostileKeeper.donateStrategyShares.selector,
            HostileKeeper.gain.selector,
            HostileKeeper.lose.selector,
            HostileKeeper.setLiquidity.selector,
            HostileKeeper.setFault.selector,
            HostileKeeper.wait.selector,
            HostileKeeper.wait.selector,
            HostileKeeper.trip.selector,
            HostileKeeper.unwind.selector,
            HostileKeeper.heartbeat.selector,
            HostileKeeper.tighten.selector,
            HostileKeeper.tightenCaps.selector,
            HostileKeeper.guardianTriesToLoosen.selector,
            HostileKeeper.cutKeeper.selector,
            HostileKeeper.resume.selector
        ];
        actions = new bytes4[](list.length + 1);
        for (uint256 i; i < list.length; ++i) {
            actions[i] = list[i];
        }
        actions[list.length] = HostileKeeper.halt.selector;
    }

    /// @dev One campaign for all of it; the two parts say what is promised.
    function invariant_theWallsHold() public view {
        _assertEveryActionKeptItsPromises();
        _assertTheBooksAreRight();
    }

    /// @dev Loss and turnover budgets within any window, caps and idle floor after each rebalance; share price not lowered
    /// by deposits, withdrawals and donations; high-water mark within its bound; halted stays halted; the epoch only grows;
    /// a guardian loosens nothing; leaving in kind works in every state; previews and max functions are true. The handler
    /// checks them at every action, and this finds what it noticed.
    function _assertEveryActionKeptItsPromises() private view {
        assertEq(handler.broken(), "");
    }

    /// @dev Claims are covered; NAV is idle and what the booked shares are worth; the books are backed by real shares;
    /// nothing is left approved; and of what governance set, nothing has changed.
    function _assertTheBooksAreRight() private view {
        uint256 nav = asset.balanceOf(address(vault));
        IVault.Strategy[] memory all = vault.strategies();
        assertEq(all.length, 3);
        for (uint256 i; i < all.length; ++i) {
            nav += handler.worth(address(all[i].target), all[i].shares);
            assertLe(all[i].shares, all[i].target.balanceOf(address(vault)), "books not backed");
            assertEq(asset.allowance(address(vault), address(all[i].target)), 0, "approval left");
        }
        assertEq(vault.totalAssets(), nav);
        assertLe(vault.convertToAssets(vault.totalSupply()), nav, "claims not covered");
        assertEq(vault.policyHash(), POLICY);
        assertEq(address(all[0].target), address(a));
        assertEq(all[0].relativeCap, 0.6e18);
        assertEq(all[2].absoluteCap, uint128(300_000 * UNIT));
    }

    function afterInvariant() public {
        uint256 worst = vm.parseJsonUint(vm.readFile(_path()), ".worst_case_stolen_key");
        if (handler.worst() > worst) vm.writeJson(_report(handler.worst()), _path());
        handler.everybodyLeaves();
        assertEq(handler.broken(), "");
    }

    function _path() private view returns (string memory) {
        return string.concat("out/worst_case_stolen_key-", vm.toString(DECIMALS), ".json");
    }

    function _report(uint256 worst) private pure returns (string memory) {
        return string.concat('{"worst_case_stolen_key": "', vm.toString(worst), '"}');
    }
}

contract VaultInvariants6 is VaultInvariants {
    constructor() BaseTest(6) {}
}

contract VaultInvariants18 is VaultInvariants {
    constructor() BaseTest(18) {}
}
