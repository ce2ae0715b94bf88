// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

/// @title The interface of the Bulkhead vault beyond ERC-4626
/// @notice Ratios are WAD (1e18 = 100 %), money is in base units of the asset, time is in seconds.
interface IVault is IERC4626 {
    /* TYPES */

    /// @notice The limits that are one number each. Caps are per strategy and have setters of their own.
    /// @dev Raising `IdleFloor` or `Cooldown` tightens it; lowering any other limit does. `MarkGrowthRate` has no tight
    /// direction (a slow mark forgets gains, a donor can lift a fast one), so every change of it loosens.
    enum Limit {
        IdleFloor, // minimum share of NAV that stays idle after a rebalance
        MaxDrawdown, // fall of the share price under the high-water mark at which the vault halts
        MarkGrowthRate, // maximum growth of the high-water mark, as a fraction of it per year
        Cooldown, // minimum seconds between rebalances
        MaxSilence, // seconds without a rebalance or heartbeat after which anyone may unwind
        LossCapacity, // share of NAV that rebalancing may lose at once
        LossRefill, // share of NAV by which the loss budget comes back per second
        TurnoverCapacity, // share of NAV that rebalancing may move at once
        TurnoverRefill, // share of NAV by which the turnover budget comes back per second
        PerformanceFee // the fee recipient's share of gains above the highest share price so far
    }

    /// @notice Values of all limits, in the order of `Limit`.
    struct Limits {
        uint64 idleFloor;
        uint64 maxDrawdown;
        uint64 markGrowthRate;
        uint32 cooldown;
        uint32 maxSilence;
        uint64 lossCapacity;
        uint64 lossRefill;
        uint64 turnoverCapacity;
        uint64 turnoverRefill;
        uint64 performanceFee;
    }

    /// @notice The keeper's request. It holds everything the keeper may choose; the vault decides the rest.
    /// @param epoch Compare-and-swap: must equal the vault's epoch, which then grows by one.
    /// @param deadline Last timestamp at which the request is valid.
    /// @param minTotalAssets NAV after the rebalance must not be below this.
    /// @param weights Target share of NAV for each strategy, in the vault's order. `HOLD` leaves a position as it is.
    /// The rest stays idle.
    /// @param policyHash Digest of the deciding policy; must be the committed one.
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
    /// @param relativeCap Maximum share of NAV that a rebalance may leave in it (WAD).
    /// @param shares Shares of it in the vault's own books; donated shares count for nothing.
    /// @param absoluteCap Maximum amount that a rebalance may leave in it (asset units).
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
    event Heartbeat();
    event Tripped(address indexed caller, uint256 sharePrice, uint256 highWaterMark);
    event Halted(address indexed caller);
    event Resumed(uint256 highWaterMark);
    event Unwound(address indexed caller, address indexed strategy, uint256 shares, uint256 assets);
    event StrategySkipped(address indexed strategy);
    event RedeemedInKind(
        address indexed caller, address indexed receiver, address indexed owner, uint256 shares, uint256 assets
    );
    event StrategyAdded(address indexed strategy);
    event StrategyRemoved(address indexed strategy);
    event StrategyWrittenOff(address indexed strategy, uint256 shares);
    event CapsSet(address indexed strategy, uint64 relativeCap, uint128 absoluteCap);
    event LimitSet(Limit indexed limit, uint256 value);
    event LimitAbdicated(Limit indexed limit);
    event CapsAbdicated();
    event KeeperSet(address indexed keeper);
    event PolicyCommitted(bytes32 indexed policyHash);
    event FeeRecipientSet(address indexed feeRecipient);
    event FeeCharged(address indexed feeRecipient, uint256 shares, uint256 sharePrice);

    /* ERRORS */

    error NotKeeper(address caller);
    error VaultHalted();
    error NotHalted();
    error KeeperNotSilent(uint256 lastSeen, uint256 silentFrom);
    error WrongEpoch(uint256 given, uint256 expected);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error WrongPolicy(bytes32 given, bytes32 committed);
    error WrongLength(uint256 given, uint256 expected);
    error CooldownRunning(uint256 until);
    error RelativeCapExceeded(address strategy, uint256 assets, uint256 cap);
    error AbsoluteCapExceeded(address strategy, uint256 assets, uint256 cap);
    error IdleFloorBreached(uint256 idle, uint256 floor);
    error TurnoverBudgetExceeded(uint256 turnover, uint256 available);
    error LossBudgetExceeded(uint256 loss, uint256 available);
    error TotalAssetsBelowMinimum(uint256 totalAssets, uint256 minimum);
    error DrawdownExceeded(uint256 sharePrice, uint256 floor);
    error DrawdownWithinLimit(uint256 sharePrice, uint256 floor);
    error ValuationFailed(address strategy);
    error UnknownStrategy(address strategy);
    error StrategyAlreadyAdded(address strategy);
    error StrategyNotEmpty(address strategy, uint256 shares);
    error TooManyStrategies(uint256 maximum);
    error WrongAsset(address strategy, address asset);
    error LimitOutOfRange(uint256 value, uint256 minimum, uint256 maximum);
    error NotTighter(uint256 value, uint256 current);
    error Abdicated();
    error NotEnoughLiquidity(uint256 assets, uint256 available);
    error TransferFeeTaken(uint256 expected, uint256 received);
    error SlippageExceeded(uint256 result, uint256 bound);
    error ZeroAddress();

    /* KEEPER */

    function rebalance(Rebalance calldata request) external;

    /// @notice A sign of life without a trade; it resets the dead man's switch.
    function heartbeat() external;

    /* ANYONE */

    /// @notice Halts the vault when the share price is past the drawdown limit. Reverts `DrawdownWithinLimit` otherwise.
    function trip() external;

    /// @notice Withdraws as much as a strategy will pay, to idle, while the vault is halted or the keeper has been silent for
    /// too long. Returns the assets received.
    function unwind(address strategy) external returns (uint256 assets);

    /* DEPOSITORS */

    /// @notice `deposit` that reverts unless at least `minShares` are minted.
    function deposit(uint256 assets, address receiver, uint256 minShares) external returns (uint256 shares);
    /// @notice `mint` that reverts unless at most `maxAssets` are paid.
    function mint(uint256 shares, address receiver, uint256 maxAssets) external returns (uint256 assets);
    /// @notice `withdraw` that reverts unless at most `maxShares` are burned.
    function withdraw(uint256 assets, address receiver, address owner, uint256 maxShares)
        external
        returns (uint256 shares);
    /// @notice `redeem` that reverts unless at least `minAssets` are paid.
    function redeem(uint256 shares, address receiver, address owner, uint256 minAssets)
        external
        returns (uint256 assets);
    /// @notice Hands out the pro-rata part of idle assets and of every strategy's shares. Needs no price and no liquidity. A
    /// strategy whose shares cannot be transferred is passed over, and its part is forgone.
    /// @return assets Idle assets paid.
    /// @return shares_ Shares handed out, one number per strategy; 0 for one that was passed over.
    function redeemInKind(uint256 shares, address receiver, address owner)
        external
        returns (uint256 assets, uint256[] memory shares_);

    /* GUARDIAN (restricted by the authority; can only tighten) */

    function tighten(Limit limit_, uint256 value) external;
    function tightenCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external;
    /// @notice Halts the vault, for any reason. Only governance resumes.
    function halt() external;
    /// @notice Takes the keeper's role away from whoever has it.
    function cutKeeper() external;

    /* GOVERNANCE (restricted by the authority, after its delay) */

    function loosen(Limit limit_, uint256 value) external;
    function loosenCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external;
    /// @notice Renounces, for ever, the right to loosen a limit.
    function abdicate(Limit limit_) external;
    /// @notice Renounces, for ever, the right to loosen caps and to add strategies.
    function abdicateCaps() external;
    function addStrategy(address strategy, uint64 relativeCap, uint128 absoluteCap) external;
    /// @notice Removes a strategy that holds nothing. The epoch grows, which voids requests in the old order.
    function removeStrategy(address strategy) external;
    /// @notice Strikes a strategy's shares off the books: from now on they are worth nothing to this vault.
    function writeOff(address strategy) external;
    function setKeeper(address keeper) external;
    function commitPolicy(bytes32 policyHash) external;
    function setFeeRecipient(address feeRecipient) external;
    /// @notice Ends a halt, with the present share price as the new high-water mark.
    function resume() external;

    /* VIEWS */

    /// @notice Weight that means "leave this position as it is".
    function HOLD() external view returns (uint256);
    function keeper() external view returns (address);
    function policyHash() external view returns (bytes32);
    function feeRecipient() external view returns (address);
    function epoch() external view returns (uint256);
    function lastRebalance() external view returns (uint256);
    /// @notice Last rebalance or heartbeat.
    function lastSeen() external view returns (uint256);
    function halted() external view returns (bool);
    function limits() external view returns (Limits memory);
    function abdicated(Limit limit_) external view returns (bool);
    function capsAbdicated() external view returns (bool);
    function strategies() external view returns (Strategy[] memory);
    /// @notice Assets held by the vault itself.
    function idle() external view returns (uint256);
    /// @notice Share of NAV that rebalancing may lose now.
    function lossBudget() external view returns (uint256);
    /// @notice Share of NAV that rebalancing may move now.
    function turnoverBudget() external view returns (uint256);
    /// @notice Assets per share, WAD, 1e18 at the start, rounded down; net of fees that are due.
    function sharePrice() external view returns (uint256);
    /// @notice The high-water mark as it would be recorded now (WAD).
    function highWaterMark() external view returns (uint256);
    /// @notice Share price under which anyone may trip the vault (WAD).
    function drawdownFloor() external view returns (uint256);
    /// @notice Whether every strategy can be valued. Until then, deposits, rebalances and `trip` wait.
    function valued() external view returns (bool);
}
