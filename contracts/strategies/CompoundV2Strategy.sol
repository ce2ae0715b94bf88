// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ILiquiditySource} from "../interfaces/ILiquiditySource.sol";
import {IRateSource} from "../interfaces/IRateSource.sol";
import {ICToken} from "../interfaces/compound/ICToken.sol";
import {CompoundV2Interest} from "./libraries/CompoundV2Interest.sol";
import {CompoundV2Rules} from "./libraries/CompoundV2Rules.sol";

/// @title A strategy over one market of Compound V2 or a descendant (Venus)
/// @notice
///
/// WHAT IT IS
/// An ERC-4626 vault that supplies its asset to one market and does nothing else. It has no owner, no fee and no setting;
/// anybody may use it.
///
/// ACCOUNTING
/// A market books a supplier's balance in units, each worth the exchange rate. The strategy keeps its own count of the units
/// that its shareholders own, and takes the rate with interest up to this block: what the market stores is stale until
/// somebody uses it. A deposit must bring in the units it is credited with, a withdrawal the assets it is charged for, or it
/// reverts, whatever code the market answers. A share is one unit, and less after a loss: rounding costs less than a share.
/// Units that are sent here, and remainders, are not in the books and count for nothing; units that the books have but the
/// market does not count for nothing either, at once.
/// Where the market keeps a fee of what is redeemed, `convertToAssets` is without it, and previews and limits of leaving are
/// less it.
///
/// THE EMPTY MARKET
/// In a market with few units a gift makes one unit worth a fortune, and a deposit that buys less than one buys nothing. So
/// nothing is deposited while fewer than `MIN_MARKET_SUPPLY` units exist: the rounding then costs a depositor less than one
/// part in 10^10 of the market. Leaving is always open.
///
/// ASSUMPTIONS
/// - Whoever governs the market can take its funds.
/// - The asset calls nobody while it moves: in such a call a market's rate may be wrong.
/// - A year has `BLOCKS_PER_YEAR` blocks. Only the rate that is shown depends on it, no price.
/// - Rewards in other tokens are not claimed.
contract CompoundV2Strategy is ERC4626, ReentrancyGuardTransient, IRateSource, ILiquiditySource {
    using CompoundV2Interest for ICToken;
    using CompoundV2Rules for ICToken;
    using Math for uint256;
    using SafeERC20 for IERC20;

    /* CONSTANTS AND IMMUTABLES */

    uint256 private constant WAD = 1e18;

    /// @notice Units of the market, with all suppliers', under which nothing is deposited.
    uint256 public constant MIN_MARKET_SUPPLY = 1e10;

    ICToken public immutable MARKET;
    uint256 public immutable BLOCKS_PER_YEAR;
    uint8 private immutable _decimals;

    /* STORAGE */

    /// @dev Units of the market in the books. A loss is written off when money next moves.
    uint256 internal _booked;

    /* ERRORS */

    error NoBlocksPerYear();
    error MarketDoesNotAccrue(address market);
    error MarketRefused(address market, uint256 errorCode);
    error MarketKept(address market, uint256 arrived, uint256 expected);

    /* CONSTRUCTOR */

    constructor(ICToken market, uint256 blocksPerYear, string memory name_, string memory symbol_)
        ERC20(name_, symbol_)
        ERC4626(IERC20(market.underlying()))
    {
        require(blocksPerYear != 0, NoBlocksPerYear());
        MARKET = market;
        BLOCKS_PER_YEAR = blocksPerYear;
        _decimals = IERC20Metadata(address(market)).decimals();
        // The strategy holds only remainders of the asset between two calls, so there is nothing for the market to take.
        IERC20(asset()).forceApprove(address(market), type(uint256).max);
    }

    /* VIEWS */

    /// @notice The market's, as a share is one of its units.
    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    /// @inheritdoc IRateSource
    function supplyRate() external view returns (uint256) {
        return MARKET.supplyRatePerBlock() * BLOCKS_PER_YEAR;
    }

    /// @inheritdoc ILiquiditySource
    function availableLiquidity() external view returns (uint256) {
        (bool open,) = _tryRate();
        return open && MARKET.canRedeem() ? MARKET.getCash() : 0;
    }

    /// @notice Value of the shareholders' units, with interest up to this block and before a fee for redeeming.
    function totalAssets() public view override returns (uint256) {
        return units().mulDiv(_rate(), WAD);
    }

    /// @notice Units of the market that the shareholders own: those in the books, unless the market has fewer.
    function units() public view returns (uint256) {
        return Math.min(_booked, MARKET.balanceOf(address(this)));
    }

    /// @notice Assets that the market would accept now: none if it is paused, closed or next to empty; else up to its cap.
    function maxDeposit(address) public view override returns (uint256) {
        uint256 cap = MARKET.supplyCap();
        uint256 supply = MARKET.totalSupply();
        (bool open, uint256 rate) = _tryRate();
        if (cap == 0 || !open || supply < MIN_MARKET_SUPPLY) return 0;
        return Math.min(cap.saturatingSub(supply.mulDiv(rate, WAD)), type(uint128).max);
    }

    /// @notice As `maxDeposit`, in shares.
    function maxMint(address receiver) public view override returns (uint256) {
        uint256 assets = maxDeposit(receiver);
        return assets == 0 ? 0 : _convertToShares(assets, Math.Rounding.Floor);
    }

    /// @notice Shares that the market would pay out now: none if it is paused, else up to the cash not lent out.
    function maxRedeem(address owner) public view override returns (uint256) {
        (bool open, uint256 rate) = _tryRate();
        if (!open || !MARKET.canRedeem()) return 0;
        return Math.min(balanceOf(owner), _toShares(MARKET.getCash().mulDiv(WAD, rate), Math.Rounding.Floor));
    }

    /// @notice As `maxRedeem`, in assets.
    function maxWithdraw(address owner) public view override returns (uint256) {
        uint256 shares = maxRedeem(owner);
        return shares == 0 ? 0 : previewRedeem(shares);
    }

    /// @notice Assets that redeeming `shares` pays, less the market's fee.
    function previewRedeem(uint256 shares) public view override returns (uint256) {
        return _toUnits(shares, Math.Rounding.Floor).mulDiv(_rate(), WAD).mulDiv(WAD - MARKET.redeemFee(), WAD);
    }

    /// @notice Shares that a withdrawal of `assets` takes, with the market's fee.
    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        return _toShares(_unitsToPay(assets), Math.Rounding.Ceil);
    }

    /* INTERNAL: CONVERSION */

    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        return _toShares(assets.mulDiv(WAD, _rate(), rounding), rounding);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        return _toUnits(shares, rounding).mulDiv(_rate(), WAD, rounding);
    }

    function _toShares(uint256 units_, Math.Rounding rounding) internal view returns (uint256) {
        return units_.mulDiv(totalSupply() + 1, units() + 1, rounding);
    }

    function _toUnits(uint256 shares, Math.Rounding rounding) internal view returns (uint256) {
        return shares.mulDiv(units() + 1, totalSupply() + 1, rounding);
    }

    /// @dev Units to redeem so that `assets` are left after the fee.
    function _unitsToPay(uint256 assets) internal view returns (uint256) {
        return assets.mulDiv(WAD, WAD - MARKET.redeemFee(), Math.Rounding.Ceil).mulDiv(WAD, _rate(), Math.Rounding.Ceil);
    }

    /// @dev For `max*`, which must not revert: with a rate of 0 there is nothing to buy or sell.
    function _tryRate() internal view returns (bool open, uint256 rate) {
        (open, rate) = MARKET.accruedExchangeRate();
        open = open && rate != 0;
    }

    function _rate() internal view returns (uint256 rate) {
        bool accrues;
        (accrues, rate) = MARKET.accruedExchangeRate();
        require(accrues, MarketDoesNotAccrue(address(MARKET)));
    }

    /* INTERNAL: TRANSFERS */

    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override nonReentrant {
        super._deposit(caller, receiver, assets, shares);
    }

    function _withdraw(address caller, address receiver, address owner, uint256 assets, uint256 shares)
        internal
        override
        nonReentrant
    {
        super._withdraw(caller, receiver, owner, assets, shares);
    }

    /// @dev An amount worth less than one unit buys no share and stays here.
    function _transferIn(address from, uint256 assets) internal override {
        super._transferIn(from, assets);
        uint256 bought = assets.mulDiv(WAD, _rate());
        if (bought == 0) return;
        uint256 before = MARKET.balanceOf(address(this));
        _booked = Math.min(_booked, before) + bought;
        _checkCode(MARKET.mint(assets));
        _checkArrived(MARKET.balanceOf(address(this)) - before, bought);
    }

    /// @dev Redeeming by units and not by assets, as markets round the units that an amount takes down.
    function _transferOut(address to, uint256 assets) internal override {
        if (assets == 0) return;
        uint256 sold = _unitsToPay(assets);
        _booked = units() - sold;
        uint256 before = IERC20(asset()).balanceOf(address(this));
        _checkCode(MARKET.redeem(sold));
        _checkArrived(IERC20(asset()).balanceOf(address(this)) - before, assets);
        super._transferOut(to, assets);
    }

    function _checkCode(uint256 errorCode) private view {
        require(errorCode == 0, MarketRefused(address(MARKET), errorCode));
    }

    function _checkArrived(uint256 arrived, uint256 expected) private view {
        require(arrived >= expected, MarketKept(address(MARKET), arrived, expected));
    }
}
