// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The price of one token, the base, in another, the quote
/// @notice The interface of Morpho Blue's oracles, so that theirs fit.
interface IOracle {
    /// @notice Quote base units per base unit of the base token, times 1e36: `amount * price / 1e36`. It reverts where there
    /// is no price: one that is too old or absurd is none.
    function price() external view returns (uint256);
}
