// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {Vault} from "../../../contracts/Vault.sol";
import {PlainStrategy} from "../mocks/PlainStrategy.sol";
import {Token} from "../mocks/Token.sol";

/// @notice Gas of whole transactions over plain OpenZeppelin ERC-4626 strategies, every wall on. They run isolated, so that
/// each call is a transaction of its own, cold and with its 21,000; the figures go to snapshots/.
contract GasTest is Test {
    uint256 internal constant HOLD = type(uint256).max;
    address internal immutable ALICE = makeAddr("alice");
    address internal immutable KEEPER = makeAddr("keeper");

    Token internal asset;
    Vault internal vault;

    function _setUp(uint256 count) internal {
        vm.warp(1_750_000_000);
        asset = new Token(6);
        AccessManager authority = new AccessManager(address(this));
        IVaultTypes.Limits memory limits = IVaultTypes.Limits({
            idleFloor: 0.02e18,
            maxDrawdown: 0.1e18,
            maxGrowthRate: 0.25e18,
            cooldown: 1 hours,
            maxSilence: 7 days,
            lossCapacity: 0.005e18,
            lossRefill: uint64(0.005e18) / 7 days,
            turnoverCapacity: 2e18,
            turnoverRefill: uint64(1e18) / 1 days,
            performanceFee: 0,
            unwindLoss: 0.01e18,
            depositCap: type(uint128).max
        });
        vault = new Vault(IERC20(address(asset)), "Vault", "VLT", address(authority), KEEPER, limits);
        for (uint256 i; i < count; ++i) {
            vault.addStrategy(address(new PlainStrategy(asset)), 0.6e18, type(uint128).max);
        }
        uint16 all = uint16((1 << count) - 1);
        vault.setGroup(0, IVaultTypes.Group(address(0), 0.95e18, type(uint128).max, all));
        asset.mint(ALICE, 1e14);
        vm.prank(ALICE);
        asset.approve(address(vault), type(uint256).max);
        vm.prank(ALICE);
        vault.deposit(1e13, ALICE);
    }

    function _rebalance(uint256[] memory weights, string memory name) internal {
        vm.warp(block.timestamp + 1 days);
        IVaultTypes.Rebalance memory request = IVaultTypes.Rebalance(
            vault.epoch(), block.timestamp, 1, weights, vault.policyHash(), keccak256("decision")
        );
        vm.prank(KEEPER);
        vault.rebalance(request);
        if (bytes(name).length > 0) vm.snapshotGasLastCall("vault", name);
    }

    function _spread(uint256 count) internal {
        uint256[] memory weights = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            weights[i] = 0.9e18 / count;
        }
        _rebalance(weights, "");
        _rebalance(weights, "");
    }

    /// forge-config: default.isolate = true
    function testGasTwoStrategies() public {
        _setUp(2);
        _spread(2);
        vm.warp(block.timestamp + 1 hours);
        vm.prank(ALICE);
        vault.deposit(1e12, ALICE);
        vm.snapshotGasLastCall("vault", "deposit to idle");
        vm.warp(block.timestamp + 1 hours);
        vm.prank(ALICE);
        vault.withdraw(1e11, ALICE, ALICE);
        vm.snapshotGasLastCall("vault", "withdraw from idle");
        vm.warp(block.timestamp + 1 hours);
        uint256 more = vault.idle() + 1e11;
        vm.prank(ALICE);
        vault.withdraw(more, ALICE, ALICE);
        vm.snapshotGasLastCall("vault", "withdraw through one strategy");
        vm.prank(ALICE);
        vault.redeemInKind(1e18, ALICE, ALICE, new uint256[](0));
        vm.snapshotGasLastCall("vault", "redeem in kind");
    }

    /// forge-config: default.isolate = true
    function testGasBadDay() public {
        _setUp(2);
        _spread(2);
        address first = address(vault.strategies()[0].target);
        asset.burn(first, asset.balanceOf(first) / 2);
        vault.trip();
        vm.snapshotGasLastCall("vault", "trip");
        vault.unwind(first, type(uint256).max);
        vm.snapshotGasLastCall("vault", "unwind");
    }

    /// forge-config: default.isolate = true
    function testGasRebalance() public {
        for (uint256 count = 2; count <= 16; count *= 2) {
            _setUp(count);
            _spread(count);
            uint256[] memory weights = new uint256[](count);
            for (uint256 i; i < count; ++i) {
                weights[i] = HOLD;
            }
            weights[0] = 0.9e18 / count - 0.05e18;
            weights[1] = 0.9e18 / count + 0.05e18;
            _rebalance(weights, string.concat("rebalance 1 to 1 of ", vm.toString(count)));
        }
    }
}
