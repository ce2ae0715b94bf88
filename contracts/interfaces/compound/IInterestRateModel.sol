// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The part of a Compound V2 market's interest rate model that accrual uses
interface IInterestRateModel {
    /// @notice Rate that borrowers pay for each block, WAD.
    function getBorrowRate(uint256 cash, uint256 borrows, uint256 reserves) external view returns (uint256);
}
