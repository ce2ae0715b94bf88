// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title A high-water mark that follows a price up, no faster than a set rate
/// @notice The bound on its growth keeps a donor from lifting the mark within minutes and tripping the vault when the price
/// comes back: whatever the price does, `t` seconds after a record the mark is at most `mark x (1 + rate x t / year)`. The
/// clock restarts at every record, so unused growth is not saved up.
library HighWaterMark {
    uint256 internal constant WAD = 1e18;
    uint256 internal constant YEAR = 365 days;

    /// @notice The mark after `elapsed` seconds, at a price.
    /// @param mark The mark at the last record (WAD).
    /// @param rate Maximum growth, as a fraction of the mark per year (WAD), simple.
    function follow(uint256 mark, uint256 price, uint256 rate, uint256 elapsed) internal pure returns (uint256) {
        if (price <= mark) return mark;
        return Math.min(price, Math.saturatingAdd(mark, Math.mulDiv(mark, rate * elapsed, WAD * YEAR)));
    }
}
