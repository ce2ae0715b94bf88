// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Test} from "forge-std/Test.sol";

import {StandInUsdy} from "../../../contracts/standins/StandInUsdy.sol";
import {StandInUsdyOracle} from "../../../contracts/standins/StandInUsdyOracle.sol";

/// @notice What is kept of the real token and its oracle.
contract StandInUsdyTest is Test {
    uint256 private constant DAILY = 0.000134e27; // 5 % a year

    StandInUsdy private usdy;
    StandInUsdyOracle private oracle;
    address private immutable ALICE = makeAddr("alice");
    address private immutable BOB = makeAddr("bob");
    address private immutable MALLORY = makeAddr("mallory");

    function setUp() public {
        vm.warp(1_750_000_000);
        usdy = new StandInUsdy();
        usdy.setAllowed(ALICE, true);
        usdy.setAllowed(BOB, true);
        usdy.mint(ALICE, 100e18);
        oracle = new StandInUsdyOracle(1.05e18, block.timestamp + 30 days, DAILY);
    }

    function _refused(address who) private {
        vm.expectRevert(abi.encodeWithSelector(StandInUsdy.NotOnTheList.selector, who));
    }

    function test_token_movesOnlyAmongTheListed() public {
        vm.startPrank(ALICE);
        usdy.transfer(BOB, 10e18);
        usdy.approve(MALLORY, 10e18);
        _refused(MALLORY);
        usdy.transfer(MALLORY, 1);
        vm.stopPrank();
        vm.prank(MALLORY);
        _refused(MALLORY);
        usdy.transferFrom(ALICE, BOB, 1);
        _refused(MALLORY);
        usdy.mint(MALLORY, 1);

        usdy.setAllowed(ALICE, false);
        vm.prank(ALICE);
        _refused(ALICE);
        usdy.transfer(BOB, 1);
        _refused(ALICE);
        usdy.burn(ALICE, 1);
        usdy.burn(BOB, 10e18);
        assertEq(usdy.totalSupply(), 90e18);
    }

    function test_issuerAlone() public {
        vm.startPrank(MALLORY);
        bytes memory refusal = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, MALLORY);
        vm.expectRevert(refusal);
        usdy.setAllowed(MALLORY, true);
        vm.expectRevert(refusal);
        usdy.mint(MALLORY, 1);
        vm.expectRevert(refusal);
        usdy.burn(ALICE, 1);
        vm.expectRevert(refusal);
        oracle.setRange(block.timestamp + 60 days, 0);
        vm.expectRevert(refusal);
        oracle.setPrice(1.06e18);
    }

    function test_price_growsOnceADay_untilTheRangeIsOver() public {
        vm.warp(block.timestamp + 1 days - 1);
        assertEq(oracle.getPrice(), 1.05e18);
        vm.warp(block.timestamp + 1);
        assertEq(oracle.getPrice(), 1.0501407e18);
        vm.warp(block.timestamp + 29 days);
        uint256 month = oracle.getPrice();
        assertApproxEqRel(month, 1.05423e18, 1e13, "30 days of 1.34 bp");
        vm.warp(block.timestamp + 365 days);
        assertEq(oracle.getPrice(), month, "nobody has set the next range");
        oracle.setRange(block.timestamp + 1 days, 0);
        vm.warp(block.timestamp + 1 days);
        assertEq(oracle.getPrice(), month);
    }

    function test_range_isBounded() public {
        uint256 most = oracle.MAX_DAILY_RATE();
        oracle.setRange(block.timestamp + 1, most);
        vm.expectRevert(abi.encodeWithSelector(StandInUsdyOracle.BadRange.selector, block.timestamp, DAILY));
        oracle.setRange(block.timestamp, DAILY);
        vm.expectRevert(abi.encodeWithSelector(StandInUsdyOracle.BadRange.selector, block.timestamp + 1, most + 1));
        oracle.setRange(block.timestamp + 1, most + 1);
    }

    function test_step_isBounded() public {
        vm.expectRevert(abi.encodeWithSelector(StandInUsdyOracle.BadStep.selector, 1.05e18, 1.0606e18));
        oracle.setPrice(1.0606e18);
        vm.expectRevert(abi.encodeWithSelector(StandInUsdyOracle.BadStep.selector, 1.05e18, 1.0394e18));
        oracle.setPrice(1.0394e18);
        oracle.setPrice(1.0395e18);
        assertEq(oracle.getPrice(), 1.0395e18);
        vm.warp(block.timestamp + 23 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(StandInUsdyOracle.BadStep.selector, 1.0395e18, 1.03e18));
        oracle.setPrice(1.03e18);
        vm.warp(block.timestamp + 1);
        oracle.setPrice(1.03e18);
        vm.warp(block.timestamp + 1 days);
        assertEq(oracle.getPrice(), 1.03e18 + 1.03e18 * 0.000134e18 / 1e18, "the range goes on");
        vm.warp(block.timestamp + 60 days);
        oracle.setPrice(1.03e18);
        assertEq(oracle.getPrice(), 1.03e18, "also when it is over");
    }
}
