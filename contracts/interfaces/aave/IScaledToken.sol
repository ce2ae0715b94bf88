// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What aTokens and variable debt tokens of Aave V3 have in common: balances that are multiplied by an index
interface IScaledToken {
    function scaledBalanceOf(address user) external view returns (uint256);
    function scaledTotalSupply() external view returns (uint256);
}
