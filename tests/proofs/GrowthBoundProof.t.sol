// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GrowthBound} from "../../contracts/libraries/GrowthBound.sol";
import {Proof} from "./Proof.sol";

/// @notice The bound on growth: never under what is recorded, never over its rate, and nothing without time.
/// @dev Bounds of the proofs: amounts of 64 bits and growth `rate x elapsed` of 96, for a solver multiplies bit by bit.
contract GrowthBoundProof is Proof {
    function check_theBoundIsNeverUnderWhatIsRecorded(uint64 recorded, uint64 rate, uint32 elapsed) external pure {
        assert(GrowthBound.grown(recorded, rate, elapsed) >= recorded);
    }

    function check_theBoundGrowsNoFasterThanItsRate(uint64 recorded, uint64 rate, uint32 elapsed) external pure {
        uint256 most = GrowthBound.grown(recorded, rate, elapsed);
        unchecked {
            assert((most - recorded) * (WAD * 365 days) <= uint256(recorded) * (uint256(rate) * elapsed));
        }
    }

    function check_withoutTimeNothingGrows(uint128 recorded, uint64 rate) external pure {
        assert(GrowthBound.grown(recorded, rate, 0) == recorded);
    }

    function check_withoutARateNothingGrows(uint128 recorded, uint32 elapsed) external pure {
        assert(GrowthBound.grown(recorded, 0, elapsed) == recorded);
    }

    function check_nothingGrowsToNothing(uint64 rate, uint32 elapsed) external pure {
        assert(GrowthBound.grown(0, rate, elapsed) == 0);
    }

    /// @dev False on purpose: it does grow. See `MUST_FAIL` of the audit.
    function check_refuted_nothingEverGrows(uint64 recorded, uint64 rate, uint32 elapsed) external pure {
        assert(GrowthBound.grown(recorded, rate, elapsed) == recorded);
    }
}
