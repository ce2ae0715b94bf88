// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {PlainStrategy} from "../../mocks/PlainStrategy.sol";

/// @notice An honest strategy that needs nearly all the gas it may have, for a payment and for the valuation after it.
contract ThoroughStrategy is PlainStrategy {
    uint256 private constant PAYING = 1_500_000;
    uint256 private constant VALUING = 670_000;

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    function previewRedeem(uint256 shares) public view override returns (uint256) {
        _work(VALUING);
        return super.previewRedeem(shares);
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        return super.previewRedeem(balanceOf(owner));
    }

    function withdraw(uint256 assets, address receiver, address owner) public override returns (uint256 shares) {
        _work(PAYING);
        shares = previewWithdraw(assets);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    function _work(uint256 gas_) private view {
        uint256 until = gasleft() > gas_ ? gasleft() - gas_ : 0;
        while (gasleft() > until) {}
    }
}
