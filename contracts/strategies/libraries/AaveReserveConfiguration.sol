// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The bits of an Aave V3 reserve's configuration that matter to a supplier
/// @notice Layout: Aave V3 documentation of `getConfiguration`, unchanged from 3.0 on.
library AaveReserveConfiguration {
    uint256 private constant ACTIVE = 1 << 56;
    uint256 private constant FROZEN = 1 << 57;
    uint256 private constant PAUSED = 1 << 60;
    uint256 private constant CAP_MASK = (1 << 36) - 1;

    function canSupply(uint256 configuration) internal pure returns (bool) {
        return configuration & (ACTIVE | FROZEN | PAUSED) == ACTIVE;
    }

    function canWithdraw(uint256 configuration) internal pure returns (bool) {
        return configuration & (ACTIVE | PAUSED) == ACTIVE;
    }

    /// @notice Share of the borrowers' interest that goes to the treasury, in basis points.
    function reserveFactor(uint256 configuration) internal pure returns (uint256) {
        return (configuration >> 64) & type(uint16).max;
    }

    /// @notice Maximum total supply, in base units of the asset. Without a cap, the most that aToken balances can hold.
    function supplyCap(uint256 configuration) internal pure returns (uint256) {
        uint256 wholeUnits = (configuration >> 116) & CAP_MASK;
        uint256 decimals = (configuration >> 48) & type(uint8).max;
        return wholeUnits == 0 ? type(uint128).max : wholeUnits * 10 ** decimals;
    }
}
