// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IVault} from "./interfaces/IVault.sol";
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
/// vault's own books. Shares of a strategy that are sent to the vault are not in its books and count for nothing. Assets
/// sent to the vault belong to the depositors. The share price starts at 1e18 whatever the decimals; 1e6 virtual shares
/// make it expensive to inflate. All conversions round against the caller.
///
/// REBALANCING
/// Only the keeper rebalances. A request names, for each strategy, a share of the NAV at the start of the transaction,
/// or `HOLD`. The vault first withdraws what is over target, then deposits what is under. It reverts unless: the epoch is
/// the vault's; the deadline has not passed; the policy is the committed one; the share price is above the drawdown floor
/// before and after; afterwards no strategy is over its absolute cap or over its relative cap of the NAV *before* (so that
/// no gain inside the transaction widens it); the idle floor is kept; NAV is at least what the keeper demanded.
/// A position that yield or a withdrawal has carried over its cap is not forced down, but no rebalance passes that leaves
/// it there. Deposits and withdrawals may move weights too: caps bind the keeper, not the depositors.
///
/// KILL-SWITCH
/// The high-water mark follows the share price up, at most at `markGrowthRate`, and never falls by itself. When the share
/// price is under `mark x (1 - maxDrawdown)`, anyone may call `trip()`: the vault is then halted for good. Halted, it takes
/// no deposit and no rebalance; anyone may `unwind` strategies to idle. Leaving stays open. Only governance resumes, and
/// the mark then starts anew at the present share price. In a vault that is empty but for dust there is nothing to protect
/// and a unit of rounding would look like a crash: there the mark is the share price itself.
///
/// LEAVING
/// Withdrawals use idle assets, then the strategies in order. A strategy that reverts or is illiquid on withdrawal is
/// passed over. Nothing in the way out depends on the keeper, on governance or on the kill-switch.
///
/// ROLES
/// keeper      rebalances, within the walls. Nothing else.
/// authority   an OpenZeppelin AccessManager that says who may call the `restricted` functions, and after which delay.
/// anyone      trips, and unwinds once halted.
///
/// ASSUMPTIONS
/// - The asset takes no fee on transfer (it is refused on deposit), does not rebase, and has no more than 24 decimals.
/// - Strategies are chosen by governance: their `previewRedeem` cannot be moved within a transaction, does not revert, and
///   they are honest about the shares they mint and burn.
/// - The first deposit is of some size. While NAV is small, a small gift lifts the share price far above the mark, which
///   follows slowly: those who deposit then are protected by the kill-switch only once the price has lost the gift too.
/// - NOT YET HERE: loss and turnover budgets, cooldown, delays between loosening and effect, in-kind exit, quarantine for
///   a strategy whose valuation reverts, the dead man's switch, fees. Until then a keeper's key can churn the vault within
///   its caps as often as it likes, and down to the drawdown floor.
contract Vault is IVault, ERC4626, AccessManaged, ReentrancyGuardTransient {
    using HighWaterMark for HighWaterMark.Mark;
    using Math for uint256;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /* CONSTANTS */

    uint256 internal constant WAD = 1e18;
    uint256 internal constant VIRTUAL_SHARES = 1e6;
    uint8 internal constant DECIMALS_OFFSET = 6;
    /// @dev A vault with less than these assets and less than these shares is empty but for dust. Either alone would not do:
    /// a crash leaves few assets, and a gift to an empty vault makes few shares worth much.
    uint256 internal constant DUST_ASSETS = 1e3;
    uint256 internal constant DUST_SHARES = DUST_ASSETS * VIRTUAL_SHARES;
    uint256 public constant MAX_STRATEGIES = 16;
    /// @dev 1,000 % a year: faster than that, the bound would bind nothing.
    uint256 public constant MAX_MARK_GROWTH_RATE = 10e18;
    /// @inheritdoc IVault
    uint256 public constant HOLD = type(uint256).max;

    /* KEEPER STORAGE */

    address public keeper;
    uint48 internal _epoch;
    uint40 internal _lastRebalance;
    bool public halted;
    bytes32 public policyHash;

    /* LIMITS STORAGE */

    uint64 public idleFloor;
    uint64 public maxDrawdown;
    /// @inheritdoc IVault
    uint64 public markGrowthRate;
    HighWaterMark.Mark internal _mark;

    /* STRATEGIES STORAGE */

    Strategy[] internal _strategies;
    /// @dev Position in `_strategies` plus one; 0 for an address that is not a strategy.
    mapping(address => uint256) internal _position;

    /* CONSTRUCTOR */

    /// @param authority_ AccessManager that governs the restricted functions.
    /// @param keeper_ The one address that may rebalance.
    constructor(
        IERC20 asset_,
        string memory name_,
        string memory symbol_,
        address authority_,
        address keeper_,
        uint64 idleFloor_,
        uint64 maxDrawdown_,
        uint64 markGrowthRate_
    ) ERC20(name_, symbol_) ERC4626(asset_) AccessManaged(authority_) {
        require(authority_ != address(0), ZeroAddress());
        _mark.start(WAD);
        _setKeeper(keeper_);
        _setIdleFloor(idleFloor_);
        _setMaxDrawdown(maxDrawdown_);
        _setMarkGrowthRate(markGrowthRate_);
    }

    /* KEEPER */

    /// @inheritdoc IVault
    function rebalance(Rebalance calldata request) external nonReentrant {
        _checkRequest(request);
        (uint256 navBefore, uint256[] memory values) = _valuation();
        _accrueAndCheckDrawdown(navBefore);

        uint256[] memory targets = _targets(request.weights, values, navBefore);
        for (uint256 i; i < targets.length; ++i) {
            if (targets[i] < values[i]) _take(_strategies[i], values[i], targets[i]);
        }
        for (uint256 i; i < targets.length; ++i) {
            if (targets[i] > values[i]) _put(_strategies[i], targets[i] - values[i]);
        }

        uint256 navAfter = _checkOutcome(navBefore, request.minTotalAssets);
        _lastRebalance = uint40(block.timestamp);
        emit Rebalanced(_epoch++, request.policyHash, request.decisionHash, request.weights, navBefore, navAfter);
    }

    /* ANYONE */

    /// @inheritdoc IVault
    function trip() external nonReentrant {
        require(!halted, VaultHalted());
        (uint256 price, uint256 floor) = _accrueMark(totalAssets());
        require(price < floor, DrawdownWithinLimit(price, floor));
        halted = true;
        emit Tripped(msg.sender, price, _mark.value);
    }

    /// @inheritdoc IVault
    function unwind(address strategy) external nonReentrant returns (uint256 assets) {
        require(halted, NotHalted());
        Strategy storage s = _strategy(strategy);
        uint256 shares = Math.min(s.shares, s.target.maxRedeem(address(this)));
        assets = _redeem(s, shares);
        emit Unwound(msg.sender, strategy, shares, assets);
    }

    /* GOVERNANCE */

    /// @inheritdoc IVault
    function addStrategy(address strategy, uint64 relativeCap, uint128 absoluteCap) external restricted {
        require(strategy != address(0) && strategy != address(this), ZeroAddress());
        require(_position[strategy] == 0, StrategyAlreadyAdded(strategy));
        require(_strategies.length < MAX_STRATEGIES, TooManyStrategies(MAX_STRATEGIES));
        require(IERC4626(strategy).asset() == asset(), WrongAsset(strategy, IERC4626(strategy).asset()));
        _strategies.push(Strategy(IERC4626(strategy), 0, 0, 0));
        _position[strategy] = _strategies.length;
        emit StrategyAdded(strategy, relativeCap, absoluteCap);
        _setCaps(strategy, relativeCap, absoluteCap);
    }

    /// @inheritdoc IVault
    function setCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external restricted {
        _setCaps(strategy, relativeCap, absoluteCap);
    }

    /// @inheritdoc IVault
    function setIdleFloor(uint64 newIdleFloor) external restricted {
        _setIdleFloor(newIdleFloor);
    }

    /// @inheritdoc IVault
    function setMaxDrawdown(uint64 newMaxDrawdown) external restricted {
        _setMaxDrawdown(newMaxDrawdown);
    }

    /// @inheritdoc IVault
    function setMarkGrowthRate(uint64 newMarkGrowthRate) external restricted {
        // What grew under the old rate is recorded first: a new rate never reaches back.
        _accrueMark(totalAssets());
        _setMarkGrowthRate(newMarkGrowthRate);
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
    function resume() external restricted {
        require(halted, NotHalted());
        uint256 price = sharePrice();
        _mark.start(price);
        halted = false;
        emit Resumed(price);
    }

    /* DEPOSIT AND WITHDRAW */

    /// @inheritdoc ERC4626
    function deposit(uint256 assets, address receiver)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 shares)
    {
        uint256 nav = _openForDeposit();
        shares = _toShares(assets, nav, Math.Rounding.Floor);
        _deposit(msg.sender, receiver, assets, shares);
    }

    /// @inheritdoc ERC4626
    function mint(uint256 shares, address receiver)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 assets)
    {
        uint256 nav = _openForDeposit();
        assets = _toAssets(shares, nav, Math.Rounding.Ceil);
        _deposit(msg.sender, receiver, assets, shares);
    }

    /// @inheritdoc ERC4626
    function withdraw(uint256 assets, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 shares)
    {
        uint256 nav = totalAssets();
        _accrueMark(nav);
        uint256 owned = _toAssets(balanceOf(owner), nav, Math.Rounding.Floor);
        require(assets <= owned, ERC4626ExceededMaxWithdraw(owner, assets, owned));
        shares = _toShares(assets, nav, Math.Rounding.Ceil);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    /// @inheritdoc ERC4626
    function redeem(uint256 shares, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 assets)
    {
        uint256 nav = totalAssets();
        _accrueMark(nav);
        uint256 owned = balanceOf(owner);
        require(shares <= owned, ERC4626ExceededMaxRedeem(owner, shares, owned));
        assets = _toAssets(shares, nav, Math.Rounding.Floor);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    /* VIEWS */

    /// @inheritdoc ERC4626
    function totalAssets() public view override(ERC4626, IERC4626) returns (uint256 nav) {
        nav = idle();
        for (uint256 i; i < _strategies.length; ++i) {
            nav += _value(_strategies[i]);
        }
    }

    /// @inheritdoc IVault
    function idle() public view returns (uint256) {
        return IERC20(asset()).balanceOf(address(this));
    }

    /// @inheritdoc IVault
    function sharePrice() public view returns (uint256) {
        return _sharePrice(totalAssets());
    }

    /// @inheritdoc IVault
    function highWaterMark() public view returns (uint256) {
        uint256 nav = totalAssets();
        return _markAt(nav, _sharePrice(nav));
    }

    /// @inheritdoc IVault
    function drawdownFloor() public view returns (uint256) {
        return _drawdownFloor(highWaterMark());
    }

    function epoch() external view returns (uint256) {
        return _epoch;
    }

    function lastRebalance() external view returns (uint256) {
        return _lastRebalance;
    }

    function strategies() external view returns (Strategy[] memory) {
        return _strategies;
    }

    /// @notice Nothing can be deposited while halted or while the share price is under the drawdown floor.
    function maxDeposit(address) public view override(ERC4626, IERC4626) returns (uint256) {
        return _acceptsDeposits() ? type(uint256).max : 0;
    }

    /// @notice Nothing can be minted while halted or while the share price is under the drawdown floor.
    function maxMint(address) public view override(ERC4626, IERC4626) returns (uint256) {
        return _acceptsDeposits() ? type(uint256).max : 0;
    }

    /// @notice What `owner` can take out now, with the liquidity that the strategies offer now.
    function maxWithdraw(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        return Math.min(convertToAssets(balanceOf(owner)), _liquid());
    }

    /// @notice What `owner` can redeem now, with the liquidity that the strategies offer now.
    function maxRedeem(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        uint256 shares = balanceOf(owner);
        uint256 liquid = _liquid();
        return convertToAssets(shares) <= liquid ? shares : convertToShares(liquid);
    }

    /* INTERNAL: REBALANCE */

    function _checkRequest(Rebalance calldata request) internal view {
        require(msg.sender == keeper, NotKeeper(msg.sender));
        require(!halted, VaultHalted());
        require(request.epoch == _epoch, WrongEpoch(request.epoch, _epoch));
        require(block.timestamp <= request.deadline, DeadlinePassed(request.deadline, block.timestamp));
        require(request.policyHash == policyHash, WrongPolicy(request.policyHash, policyHash));
        uint256 expected = _strategies.length;
        require(request.weights.length == expected, WrongLength(request.weights.length, expected));
    }

    /// @dev Weights to amounts. Refuses at once what could only fail later with a message that says less.
    function _targets(uint256[] calldata weights, uint256[] memory values, uint256 nav)
        internal
        view
        returns (uint256[] memory targets)
    {
        targets = new uint256[](weights.length);
        uint256 invested;
        for (uint256 i; i < weights.length; ++i) {
            targets[i] = weights[i] == HOLD ? values[i] : nav.mulDiv(weights[i], WAD);
            _checkCaps(_strategies[i], targets[i], nav);
            invested += targets[i];
        }
        _checkIdleFloor(nav.saturatingSub(invested), nav);
    }

    function _checkOutcome(uint256 navBefore, uint256 minTotalAssets) internal returns (uint256 navAfter) {
        uint256[] memory values;
        (navAfter, values) = _valuation();
        for (uint256 i; i < values.length; ++i) {
            _checkCaps(_strategies[i], values[i], navBefore);
        }
        _checkIdleFloor(idle(), navAfter);
        require(navAfter >= minTotalAssets, TotalAssetsBelowMinimum(navAfter, minTotalAssets));
        _accrueAndCheckDrawdown(navAfter);
    }

    function _checkCaps(Strategy storage s, uint256 assets, uint256 nav) internal view {
        uint256 relative = nav.mulDiv(s.relativeCap, WAD);
        require(assets <= relative, RelativeCapExceeded(address(s.target), assets, relative));
        require(assets <= s.absoluteCap, AbsoluteCapExceeded(address(s.target), assets, s.absoluteCap));
    }

    function _checkIdleFloor(uint256 idle_, uint256 nav) internal view {
        uint256 floor = nav.mulDiv(idleFloor, WAD, Math.Rounding.Ceil);
        require(idle_ >= floor, IdleFloorBreached(idle_, floor));
    }

    /* INTERNAL: STRATEGIES */

    function _strategy(address strategy) internal view returns (Strategy storage) {
        uint256 position = _position[strategy];
        require(position != 0, UnknownStrategy(strategy));
        return _strategies[position - 1];
    }

    /// @dev `previewRedeem` and not `convertToAssets`: a position is worth what leaving it pays, exit fees included.
    function _value(Strategy storage s) internal view returns (uint256) {
        uint256 shares = s.shares;
        return shares == 0 ? 0 : s.target.previewRedeem(shares);
    }

    function _valuation() internal view returns (uint256 nav, uint256[] memory values) {
        values = new uint256[](_strategies.length);
        nav = idle();
        for (uint256 i; i < values.length; ++i) {
            values[i] = _value(_strategies[i]);
            nav += values[i];
        }
    }

    /// @dev Brings a position down from `value` to `target`. Leaving it altogether redeems the shares, so no dust stays.
    function _take(Strategy storage s, uint256 value, uint256 target) internal {
        if (target == 0) _redeem(s, s.shares);
        else _withdrawFrom(s, value - target);
    }

    function _withdrawFrom(Strategy storage s, uint256 assets) internal {
        uint256 burned = s.target.withdraw(assets, address(this), address(this));
        s.shares = (s.shares - burned).toUint128();
    }

    function _redeem(Strategy storage s, uint256 shares) internal returns (uint256) {
        s.shares = (s.shares - shares).toUint128();
        return s.target.redeem(shares, address(this), address(this));
    }

    /// @dev The approval is exact and used up at once: a strategy can never pull more than it is given.
    function _put(Strategy storage s, uint256 assets) internal {
        IERC20(asset()).forceApprove(address(s.target), assets);
        s.shares = (s.shares + s.target.deposit(assets, address(this))).toUint128();
    }

    /// @dev Makes `assets` idle, out of the strategies in order; one that reverts is passed over.
    function _pull(uint256 assets) internal {
        uint256 available = idle();
        for (uint256 i; available < assets && i < _strategies.length; ++i) {
            Strategy storage s = _strategies[i];
            uint256 amount = Math.min(assets - available, _withdrawable(s));
            if (amount == 0) continue;
            try s.target.withdraw(amount, address(this), address(this)) returns (uint256 burned) {
                s.shares = (s.shares - burned).toUint128();
                available = idle();
            } catch {
                emit StrategySkipped(address(s.target));
            }
        }
        require(available >= assets, NotEnoughLiquidity(assets, available));
    }

    /// @dev What a strategy would pay out now; 0 for one that cannot say.
    function _withdrawable(Strategy storage s) internal view returns (uint256) {
        uint256 value = _value(s);
        if (value == 0) return 0;
        try s.target.maxWithdraw(address(this)) returns (uint256 most) {
            return Math.min(most, value);
        } catch {
            return 0;
        }
    }

    function _liquid() internal view returns (uint256 assets) {
        assets = idle();
        for (uint256 i; i < _strategies.length; ++i) {
            assets += _withdrawable(_strategies[i]);
        }
    }

    /* INTERNAL: SHARE PRICE AND DRAWDOWN */

    function _sharePrice(uint256 nav) internal view returns (uint256) {
        return (nav + 1).mulDiv(WAD * VIRTUAL_SHARES, totalSupply() + VIRTUAL_SHARES);
    }

    function _markAt(uint256 nav, uint256 price) internal view returns (uint256) {
        uint256 supply = totalSupply();
        bool empty = supply == 0 || (supply < DUST_SHARES && nav < DUST_ASSETS);
        return empty ? price : _mark.preview(price, markGrowthRate);
    }

    function _drawdownFloor(uint256 mark) internal view returns (uint256) {
        return mark.mulDiv(WAD - maxDrawdown, WAD);
    }

    /// @dev Records the high-water mark; returns the share price and the floor under which the vault may be tripped.
    function _accrueMark(uint256 nav) internal returns (uint256 price, uint256 floor) {
        price = _sharePrice(nav);
        uint256 mark = _markAt(nav, price);
        _mark.start(mark);
        floor = _drawdownFloor(mark);
    }

    function _accrueAndCheckDrawdown(uint256 nav) internal {
        (uint256 price, uint256 floor) = _accrueMark(nav);
        require(price >= floor, DrawdownExceeded(price, floor));
    }

    /* INTERNAL: ERC-4626 */

    function _decimalsOffset() internal pure override returns (uint8) {
        return DECIMALS_OFFSET;
    }

    function _toShares(uint256 assets, uint256 nav, Math.Rounding rounding) internal view returns (uint256) {
        return assets.mulDiv(totalSupply() + VIRTUAL_SHARES, nav + 1, rounding);
    }

    function _toAssets(uint256 shares, uint256 nav, Math.Rounding rounding) internal view returns (uint256) {
        return shares.mulDiv(nav + 1, totalSupply() + VIRTUAL_SHARES, rounding);
    }

    function _acceptsDeposits() internal view returns (bool) {
        if (halted) return false;
        uint256 nav = totalAssets();
        uint256 price = _sharePrice(nav);
        return price >= _drawdownFloor(_markAt(nav, price));
    }

    function _openForDeposit() internal returns (uint256 nav) {
        require(!halted, VaultHalted());
        nav = totalAssets();
        _accrueAndCheckDrawdown(nav);
    }

    function _withdraw(address caller, address receiver, address owner, uint256 assets, uint256 shares)
        internal
        override
    {
        _pull(assets);
        super._withdraw(caller, receiver, owner, assets, shares);
    }

    function _transferIn(address from, uint256 assets) internal override {
        uint256 before = idle();
        super._transferIn(from, assets);
        uint256 received = idle() - before;
        require(received == assets, TransferFeeTaken(assets, received));
    }

    /* INTERNAL: SETTERS */

    function _setCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) internal {
        require(relativeCap <= WAD, LimitOutOfRange(relativeCap, WAD));
        Strategy storage s = _strategy(strategy);
        s.relativeCap = relativeCap;
        s.absoluteCap = absoluteCap;
        emit CapsSet(strategy, relativeCap, absoluteCap);
    }

    function _setIdleFloor(uint64 newIdleFloor) internal {
        require(newIdleFloor <= WAD, LimitOutOfRange(newIdleFloor, WAD));
        idleFloor = newIdleFloor;
        emit IdleFloorSet(newIdleFloor);
    }

    function _setMaxDrawdown(uint64 newMaxDrawdown) internal {
        require(newMaxDrawdown <= WAD, LimitOutOfRange(newMaxDrawdown, WAD));
        maxDrawdown = newMaxDrawdown;
        emit MaxDrawdownSet(newMaxDrawdown);
    }

    function _setMarkGrowthRate(uint64 newMarkGrowthRate) internal {
        require(newMarkGrowthRate <= MAX_MARK_GROWTH_RATE, LimitOutOfRange(newMarkGrowthRate, MAX_MARK_GROWTH_RATE));
        markGrowthRate = newMarkGrowthRate;
        emit MarkGrowthRateSet(newMarkGrowthRate);
    }

    function _setKeeper(address newKeeper) internal {
        keeper = newKeeper;
        emit KeeperSet(newKeeper);
    }
}
