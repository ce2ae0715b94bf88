// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {ISelf} from "../../../contracts/interfaces/ISelf.sol";
import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {Vault} from "../../../contracts/Vault.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";

/// @notice A strategy that calls back, and calls that are meant for the vault itself or its governance's code.
abstract contract ReentryTest is AttackTest {
    bytes[] internal calls;

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.4e18, 0.2e18, 0);
        uint256[] memory none = new uint256[](0);
        address me = address(a);
        calls.push(abi.encodeWithSignature("deposit(uint256,address)", 0, me));
        calls.push(abi.encodeWithSignature("deposit(uint256,address)", 1, me));
        calls.push(abi.encodeWithSignature("mint(uint256,address)", 1, me));
        calls.push(abi.encodeWithSignature("deposit(uint256,address,uint256)", 1, me, 0));
        calls.push(abi.encodeWithSignature("withdraw(uint256,address,address)", 0, me, me));
        calls.push(abi.encodeWithSignature("redeem(uint256,address,address)", 0, me, me));
        calls.push(abi.encodeWithSignature("withdraw(uint256,address,address,uint256)", 0, me, me, 1));
        calls.push(abi.encodeWithSignature("redeem(uint256,address,address,uint256)", 0, me, me, 0));
        calls.push(abi.encodeCall(vault.redeemInKind, (0, me, me, none)));
        calls.push(abi.encodeCall(vault.trip, ()));
        calls.push(abi.encodeCall(vault.unwind, (address(b), 1)));
        calls.push(abi.encodeCall(vault.draw, (1, 1, 1, 0, false)));
        calls.push(abi.encodeCall(vault.rebalance, (_request(HOLD, HOLD, HOLD))));
        calls.push(abi.encodeCall(vault.heartbeat, ()));
        calls.push(abi.encodeCall(vault.resign, ()));
        calls.push(abi.encodeCall(vault.halt, ()));
        calls.push(abi.encodeCall(vault.restate, (1)));
        calls.push(abi.encodeCall(vault.sweep, (me, me)));
        // Views that make a price, or say what could be had.
        calls.push(abi.encodeCall(vault.totalAssets, ()));
        calls.push(abi.encodeCall(vault.sharePrice, ()));
        calls.push(abi.encodeCall(vault.valuation, ()));
        calls.push(abi.encodeCall(vault.valued, ()));
        calls.push(abi.encodeCall(vault.convertToAssets, (1)));
        calls.push(abi.encodeCall(vault.convertToShares, (1)));
        calls.push(abi.encodeCall(vault.previewDeposit, (1)));
        calls.push(abi.encodeCall(vault.previewMint, (1)));
        calls.push(abi.encodeCall(vault.previewWithdraw, (1)));
        calls.push(abi.encodeCall(vault.previewRedeem, (1)));
        calls.push(abi.encodeCall(vault.maxDeposit, (me)));
        calls.push(abi.encodeCall(vault.maxMint, (me)));
        calls.push(abi.encodeCall(vault.maxWithdraw, (ALICE)));
        calls.push(abi.encodeCall(vault.maxRedeem, (ALICE)));
        calls.push(abi.encodeCall(vault.highWaterMark, ()));
        calls.push(abi.encodeCall(vault.drawdownFloor, ()));
    }

    /// @dev From a deposit, a rebalance's redemption, a withdrawal's draw, and an unwind.
    function test_callback_getsNothing(uint256 which, uint256 from) public {
        a.setCallback(address(vault), calls[bound(which, 0, calls.length - 1)]);
        from %= 4;
        if (from == 0) _rebalance(0.5e18, HOLD, HOLD);
        if (from == 1) _rebalance(0.3e18, HOLD, HOLD);
        if (from == 2) {
            vm.prank(ALICE);
            vault.withdraw(700 * UNIT, ALICE, ALICE);
        }
        if (from == 3) {
            vm.prank(GOVERNANCE);
            vault.halt();
            vault.unwind(address(a), type(uint256).max);
        }
        assertTrue(a.called(), "no callback");
        assertFalse(a.callSucceeded());
    }

    function test_draw_isForTheVault(address caller, uint256 position, uint256 amount, uint256 allowed, bool probe)
        public
    {
        vm.assume(caller != address(vault));
        vm.prank(caller);
        vm.expectRevert(IVaultTypes.OnlySelf.selector);
        vault.draw(position, amount, amount, allowed, probe);
    }

    /// @dev No call of the vault can be turned on itself: as a strategy, as a token to sweep, or as a receiver.
    function test_vault_isNoTargetOfItsOwn() public {
        vm.startPrank(GOVERNANCE);
        vm.expectRevert(IVaultTypes.ZeroAddress.selector);
        vault.addStrategy(address(vault), 1e18, 1);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotSweepable.selector, address(vault)));
        vault.sweep(address(vault), GOVERNANCE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotSweepable.selector, address(a)));
        vault.sweep(address(a), GOVERNANCE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotSweepable.selector, address(asset)));
        vault.sweep(address(asset), GOVERNANCE);
    }

    /// @dev The governance's code called where it stands: it changes nothing of the vault, and strangers change nothing there.
    function test_governanceCode_directly(address caller, uint256 which) public {
        vm.assume(caller != GOVERNANCE && caller != address(authority));
        address code_ = vm.computeCreateAddress(address(vault), 1);
        assertGt(code_.code.length, 0, "the governance's code");
        bytes[] memory governed = new bytes[](8);
        governed[0] = abi.encodeCall(vault.loosen, (IVaultTypes.Limit.IdleFloor, 0));
        governed[1] = abi.encodeCall(vault.setKeeper, (caller));
        governed[2] = abi.encodeCall(vault.writeOff, (address(a)));
        governed[3] = abi.encodeCall(vault.halt, ());
        governed[4] = abi.encodeCall(vault.sweep, (address(a), caller));
        governed[5] = abi.encodeCall(vault.restate, (1));
        governed[6] = abi.encodeCall(vault.loosenCaps, (address(a), 1e18, 1));
        governed[7] = abi.encodeWithSignature("setAuthority(address)", caller);
        bytes memory call = governed[bound(which, 0, 7)];
        bytes memory before = abi.encode(vault.limits(), vault.strategies(), vault.keeper(), vault.halted());
        vm.prank(caller);
        (bool ok,) = code_.call(call);
        assertFalse(ok);
        vm.prank(GOVERNANCE);
        (ok,) = code_.call(call);
        assertEq(abi.encode(vault.limits(), vault.strategies(), vault.keeper(), vault.halted()), before);
        vm.prank(caller);
        (ok,) = address(vault).call(call);
        assertFalse(ok);
    }
}

contract ReentryTest6 is ReentryTest {
    constructor() BaseTest(6) {}
}

contract ReentryTest18 is ReentryTest {
    constructor() BaseTest(18) {}
}
