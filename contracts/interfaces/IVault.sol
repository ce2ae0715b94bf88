// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

/// @title The interface of the Bulkhead vault beyond ERC-4626
/// @notice Ratios are WAD (1e18 = 100 %), money is in base units of the asset, time is in seconds.
interface IVault is IERC4626 {
    /* TYPES */

    /// @notice What the keeper asks for. Everything it may choose is here; everything else is the vault's.
    /// @param epoch Compare-and-swap: must equal the vault's epoch, which then grows by one.
    /// @param deadline Last timestamp at which the request is good.
    /// @param minTotalAssets NAV after the rebalance must not be below this.
    /// @param weights Target share of NAV for each strategy, in the vault's order. `HOLD` leaves a position as it is.
    /// What the weights leave over stays idle.
    /// @param policyHash Digest of the policy that decided; must be the committed one.
    /// @param decisionHash Digest of the observation and the decision, for the record.
    struct Rebalance {
        uint256 epoch;
        uint256 deadline;
        uint256 minTotalAssets;
        uint256[] weights;
        bytes32 policyHash;
        bytes32 decisionHash;
    }

    /// @notice A strategy as the vault knows it.
    /// @param target The ERC-4626 vault that holds the position.
    /// @param relativeCap Largest share of NAV a rebalance may leave in it (WAD).
    /// @param shares Shares of it that the vault owns by its own books; donated shares count for nothing.
    /// @param absoluteCap Largest amount a rebalance may leave in it (asset units).
    struct Strategy {
        IERC4626 target;
        uint64 relativeCap;
        uint128 shares;
        uint128 absoluteCap;
    }

    /* EVENTS */

    event Rebalanced(
        uint256 indexed epoch,
        bytes32 indexed policyHash,
        bytes32 decisionHash,
        uint256[] weights,
        uint256 navBefore,
        uint256 navAfter
    );
    event Tripped(address indexed caller, uint256 sharePrice, uint256 highWaterMark);
    event Resumed(uint256 highWaterMark);
    event Unwound(address indexed caller, address indexed strategy, uint256 shares, uint256 assets);
    event StrategySkipped(address indexed strategy);
    event StrategyAdded(address indexed strategy, uint64 relativeCap, uint128 absoluteCap);
    event CapsSet(address indexed strategy, uint64 relativeCap, uint128 absoluteCap);
    event IdleFloorSet(uint64 idleFloor);
    event MaxDrawdownSet(uint64 maxDrawdown);
    event MarkGrowthRateSet(uint64 markGrowthRate);
    event KeeperSet(address indexed keeper);
    event PolicyCommitted(bytes32 indexed policyHash);

    /* ERRORS */

    error NotKeeper(address caller);
    error VaultHalted();
    error NotHalted();
    error WrongEpoch(uint256 given, uint256 expected);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error WrongPolicy(bytes32 given, bytes32 committed);
    error WrongLength(uint256 given, uint256 expected);
    error RelativeCapExceeded(address strategy, uint256 assets, uint256 cap);
    error AbsoluteCapExceeded(address strategy, uint256 assets, uint256 cap);
    error IdleFloorBreached(uint256 idle, uint256 floor);
    error TotalAssetsBelowMinimum(uint256 totalAssets, uint256 minimum);
    error DrawdownExceeded(uint256 sharePrice, uint256 floor);
    error DrawdownWithinLimit(uint256 sharePrice, uint256 floor);
    error UnknownStrategy(address strategy);
    error StrategyAlreadyAdded(address strategy);
    error TooManyStrategies(uint256 maximum);
    error WrongAsset(address strategy, address asset);
    error LimitOutOfRange(uint256 value, uint256 maximum);
    error NotEnoughLiquidity(uint256 assets, uint256 available);
    error TransferFeeTaken(uint256 expected, uint256 received);
    error ZeroAddress();

    /* KEEPER */

    function rebalance(Rebalance calldata request) external;

    /* ANYONE */

    /// @notice Halts the vault when the share price is past the drawdown limit. Reverts `DrawdownWithinLimit` otherwise.
    function trip() external;

    /// @notice While halted: takes what can be taken out of a strategy to idle. Returns the assets received.
    function unwind(address strategy) external returns (uint256 assets);

    /* GOVERNANCE (restricted by the authority) */

    function addStrategy(address strategy, uint64 relativeCap, uint128 absoluteCap) external;
    function setCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external;
    function setIdleFloor(uint64 idleFloor) external;
    function setMaxDrawdown(uint64 maxDrawdown) external;
    function setMarkGrowthRate(uint64 markGrowthRate) external;
    function setKeeper(address keeper) external;
    function commitPolicy(bytes32 policyHash) external;
    /// @notice Ends a halt, with the present share price as the new high-water mark.
    function resume() external;

    /* VIEWS */

    /// @notice Weight that means "leave this position as it is".
    function HOLD() external view returns (uint256);
    function keeper() external view returns (address);
    function policyHash() external view returns (bytes32);
    function epoch() external view returns (uint256);
    function lastRebalance() external view returns (uint256);
    function halted() external view returns (bool);
    function idleFloor() external view returns (uint64);
    function maxDrawdown() external view returns (uint64);
    /// @notice Fastest growth of the high-water mark, as a fraction of it per year (WAD), simple.
    function markGrowthRate() external view returns (uint64);
    function strategies() external view returns (Strategy[] memory);
    /// @notice Assets held by the vault itself.
    function idle() external view returns (uint256);
    /// @notice Assets per share, WAD, 1e18 at the start, rounded down.
    function sharePrice() external view returns (uint256);
    /// @notice The high-water mark as it would be recorded now (WAD).
    function highWaterMark() external view returns (uint256);
    /// @notice Share price under which anyone may trip the vault (WAD).
    function drawdownFloor() external view returns (uint256);
}
