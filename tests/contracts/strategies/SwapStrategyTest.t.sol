// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {CompoundV2Strategy} from "../../../contracts/strategies/CompoundV2Strategy.sol";
import {IUniswapV3Pool} from "../../../contracts/interfaces/uniswap/IUniswapV3Pool.sol";
import {SwapStrategy} from "../../../contracts/strategies/SwapStrategy.sol";
import {BaseTest} from "../BaseTest.sol";
import {AgniPool} from "../mocks/AgniPool.sol";
import {SettableOracle} from "../mocks/SettableOracle.sol";
import {Token} from "../mocks/Token.sol";
import {CompoundMarket} from "../utils/CompoundMarket.sol";
import {IFullPool, UniswapMarket} from "../utils/UniswapMarket.sol";
import {StrategyTest} from "./StrategyTest.sol";

/// @notice The strategy on Uniswap's own bytecode: a token of 18 decimals at 2000, a pool of 400M within 5 % on each side.
abstract contract SwapStrategyTest is StrategyTest {
    uint256 internal constant MAX_COST = 0.003e18;

    Token internal token;
    UniswapMarket internal market;
    IFullPool internal pool;
    SettableOracle internal oracle;
    SwapStrategy internal strategy;
    CompoundMarket internal compound;
    IERC4626 internal inner;
    uint256 internal price;
    int24 internal lower;
    int24 internal upper;
    uint128 internal liquidity;

    function setUp() public override {
        super.setUp();
        do {
            token = new Token(18);
        } while ((address(token) < address(asset)) != _tokenIsFirst());
        price = 2000 * 10 ** (DECIMALS + 18);
        oracle = new SettableOracle();
        oracle.setPrice(price);
        market = new UniswapMarket(asset, token);
        pool = _poolOf(market);
        market.start(price);
        (lower, upper, liquidity) = market.provide(400_000_000 * UNIT, 100);
        if (_hasInner()) {
            compound = new CompoundMarket(token);
            compound.supply(1_000_000e18);
            inner = new CompoundV2Strategy(compound.market(), 1e6, "Inner", "INNER");
        }
        strategy = _new(MAX_COST);
    }

    function _tokenIsFirst() internal pure virtual returns (bool);

    function _hasInner() internal pure virtual returns (bool) {
        return false;
    }

    function _poolOf(UniswapMarket market_) internal virtual returns (IFullPool) {
        return market_.pool();
    }

    /* HELPERS */

    function _new(uint256 maxCost) internal returns (SwapStrategy) {
        return new SwapStrategy(asset, pool, inner, oracle, maxCost, "Swap", "sSWAP");
    }

    function _tested() internal view override returns (IERC4626) {
        return strategy;
    }

    function _holding() internal view returns (IERC20) {
        return _hasInner() ? IERC20(address(inner)) : IERC20(address(token));
    }

    /// @dev One base unit of the token, in the asset, rounded up: what rounding may cost.
    function _unit() internal view returns (uint256) {
        return price / 1e36 + 3;
    }

    /// @dev One part in ten thousand.
    function _bp(uint256 amount, uint256 points) internal pure returns (uint256) {
        return amount * points / 1e4;
    }

    modifier booksCovered() {
        _;
        assertLe(strategy.units(), _holding().balanceOf(address(strategy)), "books not covered");
        assertEq(asset.balanceOf(address(strategy)), 0, "no cash stays");
    }

    /* SET-UP */

    function test_constructor() public {
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.BadPool.selector, pool));
        new SwapStrategy(IERC20(address(oracle)), pool, inner, oracle, MAX_COST, "Swap", "sSWAP");
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.BadCost.selector, 0.0005e18, 500));
        _new(0.0005e18);
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.BadCost.selector, WAD, 500));
        _new(WAD);
        _new(0.0005e18 + 1);
        PlainInner wrong = new PlainInner(asset);
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.BadInner.selector, wrong));
        new SwapStrategy(asset, pool, wrong, oracle, MAX_COST, "Swap", "sSWAP");
        vm.mockCall(address(oracle), abi.encodeCall(SettableOracle.price, ()), abi.encode(0));
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.BadOracle.selector, oracle));
        _new(MAX_COST);

        assertEq(address(strategy.TOKEN()), address(token));
        assertEq(strategy.decimals(), _hasInner() ? 8 : 18);
        assertEq(strategy.asset(), address(asset));
        assertEq(strategy.totalAssets(), 0);
    }

    /* ACCOUNTING */

    function test_deposit_isWorthWhatWasBought(uint256 assets) public booksCovered {
        assets = bound(assets, UNIT, strategy.maxDeposit(ALICE));
        _put(BOB, 77_777 * UNIT + 7);
        assets = bound(assets, UNIT, strategy.maxDeposit(ALICE));
        uint256 others = _worth(BOB);
        uint256 least = strategy.previewDeposit(assets);

        uint256 shares = _put(ALICE, assets);
        assertGe(shares, least, "at least what was previewed");
        assertLe(shares, least + _bp(least, 31) + 1e6);
        uint256 mid = strategy.convertToAssets(shares);
        assertLe(mid, assets, "never worth more than was paid");
        assertGe(mid + 2, _bp(assets, 9970), "the cost is bounded");
        assertGe(_worth(BOB), others, "nobody else loses");
    }

    function test_mint_takesNoMoreThanItPreviews(uint256 shares) public booksCovered {
        _put(BOB, 77_777 * UNIT + 7);
        shares = bound(shares, 0, strategy.maxMint(ALICE));
        uint256 others = _worth(BOB);
        uint256 most = strategy.previewMint(shares);
        asset.mint(ALICE, most);
        vm.startPrank(ALICE);
        asset.approve(address(strategy), most);
        uint256 paid = strategy.mint(shares, ALICE);
        assertLe(paid, most);
        assertEq(asset.balanceOf(ALICE), most - paid, "the rest comes back");
        assertEq(strategy.balanceOf(ALICE), shares);
        assertLe(strategy.convertToAssets(shares), paid + 1);
        assertGe(_worth(BOB), others);
    }

    function test_withdraw_takesOnlyTheSharesItNeeds(uint256 assets) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        assets = bound(assets, 0, strategy.maxWithdraw(ALICE));
        uint256 others = _worth(BOB);
        uint256 most = strategy.previewWithdraw(assets);
        uint256 before = strategy.balanceOf(ALICE);

        vm.prank(ALICE);
        uint256 taken = strategy.withdraw(assets, MALLORY, ALICE);
        assertEq(strategy.balanceOf(ALICE), before - taken);
        assertLe(taken, most);
        assertEq(asset.balanceOf(MALLORY), assets);
        assertGe(strategy.convertToAssets(taken) + 2, assets, "no cheaper than the oracle's price");
        assertGe(_worth(BOB), others);
    }

    function test_redeem_paysWhatWasSold(uint256 shares) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        shares = bound(shares, 0, strategy.maxRedeem(ALICE));
        uint256 others = _worth(BOB);
        uint256 least = strategy.previewRedeem(shares);
        uint256 mid = strategy.convertToAssets(shares);

        vm.prank(ALICE);
        uint256 paid = strategy.redeem(shares, MALLORY, ALICE);
        assertEq(asset.balanceOf(MALLORY), paid);
        assertGe(paid, least);
        assertLe(paid, mid + 1);
        assertGe(_worth(BOB), others);
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

    /// @dev Whatever people do while prices move, the units in the books are there, and the last to leave is paid as well.
    function test_anySequence(uint256[10] memory seeds) public booksCovered {
        address[3] memory people = [ALICE, BOB, MALLORY];
        for (uint256 i; i < seeds.length; ++i) {
            address who = people[seeds[i] % 3];
            uint256 amount = uint256(keccak256(abi.encode(seeds[i])));
            uint256 moved = price * (9_900 + (amount >> 200) % 200) / 10_000;
            oracle.setPrice(moved);
            market.push(moved * (9_990 + (amount >> 180) % 20) / 10_000);
            if (seeds[i] >> 8 & 1 == 0) {
                _put(who, bound(amount, 0, 100_000 * UNIT));
            } else {
                amount = bound(amount, 0, strategy.maxWithdraw(who));
                vm.prank(who);
                strategy.withdraw(amount, who, who);
            }
        }
        for (uint256 i; i < people.length; ++i) {
            uint256 worth = _worth(people[i]);
            assertEq(strategy.maxWithdraw(people[i]), worth);
            assertGe(_takeAll(people[i]), worth);
        }
        assertEq(strategy.totalSupply(), 0);
    }

    /// @dev At the oracle's price, there and back.
    function test_convert(uint256 assets) public {
        _put(ALICE, 1000 * UNIT);
        assets = bound(assets, 0, 1_000_000 * UNIT);
        uint256 shares = strategy.convertToShares(assets);
        assertLe(strategy.convertToAssets(shares), assets);
        assertApproxEqAbs(strategy.convertToAssets(shares), assets, 2 * _unit() + assets / 1e9);
        assertGt(strategy.convertToShares(UNIT), strategy.previewDeposit(UNIT), "which is less what a trade may cost");
    }

    function test_nothing() public booksCovered {
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
        strategy.withdraw(amount, ALICE, ALICE);
        strategy.redeem(amount, ALICE, ALICE);
        vm.stopPrank();
    }

    /// @dev Tokens that are sent here move no price, so there is nothing to inflate.
    function test_giftsCountForNothing(uint256 seed, uint256 gift, uint256 victim) public {
        seed = bound(seed, UNIT / 100, UNIT);
        victim = bound(victim, UNIT, 1_000_000 * UNIT);
        gift = bound(gift, 1, 1_000_000e18);
        _put(MALLORY, seed);
        uint256 before = strategy.convertToAssets(1e27);
        token.mint(address(strategy), gift);
        if (_hasInner()) {
            token.mint(MALLORY, gift);
            vm.startPrank(MALLORY);
            token.approve(address(inner), gift);
            inner.deposit(gift, address(strategy));
            vm.stopPrank();
        }
        asset.mint(address(strategy), 1000 * UNIT);
        assertApproxEqRel(strategy.convertToAssets(1e27), before, 1e10);
        _put(ALICE, victim);
        assertGe(strategy.convertToAssets(strategy.balanceOf(ALICE)) + 2, _bp(victim, 9970));
    }

    /// @dev What is gone is gone for every holder alike; what comes later is not eaten by the hole.
    function test_lostUnits(uint256 lost) public {
        _put(ALICE, 60_000 * UNIT);
        _put(BOB, 30_000 * UNIT);
        uint256 held = strategy.units();
        lost = bound(lost, 1, held * 98 / 100);
        IERC20 holding = _holding();
        vm.prank(address(strategy));
        holding.transfer(MALLORY, lost);
        assertEq(strategy.units(), held - lost);
        assertApproxEqRel(_worth(ALICE), 2 * _worth(BOB), 0.003e18);
        uint256 worth = _worth(ALICE);
        _put(MALLORY, 1000 * UNIT);
        assertApproxEqAbs(_worth(ALICE), worth, _unit());
        vm.prank(MALLORY);
        holding.transfer(address(strategy), lost);
        assertApproxEqAbs(_worth(ALICE), worth, _unit(), "written off");
    }

    /* THE PRICE */

    /// @dev The oracle's price and nothing else: a trade of 80M through the pool moves no value (at the pool's it was 12.8 %).
    function test_value_isNotThePools() public {
        _put(ALICE, 1_000_000 * UNIT);
        uint256 mid = strategy.totalAssets();
        uint256 bid = _worth(ALICE);
        market.trade(true, 80_000_000 * UNIT);
        assertEq(strategy.totalAssets(), mid);
        assertEq(_worth(ALICE), bid);
        assertApproxEqAbs(bid, mid * (WAD - MAX_COST) / WAD, _unit());
        oracle.setPrice(price * 11 / 10);
        assertApproxEqAbs(strategy.totalAssets(), mid * 11 / 10, 2);
    }

    /// @dev Entering is bounded: a pool that was pushed up in front sells nothing beyond `MAX_COST`.
    function test_deposit_behindAPush(uint256 push) public {
        push = bound(push, 1, 500);
        market.push(price * (10_000 + push) / 10_000);
        uint256 most = strategy.maxDeposit(ALICE);
        if (push >= 26) assertEq(most, 0, "the fee and 25 bp are what may be lost");
        if (most == 0) return;
        uint256 shares = _put(ALICE, most);
        assertGe(strategy.convertToAssets(shares) + 2, most * (WAD - MAX_COST) / WAD);
    }

    /// @dev A pool that sells far under the oracle's price may know more than the oracle.
    function test_deposit_intoADepeg(uint256 fall) public {
        fall = bound(fall, 31, 450);
        _put(ALICE, 1000 * UNIT);
        market.push(price * (10_000 - fall) / 10_000);
        assertEq(strategy.maxDeposit(BOB), 0);
        assertEq(strategy.maxMint(BOB), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0, "nor is it sold for that");
        oracle.setPrice(price * (10_000 - fall) / 10_000);
        assertGt(strategy.maxDeposit(BOB), 0, "the oracle has seen it");
        _takeAll(ALICE);
    }

    /// @dev Leaving is bounded: a pool that was pushed down in front buys nothing beyond `MAX_COST`.
    function test_redeem_behindAPush(uint256 push) public {
        push = bound(push, 1, 500);
        _put(ALICE, 1_000_000 * UNIT);
        market.push(price * (10_000 - push) / 10_000);
        uint256 most = strategy.maxRedeem(ALICE);
        if (push >= 26) assertEq(most, 0);
        if (most == 0) return;
        uint256 least = strategy.previewRedeem(most);
        vm.prank(ALICE);
        assertGe(strategy.redeem(most, ALICE, ALICE), least);
    }

    /// @dev A pool that takes nothing and pays nothing has not traded.
    function test_poolThatDoesNothing() public {
        _put(ALICE, 1_000_000 * UNIT);
        uint256 most = strategy.maxDeposit(BOB);
        uint256 out = strategy.maxRedeem(ALICE);
        vm.mockCall(address(pool), abi.encodeWithSelector(IUniswapV3Pool.swap.selector), abi.encode(0, 0));
        asset.mint(BOB, most);
        vm.startPrank(BOB);
        asset.approve(address(strategy), most);
        vm.expectPartialRevert(SwapStrategy.TooDear.selector);
        strategy.deposit(most, BOB);
        vm.stopPrank();
        vm.prank(ALICE);
        vm.expectPartialRevert(SwapStrategy.TooDear.selector);
        strategy.redeem(out, ALICE, ALICE);
    }

    /// @dev Bounds do not rest on what `max*` saw: a worse price than the oracle allows is refused.
    function test_tooDear_whateverThePoolAnswers(uint256 less) public {
        less = bound(less, 0.004e18, 0.9e18);
        _put(ALICE, 1_000_000 * UNIT);
        uint256 shares = strategy.balanceOf(ALICE) / 10;
        uint256 bid = strategy.previewRedeem(shares);
        _mockSwap(shares, bid - bid * less / WAD);
        vm.startPrank(ALICE);
        vm.expectPartialRevert(SwapStrategy.TooDear.selector);
        strategy.redeem(shares, ALICE, ALICE);
        uint256 sold = 100 * UNIT * 1e36 / price;
        _mockSwap(sold + sold * less / WAD, 100 * UNIT);
        vm.expectPartialRevert(SwapStrategy.TooDear.selector);
        strategy.withdraw(100 * UNIT, ALICE, ALICE);
        asset.mint(ALICE, 1000 * UNIT);
        asset.approve(address(strategy), 1000 * UNIT);
        _mockBuy(100 * UNIT, sold - sold * less / WAD);
        vm.expectPartialRevert(SwapStrategy.TooDear.selector);
        strategy.deposit(100 * UNIT, ALICE);
        uint256 bound_ = strategy.previewMint(shares);
        asset.mint(ALICE, bound_);
        asset.approve(address(strategy), bound_);
        _mockBuy(bound_ + 1, shares);
        vm.expectPartialRevert(SwapStrategy.TooDear.selector);
        strategy.mint(shares, ALICE);
    }

    function _mockSwap(uint256 tokens, uint256 assets) internal {
        _mock(int256(tokens), -int256(assets));
    }

    function _mockBuy(uint256 assets, uint256 tokens) internal {
        _mock(-int256(tokens), int256(assets));
    }

    /// @dev With an inner vault shares are no tokens, and the answer is refused for a wrong amount.
    function _mock(int256 ofToken, int256 ofAsset) internal {
        (int256 amount0, int256 amount1) = _tokenIsFirst() ? (ofToken, ofAsset) : (ofAsset, ofToken);
        vm.mockCall(address(pool), abi.encodeWithSelector(IUniswapV3Pool.swap.selector), abi.encode(amount0, amount1));
    }

    /// @dev Without a price nobody trades: limits are 0 and values revert.
    function test_noPrice() public {
        _put(ALICE, 1000 * UNIT);
        oracle.setPrice(0);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.availableLiquidity(), 0);
        vm.expectRevert(SettableOracle.NoPrice.selector);
        strategy.totalAssets();
        vm.mockCall(address(oracle), abi.encodeCall(SettableOracle.price, ()), abi.encode(0));
        assertEq(strategy.maxRedeem(ALICE), 0, "0 is no price");
    }

    /// @dev Shares always pay in kind, with neither a price nor a pool.
    function test_redeemInKind(uint256 part) public {
        _put(ALICE, 1000 * UNIT);
        _put(BOB, 500 * UNIT);
        oracle.setPrice(0);
        vm.etch(address(pool), "");
        part = bound(part, 0, strategy.balanceOf(ALICE));
        uint256 held = strategy.units();
        uint256 supply = strategy.totalSupply();
        vm.prank(ALICE);
        uint256 taken = strategy.redeemInKind(part, MALLORY, ALICE);
        assertApproxEqAbs(taken, held * part / supply, 1);
        assertEq(_holding().balanceOf(MALLORY), taken);
        assertEq(strategy.units(), held - taken);
        uint256 rest = strategy.balanceOf(BOB);
        vm.prank(BOB);
        strategy.redeemInKind(rest, BOB, BOB);
    }

    /* LIMITS */

    /// @dev `max*` follow the pool's depth, and what they allow goes through; beyond, it is refused.
    function test_max_isAccepted(uint256 off, bool out) public booksCovered {
        _put(ALICE, 5_000_000 * UNIT);
        market.push(price * (9_980 + bound(off, 0, 40)) / 10_000);
        if (!out) {
            uint256 most = strategy.maxDeposit(BOB);
            vm.startPrank(BOB);
            vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, BOB, most + 1, most));
            strategy.deposit(most + 1, BOB);
            uint256 shares = strategy.maxMint(BOB);
            vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxMint.selector, BOB, shares + 1, shares));
            strategy.mint(shares + 1, BOB);
            vm.stopPrank();
            _put(BOB, most);
            assertLe(strategy.maxDeposit(BOB), most / 1000 + 10, "the pool is used up");
        } else {
            uint256 most = strategy.maxRedeem(ALICE);
            uint256 worth = strategy.maxWithdraw(ALICE);
            vm.startPrank(ALICE);
            vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxRedeem.selector, ALICE, most + 1, most));
            strategy.redeem(most + 1, ALICE, ALICE);
            vm.expectRevert(
                abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxWithdraw.selector, ALICE, worth + 1, worth)
            );
            strategy.withdraw(worth + 1, ALICE, ALICE);
            strategy.redeem(most, ALICE, ALICE);
        }
    }

    /// @dev A thin pool takes and pays little.
    function test_max_thinPool() public {
        _put(ALICE, 1_000_000 * UNIT);
        market.remove(lower, upper, liquidity - liquidity / 1000);
        assertLt(strategy.maxDeposit(ALICE), 50_000 * UNIT);
        assertLt(strategy.maxWithdraw(ALICE), 50_000 * UNIT);
        assertLt(strategy.availableLiquidity(), 50_000 * UNIT);
        assertGt(strategy.availableLiquidity(), 0);
    }

    /// @dev A pool without any liquidity within the bound.
    function test_max_emptyPool() public {
        _put(ALICE, 1_000_000 * UNIT);
        market.remove(lower, upper, liquidity);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
    }

    /* THE POOL'S CALL */

    function test_callback_onlyThePool_andOnlyWhileTrading() public {
        _put(ALICE, 1000 * UNIT);
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.NotThePool.selector, address(this)));
        strategy.uniswapV3SwapCallback(1, 0, "");
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.NotThePool.selector, address(this)));
        strategy.agniSwapCallback(1, 0, "");
        vm.startPrank(address(pool));
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.NotThePool.selector, pool));
        strategy.uniswapV3SwapCallback(1, 0, "");
        vm.expectRevert(abi.encodeWithSelector(SwapStrategy.NotThePool.selector, pool));
        strategy.agniSwapCallback(1, 0, "");
    }

    /* UNDER THE VAULT */

    /// @dev A leaver who pushes the pool gains nothing at the cost of those who stay.
    function test_leaverWhoPushes_costsNobody(uint256 push) public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        _deposit(MALLORY, 1_000_000 * UNIT);
        uint256[] memory w = new uint256[](4);
        w[3] = 0.5e18;
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vault.rebalance(request);
        uint256 before = vault.previewRedeem(vault.balanceOf(ALICE));
        market.push(price * (10_000 - bound(push, 0, 24)) / 10_000);
        uint256 most = vault.maxRedeem(MALLORY);
        vm.prank(MALLORY);
        vault.redeem(most, MALLORY, MALLORY);
        vault.endTransaction();
        assertGe(vault.previewRedeem(vault.balanceOf(ALICE)) + 3, before);
    }

    /// @dev The vault puts no more in than the pool could buy back within the bound.
    function test_vaultPutsNothingWhereItCouldNotGetOut() public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        market.remove(lower, upper, liquidity - liquidity / 40);
        uint256[] memory w = new uint256[](4);
        w[3] = 0.5e18;
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vm.expectPartialRevert(IVaultTypes.Illiquid.selector);
        vault.rebalance(request);
    }
}

contract PlainInner is ERC4626 {
    constructor(IERC20 asset_) ERC4626(asset_) ERC20("Inner", "INNER") {}
}

contract SwapStrategyTest6 is SwapStrategyTest {
    constructor() BaseTest(6) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return true;
    }
}

contract SwapStrategyTest18 is SwapStrategyTest {
    constructor() BaseTest(18) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return false;
    }
}

/// @notice The pool is one of Agni's.
contract SwapStrategyAgniTest6 is SwapStrategyTest {
    constructor() BaseTest(6) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return true;
    }

    function _poolOf(UniswapMarket market_) internal override returns (IFullPool) {
        return IFullPool(address(new AgniPool(market_.pool())));
    }
}

/// @notice The token is put into a Compound V2 market, through the strategy over it.
contract SwapStrategyInnerTest6 is SwapStrategyTest {
    constructor() BaseTest(6) {}

    function _tokenIsFirst() internal pure override returns (bool) {
        return false;
    }

    function _hasInner() internal pure override returns (bool) {
        return true;
    }

    /// @dev The inner vault's interest is the strategy's.
    function test_interestOfTheInnerVault() public {
        _put(ALICE, 1_000_000 * UNIT);
        compound.borrow(900_000e18);
        uint256 before = strategy.totalAssets();
        vm.roll(block.number + 10_000_000);
        assertGt(strategy.totalAssets(), before * 101 / 100);
    }

    /// @dev What the inner vault takes and pays bounds what this one does.
    function test_max_followTheInnerVault() public {
        _put(ALICE, 1_000_000 * UNIT);
        compound.setSupplyCap(compound.market().totalSupply() * compound.market().exchangeRateStored() / WAD + 10e18);
        assertApproxEqRel(strategy.maxDeposit(ALICE), 20_000 * UNIT * (WAD - MAX_COST) / WAD, 1e15);
        _put(BOB, strategy.maxDeposit(BOB));
        compound.setMintPaused(true);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertGt(strategy.maxRedeem(ALICE), 0);
        uint256 cash = compound.market().getCash();
        compound.borrow(cash - 50e18);
        assertApproxEqRel(strategy.maxWithdraw(ALICE), 100_000 * UNIT * (WAD - MAX_COST) / WAD, 1e15);
        assertApproxEqRel(strategy.availableLiquidity(), 100_000 * UNIT * (WAD - MAX_COST) / WAD, 1e15);
        uint256 most = strategy.maxWithdraw(ALICE);
        vm.prank(ALICE);
        strategy.withdraw(most, ALICE, ALICE);
        compound.setRedeemPaused(true);
        assertEq(strategy.maxRedeem(ALICE), 0);
    }

    /// @dev Limits do not revert where the inner vault has no price; values do.
    function test_innerVaultWithoutAPrice() public {
        _put(ALICE, 1_000_000 * UNIT);
        compound.setAbsurdRates();
        compound.borrow(1e18);
        vm.roll(block.number + 1);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.availableLiquidity(), 0);
        vm.expectPartialRevert(CompoundV2Strategy.MarketDoesNotAccrue.selector);
        strategy.totalAssets();
        uint256 shares = strategy.balanceOf(ALICE);
        vm.prank(ALICE);
        assertEq(strategy.redeemInKind(shares, ALICE, ALICE), inner.balanceOf(ALICE), "there is a way out");
    }
}
