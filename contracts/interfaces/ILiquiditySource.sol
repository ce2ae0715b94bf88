// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title A strategy that knows the cash of its venue
/// @notice Optional. `maxWithdraw` says what the vault could take out of what it has there, which is nothing before the first
/// deposit. This says what anybody could.
interface ILiquiditySource {
    /// @notice Assets that the venue could pay out now, whoever asks.
    function availableLiquidity() external view returns (uint256);
}
