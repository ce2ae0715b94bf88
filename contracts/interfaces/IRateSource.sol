// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title A strategy that publishes its supply rate on chain
interface IRateSource {
    /// @notice Present supply rate of the strategy's position: simple annual rate (APR), WAD (1e18 = 100 % a year).
    function supplyRate() external view returns (uint256);
}
