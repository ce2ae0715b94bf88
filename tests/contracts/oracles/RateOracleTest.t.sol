// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {IOracle} from "../../../contracts/interfaces/IOracle.sol";
import {RateOracle} from "../../../contracts/oracles/RateOracle.sol";
import {SettableOracle} from "../mocks/SettableOracle.sol";

/// @notice Answers what it is told to, as an issuer of a token does.
contract Issuer {
    uint256 public rate;

    function setRate(uint256 rate_) external {
        rate = rate_;
    }

    function mETHToETH(uint256 amount) external view returns (uint256) {
        return amount * rate / 1e18;
    }
}

contract RateOracleTest is Test {
    uint256 private constant MAX_GROWTH = 0.1e18;

    Issuer private issuer;
    SettableOracle private eth;

    function setUp() public {
        vm.warp(1_750_000_000);
        issuer = new Issuer();
        issuer.setRate(1.05e18);
        eth = new SettableOracle();
        eth.setPrice(2000e24);
    }

    /// @dev USDY in USDC: the issuer's price has 18 decimals, as the token, and USDC 6.
    function _dollar() internal returns (RateOracle) {
        return new RateOracle(address(issuer), abi.encodeCall(issuer.rate, ()), 1e6, MAX_GROWTH, IOracle(address(0)));
    }

    /// @dev mETH in USDC: its rate in ETH times ETH's price.
    function _ether() internal returns (RateOracle) {
        return new RateOracle(address(issuer), abi.encodeCall(Issuer.mETHToETH, (1e18)), 1e18, MAX_GROWTH, eth);
    }

    function test_price() public {
        assertEq(_dollar().price(), 1.05e24);
        RateOracle oracle = _ether();
        assertEq(oracle.price(), 2100e24);
        eth.setPrice(1000e24);
        assertEq(oracle.price(), 1050e24);
        eth.setPrice(0);
        vm.expectRevert(SettableOracle.NoPrice.selector);
        oracle.price();
    }

    /// @dev A rate that jumps is believed up to what it may have grown; one that falls, at once.
    function test_rate_isBounded(uint256 jump, uint256 time) public {
        RateOracle oracle = _dollar();
        time = bound(time, 0, 3 * 365 days);
        jump = bound(jump, 1.05e18, 1e30);
        vm.warp(block.timestamp + time);
        issuer.setRate(jump);
        uint256 most = 1.05e18 + uint256(1.05e18) * MAX_GROWTH * time / (1e18 * 365 days);
        assertEq(oracle.rate(), jump < most ? jump : most);
        issuer.setRate(0.9e18);
        assertEq(oracle.rate(), 0.9e18);
    }

    function test_noRate() public {
        RateOracle oracle = _dollar();
        issuer.setRate(0);
        vm.expectRevert(abi.encodeWithSelector(RateOracle.NoRate.selector, issuer));
        oracle.price();
        vm.expectRevert(abi.encodeWithSelector(RateOracle.NoRate.selector, issuer));
        _dollar();
        vm.expectRevert(abi.encodeWithSelector(RateOracle.NoRate.selector, issuer));
        new RateOracle(address(issuer), hex"12345678", 1e6, MAX_GROWTH, IOracle(address(0)));
        vm.expectRevert(abi.encodeWithSelector(RateOracle.NoRate.selector, address(1000)));
        new RateOracle(address(1000), hex"12345678", 1e6, MAX_GROWTH, IOracle(address(0)));
        issuer.setRate(1e18);
        vm.expectRevert(abi.encodeWithSelector(RateOracle.BadScale.selector, 0));
        new RateOracle(address(issuer), abi.encodeCall(issuer.rate, ()), 0, MAX_GROWTH, IOracle(address(0)));
    }
}
