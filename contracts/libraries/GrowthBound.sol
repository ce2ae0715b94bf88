// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title A recorded amount that may grow no faster than a set rate
/// @notice The bound on what the vault believes of gains. Whatever is claimed `t` seconds after a record, at most
/// `recorded x (1 + rate x t / year)` of it counts. The clock restarts at every record, so unused growth is not saved up.
library GrowthBound {
    uint256 internal constant WAD = 1e18;
    uint256 internal constant YEAR = 365 days;

    /// @notice The most that counts after `elapsed` seconds. With an amount of 128 bits, a rate of 80 and a time of 40, nothing
    /// overflows.
    /// @param recorded The amount at the last record.
    /// @param rate Maximum growth, as a fraction of the amount per year (WAD), simple.
    function grown(uint256 recorded, uint256 rate, uint256 elapsed) internal pure returns (uint256) {
        return recorded + recorded * (rate * elapsed) / (WAD * YEAR);
    }
}
