// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ILiquiditySource} from "../../../contracts/interfaces/ILiquiditySource.sol";
import {PlainStrategy} from "./PlainStrategy.sol";
import {Token} from "./Token.sol";

/// @notice A share of a lending pool, whose cash others borrow: a deposit is cash for whoever asks next.
contract PoolStrategy is PlainStrategy, ILiquiditySource {
    uint256 private _lent;

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    /// @notice Borrowers take cash out; what they owe counts.
    function lend(uint256 assets) external {
        Token(asset()).burn(address(this), assets);
        _lent += assets;
    }

    function availableLiquidity() public view returns (uint256) {
        return IERC20(asset()).balanceOf(address(this));
    }

    function totalAssets() public view override returns (uint256) {
        return availableLiquidity() + _lent;
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        return Math.min(super.maxWithdraw(owner), availableLiquidity());
    }
}
