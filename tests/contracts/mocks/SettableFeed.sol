// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAggregator} from "../../../contracts/interfaces/chainlink/IAggregator.sol";

/// @notice A feed of Chainlink's kind whose answers tests set.
contract SettableFeed is IAggregator {
    uint8 public immutable decimals;
    int256 private _answer;
    uint256 private _startedAt;
    uint256 private _updatedAt;

    constructor(uint8 decimals_) {
        decimals = decimals_;
    }

    function set(int256 answer, uint256 updatedAt) external {
        (_answer, _startedAt, _updatedAt) = (answer, updatedAt, updatedAt);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (1, _answer, _startedAt, _updatedAt, 1);
    }
}
