// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC4626, IERC20, IERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {PlainStrategy} from "../mocks/PlainStrategy.sol";

/// @notice Pays what its shares are worth, and says what it likes about that. Its true worth is `honest`.
contract LyingStrategy is PlainStrategy {
    uint256 private constant WAD = 1e18;

    /// @notice What it says of a worth, in parts of it (WAD): to who asks what leaving pays, and to who asks what shares are
    /// worth.
    uint256 public leaving = WAD;
    uint256 public worth = WAD;
    /// @notice Taken off everything that it says.
    uint256 public hidden;

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    function lie(uint256 leaving_, uint256 worth_, uint256 hidden_) external {
        (leaving, worth, hidden) = (leaving_, worth_, hidden_);
    }

    function honest(uint256 shares) public view returns (uint256) {
        return _convertToAssets(shares, Math.Rounding.Floor);
    }

    function previewRedeem(uint256 shares) public view override(ERC4626) returns (uint256) {
        return _said(shares, leaving);
    }

    function convertToAssets(uint256 shares) public view override(ERC4626) returns (uint256) {
        return _said(shares, worth);
    }

    /// @dev As liquid as what it says it is worth, so that no wall stops it.
    function maxWithdraw(address owner) public view override(ERC4626) returns (uint256) {
        return Math.max(previewRedeem(balanceOf(owner)), honest(balanceOf(owner)));
    }

    function redeem(uint256 shares, address receiver, address owner) public override(ERC4626) returns (uint256 assets) {
        assets = honest(shares);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    function withdraw(uint256 assets, address receiver, address owner)
        public
        override(ERC4626)
        returns (uint256 shares)
    {
        shares = previewWithdraw(assets);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    function _said(uint256 shares, uint256 part) private view returns (uint256) {
        return Math.saturatingSub(Math.mulDiv(honest(shares), part, WAD), hidden);
    }
}
