// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

/// @title The types, events and errors of the Bulkhead vault
/// @notice Ratios are WAD (1e18 = 100 %), money is in base units of the asset, time is in seconds.
interface IVaultTypes {
    /* TYPES */

    /// @notice The limits that are one number each. Caps are per strategy and have setters of their own.
    /// @dev Raising `IdleFloor` or `Cooldown` tightens it; lowering any other limit does. `MaxGrowthRate` has no tight
    /// direction (a slow bid keeps gains from those who leave, a fast one believes more), so every change of it loosens.
    enum Limit {
        IdleFloor, // minimum share of NAV that stays idle after a rebalance
        MaxDrawdown, // fall of the share price under the high-water mark at which the vault halts
        MaxGrowthRate, // maximum growth of what leaving is paid from, as a fraction of it per year
        Cooldown, // minimum seconds between rebalances
        MaxSilence, // seconds without a rebalance or heartbeat after which anyone may unwind
        LossCapacity, // share of NAV that rebalancing may lose at once
        LossRefill, // share of NAV by which the loss budget comes back per second
        TurnoverCapacity, // share of NAV that rebalancing may move at once
        TurnoverRefill, // share of NAV by which the turnover budget comes back per second
        PerformanceFee, // the fee recipient's share of gains above the highest share price so far
        UnwindLoss, // share of what is unwound that may be lost on the way
        DepositCap // assets beyond which no deposit lifts the vault, in base units
    }

    /// @notice Values of all limits, in the order of `Limit`.
    struct Limits {
        uint64 idleFloor;
        uint64 maxDrawdown;
        uint128 maxGrowthRate;
        uint32 cooldown;
        uint32 maxSilence;
        uint64 lossCapacity;
        uint64 lossRefill;
        uint64 turnoverCapacity;
        uint64 turnoverRefill;
        uint64 performanceFee;
        uint64 unwindLoss;
        uint128 depositCap;
    }

    /// @notice The keeper's request. It holds everything the keeper may choose; the vault decides the rest.
    /// @param epoch Compare-and-swap: must equal the vault's epoch, which then grows by one.
    /// @param deadline Last timestamp at which the request is valid.
    /// @param minSharePrice NAV per share after the rebalance (WAD, as `Valuation.navPrice`) must not be below this. Who
    /// leaves or enters in front does not move it.
    /// @param weights Target share of NAV for each strategy, in the vault's order. `HOLD` leaves a position as it is.
    /// The rest stays idle.
    /// @param policyHash Digest of the deciding policy; must be the committed one.
    /// @param decisionHash Digest of the observation and the decision, for the record.
    struct Rebalance {
        uint256 epoch;
        uint256 deadline;
        uint256 minSharePrice;
        uint256[] weights;
        bytes32 policyHash;
        bytes32 decisionHash;
    }

    /// @notice A strategy as the vault knows it.
    /// @param target The ERC-4626 vault that holds the position.
    /// @param relativeCap Maximum share of NAV that a rebalance may leave in it (WAD).
    /// @param recordedAt When `recorded` was written.
    /// @param shares Shares of it in the vault's own books; donated shares count for nothing.
    /// @param recorded Value at which the shares were last bought or sold: the bid believes no more, but for growth.
    /// @param absoluteCap Maximum amount that a rebalance may leave in it (asset units).
    struct Strategy {
        IERC4626 target;
        uint64 relativeCap;
        uint32 recordedAt;
        uint128 shares;
        uint128 recorded;
        uint128 absoluteCap;
    }

    /// @notice Strategies that share a risk, and the caps on their sum.
    /// @param risk What they share: a market, a collateral, an oracle, a curator. For the record only.
    /// @param relativeCap Maximum share of NAV that a rebalance may leave in them together (WAD).
    /// @param absoluteCap Maximum amount that a rebalance may leave in them together (asset units).
    /// @param members Bit `i`: the strategy at position `i`. A group without members binds nothing.
    struct Group {
        address risk;
        uint64 relativeCap;
        uint128 absoluteCap;
        uint16 members;
    }

    /// @notice What the vault is worth at this moment, from its three sides.
    /// @param nav Idle assets and what leaving every strategy pays: rebalancing is measured in it.
    /// @param bid What leaving, the fee, the mark and the kill-switch count: `nav`, bounded by what is recorded and its
    /// growth. It is `totalAssets`.
    /// @param ask What entering counts: positions without the cost of leaving them, never less than the bid.
    /// @param sharePrice Bid per share (WAD), net of fees that are due.
    /// @param navPrice NAV per share (WAD), net of fees that are due.
    /// @param highWaterMark The mark as it would be recorded now (WAD).
    /// @param drawdownFloor Share price under which anyone may trip the vault (WAD).
    /// @param broken A strategy that cannot be valued, or 0. If there is one, the numbers leave it out, and are no prices. Where
    /// only `convertToAssets` fails (`valued()` is true) it counts with what leaving it pays: just the ask may be too low.
    struct Valuation {
        uint256 nav;
        uint256 bid;
        uint256 ask;
        uint256 sharePrice;
        uint256 navPrice;
        uint256 highWaterMark;
        uint256 drawdownFloor;
        address broken;
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
    event Unwound(address indexed caller, address indexed strategy, uint256 shares, uint256 assets, uint256 loss);
    event StrategySkipped(address indexed strategy);
    event RedeemedInKind(
        address indexed caller, address indexed receiver, address indexed owner, uint256 shares, uint256 assets
    );
    event StrategyAdded(address indexed strategy);
    event StrategyRemoved(address indexed strategy);
    event StrategyWrittenOff(address indexed strategy, uint256 shares);
    event CapsSet(address indexed strategy, uint64 relativeCap, uint128 absoluteCap);
    event GroupSet(uint256 indexed index, Group group);
    event LimitSet(Limit indexed limit, uint256 value);
    event LimitAbdicated(Limit indexed limit);
    event CapsAbdicated();
    event KeeperSet(address indexed keeper);
    event PolicyCommitted(bytes32 indexed policyHash);
    event Restated(uint256 bid);
    event Swept(address indexed token, address indexed receiver, uint256 amount);
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
    error GroupCapExceeded(uint256 group, uint256 assets, uint256 cap);
    error Illiquid(address strategy, uint256 assets, uint256 payable_);
    error SharePriceBelowMinimum(uint256 sharePrice, uint256 minimum);
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
    error DepositedInThisTransaction();
    error SpreadTooWide(uint256 bid, uint256 ask);
    error ExitTooDear(address strategy, uint256 loss, uint256 allowed);
    error NothingToUnwind(address strategy);
    error NotSweepable(address token);
    error OnlySelf();
    error Probed();
    error TransferFeeTaken(uint256 expected, uint256 received);
    error SlippageExceeded(uint256 result, uint256 bound);
    error ZeroAddress();
}
