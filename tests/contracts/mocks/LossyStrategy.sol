// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC4626, IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {PlainStrategy} from "./PlainStrategy.sol";

/// @notice Like a position in a thin pool: it is valued at the middle of the market, but every trade pays an impact to
/// whoever stands on the other side, and that one chooses how much.
contract LossyStrategy is PlainStrategy {
    using Math for uint256;
    using SafeERC20 for IERC20;

    uint256 private constant WAD = 1e18;

    address public immutable COUNTERPARTY;
    /// @notice Share of every trade that goes to the counterparty (WAD).
    uint256 public impact;

    constructor(IERC20 asset_, address counterparty) PlainStrategy(asset_) {
        COUNTERPARTY = counterparty;
    }

    function setImpact(uint256 newImpact) external {
        impact = newImpact;
    }

    function previewDeposit(uint256 assets) public view override returns (uint256) {
        return super.previewDeposit(assets - _toll(assets));
    }

    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        return super.previewWithdraw(_gross(assets));
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        uint256 value = super.maxWithdraw(owner);
        return value - value.mulDiv(impact, WAD, Math.Rounding.Ceil);
    }

    function redeem(uint256 shares, address receiver, address owner) public override returns (uint256) {
        uint256 value = previewRedeem(shares);
        uint256 toll = _toll(value);
        _withdraw(msg.sender, receiver, owner, value - toll, shares);
        IERC20(asset()).safeTransfer(COUNTERPARTY, toll);
        return value - toll;
    }

    function withdraw(uint256 assets, address receiver, address owner) public override returns (uint256 shares) {
        shares = previewWithdraw(assets);
        _withdraw(msg.sender, receiver, owner, assets, shares);
        IERC20(asset()).safeTransfer(COUNTERPARTY, _gross(assets) - assets);
    }

    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override {
        super._deposit(caller, receiver, assets, shares);
        IERC20(asset()).safeTransfer(COUNTERPARTY, _toll(assets));
    }

    function _toll(uint256 assets) private view returns (uint256) {
        return assets.mulDiv(impact, WAD);
    }

    function _gross(uint256 assets) private view returns (uint256) {
        return assets.mulDiv(WAD, WAD - impact);
    }
}
