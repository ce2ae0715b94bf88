// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IOracle} from "../../../contracts/interfaces/IOracle.sol";
import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {IAggregator} from "../../../contracts/interfaces/chainlink/IAggregator.sol";
import {ChainlinkOracle} from "../../../contracts/oracles/ChainlinkOracle.sol";
import {StandInFeed} from "../../../contracts/standins/StandInFeed.sol";
import {StablePoolStrategy} from "../../../contracts/strategies/StablePoolStrategy.sol";
import {BaseTest} from "../BaseTest.sol";
import {HookToken, ReenteringDepositor} from "../mocks/HookToken.sol";
import {SettableOracle} from "../mocks/SettableOracle.sol";
import {Token} from "../mocks/Token.sol";
import {StrategyTest} from "./StrategyTest.sol";

/// @notice What holds over every kind of stable pool: one of 5M of each of three coins of unlike decimals, and the asset is
/// one.
abstract contract StablePoolStrategyTest is StrategyTest {
    uint256 internal constant MAX_COST = 0.005e18;
    uint256 internal constant MAX_GROWTH = 0.1e18;
    uint256 internal constant COINS = 3;

    Token[COINS] internal coins;
    SettableOracle[COINS] internal oracles;
    StablePoolStrategy internal strategy;
    /// @dev Of the asset among the coins; the others are in the order of the pool.
    uint256 internal own;

    function setUp() public virtual override {
        super.setUp();
        _start();
        vm.warp(block.timestamp + 5 days); // the rate may have grown by 0.14 %: its bound does not hide what moves it
    }

    /// @dev A pool of the asset, and the strategy over it.
    function _start() internal {
        coins[0] = asset;
        coins[1] = new Token(18);
        coins[2] = new Token(8);
        _sort();
        for (uint256 i; i < COINS; ++i) {
            oracles[i] = new SettableOracle();
            _setPrice(i, 1e18);
        }
        uint256[] memory amounts = new uint256[](COINS);
        for (uint256 i; i < COINS; ++i) {
            amounts[i] = _whole(i, 5_000_000);
        }
        _newPool(amounts);
        strategy = _new(MAX_COST, _oracles());
    }

    function _sort() private {
        for (uint256 i; i < COINS; ++i) {
            for (uint256 j = i + 1; j < COINS; ++j) {
                if (coins[j] < coins[i]) (coins[i], coins[j]) = (coins[j], coins[i]);
            }
        }
        own = 0;
        while (coins[own] != asset) ++own;
    }

    /* A KIND OF POOL */

    function _newPool(uint256[] memory amounts) internal virtual;

    function _new(uint256 maxCost, IOracle[] memory oracles_) internal virtual returns (StablePoolStrategy);

    /// @dev An outsider sells an amount of one coin for another.
    function _trade(uint256 paid, uint256 received, uint256 amount) internal virtual returns (uint256);

    /// @dev An outsider puts one coin in.
    function _join(uint256 coin, uint256 amount) internal virtual returns (uint256 tokens);

    function _pause() internal virtual;

    function _canPause() internal pure virtual returns (bool) {
        return true;
    }

    /// @dev Makes the pool answer without doing anything.
    function _mute() internal virtual;

    function _pool() internal view virtual returns (address);

    /// @dev The call that answers the rate.
    function _rateQuestion() internal view virtual returns (bytes memory);

    /* HELPERS */

    function _tested() internal view override returns (IERC4626) {
        return strategy;
    }

    /// @dev Of the other coins, in the pool's order.
    function _oracles() internal view returns (IOracle[] memory others) {
        others = new IOracle[](COINS - 1);
        uint256 count;
        for (uint256 i; i < COINS; ++i) {
            if (i != own) others[count++] = oracles[i];
        }
    }

    function _setPrice(uint256 coin, uint256 parity) internal {
        oracles[coin].setPrice(parity * 10 ** (18 + DECIMALS) / 10 ** coins[coin].decimals());
    }

    function _whole(uint256 coin, uint256 amount) internal view returns (uint256) {
        return amount * 10 ** coins[coin].decimals();
    }

    /// @dev Another coin than the asset.
    function _other() internal view returns (uint256) {
        return (own + 1) % COINS;
    }

    function _bp(uint256 amount, uint256 points) internal pure returns (uint256) {
        return amount * points / 1e4;
    }

    /// @dev What rounding may cost: a base unit or two, or what the pool's own rounding may cost.
    function _unit() internal view returns (uint256) {
        return 3 + UNIT / 1e7;
    }

    modifier booksCovered() {
        _;
        assertLe(strategy.units(), strategy.TOKEN().balanceOf(address(strategy)), "books not covered");
        assertLe(asset.balanceOf(address(strategy)), UNIT / 2e8, "no cash stays but dust");
    }

    /* SET-UP */

    function test_constructor__bad_arguments__refused() public {
        IOracle[] memory good = _oracles();
        vm.expectRevert(abi.encodeWithSelector(StablePoolStrategy.BadCost.selector, 0));
        _new(0, good);
        vm.expectRevert(abi.encodeWithSelector(StablePoolStrategy.BadCost.selector, WAD));
        _new(WAD, good);
        IOracle[] memory fewer = new IOracle[](COINS - 2);
        fewer[0] = good[0];
        vm.expectPartialRevert(StablePoolStrategy.BadPool.selector);
        _new(MAX_COST, fewer);
        vm.expectRevert();
        _new(MAX_COST, new IOracle[](COINS));
        _setPrice(_other(), 1.006e18);
        vm.expectRevert(abi.encodeWithSelector(StablePoolStrategy.BadOracle.selector, oracles[_other()]));
        _new(MAX_COST, good);
        _setPrice(_other(), 0.994e18);
        vm.expectRevert(abi.encodeWithSelector(StablePoolStrategy.BadOracle.selector, oracles[_other()]));
        _new(MAX_COST, good);
        _setPrice(_other(), 0.995e18);
        _new(MAX_COST, good);
    }

    /// @dev Rounding is known in 18 decimals; a pool that is empty has no rate to begin with.
    function test_constructor__a_token_or_a_rate_that_is_odd__refused() public {
        IOracle[] memory good = _oracles();
        vm.mockCall(address(strategy.TOKEN()), abi.encodeCall(IERC20Metadata.decimals, ()), abi.encode(17));
        vm.expectPartialRevert(StablePoolStrategy.BadPool.selector);
        _new(MAX_COST, good);
        vm.clearMockedCalls();
        vm.mockCall(_pool(), _rateQuestion(), abi.encode(0));
        vm.expectPartialRevert(StablePoolStrategy.BadPool.selector);
        _new(MAX_COST, good);
    }

    function test_constructor__a_pool_without_the_asset__refused() public {
        asset = new Token(DECIMALS);
        vm.expectPartialRevert(StablePoolStrategy.BadPool.selector);
        _new(MAX_COST, _oracles());
    }

    function test_new__nothing_in_it__is_worth_nothing() public view {
        assertEq(strategy.decimals(), 18);
        assertEq(strategy.asset(), address(asset));
        assertEq(strategy.totalAssets(), 0);
        assertApproxEqRel(strategy.price(), 10 ** (18 + DECIMALS), 1e6);
        for (uint256 i; i < COINS - 1; ++i) {
            (IOracle oracle, uint8 decimals) = strategy.feeds(i);
            assertEq(address(oracle), address(_oracles()[i]));
            assertEq(decimals, coins[i < own ? i : i + 1].decimals());
        }
    }

    /* ACCOUNTING */

    function testFuzz_deposit__any_amount__is_worth_what_was_bought(uint256 assets) public booksCovered {
        _put(BOB, 77_777 * UNIT + 7);
        assets = bound(assets, UNIT, strategy.maxDeposit(ALICE));
        uint256 others = _worth(BOB);
        uint256 least = strategy.previewDeposit(assets);
        uint256 shares = _put(ALICE, assets);
        assertGe(shares, least, "at least what was previewed");
        uint256 mid = strategy.convertToAssets(shares);
        assertLe(mid, assets, "a balanced pool gives no bonus");
        assertGe(mid + _unit(), assets * (WAD - MAX_COST) / WAD, "the cost is bounded");
        assertGe(_worth(BOB), others, "nobody else loses");
    }

    function testFuzz_mint__any_number__costs_what_was_previewed(uint256 shares) public booksCovered {
        _put(BOB, 77_777 * UNIT + 7);
        shares = bound(shares, 0, strategy.maxMint(ALICE));
        uint256 others = _worth(BOB);
        uint256 most = strategy.previewMint(shares);
        asset.mint(ALICE, most);
        vm.startPrank(ALICE);
        asset.approve(address(strategy), most);
        assertEq(strategy.mint(shares, ALICE), most);
        assertEq(strategy.balanceOf(ALICE), shares);
        uint256 back = strategy.TOKEN().balanceOf(ALICE) * strategy.price() / 1e36;
        assertGe(strategy.convertToAssets(shares) + back + _unit(), most * (WAD - MAX_COST) / WAD, "the rest is back");
        assertEq(strategy.TOKEN().balanceOf(address(strategy)), strategy.units(), "all of it");
        assertGe(_worth(BOB), others);
    }

    function testFuzz_withdraw__any_amount__takes_only_the_shares_it_needs(uint256 assets) public booksCovered {
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
        assertGe(_worth(BOB), others);
    }

    function testFuzz_redeem__any_number__pays_what_was_sold(uint256 shares) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        shares = bound(shares, 0, strategy.maxRedeem(ALICE));
        uint256 others = _worth(BOB);
        uint256 least = strategy.previewRedeem(shares);
        vm.prank(ALICE);
        uint256 paid = strategy.redeem(shares, MALLORY, ALICE);
        assertEq(asset.balanceOf(MALLORY), paid);
        assertGe(paid, least);
        assertLe(paid, strategy.convertToAssets(shares) + 1 + 130_000 * UNIT / 1e4);
        assertGe(_worth(BOB), others);
    }

    /// @dev Somebody else's shares need an allowance.
    function test_leave__without_an_allowance__refused() public {
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

    /// @dev More than one has, and it is others' that would be taken.
    function test_leave__more_than_one_has__refused() public {
        uint256 shares = _put(ALICE, 1000 * UNIT);
        _put(BOB, 5000 * UNIT);
        vm.startPrank(ALICE);
        vm.expectRevert();
        strategy.redeem(shares + 1, ALICE, ALICE);
        vm.expectRevert();
        strategy.withdraw(1100 * UNIT, ALICE, ALICE);
        vm.expectRevert();
        strategy.redeemInKind(shares + 1, ALICE, ALICE);
    }

    /// @dev Whatever people do while feeds and the pool move, the tokens in the books are there, and the last is paid as
    /// well.
    function testFuzz_any_sequence__the_last_is_paid_as_well(uint256[10] memory seeds) public booksCovered {
        address[3] memory people = [ALICE, BOB, MALLORY];
        for (uint256 i; i < seeds.length; ++i) {
            address who = people[seeds[i] % 3];
            uint256 amount = uint256(keccak256(abi.encode(seeds[i])));
            _setPrice(_other(), 0.999e18 + amount % 0.002e18);
            _trade(
                (amount >> 200) % COINS,
                ((amount >> 200) + 1) % COINS,
                _whole((amount >> 200) % COINS, 1 + amount % 9000)
            );
            if (seeds[i] >> 8 & 1 == 0) {
                amount = bound(amount, 0, 100_000 * UNIT);
                if (amount <= strategy.maxDeposit(who)) _put(who, amount);
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

    function testFuzz_convert__there_and_back__gains_nothing(uint256 assets) public {
        _put(ALICE, 1000 * UNIT);
        assets = bound(assets, 0, 1_000_000 * UNIT);
        uint256 shares = strategy.convertToShares(assets);
        assertLe(strategy.convertToAssets(shares), assets);
        assertApproxEqAbs(strategy.convertToAssets(shares), assets, _unit());
        assertGt(strategy.convertToShares(UNIT), strategy.previewDeposit(UNIT), "which is less what entering may cost");
    }

    /// @dev Whatever the feeds say, whoever leaves gets what the tokens brought.
    function test_redeem__at_a_price_of_almost_nothing__pays_what_was_sold() public {
        uint256 shares = _put(ALICE, 1000 * UNIT);
        oracles[_other()].setPrice(10 ** (18 + DECIMALS) / 10 ** coins[_other()].decimals());
        assertLt(_worth(ALICE), 1000);
        vm.prank(ALICE);
        assertApproxEqRel(strategy.redeem(shares, ALICE, ALICE), 1000 * UNIT, 0.002e18);
    }

    function test_nothing__goes_in_and_out() public booksCovered {
        _put(ALICE, 1000 * UNIT);
        vm.startPrank(ALICE);
        strategy.deposit(0, ALICE);
        strategy.mint(0, ALICE);
        strategy.withdraw(0, ALICE, ALICE);
        strategy.redeem(0, ALICE, ALICE);
        vm.stopPrank();
        assertEq(strategy.maxWithdraw(BOB), 0);
    }

    /// @dev Amounts of a few base units still go in and out, though the pool itself may refuse them.
    function testFuzz_dust__goes_in_and_out(uint256 amount) public {
        amount = bound(amount, 1, 1000);
        _put(ALICE, amount);
        _put(ALICE, 1000 * UNIT);
        vm.startPrank(ALICE);
        strategy.withdraw(amount, ALICE, ALICE);
        strategy.redeem(amount, ALICE, ALICE);
    }

    /// @dev What is gone is gone for every holder alike; what comes later is not eaten by the hole.
    function testFuzz_lost_units__all_holders_lose_alike(uint256 lost) public {
        _put(ALICE, 60_000 * UNIT);
        _put(BOB, 30_000 * UNIT);
        uint256 held = strategy.units();
        lost = bound(lost, 1, held * 98 / 100);
        IERC20 token = strategy.TOKEN();
        vm.prank(address(strategy));
        token.transfer(MALLORY, lost);
        assertEq(strategy.units(), held - lost);
        assertApproxEqRel(_worth(ALICE), 2 * _worth(BOB), 0.003e18);
        uint256 worth = _worth(ALICE);
        _put(MALLORY, 1000 * UNIT);
        assertApproxEqRel(_worth(ALICE), worth, 1e12);
        vm.prank(MALLORY);
        token.transfer(address(strategy), lost);
        assertApproxEqRel(_worth(ALICE), worth, 1e12, "written off");
    }

    /// @dev Shares always pay in kind, with neither oracles nor a pool.
    function testFuzz_redeemInKind__no_oracle_and_no_pool__pays(uint256 part) public {
        _put(ALICE, 1000 * UNIT);
        _put(BOB, 500 * UNIT);
        for (uint256 i; i < COINS; ++i) {
            oracles[i].setPrice(0);
        }
        _pause();
        part = bound(part, 0, strategy.balanceOf(ALICE));
        uint256 held = strategy.units();
        uint256 supply = strategy.totalSupply();
        vm.prank(ALICE);
        uint256 taken = strategy.redeemInKind(part, MALLORY, ALICE);
        assertApproxEqAbs(taken, held * part / supply, 1);
        assertEq(strategy.TOKEN().balanceOf(MALLORY), taken);
        assertEq(strategy.units(), held - taken);
        uint256 rest = strategy.balanceOf(BOB);
        vm.prank(BOB);
        strategy.redeemInKind(rest, BOB, BOB);
    }

    /* THE PRICE */

    /// @dev Harvest, 2020-10-26: 5.5M through a pool of 15M halves what one coin's exit pays, and the rate moves by 0.014
    /// %.
    function test_value__a_flash_swap__moves_by_the_fees_alone() public {
        _put(ALICE, 1_000_000 * UNIT);
        uint256 mid = strategy.totalAssets();
        uint256 bid = _worth(ALICE);
        uint256 back = _trade(own, _other(), _whole(own, 5_500_000));
        assertGe(strategy.totalAssets(), mid);
        assertLe(strategy.totalAssets(), mid + mid * 2 / 10_000);
        assertLe(_worth(ALICE), bid + mid * 2 / 10_000);
        _trade(_other(), own, back);
        _trade(_other(), own, _whole(_other(), 5_500_000));
        assertGe(_worth(ALICE), bid);
        assertLe(_worth(ALICE), bid + mid * 6 / 10_000);
    }

    /// @dev What a flash swap leaves behind cannot be entered at, or left at, for more than `MAX_COST`.
    function testFuzz_push__in_front__costs_at_most_the_bound(uint256 amount, bool up) public {
        amount = bound(amount, 1, 4_900_000);
        _put(BOB, 500_000 * UNIT);
        _trade(up ? own : _other(), up ? _other() : own, _whole(up ? own : _other(), amount));
        uint256 most = strategy.maxDeposit(ALICE);
        if (most != 0) {
            uint256 shares = _put(ALICE, most);
            assertGe(strategy.convertToAssets(shares) + _unit(), most * (WAD - MAX_COST) / WAD);
        }
        most = strategy.maxRedeem(BOB);
        if (most != 0) {
            uint256 least = strategy.previewRedeem(most);
            vm.prank(BOB);
            assertGe(strategy.redeem(most, BOB, BOB), least);
        }
    }

    /// @dev Bounds do not rest on what `max*` saw.
    function test_push__beyond_the_bound__refused() public {
        _put(BOB, 500_000 * UNIT);
        _trade(own, _other(), _whole(own, 4_900_000));
        asset.mint(ALICE, 500_000 * UNIT);
        vm.startPrank(ALICE);
        asset.approve(address(strategy), 500_000 * UNIT);
        vm.expectPartialRevert(StablePoolStrategy.TooDear.selector);
        strategy.deposit(500_000 * UNIT, ALICE);
        vm.stopPrank();
        _trade(_other(), own, _whole(_other(), 9_800_000));
        uint256 shares = strategy.balanceOf(BOB);
        vm.startPrank(BOB);
        vm.expectPartialRevert(StablePoolStrategy.TooDear.selector);
        strategy.redeem(shares, BOB, BOB);
        vm.expectRevert();
        strategy.withdraw(400_000 * UNIT, BOB, BOB);
    }

    /// @dev A pool that takes nothing and pays nothing has not traded, whatever it answers.
    function test_pool_that_does_nothing__refused() public {
        _put(ALICE, 1000 * UNIT);
        _mute();
        asset.mint(BOB, 1000 * UNIT);
        vm.startPrank(BOB);
        asset.approve(address(strategy), 1000 * UNIT);
        vm.expectPartialRevert(StablePoolStrategy.TooDear.selector);
        strategy.deposit(1000 * UNIT, BOB);
        vm.stopPrank();
        uint256 shares = strategy.balanceOf(ALICE);
        vm.startPrank(ALICE);
        vm.expectPartialRevert(StablePoolStrategy.TooDear.selector);
        strategy.redeem(shares, ALICE, ALICE);
        vm.expectPartialRevert(StablePoolStrategy.TooDear.selector);
        strategy.withdraw(UNIT, ALICE, ALICE);
    }

    /// @dev The rate is blind for a depeg: the value follows the cheapest coin's feed.
    function testFuzz_depeg__value_follows_the_cheapest_coin(uint256 parity) public {
        parity = bound(parity, 0.5e18, 1.2e18);
        _put(ALICE, 100_000 * UNIT);
        uint256 mid = strategy.totalAssets();
        _setPrice(_other(), parity);
        if (parity >= WAD) assertEq(strategy.totalAssets(), mid, "a dear coin lifts nothing");
        else assertApproxEqAbs(strategy.totalAssets(), mid * parity / WAD, _unit());
        if (parity < WAD - MAX_COST) {
            assertEq(strategy.maxDeposit(BOB), 0);
            assertEq(strategy.maxMint(BOB), 0);
            asset.mint(BOB, UNIT);
            vm.startPrank(BOB);
            asset.approve(address(strategy), UNIT);
            vm.expectPartialRevert(StablePoolStrategy.Depegged.selector);
            strategy.deposit(UNIT, BOB);
            vm.expectPartialRevert(StablePoolStrategy.Depegged.selector);
            strategy.mint(1e12, BOB);
            vm.stopPrank();
        } else if (parity > WAD - MAX_COST / 2) {
            assertGt(strategy.maxDeposit(BOB), 0, "what is off costs an entrant, too");
        }
        uint256 least = _worth(ALICE);
        assertEq(strategy.maxWithdraw(ALICE), least, "leaving stays possible");
        assertGe(_takeAll(ALICE), least);
    }

    /// @dev Not even where the pool, drained of the asset, gives so much for it that entering is within the bound.
    function test_depeg__a_drained_pool__takes_no_deposit() public {
        _trade(_other(), own, _whole(_other(), 4_900_000));
        assertGt(strategy.maxDeposit(ALICE), 0);
        _setPrice(_other(), WAD - MAX_COST - 1e15);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
    }

    /// @dev A coin that has lost its peg fills the pool, and the asset leaves it: what the pool still pays, it pays.
    function testFuzz_depeg__a_drained_pool__pays_what_is_promised(uint256 parity, uint256 sold) public {
        parity = bound(parity, 0.5e18, 0.99e18);
        sold = bound(sold, 1_000_000, 6_000_000);
        _put(ALICE, 1_000_000 * UNIT);
        _trade(_other(), own, _whole(_other(), sold));
        _setPrice(_other(), parity);
        uint256 most = strategy.maxWithdraw(ALICE);
        vm.prank(ALICE);
        strategy.withdraw(most, ALICE, ALICE);
        assertGe(asset.balanceOf(ALICE), most);
    }

    /// @dev Where a limit ends within a unit of what the pool pays.
    function test_depeg__a_pool_of_crumbs__pays_what_is_promised() public {
        testFuzz_depeg__a_drained_pool__pays_what_is_promised(31, 12963);
    }

    /// @dev Where the pool holds next to nothing but the asset, more tokens than there are would be needed for all of it at
    /// the price of another coin that has lost its peg: it pays what the tokens are worth.
    function test_depeg__a_pool_full_of_the_asset__pays() public {
        for (uint256 i; i < COINS; ++i) {
            if (i != own) _trade(own, i, _whole(own, 4_900_000));
        }
        _setPrice(_other(), 0.5e18);
        assertGt(strategy.availableLiquidity(), 5_000_000 * UNIT);
    }

    /// @dev A holding that is worth less than a unit of the asset leaves for nothing, and `maxRedeem` does not fail over it.
    function test_maxRedeem__worth_less_than_a_unit() public {
        _put(ALICE, 1000 * UNIT);
        vm.prank(ALICE);
        strategy.transfer(BOB, 1);
        assertEq(_worth(BOB), 0);
        assertEq(strategy.maxRedeem(BOB), 1);
        vm.prank(BOB);
        assertEq(strategy.redeem(1, BOB, BOB), 0);
    }

    /// @dev A rate that is lifted is believed no further than it may have grown.
    function test_rate__lifted__believed_up_to_its_bound() public {
        _put(ALICE, 1_000_000 * UNIT);
        vm.warp(strategy.FIRST_TIME() + 36.5 days);
        uint256 first = strategy.FIRST_RATE();
        bytes memory question = _rateQuestion();
        vm.mockCall(_pool(), question, abi.encode(first * 5));
        assertApproxEqRel(strategy.price(), first * 101 / 100 * 10 ** DECIMALS, 1e6);
        vm.mockCall(_pool(), question, abi.encode(first / 2));
        assertApproxEqRel(strategy.price(), first / 2 * 10 ** DECIMALS, 1e6, "a fall, at once");
        vm.mockCall(_pool(), question, abi.encode(0));
        assertEq(strategy.maxRedeem(ALICE), 0);
    }

    /// @dev Without a price nobody enters or leaves but in kind: limits are 0 and values revert.
    function test_no_price__limits_are_0_and_values_revert() public {
        _put(ALICE, 1000 * UNIT);
        oracles[_other()].setPrice(0);
        _assertClosed();
        vm.expectRevert(SettableOracle.NoPrice.selector);
        strategy.totalAssets();
        vm.expectRevert(SettableOracle.NoPrice.selector);
        strategy.previewRedeem(1);
        vm.mockCall(address(oracles[_other()]), abi.encodeCall(SettableOracle.price, ()), abi.encode(0));
        _assertClosed();
        vm.expectPartialRevert(StablePoolStrategy.BadOracle.selector);
        strategy.totalAssets();
    }

    function _assertClosed() internal view {
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.availableLiquidity(), 0);
    }

    /// @dev A pool that is paused pays nobody; the value stays.
    function test_paused__limits_are_0_and_the_value_stays() public {
        _put(ALICE, 1000 * UNIT);
        uint256 worth = _worth(ALICE);
        vm.skip(!_canPause());
        _pause();
        _assertClosed();
        assertEq(_worth(ALICE), worth);
    }

    /// @dev A feed of Chainlink's kind that is too old.
    function test_stale_feed__no_price() public {
        StandInFeed feed = new StandInFeed(8);
        feed.set(1e8, block.timestamp);
        IOracle[] memory feeds = _oracles();
        feeds[0] = new ChainlinkOracle(
            ChainlinkOracle.Feed(feed, 1 days, 0.5e8, 2e8),
            ChainlinkOracle.Feed(feed, 1 days, 0.5e8, 2e8),
            coins[own == 0 ? 1 : 0].decimals(),
            DECIMALS,
            IAggregator(address(0)),
            0
        );
        strategy = _new(MAX_COST, feeds);
        _put(ALICE, 1000 * UNIT);
        vm.warp(block.timestamp + 1 days + 1);
        _assertClosed();
        vm.expectPartialRevert(ChainlinkOracle.StalePrice.selector);
        strategy.totalAssets();
        feed.set(1e8, block.timestamp);
        _takeAll(ALICE);
    }

    /* RE-ENTRY */

    /// @dev An asset that calls while it moves.
    function test_reentry__while_paying__refused() public {
        HookToken token = new HookToken(DECIMALS);
        asset = token;
        _start();
        ReenteringDepositor mallory = new ReenteringDepositor(strategy);
        token.mint(address(mallory), UNIT);
        token.setHook(address(mallory));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        mallory.enter(UNIT);
        token.setHook(address(0));
        mallory.enter(UNIT);
    }

    /* GIFTS */

    function testFuzz_gifts__count_for_nothing(uint256 seed, uint256 gift, uint256 victim) public {
        seed = bound(seed, UNIT / 100, UNIT);
        victim = bound(victim, UNIT, 500_000 * UNIT);
        gift = bound(gift, 1, 1_000_000);
        _put(MALLORY, seed);
        uint256 before = strategy.convertToAssets(1e27);
        uint256 tokens = _join(_other(), _whole(_other(), gift));
        strategy.TOKEN().transfer(address(strategy), tokens);
        coins[_other()].mint(_pool(), _whole(_other(), gift));
        asset.mint(address(strategy), 1000 * UNIT);
        assertApproxEqRel(strategy.convertToAssets(1e27), before, 1e14, "the joining's fees alone");
        uint256 shares = _put(ALICE, victim);
        assertGe(strategy.convertToAssets(shares) + _unit(), victim * (WAD - MAX_COST) / WAD);
    }

    /* LIMITS */

    /// @dev What `max*` promise is paid, wherever the pool is, and it is near the most.
    function testFuzz_max__is_accepted_and_near_the_most(uint256 amount, bool up, bool out) public {
        amount = bound(amount, 0, 4_900_000);
        _put(ALICE, 4_000_000 * UNIT * _joinable() / WAD);
        uint256 paid = up ? own : _other();
        if (amount != 0) _trade(paid, up ? _other() : own, _whole(paid, amount));
        if (!out) {
            uint256 most = strategy.maxDeposit(BOB);
            uint256 state = vm.snapshotState();
            if (most != 0) _put(BOB, most);
            vm.revertToState(state);
            if (most != 0) {
                uint256 shares = strategy.maxMint(BOB);
                uint256 cost = strategy.previewMint(shares);
                asset.mint(BOB, cost);
                vm.startPrank(BOB);
                asset.approve(address(strategy), cost);
                strategy.mint(shares, BOB);
                vm.stopPrank();
            }
        } else {
            uint256 most = strategy.maxRedeem(ALICE);
            uint256 state = vm.snapshotState();
            vm.prank(ALICE);
            strategy.redeem(most, ALICE, ALICE);
            vm.revertToState(state);
            uint256 worth = strategy.maxWithdraw(ALICE);
            vm.prank(ALICE);
            strategy.withdraw(worth, ALICE, ALICE);
            vm.revertToState(state);
            (uint256 ofMost, uint256 ofAll) = _slack();
            uint256 more = most + (most * ofMost + strategy.balanceOf(ALICE) * ofAll) / WAD;
            if (more < strategy.balanceOf(ALICE)) {
                vm.prank(ALICE);
                vm.expectRevert();
                strategy.redeem(more, ALICE, ALICE);
            }
        }
    }

    /// @dev Where redeeming all is just within the bound, an exact amount, which costs a little more, is paid as well.
    function test_max__at_the_very_bound__is_paid() public {
        uint256 state = vm.snapshotState();
        strategy = _new(0.05e18, _oracles());
        uint256 mid = _putAndPush();
        uint256 cost = WAD - _takeAll(ALICE) * WAD / mid;
        assertGt(cost, 0.001e18);
        vm.revertToState(state);
        strategy = _new(cost + 1e8, _oracles());
        _putAndPush();
        uint256 most = strategy.maxWithdraw(ALICE);
        assertGt(most, 0);
        vm.prank(ALICE);
        strategy.withdraw(most, ALICE, ALICE);
    }

    function _putAndPush() private returns (uint256 mid) {
        _put(ALICE, 1_000_000 * UNIT);
        _trade(_other(), own, _whole(_other(), 4_000_000));
        mid = strategy.totalAssets();
    }

    /// @dev Part of 4M that can enter at once.
    function _joinable() internal pure virtual returns (uint256);

    /// @dev What the most may be over what is promised: a part of that, and of all that was asked for.
    function _slack() internal pure virtual returns (uint256 ofMost, uint256 ofAll);

    function test_availableLiquidity__is_what_the_pool_pays_anybody() public {
        uint256 cash = strategy.availableLiquidity();
        assertGt(cash, 500_000 * UNIT);
        assertLt(cash, 5_000_000 * UNIT);
        _trade(_other(), own, _whole(_other(), 4_500_000));
        assertLt(strategy.availableLiquidity(), cash / 10);
    }

    /// @dev The vault gives a read 700,000 gas.
    function test_gas__every_read_is_within_the_vaults() public {
        _put(ALICE, 3_000_000 * UNIT * _joinable() / WAD);
        _trade(_other(), own, _whole(_other(), 4_000_000));
        assertLt(strategy.maxWithdraw(ALICE), _worth(ALICE), "it had to search");
        _assertGas(abi.encodeCall(strategy.maxWithdraw, (ALICE)));
        _assertGas(abi.encodeCall(strategy.maxDeposit, (ALICE)));
        _assertGas(abi.encodeCall(strategy.maxMint, (ALICE)));
        _assertGas(abi.encodeCall(strategy.availableLiquidity, ()));
        _assertGas(abi.encodeCall(strategy.previewRedeem, (1e18)));
        _trade(own, _other(), _whole(own, 8_000_000));
        assertLt(strategy.maxDeposit(ALICE), 8_000_000 * UNIT, "it had to search");
        _assertGas(abi.encodeCall(strategy.maxDeposit, (ALICE)));
        _assertGas(abi.encodeCall(strategy.maxMint, (ALICE)));
    }

    function _assertGas(bytes memory question) private {
        (bool ok,) = address(this).call{gas: 1_000_000}(abi.encodeCall(this.ask, (question)));
        assertTrue(ok);
    }

    function ask(bytes calldata question) external view {
        uint256 before = gasleft();
        (bool ok,) = address(strategy).staticcall{gas: 700_000}(question);
        require(ok && before - gasleft() < 650_000, "too much gas");
    }

    /* UNDER THE VAULT */

    function _invest(uint256 weight) internal {
        uint256[] memory w = new uint256[](4);
        w[3] = weight;
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev Whoever pushes the pool around the vault's deposit, and around its withdrawal, takes at most `MAX_COST` of
    /// each.
    function testFuzz_sandwich__around_the_vault__bounded(uint256 push, bool out) public {
        push = bound(push, 1, 4_000_000);
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        if (out) _invest(0.5e18);
        uint256 before = _assets();
        (uint256 paid, uint256 received) = out ? (_other(), own) : (own, _other());
        uint256 bought = _trade(paid, received, _whole(paid, push));
        uint256[] memory w = new uint256[](4);
        w[3] = out ? 0 : 0.5e18;
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        (bool done,) = address(vault).call(abi.encodeCall(vault.rebalance, (request)));
        assertTrue(done || push > 300_000, "a small push closes nothing");
        _trade(received, paid, bought);
        assertGe(_assets() + _bp(before, 1) / 10, before - 500_000 * UNIT * MAX_COST / WAD);
    }

    /// @dev The vault's assets at the mid price.
    function _assets() private view returns (uint256) {
        return strategy.convertToAssets(strategy.balanceOf(address(vault))) + asset.balanceOf(address(vault));
    }

    /// @dev A leaver who pushes the pool gains nothing at the cost of those who stay.
    function testFuzz_leaver_who_pushes__costs_nobody(uint256 push) public {
        push = bound(push, 1, 3_000_000);
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 500_000 * UNIT);
        _deposit(MALLORY, 500_000 * UNIT);
        _invest(0.5e18);
        uint256 before = vault.previewRedeem(vault.balanceOf(ALICE));
        _trade(_other(), own, _whole(_other(), push));
        uint256 most = vault.maxRedeem(MALLORY);
        vm.prank(MALLORY);
        vault.redeem(most, MALLORY, MALLORY);
        vault.endTransaction();
        assertGe(vault.previewRedeem(vault.balanceOf(ALICE)) + 3, before);
    }

    /// @dev The vault puts no more in than the pool could pay back within the bound.
    function test_vault__puts_nothing_where_it_could_not_get_out() public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        _trade(_other(), own, _whole(_other(), 4_990_000));
        uint256[] memory w = new uint256[](4);
        w[3] = 0.5e18;
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vm.expectPartialRevert(IVaultTypes.Illiquid.selector);
        vault.rebalance(request);
    }

    /// @dev A feed that is stale puts the vault into quarantine.
    function test_vault__no_price__is_in_quarantine() public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        _invest(0.5e18);
        oracles[_other()].setPrice(0);
        vm.expectPartialRevert(IVaultTypes.ValuationFailed.selector);
        vault.previewRedeem(1e18);
    }
}
