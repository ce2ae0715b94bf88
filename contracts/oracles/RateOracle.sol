// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IOracle} from "../interfaces/IOracle.sol";
import {GrowthBound} from "../libraries/GrowthBound.sol";

/// @title The price of a token that is redeemed at an exchange rate: mETH in ETH, USDY in dollars, a share in its asset
/// @notice The rate is believed up to a bound that grows from what it was at deployment. A rate that jumps (a gift to a vault, an
/// issuer's mistake) lifts the price no further; one that falls lowers it at once.
contract RateOracle is IOracle {
    uint256 private constant WAD = 1e18;

    /// @notice The contract that answers the rate to `QUESTION`.
    address public immutable SOURCE;
    /// @notice Price of what the rate is in; none where that is the quote token.
    IOracle public immutable UNDERLYING;
    /// @notice Most that the rate grows in a year, WAD.
    uint256 public immutable MAX_GROWTH;
    /// @notice The rate at deployment, and when that was.
    uint256 public immutable FIRST_RATE;
    uint256 public immutable FIRST_TIME;

    /// @dev What turns the rate into a price where there is no underlying one.
    uint256 private immutable SCALE;

    /// @notice The call that answers the rate in its first word.
    bytes public QUESTION;

    error NoRate(address source);
    error BadScale(uint256 scale);

    /// @param scale What the rate is multiplied by: 1e36 over its own unit, with the difference of the tokens' decimals.
    constructor(address source, bytes memory question, uint256 scale, uint256 maxGrowth, IOracle underlying) {
        require(scale != 0, BadScale(scale));
        (SOURCE, QUESTION, SCALE) = (source, question, scale);
        (MAX_GROWTH, UNDERLYING) = (maxGrowth, underlying);
        FIRST_TIME = block.timestamp;
        FIRST_RATE = _read(source, question);
    }

    /// @inheritdoc IOracle
    function price() external view returns (uint256) {
        uint256 scaled = rate() * SCALE;
        return address(UNDERLYING) == address(0) ? scaled : Math.mulDiv(scaled, UNDERLYING.price(), 1e36);
    }

    /// @notice The rate, within its bound, in the source's unit.
    function rate() public view returns (uint256) {
        uint256 most = GrowthBound.grown(FIRST_RATE, MAX_GROWTH, block.timestamp - FIRST_TIME);
        return Math.min(_read(SOURCE, QUESTION), most);
    }

    function _read(address source, bytes memory question) private view returns (uint256 answer) {
        (bool ok, bytes memory data) = source.staticcall(question);
        if (ok && data.length >= 32) answer = abi.decode(data, (uint256));
        require(answer != 0, NoRate(source));
    }
}
