// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ILiquiditySource} from "../interfaces/ILiquiditySource.sol";
import {IRateSource} from "../interfaces/IRateSource.sol";
import {IPool} from "../interfaces/aave/IPool.sol";
import {IScaledToken} from "../interfaces/aave/IScaledToken.sol";
import {IStableDebtToken} from "../interfaces/aave/IStableDebtToken.sol";
import {AaveReserveConfiguration} from "./libraries/AaveReserveConfiguration.sol";

/// @title A strategy over one Aave V3 reserve
/// @notice
///
/// WHAT IT IS
/// An ERC-4626 vault that supplies its asset to one Aave V3 pool and does nothing else. It has no owner, no fee and no
/// setting; anybody may use it.
///
/// ACCOUNTING
/// Aave books a supplier's balance in scaled units, each worth the reserve's index, which grows with the interest. The
/// strategy keeps its own count of the scaled units that its shareholders own, and converts between shares, scaled units
/// and assets, rounding against the caller at each step. Aave rounds too: to the nearest unit before version 3.5, against
/// the supplier since. In either case a deposit brings in at least the units it is credited with and a withdrawal takes at
/// most the units it is charged. So the units in the books are always there, every preview equals the outcome, and a
/// position never grows by rounding: a vault that aims at its cap exactly is not carried over it.
/// aTokens that are sent here, and Aave's rounding remainders, are not in the books and count for nothing. Units that the
/// books have but Aave does not (a loss that Aave socialised, a theft) count for nothing either, at once.
///
/// ASSUMPTIONS
/// - The pool is Aave's: whoever can upgrade it can take its funds.
/// - Incentives that Aave pays in other tokens are not claimed.
contract AaveV3Strategy is ERC4626, IRateSource, ILiquiditySource {
    using AaveReserveConfiguration for uint256;
    using Math for uint256;
    using SafeERC20 for IERC20;

    /* CONSTANTS AND IMMUTABLES */

    uint256 private constant RAY = 1e27;
    uint256 private constant RAY_PER_WAD = 1e9;
    uint256 private constant BASIS_POINTS = 1e4;
    uint8 private constant DECIMALS_OFFSET = 6;

    IPool public immutable POOL;
    IScaledToken public immutable A_TOKEN;

    /* STORAGE */

    /// @dev Scaled aToken units in the books. A loss is written off when money next moves.
    uint256 internal _booked;

    /* ERRORS */

    error UnknownReserve(address pool, address asset);

    /* CONSTRUCTOR */

    constructor(IPool pool, IERC20 asset_, string memory name_, string memory symbol_)
        ERC20(name_, symbol_)
        ERC4626(asset_)
    {
        address aToken = pool.getReserveData(address(asset_)).aTokenAddress;
        require(aToken != address(0), UnknownReserve(address(pool), address(asset_)));
        POOL = pool;
        A_TOKEN = IScaledToken(aToken);
        // The strategy holds none of the asset between two calls, so there is nothing for the pool to take.
        asset_.forceApprove(address(pool), type(uint256).max);
    }

    /* VIEWS */

    /// @inheritdoc IRateSource
    function supplyRate() external view returns (uint256) {
        return POOL.getReserveData(asset()).currentLiquidityRate / RAY_PER_WAD;
    }

    /// @inheritdoc ILiquiditySource
    function availableLiquidity() external view returns (uint256) {
        return POOL.getReserveData(asset()).configuration.canWithdraw() ? _availableLiquidity() : 0;
    }

    /// @notice Value of the shareholders' units, with interest up to this block.
    function totalAssets() public view override returns (uint256) {
        return scaledAssets().mulDiv(_index(), RAY);
    }

    /// @notice Scaled aToken units that the shareholders own: those in the books, unless Aave has fewer.
    function scaledAssets() public view returns (uint256) {
        return Math.min(_booked, A_TOKEN.scaledBalanceOf(address(this)));
    }

    /// @notice Assets that Aave would accept now: none if the reserve is frozen, paused or off; else up to its supply cap.
    function maxDeposit(address) public view override returns (uint256) {
        IPool.ReserveData memory reserve = POOL.getReserveData(asset());
        if (!reserve.configuration.canSupply()) return 0;
        return reserve.configuration.supplyCap().saturatingSub(_suppliedToReserve(reserve));
    }

    /// @notice As `maxDeposit`, in shares.
    function maxMint(address receiver) public view override returns (uint256) {
        return _convertToShares(maxDeposit(receiver), Math.Rounding.Floor);
    }

    /// @notice Shares that Aave would pay out now: none if the reserve is paused, else up to the liquidity not lent out.
    function maxRedeem(address owner) public view override returns (uint256) {
        if (!POOL.getReserveData(asset()).configuration.canWithdraw()) return 0;
        return Math.min(balanceOf(owner), _convertToShares(_availableLiquidity(), Math.Rounding.Floor));
    }

    /* INTERNAL: CONVERSION */

    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        return _toScaled(assets, rounding).mulDiv(totalSupply() + 10 ** DECIMALS_OFFSET, scaledAssets() + 1, rounding);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        uint256 scaled = shares.mulDiv(scaledAssets() + 1, totalSupply() + 10 ** DECIMALS_OFFSET, rounding);
        return scaled.mulDiv(_index(), RAY, rounding);
    }

    function _toScaled(uint256 assets, Math.Rounding rounding) internal view returns (uint256) {
        return assets.mulDiv(RAY, _index(), rounding);
    }

    function _index() internal view returns (uint256) {
        return POOL.getReserveNormalizedIncome(asset());
    }

    function _decimalsOffset() internal pure override returns (uint8) {
        return DECIMALS_OFFSET;
    }

    /* INTERNAL: THE RESERVE */

    /// @dev Total supply as Aave's check of the cap will see it in this block: with the treasury's share of the interest,
    /// recorded or not. Each step rounds up where Aave rounds to the nearest, so Aave accepts a deposit up to this room; a
    /// few units of it stay unused.
    function _suppliedToReserve(IPool.ReserveData memory reserve) internal view returns (uint256) {
        uint256 index = _index();
        uint256 treasuryShare = _unrecordedInterest(reserve)
            .mulDiv(reserve.configuration.reserveFactor(), BASIS_POINTS, Math.Rounding.Ceil)
            .mulDiv(RAY, index, Math.Rounding.Ceil);
        uint256 scaled = A_TOKEN.scaledTotalSupply() + reserve.accruedToTreasury + treasuryShare;
        return scaled.mulDiv(index, RAY, Math.Rounding.Ceil);
    }

    /// @dev Interest that borrowers owe since the reserve's last update, rounded up.
    function _unrecordedInterest(IPool.ReserveData memory reserve) internal view returns (uint256 interest) {
        uint256 debt = IScaledToken(reserve.variableDebtTokenAddress).scaledTotalSupply();
        uint256 index = POOL.getReserveNormalizedVariableDebt(asset());
        interest = debt.mulDiv(index, RAY, Math.Rounding.Ceil) - debt.mulDiv(reserve.variableBorrowIndex, RAY);

        // Stable debt was removed in 3.2. Its interest counts from each loan's own start, which is earlier: an upper bound.
        if (reserve.stableDebtTokenAddress.code.length != 0) {
            try IStableDebtToken(reserve.stableDebtTokenAddress).getSupplyData() returns (
                uint256 principal, uint256 total, uint256, uint40
            ) {
                interest += total - principal;
            } catch {}
        }
    }

    /// @dev Liquidity not lent out. Since 3.1 Aave keeps its own books of it, without tokens that were sent to the aToken.
    function _availableLiquidity() internal view returns (uint256 available) {
        available = IERC20(asset()).balanceOf(address(A_TOKEN));
        try POOL.getVirtualUnderlyingBalance(asset()) returns (uint128 booked) {
            available = Math.min(available, booked);
        } catch {}
    }

    /* INTERNAL: TRANSFERS */

    /// @dev An amount worth less than one scaled unit buys no share; Aave may refuse it, so it stays here.
    function _transferIn(address from, uint256 assets) internal override {
        super._transferIn(from, assets);
        uint256 scaled = _toScaled(assets, Math.Rounding.Floor);
        if (scaled == 0) return;
        _booked = scaledAssets() + scaled;
        POOL.supply(asset(), assets, address(this), 0);
    }

    function _transferOut(address to, uint256 assets) internal override {
        if (assets == 0) return;
        uint256 index = _index();
        _booked = scaledAssets() - assets.mulDiv(RAY, index, Math.Rounding.Ceil);
        if (2 * assets * RAY >= index) {
            POOL.withdraw(asset(), assets, to);
        } else {
            // Before 3.5 Aave refuses an amount that rounds to no unit. One unit is taken, as charged; the excess stays.
            POOL.withdraw(asset(), index / RAY, address(this));
            super._transferOut(to, assets);
        }
    }
}
