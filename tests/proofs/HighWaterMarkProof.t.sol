// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {HighWaterMark} from "../../contracts/libraries/HighWaterMark.sol";
import {Proof} from "./Proof.sol";

/// @notice The high-water mark: it follows the price up, never down, and no faster than its rate.
/// @dev Bounds of the proofs: marks of 64 bits and growth `rate x elapsed` of 96, for a solver multiplies bit by bit; the
/// price is whole.
contract HighWaterMarkProof is Proof {
    function check_theMarkNeverFalls(uint64 mark, uint256 price, uint64 rate, uint32 elapsed) external pure {
        assert(HighWaterMark.follow(mark, price, rate, elapsed) >= mark);
    }

    function check_theMarkNeverPassesThePrice(uint64 mark, uint256 price, uint64 rate, uint32 elapsed) external pure {
        uint256 next = HighWaterMark.follow(mark, price, rate, elapsed);
        assert(next <= price || next == mark);
    }

    function check_theMarkGrowsNoFasterThanItsRate(uint64 mark, uint256 price, uint64 rate, uint32 elapsed)
        external
        pure
    {
        uint256 next = HighWaterMark.follow(mark, price, rate, elapsed);
        unchecked {
            assert(next <= mark + uint256(mark) * (uint256(rate) * elapsed) / (WAD * 365 days));
        }
    }

    function check_withoutTimeTheMarkStays(uint64 mark, uint256 price, uint64 rate) external pure {
        assert(HighWaterMark.follow(mark, price, rate, 0) == mark);
    }

    /// @dev False on purpose: the mark does follow. See `MUST_FAIL` of the audit.
    function check_refuted_theMarkNeverMoves(uint64 mark, uint256 price, uint64 rate, uint32 elapsed) external pure {
        assert(HighWaterMark.follow(mark, price, rate, elapsed) == mark);
    }
}
