// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20, IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IRateSource} from "../../../contracts/interfaces/IRateSource.sol";
import {PlainStrategy} from "./PlainStrategy.sol";
import {Token} from "./Token.sol";

/// @notice A plain strategy that can be told to earn, to lose, to be illiquid, to break and to call back.
contract MockStrategy is PlainStrategy, IRateSource {
    /// @dev Ways to break.
    enum Part {
        Deposit,
        Withdraw,
        PreviewRedeem,
        ConvertToAssets,
        MaxDeposit,
        MaxWithdraw,
        Rate,
        Name
    }
    /// @dev How it breaks: a revert, all gas gone, an empty answer, a huge answer of zeros.
    enum Fault {
        None,
        Revert,
        WasteGas,
        Silence,
        Flood
    }

    error Broken(Part part);
    error Illiquid(uint256 assets, uint256 liquidity);

    uint256 public supplyRateValue;
    uint256 public liquidity = type(uint256).max;
    /// @notice Assets that vanish at each deposit and each payout.
    uint256 public slippage;
    mapping(Part => Fault) public faults;

    address public callTarget;
    bytes public callData;
    bool public called;
    bool public callSucceeded;
    bytes public callAnswer;

    modifier part(Part p) {
        _misbehave(p);
        _;
    }

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    /* CONTROLS */

    function gain(uint256 amount) external {
        Token(asset()).mint(address(this), amount);
    }

    function lose(uint256 amount) external {
        Token(asset()).burn(address(this), amount);
    }

    function setRate(uint256 rate) external {
        supplyRateValue = rate;
    }

    function setLiquidity(uint256 newLiquidity) external {
        liquidity = newLiquidity;
    }

    function setSlippage(uint256 newSlippage) external {
        slippage = newSlippage;
    }

    function setFault(Part p, Fault fault) external {
        faults[p] = fault;
    }

    /// @notice From now on, every deposit and payout first makes this call, and remembers what came of it.
    function setCallback(address target, bytes calldata data) external {
        (callTarget, callData, called) = (target, data, false);
    }

    /* ERC-4626 */

    function supplyRate() external view part(Part.Rate) returns (uint256) {
        return supplyRateValue;
    }

    function previewRedeem(uint256 shares) public view override part(Part.PreviewRedeem) returns (uint256) {
        return super.previewRedeem(shares);
    }

    function convertToAssets(uint256 shares) public view override part(Part.ConvertToAssets) returns (uint256) {
        return super.convertToAssets(shares);
    }

    function maxDeposit(address to) public view override part(Part.MaxDeposit) returns (uint256) {
        return super.maxDeposit(to);
    }

    function maxWithdraw(address owner) public view override part(Part.MaxWithdraw) returns (uint256) {
        return Math.min(super.maxWithdraw(owner), liquidity);
    }

    function maxRedeem(address owner) public view override returns (uint256) {
        uint256 shares = super.maxRedeem(owner);
        return super.previewRedeem(shares) <= liquidity ? shares : _convertToShares(liquidity, Math.Rounding.Floor);
    }

    function name() public view override(ERC20, IERC20Metadata) part(Part.Name) returns (string memory) {
        return super.name();
    }

    function _transferIn(address from, uint256 assets) internal override part(Part.Deposit) {
        _callBack();
        super._transferIn(from, assets);
        Token(asset()).burn(address(this), Math.min(slippage, assets));
    }

    function _transferOut(address to, uint256 assets) internal override part(Part.Withdraw) {
        require(assets <= liquidity, Illiquid(assets, liquidity));
        _callBack();
        Token(asset()).burn(address(this), Math.min(slippage, assets));
        super._transferOut(to, assets - Math.min(slippage, assets));
    }

    function _callBack() private {
        if (callTarget == address(0)) return;
        called = true;
        (callSucceeded, callAnswer) = callTarget.call(callData);
    }

    function _misbehave(Part p) private view {
        Fault fault = faults[p];
        if (fault == Fault.Revert) revert Broken(p);
        if (fault == Fault.WasteGas) assembly { invalid() }
        if (fault == Fault.Silence) assembly { return(0, 0) }
        if (fault == Fault.Flood) assembly { return(mload(0x40), 300000) }
    }
}
