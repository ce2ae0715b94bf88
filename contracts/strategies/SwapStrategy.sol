// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {ILiquiditySource} from "../interfaces/ILiquiditySource.sol";
import {IOracle} from "../interfaces/IOracle.sol";
import {IAgniSwapCallback} from "../interfaces/uniswap/IAgniSwapCallback.sol";
import {IUniswapV3Pool} from "../interfaces/uniswap/IUniswapV3Pool.sol";
import {IUniswapV3SwapCallback} from "../interfaces/uniswap/IUniswapV3SwapCallback.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {UniswapV3Depth} from "./libraries/UniswapV3Depth.sol";
import {UniswapV3Trade} from "./libraries/UniswapV3Trade.sol";

/// @title A strategy that holds another token, bought and sold in one Uniswap V3 pool
/// @notice
///
/// WHAT IT IS
/// An ERC-4626 vault that buys a token for its asset, and keeps it or puts it into an inner ERC-4626 vault of that token. It
/// has no owner, no fee and no setting; anybody may use it. The pool may be one of Agni's, a fork that asks for its money by
/// another name.
///
/// THE PRICE
/// The oracle's, and never the pool's: nothing in one transaction moves it. `convertToAssets` is the value at the oracle's
/// price; `previewRedeem`, what leaving pays at least, is `MAX_COST` less. Whoever enters gets what was bought, and whoever
/// leaves what was sold, but each within `MAX_COST` of the oracle's price, or the call reverts. A withdrawal of an exact
/// amount takes only the shares that it needed.
/// `max*` follow the pool: the most that it trades before its own price, with its fee, is `MAX_COST` off the oracle's. They are
/// 0 while there is no price. Nobody enters either while the pool sells for less than the oracle's price less `MAX_COST`: the
/// pool may know of a fall that the oracle has not seen.
///
/// THE WAY OUT WITHOUT A PRICE
/// `redeemInKind` pays in the token (or in shares of the inner vault). It needs neither oracle nor pool.
///
/// ASSUMPTIONS
/// - `MAX_COST` is more than the pool's fee and what the oracle may be off while all is well (a feed's deviation threshold).
/// - Who withdraws may trade against the pool around it. It costs the strategy at most what `previewRedeem` has taken off.
/// - The oracle, the inner vault and both tokens are trusted as a strategy is: a lie is a lie about this strategy's value.
/// - A token that its issuer can freeze, or keeps to a list of holders, can be refused to this contract at any time. It keeps
///   its value then, and `max*` do not see that nothing goes in or out.
contract SwapStrategy is
    ERC4626,
    ReentrancyGuardTransient,
    ILiquiditySource,
    IUniswapV3SwapCallback,
    IAgniSwapCallback
{
    using BoundedCall for address;
    using Math for uint256;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;
    using UniswapV3Depth for IUniswapV3Pool;
    using UniswapV3Trade for IUniswapV3Pool;

    /* CONSTANTS AND IMMUTABLES */

    uint256 private constant WAD = 1e18;
    uint256 private constant PRICE_UNIT = 1e36;
    uint256 private constant PIPS = 1e6;
    uint256 private constant READ_GAS = 200_000;

    /// @notice The token that is held.
    IERC20 public immutable TOKEN;
    /// @notice The vault that the token is put into; none where it is kept here.
    IERC4626 public immutable INNER;
    IUniswapV3Pool public immutable POOL;
    /// @notice Price of the token in the asset.
    IOracle public immutable ORACLE;
    /// @notice Most that a trade may cost against the oracle's price, its fee included, WAD.
    uint256 public immutable MAX_COST;

    uint256 private immutable FEE;
    bool private immutable TOKEN_IS_FIRST;
    uint8 private immutable _decimals;

    /* STORAGE */

    /// @dev Units in the books: of the token, or shares of the inner vault. A loss is written off when money next moves.
    uint256 internal _booked;

    /* ERRORS AND EVENTS */

    error BadPool(address pool);
    error BadInner(address inner);
    error BadCost(uint256 maxCost, uint256 fee);
    error BadOracle(address oracle);
    error NotThePool(address caller);
    error TooDear(uint256 paid, uint256 bound);

    event RedeemedInKind(
        address indexed caller, address indexed receiver, address indexed owner, uint256 units, uint256 shares
    );

    /* CONSTRUCTOR */

    /// @param pool A pool of the asset and another token.
    /// @param inner A vault of that token, or none.
    constructor(
        IERC20 asset_,
        IUniswapV3Pool pool,
        IERC4626 inner,
        IOracle oracle,
        uint256 maxCost,
        string memory name_,
        string memory symbol_
    ) ERC20(name_, symbol_) ERC4626(asset_) {
        (address first, address second) = (pool.token0(), pool.token1());
        require(first == address(asset_) || second == address(asset_), BadPool(address(pool)));
        TOKEN_IS_FIRST = second == address(asset_);
        TOKEN = IERC20(TOKEN_IS_FIRST ? first : second);
        (POOL, INNER, ORACLE, MAX_COST) = (pool, inner, oracle, maxCost);
        FEE = pool.fee();
        require(maxCost < WAD && maxCost * PIPS > FEE * WAD, BadCost(maxCost, FEE));
        require(oracle.price() != 0, BadOracle(address(oracle)));
        bool plain = address(inner) == address(0);
        _decimals = IERC20Metadata(plain ? address(TOKEN) : address(inner)).decimals();
        if (!plain) {
            require(inner.asset() == address(TOKEN), BadInner(address(inner)));
            // Only tokens on their way are here, so there is nothing else for the inner vault to take.
            TOKEN.forceApprove(address(inner), type(uint256).max);
        }
    }

    /* VIEWS */

    /// @notice The token's, or the inner vault's: a share is one unit of it, and less after a loss.
    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    /// @notice Value of the holders' units at the oracle's price, before the cost of selling.
    function totalAssets() public view override returns (uint256) {
        return _worth(units(), _price());
    }

    /// @notice Units that the holders own: those in the books, unless fewer are here.
    function units() public view returns (uint256) {
        return Math.min(_booked, _holding().balanceOf(address(this)));
    }

    /// @inheritdoc ILiquiditySource
    function availableLiquidity() external view returns (uint256 cash) {
        (bool ok, uint256 price) = _tryPrice();
        if (!ok) return 0;
        (, cash) = _saleDepth(price);
        if (_isPlain()) return cash;
        (bool known, uint256 tokens) =
            address(INNER).readUint(READ_GAS, abi.encodeCall(ILiquiditySource.availableLiquidity, ()));
        if (known) cash = Math.min(cash, _bid(tokens, price));
    }

    /// @notice Assets that buy the token within `MAX_COST` now.
    function maxDeposit(address) public view override returns (uint256 assets) {
        (bool ok, uint256 price) = _tryPrice();
        if (!ok) return 0;
        (uint160 spot,) = POOL.slot0();
        if (_isBelow(spot, _limit(price.mulDiv(WAD - MAX_COST, WAD)))) return 0;
        uint160 limit = _limit(price.mulDiv((PIPS - FEE) * WAD, PIPS * (WAD - MAX_COST)));
        (assets,) = POOL.depth(!TOKEN_IS_FIRST, limit);
        if (_isPlain()) return assets;
        // The pool may sell for less than the oracle's price, but not for less than this.
        uint256 room = INNER.maxDeposit(address(this));
        if (room < type(uint128).max) assets = Math.min(assets, _bid(room, price));
    }

    /// @notice As `maxDeposit`, in shares.
    function maxMint(address receiver) public view override returns (uint256) {
        uint256 assets = maxDeposit(receiver);
        return assets == 0 ? 0 : previewDeposit(assets);
    }

    /// @notice Shares whose tokens are sold within `MAX_COST` now.
    function maxRedeem(address owner) public view override returns (uint256) {
        (bool ok, uint256 price) = _tryPrice();
        if (!ok) return 0;
        (uint256 most,) = _saleDepth(price);
        if (!_isPlain()) {
            uint256 payable_ = INNER.maxRedeem(address(this));
            if (payable_ == 0) return 0; // it may have no price either
            most = Math.min(INNER.convertToShares(most), payable_);
        }
        return Math.min(balanceOf(owner), _toShares(most, Math.Rounding.Floor));
    }

    /// @notice As `maxRedeem`, in assets.
    function maxWithdraw(address owner) public view override returns (uint256) {
        uint256 shares = maxRedeem(owner);
        return shares == 0 ? 0 : previewRedeem(shares);
    }

    /// @notice Shares that a deposit receives at least.
    function previewDeposit(uint256 assets) public view override returns (uint256) {
        return _toShares(_unitsFor(_leastBought(assets, _price())), Math.Rounding.Floor);
    }

    /// @notice Assets that minting takes at most.
    function previewMint(uint256 shares) public view override returns (uint256) {
        return _mostPaid(_tokensFor(_toUnits(shares, Math.Rounding.Ceil)), _price());
    }

    /// @notice Assets that redeeming pays at least.
    function previewRedeem(uint256 shares) public view override returns (uint256) {
        return _bid(_tokensOf(_toUnits(shares, Math.Rounding.Floor)), _price());
    }

    /// @notice Shares that a withdrawal takes at most.
    function previewWithdraw(uint256 assets) public view override returns (uint256) {
        return _toShares(_unitsToTake(_mostSold(assets, _price())), Math.Rounding.Ceil);
    }

    /* IN AND OUT */

    /// @inheritdoc ERC4626
    function deposit(uint256 assets, address receiver) public override nonReentrant returns (uint256 shares) {
        uint256 most = maxDeposit(receiver);
        if (assets > most) revert ERC4626ExceededMaxDeposit(receiver, assets, most);
        uint256 held = units();
        _transferIn(msg.sender, assets);
        (, uint256 bought) = _swap(!TOKEN_IS_FIRST, assets.toInt256());
        uint256 least = _leastBought(assets, _price());
        require(bought >= least, TooDear(assets, least));
        uint256 added = _isPlain() || bought == 0 ? bought : INNER.deposit(bought, address(this));
        shares = added.mulDiv(totalSupply() + 1, held + 1);
        _enter(receiver, assets, shares, held + added);
    }

    /// @inheritdoc ERC4626
    function mint(uint256 shares, address receiver) public override nonReentrant returns (uint256 assets) {
        uint256 most = maxMint(receiver);
        if (shares > most) revert ERC4626ExceededMaxMint(receiver, shares, most);
        uint256 held = units();
        uint256 added = _toUnits(shares, Math.Rounding.Ceil);
        uint256 tokens = _tokensFor(added);
        uint256 bound = _mostPaid(tokens, _price());
        _transferIn(msg.sender, bound);
        (assets,) = _swap(!TOKEN_IS_FIRST, -tokens.toInt256());
        require(assets <= bound, TooDear(assets, bound));
        _transferOut(msg.sender, bound - assets);
        if (!_isPlain() && added != 0) INNER.mint(added, address(this));
        _enter(receiver, assets, shares, held + added);
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
        uint256 held = units();
        uint256 bound = _mostSold(assets, _price());
        uint256 before = _holding().balanceOf(address(this));
        (uint256 sold,) = _swap(TOKEN_IS_FIRST, -assets.toInt256());
        require(sold <= bound, TooDear(sold, bound));
        uint256 taken = before - _holding().balanceOf(address(this));
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
        uint256 most = maxRedeem(owner);
        if (shares > most) revert ERC4626ExceededMaxRedeem(owner, shares, most);
        uint256 bound = previewRedeem(shares);
        uint256 taken = _toUnits(shares, Math.Rounding.Floor);
        uint256 booked = units() - taken;
        uint256 tokens = _isPlain() || taken == 0 ? taken : INNER.redeem(taken, address(this), address(this));
        (, assets) = _swap(TOKEN_IS_FIRST, tokens.toInt256());
        require(assets >= bound, TooDear(assets, bound));
        _leave(receiver, owner, assets, shares, booked);
    }

    /// @notice Pays the shares' part in the token, or in shares of the inner vault. It needs neither a price nor the pool.
    /// @return taken What was paid, in units.
    function redeemInKind(uint256 shares, address receiver, address owner)
        external
        nonReentrant
        returns (uint256 taken)
    {
        taken = _toUnits(shares, Math.Rounding.Floor);
        _booked = units() - taken;
        if (msg.sender != owner) _spendAllowance(owner, msg.sender, shares);
        _burn(owner, shares);
        _holding().safeTransfer(receiver, taken);
        emit RedeemedInKind(msg.sender, receiver, owner, taken, shares);
    }

    /// @notice Pays the pool. It alone may call, and only while this contract trades.
    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        _payPool(amount0, amount1);
    }

    /// @notice The same for a pool of Agni's.
    function agniSwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        _payPool(amount0, amount1);
    }

    /* INTERNAL: MONEY */

    function _payPool(int256 amount0, int256 amount1) private {
        require(msg.sender == address(POOL) && _reentrancyGuardEntered(), NotThePool(msg.sender));
        bool inFirst = amount0 > 0;
        uint256 owed = uint256(inFirst ? amount0 : amount1);
        if (inFirst != TOKEN_IS_FIRST) {
            IERC20(asset()).safeTransfer(msg.sender, owed);
            return;
        }
        // A withdrawal learns only here how much it has to take out of the inner vault.
        uint256 here = _isPlain() ? owed : TOKEN.balanceOf(address(this));
        if (here < owed) INNER.withdraw(owed - here, address(this), address(this));
        TOKEN.safeTransfer(msg.sender, owed);
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

    /// @param amount What is paid in, or, negative, what comes out.
    function _swap(bool zeroForOne, int256 amount) private returns (uint256 paid, uint256 received) {
        bool whole;
        (whole, paid, received) = POOL.trade(zeroForOne, amount);
        require(whole, TooDear(paid, received));
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

    /// @dev What units are worth at the oracle's price.
    function _worth(uint256 units_, uint256 price) private view returns (uint256) {
        return (_isPlain() ? units_ : INNER.convertToAssets(units_)).mulDiv(price, PRICE_UNIT);
    }

    // The pool rounds its fee and what it pays against the trader: each bound leaves room for that.

    function _bid(uint256 tokens, uint256 price) private view returns (uint256) {
        return tokens.saturatingSub(1).mulDiv(price, PRICE_UNIT).mulDiv(WAD - MAX_COST, WAD).saturatingSub(1);
    }

    function _leastBought(uint256 assets, uint256 price) private view returns (uint256) {
        return assets.saturatingSub(1).mulDiv(PRICE_UNIT, price).mulDiv(WAD - MAX_COST, WAD).saturatingSub(1);
    }

    function _mostSold(uint256 assets, uint256 price) private view returns (uint256) {
        return assets == 0 ? 0 : _grossUp(assets).mulDiv(PRICE_UNIT, price, Math.Rounding.Ceil) + 2;
    }

    function _mostPaid(uint256 tokens, uint256 price) private view returns (uint256) {
        return tokens == 0 ? 0 : _grossUp(tokens).mulDiv(price, PRICE_UNIT, Math.Rounding.Ceil) + 2;
    }

    function _grossUp(uint256 amount) private view returns (uint256) {
        return amount.mulDiv(WAD, WAD - MAX_COST, Math.Rounding.Ceil);
    }

    /// @dev Tokens that are sold, and the assets that they bring, until the pool pays the bid at the margin.
    function _saleDepth(uint256 price) private view returns (uint256 tokens, uint256 assets) {
        return POOL.depth(TOKEN_IS_FIRST, _limit(price.mulDiv((WAD - MAX_COST) * PIPS, WAD * (PIPS - FEE))));
    }

    /// @dev A price of the token in the asset as the pool writes it, within the pool's range.
    function _limit(uint256 price) private view returns (uint160) {
        return UniswapV3Trade.sqrtPrice(price, TOKEN_IS_FIRST);
    }

    /// @dev Whether the token costs less at one price of the pool than at another.
    function _isBelow(uint160 price, uint160 other) private view returns (bool) {
        return TOKEN_IS_FIRST ? price < other : price > other;
    }

    /* INTERNAL: UNITS */

    function _isPlain() private view returns (bool) {
        return address(INNER) == address(0);
    }

    /// @dev What the units are units of.
    function _holding() private view returns (IERC20) {
        return _isPlain() ? TOKEN : IERC20(address(INNER));
    }

    /// @dev Tokens that units are taken out for.
    function _tokensOf(uint256 units_) private view returns (uint256) {
        return _isPlain() ? units_ : INNER.previewRedeem(units_);
    }

    /// @dev Tokens that buying units takes.
    function _tokensFor(uint256 units_) private view returns (uint256) {
        return _isPlain() ? units_ : INNER.previewMint(units_);
    }

    /// @dev Units that tokens buy.
    function _unitsFor(uint256 tokens) private view returns (uint256) {
        return _isPlain() ? tokens : INNER.previewDeposit(tokens);
    }

    /// @dev Units that taking tokens out costs.
    function _unitsToTake(uint256 tokens) private view returns (uint256) {
        return _isPlain() ? tokens : INNER.previewWithdraw(tokens);
    }

    function _toShares(uint256 units_, Math.Rounding rounding) private view returns (uint256) {
        return units_.mulDiv(totalSupply() + 1, units() + 1, rounding);
    }

    function _toUnits(uint256 shares, Math.Rounding rounding) private view returns (uint256) {
        return shares.mulDiv(units() + 1, totalSupply() + 1, rounding);
    }

    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        uint256 tokens = assets.mulDiv(PRICE_UNIT, _price(), rounding);
        return _toShares(_isPlain() ? tokens : INNER.convertToShares(tokens), rounding);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        return _worth(_toUnits(shares, rounding), _price());
    }
}
