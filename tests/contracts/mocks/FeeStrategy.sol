// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {PlainStrategy} from "./PlainStrategy.sol";

/// @notice Takes a fee on the way out, which stays with those who stay; previews include it, as ERC-4626 asks.
contract FeeStrategy is PlainStrategy {
    using Math for uint256;

    uint256 private constant EXIT_FEE = 30;
    uint256 private constant BASIS_POINTS = 10_000;

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        return super.previewWithdraw(assets + assets.mulDiv(EXIT_FEE, BASIS_POINTS, Math.Rounding.Ceil));
    }

    function previewRedeem(uint256 shares) public view override returns (uint256) {
        uint256 gross = super.previewRedeem(shares);
        return gross - gross.mulDiv(EXIT_FEE, EXIT_FEE + BASIS_POINTS, Math.Rounding.Ceil);
    }
}
