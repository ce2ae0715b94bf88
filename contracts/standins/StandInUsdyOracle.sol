// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Stands for the oracle of Ondo's USDY, on devnets and in tests
/// @notice Kept of the real ones: the price is in dollars with 18 decimals; within a range it grows by the range's rate, once
/// a day, and stands still when the range is over; the issuer sets the next range. The rate of a day is bounded, and so is a
/// step of the price, of which there is one in 23 hours. Left out: ranges of the past, the pause, the rounding to 8 decimals.
contract StandInUsdyOracle is Ownable {
    uint256 private constant RAY = 1e27;

    /// @notice Most that the price grows in a day.
    uint256 public constant MAX_DAILY_RATE = 0.001e27;
    /// @notice Most that a step changes the price by, and the least time between two.
    uint256 public constant MAX_STEP_BPS = 100;
    uint256 public constant STEP_WINDOW = 23 hours;

    uint256 private _startPrice;
    uint256 private _start;
    uint256 private _end;
    uint256 private _dailyRate;
    uint256 private _lastStep;

    error BadRange(uint256 end, uint256 dailyRate);
    error BadStep(uint256 from, uint256 to);

    /// @param price In dollars, 18 decimals.
    /// @param dailyRate What the price grows by in a day, in 1e27ths.
    constructor(uint256 price, uint256 end, uint256 dailyRate) Ownable(msg.sender) {
        _startPrice = price;
        _setRange(end, dailyRate);
    }

    /// @notice Dollars per token, 18 decimals.
    function getPrice() public view returns (uint256) {
        uint256 time = Math.min(block.timestamp, _end);
        return Math.mulDiv(_startPrice, _power(RAY + _dailyRate, (time - _start) / 1 days), RAY);
    }

    /// @notice Begins a range at the present price.
    function setRange(uint256 end, uint256 dailyRate) external onlyOwner {
        _startPrice = getPrice();
        _setRange(end, dailyRate);
    }

    /// @notice Sets the price itself, as when bills lose value; the range goes on from there.
    function setPrice(uint256 price) external onlyOwner {
        uint256 before = getPrice();
        uint256 most = before * MAX_STEP_BPS / 10_000;
        bool small = price <= before + most && price + most >= before;
        require(small && block.timestamp >= _lastStep + STEP_WINDOW, BadStep(before, price));
        (_startPrice, _start, _lastStep) = (price, Math.min(block.timestamp, _end), block.timestamp);
    }

    function _setRange(uint256 end, uint256 dailyRate) private {
        require(end > block.timestamp && dailyRate <= MAX_DAILY_RATE, BadRange(end, dailyRate));
        (_start, _end, _dailyRate) = (block.timestamp, end, dailyRate);
    }

    function _power(uint256 base, uint256 exponent) private pure returns (uint256 result) {
        result = RAY;
        for (; exponent != 0; exponent >>= 1) {
            if (exponent & 1 != 0) result = Math.mulDiv(result, base, RAY);
            base = Math.mulDiv(base, base, RAY);
        }
    }
}
