// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {SlowStrategy} from "./mocks/SlowStrategy.sol";
import {ThoroughStrategy} from "./mocks/ThoroughStrategy.sol";

/// @notice Strategies that burn all gas they get, and an exit past them within what one transaction may use.
abstract contract SlowStrategiesTest is AttackTest {
    uint256 internal constant TRANSACTION = 2 ** 24;
    /// @dev A transaction itself, its call data, and what is warm here and would be cold there.
    uint256 internal constant INTRINSIC = 400_000;

    SlowStrategy[] internal slow;

    function _stock(uint256 count, bool fee) private {
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(a));
        vault.removeStrategy(address(b));
        vault.removeStrategy(address(c));
        if (fee) {
            vault.setFeeRecipient(BOB);
            vault.loosen(IVaultTypes.Limit.PerformanceFee, 0.3e18);
        }
        vm.stopPrank();
        uint256[] memory weights = new uint256[](count + (count < 16 ? 1 : 0));
        for (uint256 i; i < weights.length; ++i) {
            slow.push(new SlowStrategy(asset));
            _add(address(slow[i]), 0.7e18, type(uint128).max);
            weights[i] = i == count ? 0.6e18 : count == 16 ? 0.06e18 : 0.08e18;
        }
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(weights);
        _wait(1 days);
    }

    function _call(bytes memory data) private returns (bool ok) {
        vm.prank(ALICE);
        (ok,) = address(vault).call{gas: TRANSACTION - INTRINSIC}(data);
    }

    /// @dev Past four to the fifth; the four answer their valuations, and burn the rest.
    function _withdraw(bool bounded) private {
        uint256 assets = 300 * UNIT;
        bytes memory data = bounded
            ? abi.encodeWithSignature(
                "withdraw(uint256,address,address,uint256)", assets, ALICE, ALICE, type(uint256).max
            )
            : abi.encodeWithSignature("withdraw(uint256,address,address)", assets, ALICE, ALICE);
        assertTrue(_call(data), "no way out within a transaction");
        assertEq(asset.balanceOf(ALICE), assets);
    }

    /// forge-config: default.fuzz.runs = 8
    function test_withdraw_pastFour(bool fee, bool bounded, bool pays) public {
        _stock(4, fee);
        for (uint256 i; i < 4; ++i) {
            slow[i].slow(false, true, true, true, pays);
        }
        _withdraw(bounded);
    }

    /// @dev The dearest: each burns a valuation, says nothing, burns its exit, and burns the valuation after it.
    /// forge-config: default.fuzz.runs = 8
    function test_withdraw_pastFourThatPretendToPay(bool fee, bool bounded) public {
        _stock(4, fee);
        for (uint256 i; i < 4; ++i) {
            slow[i].slow(false, true, false, false, true);
            slow[i].pretend();
        }
        _withdraw(bounded);
    }

    /// @dev In quarantine only the exit with a bound is open.
    /// forge-config: default.fuzz.runs = 8
    function test_withdraw_pastFourThatCannotBeValued(bool fee) public {
        _stock(4, fee);
        for (uint256 i; i < 4; ++i) {
            slow[i].slow(true, true, true, true, false);
        }
        _withdraw(true);
    }

    /// forge-config: default.fuzz.runs = 8
    function test_inKind_pastSixteen(bool fee, bool value, bool pays) public {
        _stock(16, fee);
        for (uint256 i; i < 16; ++i) {
            slow[i].slow(value, true, true, true, pays);
        }
        uint256 shares = vault.balanceOf(ALICE);
        assertTrue(
            _call(abi.encodeCall(vault.redeemInKind, (shares, ALICE, ALICE, new uint256[](0)))),
            "no way out within a transaction"
        );
        assertApproxEqAbs(asset.balanceOf(ALICE), 40 * UNIT, UNITS);
    }

    /// @dev Who skips them needs no gas for their transfers.
    /// forge-config: default.fuzz.runs = 8
    function test_inKind_skipped(bool fee) public {
        _stock(16, fee);
        uint256[] memory minimums = new uint256[](17);
        for (uint256 i; i < 16; ++i) {
            slow[i].slow(true, true, true, true, false);
            minimums[i + 1] = type(uint256).max;
        }
        uint256 shares = vault.balanceOf(ALICE);
        assertTrue(_call(abi.encodeCall(vault.redeemInKind, (shares, ALICE, ALICE, minimums))));
    }

    /// @dev Whatever gas a caller sends, a strategy that needs all that it may have is not passed over for want of it.
    function test_starved_byAStrategyThatNeedsAllItMay() public {
        ThoroughStrategy thorough = new ThoroughStrategy(asset);
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(a));
        vault.removeStrategy(address(b));
        vault.removeStrategy(address(c));
        vm.stopPrank();
        _add(address(thorough), 0.5e18, type(uint128).max);
        _add(address(b), 0.5e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        uint256[] memory weights = new uint256[](2);
        (weights[0], weights[1]) = (0.4e18, 0.4e18);
        _rebalance(weights);
        _wait(1 days);

        uint256 paid;
        for (uint256 gas_ = 1_000_000; gas_ < 7_000_000; gas_ += 25_000) {
            uint256 snapshot = vm.snapshotState();
            vm.prank(ALICE);
            (bool ok,) = address(vault).call{gas: gas_}(
                abi.encodeWithSignature("withdraw(uint256,address,address)", 300 * UNIT, ALICE, ALICE)
            );
            if (ok) {
                ++paid;
                assertEq(b.balanceOf(address(vault)), 400 * UNIT * 10 ** (b.decimals() - DECIMALS), "passed over");
            }
            vm.revertToState(snapshot);
        }
        assertGt(paid, 20, "the most is enough");
    }
}

contract SlowStrategiesTest6 is SlowStrategiesTest {
    constructor() BaseTest(6) {}
}

contract SlowStrategiesTest18 is SlowStrategiesTest {
    constructor() BaseTest(18) {}
}
