// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Stable debt of Aave V3 before 3.2, which adds to the interest that borrowers owe
interface IStableDebtToken {
    function getSupplyData()
        external
        view
        returns (uint256 principal, uint256 total, uint256 averageRate, uint40 updatedAt);
}
