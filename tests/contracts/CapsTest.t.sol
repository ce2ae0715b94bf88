// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {FeeStrategy} from "./mocks/FeeStrategy.sol";
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
        _refused(weight, 0, 0, abi.encodeWithSelector(IVaultTypes.AbsoluteCapExceeded.selector, address(a), over, cap));

        _rebalance(cap * WAD / (NAV * UNIT), 0, 0);
        assertLe(_value(a), cap);
    }

    function test_hugeWeightsAreRefused(uint256 weight) public {
        weight = bound(weight, 0.6e18 + WAD / (NAV * UNIT) + 1, type(uint256).max - 1);
        IVaultTypes.Rebalance memory request = _request(weight, 0, 0);
        vm.expectRevert();
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev A position that grew over its cap, by a gift say, blocks no rebalance: it is not forced down, and not added to.
    function test_heldPositionOverItsCap(uint256 gain) public {
        _rebalance(0.6e18, 0.2e18, 0.1e18);
        a.gain(bound(gain, 10 * UNIT, 100 * UNIT));
        uint256 nav = _nav();
        uint256 value = _value(a);
        _rebalance(HOLD, 0.1e18, HOLD);
        assertEq(_value(a), value);
        _refused(0.7e18, HOLD, HOLD, _relative(address(a), _nav() * 7 / 10, vault.totalAssets() * 6 / 10));

        _rebalance(0.6e18, HOLD, HOLD);
        assertApproxEqAbs(_value(a), nav * 6 / 10, 2);
    }

    /// @dev Nor does a gift of a few units to a position at its exact cap.
    function test_giftBlocksNothing(uint256 gift) public {
        _rebalance(0.6e18, 0.2e18, 0.1e18);
        a.gain(bound(gift, 1, 3));
        _rebalance(HOLD, HOLD, HOLD);
        _rebalance(HOLD, 0.1e18, 0.2e18);
    }

    /// @dev Shares are redeemed, and not an amount: what is left is worth the cap, whatever leaving costs.
    function test_costlyPositionIsBroughtToItsCap(uint256 gain) public {
        FeeStrategy costly = new FeeStrategy(asset);
        _add(address(costly), 0.1e18, type(uint128).max);
        _rebalanceCostly(0.1e18);
        asset.mint(address(costly), bound(gain, 20 * UNIT, 100 * UNIT));
        uint256 cap = _nav() / 10;
        uint256 shares = vault.strategies()[3].shares;
        assertGt(costly.previewRedeem(shares), cap);
        uint256 budget = vault.lossBudget();

        _rebalanceCostly(0.1e18);
        uint256 left = costly.previewRedeem(vault.strategies()[3].shares);
        // What leavers pay stays with those who stay.
        assertApproxEqRel(left, cap, 0.003e18);
        assertEq(vault.lossBudget(), budget, "its valuation is net of the cost");
        _rebalanceCostly(0);
        assertEq(vault.strategies()[3].shares, 0);
    }

    function _rebalanceCostly(uint256 weight) private {
        uint256[] memory weights = new uint256[](4);
        (weights[0], weights[1], weights[2], weights[3]) = (HOLD, HOLD, HOLD, weight);
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev The cap is a share of no more than the bid.
    function test_relativeCapIsNotWidenedByALie(uint256 lie) public {
        lie = bound(lie, 100 * UNIT, 9000 * UNIT);
        _rebalance(0.3e18, 0, 0);
        a.gain(lie);
        uint256 nav = _nav();
        uint256 weight = 501 * UNIT * WAD / nav;
        _refused(HOLD, weight, HOLD, _relative(address(b), nav * weight / WAD, 500 * UNIT));
        _rebalance(HOLD, 500 * UNIT * WAD / nav, HOLD);
        assertLe(_value(b), 500 * UNIT);
    }

    function test_loweredCapBindsAtOnce() public {
        _rebalance(0.5e18, 0.2e18, 0);
        _setCaps(a, 0.3e18, type(uint128).max);
        _refused(0.51e18, 0.1e18, 0, _relative(address(a), 510 * UNIT, 300 * UNIT));
        _rebalance(HOLD, 0.1e18, 0);
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
        IVaultTypes.Rebalance memory request = _request(0.6e18, 0.3e18, 0);
        vm.expectPartialRevert(IVaultTypes.RelativeCapExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    function test_absoluteCapIsCheckedAfterwards(uint256 bonus) public {
        bonus = bound(bonus, 10 * UNIT, 100 * UNIT);
        _setCaps(a, 0.9e18, uint128(500 * UNIT));
        b.setCallback(address(asset), abi.encodeCall(Token.mint, (address(a), bonus)));
        IVaultTypes.Rebalance memory request = _request(0.5e18, 0.3e18, 0);
        vm.expectPartialRevert(IVaultTypes.AbsoluteCapExceeded.selector);
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
        return abi.encodeWithSelector(IVaultTypes.RelativeCapExceeded.selector, strategy, assets, cap);
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
