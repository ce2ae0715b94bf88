// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IInterestRateModel} from "./IInterestRateModel.sol";

/// @title The parts of a Compound V2 market (cToken, vToken) that a supplier uses
interface ICToken {
    /// @notice Supplies `amount`. It answers 0, or an error code with nothing done.
    function mint(uint256 amount) external returns (uint256 error);

    /// @notice Redeems units of this market. It answers 0, or an error code with nothing done.
    function redeem(uint256 units) external returns (uint256 error);

    function balanceOf(address owner) external view returns (uint256);
    function totalSupply() external view returns (uint256);
    function underlying() external view returns (address);
    function comptroller() external view returns (address);
    function interestRateModel() external view returns (IInterestRateModel);
    function exchangeRateStored() external view returns (uint256);
    function accrualBlockNumber() external view returns (uint256);
    function getCash() external view returns (uint256);
    function totalBorrows() external view returns (uint256);
    function totalReserves() external view returns (uint256);
    function reserveFactorMantissa() external view returns (uint256);
    function supplyRatePerBlock() external view returns (uint256);
}
