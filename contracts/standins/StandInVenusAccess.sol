// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Stands for Venus's list of who may set what, and for its prices, on devnets and in tests
/// @notice Everybody may set everything; and anybody sets prices.
contract StandInVenusAccess {
    mapping(address => uint256) private _prices;

    function isAllowedToCall(address, string calldata) external pure returns (bool) {
        return true;
    }

    /// @param price Of a base unit of the market's asset, times 1e18, in any currency.
    function setPrice(address market, uint256 price) external {
        _prices[market] = price;
    }

    function getUnderlyingPrice(address market) external view returns (uint256) {
        return _prices[market];
    }
}
