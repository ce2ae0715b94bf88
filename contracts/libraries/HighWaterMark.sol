// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title A high-water mark that follows a price up, no faster than a set rate
/// @notice The bound on its growth is what keeps a donor from lifting the mark within minutes and tripping the vault when
/// the price comes back: whatever the price does, `t` seconds after a record the mark is at most
/// `mark x (1 + rate x t / year)`. The clock restarts at every record, so an allowance that was not used is not saved up
/// across records; over many records the bound compounds.
library HighWaterMark {
    using SafeCast for uint256;

    uint256 internal constant WAD = 1e18;
    uint256 internal constant YEAR = 365 days;

    /// @param value The mark (WAD).
    /// @param recordedAt Timestamp of the last record.
    struct Mark {
        uint208 value;
        uint48 recordedAt;
    }

    /// @notice Records the mark, or starts it anew, at `price`.
    function start(Mark storage mark, uint256 price) internal {
        mark.value = price.toUint208();
        mark.recordedAt = uint48(block.timestamp);
    }

    /// @notice The mark as it would be recorded now.
    function preview(Mark storage mark, uint256 price, uint256 rate) internal view returns (uint256) {
        uint256 value = mark.value;
        if (price <= value) return value;
        uint256 most = value + Math.mulDiv(value, rate * (block.timestamp - mark.recordedAt), WAD * YEAR);
        return Math.min(price, most);
    }
}
