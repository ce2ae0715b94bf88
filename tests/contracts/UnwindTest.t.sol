// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {BaseTest} from "./BaseTest.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";

abstract contract UnwindTest is BaseTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0.1e18);
    }

    function test_unwind(address anyone, address stranger) public {
        vm.assume(stranger != address(a) && stranger != address(b) && stranger != address(c));
        vm.expectRevert(
            abi.encodeWithSelector(IVault.KeeperNotSilent.selector, vault.lastSeen(), vault.lastSeen() + MAX_SILENCE)
        );
        vm.prank(anyone);
        vault.unwind(address(a));
        _halt();
        vm.expectRevert(abi.encodeWithSelector(IVault.UnknownStrategy.selector, stranger));
        vm.prank(anyone);
        vault.unwind(stranger);

        uint256 shares = _shares(a);
        uint256 value = _value(a);
        uint256 idle = vault.idle();
        vm.expectEmit(address(vault));
        emit IVault.Unwound(anyone, address(a), shares, value);
        vm.prank(anyone);
        assertEq(vault.unwind(address(a)), value);
        assertEq(vault.idle(), idle + value);
        assertEq(_shares(a), 0);
    }

    function test_unwind_allThenEverybodyLeaves() public {
        _deposit(BOB, 500 * UNIT);
        _halt();
        uint256 nav = vault.totalAssets();
        vault.unwind(address(a));
        vault.unwind(address(b));
        vault.unwind(address(c));
        assertApproxEqAbs(vault.idle(), nav, 3);
        assertEq(vault.idle(), vault.totalAssets());

        uint256 paid = _redeemAll(ALICE) + _redeemAll(BOB);
        assertApproxEqAbs(paid, nav, 5);
    }

    /// @dev An illiquid strategy gives what it has, and the rest when it can.
    function test_unwind_partly(uint256 liquid) public {
        liquid = bound(liquid, 0, 200 * UNIT);
        _halt();
        uint256 value = _value(b);
        b.setLiquidity(liquid);
        assertApproxEqAbs(vault.unwind(address(b)), liquid, 1);
        b.setLiquidity(type(uint256).max);
        vault.unwind(address(b));
        assertEq(_shares(b), 0);
        assertApproxEqAbs(vault.idle(), 200 * UNIT + value, 2);
    }

    /// @dev One that reverts does not keep the others from being unwound.
    function test_unwind_pastABrokenStrategy() public {
        _halt();
        a.setFault(MockStrategy.Part.Withdraw, MockStrategy.Fault.Revert);
        vm.expectRevert(abi.encodeWithSelector(MockStrategy.Broken.selector, MockStrategy.Part.Withdraw));
        vault.unwind(address(a));
        vault.unwind(address(b));
        vault.unwind(address(c));
        assertEq(vault.idle(), vault.totalAssets() - _value(a));

        a.setFault(MockStrategy.Part.Withdraw, MockStrategy.Fault.None);
        vault.unwind(address(a));
        assertEq(vault.idle(), vault.totalAssets());
    }

    function test_unwind_onlyWhatIsInTheBooks(uint256 donated) public {
        donated = bound(donated, 1, 1000 * UNIT);
        _halt();
        asset.mint(address(this), donated);
        asset.approve(address(b), donated);
        b.deposit(donated, address(vault));
        assertEq(vault.unwind(address(b)), 200 * UNIT);
        assertEq(vault.unwind(address(b)), 0);
    }
}

contract UnwindTest6 is UnwindTest {
    constructor() BaseTest(6) {}
}

contract UnwindTest8 is UnwindTest {
    constructor() BaseTest(8) {}
}

contract UnwindTest18 is UnwindTest {
    constructor() BaseTest(18) {}
}
