// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";

/// @notice Words for a thief. Alice stands for all honest depositors, Mallory for the thief and all accomplices.
abstract contract AttackTest is BaseTest {
    uint256 internal constant YEAR = 365 days;
    uint256 internal constant SLOT = 12;
    uint256 internal constant RATE = MAX_GROWTH_RATE;
    /// @dev Base units that rounding may pass on, over all the steps of one attack.
    uint256 internal constant UNITS = 20;

    /// @dev What Mallory put in so far.
    uint256 internal spent;

    function _endTransaction() internal {
        vault.endTransaction();
    }

    function _nextBlock() internal {
        _wait(SLOT);
    }

    function _wait(uint256 seconds_) internal {
        _endTransaction();
        vm.warp(block.timestamp + seconds_);
        vm.roll(block.number + 1);
    }

    /// @dev In the transaction that is under way.
    function _enter(uint256 assets) internal returns (bool ok) {
        _fund(MALLORY, assets);
        vm.prank(MALLORY);
        try vault.deposit(assets, MALLORY) {
            spent += assets;
            ok = true;
        } catch {
            asset.burn(MALLORY, assets);
        }
    }

    /// @dev As much as can be had by `redeem`, and nothing where that is refused.
    function _leave() internal {
        _leave(vault.balanceOf(MALLORY));
    }

    function _leave(uint256 shares) internal {
        vm.prank(MALLORY);
        try vault.redeem(shares, MALLORY, MALLORY) {} catch {}
    }

    /// @dev In kind, and out of the strategies at once.
    function _leaveInKind() internal {
        uint256 shares = vault.balanceOf(MALLORY);
        vm.startPrank(MALLORY);
        // Not in the transaction of a deposit.
        try vault.redeemInKind(shares, MALLORY, MALLORY, new uint256[](0)) {} catch {}
        IVaultTypes.Strategy[] memory all = vault.strategies();
        for (uint256 i; i < all.length; ++i) {
            IERC4626 target = all[i].target;
            target.redeem(target.balanceOf(MALLORY), MALLORY, MALLORY);
        }
        vm.stopPrank();
    }

    /// @dev What Mallory has over what Mallory put in.
    function _profit() internal view returns (uint256) {
        uint256 has = asset.balanceOf(MALLORY);
        return has > spent ? has - spent : 0;
    }

    /// @dev Rate x time.
    function _growth(uint256 assets, uint256 elapsed) internal pure returns (uint256) {
        return assets * RATE / WAD * elapsed / YEAR;
    }

    function _weights(uint256 wa, uint256 wb, uint256 wc, uint256 wd) internal pure returns (uint256[] memory w) {
        w = new uint256[](4);
        (w[0], w[1], w[2], w[3]) = (wa, wb, wc, wd);
    }

    function _rebalance(uint256[] memory weights) internal {
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev Whether the vault took it.
    function _tryRebalance(uint256[] memory weights) internal returns (bool) {
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        try vault.rebalance(request) {
            return true;
        } catch {
            return false;
        }
    }
}
