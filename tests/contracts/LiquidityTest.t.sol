// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {PoolStrategy} from "./mocks/PoolStrategy.sol";

/// @notice Nothing flows into a strategy that could not pay back now all that would be in it.
abstract contract LiquidityTest is BaseTest {
    PoolStrategy internal pool;

    function setUp() public override {
        super.setUp();
        pool = new PoolStrategy(asset);
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(b));
        vault.addStrategy(address(pool), 0.5e18, type(uint128).max);
        vm.stopPrank();
        _deposit(ALICE, 1000 * UNIT);
        _fund(BOB, 1000 * UNIT);
        vm.startPrank(BOB);
        asset.approve(address(pool), type(uint256).max);
        pool.deposit(1000 * UNIT, BOB);
        vm.stopPrank();
    }

    function _illiquid(address strategy, uint256 assets, uint256 cash) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVaultTypes.Illiquid.selector, strategy, assets, cash);
    }

    /// @dev A full pool takes any deposit, and would pay it back out of itself: it is no place to go, however high its rate.
    function test_fullPool() public {
        pool.lend(1000 * UNIT);
        _refused(0, 0, 0.3e18, _illiquid(address(pool), 300 * UNIT, 0));
        _refused(0, 0, 0.001e18, _illiquid(address(pool), UNIT, 0));
    }

    /// @dev The cash that is there covers all that would be in it, what is in it already included.
    function test_poolWithCash(uint256 cash, uint256 first) public {
        cash = bound(cash, 20 * UNIT, 400 * UNIT);
        first = bound(first, 1, cash * 9 / 10);
        pool.lend(1000 * UNIT - cash);
        uint256 weight = first * WAD / (1000 * UNIT);
        _rebalance(0, 0, weight);
        uint256 value = pool.previewRedeem(vault.strategies()[2].shares);
        pool.lend(value); // its own deposit is lent out too

        uint256 more = (cash * 1001 / 1000 + 2) * WAD / (1000 * UNIT);
        IVaultTypes.Rebalance memory request = _request(0, 0, more);
        vm.expectPartialRevert(IVaultTypes.Illiquid.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
        _rebalance(0, 0, cash * WAD / (1000 * UNIT));
    }

    /// @dev Leaving it is another matter, and so is staying.
    function test_drainedPoolIsHeldAndLeft() public {
        _rebalance(0, 0, 0.3e18);
        pool.lend(1200 * UNIT);
        _rebalance(0.1e18, HOLD, HOLD);
        _rebalance(HOLD, HOLD, 0.25e18);
        IVaultTypes.Rebalance memory request = _request(HOLD, HOLD, 0.26e18);
        vm.expectPartialRevert(IVaultTypes.Illiquid.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev Any ERC-4626 vault is asked what it would pay.
    function test_strategyThatCouldNotPayAll(uint256 liquidity) public {
        liquidity = bound(liquidity, 1, 290 * UNIT);
        a.setLiquidity(liquidity);
        _refused(0.3e18, 0, 0, _illiquid(address(a), 300 * UNIT, liquidity));
        a.setLiquidity(300 * UNIT);
        _rebalance(0.3e18, 0, 0);
    }

    /// @dev One that says nothing is tried.
    function test_strategyThatSaysNothing(uint256 liquidity) public {
        liquidity = bound(liquidity, 0, 299 * UNIT);
        vm.mockCall(address(a), abi.encodeCall(a.maxWithdraw, (address(vault))), abi.encode(0));
        a.setLiquidity(liquidity);
        _refused(0.3e18, 0, 0, _illiquid(address(a), 300 * UNIT, 0));
        a.setLiquidity(300 * UNIT);
        _rebalance(0.3e18, 0, 0);
        assertEq(_value(a), 300 * UNIT);
        assertEq(vault.idle(), 700 * UNIT, "a trial leaves nothing behind");
    }

    /// @dev And one that would pay less than it says has failed the trial.
    function test_strategyThatSaysNothingAndPaysLess() public {
        vm.mockCall(address(a), abi.encodeCall(a.maxWithdraw, (address(vault))), abi.encode(0));
        c.setCallback(address(a), abi.encodeCall(a.setSlippage, (50 * UNIT)));
        IVaultTypes.Rebalance memory request = _request(0.3e18, 0.1e18, 0);
        vm.expectPartialRevert(IVaultTypes.Illiquid.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }
}

contract LiquidityTest6 is LiquidityTest {
    constructor() BaseTest(6) {}
}

contract LiquidityTest18 is LiquidityTest {
    constructor() BaseTest(18) {}
}
