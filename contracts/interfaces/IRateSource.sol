// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What a strategy offers so that an agent can see, on chain, what it pays
interface IRateSource {
    /// @notice Supply rate that the strategy's position earns now: simple annual rate (APR), WAD (1e18 = 100 % a year).
    function supplyRate() external view returns (uint256);
}
