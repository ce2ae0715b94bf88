// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {GrowthBound} from "../../contracts/libraries/GrowthBound.sol";

contract GrowthBoundTest is Test {
    uint256 private constant WAD = 1e18;

    function test_grown_aQuarterAYear() public pure {
        assertEq(GrowthBound.grown(1000e18, 0.25e18, 365 days), 1250e18);
        assertEq(GrowthBound.grown(1000e18, 0.25e18, 73 days), 1050e18);
    }

    function test_grown_notWithoutTimeNorRate() public pure {
        assertEq(GrowthBound.grown(1000e18, 0.25e18, 0), 1000e18);
        assertEq(GrowthBound.grown(1000e18, 0, 365 days), 1000e18);
        assertEq(GrowthBound.grown(0, 0.25e18, 365 days), 0);
    }

    /// @dev Recording often compounds, and never beyond the exponential.
    function testFuzz_grown_recordedHalfway(uint128 recorded, uint64 rate, uint32 first, uint32 second) public pure {
        rate = uint64(bound(rate, 0, 10 * WAD));
        uint256 once = GrowthBound.grown(recorded, rate, uint256(first) + second);
        uint256 twice = GrowthBound.grown(GrowthBound.grown(recorded, rate, first), rate, second);
        assertGe(twice + 1, once);
    }

    /// @dev The largest numbers that a vault can have do not overflow.
    function test_grown_ofTheMost() public pure {
        assertGt(GrowthBound.grown(type(uint128).max, 1000 * WAD, type(uint48).max), type(uint128).max);
    }
}
