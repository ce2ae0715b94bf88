// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BaseTest} from "../BaseTest.sol";
import {FeeStrategy} from "../mocks/FeeStrategy.sol";
import {AttackTest} from "./AttackTest.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";

/// @notice Who wants nothing but to block a rebalance, for gas only or for a gift.
abstract contract NuisanceTest is AttackTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 900 * UNIT);
        assertTrue(_enter(100 * UNIT));
        _endTransaction();
        _rebalance(0.6e18, 0.2e18, 0.15e18);
    }

    /// @dev A withdrawal in front, and a minimum share price that is exact.
    function test_withdrawalInFront(uint256 part, bool hold) public {
        part = bound(part, 0, 0.05e18);
        IVaultTypes.Rebalance memory request = hold ? _request(HOLD, HOLD, HOLD) : _request(0.5e18, 0.25e18, 0.15e18);
        request.minSharePrice = vault.valuation().navPrice;
        vm.prank(MALLORY);
        vault.withdraw(1000 * UNIT * part / WAD, MALLORY, MALLORY);
        _endTransaction();
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev All that is idle, and what stands at the idle floor: gas-only requests and those that withdraw pass.
    function test_withdrawalInFront_ofAllIdle(uint256 assets) public {
        assets = bound(assets, 0, 100 * UNIT);
        vm.prank(MALLORY);
        vault.withdraw(assets, MALLORY, MALLORY);
        _endTransaction();
        _rebalance(HOLD, HOLD, HOLD);
        _rebalance(0.5e18, HOLD, HOLD);
    }

    function test_depositInFront(uint256 assets) public {
        IVaultTypes.Rebalance memory request = _request(0.5e18, HOLD, HOLD);
        request.minSharePrice = vault.valuation().navPrice;
        assertTrue(_enter(bound(assets, 1, 10_000 * UNIT)));
        _endTransaction();
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev At its exact cap, and a few units over it.
    function test_giftToAStrategy(uint256 gift, bool hold) public {
        gift = bound(gift, 1, 50 * UNIT);
        asset.mint(address(a), gift);
        if (hold) _rebalance(HOLD, HOLD, HOLD);
        else _rebalance(HOLD, 0.15e18, 0.2e18);
    }

    function test_giftToTheVault(uint256 gift) public {
        asset.mint(address(vault), bound(gift, 1, 500 * UNIT));
        _rebalance(HOLD, HOLD, HOLD);
        _rebalance(HOLD, 0.15e18, 0.2e18);
    }

    /// @dev Flash money in, and out again in kind: the strategies go along, and the vault is left with idle money.
    function test_flashInKind_takesNobodysPlace(uint256 hoard) public {
        assertTrue(_enter(bound(hoard, 100_000 * UNIT, 9_000_000 * UNIT)));
        _leaveInKind();
        _endTransaction();
        assertGe(vault.valuation().nav - vault.idle(), 900 * UNIT * 9 / 10, "the others are invested as before");
    }

    /// @dev A costly position that has drifted over its cap is brought to exactly the cap.
    function test_costlyPositionToItsCap(uint256 gain, uint256 weight) public {
        FeeStrategy costly = new FeeStrategy(asset);
        _add(address(costly), 0.1e18, type(uint128).max);
        _rebalance(_weights(0.5e18, HOLD, HOLD, 0.09e18));
        asset.mint(address(costly), bound(gain, 20 * UNIT, 100 * UNIT));
        weight = bound(weight, 0, 0.1e18);
        _rebalance(_weights(HOLD, HOLD, HOLD, 0.1e18));
        _rebalance(_weights(HOLD, HOLD, HOLD, weight));
    }

    /// @dev Redeeming rounds shares up, so a unit too much may come: it must not go back, for a strategy may refuse a deposit
    /// that buys no share, and the position would count as one that grew.
    function test_reducingDepositsNothing(uint256 gain, uint256 weight) public {
        a.gain(bound(gain, 1, 1000 * UNIT));
        weight = bound(weight, 0, 0.4e18);
        vm.mockCallRevert(address(a), abi.encodeWithSelector(a.deposit.selector), "no shares for so little");
        _rebalance(weight, HOLD, HOLD);
    }
}

contract NuisanceTest6 is NuisanceTest {
    constructor() BaseTest(6) {}
}

contract NuisanceTest18 is NuisanceTest {
    constructor() BaseTest(18) {}
}
