// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {SqrtPriceMath} from "@uniswap/v4-core/src/libraries/SqrtPriceMath.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";

import {ILiquiditySource} from "../interfaces/ILiquiditySource.sol";
import {IOracle} from "../interfaces/IOracle.sol";
import {IUniswapV3LiquidityPool} from "../interfaces/uniswap/IUniswapV3LiquidityPool.sol";
import {IUniswapV3MintCallback} from "../interfaces/uniswap/IUniswapV3MintCallback.sol";
import {IUniswapV3SwapCallback} from "../interfaces/uniswap/IUniswapV3SwapCallback.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {UniswapV3Depth} from "./libraries/UniswapV3Depth.sol";
import {UniswapV3Liquidity} from "./libraries/UniswapV3Liquidity.sol";
import {UniswapV3Trade} from "./libraries/UniswapV3Trade.sol";

/// @title A strategy that provides liquidity in one range of one Uniswap V3 pool
/// @notice
///
/// WHAT IT IS
/// An ERC-4626 vault over one position in a pool of its asset and another token. It holds the position itself, and what is left
/// over of both tokens. It has no owner, no fee and no setting; anybody may use it.
///
/// THE PRICE
/// The oracle's, and never the pool's: the position is worth the amounts that it would hold if the pool stood at the oracle's
/// price, which is the least that it holds at any price of the pool's. Nothing in one transaction moves that: not a trade, not
/// a gift, not fees. `previewRedeem`, what leaving pays at least, is `MAX_COST` less. Whoever enters gets shares for the value
/// that was added, and whoever leaves what their part brought, but each within `MAX_COST`, or the call reverts. A withdrawal of
/// an exact amount takes shares for what it took, and no fewer than the amount is worth. Nobody enters or leaves while the
/// pool's price is more than `MAX_DEVIATION` off the oracle's. `max*` follow the pool's depth, without the liquidity that is
/// about to leave it. They are 0 while there is no price.
///
/// FEES
/// They are collected whenever somebody enters or leaves, and by `collect`, which also adds what is idle to the position. What
/// was collected counts bit by bit over `UNLOCK_PERIOD`. Whoever enters pays for all fees that have been earned, collected or
/// not; whoever leaves takes those that count. The last holder takes all.
///
/// THE WAY OUT WITHOUT A PRICE
/// `redeemInKind` pays in both tokens. It needs neither an oracle nor a pool that agrees with it.
///
/// ASSUMPTIONS
/// - The range is for good. Nobody moves it, so no keeper and no thief can have it moved: outside of it the position holds one
///   token and earns nothing, until the vault leaves.
/// - `MAX_DEVIATION` is more than what pool and oracle are apart while all is well (the fee, and a feed's deviation threshold).
/// - Somebody calls `collect` now and then. Fees that were not collected do not count, also not for the vault's own price of
///   entry. Every collection lets what is locked start its period anew: at worst 1/e of it stays locked after a period. Who
///   pushes the pool within `MAX_DEVIATION` and then collects makes what is added lose what that costs (`_costWithin`).
/// - Both tokens move the amount that they are told to. The oracle is trusted as a strategy is.
contract UniswapV3LiquidityStrategy is
    ERC4626,
    ReentrancyGuardTransient,
    ILiquiditySource,
    IUniswapV3MintCallback,
    IUniswapV3SwapCallback
{
    using BoundedCall for address;
    using Math for uint256;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using UniswapV3Depth for IUniswapV3LiquidityPool;
    using UniswapV3Liquidity for IUniswapV3LiquidityPool;
    using UniswapV3Trade for IUniswapV3LiquidityPool;

    /* TYPES */

    struct Range {
        int24 lower;
        int24 upper;
    }

    /// @dev Liquidity of the position, and amounts of the asset and of the token.
    struct Holdings {
        uint128 liquidity;
        uint256 assets;
        uint256 tokens;
    }

    /// @dev What the holders own. Fees that were collected are part of the amounts.
    /// @param until When all of them count.
    struct Books {
        uint128 liquidity;
        uint128 assets;
        uint128 tokens;
        uint128 lockedAssets;
        uint128 lockedTokens;
        uint40 until;
    }

    /* CONSTANTS AND IMMUTABLES */

    /// @notice Time over which fees that were collected come to count.
    uint256 public constant UNLOCK_PERIOD = 1 days;

    /// @dev The vault takes no deposits while a position's ask is a twentieth over its bid.
    uint256 private constant HIGHEST_COST = 0.05e18;
    uint256 private constant WAD = 1e18;
    uint256 private constant PRICE_UNIT = 1e36;
    uint256 private constant PIPS = 1e6;
    uint256 private constant READ_GAS = 200_000;
    uint8 private constant OFFSET = 6;
    uint256 private constant VIRTUAL_SHARES = 10 ** OFFSET;
    /// @dev Roundings of one entry or exit, each of a unit of the asset or of the token: of the liquidity (which is worth less
    /// than one of each), of both amounts of it, of both idle amounts, of the trade, and of the value itself.
    uint256 private constant ROUNDINGS = 8;
    /// @dev Halvings after which the amount to swap is near enough.
    uint256 private constant HALVINGS = 16;

    /// @notice The other token.
    IERC20 public immutable TOKEN;
    IUniswapV3LiquidityPool public immutable POOL;
    /// @notice Price of the token in the asset.
    IOracle public immutable ORACLE;
    int24 public immutable TICK_LOWER;
    int24 public immutable TICK_UPPER;
    /// @notice Most that entering or leaving may cost against the oracle's price, the pool's fee included, WAD.
    uint256 public immutable MAX_COST;
    /// @notice Most that the pool's price may be off the oracle's when somebody enters or leaves, WAD.
    uint256 public immutable MAX_DEVIATION;

    uint256 private immutable FEE;
    bool private immutable TOKEN_IS_FIRST;
    uint160 private immutable PRICE_LOWER;
    uint160 private immutable PRICE_UPPER;

    /* STORAGE */

    Books private _books;

    /* ERRORS AND EVENTS */

    error BadPool(address pool);
    error BadRange(int24 lower, int24 upper);
    error BadCost(uint256 maxCost, uint256 least);
    error BadOracle(address oracle);
    error NotThePool(address caller);
    error TooDear(uint256 paid, uint256 bound);

    event Collected(uint256 assets, uint256 tokens);
    event RedeemedInKind(
        address indexed caller,
        address indexed receiver,
        address indexed owner,
        uint256 assets,
        uint256 tokens,
        uint256 shares
    );

    /* CONSTRUCTOR */

    /// @param pool A pool of the asset and another token.
    constructor(
        IERC20 asset_,
        IUniswapV3LiquidityPool pool,
        IOracle oracle,
        Range memory range,
        uint256 maxCost,
        uint256 maxDeviation,
        string memory name_,
        string memory symbol_
    ) ERC20(name_, symbol_) ERC4626(asset_) {
        (address first, address second) = (pool.token0(), pool.token1());
        require(first == address(asset_) || second == address(asset_), BadPool(address(pool)));
        TOKEN_IS_FIRST = second == address(asset_);
        TOKEN = IERC20(TOKEN_IS_FIRST ? first : second);
        (POOL, ORACLE, MAX_COST, MAX_DEVIATION) = (pool, oracle, maxCost, maxDeviation);
        (TICK_LOWER, TICK_UPPER) = (range.lower, range.upper);
        FEE = pool.fee();
        int24 spacing = pool.tickSpacing();
        bool valid = range.lower < range.upper && range.lower >= TickMath.MIN_TICK && range.upper <= TickMath.MAX_TICK;
        require(valid && range.lower % spacing == 0 && range.upper % spacing == 0, BadRange(range.lower, range.upper));
        PRICE_LOWER = TickMath.getSqrtPriceAtTick(range.lower);
        PRICE_UPPER = TickMath.getSqrtPriceAtTick(range.upper);
        uint256 least = _costWithin(maxDeviation);
        require(maxDeviation != 0 && least <= maxCost && maxCost <= HIGHEST_COST, BadCost(maxCost, least));
        require(oracle.price() != 0, BadOracle(address(oracle)));
    }

    /// @dev The most that an entry costs while the pool is within a deviation: the swap's fee and price, and that liquidity
    /// which is added off the oracle's price takes more than it is worth there. The latter is the square of half the deviation,
    /// over the part of the range that liquidity is spread over: narrow ranges cost more.
    function _costWithin(uint256 deviation) private view returns (uint256) {
        if (deviation >= WAD / 2) return type(uint256).max;
        uint256 squared = deviation.mulDiv(deviation * (WAD + 2 * deviation), 4 * WAD * WAD, Math.Rounding.Ceil);
        uint256 adding = squared.mulDiv(PRICE_UPPER, PRICE_UPPER - PRICE_LOWER, Math.Rounding.Ceil);
        return FEE * WAD / PIPS + deviation + adding;
    }

    /* VIEWS */

    /// @notice Value of the holders' part at the oracle's price, before the cost of leaving and without fees that do not count
    /// yet.
    function totalAssets() public view override returns (uint256) {
        return _worth(_unlocked(), _price(), false);
    }

    /// @notice What the holders own and leaving pays: liquidity of the position, and idle amounts of both tokens.
    function holdings() external view returns (uint256 liquidity, uint256 assets, uint256 tokens) {
        Holdings memory held = _unlocked();
        return (held.liquidity, held.assets, held.tokens);
    }

    /// @notice Fees that were earned and do not count yet, collected or not.
    function lockedFees() external view returns (uint256 assets, uint256 tokens) {
        (Holdings memory all, Holdings memory counted) = (_all(), _unlocked());
        return (all.assets - counted.assets, all.tokens - counted.tokens);
    }

    /// @inheritdoc ILiquiditySource
    /// @dev How large a position could leave, in the present proportion of both tokens, if ours were not there.
    function availableLiquidity() external view returns (uint256 cash) {
        (bool ok, uint256 price) = _tryPrice();
        if (!ok) return 0;
        uint160 spot = _spot();
        if (!_isNear(spot, price)) return 0;
        uint128 one = uint128(1 << 96);
        (uint256 assets, uint256 tokens) = _amounts(spot, one, false);
        if (tokens == 0) return type(uint128).max;
        uint256 most = _saleDepth(price, _books.liquidity);
        return _bid((assets + tokens.mulDiv(price, PRICE_UNIT)).mulDiv(most, tokens), price);
    }

    /// @notice Assets whose part that is swapped leaves the pool within `MAX_DEVIATION` of the oracle.
    function maxDeposit(address) public view override returns (uint256) {
        (bool ok, uint256 price) = _tryPrice();
        if (!ok) return 0;
        uint160 spot = _spot();
        if (!_isNear(spot, price)) return 0;
        // Half of what the ticks can take leaves room for what may be added off the oracle's price.
        (uint256 assets, uint256 tokens) = _amounts(spot, _room() / 2, false);
        uint256 cost = tokens.mulDiv(price.mulDiv(WAD + MAX_DEVIATION, WAD), PRICE_UNIT, Math.Rounding.Ceil);
        uint256 most = assets + tokens.mulDiv(price.mulDiv(WAD - MAX_DEVIATION, WAD), PRICE_UNIT);
        if (cost == 0) return most;
        // The dearer the token gets, the less of it the range takes: no larger part is swapped than at the present price.
        (uint256 depth,) = POOL.depth(!TOKEN_IS_FIRST, _sqrtPrice(price.mulDiv(WAD + MAX_DEVIATION, WAD)));
        return Math.min(most, (depth * (PIPS - FEE) / PIPS).mulDiv(assets + cost, cost));
    }

    /// @notice As `maxDeposit`, in shares.
    function maxMint(address receiver) public view override returns (uint256) {
        uint256 assets = maxDeposit(receiver);
        return assets == 0 ? 0 : previewDeposit(assets);
    }

    /// @notice Shares whose tokens are sold within `MAX_COST` now.
    function maxRedeem(address owner) public view override returns (uint256 shares) {
        shares = balanceOf(owner);
        if (shares == 0) return 0;
        (bool ok, uint256 price) = _tryPrice();
        if (!ok) return 0;
        uint160 spot = _spot();
        if (!_isNear(spot, price)) return 0;
        Holdings memory part = _part(_leaving(shares), shares);
        (, uint256 tokens) = _amounts(spot, part.liquidity, true);
        tokens += part.tokens;
        if (tokens == 0) return shares;
        return Math.min(shares, shares.mulDiv(_saleDepth(price, part.liquidity), tokens));
    }

    /// @notice As `maxRedeem`, in assets.
    function maxWithdraw(address owner) public view override returns (uint256) {
        uint256 shares = maxRedeem(owner);
        return shares == 0 ? 0 : previewRedeem(shares);
    }

    /// @notice Shares that a deposit receives at least.
    function previewDeposit(uint256 assets) public view override returns (uint256) {
        uint256 price = _price();
        return _sharesFor(_bid(assets, price), _worth(_all(), price, true));
    }

    /// @notice Assets that minting takes at most.
    function previewMint(uint256 shares) public view override returns (uint256) {
        uint256 price = _price();
        return _grossUp(_valueFor(shares, _worth(_all(), price, true), Math.Rounding.Ceil), price);
    }

    /// @notice Assets that redeeming pays at least.
    function previewRedeem(uint256 shares) public view override returns (uint256) {
        uint256 price = _price();
        return _bid(_partOf(shares, price, Math.Rounding.Floor), price);
    }

    /// @notice Shares that a withdrawal takes at most.
    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        uint256 price = _price();
        return _sharesTaken(_grossUp(assets, price), _worth(_unlocked(), price, false));
    }

    /* IN AND OUT */

    /// @inheritdoc ERC4626
    function deposit(uint256 assets, address receiver) public override nonReentrant returns (uint256 shares) {
        uint256 most = maxDeposit(receiver);
        if (assets > most) revert ERC4626ExceededMaxDeposit(receiver, assets, most);
        _collect();
        uint256 price = _price();
        uint256 held = _worth(_all(), price, true);
        _transferIn(msg.sender, assets);
        uint256 added = _invest(assets, price);
        uint256 least = _bid(assets, price);
        require(added >= least, TooDear(assets, least));
        shares = _sharesFor(added, held);
        _mint(receiver, shares);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    /// @inheritdoc ERC4626
    /// @dev What the shares are worth is invested, and what that cost is paid on top of it.
    function mint(uint256 shares, address receiver) public override nonReentrant returns (uint256 assets) {
        uint256 most = maxMint(receiver);
        if (shares > most) revert ERC4626ExceededMaxMint(receiver, shares, most);
        _collect();
        uint256 price = _price();
        uint256 value = _valueFor(shares, _worth(_all(), price, true), Math.Rounding.Ceil);
        uint256 bound = _grossUp(value, price);
        _transferIn(msg.sender, bound);
        uint256 cost = value.saturatingSub(_invest(value, price));
        assets = value + cost;
        require(assets <= bound, TooDear(assets, bound));
        _books.assets += cost.toUint128();
        _mint(receiver, shares);
        _transferOut(msg.sender, bound - assets);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    /// @inheritdoc ERC4626
    function withdraw(uint256 assets, address receiver, address owner)
        public
        override
        nonReentrant
        returns (uint256 shares)
    {
        uint256 most = maxWithdraw(owner);
        if (assets > most) revert ERC4626ExceededMaxWithdraw(owner, assets, most);
        _collect();
        uint256 price = _price();
        Holdings memory held = _unlocked();
        uint256 worth = _worth(held, price, false);
        uint256 bound = previewWithdraw(assets);
        // What is left over of the part stays, and lowers what the withdrawal took.
        Holdings memory part = _part(held, bound);
        _book(_draw(part, assets), part);
        uint256 taken = worth.saturatingSub(_worth(_unlocked(), price, false));
        shares = _sharesTaken(Math.max(taken, assets), worth);
        require(shares <= bound, TooDear(shares, bound));
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    /// @inheritdoc ERC4626
    function redeem(uint256 shares, address receiver, address owner)
        public
        override
        nonReentrant
        returns (uint256 assets)
    {
        uint256 most = maxRedeem(owner);
        if (shares > most) revert ERC4626ExceededMaxRedeem(owner, shares, most);
        uint256 bound = previewRedeem(shares);
        _collect();
        Holdings memory part = _part(_leaving(shares), shares);
        (uint256 here, uint256 tokens) = _takeOut(part);
        (, uint256 received) = _swap(TOKEN_IS_FIRST, tokens.toInt256());
        assets = here + received;
        require(assets >= bound, TooDear(assets, bound));
        _forget(part, shares);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    /// @notice Pays the shares' part in both tokens. It needs no price.
    function redeemInKind(uint256 shares, address receiver, address owner)
        external
        nonReentrant
        returns (uint256 assets, uint256 tokens)
    {
        _collect();
        Holdings memory part = _part(_leaving(shares), shares);
        (assets, tokens) = _takeOut(part);
        _forget(part, shares);
        if (msg.sender != owner) _spendAllowance(owner, msg.sender, shares);
        _burn(owner, shares);
        emit RedeemedInKind(msg.sender, receiver, owner, assets, tokens, shares);
        _transferOut(receiver, assets);
        TOKEN.safeTransfer(receiver, tokens);
    }

    /// @notice Collects the fees, which then come to count, and adds to the position what counts and is idle, as far as both
    /// tokens are there for it. Anybody may call.
    function collect() external nonReentrant {
        _collect();
        (bool ok, uint256 price) = _tryPrice();
        if (!ok || !_isNear(_spot(), price)) return;
        Holdings memory idle = _unlocked();
        idle.liquidity = 0;
        _book(_provide(idle.assets, idle.tokens), idle);
    }

    /// @notice Pays the pool for liquidity. It alone may call, and only while this contract acts.
    function uniswapV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata) external {
        _checkCallback();
        (uint256 assets, uint256 tokens) = _sorted(amount0, amount1);
        if (assets != 0) IERC20(asset()).safeTransfer(msg.sender, assets);
        if (tokens != 0) TOKEN.safeTransfer(msg.sender, tokens);
    }

    /// @notice Pays the pool for a swap. It alone may call, and only while this contract acts.
    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        _checkCallback();
        bool inFirst = amount0 > 0;
        IERC20 paid = inFirst == TOKEN_IS_FIRST ? TOKEN : IERC20(asset());
        paid.safeTransfer(msg.sender, uint256(inFirst ? amount0 : amount1));
    }

    function _checkCallback() private view {
        require(msg.sender == address(POOL) && _reentrancyGuardEntered(), NotThePool(msg.sender));
    }

    /* INTERNAL: THE POSITION */

    /// @dev Swaps what the range needs of the token, and adds liquidity.
    /// @return added What that is worth at the oracle's price, with what is left over.
    function _invest(uint256 assets, uint256 price) private returns (uint256 added) {
        (uint256 paid, uint256 bought) = _swap(!TOKEN_IS_FIRST, _toSwap(assets).toInt256());
        Holdings memory new_ = _provide(assets - paid, bought);
        _book(new_, Holdings(0, 0, 0));
        return _worth(new_, price, false);
    }

    /// @dev Adds the liquidity that both amounts are enough for.
    /// @return held That liquidity, and what is left over.
    function _provide(uint256 assets, uint256 tokens) private returns (Holdings memory held) {
        held = Holdings({liquidity: _liquidityFor(_spot(), assets, tokens), assets: assets, tokens: tokens});
        if (held.liquidity == 0) return held;
        (uint256 amount0, uint256 amount1) = POOL.mint(address(this), TICK_LOWER, TICK_UPPER, held.liquidity, "");
        (uint256 usedAssets, uint256 usedTokens) = _sorted(amount0, amount1);
        held.assets -= usedAssets;
        held.tokens -= usedTokens;
    }

    /// @dev Takes a part's liquidity out of the pool.
    /// @return assets What there is of the asset then, with the part's idle amount.
    /// @return tokens The same of the token.
    function _takeOut(Holdings memory part) private returns (uint256 assets, uint256 tokens) {
        if (part.liquidity != 0) {
            (uint256 amount0, uint256 amount1) = POOL.burn(TICK_LOWER, TICK_UPPER, part.liquidity);
            POOL.collect(address(this), TICK_LOWER, TICK_UPPER, amount0.toUint128(), amount1.toUint128());
            (assets, tokens) = _sorted(amount0, amount1);
        }
        assets += part.assets;
        tokens += part.tokens;
    }

    /// @dev Takes a part out, and no more of it than makes up an amount of the asset.
    /// @return left What is left over of it.
    function _draw(Holdings memory part, uint256 assets) private returns (Holdings memory left) {
        (left.assets, left.tokens) = _takeOut(part);
        if (left.assets < assets) {
            (uint256 sold,) = _swap(TOKEN_IS_FIRST, -(assets - left.assets).toInt256());
            require(sold <= left.tokens, TooDear(sold, left.tokens));
            left.tokens -= sold;
            left.assets = assets;
        }
        left.assets -= assets;
    }

    /// @dev Collects the fees. They are in the books, and locked.
    function _collect() private {
        Books memory books = _books;
        if (books.liquidity == 0) return;
        POOL.burn(TICK_LOWER, TICK_UPPER, 0);
        (uint128 amount0, uint128 amount1) =
            POOL.collect(address(this), TICK_LOWER, TICK_UPPER, type(uint128).max, type(uint128).max);
        if (amount0 == 0 && amount1 == 0) return;
        (uint256 assets, uint256 tokens) = _sorted(amount0, amount1);
        books.lockedAssets = (_stillLocked(books.lockedAssets, books.until) + assets).toUint128();
        books.lockedTokens = (_stillLocked(books.lockedTokens, books.until) + tokens).toUint128();
        books.until = uint40(block.timestamp + UNLOCK_PERIOD);
        books.assets += assets.toUint128();
        books.tokens += tokens.toUint128();
        _books = books;
        emit Collected(assets, tokens);
    }

    /// @dev The part of an amount of the asset that, swapped, leaves both tokens as the range takes them. It foresees the price
    /// as if the pool's present liquidity went on for ever: where it does not, more is left over.
    function _toSwap(uint256 assets) private view returns (uint256 least) {
        uint160 spot = _spot();
        uint128 liquidity = POOL.liquidity();
        if (liquidity == 0 || !_isShort(spot, liquidity, assets, 0)) return 0;
        if (_isShort(spot, liquidity, assets, assets)) return assets;
        uint256 most = assets;
        for (uint256 i; i < HALVINGS; ++i) {
            uint256 middle = (least + most) / 2;
            if (_isShort(spot, liquidity, assets, middle)) least = middle;
            else most = middle;
        }
    }

    /// @dev Whether there would be too little of the token if some of the assets were swapped.
    function _isShort(uint160 spot, uint128 liquidity, uint256 assets, uint256 swapped) private view returns (bool) {
        uint160 price =
            SqrtPriceMath.getNextSqrtPriceFromInput(spot, liquidity, swapped * (PIPS - FEE) / PIPS, !TOKEN_IS_FIRST);
        uint256 bought = TOKEN_IS_FIRST
            ? SqrtPriceMath.getAmount0Delta(spot, price, liquidity, false)
            : SqrtPriceMath.getAmount1Delta(price, spot, liquidity, false);
        (uint256 ofAssets, uint256 ofTokens) = _liquidityOf(price, assets - swapped, bought);
        return ofTokens < ofAssets;
    }

    function _liquidityFor(uint160 price, uint256 assets, uint256 tokens) private view returns (uint128) {
        (uint256 ofAssets, uint256 ofTokens) = _liquidityOf(price, assets, tokens);
        return Math.min(ofAssets, ofTokens).toUint128();
    }

    /// @dev The liquidity that each amount is enough for.
    function _liquidityOf(uint160 price, uint256 assets, uint256 tokens)
        private
        view
        returns (uint256 ofAssets, uint256 ofTokens)
    {
        (uint256 amount0, uint256 amount1) = _sorted(assets, tokens);
        return _sorted(
            UniswapV3Liquidity.ofFirst(price, PRICE_LOWER, PRICE_UPPER, amount0),
            UniswapV3Liquidity.ofSecond(price, PRICE_LOWER, PRICE_UPPER, amount1)
        );
    }

    function _amounts(uint160 price, uint128 liquidity, bool roundUp)
        private
        view
        returns (uint256 assets, uint256 tokens)
    {
        (uint256 amount0, uint256 amount1) =
            UniswapV3Liquidity.amounts(price, PRICE_LOWER, PRICE_UPPER, liquidity, roundUp);
        return _sorted(amount0, amount1);
    }

    /// @dev The liquidity that the range's ticks have room for.
    function _room() private view returns (uint128) {
        (uint128 lower,,,) = POOL.ticks(TICK_LOWER);
        (uint128 upper,,,) = POOL.ticks(TICK_UPPER);
        return uint128(uint256(POOL.maxLiquidityPerTick()) - Math.max(lower, upper));
    }

    /// @param amount What is paid in, or, negative, what comes out.
    function _swap(bool zeroForOne, int256 amount) private returns (uint256 paid, uint256 received) {
        bool whole;
        (whole, paid, received) = POOL.trade(zeroForOne, amount);
        require(whole, TooDear(paid, received));
    }

    /// @dev The first and the second token's as the asset's and the token's, or the other way.
    function _sorted(uint256 one, uint256 other) private view returns (uint256, uint256) {
        return TOKEN_IS_FIRST ? (other, one) : (one, other);
    }

    /* INTERNAL: BOOKS */

    /// @dev What counts: without the fees that are still locked.
    function _unlocked() private view returns (Holdings memory) {
        Books memory books = _books;
        return Holdings({
            liquidity: books.liquidity,
            assets: books.assets - _stillLocked(books.lockedAssets, books.until),
            tokens: books.tokens - _stillLocked(books.lockedTokens, books.until)
        });
    }

    /// @dev All that the holders own, with fees that are locked or not collected yet.
    function _all() private view returns (Holdings memory) {
        Books memory books = _books;
        if (books.liquidity == 0) return Holdings({liquidity: 0, assets: books.assets, tokens: books.tokens});
        (uint256 owed0, uint256 owed1) = POOL.owed(address(this), TICK_LOWER, TICK_UPPER);
        (uint256 assets, uint256 tokens) = _sorted(owed0, owed1);
        return Holdings({liquidity: books.liquidity, assets: books.assets + assets, tokens: books.tokens + tokens});
    }

    /// @dev What those who redeem shares have a part of. Where nobody stays, it is all.
    function _leaving(uint256 shares) private view returns (Holdings memory) {
        return shares == totalSupply() ? _all() : _unlocked();
    }

    function _part(Holdings memory held, uint256 shares) private view returns (Holdings memory) {
        uint256 supply = totalSupply() + VIRTUAL_SHARES;
        return Holdings({
            liquidity: uint128(uint256(held.liquidity).mulDiv(shares, supply)),
            assets: held.assets.mulDiv(shares, supply),
            tokens: held.tokens.mulDiv(shares, supply)
        });
    }

    function _stillLocked(uint256 amount, uint256 until) private view returns (uint256) {
        return amount.mulDiv(until.saturatingSub(block.timestamp), UNLOCK_PERIOD, Math.Rounding.Ceil);
    }

    function _book(Holdings memory in_, Holdings memory out) private {
        Books storage books = _books;
        books.liquidity = books.liquidity + in_.liquidity - out.liquidity;
        books.assets = (books.assets + in_.assets - out.assets).toUint128();
        books.tokens = (books.tokens + in_.tokens - out.tokens).toUint128();
    }

    /// @dev Takes what was redeemed off the books. Nothing stays locked when nobody stays.
    function _forget(Holdings memory part, uint256 shares) private {
        _book(Holdings(0, 0, 0), part);
        if (shares == totalSupply()) _books.until = 0;
    }

    /* INTERNAL: PRICES */

    function _price() private view returns (uint256) {
        return ORACLE.price();
    }

    /// @dev For `max*`, which must not revert.
    function _tryPrice() private view returns (bool ok, uint256 price) {
        (ok, price) = address(ORACLE).readUint(READ_GAS, abi.encodeCall(IOracle.price, ()));
        ok = ok && price != 0;
    }

    function _spot() private view returns (uint160 spot) {
        (spot,) = POOL.slot0();
    }

    function _isNear(uint160 spot, uint256 price) private view returns (bool) {
        (uint256 lowest, uint256 highest) = _sorted(
            _sqrtPrice(price.mulDiv(WAD + MAX_DEVIATION, WAD)), _sqrtPrice(price.mulDiv(WAD - MAX_DEVIATION, WAD))
        );
        return lowest <= spot && spot <= highest;
    }

    /// @dev A price of the token in the asset as the pool writes it, within the pool's range.
    function _sqrtPrice(uint256 price) private view returns (uint160) {
        return UniswapV3Trade.sqrtPrice(price, TOKEN_IS_FIRST);
    }

    /// @dev Tokens that are sold until the pool pays the bid at the margin, once some of our liquidity has left it.
    function _saleDepth(uint256 price, uint128 leaving) private view returns (uint256 tokens) {
        uint160 limit = _sqrtPrice(price.mulDiv((WAD - MAX_COST) * PIPS, WAD * (PIPS - FEE)));
        (tokens,) = POOL.depth(TOKEN_IS_FIRST, limit, UniswapV3Depth.Removed(TICK_LOWER, TICK_UPPER, leaving));
    }

    /* INTERNAL: VALUES AND SHARES */

    function _worth(Holdings memory held, uint256 price, bool roundUp) private view returns (uint256) {
        (uint256 assets, uint256 tokens) = _amounts(_sqrtPrice(price), held.liquidity, roundUp);
        Math.Rounding rounding = roundUp ? Math.Rounding.Ceil : Math.Rounding.Floor;
        return assets + held.assets + (tokens + held.tokens).mulDiv(price, PRICE_UNIT, rounding);
    }

    /// @dev What is left of a value after the cost, at least.
    function _bid(uint256 value, uint256 price) private view returns (uint256) {
        return value.mulDiv(WAD - MAX_COST, WAD).saturatingSub(_roundings(price));
    }

    /// @dev The value that leaves an amount after the cost.
    function _grossUp(uint256 amount, uint256 price) private view returns (uint256) {
        return amount == 0 ? 0 : (amount + _roundings(price)).mulDiv(WAD, WAD - MAX_COST, Math.Rounding.Ceil);
    }

    function _roundings(uint256 price) private pure returns (uint256) {
        return ROUNDINGS * (price.ceilDiv(PRICE_UNIT) + 1);
    }

    /// @dev Shares for a value that was added to what is held.
    function _sharesFor(uint256 value, uint256 held) private view returns (uint256) {
        return value.mulDiv(totalSupply() + VIRTUAL_SHARES, held + 1);
    }

    /// @dev The value that shares are given for.
    function _valueFor(uint256 shares, uint256 held, Math.Rounding rounding) private view returns (uint256) {
        return shares.mulDiv(held + 1, totalSupply() + VIRTUAL_SHARES, rounding);
    }

    /// @dev The shares' part of what counts. While nobody holds any, they are shown at what the first ones will cost: whoever
    /// compares a share's value with its price before anybody has entered would else see an entry that costs all.
    function _partOf(uint256 shares, uint256 price, Math.Rounding rounding) private view returns (uint256) {
        uint256 supply = totalSupply();
        if (supply == 0) return _valueFor(shares, _worth(_all(), price, true), rounding);
        return shares.mulDiv(_worth(_unlocked(), price, false), supply + VIRTUAL_SHARES, rounding);
    }

    /// @dev Shares whose part of what is held has a value.
    function _sharesTaken(uint256 value, uint256 held) private view returns (uint256) {
        return value.mulDiv(totalSupply() + VIRTUAL_SHARES, Math.max(held, 1), Math.Rounding.Ceil);
    }

    function _decimalsOffset() internal pure override returns (uint8) {
        return OFFSET;
    }

    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        return assets.mulDiv(totalSupply() + VIRTUAL_SHARES, totalAssets() + 1, rounding);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        return _partOf(shares, _price(), rounding);
    }
}
