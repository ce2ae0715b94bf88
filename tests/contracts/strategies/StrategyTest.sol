// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {BaseTest} from "../BaseTest.sol";

/// @notice Words for the holders of a strategy.
abstract contract StrategyTest is BaseTest {
    /// @dev The strategy that is tested.
    function _tested() internal view virtual returns (IERC4626);

    function _put(address who, uint256 assets) internal returns (uint256 shares) {
        IERC4626 strategy_ = _tested();
        asset.mint(who, assets);
        vm.startPrank(who);
        asset.approve(address(strategy_), assets);
        shares = strategy_.deposit(assets, who);
        vm.stopPrank();
    }

    function _takeAll(address who) internal returns (uint256 assets) {
        IERC4626 strategy_ = _tested();
        uint256 shares = strategy_.balanceOf(who);
        vm.prank(who);
        assets = strategy_.redeem(shares, who, who);
    }

    /// @dev What leaving pays.
    function _worth(address who) internal view returns (uint256) {
        return _tested().previewRedeem(_tested().balanceOf(who));
    }
}
