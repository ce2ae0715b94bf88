// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {TickMath} from "@uniswap/v4-core/src/libraries/TickMath.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {IUniswapV3Pool} from "../../../contracts/interfaces/uniswap/IUniswapV3Pool.sol";
import {UniswapV3LiquidityStrategy} from "../../../contracts/strategies/UniswapV3LiquidityStrategy.sol";
import {BaseTest} from "../BaseTest.sol";
import {SettableOracle} from "../mocks/SettableOracle.sol";
import {Token} from "../mocks/Token.sol";
import {IFullPool, UniswapMarket} from "../utils/UniswapMarket.sol";
import {StrategyTest} from "./StrategyTest.sol";

/// @notice The strategy on Uniswap's own bytecode: a token at 2000, liquidity from 1700 to 2350, in a pool of 400M within 10 %
/// on each side, and of 400M more far beyond.
abstract contract UniswapV3LiquidityStrategyTest is StrategyTest {
    uint256 internal constant MAX_COST = 0.01e18;
    uint256 internal constant MAX_DEVIATION = 0.005e18;
    uint256 internal constant READ_GAS = 700_000;
    uint256 internal constant CALL_GAS = 1_600_000;

    Token internal token;
    UniswapMarket internal market;
    IFullPool internal pool;
    SettableOracle internal oracle;
    UniswapV3LiquidityStrategy internal strategy;
    UniswapV3LiquidityStrategy.Range internal range;
    uint256 internal price;
    Provided[2] internal outsiders;

    struct Provided {
        int24 lower;
        int24 upper;
        uint128 liquidity;
    }

    function setUp() public override {
        super.setUp();
        do {
            token = new Token(_tokenDecimals());
        } while ((address(token) < address(asset)) != _tokenIsFirst());
        price = 2000 * 10 ** (DECIMALS + 36 - _tokenDecimals());
        oracle = new SettableOracle();
        oracle.setPrice(price);
        market = new UniswapMarket(asset, token);
        pool = market.pool();
        market.start(price);
        (outsiders[0], outsiders[1]) = (_provide(400_000_000 * UNIT, 100), _provide(400_000_000 * UNIT, 2000));
        (uint256 low, uint256 high) = _ends();
        range = _range(price * low / 2000, price * high / 2000);
        strategy = _new(MAX_COST, MAX_DEVIATION);
    }

    function _tokenIsFirst() internal pure virtual returns (bool);
    function _tokenDecimals() internal pure virtual returns (uint8);

    /// @dev Of the range.
    function _ends() internal pure virtual returns (uint256 low, uint256 high) {
        return (1700, 2350);
    }

    /* HELPERS */

    function _new(uint256 maxCost, uint256 maxDeviation) internal returns (UniswapV3LiquidityStrategy) {
        return new UniswapV3LiquidityStrategy(asset, pool, oracle, range, maxCost, maxDeviation, "Liquidity", "sLP");
    }

    function _tested() internal view override returns (IERC4626) {
        return strategy;
    }

    function _provide(uint256 assets, int24 width) internal returns (Provided memory p) {
        (p.lower, p.upper, p.liquidity) = market.provide(assets, width);
    }

    function _mint(address who, uint256 shares) internal returns (uint256 paid) {
        uint256 most = strategy.previewMint(shares);
        asset.mint(who, most);
        vm.startPrank(who);
        asset.approve(address(strategy), most);
        paid = strategy.mint(shares, who);
        vm.stopPrank();
    }

    /// @dev All liquidity but the strategy's leaves.
    function _drain() internal {
        for (uint256 i; i < outsiders.length; ++i) {
            market.remove(outsiders[i].lower, outsiders[i].upper, outsiders[i].liquidity);
        }
    }

    /// @dev The ticks nearest to two prices of the token.
    function _range(uint256 low, uint256 high) internal view returns (UniswapV3LiquidityStrategy.Range memory) {
        int24 one = TickMath.getTickAtSqrtPrice(market.sqrtPrice(low)) / 10 * 10;
        int24 other = TickMath.getTickAtSqrtPrice(market.sqrtPrice(high)) / 10 * 10;
        (int24 lower, int24 upper) = one < other ? (one, other) : (other, one);
        return UniswapV3LiquidityStrategy.Range(lower, upper);
    }

    /// @dev What rounding may cost: a few base units of the token, in the asset.
    function _unit() internal view returns (uint256) {
        return 8 * (oracle.price() / 1e36 + 2);
    }

    /// @dev The share's present worth, times 10^27.
    function _sharePrice() internal view returns (uint256) {
        return strategy.convertToAssets(1e27);
    }

    /// @dev Sets the pool off the oracle by millionths.
    function _setOff(int256 millionths) internal {
        market.push(uint256(int256(oracle.price()) * (1_000_000 + millionths) / 1_000_000));
    }

    /// @dev Within `MAX_DEVIATION`, with room for rounding.
    function _boundOff(uint256 seed) internal pure returns (int256) {
        return int256(bound(seed, 0, 9_980)) - 4_990;
    }

    /// @dev Moves the oracle and the pool.
    function _moveTo(uint256 price_) internal {
        oracle.setPrice(price_);
        market.push(price_);
    }

    /// @dev Trades back and forth, so that the pool earns fees, and leaves it at the oracle's price.
    function _trade(uint256 assets) internal {
        uint256 bought = market.trade(true, assets);
        market.trade(false, bought);
        market.push(oracle.price());
    }

    function _wait() internal {
        vm.warp(block.timestamp + strategy.UNLOCK_PERIOD());
    }

    /// @dev What is not in the position and counts.
    function _idle() internal view returns (uint256) {
        (, uint256 assets, uint256 tokens) = strategy.holdings();
        return assets + tokens * oracle.price() / 1e36;
    }

    function _liquidity() internal view returns (uint128 liquidity) {
        (liquidity,,,,) = pool.positions(keccak256(abi.encodePacked(address(strategy), range.lower, range.upper)));
    }

    /// @dev What the books say is here, to the unit.
    modifier booksCovered() {
        _;
        strategy.collect();
        (uint256 liquidity, uint256 assets, uint256 tokens) = strategy.holdings();
        (uint256 lockedAssets, uint256 lockedTokens) = strategy.lockedFees();
        assertEq(liquidity, _liquidity());
        assertEq(assets + lockedAssets, asset.balanceOf(address(strategy)));
        assertEq(tokens + lockedTokens, token.balanceOf(address(strategy)));
    }

    /* SET-UP */

    function test_constructor() public {
        vm.expectRevert(abi.encodeWithSelector(UniswapV3LiquidityStrategy.BadPool.selector, pool));
        new UniswapV3LiquidityStrategy(
            IERC20(address(oracle)), pool, oracle, range, MAX_COST, MAX_DEVIATION, "Liquidity", "sLP"
        );
        vm.mockCall(address(oracle), abi.encodeCall(SettableOracle.price, ()), abi.encode(0));
        vm.expectRevert(abi.encodeWithSelector(UniswapV3LiquidityStrategy.BadOracle.selector, oracle));
        _new(MAX_COST, MAX_DEVIATION);
        vm.clearMockedCalls();
        UniswapV3LiquidityStrategy.Range memory good = range;
        int24[2][5] memory bad = [
            [good.upper, good.lower],
            [good.lower, good.lower],
            [good.lower + 1, good.upper],
            [good.lower, good.upper + 1],
            [good.lower, int24(887_280)]
        ];
        for (uint256 i; i < bad.length; ++i) {
            range = UniswapV3LiquidityStrategy.Range(bad[i][0], bad[i][1]);
            vm.expectPartialRevert(UniswapV3LiquidityStrategy.BadRange.selector);
            _new(MAX_COST, MAX_DEVIATION);
        }
        range = good;

        assertEq(address(strategy.TOKEN()), address(token));
        assertEq(strategy.decimals(), DECIMALS + 6);
        assertEq(strategy.asset(), address(asset));
        assertEq(strategy.totalAssets(), 0);
        assertGt(strategy.availableLiquidity(), 0);
    }

    /// @dev Gamma, 2024: a threshold of 50 to 200 % is none. Nor is one that costs more than what the price takes off.
    function test_constructor_thresholdsThatGuardNothing() public {
        range = _range(price * 1700 / 2000, price * 2350 / 2000);
        uint256[5] memory deviations = [uint256(0), 0.01e18, 0.5e18, 1e18, 2e18];
        for (uint256 i; i < deviations.length; ++i) {
            vm.expectPartialRevert(UniswapV3LiquidityStrategy.BadCost.selector);
            _new(MAX_COST, deviations[i]);
        }
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.BadCost.selector);
        _new(0.05e18 + 1, MAX_DEVIATION);
        _new(0.05e18, 0.045e18);
        // The narrower the range, the more adding off the oracle's price costs.
        range.lower = range.upper - 20;
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.BadCost.selector);
        _new(MAX_COST, MAX_DEVIATION);
        range.lower = range.upper - 100;
        _new(MAX_COST, MAX_DEVIATION);
    }

    /* VALUE */

    /// @dev Inside the range and beyond both ends, it is what the pool pays out when it stands at the oracle's price.
    function test_value_isWhatThePoolHolds(uint256 seed) public {
        _put(ALICE, 1_000_000 * UNIT);
        (uint256 low, uint256 high) = _ends();
        uint256[5] memory prices = [uint256(1468), low, 2000, high, 2900];
        uint256 at = seed % 10 < 5 ? price * prices[seed % 5] / 2000 : price * bound(seed, 1000, 3000) / 2000;
        _moveTo(at);
        strategy.collect();
        uint256 value = strategy.totalAssets();
        uint256 shares = strategy.balanceOf(ALICE);
        (uint256 lockedAssets, uint256 lockedTokens) = strategy.lockedFees();
        vm.prank(ALICE);
        (uint256 assets, uint256 tokens) = strategy.redeemInKind(shares, ALICE, ALICE);
        uint256 paid = assets - lockedAssets + (tokens - lockedTokens) * at / 1e36;
        assertApproxEqRel(paid, value, 1e9);
        if (at < price * (low - 1) / 2000) assertLe(assets, lockedAssets + value / 100, "only the token");
        if (at > price * (high + 1) / 2000) assertLe(tokens * at / 1e36, value / 100, "only the asset");
    }

    /// @dev From 1700 to 2350 at 2000: +4.2 % at 2300, -23.5 % at 1468.
    function test_value_whenThePriceMoves() public {
        range = _range(price * 1700 / 2000, price * 2350 / 2000);
        strategy = _new(MAX_COST, MAX_DEVIATION);
        _put(ALICE, 1_000_000 * UNIT);
        uint256 before = strategy.totalAssets();
        oracle.setPrice(price * 2300 / 2000);
        assertApproxEqRel(strategy.totalAssets(), before * 1042 / 1000, 0.002e18);
        oracle.setPrice(price * 1468 / 2000);
        assertApproxEqRel(strategy.totalAssets(), before * 765 / 1000, 0.002e18);
    }

    /// @dev A trade that moves the pool by 4 % moves no value: at the pool's price it would.
    function test_value_isNotThePools(bool buy) public {
        _put(ALICE, 1_000_000 * UNIT);
        uint256 mid = strategy.totalAssets();
        uint256 bid = _worth(ALICE);
        (uint160 spot,) = pool.slot0();
        uint256 assets = 300_000_000 * UNIT;
        market.trade(buy, buy ? assets : assets * 1e36 / price);
        (uint160 moved,) = pool.slot0();
        assertGt(spot > moved ? uint256(spot) * 1000 / moved : uint256(moved) * 1000 / spot, 1020, "the pool has moved");
        assertEq(strategy.totalAssets(), mid);
        assertEq(_worth(ALICE), bid);
        assertApproxEqAbs(bid, mid * (WAD - MAX_COST) / WAD, 2 * _unit());
    }

    /// @dev Neither do gifts: of both tokens, of liquidity, of fees; not even once they are collected.
    function test_gifts_moveNothing(uint256 gift) public {
        gift = bound(gift, UNIT, 10_000_000 * UNIT);
        _put(ALICE, 1_000_000 * UNIT);
        _trade(10_000_000 * UNIT);
        uint256 mid = strategy.totalAssets();
        uint256 supply = strategy.totalSupply();
        asset.mint(address(strategy), gift);
        token.mint(address(strategy), gift * 1e36 / price);
        new Giver(pool).give(address(strategy), range, gift / 1000, gift);
        assertEq(strategy.totalAssets(), mid, "before they are collected");
        (uint256 dueAssets, uint256 dueTokens) = strategy.lockedFees();
        strategy.collect();
        // Adding to the position rounds.
        assertApproxEqAbs(strategy.totalAssets(), mid, _unit(), "and after");
        assertEq(strategy.totalSupply(), supply);
        (uint256 assets, uint256 tokens) = strategy.lockedFees();
        assertGt(assets + tokens, 0);
        assertEq(assets, dueAssets, "what the pool has counted already is due too");
        assertEq(tokens, dueTokens);
        (uint256 liquidity,,) = strategy.holdings();
        assertLt(liquidity, _liquidity(), "liquidity that others paid for is nobody's");
        _wait();
        assertGt(strategy.totalAssets(), mid, "fees come to count");
    }

    /* ACCOUNTING */

    function test_deposit_isWorthWhatWasAdded(uint256 assets, uint256 off) public booksCovered {
        _put(BOB, 77_777 * UNIT + 7);
        _trade(1_000_000 * UNIT);
        _setOff(_boundOff(off));
        assets = bound(assets, UNIT, strategy.maxDeposit(ALICE));
        uint256 others = _sharePrice();
        uint256 least = strategy.previewDeposit(assets);
        uint256 idle = _idle();

        uint256 shares = _put(ALICE, assets);
        assertGe(shares, least, "at least what was previewed");
        assertGe(strategy.convertToAssets(shares) + _unit(), assets * 989 / 1000, "the cost is bounded");
        assertGe(_sharePrice() + 1, others, "nobody else loses");
        assertLe(_idle(), idle + assets / 200 + _unit(), "and it is in the position");
    }

    function test_mint_takesNoMoreThanItPreviews(uint256 shares, uint256 off) public booksCovered {
        _put(BOB, 77_777 * UNIT + 7);
        _trade(1_000_000 * UNIT);
        _setOff(_boundOff(off));
        shares = bound(shares, 0, strategy.maxMint(ALICE));
        uint256 others = _sharePrice();
        uint256 most = strategy.previewMint(shares);
        uint256 paid = _mint(ALICE, shares);
        assertLe(paid, most);
        assertEq(asset.balanceOf(ALICE), most - paid, "the rest comes back");
        assertEq(strategy.balanceOf(ALICE), shares);
        assertLe(strategy.convertToAssets(shares), paid * 10_051 / 10_000 + 1, "no more than the pool is off");
        assertGe(_sharePrice() + 1, others);
    }

    function test_withdraw_takesOnlyTheSharesItNeeds(uint256 assets, uint256 off) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        _trade(1_000_000 * UNIT);
        _setOff(_boundOff(off));
        assets = bound(assets, 0, strategy.maxWithdraw(ALICE));
        uint256 others = _worth(BOB);
        uint256 most = strategy.previewWithdraw(assets);
        uint256 before = strategy.balanceOf(ALICE);

        vm.prank(ALICE);
        uint256 taken = strategy.withdraw(assets, MALLORY, ALICE);
        assertEq(strategy.balanceOf(ALICE), before - taken);
        assertLe(taken, most);
        assertEq(asset.balanceOf(MALLORY), assets);
        assertGe(strategy.convertToAssets(taken) + _unit(), assets, "no cheaper than the oracle's price");
        assertGe(_worth(BOB) + _unit(), others);
    }

    function test_redeem_paysWhatItsPartBrings(uint256 shares, uint256 off) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        _trade(1_000_000 * UNIT);
        _setOff(_boundOff(off));
        shares = bound(shares, 0, strategy.maxRedeem(ALICE));
        uint256 others = _worth(BOB);
        uint256 least = strategy.previewRedeem(shares);
        uint256 mid = strategy.convertToAssets(shares);

        vm.prank(ALICE);
        uint256 paid = strategy.redeem(shares, MALLORY, ALICE);
        assertEq(asset.balanceOf(MALLORY), paid);
        assertGe(paid, least);
        assertLe(paid, mid * 10_051 / 10_000 + _unit(), "no more than the pool is off");
        assertGe(_worth(BOB) + _unit(), others);
    }

    /// @dev `max*` follow the pool, and what they allow goes through; beyond, it is refused.
    function test_max_isAccepted(uint256 off, uint256 size, uint256 way) public booksCovered {
        _put(ALICE, bound(size, 1000 * UNIT, 15_000_000 * UNIT));
        _put(BOB, 1000 * UNIT);
        _trade(20_000_000 * UNIT);
        _setOff(_boundOff(off));
        (uint256 assets, uint256 shares) = (strategy.maxDeposit(ALICE), strategy.maxMint(ALICE));
        (uint256 most, uint256 worth) = (strategy.maxRedeem(ALICE), strategy.maxWithdraw(ALICE));
        asset.mint(ALICE, 2 * assets + UNIT);
        vm.startPrank(ALICE);
        asset.approve(address(strategy), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, ALICE, assets + 1, assets));
        strategy.deposit(assets + 1, ALICE);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxMint.selector, ALICE, shares + 1, shares));
        strategy.mint(shares + 1, ALICE);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, ALICE, most + 1, most));
        strategy.redeem(most + 1, ALICE, ALICE);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxWithdraw.selector, ALICE, worth + 1, worth));
        strategy.withdraw(worth + 1, ALICE, ALICE);
        if (way % 4 == 0) strategy.deposit(assets, ALICE);
        if (way % 4 == 1) strategy.mint(shares, ALICE);
        if (way % 4 == 2) strategy.redeem(most, ALICE, ALICE);
        if (way % 4 == 3) strategy.withdraw(worth, ALICE, ALICE);
        vm.stopPrank();
    }

    /// @dev There and back, within the bounds of the pool's price and whatever was pushed in between: nobody gains.
    function test_roundTrip_neverPays(uint256 assets, uint256 off, uint256 then_, uint256 way) public booksCovered {
        _put(BOB, 3_000_000 * UNIT);
        _trade(1_000_000 * UNIT);
        uint256 others = _worth(BOB);
        Trader mallory = new Trader(market, pool);
        uint256 start = mallory.worth(price);
        mallory.push(market.sqrtPrice(uint256(int256(price) * (1_000_000 + _boundOff(off)) / 1_000_000)));
        assets = bound(assets, 1, strategy.maxDeposit(address(mallory)));
        if (way % 2 == 0) mallory.enter(strategy, assets);
        else mallory.mint(strategy, strategy.previewDeposit(assets));
        mallory.push(market.sqrtPrice(uint256(int256(price) * (1_000_000 + _boundOff(then_)) / 1_000_000)));
        mallory.leave(strategy, way / 2 % 3, way);
        mallory.push(market.sqrtPrice(price));
        mallory.leave(strategy, 0, 0);
        // Less than a unit of the market's own rounding of the way back.
        assertLe(mallory.worth(price), start + _unit(), "she gained");
        assertGe(_worth(BOB) + _unit(), others, "he lost");
    }

    /// @dev Whatever people do while prices move, the books are covered, and the last to leave is paid as well.
    function test_anySequence(uint256[10] memory seeds) public booksCovered {
        address[3] memory people = [ALICE, BOB, MALLORY];
        for (uint256 i; i < seeds.length; ++i) {
            address who = people[seeds[i] % 3];
            uint256 amount = uint256(keccak256(abi.encode(seeds[i])));
            _moveTo(price * (8_000 + (amount >> 200) % 5_000) / 10_000);
            _setOff(_boundOff(amount >> 64));
            vm.warp(block.timestamp + (amount >> 128) % 1 days);
            uint256 kind = (seeds[i] >> 8) % 5;
            if (kind < 2) {
                _put(who, bound(amount, 0, Math.min(strategy.maxDeposit(who), 100_000 * UNIT)));
            } else if (kind == 2) {
                amount = bound(amount, 0, strategy.maxWithdraw(who));
                vm.prank(who);
                strategy.withdraw(amount, who, who);
            } else if (kind == 3) {
                amount = bound(amount, 0, strategy.balanceOf(who));
                vm.prank(who);
                strategy.redeemInKind(amount, who, who);
            } else {
                strategy.collect();
            }
        }
        for (uint256 i; i < people.length; ++i) {
            market.push(oracle.price());
            uint256 worth = _worth(people[i]);
            assertEq(strategy.maxWithdraw(people[i]), worth);
            assertGe(_takeAll(people[i]), worth);
        }
        assertEq(strategy.totalSupply(), 0);
    }

    /// @dev Somebody else's shares need an allowance.
    function test_allowance() public {
        _put(ALICE, 1000 * UNIT);
        uint256 shares = strategy.balanceOf(ALICE) / 2;
        vm.startPrank(BOB);
        vm.expectRevert();
        strategy.redeem(shares, BOB, ALICE);
        vm.expectRevert();
        strategy.withdraw(UNIT, BOB, ALICE);
        vm.expectRevert();
        strategy.redeemInKind(shares, BOB, ALICE);
        vm.stopPrank();
        vm.prank(ALICE);
        strategy.approve(BOB, shares);
        vm.startPrank(BOB);
        strategy.redeemInKind(shares, BOB, ALICE);
        vm.expectRevert();
        strategy.redeemInKind(1, BOB, ALICE);
    }

    /// @dev At the oracle's price, there and back.
    function test_convert(uint256 assets) public {
        _put(ALICE, 1000 * UNIT);
        assets = bound(assets, 0, 1_000_000 * UNIT);
        uint256 shares = strategy.convertToShares(assets);
        assertLe(strategy.convertToAssets(shares), assets);
        assertApproxEqAbs(strategy.convertToAssets(shares), assets, _unit() + assets / 1e8);
        assertGt(strategy.convertToShares(UNIT), strategy.previewDeposit(UNIT), "which is less what it may cost");
    }

    /// @dev Whoever thinks of entering compares these, before anybody has entered and after all have left.
    function test_empty_sharesAreShownAtTheirFirstPrice() public booksCovered {
        for (uint256 i; i < 2; ++i) {
            assertEq(strategy.totalSupply(), 0);
            uint256 worth = strategy.convertToAssets(1e27);
            if (i == 0) assertEq(worth, 1e21);
            assertApproxEqRel(strategy.previewRedeem(1e27), worth * (WAD - MAX_COST) / WAD, 1e-6 * 1e18);
            assertApproxEqRel(strategy.previewMint(1e27), worth * WAD / (WAD - MAX_COST), 1e-6 * 1e18);
            uint256 shares = _put(ALICE, 1000 * UNIT);
            assertApproxEqRel(strategy.convertToAssets(1e27), worth, 0.002e18);
            vm.prank(ALICE);
            strategy.redeem(shares, ALICE, ALICE);
        }
    }

    function test_nothing() public booksCovered {
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.previewWithdraw(0), 0);
        strategy.collect();
        _put(ALICE, 1000 * UNIT);
        vm.startPrank(ALICE);
        strategy.deposit(0, ALICE);
        strategy.mint(0, ALICE);
        strategy.withdraw(0, ALICE, ALICE);
        strategy.redeem(0, ALICE, ALICE);
        assertEq(strategy.redeem(1, ALICE, ALICE), 0);
        vm.stopPrank();
    }

    /// @dev The pool rounds against the trader; amounts of a few base units still go in and out.
    function test_dust(uint256 amount) public booksCovered {
        amount = bound(amount, 1, 1000);
        _put(ALICE, amount);
        _put(ALICE, 1000 * UNIT);
        vm.startPrank(ALICE);
        uint256 shares = strategy.withdraw(amount, ALICE, ALICE);
        assertGe(shares, strategy.convertToShares(amount), "not for nothing");
        strategy.redeem(amount, ALICE, ALICE);
        vm.stopPrank();
    }

    /* FEES */

    /// @dev They come to count over a period; until then leaving pays none of them.
    function test_fees_unlock(uint256 part) public booksCovered {
        _put(ALICE, 5_000_000 * UNIT);
        uint256 start = strategy.totalAssets();
        _trade(50_000_000 * UNIT);
        assertEq(strategy.totalAssets(), start);
        (uint256 assets, uint256 tokens) = strategy.lockedFees();
        strategy.collect();
        (uint256 lockedAssets, uint256 lockedTokens) = strategy.lockedFees();
        assertEq(assets, lockedAssets, "what is owed is known to the unit");
        assertEq(tokens, lockedTokens);
        uint256 fees = assets + tokens * price / 1e36;
        assertGt(fees, start / 50_000);
        part = bound(part, 0, 1 days);
        vm.warp(block.timestamp + part);
        assertApproxEqAbs(strategy.totalAssets(), start + fees * part / 1 days, _unit());
        vm.warp(block.timestamp + 1 days);
        assertApproxEqAbs(strategy.totalAssets(), start + fees, _unit());
        (assets, tokens) = strategy.lockedFees();
        assertEq(assets + tokens, 0);
    }

    /// @dev They go into the position: what stays idle is what one token has too much of.
    function test_fees_compound() public booksCovered {
        _put(ALICE, 5_000_000 * UNIT);
        _trade(50_000_000 * UNIT);
        strategy.collect();
        _wait();
        (uint256 liquidity, uint256 assets, uint256 tokens) = strategy.holdings();
        uint256 value = strategy.totalAssets();
        strategy.collect();
        (uint256 more, uint256 lessAssets, uint256 lessTokens) = strategy.holdings();
        assertGt(more, liquidity);
        assertTrue(lessAssets <= assets / 100 || lessTokens <= tokens / 100, "as far as both are there");
        assertApproxEqAbs(strategy.totalAssets(), value, _unit());
    }

    /// @dev Off the oracle's price nothing is added, and without a price neither: the fees are collected all the same.
    function test_collect_addsNothingOffThePrice(bool priceless) public booksCovered {
        _put(ALICE, 5_000_000 * UNIT);
        _trade(50_000_000 * UNIT);
        strategy.collect();
        _wait();
        _trade(50_000_000 * UNIT);
        (uint256 liquidity,,) = strategy.holdings();
        _setOff(5_100);
        if (priceless) oracle.setPrice(0);
        uint256 before = asset.balanceOf(address(strategy));
        strategy.collect();
        assertGt(asset.balanceOf(address(strategy)), before);
        assertEq(_liquidity(), liquidity);
        oracle.setPrice(price);
    }

    /// @dev Who pushes the pool and then collects loses us no more than adding idle fees off the price costs.
    function test_collect_behindAPush(uint256 off) public booksCovered {
        _put(ALICE, 5_000_000 * UNIT);
        _trade(50_000_000 * UNIT);
        strategy.collect();
        _wait();
        uint256 value = strategy.totalAssets();
        uint256 idle = _idle();
        assertGt(idle, 10 * UNIT);
        _setOff(_boundOff(off));
        strategy.collect();
        assertLt(_idle(), idle * 3 / 5, "it was added");
        // A 700th is what the narrowest range that is tried here costs at `MAX_DEVIATION`.
        assertGe(strategy.totalAssets() + _unit() + idle / 700, value);
    }

    /// @dev Who enters in the block before a collection gets nothing of the fees that were earned before, nor later.
    function test_fees_notForTheJustInTime(uint256 assets, uint256 wait, bool collected) public booksCovered {
        _put(BOB, 2_000_000 * UNIT);
        _trade(100_000_000 * UNIT);
        if (collected) strategy.collect();
        (uint256 owedAssets, uint256 owedTokens) = strategy.lockedFees();
        uint256 fees = owedAssets + owedTokens * price / 1e36;
        uint256 others = strategy.convertToAssets(strategy.balanceOf(BOB));
        assertGt(fees, others / 20_000);
        assets = bound(assets, 1_000 * UNIT, strategy.maxDeposit(MALLORY));
        if (wait % 2 == 0) _put(MALLORY, assets);
        else assets = _mint(MALLORY, strategy.previewDeposit(assets));
        market.push(price);
        strategy.collect();
        (uint256 left, uint256 leftTokens) = strategy.lockedFees();
        // Her own trade paid some.
        uint256 later = left + leftTokens * price / 1e36 - fees;
        vm.warp(block.timestamp + bound(wait, 0, 30 days));
        assertLe(strategy.convertToAssets(strategy.balanceOf(MALLORY)), assets + later + _unit(), "she gained");
        _wait();
        uint256 his = strategy.convertToAssets(strategy.balanceOf(BOB));
        assertGe(his + _unit(), others + fees, "he has all of them");
    }

    /// @dev Who is alone takes all along, fees that nobody collected too; the next one begins anew.
    function test_lastHolder_takesAll(bool inKind) public booksCovered {
        _put(ALICE, 5_000_000 * UNIT);
        _trade(50_000_000 * UNIT);
        (uint256 assets, uint256 tokens) = strategy.lockedFees();
        uint256 mid = strategy.totalAssets() + assets + tokens * price / 1e36;
        uint256 shares = strategy.balanceOf(ALICE);
        if (inKind) {
            vm.prank(ALICE);
            (assets, tokens) = strategy.redeemInKind(shares, ALICE, ALICE);
            assertApproxEqAbs(assets + tokens * price / 1e36, mid, _unit() + mid / 1e12);
        } else {
            assertGe(_takeAll(ALICE), mid * 9_990 / 10_000);
        }
        assertLe(strategy.totalAssets(), _unit() + mid / 1e12);
        market.push(price);
        _put(BOB, 1000 * UNIT);
        assertGe(_worth(BOB), 988 * UNIT);
    }

    /* THE POOL AGAINST THE ORACLE */

    /// @dev Arrakis, 2026: nobody enters or leaves at a pool that was pushed, in either direction and by any function.
    function test_pushed_nobodyEntersOrLeaves(uint256 push, bool up) public {
        _put(ALICE, 1_000_000 * UNIT);
        push = bound(push, 5_010, 90_000);
        _setOff(up ? int256(push) : -int256(push));
        assertEq(strategy.maxDeposit(BOB), 0);
        assertEq(strategy.maxMint(BOB), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.availableLiquidity(), 0);
        vm.startPrank(ALICE);
        vm.expectPartialRevert(ERC4626.ERC4626ExceededMaxDeposit.selector);
        strategy.deposit(UNIT, ALICE);
        vm.expectPartialRevert(ERC4626.ERC4626ExceededMaxMint.selector);
        strategy.mint(UNIT, ALICE);
        vm.expectPartialRevert(ERC4626.ERC4626ExceededMaxRedeem.selector);
        strategy.redeem(UNIT, ALICE, ALICE);
        vm.expectPartialRevert(ERC4626.ERC4626ExceededMaxWithdraw.selector);
        strategy.withdraw(UNIT, ALICE, ALICE);
        strategy.redeemInKind(UNIT, ALICE, ALICE);
        vm.stopPrank();
        oracle.setPrice(uint256(int256(price) * (1_000_000 + (up ? int256(push) : -int256(push))) / 1_000_000));
        assertGt(strategy.maxDeposit(BOB), 0, "the oracle has seen it");
        _takeAll(ALICE);
    }

    /// @dev Gamma, 2024: a deposit at a pool that was pushed by 60 %, which gave out shares at its price.
    function test_pushedFar_mintsNothing() public {
        _put(ALICE, 1_000_000 * UNIT);
        market.push(price * 160 / 100);
        asset.mint(MALLORY, 1_000_000 * UNIT);
        vm.startPrank(MALLORY);
        asset.approve(address(strategy), type(uint256).max);
        vm.expectRevert(
            abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, MALLORY, 1_000_000 * UNIT, 0)
        );
        strategy.deposit(1_000_000 * UNIT, MALLORY);
        vm.stopPrank();
    }

    /// @dev A trade of any size in front of an entry or an exit, and back behind it: it reverts, or costs within the bound.
    /// Whoever stays loses nothing, and gets fees.
    function test_sandwich(uint256 assets, uint256 size, bool up, bool out) public {
        _put(ALICE, 2_000_000 * UNIT);
        _put(BOB, 2_000_000 * UNIT);
        market.push(price);
        uint256 others = _worth(BOB);
        size = bound(size, 1_000_000 * UNIT, (size % 2 == 0 ? 20_000_000 : 300_000_000) * UNIT);
        Trader mallory = new Trader(market, pool);
        uint256 start = mallory.worth(price);
        mallory.trade(up != _tokenIsFirst(), up ? size : size * 1e36 / price);
        assets = bound(assets, UNIT, 1_000_000 * UNIT);
        asset.mint(ALICE, assets);
        uint256 cost;
        vm.startPrank(ALICE);
        asset.approve(address(strategy), assets);
        if (!out) {
            try strategy.deposit(assets, ALICE) returns (uint256 shares) {
                cost = assets - Math.min(assets, strategy.convertToAssets(shares));
            } catch {}
        } else {
            uint256 worth = strategy.convertToAssets(strategy.balanceOf(ALICE));
            try strategy.withdraw(assets, ALICE, ALICE) {
                cost = worth - assets - Math.min(worth - assets, strategy.convertToAssets(strategy.balanceOf(ALICE)));
            } catch {}
        }
        vm.stopPrank();
        mallory.push(market.sqrtPrice(price));
        assertLe(cost, assets / 100 + 2 * _unit());
        assertLe(mallory.worth(price), start + cost + _unit(), "she takes no more than that");
        assertGe(_worth(BOB) + _unit(), others);
    }

    /// @dev Bounds do not rest on what `max*` saw: a worse price than the oracle allows is refused.
    function test_tooDear_whateverThePoolAnswers() public {
        _put(ALICE, 1_000_000 * UNIT);
        (uint256 shares, uint256 worth) = (strategy.maxRedeem(ALICE), strategy.maxWithdraw(ALICE));
        asset.mint(ALICE, 10_000 * UNIT);
        vm.mockFunction(address(pool), address(new DearPool()), abi.encodeWithSelector(IUniswapV3Pool.swap.selector));
        vm.startPrank(ALICE);
        asset.approve(address(strategy), type(uint256).max);
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.TooDear.selector);
        strategy.redeem(shares, ALICE, ALICE);
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.TooDear.selector);
        strategy.withdraw(worth, ALICE, ALICE);
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.TooDear.selector);
        strategy.deposit(1000 * UNIT, ALICE);
        shares = strategy.previewDeposit(1000 * UNIT);
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.TooDear.selector);
        strategy.mint(shares, ALICE);
        vm.stopPrank();
    }

    /// @dev A pool that trades half of what it was asked for leaves the rest unpaid, or not sold.
    function test_tooDear_whereThePoolTradesAPart() public {
        _put(ALICE, 1_000_000 * UNIT);
        asset.mint(ALICE, 1000 * UNIT);
        vm.mockFunction(address(pool), address(new HalfPool()), abi.encodeWithSelector(IUniswapV3Pool.swap.selector));
        uint256 shares = strategy.balanceOf(ALICE) / 2;
        vm.startPrank(ALICE);
        asset.approve(address(strategy), type(uint256).max);
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.TooDear.selector);
        strategy.deposit(1000 * UNIT, ALICE);
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.TooDear.selector);
        strategy.redeem(shares, ALICE, ALICE);
        vm.expectPartialRevert(UniswapV3LiquidityStrategy.TooDear.selector);
        strategy.withdraw(1000 * UNIT, ALICE, ALICE);
        vm.stopPrank();
    }

    /// @dev A pool that takes every token of the leaver's part: where rounding makes that more than the shares that were promised
    /// at most, it is refused, and nobody else pays in either case.
    function test_tooDear_whereThePoolTakesAllOfThePart() public {
        _put(ALICE, 1_000_000 * UNIT);
        _put(BOB, 1_000_000 * UNIT);
        TakingPool taking = new TakingPool(token, token.balanceOf(address(strategy)));
        asset.mint(address(strategy), 1000 * UNIT); // which the pool pays
        vm.mockFunction(address(pool), address(taking), abi.encodeWithSelector(IUniswapV3Pool.swap.selector));
        uint256 bound = strategy.previewWithdraw(1000 * UNIT);
        uint256 others = _worth(BOB);
        vm.prank(ALICE);
        try strategy.withdraw(1000 * UNIT, ALICE, ALICE) returns (uint256 shares) {
            assertLe(shares, bound);
        } catch (bytes memory reason) {
            assertEq(bytes4(reason), UniswapV3LiquidityStrategy.TooDear.selector);
        }
        assertGe(_worth(BOB) + 1, others);
    }

    /// @dev Without a price nobody trades: limits are 0 and values revert. In kind there is a way out.
    function test_noPrice() public {
        _put(ALICE, 1000 * UNIT);
        _put(BOB, 500 * UNIT);
        oracle.setPrice(0);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.availableLiquidity(), 0);
        vm.expectRevert(SettableOracle.NoPrice.selector);
        strategy.totalAssets();
        vm.expectRevert(SettableOracle.NoPrice.selector);
        strategy.previewRedeem(1);
        vm.expectRevert(SettableOracle.NoPrice.selector);
        strategy.previewDeposit(1);
        vm.mockCall(address(oracle), abi.encodeCall(SettableOracle.price, ()), abi.encode(0));
        assertEq(strategy.maxRedeem(ALICE), 0, "0 is no price");
        assertEq(strategy.maxDeposit(ALICE), 0);
    }

    /// @dev Shares always pay in kind, at a pool that is anywhere and without a price.
    function test_redeemInKind(uint256 part, uint256 push) public booksCovered {
        _put(ALICE, 1000 * UNIT);
        _put(BOB, 500 * UNIT);
        market.push(price * bound(push, 100, 4000) / 1000);
        oracle.setPrice(0);
        part = bound(part, 0, strategy.balanceOf(ALICE));
        uint256 supply = strategy.totalSupply();
        uint128 held = _liquidity();
        vm.prank(ALICE);
        (uint256 assets, uint256 tokens) = strategy.redeemInKind(part, MALLORY, ALICE);
        assertEq(asset.balanceOf(MALLORY), assets);
        assertEq(token.balanceOf(MALLORY), tokens);
        assertApproxEqAbs(held - _liquidity(), held * part / (supply + 1e6), 1);
        uint256 rest = strategy.balanceOf(BOB);
        vm.prank(BOB);
        strategy.redeemInKind(rest, BOB, BOB);
        oracle.setPrice(price);
    }

    /// @dev Beyond both ends of the range it holds one token; people still enter and leave.
    function test_outOfRange(uint256 assets, bool above) public booksCovered {
        _put(ALICE, 1_000_000 * UNIT);
        _moveTo(price * (above ? 2600 : 1500) / 2000);
        assets = bound(assets, UNIT, Math.min(strategy.maxDeposit(BOB), 1_000_000 * UNIT));
        uint256 others = _worth(ALICE);
        uint256 least = strategy.previewDeposit(assets);
        assertGe(_put(BOB, assets), least);
        assertGe(_worth(ALICE) + _unit(), others);
        assertLe(_idle(), (assets + 1_000_000 * UNIT) / 1000, "all of it is in the position");
        uint256 most = strategy.maxWithdraw(BOB);
        vm.prank(BOB);
        strategy.withdraw(most / 2, BOB, BOB);
        assertGe(_takeAll(BOB) + most / 2 + _unit(), most);
        assertGe(_takeAll(ALICE) + _unit(), others);
    }

    /* LIMITS */

    /// @dev A thin pool takes and pays little, and the position itself is no depth: what leaves buys nothing.
    function test_max_thinPool() public {
        _put(ALICE, 5_000_000 * UNIT);
        _drain();
        uint256 most = strategy.maxWithdraw(ALICE);
        assertLt(most, 5_000 * UNIT);
        assertEq(strategy.availableLiquidity(), 0);
        market.provide(1_000_000 * UNIT, 100);
        most = strategy.maxWithdraw(ALICE);
        assertLt(most, 500_000 * UNIT);
        assertGt(most, 10_000 * UNIT);
        assertLt(strategy.availableLiquidity(), 500_000 * UNIT);
        assertGt(strategy.availableLiquidity(), 10_000 * UNIT);
        vm.prank(ALICE);
        strategy.withdraw(most, ALICE, ALICE);
    }

    /// @dev It says how large a position could leave now, ours or another's.
    function test_availableLiquidity_isWhatCouldLeave(uint256 depth, uint256 off) public {
        _put(ALICE, 1_000_000 * UNIT);
        _drain();
        market.provide(bound(depth, 1_000_000 * UNIT, 50_000_000 * UNIT), 100);
        _setOff(_boundOff(off));
        uint256 cash = strategy.availableLiquidity();
        uint256 worth = _worth(ALICE);
        if (worth + worth / 1000 < cash) assertEq(strategy.maxRedeem(ALICE), strategy.balanceOf(ALICE));
        if (worth > cash + cash / 1000) assertLt(strategy.maxRedeem(ALICE), strategy.balanceOf(ALICE));
        _moveTo(price * 2600 / 2000);
        assertEq(strategy.availableLiquidity(), type(uint128).max, "there is no token to sell");
    }

    /// @dev Reads stay within what the vault gives them, among as many ticks as the walk takes.
    function test_gas() public {
        for (int24 i = 1; i < 30; ++i) {
            market.provide(10_000 * UNIT, i);
        }
        _put(ALICE, 3_000_000 * UNIT);
        vm.roll(block.number + 1);
        uint256 shares = strategy.balanceOf(ALICE);
        uint256 before = gasleft();
        strategy.maxWithdraw(ALICE);
        assertLt(before - gasleft(), READ_GAS - 100_000, "with what the oracle takes");
        before = gasleft();
        strategy.availableLiquidity();
        assertLt(before - gasleft(), READ_GAS - 100_000);
        before = gasleft();
        strategy.previewRedeem(shares);
        assertLt(before - gasleft(), 150_000);
        uint256 part = strategy.maxWithdraw(ALICE) / 2;
        vm.startPrank(ALICE);
        before = gasleft();
        strategy.withdraw(part, ALICE, ALICE);
        assertLt(before - gasleft(), CALL_GAS);
        shares = strategy.balanceOf(ALICE);
        before = gasleft();
        strategy.redeem(shares, ALICE, ALICE);
        assertLt(before - gasleft(), CALL_GAS);
    }

    /* CALLS FROM OUTSIDE */

    function test_callbacks_onlyThePool_andOnlyWhileActing() public {
        _put(ALICE, 1000 * UNIT);
        address[2] memory callers = [address(this), address(pool)];
        for (uint256 i; i < callers.length; ++i) {
            vm.startPrank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(UniswapV3LiquidityStrategy.NotThePool.selector, callers[i]));
            strategy.uniswapV3SwapCallback(1, 0, "");
            vm.expectRevert(abi.encodeWithSelector(UniswapV3LiquidityStrategy.NotThePool.selector, callers[i]));
            strategy.uniswapV3MintCallback(1, 0, "");
            vm.stopPrank();
        }
    }

    /// @dev A token that calls while it moves gets in nowhere, and reads no value that is not the one before or after.
    function test_reentry() public {
        CallingToken calling;
        do {
            calling = new CallingToken(_tokenDecimals());
        } while ((address(calling) < address(asset)) != _tokenIsFirst());
        token = calling;
        market = new UniswapMarket(asset, token);
        pool = market.pool();
        market.start(price);
        market.provide(400_000_000 * UNIT, 100);
        strategy = _new(MAX_COST, MAX_DEVIATION);
        _put(BOB, 1_000_000 * UNIT);
        _trade(10_000_000 * UNIT);
        calling.listen(strategy);
        uint256[2] memory seen = [_sharePrice(), 0];
        _put(ALICE, 100_000 * UNIT);
        vm.startPrank(ALICE);
        strategy.withdraw(10_000 * UNIT, ALICE, ALICE);
        strategy.redeemInKind(strategy.balanceOf(ALICE) / 2, ALICE, ALICE);
        strategy.redeem(strategy.balanceOf(ALICE), ALICE, ALICE);
        vm.stopPrank();
        strategy.collect();
        seen[1] = _sharePrice();
        assertGt(calling.calls(), 10);
        assertEq(calling.entered(), 0, "entered");
        assertGe(calling.least(), seen[0] - seen[0] / 1e9);
        assertLe(calling.most(), seen[1] + seen[1] / 1e9);
    }

    /* UNDER THE VAULT */

    function _invest(uint256 weight) internal {
        uint256[] memory w = new uint256[](4);
        w[3] = weight;
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev Into it, a part of it out again by both ways, and all of it.
    function test_vault_inAndOut() public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        uint256 before = vault.totalAssets();
        _invest(0.5e18);
        assertGe(vault.totalAssets(), before * 9_940 / 10_000);
        vm.prank(ALICE);
        vault.withdraw(700_000 * UNIT, ALICE, ALICE);
        vault.endTransaction();
        _invest(0.2e18);
        _invest(0);
        assertEq(strategy.totalSupply(), 0);
        assertGe(vault.totalAssets(), 290_000 * UNIT);
    }

    /// @dev A leaver who pushes the pool gains nothing at the cost of those who stay.
    function test_leaverWhoPushes_costsNobody(uint256 push) public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        _deposit(MALLORY, 1_000_000 * UNIT);
        _invest(0.5e18);
        uint256 before = vault.previewRedeem(vault.balanceOf(ALICE));
        _setOff(_boundOff(push));
        uint256 most = vault.maxRedeem(MALLORY);
        vm.prank(MALLORY);
        vault.redeem(most, MALLORY, MALLORY);
        vault.endTransaction();
        assertGe(vault.previewRedeem(vault.balanceOf(ALICE)) + _unit(), before);
    }

    /// @dev The vault puts no more in than the pool could buy back within the bound.
    function test_vaultPutsNothingWhereItCouldNotGetOut() public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        _drain();
        market.provide(2_000_000 * UNIT, 100);
        uint256[] memory w = new uint256[](4);
        w[3] = 0.5e18;
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vm.expectPartialRevert(IVaultTypes.Illiquid.selector);
        vault.rebalance(request);
    }
}

/// @notice Gives a position liquidity, and fees through a loan that is paid back with more than is due.
contract Giver {
    IFullPool private immutable POOL;
    uint256 private _gift;

    constructor(IFullPool pool) {
        POOL = pool;
    }

    function give(address to, UniswapV3LiquidityStrategy.Range memory range, uint256 liquidity, uint256 fees) external {
        POOL.mint(to, range.lower, range.upper, uint128(liquidity), "");
        _gift = fees;
        POOL.flash(address(this), 1, 1, "");
    }

    function uniswapV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata) external {
        Token(POOL.token0()).mint(msg.sender, amount0);
        Token(POOL.token1()).mint(msg.sender, amount1);
    }

    function uniswapV3FlashCallback(uint256, uint256, bytes calldata) external {
        Token(POOL.token0()).mint(msg.sender, _gift);
        Token(POOL.token1()).mint(msg.sender, _gift);
    }
}

/// @notice Trades with the pool, and enters and leaves a strategy, with money of its own: an attacker's accounts.
contract Trader {
    UniswapMarket private immutable MARKET;
    IFullPool private immutable POOL;
    Token private immutable ASSET;
    Token private immutable TOKEN;

    constructor(UniswapMarket market, IFullPool pool) {
        (MARKET, POOL) = (market, pool);
        (ASSET, TOKEN) = (market.asset(), market.token());
        ASSET.mint(address(this), 1e12 * 10 ** ASSET.decimals());
        TOKEN.mint(address(this), 1e9 * 10 ** TOKEN.decimals());
    }

    function worth(uint256 price) external view returns (uint256) {
        return ASSET.balanceOf(address(this)) + TOKEN.balanceOf(address(this)) * price / 1e36;
    }

    function push(uint160 goal) external {
        (uint160 spot,) = POOL.slot0();
        if (spot != goal) POOL.swap(address(this), goal < spot, type(int128).max, goal, "");
    }

    function trade(bool zeroForOne, uint256 amount) external {
        (uint160 lowest, uint160 highest) = (TickMath.MIN_SQRT_PRICE + 1, TickMath.MAX_SQRT_PRICE - 1);
        POOL.swap(address(this), zeroForOne, int256(amount), zeroForOne ? lowest : highest, "");
    }

    function enter(UniswapV3LiquidityStrategy strategy, uint256 assets) external {
        ASSET.approve(address(strategy), type(uint256).max);
        strategy.deposit(assets, address(this));
    }

    function mint(UniswapV3LiquidityStrategy strategy, uint256 shares) external {
        ASSET.approve(address(strategy), type(uint256).max);
        strategy.mint(shares, address(this));
    }

    /// @param how By `redeem`, by `withdraw` of a part, or in kind.
    function leave(UniswapV3LiquidityStrategy strategy, uint256 how, uint256 part) external {
        if (how == 0) strategy.redeem(strategy.maxRedeem(address(this)), address(this), address(this));
        if (how == 1) {
            uint256 most = strategy.maxWithdraw(address(this));
            strategy.withdraw(most == 0 ? 0 : part % (most + 1), address(this), address(this));
        }
        if (how == 2) strategy.redeemInKind(strategy.balanceOf(address(this)), address(this), address(this));
    }

    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        if (amount0 > 0) Token(POOL.token0()).transfer(msg.sender, uint256(amount0));
        if (amount1 > 0) Token(POOL.token1()).transfer(msg.sender, uint256(amount1));
    }
}

/// @notice The code of a pool that pays nothing for what comes in, and takes all there is for what goes out.
contract DearPool {
    function swap(address, bool zeroForOne, int256 amount, uint160, bytes calldata)
        external
        pure
        returns (int256, int256)
    {
        (int256 in_, int256 out) = amount > 0 ? (amount, int256(0)) : (int256(type(int128).max), amount);
        return zeroForOne ? (in_, out) : (out, in_);
    }
}

/// @notice The code of a pool that trades half of what it is asked for.
contract HalfPool {
    function swap(address, bool zeroForOne, int256 amount, uint160, bytes calldata)
        external
        pure
        returns (int256, int256)
    {
        (int256 in_, int256 out) = amount > 0 ? (amount / 2, -amount / 2) : (-amount / 2, amount / 2);
        return zeroForOne ? (in_, out) : (out, in_);
    }
}

/// @notice The code of a pool that pays what goes out, and takes all tokens for it that its caller has beyond some.
contract TakingPool {
    Token private immutable TOKEN;
    uint256 private immutable LEFT;

    constructor(Token token, uint256 left) {
        (TOKEN, LEFT) = (token, left);
    }

    function swap(address, bool zeroForOne, int256 amount, uint160, bytes calldata)
        external
        view
        returns (int256, int256)
    {
        int256 in_ = int256(TOKEN.balanceOf(msg.sender) - LEFT);
        return zeroForOne ? (in_, amount) : (amount, in_);
    }
}

/// @notice Calls a strategy whenever it moves, and notes what it sees there.
contract CallingToken is Token {
    UniswapV3LiquidityStrategy private _strategy;
    uint256 public calls;
    uint256 public entered;
    uint256 public least = type(uint256).max;
    uint256 public most;

    constructor(uint8 decimals) Token(decimals) {}

    function listen(UniswapV3LiquidityStrategy strategy) external {
        _strategy = strategy;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (address(_strategy) == address(0)) return;
        ++calls;
        uint256 price = _strategy.convertToAssets(1e27);
        if (price < least) least = price;
        if (price > most) most = price;
        bytes[5] memory ways = [
            abi.encodeCall(ERC4626.deposit, (0, address(this))),
            abi.encodeCall(ERC4626.mint, (0, address(this))),
            abi.encodeCall(ERC4626.redeem, (0, address(this), address(this))),
            abi.encodeCall(UniswapV3LiquidityStrategy.redeemInKind, (0, address(this), address(this))),
            abi.encodeCall(UniswapV3LiquidityStrategy.collect, ())
        ];
        for (uint256 i; i < ways.length; ++i) {
            (bool ok, bytes memory answer) = address(_strategy).call(ways[i]);
            if (ok || bytes4(answer) != ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector) ++entered;
        }
    }
}

contract UniswapV3LiquidityStrategyTest6 is UniswapV3LiquidityStrategyTest {
    constructor() BaseTest(6) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return true;
    }

    function _tokenDecimals() internal pure override returns (uint8) {
        return 18;
    }
}

contract UniswapV3LiquidityStrategyTest18 is UniswapV3LiquidityStrategyTest {
    constructor() BaseTest(18) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return false;
    }

    function _tokenDecimals() internal pure override returns (uint8) {
        return 18;
    }
}

/// @notice A token of few decimals: a base unit of it is worth many of the asset's.
contract UniswapV3LiquidityStrategyCoarseTest18 is UniswapV3LiquidityStrategyTest {
    constructor() BaseTest(18) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return true;
    }

    function _tokenDecimals() internal pure override returns (uint8) {
        return 8;
    }
}

/// @notice A range of 0.5 % on each side: the pool leaves it within `MAX_DEVIATION`.
contract UniswapV3LiquidityStrategyNarrowTest6 is UniswapV3LiquidityStrategyTest {
    constructor() BaseTest(6) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return true;
    }

    function _tokenDecimals() internal pure override returns (uint8) {
        return 18;
    }

    function _ends() internal pure override returns (uint256 low, uint256 high) {
        return (1990, 2010);
    }
}

contract UniswapV3LiquidityStrategyFirstTest6 is UniswapV3LiquidityStrategyTest {
    constructor() BaseTest(6) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return false;
    }

    function _tokenDecimals() internal pure override returns (uint8) {
        return 18;
    }
}
