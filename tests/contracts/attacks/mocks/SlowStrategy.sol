// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {PlainStrategy} from "../../mocks/PlainStrategy.sol";

/// @notice Burns all gas that it is given, in the parts that it was told to.
contract SlowStrategy is PlainStrategy {
    bool public slowValue;
    bool public slowMax;
    bool public slowExit;
    bool public slowTransfer;
    /// @notice Pays, with all gas but a little burned, so that the valuation after it can be slow too.
    bool public slowButPays;

    /// @notice Burns its exit without paying, and says so; then it cannot be valued.
    bool public pretends;
    bool private _pretended;

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    function slow(bool value, bool max, bool exit, bool transfer_, bool pays) external {
        (slowValue, slowMax, slowExit, slowTransfer, slowButPays) = (value, max, exit, transfer_, pays);
    }

    function pretend() external {
        pretends = true;
    }

    function previewRedeem(uint256 shares) public view override returns (uint256) {
        if (slowValue || _pretended) _burn();
        if (slowButPays) _burnAllBut(20_000);
        return super.previewRedeem(shares);
    }

    function convertToAssets(uint256 shares) public view override returns (uint256) {
        if (slowButPays) _burnAllBut(20_000);
        return super.convertToAssets(shares);
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        if (slowMax) _burn();
        return super.maxWithdraw(owner);
    }

    function withdraw(uint256 assets, address receiver, address owner) public override returns (uint256) {
        if (slowExit) _burn();
        if (pretends) return _pretend();
        return super.withdraw(assets, receiver, owner);
    }

    function redeem(uint256 shares, address receiver, address owner) public override returns (uint256) {
        if (slowExit) _burn();
        if (pretends) return _pretend();
        return super.redeem(shares, receiver, owner);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (slowTransfer && from != address(0) && to != address(0)) _burn();
        super._update(from, to, value);
    }

    function _pretend() private returns (uint256) {
        _pretended = true;
        _burnAllBut(5000);
        return 1;
    }

    function _burnAllBut(uint256 rest) private view {
        while (gasleft() > rest) {}
    }

    function _burn() private pure {
        assembly {
            invalid()
        }
    }
}
