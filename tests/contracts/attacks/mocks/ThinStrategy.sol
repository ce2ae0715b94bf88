// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC4626, IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {PlainStrategy} from "../../mocks/PlainStrategy.sol";

/// @notice A position in a pool whose depth the thief owns: it is valued at the middle, and who sells `x` loses
/// `x / (depth + x)` of it to the thief. It books what it has earned only when it is touched.
contract ThinStrategy is PlainStrategy {
    using Math for uint256;
    using SafeERC20 for IERC20;

    address public immutable THIEF;
    /// @notice Depth of the pool; the maximum of its type: nothing is lost.
    uint256 public depth = type(uint256).max;
    /// @notice Share of each deposit that the thief takes (WAD).
    uint256 public toll;
    /// @notice Earned, and not shown in any value before the next touch.
    uint256 public unbooked;

    constructor(IERC20 asset_, address thief) PlainStrategy(asset_) {
        THIEF = thief;
    }

    function setDepth(uint256 newDepth) external {
        depth = newDepth;
    }

    function setToll(uint256 newToll) external {
        toll = newToll;
    }

    function earn(uint256 amount) external {
        IERC20(asset()).safeTransferFrom(msg.sender, address(this), amount);
        unbooked += amount;
    }

    function totalAssets() public view override returns (uint256) {
        return super.totalAssets() - unbooked;
    }

    function impact(uint256 gross) public view returns (uint256) {
        return depth == type(uint256).max ? 0 : gross.mulDiv(gross, depth + gross);
    }

    function redeem(uint256 shares, address receiver, address owner) public override returns (uint256 assets) {
        uint256 gross = _convertToAssets(shares, Math.Rounding.Floor);
        assets = gross - impact(gross);
        _withdraw(msg.sender, receiver, owner, assets, shares);
        IERC20(asset()).safeTransfer(THIEF, gross - assets);
        unbooked = 0;
    }

    /// @dev The gross is what leaves `assets`: g - g²/(d + g) = g x d / (d + g), so g = a x d / (d - a).
    function withdraw(uint256 assets, address receiver, address owner) public override returns (uint256 shares) {
        uint256 gross = assets;
        if (depth != type(uint256).max) {
            require(assets < depth, "too thin");
            gross = assets.mulDiv(depth, depth - assets, Math.Rounding.Ceil);
        }
        shares = _convertToShares(gross, Math.Rounding.Ceil);
        _withdraw(msg.sender, receiver, owner, assets, shares);
        IERC20(asset()).safeTransfer(THIEF, gross - assets);
        unbooked = 0;
    }

    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override {
        super._deposit(caller, receiver, assets, shares);
        IERC20(asset()).safeTransfer(THIEF, assets.mulDiv(toll, 1e18));
        unbooked = 0;
    }
}
