// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ILiquiditySource} from "../interfaces/ILiquiditySource.sol";
import {IOracle} from "../interfaces/IOracle.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {GrowthBound} from "../libraries/GrowthBound.sol";
import {StableMath} from "./libraries/StableMath.sol";

/// @title A strategy over one position in a pool of coins that should all be worth the same
/// @notice
///
/// WHAT IT IS
/// An ERC-4626 vault that puts its asset, alone, into a stable pool that has it as a coin, and keeps the pool's tokens. It
/// has no owner, no fee and no setting; anybody may use it. What differs between kinds of pools are the seven functions at
/// the end, so each kind is a strategy that inherits from this one (`BalancerStableStrategy`, `CurveStableStrategy`): an
/// adapter that is called would have to hold the money in between.
///
/// THE PRICE
/// A token of the pool is worth the pool's rate, times the price of the pool's cheapest coin in the asset, where that is
/// less than 1. The rate is the invariant per token, and says what a token would be worth if every coin were at par: trades
/// move it by their fees alone, but it is blind for a depeg, so the feeds of the coins see that. What one coin's exit would
/// pay is never a price: a flash loan moves it by half.
/// - The rate is not read while the pool is in the middle of something (read-only re-entrancy): there is no price then.
/// - The rate is believed up to a bound that grows from what it was at deployment: a gift, or a fault in the pool's
///   rounding, lifts the price no further. One that falls is believed at once.
///
/// `convertToAssets` is that value; `previewRedeem`, what leaving pays at least, is `MAX_COST` less.
///
/// IN AND OUT
/// Whoever enters gets the tokens that were bought, and whoever leaves what they brought, but each within `MAX_COST` of the
/// price, or the call reverts. A withdrawal of an exact amount takes only the shares that it needed. A mint of an exact
/// number gives what was bought beyond it to the caller, in the pool's tokens.
/// `max*` follow the pool: a lower bound, to about a thousandth, of the most that it trades within `MAX_COST`. They are 0
/// while there is no price or the pool is paused.
///
/// A DEPEG
/// While a coin costs less than `1 - MAX_COST`, nobody enters. Leaving stays possible as far as the pool pays the price
/// less `MAX_COST`.
///
/// THE WAY OUT WITHOUT A PRICE
/// `redeemInKind` pays in the pool's tokens. It needs neither an oracle nor the pool.
///
/// ASSUMPTIONS
/// - `MAX_COST` is more than the pool's fee and what the feeds may be off while all is well (their deviation thresholds).
/// - No coin has a rate of its own (a share of a vault, staked ether): all are at par when the strategy is made.
/// - Who withdraws may trade against the pool around it. It costs the strategy at most what `previewRedeem` has taken off.
/// - The pool, its coins and the oracles are trusted as a strategy is: a lie is a lie about this strategy's value. Such
///   pools have been emptied by their rounding (Balancer, 2025-11-03).
abstract contract StablePoolStrategy is ERC4626, ReentrancyGuardTransient, ILiquiditySource {
    using BoundedCall for address;
    using Math for uint256;
    using SafeERC20 for IERC20;

    /* TYPES */

    /// @dev The price of a coin in the asset, and the coin's decimals.
    struct Feed {
        IOracle oracle;
        uint8 decimals;
    }

    /* CONSTANTS AND IMMUTABLES */

    uint256 internal constant WAD = 1e18;
    uint256 private constant PRICE_UNIT = 1e36;

    /// @dev Tokens of the pool, of 18 decimals, that its rounding may cost in one trade.
    uint256 private constant DUST = 1e10;

    /// @dev For what `max*` rest on. Within what the vault's reads have.
    uint256 private constant DEPTH_GAS = 620_000;

    /// @dev Part of a limit to which it is found.
    uint256 private constant PRECISION = 1000;

    /// @notice The pool's token.
    IERC20 public immutable TOKEN;
    /// @notice Most that entering or leaving may cost against the price, fees included, WAD.
    uint256 public immutable MAX_COST;
    /// @notice Most that the pool's rate grows in a year, WAD.
    uint256 public immutable MAX_GROWTH;
    /// @notice The rate at deployment, and when that was.
    uint256 public immutable FIRST_RATE;
    uint256 public immutable FIRST_TIME;

    /// @dev Of the asset among the coins.
    uint256 internal immutable ASSET_INDEX;
    uint8 internal immutable ASSET_DECIMALS;
    /// @dev Half the dust, in the asset: an amount that is taken out is no less, and what is over stays here.
    uint256 private immutable LEAST;

    /* STORAGE */

    /// @dev Tokens of the pool in the books. A loss is written off when money next moves.
    uint256 internal _booked;

    /// @notice For every coin but the asset, in the pool's order. Never changed.
    Feed[] public feeds;

    /* ERRORS AND EVENTS */

    error BadPool(address pool);
    error BadCost(uint256 maxCost);
    error BadOracle(address oracle);
    error Depegged(uint256 price);
    error Entered(address pool);
    error TooDear(uint256 paid, uint256 bound);

    event RedeemedInKind(
        address indexed caller, address indexed receiver, address indexed owner, uint256 units, uint256 shares
    );

    /* CONSTRUCTOR */

    /// @param coins The pool's, the asset among them.
    /// @param oracles The price of each in the asset, without the asset's.
    constructor(
        IERC20 asset_,
        IERC20 token,
        address[] memory coins,
        IOracle[] memory oracles,
        uint256 maxCost,
        uint256 firstRate,
        uint256 maxGrowth,
        string memory name_,
        string memory symbol_
    ) ERC20(name_, symbol_) ERC4626(asset_) {
        require(maxCost != 0 && maxCost < WAD, BadCost(maxCost));
        require(firstRate != 0 && coins.length == oracles.length + 1, BadPool(address(token)));
        require(IERC20Metadata(address(token)).decimals() == 18, BadPool(address(token)));
        (TOKEN, MAX_COST, MAX_GROWTH) = (token, maxCost, maxGrowth);
        (FIRST_RATE, FIRST_TIME) = (firstRate, block.timestamp);
        ASSET_DECIMALS = IERC20Metadata(address(asset_)).decimals();
        LEAST = DUST * 10 ** ASSET_DECIMALS / (2 * WAD);
        uint256 index;
        while (index < coins.length && coins[index] != address(asset_)) ++index;
        require(index < coins.length, BadPool(address(token)));
        ASSET_INDEX = index;
        for (uint256 i; i < oracles.length; ++i) {
            Feed memory feed = Feed(oracles[i], IERC20Metadata(coins[i < index ? i : i + 1]).decimals());
            uint256 parity = _parity(feed);
            require(parity >= WAD - maxCost && parity <= WAD + maxCost, BadOracle(address(feed.oracle)));
            feeds.push(feed);
        }
    }

    /* VIEWS */

    /// @notice The pool token's, as a share is one unit of it, and less after a loss.
    function decimals() public pure override returns (uint8) {
        return 18;
    }

    /// @notice Value of the holders' tokens, before the cost of leaving.
    function totalAssets() public view override returns (uint256) {
        return _worth(units(), price());
    }

    /// @notice Tokens of the pool that the holders own: those in the books, unless fewer are here.
    function units() public view returns (uint256) {
        return Math.min(_booked, TOKEN.balanceOf(address(this)));
    }

    /// @notice Assets that a token of the pool is worth, times 1e36 and per base unit. It reverts where there is no price.
    function price() public view returns (uint256) {
        return _priceAt(_rate(), _lowestParity());
    }

    /// @notice The most that the pool trades within `MAX_COST`, and no more than `most`: assets that are paid in, or tokens
    /// of the pool that are paid out. It reverts where there is no price.
    function depth(bool entering, uint256 most) public view returns (uint256 low) {
        uint256 rate = _rate();
        uint256 parity = _lowestParity();
        if (entering && _isDepegged(parity)) return 0;
        uint256 price_ = _priceAt(rate, parity);
        (uint256 has, StableMath.Pool memory pool) = _pool();
        // Nobody can take out more than is in, nor needs to put in more at once.
        uint256 high = Math.min(most, entering ? has : _mostSold(has, price_));
        if (high == 0 || _isFair(pool, rate, price_, entering, high)) return high;
        uint256 steps = _searchSteps();
        for (uint256 i; i < steps && high - low > low / PRECISION; ++i) {
            uint256 middle = Math.average(low, high);
            if (_isFair(pool, rate, price_, entering, middle)) low = middle;
            else high = middle;
        }
    }

    /// @inheritdoc ILiquiditySource
    function availableLiquidity() external view returns (uint256) {
        uint256 most = _tryDepth(false, type(uint256).max);
        return most == 0 ? 0 : _bid(most, price());
    }

    /// @notice Assets that enter within `MAX_COST` now.
    function maxDeposit(address) public view override returns (uint256) {
        return _tryDepth(true, type(uint256).max);
    }

    /// @notice As `maxDeposit`, in shares.
    function maxMint(address receiver) public view override returns (uint256) {
        uint256 assets = maxDeposit(receiver);
        return assets == 0 ? 0 : previewDeposit(assets);
    }

    /// @notice Shares that leave within `MAX_COST` now.
    function maxRedeem(address owner) public view override returns (uint256) {
        uint256 shares = balanceOf(owner);
        uint256 owned = _toUnits(shares, Math.Rounding.Floor);
        uint256 most = owned == 0 ? 0 : _tryDepth(false, owned);
        return most == owned && most != 0 ? shares : _toShares(most, Math.Rounding.Floor);
    }

    /// @notice As `maxRedeem`, in assets.
    function maxWithdraw(address owner) public view override returns (uint256) {
        uint256 shares = maxRedeem(owner);
        return shares == 0 ? 0 : previewRedeem(shares);
    }

    /// @notice Shares that a deposit receives at least.
    function previewDeposit(uint256 assets) public view override returns (uint256) {
        return _toShares(_leastBought(assets, price()), Math.Rounding.Floor);
    }

    /// @notice Assets that minting takes.
    function previewMint(uint256 shares) public view override returns (uint256) {
        return _mostPaid(_toUnits(shares, Math.Rounding.Ceil), price());
    }

    /// @notice Assets that redeeming pays at least.
    function previewRedeem(uint256 shares) public view override returns (uint256) {
        return _bid(_toUnits(shares, Math.Rounding.Floor), price());
    }

    /// @notice Shares that a withdrawal takes at most.
    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        return _toShares(_mostSold(assets, price()), Math.Rounding.Ceil);
    }

    /* IN AND OUT */

    /// @inheritdoc ERC4626
    function deposit(uint256 assets, address receiver) public override nonReentrant returns (uint256 shares) {
        uint256 held = units();
        uint256 bought = _buy(assets);
        shares = bought.mulDiv(totalSupply() + 1, held + 1);
        _enter(receiver, assets, shares, held + bought);
    }

    /// @inheritdoc ERC4626
    function mint(uint256 shares, address receiver) public override nonReentrant returns (uint256 assets) {
        uint256 held = units();
        uint256 added = _toUnits(shares, Math.Rounding.Ceil);
        assets = _mostPaid(added, price());
        uint256 bought = _buy(assets);
        _enter(receiver, assets, shares, held + added);
        if (bought != added) TOKEN.safeTransfer(msg.sender, bought - added);
    }

    /// @inheritdoc ERC4626
    function withdraw(uint256 assets, address receiver, address owner)
        public
        override
        nonReentrant
        returns (uint256 shares)
    {
        uint256 held = units();
        uint256 bound = _mostSold(assets, price());
        uint256 tokens = TOKEN.balanceOf(address(this));
        uint256 cash = _cash();
        if (assets != 0) _exitExact(Math.max(assets, LEAST), bound);
        uint256 taken = tokens - TOKEN.balanceOf(address(this));
        require(taken <= bound && _cash() - cash >= assets, TooDear(taken, bound));
        shares = taken.mulDiv(totalSupply() + 1, held + 1, Math.Rounding.Ceil);
        _leave(receiver, owner, assets, shares, held - taken);
    }

    /// @inheritdoc ERC4626
    function redeem(uint256 shares, address receiver, address owner)
        public
        override
        nonReentrant
        returns (uint256 assets)
    {
        uint256 held = units();
        uint256 taken = _toUnits(shares, Math.Rounding.Floor);
        uint256 bound = _bid(taken, price());
        uint256 tokens = TOKEN.balanceOf(address(this));
        uint256 cash = _cash();
        // Dust stays with the other holders: the pool may refuse it.
        if (taken > DUST) _exit(taken);
        assets = _cash() - cash;
        uint256 sold = tokens - TOKEN.balanceOf(address(this));
        require(assets >= bound && sold <= taken, TooDear(sold, bound));
        _leave(receiver, owner, assets, shares, held - sold);
    }

    /// @notice Pays the shares' part in the pool's tokens. It needs neither a price nor the pool.
    /// @return taken What was paid, in tokens of the pool.
    function redeemInKind(uint256 shares, address receiver, address owner)
        external
        nonReentrant
        returns (uint256 taken)
    {
        taken = _toUnits(shares, Math.Rounding.Floor);
        _booked = units() - taken;
        if (msg.sender != owner) _spendAllowance(owner, msg.sender, shares);
        _burn(owner, shares);
        TOKEN.safeTransfer(receiver, taken);
        emit RedeemedInKind(msg.sender, receiver, owner, taken, shares);
    }

    /* INTERNAL: MONEY */

    /// @dev Takes the assets from the caller and puts them into the pool.
    function _buy(uint256 assets) private returns (uint256 bought) {
        uint256 parity = _lowestParity();
        require(!_isDepegged(parity), Depegged(parity));
        uint256 least = _leastBought(assets, _priceAt(_rate(), parity));
        _transferIn(msg.sender, assets);
        uint256 before = TOKEN.balanceOf(address(this));
        // Dust stays here: the pool may refuse it.
        if (assets > LEAST) _join(assets);
        bought = TOKEN.balanceOf(address(this)) - before;
        require(bought >= least, TooDear(assets, least));
    }

    function _enter(address receiver, uint256 assets, uint256 shares, uint256 booked) private {
        _booked = booked;
        _mint(receiver, shares);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    function _leave(address receiver, address owner, uint256 assets, uint256 shares, uint256 booked) private {
        _booked = booked;
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    function _cash() private view returns (uint256) {
        return IERC20(asset()).balanceOf(address(this));
    }

    /* INTERNAL: PRICES */

    function _priceAt(uint256 rate, uint256 parity) private view returns (uint256) {
        uint256 most = GrowthBound.grown(FIRST_RATE, MAX_GROWTH, block.timestamp - FIRST_TIME);
        return Math.min(rate, most).mulDiv(parity, WAD) * 10 ** ASSET_DECIMALS;
    }

    /// @dev The price of the cheapest coin in the asset, per whole coin, WAD; the asset's own is 1.
    function _lowestParity() private view returns (uint256 lowest) {
        lowest = WAD;
        for (uint256 i; i < feeds.length; ++i) {
            lowest = Math.min(lowest, _parity(feeds[i]));
        }
    }

    function _parity(Feed memory feed) private view returns (uint256 parity) {
        parity = feed.oracle.price().mulDiv(10 ** feed.decimals * WAD, 10 ** ASSET_DECIMALS * PRICE_UNIT);
        require(parity != 0, BadOracle(address(feed.oracle)));
    }

    function _isDepegged(uint256 parity) private view returns (bool) {
        return parity < WAD - MAX_COST;
    }

    function _worth(uint256 tokens, uint256 price_) private pure returns (uint256) {
        return tokens.mulDiv(price_, PRICE_UNIT);
    }

    // The pool rounds against the trader: each bound leaves room for that.

    function _bid(uint256 tokens, uint256 price_) private view returns (uint256) {
        return _worth(tokens.saturatingSub(DUST), price_).mulDiv(WAD - MAX_COST, WAD).saturatingSub(1);
    }

    function _leastBought(uint256 assets, uint256 price_) private view returns (uint256) {
        return assets.saturatingSub(1).mulDiv(PRICE_UNIT, price_).mulDiv(WAD - MAX_COST, WAD).saturatingSub(DUST);
    }

    function _mostSold(uint256 assets, uint256 price_) private view returns (uint256) {
        if (assets == 0) return 0;
        return _grossUp(Math.max(assets, LEAST) + 1).mulDiv(PRICE_UNIT, price_, Math.Rounding.Ceil) + DUST;
    }

    function _mostPaid(uint256 tokens, uint256 price_) private view returns (uint256) {
        return tokens == 0 ? 0 : _grossUp(tokens + DUST).mulDiv(price_, PRICE_UNIT, Math.Rounding.Ceil) + 2;
    }

    function _grossUp(uint256 amount) private view returns (uint256) {
        return amount.mulDiv(WAD, WAD - MAX_COST, Math.Rounding.Ceil);
    }

    /// @dev Whether the pool would trade an amount within `MAX_COST`.
    function _isFair(StableMath.Pool memory pool, uint256 rate, uint256 price_, bool entering, uint256 amount)
        private
        view
        returns (bool)
    {
        if (entering) return _buys(pool, rate, amount, _leastBought(amount, price_));
        uint256 assets = _bid(amount, price_);
        if (assets == 0) return _sells(pool, rate, amount, assets);
        // A withdrawal of so much may take no more, with the pool's rounding in it.
        return _sells(pool, rate, Math.min(amount, _mostSold(assets, price_)) - DUST, assets);
    }

    /// @dev For `max*`, which must not revert.
    function _tryDepth(bool entering, uint256 most) private view returns (uint256 found) {
        bool ok;
        (ok, found) = address(this).readUint(DEPTH_GAS, abi.encodeCall(this.depth, (entering, most)));
        if (!ok) found = 0;
    }

    /* INTERNAL: UNITS */

    function _toShares(uint256 units_, Math.Rounding rounding) private view returns (uint256) {
        return units_.mulDiv(totalSupply() + 1, units() + 1, rounding);
    }

    function _toUnits(uint256 shares, Math.Rounding rounding) private view returns (uint256) {
        return shares.mulDiv(units() + 1, totalSupply() + 1, rounding);
    }

    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        return _toShares(assets.mulDiv(PRICE_UNIT, price(), rounding), rounding);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        return _worth(_toUnits(shares, rounding), price());
    }

    /* A KIND OF POOL */

    /// @dev The invariant per token of the pool, WAD. It reverts while the pool is in the middle of something.
    function _rate() internal view virtual returns (uint256);

    /// @dev What the pool has of the asset, 0 where it is paused; and what `_buys` and `_sells` want to know of it.
    function _pool() internal view virtual returns (uint256 has, StableMath.Pool memory pool);

    /// @dev Whether the pool would give so many tokens, or more, for the assets.
    function _buys(StableMath.Pool memory pool, uint256 rate, uint256 assets, uint256 tokens)
        internal
        view
        virtual
        returns (bool);

    /// @dev Whether the pool would give so many assets, or more, for the tokens, and take no more tokens for the assets.
    function _sells(StableMath.Pool memory pool, uint256 rate, uint256 tokens, uint256 assets)
        internal
        view
        virtual
        returns (bool);

    /// @dev How often a limit's search may ask the pool.
    function _searchSteps() internal pure virtual returns (uint256);

    /// @dev Puts the assets in. What it brings is seen by its effect.
    function _join(uint256 assets) internal virtual;

    /// @dev Takes out assets for tokens of the pool.
    function _exit(uint256 tokens) internal virtual;

    /// @dev Takes out an exact amount of assets for no more than `most` tokens.
    function _exitExact(uint256 assets, uint256 most) internal virtual;
}
