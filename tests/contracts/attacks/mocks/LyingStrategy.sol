// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {PlainStrategy} from "../../mocks/PlainStrategy.sol";
import {Token} from "../../mocks/Token.sol";

/// @notice Pays honestly, and says whatever it was told to say.
contract LyingStrategy is PlainStrategy {
    using Math for uint256;

    error Dark();

    uint256 private constant TRUTH = 1e18;

    /// @notice What it says of `previewRedeem`, `convertToAssets` and `maxWithdraw`, over the truth (WAD).
    uint256 public bidLie = TRUTH;
    uint256 public askLie = TRUTH;
    uint256 public maxLie = TRUTH;
    /// @notice What it returns from `withdraw` and `deposit`, over the truth (WAD).
    uint256 public burnedLie = TRUTH;
    uint256 public mintedLie = TRUTH;
    bool public dark;

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    function lie(uint256 bid, uint256 ask) external {
        (bidLie, askLie) = (bid, ask);
    }

    function lieOfMax(uint256 max) external {
        maxLie = max;
    }

    function lieOfShares(uint256 burned, uint256 minted) external {
        (burnedLie, mintedLie) = (burned, minted);
    }

    function setDark(bool dark_) external {
        dark = dark_;
    }

    /// @notice Its owner takes everything.
    function steal(address thief) external returns (uint256 loot) {
        loot = Token(asset()).balanceOf(address(this));
        Token(asset()).transfer(thief, loot);
    }

    function previewRedeem(uint256 shares) public view override returns (uint256) {
        require(!dark, Dark());
        return _convertToAssets(shares, Math.Rounding.Floor).mulDiv(bidLie, TRUTH);
    }

    function convertToAssets(uint256 shares) public view override returns (uint256) {
        return _convertToAssets(shares, Math.Rounding.Floor).mulDiv(askLie, TRUTH);
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        return _convertToAssets(balanceOf(owner), Math.Rounding.Floor).mulDiv(maxLie, TRUTH);
    }

    function redeem(uint256 shares, address receiver, address owner) public override returns (uint256 assets) {
        assets = _convertToAssets(shares, Math.Rounding.Floor);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    function withdraw(uint256 assets, address receiver, address owner) public override returns (uint256) {
        uint256 shares = _convertToShares(assets, Math.Rounding.Ceil);
        _withdraw(msg.sender, receiver, owner, assets, shares);
        return shares.mulDiv(burnedLie, TRUTH);
    }

    function deposit(uint256 assets, address receiver) public override returns (uint256) {
        return super.deposit(assets, receiver).mulDiv(mintedLie, TRUTH);
    }
}
