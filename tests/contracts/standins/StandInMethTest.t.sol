// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Test} from "forge-std/Test.sol";

import {StandInMeth} from "../../../contracts/standins/StandInMeth.sol";

/// @notice What is kept of the real token.
contract StandInMethTest is Test {
    StandInMeth private meth;

    function setUp() public {
        vm.warp(1_750_000_000);
        meth = new StandInMeth(1.05e18);
    }

    function test_rate() public {
        assertEq(meth.mETHToETH(2e18), 2.1e18);
        meth.mint(address(1), 1e18);
        vm.prank(address(1));
        meth.transfer(address(2), 1e18);
        assertEq(meth.balanceOf(address(2)), 1e18);
    }

    function test_report_isBounded() public {
        vm.expectRevert(abi.encodeWithSelector(StandInMeth.BadRate.selector, 1.05e18, 1.05e18 + 1));
        meth.report(1.05e18 + 1);
        vm.warp(block.timestamp + 2 days);
        vm.expectRevert(abi.encodeWithSelector(StandInMeth.BadRate.selector, 1.05e18, 1.0521e18 + 1));
        meth.report(1.0521e18 + 1);
        meth.report(1.0521e18);
        vm.expectRevert(abi.encodeWithSelector(StandInMeth.BadRate.selector, 1.0521e18, 0.94689e18 - 1));
        meth.report(0.94689e18 - 1);
        meth.report(0.94689e18);
        assertEq(meth.rate(), 0.94689e18);
    }

    function test_ownerAlone() public {
        vm.startPrank(address(1));
        bytes memory refusal = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(1));
        vm.expectRevert(refusal);
        meth.report(1.05e18);
        vm.expectRevert(refusal);
        meth.mint(address(1), 1);
    }
}
