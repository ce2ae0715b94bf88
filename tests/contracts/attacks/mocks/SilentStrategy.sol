// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {PlainStrategy} from "../../mocks/PlainStrategy.sol";

/// @notice Like Morpho's Vault V2: all `max*` are 0, and it takes and pays all the same, as far as its cash goes.
contract SilentStrategy is PlainStrategy {
    error NoCash(uint256 assets, uint256 cash);

    uint256 public cash = type(uint256).max;

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    function setCash(uint256 newCash) external {
        cash = newCash;
    }

    function maxDeposit(address) public pure override returns (uint256) {
        return 0;
    }

    function maxMint(address) public pure override returns (uint256) {
        return 0;
    }

    function maxWithdraw(address) public pure override returns (uint256) {
        return 0;
    }

    function maxRedeem(address) public pure override returns (uint256) {
        return 0;
    }

    function deposit(uint256 assets, address receiver) public override returns (uint256 shares) {
        shares = previewDeposit(assets);
        _deposit(msg.sender, receiver, assets, shares);
    }

    function withdraw(uint256 assets, address receiver, address owner) public override returns (uint256 shares) {
        shares = previewWithdraw(assets);
        _pay(assets, shares, receiver, owner);
    }

    function redeem(uint256 shares, address receiver, address owner) public override returns (uint256 assets) {
        assets = _convertToAssets(shares, Math.Rounding.Floor);
        _pay(assets, shares, receiver, owner);
    }

    function _pay(uint256 assets, uint256 shares, address receiver, address owner) private {
        require(assets <= cash, NoCash(assets, cash));
        if (cash != type(uint256).max) cash -= assets;
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }
}
