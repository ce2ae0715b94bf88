// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What a strategy uses of Balancer V2's vault, which holds the coins of all its pools
/// @notice ABI as in Balancer V2's `IVault`.
interface IBalancerVault {
    enum SwapKind {
        GIVEN_IN,
        GIVEN_OUT
    }

    struct SingleSwap {
        bytes32 poolId;
        SwapKind kind;
        address assetIn;
        address assetOut;
        uint256 amount;
        bytes userData;
    }

    struct FundManagement {
        address sender;
        bool fromInternalBalance;
        address payable recipient;
        bool toInternalBalance;
    }

    struct UserBalanceOp {
        uint8 kind;
        address asset;
        uint256 amount;
        address sender;
        address payable recipient;
    }

    /// @param limit The most that goes in, or the least that comes out.
    function swap(SingleSwap calldata single, FundManagement calldata funds, uint256 limit, uint256 deadline)
        external
        payable
        returns (uint256 calculated);

    function manageUserBalance(UserBalanceOp[] calldata operations) external payable;

    /// @notice The pool's coins, its own token among them, and what it has of each in base units.
    function getPoolTokens(bytes32 poolId)
        external
        view
        returns (address[] memory tokens, uint256[] memory balances, uint256 lastChangeBlock);

    function getPausedState() external view returns (bool paused, uint256 windowEnd, uint256 bufferEnd);
}
