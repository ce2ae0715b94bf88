// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title A high-water mark that follows a price up, no faster than a set rate
/// @notice The bound on its growth is what keeps a donor from lifting the mark within minutes and tripping the vault when
/// the price comes back: whatever the price does, after `t` seconds the mark is at most `mark x (1 + rate x t / year)`.
/// The clock restarts at every record, so an allowance that was not used is not saved up across records.
library HighWaterMark {
    uint256 internal constant WAD = 1e18;
    uint256 internal constant YEAR = 365 days;

    /// @param value The mark (WAD).
    /// @param recordedAt Timestamp of the last record.
    struct Mark {
        uint208 value;
        uint48 recordedAt;
    }

    /// @notice Starts the mark anew at `price`.
    /// @dev A price beyond 208 bits (an empty vault that was sent all the money in the world) is recorded as the largest:
    /// to revert instead would lock the vault.
    function start(Mark storage mark, uint256 price) internal {
        mark.value = uint208(Math.min(price, type(uint208).max));
        mark.recordedAt = uint48(block.timestamp);
    }

    /// @notice Records the mark at a price and returns it.
    /// @param rate Fastest growth, as a fraction of the mark per year (WAD), simple.
    function accrue(Mark storage mark, uint256 price, uint256 rate) internal returns (uint256 value) {
        value = preview(mark, price, rate);
        start(mark, value);
    }

    /// @notice The mark as it would be recorded now.
    function preview(Mark storage mark, uint256 price, uint256 rate) internal view returns (uint256) {
        uint256 value = mark.value;
        if (price <= value) return value;
        uint256 growth = Math.mulDiv(value, rate * (block.timestamp - mark.recordedAt), WAD * YEAR);
        return Math.min(price, Math.saturatingAdd(value, growth));
    }
}
