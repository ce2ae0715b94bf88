// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IVault} from "./interfaces/IVault.sol";
import {BoundedCall} from "./libraries/BoundedCall.sol";
import {Bucket} from "./libraries/Bucket.sol";
import {HighWaterMark} from "./libraries/HighWaterMark.sol";

/// @title Bulkhead vault: an agent steers, the walls hold
/// @notice
///
/// WHAT IT IS
/// An ERC-4626 vault of one asset that spreads its funds over strategies, each itself an ERC-4626 vault of the same
/// asset. A keeper (in practice a policy's key) chooses the weights. The vault does not trust it: every rule below is
/// enforced here, whatever the keeper asks for. The contract cannot be upgraded.
///
/// NAV AND SHARE PRICE
/// NAV (`totalAssets`) is the asset balance of the vault plus, for each strategy, `previewRedeem` of the shares in the
/// vault's own books. Strategy shares that somebody sends to the vault are not in its books and count for nothing. Assets
/// sent to the vault belong to the depositors. The share price starts at 1e18 whatever the decimals; 1e6 virtual shares
/// make it expensive to inflate. All conversions round against the caller.
///
/// REBALANCING
/// Only the keeper rebalances. A request names, for each strategy, a share of the NAV at the start, or `HOLD`. The vault
/// first withdraws from strategies over their target, then deposits into those under it. It reverts unless:
/// - the epoch is the vault's, the deadline has not passed, the policy is the committed one, the cooldown is over;
/// - the share price is above the drawdown floor, before and after;
/// - afterwards no strategy is over its absolute cap, or over its relative cap of the NAV *before*. Where the transaction
///   itself deposited first, the NAV before that deposit counts, and the deposit stays idle: a flash deposit widens no
///   cap, no floor and no budget;
/// - afterwards the idle floor is kept, and NAV is at least what the keeper demanded;
/// - the amount moved is within the turnover budget, and the loss is within the loss budget. Both are token buckets in
///   shares of NAV. THE LOSS BUDGET BOUNDS WHAT REBALANCING CAN COST, WHOEVER HOLDS THE KEEPER'S KEY: `capacity + refill x
///   time`. It does not bind exits: see ASSUMPTIONS.
/// A position that yield or a withdrawal has carried over its cap is not forced down, but no rebalance may leave it there.
/// Caps bind the keeper, not the depositors, whose deposits and withdrawals move weights too.
///
/// KILL-SWITCH
/// The high-water mark follows the share price up, at most at `MarkGrowthRate`, and never falls by itself. When the share
/// price is under `mark x (1 - MaxDrawdown)`, anyone may call `trip()`, and any withdrawal trips as well: the vault is then
/// halted for good. Halted, it takes no deposit and no rebalance; anyone may `unwind` strategies to idle. Leaving stays
/// open. Only governance resumes, and the mark then starts anew at the present share price. In a vault that is empty but
/// for dust there is nothing to protect and a unit of rounding would look like a crash: there the mark is the price.
///
/// DEAD MAN'S SWITCH
/// When the keeper has neither rebalanced nor sent a heartbeat for `MaxSilence` seconds, anyone may `unwind`.
///
/// LEAVING
/// Withdrawals use idle assets, then the strategies in order. A strategy that reverts or is illiquid is passed over.
/// `redeemInKind` hands out the pro-rata part of idle and of every strategy's shares; it needs no price, no liquidity and
/// no live strategy. The way out depends on neither the keeper, nor governance, nor the kill-switch.
///
/// QUARANTINE
/// A strategy counts as nothing while its valuation reverts. Deposits, rebalances and `trip` then wait, so that nobody
/// enters cheaply and no hiccup halts the vault. Withdrawals go on at the price of the rest, and forgo that strategy:
/// `redeemInKind` is the fair way out. A strategy that never comes back is written off by governance, after its delay.
///
/// PERFORMANCE FEE
/// Off unless governance sets it. Charged in shares, on gains of the share price above the highest at which it was charged
/// (not the kill-switch's mark, whose growth is bounded); at most 30 %. No fee on deposits, assets or withdrawals.
///
/// ROLES
/// keeper      rebalances within the walls, and sends heartbeats. Nothing else.
/// authority   an OpenZeppelin AccessManager that says who may call the `restricted` functions, and after which delay.
///   guardian    can only tighten: lower caps and budgets, halt, cut the keeper off; no delay.
///   governance  can loosen, add strategies, commit policies, resume; after a delay that depositors can see and within
///               which they can leave. It can abdicate: renounce, for ever, the right to loosen a limit.
/// anyone      trips, and unwinds once halted or once the keeper is silent.
///
/// ASSUMPTIONS
/// - The asset takes no fee on transfer (such a deposit is refused), does not rebase, has no more than 24 decimals, and
///   calls back nobody who could profit from reading the vault's views in between.
/// - Strategies are chosen by governance: `previewRedeem` cannot be moved within a transaction, they are honest about the
///   shares they mint and burn, and leaving costs what `previewRedeem` says. Where it costs more, the loss budget bounds
///   the loss by rebalancing; a withdrawal through such a strategy charges the difference to those who stay.
/// - A strategy that lies about its value can take its deposits, and more: who leaves at an overstated price is paid by those
///   who stay, whatever its cap.
/// - A new vault is seeded. Whoever deposits a little into an empty one and then donates as much lifts the share price ahead
///   of the mark, whose growth is bounded; until the mark has caught up, a fall by the size of the gift trips nothing, and
///   later depositors bear it. A first deposit of any size makes such a gift expensive.
/// - The authority is configured as `scripts/deploy.py` does and checks: an admin without a delay could do anything at once.
contract Vault is IVault, ERC4626, ERC20Permit, AccessManaged, ReentrancyGuardTransient {
    using BoundedCall for address;
    using Bucket for Bucket.State;
    using Math for uint256;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /* CONSTANTS */

    uint256 internal constant WAD = 1e18;
    uint256 internal constant BASIS_POINTS = 1e4;
    uint256 internal constant VIRTUAL_SHARES = 1e6;
    uint8 internal constant DECIMALS_OFFSET = 6;
    /// @dev A vault with fewer than these assets, and fewer than these shares, is empty but for dust. Either test alone would
    /// fail: a crash leaves few assets, and a gift to an empty vault makes few shares worth much.
    uint256 internal constant DUST_ASSETS = 1e3;
    uint256 internal constant DUST_SHARES = DUST_ASSETS * VIRTUAL_SHARES;
    /// @dev No deposit lifts NAV over these assets, nor the supply over these shares: beyond them, conversions would overflow.
    /// 3e38 base units, as much as a strategy's value may have.
    uint256 internal constant MAX_ASSETS = type(uint128).max;
    uint256 internal constant MAX_SHARES = MAX_ASSETS * VIRTUAL_SHARES;
    uint256 public constant MAX_STRATEGIES = 16;
    /// @dev Gas for reading a strategy, and for a call that must not be fatal: generous for honest strategies, while a
    /// hostile one that burns it all still leaves enough of a block to get out.
    uint256 internal constant READ_GAS = 2_000_000;
    uint256 internal constant CALL_GAS = 4_000_000;
    /// @dev Gas to hand out shares: sixteen strategies that burn it all still fit into one transaction.
    uint256 internal constant TRANSFER_GAS = 500_000;
    /// @inheritdoc IVault
    uint256 public constant HOLD = type(uint256).max;

    /* STORAGE THAT EVERY OPERATION READS */

    /// @dev High-water mark of the share price (WAD). As wide as any price: 120 bits would do for every vault in use, but a
    /// gift of a few assets to an empty one lifts the price beyond them, and a mark that cannot follow is blind.
    uint208 internal _mark;
    uint48 internal _markedAt;

    /// @param maxDrawdown `Limit.MaxDrawdown`.
    /// @param performanceFee `Limit.PerformanceFee`, in basis points.
    /// @param count Number of strategies.
    struct Hot {
        uint64 maxDrawdown;
        uint16 performanceFee;
        uint8 count;
        bool halted;
    }

    Hot internal _hot;

    /* KEEPER STORAGE */

    address public keeper;
    uint40 internal _epoch;
    uint40 internal _lastRebalance;
    bytes32 public policyHash;

    /* LIMITS STORAGE */

    uint64 internal _idleFloor;
    uint64 internal _markGrowthRate;
    uint32 internal _cooldown;
    uint32 internal _maxSilence;
    uint40 internal _lastHeartbeat;

    Bucket.State internal _loss;
    Bucket.State internal _turnover;

    /// @dev Bit `Limit`: that limit can never be loosened again. Bit 255: the same for caps, and for new strategies.
    uint256 internal _abdicated;
    uint256 internal constant CAPS_BIT = 255;

    /* FEE STORAGE */

    address public feeRecipient;
    /// @dev Highest share price at which the performance fee was charged.
    uint256 internal _feeMark;

    /* STRATEGIES STORAGE */

    /// @dev The first `count` are used.
    Strategy[MAX_STRATEGIES] internal _strategies;
    /// @dev Position in `_strategies` plus one; 0 for an address that is not a strategy.
    mapping(address => uint256) internal _position;

    /* TRANSIENT STORAGE */

    /// @dev NAV before the first deposit of this transaction, plus one; 0 when there was none.
    uint256 internal transient _navBeforeDeposit;

    /* MEMORY TYPES */

    /// @dev The vault's books at one moment, net of the fee that is due.
    struct Books {
        uint256 nav;
        uint256 supply;
        uint256 feeShares;
        uint256 price;
        uint256 idle;
        uint256[] values;
        address broken; // a strategy that could not be valued, or 0
    }

    /* CONSTRUCTOR */

    /// @param authority_ AccessManager that governs the restricted functions.
    /// @param keeper_ The one address that may rebalance.
    constructor(
        IERC20 asset_,
        string memory name_,
        string memory symbol_,
        address authority_,
        address keeper_,
        Limits memory limits_
    ) ERC20(name_, symbol_) ERC20Permit(name_) ERC4626(asset_) AccessManaged(authority_) {
        require(authority_ != address(0), ZeroAddress());
        _startMark(WAD);
        _feeMark = WAD;
        _setKeeper(keeper_);
        _setLimit(Limit.IdleFloor, limits_.idleFloor);
        _setLimit(Limit.MaxDrawdown, limits_.maxDrawdown);
        _setLimit(Limit.MarkGrowthRate, limits_.markGrowthRate);
        _setLimit(Limit.Cooldown, limits_.cooldown);
        _setLimit(Limit.MaxSilence, limits_.maxSilence);
        _setLimit(Limit.LossCapacity, limits_.lossCapacity);
        _setLimit(Limit.LossRefill, limits_.lossRefill);
        _setLimit(Limit.TurnoverCapacity, limits_.turnoverCapacity);
        _setLimit(Limit.TurnoverRefill, limits_.turnoverRefill);
        _setLimit(Limit.PerformanceFee, limits_.performanceFee);
    }

    /* KEEPER */

    /// @inheritdoc IVault
    function rebalance(Rebalance calldata request) external nonReentrant {
        _checkRequest(request);
        Books memory start = _accrue();
        uint256 floor = _checkTradable(start);
        uint256 nav = _navBeforeDeposit == 0 ? start.nav : Math.min(start.nav, _navBeforeDeposit - 1);

        uint256[] memory targets = _targets(request.weights, start, nav);
        _spendTurnover(_move(start.values, targets), nav);
        uint256 navAfter = _checkOutcome(start, nav, floor, request.minTotalAssets);

        _lastRebalance = uint40(block.timestamp);
        emit Rebalanced(_epoch++, request.policyHash, request.decisionHash, request.weights, start.nav, navAfter);
    }

    /// @inheritdoc IVault
    function heartbeat() external {
        require(msg.sender == keeper, NotKeeper(msg.sender));
        _lastHeartbeat = uint40(block.timestamp);
        emit Heartbeat();
    }

    /* ANYONE */

    /// @inheritdoc IVault
    function trip() external nonReentrant {
        require(!_hot.halted, VaultHalted());
        Books memory books = _accrueValued();
        uint256 floor = _drawdownFloor(_mark);
        require(books.price < floor, DrawdownWithinLimit(books.price, floor));
        _trip(books.price);
    }

    /// @inheritdoc IVault
    function unwind(address strategy) external nonReentrant returns (uint256 assets) {
        uint256 silentFrom = lastSeen() + _maxSilence;
        require(_hot.halted || block.timestamp > silentFrom, KeeperNotSilent(lastSeen(), silentFrom));
        Strategy storage s = _strategy(strategy);
        uint256 shares = Math.min(s.shares, s.target.maxRedeem(address(this)));
        assets = _redeem(s, shares);
        emit Unwound(msg.sender, strategy, shares, assets);
    }

    /* GUARDIAN */

    /// @inheritdoc IVault
    function tighten(Limit limit_, uint256 value) external restricted {
        uint256 current = _limit(limit_);
        bool up = limit_ == Limit.IdleFloor || limit_ == Limit.Cooldown;
        bool tighter = limit_ != Limit.MarkGrowthRate && (up ? value > current : value < current);
        require(tighter, NotTighter(value, current));
        if (limit_ == Limit.PerformanceFee) _accrue(); // what is due is due at the old rate
        _setLimit(limit_, value);
    }

    /// @inheritdoc IVault
    function tightenCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external restricted {
        Strategy storage s = _strategy(strategy);
        require(relativeCap <= s.relativeCap, NotTighter(relativeCap, s.relativeCap));
        require(absoluteCap <= s.absoluteCap, NotTighter(absoluteCap, s.absoluteCap));
        _setCaps(s, relativeCap, absoluteCap);
    }

    /// @inheritdoc IVault
    function halt() external restricted {
        require(!_hot.halted, VaultHalted());
        _hot.halted = true;
        emit Halted(msg.sender);
    }

    /// @inheritdoc IVault
    function cutKeeper() external restricted {
        keeper = address(0);
        emit KeeperSet(address(0));
    }

    /* GOVERNANCE */

    /// @inheritdoc IVault
    function loosen(Limit limit_, uint256 value) external restricted {
        require(!abdicated(limit_), Abdicated());
        if (limit_ == Limit.MarkGrowthRate || limit_ == Limit.PerformanceFee) _settle();
        _setLimit(limit_, value);
    }

    /// @inheritdoc IVault
    function loosenCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external restricted {
        require(!capsAbdicated(), Abdicated());
        _setCaps(_strategy(strategy), relativeCap, absoluteCap);
    }

    /// @inheritdoc IVault
    function abdicate(Limit limit_) external restricted {
        _abdicated |= 1 << uint256(limit_);
        emit LimitAbdicated(limit_);
    }

    /// @inheritdoc IVault
    function abdicateCaps() external restricted {
        _abdicated |= 1 << CAPS_BIT;
        emit CapsAbdicated();
    }

    /// @inheritdoc IVault
    function addStrategy(address strategy, uint64 relativeCap, uint128 absoluteCap) external restricted {
        require(!capsAbdicated(), Abdicated());
        require(strategy != address(0) && strategy != address(this), ZeroAddress());
        require(_position[strategy] == 0, StrategyAlreadyAdded(strategy));
        require(_hot.count < MAX_STRATEGIES, TooManyStrategies(MAX_STRATEGIES));
        require(IERC4626(strategy).asset() == asset(), WrongAsset(strategy, IERC4626(strategy).asset()));
        _strategies[_hot.count].target = IERC4626(strategy);
        _position[strategy] = ++_hot.count;
        emit StrategyAdded(strategy);
        _setCaps(_strategy(strategy), relativeCap, absoluteCap);
    }

    /// @inheritdoc IVault
    function removeStrategy(address strategy) external restricted {
        Strategy storage s = _strategy(strategy);
        require(s.shares == 0, StrategyNotEmpty(strategy, s.shares));
        // The others keep their order; a request that is under way was made for the old one, and the epoch voids it.
        for (uint256 i = _position[strategy]; i < _hot.count; ++i) {
            _strategies[i - 1] = _strategies[i];
            _position[address(_strategies[i].target)] = i;
        }
        delete _strategies[--_hot.count];
        delete _position[strategy];
        ++_epoch;
        emit StrategyRemoved(strategy);
    }

    /// @inheritdoc IVault
    function writeOff(address strategy) external restricted {
        Strategy storage s = _strategy(strategy);
        emit StrategyWrittenOff(strategy, s.shares);
        s.shares = 0;
    }

    /// @inheritdoc IVault
    function setKeeper(address newKeeper) external restricted {
        _setKeeper(newKeeper);
    }

    /// @inheritdoc IVault
    function commitPolicy(bytes32 newPolicyHash) external restricted {
        policyHash = newPolicyHash;
        emit PolicyCommitted(newPolicyHash);
    }

    /// @inheritdoc IVault
    function setFeeRecipient(address newFeeRecipient) external restricted {
        _settle();
        feeRecipient = newFeeRecipient;
        emit FeeRecipientSet(newFeeRecipient);
    }

    /// @inheritdoc IVault
    function resume() external restricted {
        require(_hot.halted, NotHalted());
        uint256 price = _accrueValued().price;
        _startMark(price);
        _hot.halted = false;
        emit Resumed(price);
    }

    /* DEPOSIT */

    /// @inheritdoc ERC4626
    function deposit(uint256 assets, address receiver)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 shares)
    {
        Books memory books = _openForDeposit(assets);
        shares = _toShares(assets, books, Math.Rounding.Floor);
        _enter(receiver, assets, shares, books);
    }

    /// @inheritdoc ERC4626
    function mint(uint256 shares, address receiver)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 assets)
    {
        Books memory books = _openForDeposit(shares);
        assets = _toAssets(shares, books, Math.Rounding.Ceil);
        _enter(receiver, assets, shares, books);
    }

    /// @inheritdoc IVault
    function deposit(uint256 assets, address receiver, uint256 minShares) external returns (uint256 shares) {
        shares = deposit(assets, receiver);
        require(shares >= minShares, SlippageExceeded(shares, minShares));
    }

    /// @inheritdoc IVault
    function mint(uint256 shares, address receiver, uint256 maxAssets) external returns (uint256 assets) {
        assets = mint(shares, receiver);
        require(assets <= maxAssets, SlippageExceeded(assets, maxAssets));
    }

    /* LEAVE */

    /// @inheritdoc ERC4626
    function withdraw(uint256 assets, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 shares)
    {
        Books memory books = _accrue();
        shares = _toShares(assets, books, Math.Rounding.Ceil);
        uint256 owned = balanceOf(owner);
        require(
            shares <= owned, ERC4626ExceededMaxWithdraw(owner, assets, _toAssets(owned, books, Math.Rounding.Floor))
        );
        _leave(receiver, owner, assets, shares, books);
    }

    /// @inheritdoc ERC4626
    function redeem(uint256 shares, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 assets)
    {
        Books memory books = _accrue();
        uint256 owned = balanceOf(owner);
        require(shares <= owned, ERC4626ExceededMaxRedeem(owner, shares, owned));
        assets = _toAssets(shares, books, Math.Rounding.Floor);
        _leave(receiver, owner, assets, shares, books);
    }

    /// @inheritdoc IVault
    function withdraw(uint256 assets, address receiver, address owner, uint256 maxShares)
        external
        returns (uint256 shares)
    {
        shares = withdraw(assets, receiver, owner);
        require(shares <= maxShares, SlippageExceeded(shares, maxShares));
    }

    /// @inheritdoc IVault
    function redeem(uint256 shares, address receiver, address owner, uint256 minAssets)
        external
        returns (uint256 assets)
    {
        assets = redeem(shares, receiver, owner);
        require(assets >= minAssets, SlippageExceeded(assets, minAssets));
    }

    /// @inheritdoc IVault
    function redeemInKind(uint256 shares, address receiver, address owner)
        external
        nonReentrant
        returns (uint256 assets, uint256[] memory parts)
    {
        uint256 whole = (_hot.performanceFee == 0 ? totalSupply() : _accrue().supply) + VIRTUAL_SHARES;
        if (msg.sender != owner) _spendAllowance(owner, msg.sender, shares);
        _burn(owner, shares);

        assets = idle().mulDiv(shares, whole);
        parts = new uint256[](_hot.count);
        for (uint256 i; i < parts.length; ++i) {
            Strategy storage s = _strategies[i];
            parts[i] = _handOut(s, uint256(s.shares).mulDiv(shares, whole), receiver);
        }
        if (assets > 0) _transferOut(receiver, assets);
        emit RedeemedInKind(msg.sender, receiver, owner, shares, assets);
    }

    /* VIEWS */

    /// @notice NAV: idle assets plus the proceeds of leaving every strategy. A strategy that cannot be valued counts as 0.
    function totalAssets() public view override(ERC4626, IERC4626) nonReentrantView returns (uint256 nav) {
        Books memory books;
        _value(books);
        return books.nav;
    }

    /// @inheritdoc IVault
    function idle() public view returns (uint256) {
        return IERC20(asset()).balanceOf(address(this));
    }

    /// @inheritdoc IVault
    function sharePrice() external view returns (uint256) {
        return _readBooks().price;
    }

    /// @inheritdoc IVault
    function highWaterMark() public view returns (uint256) {
        return _markAt(_readBooks());
    }

    /// @inheritdoc IVault
    function drawdownFloor() external view returns (uint256) {
        return _drawdownFloor(highWaterMark());
    }

    /// @inheritdoc IVault
    function valued() external view returns (bool) {
        return _readBooks().broken == address(0);
    }

    function epoch() external view returns (uint256) {
        return _epoch;
    }

    function lastRebalance() external view returns (uint256) {
        return _lastRebalance;
    }

    /// @inheritdoc IVault
    function lastSeen() public view returns (uint256) {
        return Math.max(_lastRebalance, _lastHeartbeat);
    }

    function strategies() external view returns (Strategy[] memory list) {
        list = new Strategy[](_hot.count);
        for (uint256 i; i < list.length; ++i) {
            list[i] = _strategies[i];
        }
    }

    function halted() external view returns (bool) {
        return _hot.halted;
    }

    /// @inheritdoc IVault
    function lossBudget() external view returns (uint256) {
        return _loss.available();
    }

    /// @inheritdoc IVault
    function turnoverBudget() external view returns (uint256) {
        return _turnover.available();
    }

    function limits() external view returns (Limits memory) {
        return Limits({
            idleFloor: _idleFloor,
            maxDrawdown: _hot.maxDrawdown,
            markGrowthRate: _markGrowthRate,
            cooldown: _cooldown,
            maxSilence: _maxSilence,
            lossCapacity: _loss.capacity,
            lossRefill: _loss.refill,
            turnoverCapacity: _turnover.capacity,
            turnoverRefill: _turnover.refill,
            performanceFee: uint64(_limit(Limit.PerformanceFee))
        });
    }

    function abdicated(Limit limit_) public view returns (bool) {
        return _abdicated >> uint256(limit_) & 1 == 1;
    }

    function capsAbdicated() public view returns (bool) {
        return _abdicated >> CAPS_BIT == 1;
    }

    /// @notice Nothing can be deposited while halted, while the share price is under the drawdown floor, or while a
    /// strategy cannot be valued. Otherwise up to a NAV of 128 bits, which is more than any token has in use.
    function maxDeposit(address) public view override(ERC4626, IERC4626) returns (uint256 assets) {
        (assets,) = _openRoom();
    }

    /// @notice As `maxDeposit`.
    function maxMint(address) public view override(ERC4626, IERC4626) returns (uint256) {
        (uint256 assets, Books memory books) = _openRoom();
        return _toShares(assets, books, Math.Rounding.Floor);
    }

    /// @notice Assets that `owner` can withdraw now, with the present liquidity of the strategies.
    function maxWithdraw(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        Books memory books = _readBooks();
        return Math.min(_toAssets(balanceOf(owner), books, Math.Rounding.Floor), _liquid(books));
    }

    /// @notice Shares that `owner` can redeem now, with the present liquidity of the strategies.
    function maxRedeem(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        Books memory books = _readBooks();
        uint256 shares = balanceOf(owner);
        uint256 liquid = _liquid(books);
        bool all = _toAssets(shares, books, Math.Rounding.Floor) <= liquid;
        return all ? shares : _toShares(liquid, books, Math.Rounding.Floor);
    }

    function decimals() public view override(ERC20, ERC4626, IERC20Metadata) returns (uint8) {
        return ERC4626.decimals();
    }

    /* INTERNAL: REBALANCE */

    function _checkRequest(Rebalance calldata request) internal view {
        require(msg.sender == keeper, NotKeeper(msg.sender));
        require(!_hot.halted, VaultHalted());
        require(request.epoch == _epoch, WrongEpoch(request.epoch, _epoch));
        require(block.timestamp <= request.deadline, DeadlinePassed(request.deadline, block.timestamp));
        require(request.policyHash == policyHash, WrongPolicy(request.policyHash, policyHash));
        uint256 until = uint256(_lastRebalance) + _cooldown;
        require(block.timestamp >= until, CooldownRunning(until));
        uint256 expected = _hot.count;
        require(request.weights.length == expected, WrongLength(request.weights.length, expected));
    }

    /// @dev Converts weights to amounts. Refuses at once whatever would fail later with a less telling error.
    /// @param nav Base of every wall; the weights themselves are shares of `start.nav`.
    function _targets(uint256[] calldata weights, Books memory start, uint256 nav)
        internal
        view
        returns (uint256[] memory targets)
    {
        targets = new uint256[](weights.length);
        uint256 invested;
        for (uint256 i; i < weights.length; ++i) {
            uint256 target = start.values[i];
            if (weights[i] != HOLD) {
                target = start.nav.mulDiv(weights[i], WAD);
                _checkCaps(_strategies[i], target, nav);
            }
            targets[i] = target;
            invested = invested.saturatingAdd(target);
        }
        _checkIdleFloor(nav.saturatingSub(invested), nav);
    }

    /// @dev Withdraws, then deposits. Returns the larger of the two sums: a unit moved between strategies counts once.
    function _move(uint256[] memory values, uint256[] memory targets) internal returns (uint256) {
        uint256 withdrawn;
        uint256 deposited;
        for (uint256 i; i < targets.length; ++i) {
            (uint256 value, uint256 target) = (values[i], targets[i]);
            if (target >= value) continue;
            withdrawn += value - target;
            _take(_strategies[i], value, target);
        }
        for (uint256 i; i < targets.length; ++i) {
            (uint256 value, uint256 target) = (values[i], targets[i]);
            if (target <= value) continue;
            deposited += target - value;
            _put(_strategies[i], target - value);
        }
        return Math.max(withdrawn, deposited);
    }

    function _spendTurnover(uint256 moved, uint256 nav) internal {
        uint256 turnover = moved == 0 ? 0 : moved.mulDiv(WAD, Math.max(nav, 1), Math.Rounding.Ceil);
        (bool ok, uint256 left) = _turnover.spend(turnover);
        require(ok, TurnoverBudgetExceeded(turnover, left));
    }

    function _checkOutcome(Books memory start, uint256 nav, uint256 floor, uint256 minTotalAssets)
        internal
        returns (uint256 navAfter)
    {
        Books memory end;
        _value(end);
        require(end.broken == address(0), ValuationFailed(end.broken));
        uint256 total = end.nav;
        uint256 flash = start.nav - nav; // stays idle, and counts for nothing
        for (uint256 i; i < end.values.length; ++i) {
            _checkCaps(_strategies[i], end.values[i], nav);
        }
        _checkIdleFloor(end.idle.saturatingSub(flash), total.saturatingSub(flash));
        require(total >= minTotalAssets, TotalAssetsBelowMinimum(total, minTotalAssets));

        uint256 loss = total < start.nav ? (start.nav - total).mulDiv(WAD, Math.max(nav, 1), Math.Rounding.Ceil) : 0;
        (bool ok, uint256 left) = _loss.spend(loss);
        require(ok, LossBudgetExceeded(loss, left));
        uint256 price = _sharePrice(total, start.supply);
        require(price >= floor, DrawdownExceeded(price, floor));
        return total;
    }

    function _checkCaps(Strategy storage s, uint256 assets, uint256 nav) internal view {
        if (assets == 0) return;
        uint256 relative = nav.mulDiv(s.relativeCap, WAD);
        require(assets <= relative, RelativeCapExceeded(address(s.target), assets, relative));
        require(assets <= s.absoluteCap, AbsoluteCapExceeded(address(s.target), assets, s.absoluteCap));
    }

    function _checkIdleFloor(uint256 idle_, uint256 nav) internal view {
        uint256 floor = nav.mulDiv(_idleFloor, WAD, Math.Rounding.Ceil);
        require(idle_ >= floor, IdleFloorBreached(idle_, floor));
    }

    /* INTERNAL: STRATEGIES */

    function _strategy(address strategy) internal view returns (Strategy storage) {
        uint256 position = _position[strategy];
        require(position != 0, UnknownStrategy(strategy));
        return _strategies[position - 1];
    }

    /// @dev `previewRedeem` and not `convertToAssets`: a position is worth the proceeds of leaving it, net of exit fees. An
    /// answer beyond 128 bits is no valuation: the sum must not overflow, or one strategy could lock the vault.
    function _value(Books memory books) internal view {
        uint256 count = _hot.count;
        uint256[] memory values = new uint256[](count);
        uint256 nav = idle();
        books.idle = nav;
        for (uint256 i; i < count; ++i) {
            Strategy storage s = _strategies[i];
            uint256 shares = s.shares;
            if (shares == 0) continue;
            address target = address(s.target);
            (bool ok, uint256 value) = target.readUint(READ_GAS, IERC4626.previewRedeem.selector, shares);
            if (ok && value <= type(uint128).max) {
                values[i] = value;
                nav += value;
            } else {
                books.broken = target;
            }
        }
        books.nav = nav;
        books.values = values;
    }

    /// @dev Reduces a position from `value` to `target`. Leaving it altogether redeems the shares, so no dust stays.
    function _take(Strategy storage s, uint256 value, uint256 target) internal {
        if (target == 0) {
            _redeem(s, s.shares);
        } else {
            s.shares = (s.shares - s.target.withdraw(value - target, address(this), address(this))).toUint128();
        }
    }

    function _redeem(Strategy storage s, uint256 shares) internal returns (uint256) {
        s.shares = (s.shares - shares).toUint128();
        return s.target.redeem(shares, address(this), address(this));
    }

    /// @dev The approval is exact and spent at once: a strategy can never pull more than its deposit.
    function _put(Strategy storage s, uint256 assets) internal {
        IERC20(asset()).forceApprove(address(s.target), assets);
        s.shares = (s.shares + s.target.deposit(assets, address(this))).toUint128();
    }

    /// @dev Withdraws from the strategies, in order, until `assets` are idle; one that does not pay is passed over.
    function _pull(uint256 assets, Books memory books) internal {
        uint256 available = books.idle;
        for (uint256 i; available < assets && i < books.values.length; ++i) {
            Strategy storage s = _strategies[i];
            uint256 amount = Math.min(assets - available, _withdrawable(s, books.values[i]));
            if (amount == 0) continue;
            (bool ok, uint256 burned) = address(s.target)
                .callUint(CALL_GAS, abi.encodeCall(IERC4626.withdraw, (amount, address(this), address(this))));
            if (!ok) {
                emit StrategySkipped(address(s.target));
                continue;
            }
            s.shares = uint256(s.shares).saturatingSub(burned).toUint128();
            available = idle();
        }
        require(available >= assets, NotEnoughLiquidity(assets, available));
    }

    /// @dev Assets that a strategy of this value would pay out now; 0 where it does not answer.
    function _withdrawable(Strategy storage s, uint256 value) internal view returns (uint256) {
        if (value == 0) return 0;
        (, uint256 most) = address(s.target).readUint(READ_GAS, IERC4626.maxWithdraw.selector, uint160(address(this)));
        return Math.min(most, value);
    }

    function _liquid(Books memory books) internal view returns (uint256 assets) {
        assets = books.idle;
        for (uint256 i; i < books.values.length; ++i) {
            assets += _withdrawable(_strategies[i], books.values[i]);
        }
    }

    /// @dev Transfers shares of a strategy, and returns how many: 0 where the transfer fails.
    function _handOut(Strategy storage s, uint256 shares, address receiver) internal returns (uint256) {
        if (shares == 0) return 0;
        if (!address(s.target).tryTransfer(TRANSFER_GAS, receiver, shares)) {
            emit StrategySkipped(address(s.target));
            return 0;
        }
        s.shares = (s.shares - shares).toUint128();
        return shares;
    }

    /* INTERNAL: SHARE PRICE, FEE AND DRAWDOWN */

    /// @dev NAV and supply at this moment, as if the performance fee that is due were minted.
    function _books() internal view returns (Books memory books) {
        _value(books);
        books.supply = totalSupply();
        books.price = _sharePrice(books.nav, books.supply);
        uint256 rate = _feeRate();
        if (rate == 0 || books.price <= _feeMark) return books;
        uint256 gain = (books.price - _feeMark).mulDiv(books.supply, WAD * VIRTUAL_SHARES);
        uint256 fee = gain.mulDiv(rate, BASIS_POINTS);
        books.feeShares = fee.mulDiv(books.supply + VIRTUAL_SHARES, books.nav + 1 - fee);
        books.supply += books.feeShares;
        books.price = _sharePrice(books.nav, books.supply);
    }

    /// @dev The books for a view. In the middle of an operation they do not add up, so the view reverts.
    function _readBooks() internal view nonReentrantView returns (Books memory) {
        return _books();
    }

    /// @dev Records the fee and the high-water mark. The fee's mark rises even where the fee rounds to nothing: with hardly
    /// any shares in existence a donation lifts the price for free, and the next depositor would pay for that gain.
    function _accrue() internal returns (Books memory books) {
        books = _books();
        if (books.feeShares > 0) {
            _mint(feeRecipient, books.feeShares);
            emit FeeCharged(feeRecipient, books.feeShares, books.price);
        }
        if (_feeRate() != 0 && books.price > _feeMark) _feeMark = books.price;
        _startMark(_markAt(books));
    }

    function _accrueValued() internal returns (Books memory books) {
        books = _accrue();
        require(books.broken == address(0), ValuationFailed(books.broken));
    }

    /// @dev Settles under the old terms, so that new ones never reach back. Needs a valuation of every strategy: the recovery
    /// of one in quarantine would later pass for a gain.
    function _settle() internal {
        _feeMark = Math.max(_feeMark, _accrueValued().price);
    }

    /// @dev In basis points; 0 while there is no recipient.
    function _feeRate() internal view returns (uint256 rate) {
        rate = _hot.performanceFee;
        if (rate != 0 && feeRecipient == address(0)) rate = 0;
    }

    function _markAt(Books memory books) internal view returns (uint256) {
        bool empty = books.supply == 0 || (books.supply < DUST_SHARES && books.nav < DUST_ASSETS);
        if (empty) return books.price;
        uint256 mark = _mark;
        if (books.price <= mark) return mark;
        return HighWaterMark.follow(mark, books.price, _markGrowthRate, block.timestamp - _markedAt);
    }

    /// @dev A price beyond 208 bits (an empty vault that was sent all the money in the world) is capped: reverting would lock
    /// the vault.
    function _startMark(uint256 price) internal {
        _mark = uint208(Math.min(price, type(uint208).max));
        _markedAt = uint48(block.timestamp);
    }

    function _sharePrice(uint256 nav, uint256 supply) internal pure returns (uint256) {
        return (nav + 1).mulDiv(WAD * VIRTUAL_SHARES, supply + VIRTUAL_SHARES);
    }

    function _drawdownFloor(uint256 mark) internal view returns (uint256) {
        return mark.mulDiv(WAD - _hot.maxDrawdown, WAD);
    }

    /// @dev Refuses deposits and rebalances at a price that is unknown or past the drawdown limit.
    function _checkTradable(Books memory books) internal view returns (uint256 floor) {
        require(books.broken == address(0), ValuationFailed(books.broken));
        floor = _drawdownFloor(_mark);
        require(books.price >= floor, DrawdownExceeded(books.price, floor));
    }

    function _trip(uint256 price) internal {
        _hot.halted = true;
        emit Tripped(msg.sender, price, _mark);
    }

    /* INTERNAL: ERC-4626 */

    function _decimalsOffset() internal pure override returns (uint8) {
        return DECIMALS_OFFSET;
    }

    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        return _toShares(assets, _readBooks(), rounding);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        return _toAssets(shares, _readBooks(), rounding);
    }

    function _toShares(uint256 assets, Books memory books, Math.Rounding rounding) internal pure returns (uint256) {
        return assets.mulDiv(books.supply + VIRTUAL_SHARES, books.nav + 1, rounding);
    }

    function _toAssets(uint256 shares, Books memory books, Math.Rounding rounding) internal pure returns (uint256) {
        return shares.mulDiv(books.nav + 1, books.supply + VIRTUAL_SHARES, rounding);
    }

    /// @dev Assets that may be deposited now; 0 while deposits are closed.
    function _openRoom() internal view returns (uint256 assets, Books memory books) {
        books = _readBooks();
        bool open = !_hot.halted && books.broken == address(0) && books.price >= _drawdownFloor(_markAt(books));
        if (open) assets = _room(books);
    }

    /// @dev Assets that still fit under the maximum, whether or not deposits are open.
    function _room(Books memory books) internal pure returns (uint256) {
        if (books.nav >= MAX_ASSETS) return 0;
        uint256 priced = _toAssets(MAX_SHARES.saturatingSub(books.supply), books, Math.Rounding.Floor);
        return Math.min(MAX_ASSETS - books.nav, priced);
    }

    /// @dev `maxDeposit` allows 0 at least, and whatever it allows must work: a deposit of 0 passes in every state.
    function _openForDeposit(uint256 amount) internal returns (Books memory books) {
        if (amount == 0) return _accrue();
        require(!_hot.halted, VaultHalted());
        books = _accrue();
        _checkTradable(books);
        if (_navBeforeDeposit == 0) _navBeforeDeposit = books.nav + 1;
    }

    /// @dev Shares for assets that did not arrive would be paid by the other depositors.
    function _enter(address receiver, uint256 assets, uint256 shares, Books memory books) internal {
        bool fits = assets <= MAX_ASSETS.saturatingSub(books.nav) && shares <= MAX_SHARES.saturatingSub(books.supply);
        if (!fits) revert ERC4626ExceededMaxDeposit(receiver, assets, _room(books));
        _deposit(msg.sender, receiver, assets, shares);
        uint256 received = idle() - books.idle;
        require(received == assets, TransferFeeTaken(assets, received));
    }

    function _leave(address receiver, address owner, uint256 assets, uint256 shares, Books memory books) internal {
        bool past = books.broken == address(0) && books.price < _drawdownFloor(_mark);
        if (past && !_hot.halted) _trip(books.price);
        _pull(assets, books);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    /* INTERNAL: SETTERS */

    function _limit(Limit limit_) internal view returns (uint256) {
        if (limit_ == Limit.IdleFloor) return _idleFloor;
        if (limit_ == Limit.MaxDrawdown) return _hot.maxDrawdown;
        if (limit_ == Limit.MarkGrowthRate) return _markGrowthRate;
        if (limit_ == Limit.Cooldown) return _cooldown;
        if (limit_ == Limit.MaxSilence) return _maxSilence;
        if (limit_ == Limit.LossCapacity) return _loss.capacity;
        if (limit_ == Limit.LossRefill) return _loss.refill;
        if (limit_ == Limit.TurnoverCapacity) return _turnover.capacity;
        if (limit_ == Limit.TurnoverRefill) return _turnover.refill;
        return uint256(_hot.performanceFee) * (WAD / BASIS_POINTS);
    }

    function _setLimit(Limit limit_, uint256 value) internal {
        if (limit_ == Limit.IdleFloor) _idleFloor = _within(value, 0, WAD);
        else if (limit_ == Limit.MaxDrawdown) _hot.maxDrawdown = _within(value, 0, WAD);
        else if (limit_ == Limit.MarkGrowthRate) _markGrowthRate = _within(value, 0, 10 * WAD);
        else if (limit_ == Limit.Cooldown) _cooldown = uint32(_within(value, 0, 30 days));
        else if (limit_ == Limit.MaxSilence) _maxSilence = uint32(_within(value, 1 hours, 365 days));
        else if (limit_ == Limit.LossCapacity) _loss.set(_within(value, 0, WAD), _loss.refill);
        else if (limit_ == Limit.LossRefill) _loss.set(_loss.capacity, _within(value, 0, WAD));
        else if (limit_ == Limit.TurnoverCapacity) _turnover.set(_within(value, 0, 10 * WAD), _turnover.refill);
        else if (limit_ == Limit.TurnoverRefill) _turnover.set(_turnover.capacity, _within(value, 0, 10 * WAD));
        else _hot.performanceFee = uint16(_within(value, 0, 0.3e18) / (WAD / BASIS_POINTS));
        emit LimitSet(limit_, _limit(limit_));
    }

    function _within(uint256 value, uint256 minimum, uint256 maximum) internal pure returns (uint64) {
        require(value >= minimum && value <= maximum, LimitOutOfRange(value, minimum, maximum));
        return uint64(value);
    }

    function _setCaps(Strategy storage s, uint64 relativeCap, uint128 absoluteCap) internal {
        require(relativeCap <= WAD, LimitOutOfRange(relativeCap, 0, WAD));
        s.relativeCap = relativeCap;
        s.absoluteCap = absoluteCap;
        emit CapsSet(address(s.target), relativeCap, absoluteCap);
    }

    /// @dev A new keeper has the whole of `MaxSilence` before anyone may unwind.
    function _setKeeper(address newKeeper) internal {
        keeper = newKeeper;
        _lastHeartbeat = uint40(block.timestamp);
        emit KeeperSet(newKeeper);
    }
}
