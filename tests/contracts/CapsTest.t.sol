// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {BaseTest} from "./BaseTest.sol";
import {Token} from "./mocks/Token.sol";

abstract contract CapsTest is BaseTest {
    uint256 internal constant NAV = 1000;

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, NAV * UNIT);
    }

    function test_relativeCap(uint64 cap, uint256 over) public {
        cap = uint64(bound(cap, 0, 0.97e18));
        uint256 limit = NAV * UNIT * cap / WAD;
        // The smallest weight above the cap that is worth at least one unit more.
        over = bound(over, cap + WAD / (NAV * UNIT) + 1, 0.99e18);
        _setCaps(a, cap, type(uint128).max);
        _refused(over, 0, 0, _relative(address(a), NAV * UNIT * over / WAD, limit));

        _rebalance(cap, 0, 0);
        assertEq(_value(a), limit);
    }

    function test_absoluteCap(uint256 cap, uint256 over) public {
        cap = bound(cap, 0, NAV * UNIT / 2);
        over = bound(over, cap + 1, NAV * UNIT * 6 / 10);
        _setCaps(a, 0.6e18, uint128(cap));
        uint256 weight = (over * WAD + NAV * UNIT - 1) / (NAV * UNIT);
        over = NAV * UNIT * weight / WAD;
        _refused(weight, 0, 0, abi.encodeWithSelector(IVault.AbsoluteCapExceeded.selector, address(a), over, cap));

        _rebalance(cap * WAD / (NAV * UNIT), 0, 0);
        assertLe(_value(a), cap);
    }

    function test_hugeWeightsAreRefused(uint256 weight) public {
        weight = bound(weight, 0.6e18 + WAD / (NAV * UNIT) + 1, type(uint256).max - 1);
        IVault.Rebalance memory request = _request(weight, 0, 0);
        vm.expectRevert();
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev A position that grew over its cap is not forced down, but no rebalance leaves it there.
    function test_heldPositionOverItsCap(uint256 gain) public {
        _rebalance(0.6e18, 0.2e18, 0.1e18);
        a.gain(bound(gain, 10 * UNIT, 100 * UNIT));
        uint256 nav = vault.totalAssets();
        _refused(HOLD, 0.1e18, HOLD, _relative(address(a), _value(a), nav * 6 / 10));

        _rebalance(0.6e18, HOLD, HOLD);
        assertLe(_value(a), nav * 6 / 10);
    }

    function test_loweredCapBindsAtOnce() public {
        _rebalance(0.6e18, 0.2e18, 0);
        _setCaps(a, 0.3e18, type(uint128).max);
        _refused(HOLD, 0.1e18, 0, _relative(address(a), 600 * UNIT, 300 * UNIT));
        _rebalance(0.3e18, 0.5e18, 0);
        assertEq(_value(a), 300 * UNIT);

        _setCaps(a, 0, 0);
        _rebalance(0, HOLD, 0);
        assertEq(_value(a), 0);
    }

    /// @dev A gain inside the transaction widens nothing: the cap is a share of the NAV before it.
    function test_relativeCapIsOfNavBefore(uint256 bonus) public {
        bonus = bound(bonus, 10 * UNIT, 100 * UNIT);
        // On deposit, strategy `a` doubles NAV, and `b` then lifts `a` over its cap of what NAV was.
        a.setCallback(address(asset), abi.encodeCall(Token.mint, (address(vault), NAV * UNIT)));
        b.setCallback(address(asset), abi.encodeCall(Token.mint, (address(a), bonus)));
        IVault.Rebalance memory request = _request(0.6e18, 0.3e18, 0);
        vm.expectPartialRevert(IVault.RelativeCapExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    function test_absoluteCapIsCheckedAfterwards(uint256 bonus) public {
        bonus = bound(bonus, 10 * UNIT, 100 * UNIT);
        _setCaps(a, 0.9e18, uint128(500 * UNIT));
        b.setCallback(address(asset), abi.encodeCall(Token.mint, (address(a), bonus)));
        IVault.Rebalance memory request = _request(0.5e18, 0.3e18, 0);
        vm.expectPartialRevert(IVault.AbsoluteCapExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev Caps bind the keeper, not the depositors: whoever leaves may push a share up, and can still leave.
    function test_withdrawalsAreNotCapped() public {
        _rebalance(0.6e18, 0.2e18, 0);
        vm.prank(ALICE);
        vault.withdraw(200 * UNIT, ALICE, ALICE);
        assertGt(_value(a) * WAD / vault.totalAssets(), 0.6e18);
    }

    function _relative(address strategy, uint256 assets, uint256 cap) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVault.RelativeCapExceeded.selector, strategy, assets, cap);
    }
}

contract CapsTest6 is CapsTest {
    constructor() BaseTest(6) {}
}

contract CapsTest8 is CapsTest {
    constructor() BaseTest(8) {}
}

contract CapsTest18 is CapsTest {
    constructor() BaseTest(18) {}
}
