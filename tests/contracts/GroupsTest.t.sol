// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";

/// @notice Strategies that share a risk are capped together.
abstract contract GroupsTest is BaseTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
    }

    function _group(uint256 index, uint64 relativeCap, uint256 absoluteCap, uint16 members) private {
        vm.prank(GOVERNANCE);
        vault.setGroup(index, IVaultTypes.Group(address(this), relativeCap, uint128(absoluteCap), members));
    }

    function _exceeded(uint256 index, uint256 assets, uint256 cap) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVaultTypes.GroupCapExceeded.selector, index, assets, cap);
    }

    function test_relativeCapOfAGroup(uint64 cap, uint256 first) public {
        cap = uint64(bound(cap, 0.01e18, 0.9e18));
        first = bound(first, 0, cap < 0.5e18 ? cap : 0.5e18);
        uint256 second = cap - first > 0.45e18 ? 0.45e18 : cap - first;
        _group(0, cap, type(uint128).max, 3);
        uint256 limit = 1000 * UNIT * cap / WAD;
        _rebalance(first, second, 0);
        assertLe(_value(a) + _value(b), limit);
        _rebalance(0, 0, 0);

        second = cap - first + 0.001e18;
        if (second > 0.5e18) return;
        uint256 sum = 1000 * UNIT * first / WAD + 1000 * UNIT * second / WAD;
        _refused(first, second, 0, _exceeded(0, sum, limit));
        _rebalance(0, 0, 0.3e18);
    }

    function test_absoluteCapOfAGroup() public {
        _group(0, 1e18, 500 * UNIT, 5);
        _refused(0.3e18, 0, 0.3e18, _exceeded(0, 600 * UNIT, 500 * UNIT));
        _rebalance(0.3e18, 0.4e18, 0.2e18);
    }

    /// @dev A strategy may be in several; each of them binds.
    function test_overlappingGroups() public {
        _group(0, 0.5e18, type(uint128).max, 3);
        _group(1, 0.4e18, type(uint128).max, 6);
        _refused(0.3e18, 0.3e18, 0, _exceeded(0, 600 * UNIT, 500 * UNIT));
        _refused(0.1e18, 0.3e18, 0.2e18, _exceeded(1, 500 * UNIT, 400 * UNIT));
        _rebalance(0.3e18, 0.2e18, 0.2e18);
    }

    /// @dev A group that has drifted over its cap blocks nothing, and is not added to.
    function test_groupOverItsCap() public {
        _group(0, 0.5e18, type(uint128).max, 3);
        _rebalance(0.3e18, 0.2e18, 0);
        a.gain(50 * UNIT);
        _rebalance(HOLD, HOLD, 0.1e18);
        _rebalance(0.2e18, HOLD, HOLD);
        a.gain(200 * UNIT);
        IVaultTypes.Rebalance memory request = _request(HOLD, 0.25e18, HOLD);
        vm.expectPartialRevert(IVaultTypes.GroupCapExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev Not even with a deposit of the same transaction.
    function test_flashDepositWidensNoGroup(uint256 assets) public {
        assets = bound(assets, 1, MOST);
        _group(0, 0.5e18, type(uint128).max, 3);
        _fund(KEEPER, assets);
        vm.prank(KEEPER);
        vault.deposit(assets, KEEPER);
        uint256 nav = _nav();
        uint256 weight = (501 * UNIT * WAD + nav - 1) / nav / 2 + 1;
        IVaultTypes.Rebalance memory request = _request(weight, weight, 0);
        vm.expectPartialRevert(IVaultTypes.GroupCapExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }
}

contract GroupsTest6 is GroupsTest {
    constructor() BaseTest(6) {}
}

contract GroupsTest18 is GroupsTest {
    constructor() BaseTest(18) {}
}
