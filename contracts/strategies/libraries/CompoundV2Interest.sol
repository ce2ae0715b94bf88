// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ICToken} from "../../interfaces/compound/ICToken.sol";
import {IInterestRateModel} from "../../interfaces/compound/IInterestRateModel.sol";

/// @title The exchange rate of a Compound V2 market with interest up to this block
/// @notice A market adds interest only when it is used: what it stores was 227 in a million behind after three days. Here is
/// the arithmetic of its `accrueInterest`, in its order and with its rounding, without writing.
/// Source: Compound Protocol 2.8, `CToken.accrueInterest` and `exchangeRateStoredInternal`.
library CompoundV2Interest {
    uint256 private constant WAD = 1e18;

    /// @dev Interest per block beyond which a market refuses to go on: `borrowRateMaxMantissa`.
    uint256 private constant MAX_BORROW_RATE = 0.0005e16;

    /// @notice Assets per unit of the market, times 1e18.
    /// @return ok Whether the market would add its interest now; where it would not, nothing can be paid in or out.
    function accruedExchangeRate(ICToken market) internal view returns (bool ok, uint256 rate) {
        uint256 supply = market.totalSupply();
        uint256 blocks = block.number - market.accrualBlockNumber();
        if (supply == 0 || blocks == 0) return (true, market.exchangeRateStored());

        uint256 cash = market.getCash();
        uint256 borrows = market.totalBorrows();
        uint256 reserves = market.totalReserves();
        uint256 borrowRate;
        (ok, borrowRate) = _borrowRate(market, cash, borrows, reserves);
        if (!ok) return (false, 0);

        uint256 interest = borrowRate * blocks * borrows / WAD;
        reserves += market.reserveFactorMantissa() * interest / WAD;
        uint256 assets = cash + borrows + interest;
        return assets < reserves ? (false, 0) : (true, Math.mulDiv(assets - reserves, WAD, supply));
    }

    function _borrowRate(ICToken market, uint256 cash, uint256 borrows, uint256 reserves)
        private
        view
        returns (bool, uint256)
    {
        IInterestRateModel model = market.interestRateModel();
        try model.getBorrowRate(cash, borrows, reserves) returns (uint256 rate) {
            return (rate <= MAX_BORROW_RATE, rate);
        } catch {
            return (false, 0);
        }
    }
}
