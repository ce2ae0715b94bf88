// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {LossyStrategy} from "./mocks/LossyStrategy.sol";
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
            abi.encodeWithSelector(
                IVaultTypes.KeeperNotSilent.selector, vault.lastSeen(), vault.lastSeen() + MAX_SILENCE
            )
        );
        vm.prank(anyone);
        vault.unwind(address(a), type(uint256).max);
        _halt();
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.UnknownStrategy.selector, stranger));
        vm.prank(anyone);
        vault.unwind(stranger, type(uint256).max);

        uint256 shares = _shares(a);
        uint256 value = _value(a);
        uint256 idle = vault.idle();
        vm.expectEmit(address(vault));
        emit IVaultTypes.Unwound(anyone, address(a), shares, value, 0);
        vm.prank(anyone);
        assertEq(vault.unwind(address(a), type(uint256).max), value);
        assertEq(vault.idle(), idle + value);
        assertEq(_shares(a), 0);
    }

    function test_unwind_allThenEverybodyLeaves() public {
        _deposit(BOB, 500 * UNIT);
        _halt();
        uint256 nav = vault.totalAssets();
        vault.unwind(address(a), type(uint256).max);
        vault.unwind(address(b), type(uint256).max);
        vault.unwind(address(c), type(uint256).max);
        assertApproxEqAbs(vault.idle(), nav, 3);
        assertEq(vault.idle(), vault.totalAssets());

        uint256 paid = _redeemAll(ALICE) + _redeemAll(BOB);
        assertApproxEqAbs(paid, nav, 5);
    }

    /// @dev An illiquid strategy gives what it has, and the rest when it can.
    function test_unwind_partly(uint256 liquid) public {
        liquid = bound(liquid, 1, 200 * UNIT);
        _halt();
        uint256 value = _value(b);
        b.setLiquidity(liquid);
        uint256 received = vault.unwind(address(b), type(uint256).max);
        assertApproxEqAbs(received, liquid, 1);
        b.setLiquidity(type(uint256).max);
        if (_shares(b) != 0) vault.unwind(address(b), type(uint256).max);
        assertEq(_shares(b), 0);
        assertApproxEqAbs(vault.idle(), 200 * UNIT + value, 2);
    }

    /// @dev One that says it can pay nothing is asked for everything, and has its own word for no.
    function test_unwind_withoutLiquidity() public {
        _halt();
        uint256 shares = _shares(b);
        b.setLiquidity(0);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, address(vault), shares, 0));
        vault.unwind(address(b), type(uint256).max);
    }

    /// @dev One that reverts does not keep the others from being unwound.
    function test_unwind_pastABrokenStrategy() public {
        _halt();
        a.setFault(MockStrategy.Part.Withdraw, MockStrategy.Fault.Revert);
        vm.expectRevert(abi.encodeWithSelector(MockStrategy.Broken.selector, MockStrategy.Part.Withdraw));
        vault.unwind(address(a), type(uint256).max);
        vault.unwind(address(b), type(uint256).max);
        vault.unwind(address(c), type(uint256).max);
        assertEq(vault.idle(), vault.totalAssets() - _value(a));

        a.setFault(MockStrategy.Part.Withdraw, MockStrategy.Fault.None);
        vault.unwind(address(a), type(uint256).max);
        assertEq(vault.idle(), vault.totalAssets());
    }

    function test_unwind_onlyWhatIsInTheBooks(uint256 donated) public {
        donated = bound(donated, 1, 1000 * UNIT);
        _halt();
        asset.mint(address(this), donated);
        asset.approve(address(b), donated);
        b.deposit(donated, address(vault));
        assertEq(vault.unwind(address(b), type(uint256).max), 200 * UNIT);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NothingToUnwind.selector, address(b)));
        vault.unwind(address(b), type(uint256).max);
    }

    /* IN PARTS */

    /// @dev As much as was asked for, to a share; and again, until nothing is left.
    function test_unwind_inParts(uint256 first, uint256 second) public {
        _halt();
        uint256 value = _value(b);
        first = bound(first, 1, value - 2);
        uint256 received = vault.unwind(address(b), first);
        assertApproxEqAbs(received, first, 1);
        assertApproxEqAbs(_value(b), value - received, 1);
        second = bound(second, 1, _value(b));
        received += vault.unwind(address(b), second);
        assertApproxEqAbs(received, first + second, 2);
        if (_shares(b) != 0) received += vault.unwind(address(b), type(uint256).max);
        assertApproxEqAbs(received, value, 2);
        assertEq(_shares(b), 0);
        assertEq(vault.strategies()[1].recorded, 0);
        assertEq(vault.totalAssets(), vault.idle() + _value(a) + _value(c));
    }

    function test_unwind_nothing() public {
        _rebalance(HOLD, 0, HOLD);
        _halt();
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NothingToUnwind.selector, address(b)));
        vault.unwind(address(b), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NothingToUnwind.selector, address(a)));
        vault.unwind(address(a), 0);
    }

    /* AT WHAT COST */

    /// @dev Up to `UnwindLoss` of what is unwound, and a unit more is refused; a part may pass where the whole does not, or
    /// the other way round.
    function test_unwind_exitTooDear(uint256 assets, uint256 most) public {
        _halt();
        most = bound(most, 0, 0.5e18);
        _setLimit(IVaultTypes.Limit.UnwindLoss, most);
        assets = bound(assets, UNIT, 200 * UNIT);
        uint256 allowed = assets * most / WAD + 2;
        b.setSlippage(allowed + 1);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.ExitTooDear.selector, address(b), allowed + 1, allowed));
        vault.unwind(address(b), assets);

        b.setSlippage(allowed);
        vm.expectEmit(address(vault));
        emit IVaultTypes.Unwound(address(this), address(b), assets, assets - allowed, allowed);
        assertEq(vault.unwind(address(b), assets), assets - allowed);
    }

    /// @dev A venue whose depth is gone: all at once costs too much, a little now and then does not.
    function test_unwind_whatCostsTooMuchAtOnce() public {
        LossyStrategy lossy = new LossyStrategy(asset, MALLORY);
        _add(address(lossy), 0.2e18, type(uint128).max);
        uint256[] memory weights = new uint256[](4);
        (weights[0], weights[1], weights[2], weights[3]) = (HOLD, HOLD, HOLD, 0.1e18);
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
        _halt();
        lossy.setImpact(0.02e18);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.ExitTooDear.selector, address(lossy), 2 * UNIT, UNIT + 2));
        vault.unwind(address(lossy), type(uint256).max);
        lossy.setImpact(0.01e18);
        assertEq(vault.unwind(address(lossy), 40 * UNIT), 40 * UNIT - 40 * UNIT / 100);
        assertEq(vault.unwind(address(lossy), type(uint256).max), 60 * UNIT - 60 * UNIT / 100);
    }

    /* WITHOUT A VALUATION */

    /// @dev One that cannot be valued, but pays: what is recorded of it stands for its value.
    function test_unwind_whatCannotBeValued(uint256 assets, uint256 lost) public {
        _halt();
        uint256 recorded = vault.strategies()[1].recorded;
        assertEq(recorded, 200 * UNIT);
        assets = bound(assets, UNIT, recorded);
        uint256 allowed = assets / 100 + 2;
        lost = bound(lost, 0, 2 * allowed);
        b.setSlippage(lost);
        vm.mockCallRevert(address(b), abi.encodeWithSelector(b.previewRedeem.selector), "");
        assertFalse(vault.valued());
        if (lost > allowed) {
            vm.expectRevert(abi.encodeWithSelector(IVaultTypes.ExitTooDear.selector, address(b), lost, allowed));
        }
        uint256 received = vault.unwind(address(b), assets);
        if (lost > allowed) return;
        assertEq(received, assets - lost);
        assertEq(vault.strategies()[1].recorded, recorded - assets);
    }

    /// @dev One that has been valued until it was unwound is not believed to have been worth nothing: it stays.
    function test_unwind_valuationThatFailsMeanwhile() public {
        _halt();
        b.setCallback(
            address(b), abi.encodeCall(b.setFault, (MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.Revert))
        );
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.ValuationFailed.selector, address(b)));
        vault.unwind(address(b), 100 * UNIT);
    }

    /// @dev Some strategies never say what they can pay, and pay.
    function test_unwind_withoutAMaximum(uint256 assets) public {
        _halt();
        assets = bound(assets, 1, 200 * UNIT);
        vm.mockCall(address(b), abi.encodeCall(b.maxRedeem, (address(vault))), abi.encode(0));
        assertEq(vault.unwind(address(b), assets), assets);
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
