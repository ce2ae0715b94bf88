// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title An aToken or variable debt token of Aave V3: its balances are multiplied by an index
interface IScaledToken {
    function scaledBalanceOf(address user) external view returns (uint256);
    function scaledTotalSupply() external view returns (uint256);
}
