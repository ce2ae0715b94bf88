// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What a strategy uses of a stable pool of Curve, without what takes a list of amounts
/// @notice ABI as in Curve's `StableSwap3Pool` and `CurveStableSwapNG`.
/// @dev Amounts are `uint256[n]` in older pools and `uint256[]` in newer ones: `CurveStableStrategy` encodes them. Only
/// newer ones return what an exit paid, so nothing is read here.
interface ICurvePool {
    function coins(uint256 index) external view returns (address);

    /// @notice In the coin's base units, without what the protocol has taken.
    function balances(uint256 index) external view returns (uint256);

    /// @notice Invariant per token of the pool, WAD.
    function get_virtual_price() external view returns (uint256);

    /// @notice Part of a trade, times 1e10.
    function fee() external view returns (uint256);

    /// @notice Assets that leaving pays now, fees included.
    function calc_withdraw_one_coin(uint256 tokens, int128 index) external view returns (uint256);

    function remove_liquidity_one_coin(uint256 tokens, int128 index, uint256 least) external;

    /// @notice Whether the pool is stopped. Not every pool says, and newer ones have no such switch.
    function is_killed() external view returns (bool);
}
