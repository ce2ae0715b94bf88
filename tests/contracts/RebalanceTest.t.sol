// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";

abstract contract RebalanceTest is BaseTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
    }

    function test_rebalance_onlyTheKeeper(address caller) public {
        vm.assume(caller != KEEPER);
        IVaultTypes.Rebalance memory request = _request(0.1e18, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.NotKeeper.selector, caller));
        vm.prank(caller);
        vault.rebalance(request);
    }

    function test_rebalance_epochIsCompareAndSwap(uint256 epoch) public {
        IVaultTypes.Rebalance memory request = _request(0.1e18, 0, 0);
        vm.assume(epoch != 0);
        request.epoch = epoch;
        _refused(request, abi.encodeWithSelector(IVaultTypes.WrongEpoch.selector, epoch, 0));

        request.epoch = 0;
        vm.prank(KEEPER);
        vault.rebalance(request);
        assertEq(vault.epoch(), 1);
        _refused(request, abi.encodeWithSelector(IVaultTypes.WrongEpoch.selector, 0, 1));
    }

    function test_rebalance_deadline(uint256 late) public {
        late = bound(late, 1, 1000 days);
        IVaultTypes.Rebalance memory request = _request(0.1e18, 0, 0);
        uint256 deadline = request.deadline;
        vm.warp(deadline + late);
        _refused(request, abi.encodeWithSelector(IVaultTypes.DeadlinePassed.selector, deadline, deadline + late));

        vm.warp(deadline);
        vm.prank(KEEPER);
        vault.rebalance(request);
        assertEq(vault.lastRebalance(), deadline);
    }

    function test_rebalance_onlyTheCommittedPolicy(bytes32 other) public {
        vm.assume(other != POLICY);
        IVaultTypes.Rebalance memory request = _request(0.1e18, 0, 0);
        request.policyHash = other;
        _refused(request, abi.encodeWithSelector(IVaultTypes.WrongPolicy.selector, other, POLICY));

        vm.prank(GOVERNANCE);
        vault.commitPolicy(other);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    function test_rebalance_oneWeightForEachStrategy(uint8 length) public {
        vm.assume(length != 3);
        IVaultTypes.Rebalance memory request = _request(new uint256[](length));
        _refused(request, abi.encodeWithSelector(IVaultTypes.WrongLength.selector, length, 3));
    }

    function test_rebalance_minSharePrice(uint256 slippage) public {
        slippage = bound(slippage, 1, 50 * UNIT);
        a.setSlippage(slippage);
        IVaultTypes.Rebalance memory request = _request(0.5e18, 0, 0);
        uint256 price = (1000 * UNIT - slippage + 1) * WAD * 1e6 / (vault.totalSupply() + 1e6);
        request.minSharePrice = price + 1;
        _refused(request, abi.encodeWithSelector(IVaultTypes.SharePriceBelowMinimum.selector, price, price + 1));

        request.minSharePrice = price;
        vm.prank(KEEPER);
        vault.rebalance(request);
        assertEq(vault.totalAssets(), 1000 * UNIT - slippage);
    }

    /// @dev Who enters or leaves in front, at any size, does not move it: a request that names the price exactly passes.
    function test_rebalance_minSharePriceIsNotMovedByOthers(uint256 gain, uint256 assets, uint256 part) public {
        _deposit(BOB, 1000 * UNIT);
        _rebalance(0.3e18, 0.1e18, 0);
        a.gain(bound(gain, 0, 30 * UNIT));
        IVaultTypes.Rebalance memory request = _request(HOLD, HOLD, HOLD);
        request.minSharePrice = vault.valuation().navPrice;
        _deposit(MALLORY, bound(assets, 1, MOST));
        uint256 shares = bound(part, 0, vault.balanceOf(BOB));
        vm.prank(BOB);
        vault.redeem(shares, BOB, BOB);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    function test_rebalance_closedWhenHalted() public {
        _halt();
        IVaultTypes.Rebalance memory request = _request(0, 0, 0);
        _refused(request, abi.encodeWithSelector(IVaultTypes.VaultHalted.selector));
    }

    function test_rebalance_event() public {
        uint256[] memory weights = _weights(0.6e18, 0.3e18, 0);
        a.setSlippage(UNIT);
        vm.expectEmit(address(vault));
        emit IVaultTypes.Rebalanced(0, POLICY, DECISION, weights, 1000 * UNIT, 999 * UNIT);
        _rebalance(0.6e18, 0.3e18, 0);
    }

    /// @dev Positions end at exactly weight x NAV, whatever they were, and what is left is idle.
    function test_rebalance_reachesItsTargets(uint256[3] memory first, uint256[3] memory second, uint256 gain) public {
        first = _feasible(first);
        second = _feasible(second);
        _rebalance(first[0], first[1], first[2]);
        uint256 nav = vault.totalAssets();
        assertEq(nav, 1000 * UNIT, "a price of one: nothing is rounded");
        assertEq(_value(a), nav * first[0] / WAD);
        assertEq(_value(b), nav * first[1] / WAD);
        assertEq(_value(c), nav * first[2] / WAD);

        b.gain(bound(gain, 0, _least(50 * UNIT, _value(b))));
        _catchUp();
        nav = _nav();
        _rebalance(second[0], second[1], second[2]);
        // Each leg may cost what one share of the strategy is worth; never more than is aimed at.
        _assertReached(a, nav * second[0] / WAD);
        _assertReached(b, nav * second[1] / WAD);
        _assertReached(c, nav * second[2] / WAD);
        assertApproxEqAbs(_nav(), nav, b.convertToAssets(1) + 6);
    }

    function _feasible(uint256[3] memory w) private pure returns (uint256[3] memory) {
        w[0] = bound(w[0], 0, 0.6e18);
        w[1] = bound(w[1], 0, _least(0.5e18, 0.98e18 - w[0]));
        w[2] = bound(w[2], 0, _least(0.4e18, 0.98e18 - w[0] - w[1]));
        return w;
    }

    function _least(uint256 x, uint256 y) private pure returns (uint256) {
        return x < y ? x : y;
    }

    function _assertReached(MockStrategy strategy, uint256 target) private view {
        assertLe(_value(strategy), target);
        assertApproxEqAbs(_value(strategy), target, strategy.convertToAssets(1) + 2);
    }

    function test_rebalance_holdLeavesAPositionAsItIs() public {
        _rebalance(0.3e18, 0.3e18, 0.1e18);
        a.gain(17 * UNIT);
        _catchUp();
        uint256 shares = _shares(a);
        uint256 value = _value(a);
        a.setFault(MockStrategy.Part.Deposit, MockStrategy.Fault.Revert);
        a.setFault(MockStrategy.Part.Withdraw, MockStrategy.Fault.Revert);
        _rebalance(HOLD, 0.1e18, 0.4e18);

        assertEq(_shares(a), shares);
        assertEq(_value(a), value);
        assertApproxEqAbs(_value(b), 1017 * UNIT / 10, 1);
        assertApproxEqAbs(_value(c), 1017 * UNIT * 4 / 10, 1);
    }

    function test_rebalance_zeroLeavesNoDust(uint256 gain) public {
        _rebalance(0.3e18, 0.3e18, 0.1e18);
        a.gain(bound(gain, 0, 100 * UNIT));
        _rebalance(0, HOLD, HOLD);
        assertEq(_shares(a), 0);
        assertEq(a.balanceOf(address(vault)), 0);
    }

    function test_rebalance_withdrawsBeforeItDeposits() public {
        _rebalance(0.18e18, 0.4e18, 0.4e18);
        _rebalance(0.58e18, 0.4e18, 0);
        assertEq(_value(a), 580 * UNIT);
    }

    function test_rebalance_illiquidStrategyRefusesTheWholeOfIt() public {
        _rebalance(0.3e18, 0.3e18, 0);
        a.setLiquidity(10 * UNIT);
        bytes memory error = abi.encodeWithSelector(
            ERC4626.ERC4626ExceededMaxRedeem.selector, address(vault), _shares(a), a.maxRedeem(address(vault))
        );
        _refused(0, 0.5e18, 0, error);
        assertEq(_value(b), 300 * UNIT);
    }

    /// @dev A strategy that calls back, on the way in or out, finds every door that moves money shut.
    function test_rebalance_reentry(uint256 door) public {
        _deposit(address(a), 10 * UNIT);
        vm.prank(GOVERNANCE);
        vault.setKeeper(address(a));
        bytes[10] memory doors = [
            abi.encodeCall(IERC4626.deposit, (1, address(a))),
            abi.encodeCall(IERC4626.mint, (1, address(a))),
            abi.encodeCall(IERC4626.withdraw, (1, address(a), address(a))),
            abi.encodeCall(IERC4626.redeem, (1, address(a), address(a))),
            abi.encodeWithSignature("withdraw(uint256,address,address,uint256)", 1, address(a), address(a), 1e6),
            abi.encodeWithSignature("redeem(uint256,address,address,uint256)", 1, address(a), address(a), 0),
            abi.encodeCall(vault.redeemInKind, (1, address(a), address(a), new uint256[](0))),
            abi.encodeCall(vault.trip, ()),
            abi.encodeCall(vault.unwind, (address(a), type(uint256).max)),
            abi.encodeCall(vault.rebalance, (_request(0, 0, 0)))
        ];
        a.setCallback(address(vault), doors[door % doors.length]);
        IVaultTypes.Rebalance memory request = _request(0.3e18, 0, 0);
        vm.prank(address(a));
        vault.rebalance(request);
        _assertShut();

        a.setCallback(address(vault), doors[door % doors.length]);
        request = _request(0.1e18, 0, 0);
        vm.prank(address(a));
        vault.rebalance(request);
        _assertShut();
    }

    function _assertShut() private view {
        assertTrue(a.called());
        assertFalse(a.callSucceeded());
        assertEq(bytes4(a.callAnswer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
    }

    /// @dev Nothing is left approved: a strategy can never pull more than it was given.
    function test_rebalance_leavesNoApproval(uint256 w) public {
        _rebalance(bound(w, 0, 0.6e18), 0.1e18, 0);
        assertEq(asset.allowance(address(vault), address(a)), 0);
        assertEq(asset.allowance(address(vault), address(b)), 0);
    }
}

contract RebalanceTest6 is RebalanceTest {
    constructor() BaseTest(6) {}
}

contract RebalanceTest8 is RebalanceTest {
    constructor() BaseTest(8) {}
}

contract RebalanceTest18 is RebalanceTest {
    constructor() BaseTest(18) {}
}
