// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IBalancerVault} from "./IBalancerVault.sol";

/// @title What a strategy uses of a composable stable pool of Balancer V2. The pool is its own token, and one of its coins.
/// @notice ABI as in Balancer V2's `ComposableStablePool`.
interface IComposableStablePool {
    function getVault() external view returns (IBalancerVault);

    function getPoolId() external view returns (bytes32);

    function getBptIndex() external view returns (uint256);

    /// @notice Invariant per token of the pool, WAD.
    function getRate() external view returns (uint256);

    /// @notice Contracts that say at which rate each coin is counted; none where it is 1.
    function getRateProviders() external view returns (address[] memory);

    /// @notice What turns each coin's base units into 18 decimals, WAD.
    function getScalingFactors() external view returns (uint256[] memory);

    function getAmplificationParameter() external view returns (uint256 value, bool isUpdating, uint256 precision);

    function getSwapFeePercentage() external view returns (uint256);

    function getPausedState() external view returns (bool paused, uint256 windowEnd, uint256 bufferEnd);
}
