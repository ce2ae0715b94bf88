// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ISelf} from "./interfaces/ISelf.sol";
import {IVault} from "./interfaces/IVault.sol";
import {Bucket} from "./libraries/Bucket.sol";
import {Exits} from "./vault/Exits.sol";
import {Governance} from "./vault/Governance.sol";
import {LimitTable} from "./vault/LimitTable.sol";
import {Rebalancing} from "./vault/Rebalancing.sol";
import {VaultStorage} from "./vault/VaultStorage.sol";

/// @title Bulkhead vault: an agent steers, the walls hold
/// @notice
///
/// WHAT IT IS
/// An ERC-4626 vault of one asset that spreads its funds over strategies, each itself an ERC-4626 vault of the same
/// asset. A keeper (in practice a policy's key) chooses the weights. The vault does not trust it, and it does not trust
/// what a strategy says about itself: every rule below is enforced here. The contract cannot be upgraded. Its code is in two
/// parts, this one and `Governance`, which it makes itself and runs on its own storage.
///
/// NAV, BID AND ASK
/// NAV is the asset balance of the vault plus, for each strategy, `previewRedeem` of the shares in the vault's own books.
/// Strategy shares that somebody sends to the vault are not in its books and count for nothing.
/// - The BID is NAV, with a bound on what it believes: each position counts for no more than was recorded when the vault last
///   moved it, and the whole for no more than at the last record, both grown at `MaxGrowthRate`. It falls with a loss at once,
///   and grows with a gain no faster than that. A second record in a block adds nothing. `totalAssets`, the share price, leaving,
///   the fee, the high-water mark and the kill-switch are at the bid.
/// - The ASK is what the positions are worth without the cost of leaving them (`convertToAssets`), unbounded and never under
///   the bid. Entering is at the ask, and closed while the ask, of the whole or of a position, is over the bid by more than a
///   twentieth. Whoever enters without a least number of shares may pay that much too much of what a lying strategy holds.
/// So a lie, a glitch, a gift or a deposit just in time takes at most `rate x time` of all that is in the vault, one's own capital
/// included, and a lie never more than what is in the strategies that lie, or was when the vault last moved them. Who leaves while
/// the bid is behind NAV leaves the rest to the others. In kind one takes along one's part of what is really there; not in the
/// transaction of a deposit. The share price starts at 1e18 whatever the decimals; 1e6 virtual shares make it expensive to
/// inflate. All conversions round against the caller: to shares at the ask, to assets at the bid.
///
/// REBALANCING
/// Only the keeper rebalances. A request names, for each strategy, a share of the NAV at the start, or `HOLD`. The vault
/// first withdraws from strategies over their target, then deposits into those under it. It reverts unless:
/// - the epoch is the vault's, the deadline has not passed, the policy is the committed one, the cooldown is over;
/// - the share price is above the drawdown floor, before and after;
/// - afterwards no strategy that was deposited into is over its absolute cap, or over its relative cap of the NAV *before*, or of
///   the bid where that is less; and no group of strategies that share a risk is over the group's caps. Where the transaction
///   itself deposited first, the NAV before that deposit counts, and the deposit stays idle: neither a lie nor a flash deposit
///   widens a cap or a budget;
/// - every strategy that was deposited into could pay back now all that is in it. Where it tells the cash of its venue, that
///   covered it before this deposit; where it says nothing at all, a trial decides;
/// - idle is not taken under its floor, and NAV per share is at least what the keeper demanded;
/// - the amount moved is within the turnover budget, and the losses are within the loss budget. Both are token buckets in
///   shares of NAV or of the bid, whichever is less. Losses are summed position by position, so that no gain hides one.
///   THE LOSS BUDGET BOUNDS WHAT REBALANCING CAN COST, WHOEVER HOLDS THE KEEPER'S KEY: `capacity + refill x time`.
/// A position that yield, a gift or a withdrawal has carried over its cap is not forced down, and not added to. Caps bind the
/// keeper, not the depositors, whose deposits and withdrawals move weights too.
///
/// KILL-SWITCH
/// The high-water mark is the highest share price so far. When the share price is under `mark x (1 - MaxDrawdown)`, anyone
/// may call `trip()`, and any withdrawal trips as well: the vault is then halted for good. Halted, it takes no deposit and no
/// rebalance; anyone may `unwind` strategies to idle, and what is unwound may lose no more than `UnwindLoss` of it on the way.
/// Leaving stays open. Only governance resumes, and the mark then starts anew at the present share price. In a vault that is
/// empty but for dust there is nothing to protect and a unit of rounding would look like a crash: there the bid is NAV, and the
/// mark is the price.
///
/// DEAD MAN'S SWITCH
/// When the keeper has neither rebalanced nor sent a heartbeat for `MaxSilence` seconds, anyone may `unwind`.
///
/// LEAVING
/// Withdrawals use idle assets, then the strategies in order. A strategy that reverts, is illiquid or costs more to leave than
/// it says is passed over; with a bound of one's own (`maxShares`, `minAssets`) one may pay that cost instead. Those who stay
/// never pay it, but for rounding. `redeemInKind` hands out the pro-rata part of idle and of every strategy's shares; it needs
/// no price, no liquidity, no live strategy and not even an asset that can be transferred. The way out depends on neither the
/// keeper, nor governance, nor the kill-switch.
///
/// QUARANTINE
/// While a strategy's valuation reverts there is no price, and none is shown: conversions, previews and `totalAssets` revert,
/// what may be entered or left by them is 0, and nothing is recorded. Deposits, rebalances and `trip` wait, so that nobody
/// enters cheaply and no hiccup halts the vault; a vault inside this one does the same to it. Exits with a bound go on at the
/// price of the rest and forgo that strategy; `redeemInKind` is the fair way out. When it ends, all is as before. A strategy
/// that never comes back is written off by governance, after its delay.
///
/// PERFORMANCE FEE
/// Off unless governance sets it. Charged in shares, on gains of the share price above the highest at which it was charged;
/// at most 30 %. No fee on deposits, assets or withdrawals.
///
/// ROLES
/// keeper      rebalances within the walls, sends heartbeats, may resign. Nothing else.
/// authority   an OpenZeppelin AccessManager that says who may call the `restricted` functions, and after which delay.
///   guardian    can only tighten: lower caps and budgets, halt, cut the keeper off; no delay. Governance can undo all of it.
///   governance  can loosen, add strategies, commit policies, resume; after a delay that depositors can see and within
///               which they can leave. It can abdicate: renounce, for ever, the right to loosen a limit beyond what it has set.
/// anyone      trips, and unwinds once halted or once the keeper is silent.
///
/// GAS
/// Strategies are read and called with bounded gas: a withdrawal gets past four hostile ones, and an exit in kind past sixteen,
/// within the 2^24 that a transaction may use. A call that failed for want of gas is an error and never an answer.
///
/// ASSUMPTIONS
/// - The asset takes no fee on transfer (such a deposit is refused), does not rebase, has no more than 24 decimals, and
///   calls back nobody who could profit from reading the vault's views in between.
/// - Strategies are chosen by governance. One that lies can cost what is in it, or was when the vault last moved it, and the
///   growth that the rate allows on that; lying low, it can be entered cheaply, by no more than what is in it. A relative cap
///   counts the capital of whoever deposits and leaves again; an absolute cap does not.
/// - What a strategy books only when it is touched, it can lose at that same touch without a loss being seen.
/// - Leaving one strategy does not change what another is worth: what a withdrawal costs is measured where it draws.
/// - A strategy whose shares are worth more than leaving it pays was so when the vault last deposited into it: that is when the
///   vault looks.
/// - A new vault is seeded. A gift of more than a twentieth of what is in a vault or a position closes deposits until the bid has
///   grown, or governance restates it: in a nearly empty vault that is cheap.
/// - The authority is configured as `scripts/deploy.py` does and checks: an admin without a delay could do anything at once.
contract Vault is IVault, ISelf, Rebalancing, Exits, LimitTable {
    using Bucket for Bucket.State;
    using Math for uint256;

    /* IMMUTABLES */

    /// @dev The code of what guardian and governance may do, and of `unwind`. The vault makes it itself and runs it on its own storage, for one
    /// contract may not be as large as both. It can no more be changed than the vault.
    address private immutable _governance;

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
    ) VaultStorage(asset_, name_, symbol_, authority_) {
        _governance = address(new Governance(asset_, name_, symbol_, authority_));
        require(authority_ != address(0), ZeroAddress());
        _setMark(WAD);
        _feeMark = WAD;
        _setKeeper(keeper_);
        _governLimit(Limit.IdleFloor, limits_.idleFloor);
        _governLimit(Limit.MaxDrawdown, limits_.maxDrawdown);
        _governLimit(Limit.MaxGrowthRate, limits_.maxGrowthRate);
        _governLimit(Limit.Cooldown, limits_.cooldown);
        _governLimit(Limit.MaxSilence, limits_.maxSilence);
        _governLimit(Limit.LossCapacity, limits_.lossCapacity);
        _governLimit(Limit.LossRefill, limits_.lossRefill);
        _governLimit(Limit.TurnoverCapacity, limits_.turnoverCapacity);
        _governLimit(Limit.TurnoverRefill, limits_.turnoverRefill);
        _governLimit(Limit.PerformanceFee, limits_.performanceFee);
        _governLimit(Limit.UnwindLoss, limits_.unwindLoss);
        _governLimit(Limit.DepositCap, limits_.depositCap);
    }

    /* KEEPER */

    /// @inheritdoc IVault
    function rebalance(Rebalance calldata request) external nonReentrant {
        _rebalance(request);
    }

    /// @inheritdoc IVault
    function heartbeat() external {
        _onlyKeeper();
        _lastHeartbeat = uint40(block.timestamp);
        emit Heartbeat();
    }

    /// @inheritdoc IVault
    function resign() external {
        _onlyKeeper();
        _cutKeeper();
    }

    /* ANYONE */

    /// @inheritdoc IVault
    function trip() external nonReentrant {
        require(!_halted, VaultHalted());
        Books memory books = _accrueValued();
        uint256 floor = _drawdownFloor(_mark);
        require(books.price < floor, DrawdownWithinLimit(books.price, floor));
        _trip(books.price);
    }

    /// @inheritdoc IVault
    function unwind(address, uint256) external returns (uint256) {
        _govern();
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
        shares = _toShares(assets, books.ask, books, Math.Rounding.Floor);
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
        assets = _toAssets(shares, books.ask, books, Math.Rounding.Ceil);
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
        Books memory books = _accrue(false);
        shares = _toShares(assets, books.bid, books, Math.Rounding.Ceil);
        uint256 owned = balanceOf(owner);
        if (shares > owned) {
            revert ERC4626ExceededMaxWithdraw(owner, assets, _toAssets(owned, books.bid, books, Math.Rounding.Floor));
        }
        _checkPriced(books, assets);
        _pull(assets, books, false, false);
        _leave(receiver, owner, assets, shares, books, 0);
    }

    /// @inheritdoc ERC4626
    function redeem(uint256 shares, address receiver, address owner)
        public
        override(ERC4626, IERC4626)
        nonReentrant
        returns (uint256 assets)
    {
        Books memory books = _accrue(false);
        uint256 owned = balanceOf(owner);
        require(shares <= owned, ERC4626ExceededMaxRedeem(owner, shares, owned));
        assets = _toAssets(shares, books.bid, books, Math.Rounding.Floor);
        _checkPriced(books, shares);
        _pull(assets, books, false, false);
        _leave(receiver, owner, assets, shares, books, 0);
    }

    /// @inheritdoc IVault
    function withdraw(uint256 assets, address receiver, address owner, uint256 maxShares)
        external
        nonReentrant
        returns (uint256 shares)
    {
        Books memory books = _accrue(false);
        uint256 cost = _pull(assets, books, true, false);
        shares = _toShares(assets + cost, books.bid, books, Math.Rounding.Ceil);
        require(shares <= maxShares, SlippageExceeded(shares, maxShares));
        _leave(receiver, owner, assets, shares, books, cost);
    }

    /// @inheritdoc IVault
    function redeem(uint256 shares, address receiver, address owner, uint256 minAssets)
        external
        nonReentrant
        returns (uint256 assets)
    {
        Books memory books = _accrue(false);
        assets = _toAssets(shares, books.bid, books, Math.Rounding.Floor);
        uint256 cost = _pull(assets, books, true, true);
        assets -= cost;
        require(assets >= minAssets, SlippageExceeded(assets, minAssets));
        _leave(receiver, owner, assets, shares, books, cost);
    }

    /// @inheritdoc IVault
    function redeemInKind(uint256 shares, address receiver, address owner, uint256[] calldata minimums)
        external
        nonReentrant
        returns (uint256, uint256[] memory)
    {
        return _redeemInKind(shares, receiver, owner, minimums);
    }

    /// @inheritdoc ISelf
    function draw(uint256 position, uint256 amount, uint256 value, uint256 allowed, bool probe)
        external
        returns (uint256 loss)
    {
        require(msg.sender == address(this), OnlySelf());
        loss = _draw(position, amount, value, allowed, probe);
    }

    /* VIEWS */

    /// @notice The bid: what leaving is paid from. Reverts while a strategy cannot be valued, as do all conversions and previews:
    /// half a price would be none, and ERC-4626 has no better word for that than a revert.
    function totalAssets() public view override(ERC4626, IERC4626) returns (uint256) {
        return _pricedBooks(false).bid;
    }

    /// @inheritdoc IVault
    function valuation() external view returns (Valuation memory v) {
        Books memory books = _readBooks(true);
        (v.nav, v.bid, v.ask, v.sharePrice, v.broken) = (books.nav, books.bid, books.ask, books.price, books.broken);
        v.navPrice = _sharePrice(books.nav, books.supply);
        v.highWaterMark = _markAt(books);
        v.drawdownFloor = _drawdownFloor(v.highWaterMark);
    }

    /// @inheritdoc IVault
    function sharePrice() external view returns (uint256) {
        return _pricedBooks(false).price;
    }

    /// @inheritdoc IVault
    function highWaterMark() public view returns (uint256) {
        return _markAt(_readBooks(false));
    }

    /// @inheritdoc IVault
    function drawdownFloor() external view returns (uint256) {
        return _drawdownFloor(highWaterMark());
    }

    /// @inheritdoc IVault
    function valued() external view returns (bool) {
        return _readBooks(false).broken == address(0);
    }

    /// @inheritdoc IVault
    function HOLD() external pure returns (uint256) {
        return LEAVE_IT;
    }

    /// @inheritdoc IVault
    function SKIP() external pure returns (uint256) {
        return LEAVE_IT;
    }

    /// @inheritdoc IVault
    function idle() external view returns (uint256) {
        return _idle();
    }

    function keeper() external view returns (address) {
        return _keeper;
    }

    function policyHash() external view returns (bytes32) {
        return _policyHash;
    }

    function feeRecipient() external view returns (address) {
        return _feeRecipient;
    }

    /// @inheritdoc IVault
    function lastSeen() external view returns (uint256) {
        return _lastSeen();
    }

    function abdicated(Limit limit_) external view returns (bool) {
        return _isAbdicated(limit_);
    }

    function capsAbdicated() external view returns (bool) {
        return _areCapsAbdicated();
    }

    function epoch() external view returns (uint256) {
        return _epoch;
    }

    function lastRebalance() external view returns (uint256) {
        return _lastRebalance;
    }

    function strategies() external view returns (Strategy[] memory list) {
        list = new Strategy[](_count);
        for (uint256 i; i < list.length; ++i) {
            list[i] = _strategies[i];
        }
    }

    function groups() external view returns (Group[] memory list) {
        list = new Group[](_groupCount);
        for (uint256 i; i < list.length; ++i) {
            list[i] = _groups[i];
        }
    }

    function halted() external view returns (bool) {
        return _halted;
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
            maxDrawdown: _maxDrawdown,
            maxGrowthRate: uint128(uint256(_maxGrowthRate) * WAD_PER_MILLIONTH),
            cooldown: _cooldown,
            maxSilence: _maxSilence,
            lossCapacity: _loss.capacity,
            lossRefill: _loss.refill,
            turnoverCapacity: _turnover.capacity,
            turnoverRefill: _turnover.refill,
            performanceFee: uint64(uint256(_performanceFee) * WAD_PER_BASIS_POINT),
            unwindLoss: _unwindLoss,
            depositCap: _depositCap
        });
    }

    function decimals() public view override(VaultStorage, IERC20Metadata) returns (uint8) {
        return super.decimals();
    }

    /// @notice Nothing can be deposited while halted, while the share price is under the drawdown floor, while a strategy
    /// cannot be valued, or while the ask is far over the bid. Otherwise up to the deposit cap.
    function maxDeposit(address) public view override(ERC4626, IERC4626) returns (uint256 assets) {
        (assets,) = _openRoom();
    }

    /// @notice As `maxDeposit`.
    function maxMint(address) public view override(ERC4626, IERC4626) returns (uint256) {
        (uint256 assets, Books memory books) = _openRoom();
        return _toShares(assets, books.ask, books, Math.Rounding.Floor);
    }

    /// @notice Assets that `owner` can withdraw now, at the bid, with the present liquidity of the strategies; 0 while one cannot
    /// be valued. A strategy that says nothing about what it can pay is not counted, and tried all the same.
    function maxWithdraw(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        Books memory books = _readBooks(false);
        return Math.min(_toAssets(balanceOf(owner), books.bid, books, Math.Rounding.Floor), _liquid(books));
    }

    /// @notice Shares that `owner` can redeem now; otherwise as `maxWithdraw`.
    function maxRedeem(address owner) public view override(ERC4626, IERC4626) returns (uint256) {
        Books memory books = _readBooks(false);
        uint256 shares = balanceOf(owner);
        uint256 liquid = _liquid(books);
        bool all = books.broken == address(0) && _toAssets(shares, books.bid, books, Math.Rounding.Floor) <= liquid;
        return all ? shares : _toShares(liquid, books.bid, books, Math.Rounding.Floor);
    }

    /// @notice Shares for a deposit, at the ask.
    function previewDeposit(uint256 assets) public view override(ERC4626, IERC4626) returns (uint256) {
        Books memory books = _pricedBooks(true);
        return _toShares(assets, books.ask, books, Math.Rounding.Floor);
    }

    /// @notice Shares for a withdrawal, at the bid.
    function previewWithdraw(uint256 assets) public view override(ERC4626, IERC4626) returns (uint256) {
        Books memory books = _pricedBooks(false);
        return _toShares(assets, books.bid, books, Math.Rounding.Ceil);
    }

    /// @notice Assets for a mint, at the ask.
    function previewMint(uint256 shares) public view override(ERC4626, IERC4626) returns (uint256) {
        Books memory books = _pricedBooks(true);
        return _toAssets(shares, books.ask, books, Math.Rounding.Ceil);
    }

    /* GUARDIAN AND GOVERNANCE */

    function tighten(Limit, uint256) external {
        _govern();
    }

    function tightenCaps(address, uint64, uint128) external {
        _govern();
    }

    function tightenGroup(uint256, uint64, uint128) external {
        _govern();
    }

    function halt() external {
        _govern();
    }

    function cutKeeper() external {
        _govern();
    }

    function loosen(Limit, uint256) external {
        _govern();
    }

    function loosenCaps(address, uint64, uint128) external {
        _govern();
    }

    function setGroup(uint256, Group calldata) external {
        _govern();
    }

    function abdicate(Limit) external {
        _govern();
    }

    function abdicateCaps() external {
        _govern();
    }

    function addStrategy(address, uint64, uint128) external {
        _govern();
    }

    function removeStrategy(address) external {
        _govern();
    }

    function writeOff(address) external {
        _govern();
    }

    function setKeeper(address) external {
        _govern();
    }

    function commitPolicy(bytes32) external {
        _govern();
    }

    function setFeeRecipient(address) external {
        _govern();
    }

    function sweep(address, address) external {
        _govern();
    }

    function restate(uint256) external {
        _govern();
    }

    function resume() external {
        _govern();
    }

    /* INTERNAL */

    /// @dev Runs the call's namesake in `Governance`, on this storage and with this caller. It checks who may call.
    function _govern() private {
        address code_ = _governance;
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            let ok := delegatecall(gas(), code_, data, calldatasize(), 0, 0)
            returndatacopy(data, 0, returndatasize())
            if iszero(ok) { revert(data, returndatasize()) }
            return(data, returndatasize())
        }
    }

    /// @dev At the ask, as `_convertToAssets` is at the bid: nobody gets more for their assets, or less for their shares.
    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        Books memory books = _pricedBooks(true);
        return _toShares(assets, books.ask, books, rounding);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        Books memory books = _pricedBooks(false);
        return _toAssets(shares, books.bid, books, rounding);
    }

    /// @dev Assets that may be deposited now; 0 while deposits are closed.
    function _openRoom() internal view returns (uint256 assets, Books memory books) {
        books = _readBooks(true);
        bool open = !_halted && books.broken == address(0) && books.price >= _drawdownFloor(_markAt(books));
        if (open && _isNarrow(books)) assets = _room(books);
    }

    /// @dev Assets that still fit under the maximum, whether or not deposits are open.
    function _room(Books memory books) internal view returns (uint256) {
        uint256 priced = _toAssets(MAX_SHARES.saturatingSub(books.supply), books.ask, books, Math.Rounding.Floor);
        return Math.min(_mostAssets().saturatingSub(books.ask), priced);
    }

    function _mostAssets() internal view returns (uint256) {
        return _hasDepositCap ? _depositCap : MAX_ASSETS;
    }

    function _isNarrow(Books memory books) internal pure returns (bool) {
        return !books.wide && books.ask <= _spread(books.bid);
    }

    /// @dev `maxDeposit` allows 0 at least, and whatever it allows must work: a deposit of 0 passes in every state.
    function _openForDeposit(uint256 amount) internal returns (Books memory books) {
        if (amount == 0) return _accrue(false);
        require(!_halted, VaultHalted());
        books = _accrue(true);
        _checkTradable(books);
        require(_isNarrow(books), SpreadTooWide(books.bid, books.ask));
        if (_navBeforeDeposit == 0) _navBeforeDeposit = books.nav + 1;
    }

    /// @dev Shares for assets that did not arrive would be paid by the other depositors.
    function _enter(address receiver, uint256 assets, uint256 shares, Books memory books) internal {
        bool fits = assets <= _mostAssets().saturatingSub(books.ask) && shares <= MAX_SHARES.saturatingSub(books.supply);
        if (assets != 0 && !fits) revert ERC4626ExceededMaxDeposit(receiver, assets, _room(books));
        _recorded += uint128(assets);
        _deposit(msg.sender, receiver, assets, shares);
        // Entering at the ask lifts the bid per share. That is no gain to charge: it is the newcomer's own money.
        if (books.feeRate != 0) _feeMark = Math.max(_feeMark, _sharePrice(_recorded, books.supply + shares));
        uint256 received = _idle() - books.idle;
        require(received == assets, TransferFeeTaken(assets, received));
    }
}
