// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {IPool} from "../../../contracts/interfaces/aave/IPool.sol";
import {AaveV3Strategy} from "../../../contracts/strategies/AaveV3Strategy.sol";
import {BaseTest} from "../BaseTest.sol";
import {Token} from "../mocks/Token.sol";
import {AaveMarket} from "../utils/AaveMarket.sol";
import {StrategyTest} from "./StrategyTest.sol";

/// @notice Shows the books.
contract AaveV3StrategyHarness is AaveV3Strategy {
    constructor(IPool pool, IERC20 asset, string memory name, string memory symbol)
        AaveV3Strategy(pool, asset, name, symbol)
    {}

    function booked() external view returns (uint256) {
        return _booked;
    }
}

/// @notice The strategy on Aave's own bytecode (3.0.2, which rounds to the nearest unit).
abstract contract AaveV3StrategyTest is StrategyTest {
    AaveMarket internal market;
    AaveV3StrategyHarness internal strategy;
    IERC20 internal aToken;

    function setUp() public override {
        super.setUp();
        market = new AaveMarket(asset);
        strategy = new AaveV3StrategyHarness(market.pool(), asset, "Aave", "sAAVE");
        aToken = IERC20(address(strategy.A_TOKEN()));
        market.supply(1_000_000 * UNIT);
        market.borrow(750_000 * UNIT);
    }

    /* HELPERS */

    function _tested() internal view override returns (IERC4626) {
        return strategy;
    }

    function _wait(uint256 time) internal {
        vm.warp(block.timestamp + bound(time, 0, 3 * 365 days));
    }

    /// @dev Time until one scaled unit is worth more than two of the asset.
    function _growIndexAboveTwo() internal {
        while (market.pool().getReserveNormalizedIncome(address(asset)) < 2.3e27) {
            vm.warp(block.timestamp + 3 * 365 days);
            market.supply(UNIT);
        }
    }

    modifier booksCovered() {
        _;
        assertLe(strategy.booked(), strategy.A_TOKEN().scaledBalanceOf(address(strategy)), "books not covered");
    }

    /* SET-UP AND RATE */

    function test_constructor() public {
        Token unlisted = new Token(6);
        IPool pool = market.pool();
        vm.expectRevert(abi.encodeWithSelector(AaveV3Strategy.UnknownReserve.selector, pool, unlisted));
        new AaveV3StrategyHarness(pool, unlisted, "Aave", "sAAVE");

        assertEq(strategy.asset(), address(asset));
        assertEq(address(strategy.POOL()), address(pool));
        assertEq(strategy.decimals(), DECIMALS + 6);
        assertEq(strategy.name(), "Aave");
        assertEq(strategy.symbol(), "sAAVE");
        assertEq(strategy.totalAssets(), 0);
        assertEq(strategy.convertToAssets(1e6), 1);
    }

    /// @dev The published rate is what a position then earns, to the last unit, as long as nobody touches the reserve.
    function test_supplyRate(uint256 time) public {
        time = bound(time, 0, 365 days);
        _put(ALICE, 100_000 * UNIT);
        uint256 rate = strategy.supplyRate();
        uint256 utilisation = uint256(750_000e18) / 1_100_000;
        uint256 borrowRate = 0.04e18 * utilisation / 0.8e18;
        assertApproxEqRel(rate, borrowRate * utilisation / WAD * 9 / 10, 1e9, "less the reserve factor");
        uint256 before = _worth(ALICE);
        vm.warp(block.timestamp + time);
        assertApproxEqAbs(_worth(ALICE), before + before * rate * time / (WAD * 365 days), before / 1e17 + 3);
    }

    /* ACCOUNTING */

    function test_deposit_creditsWhatItPreviews(uint256 time, uint256 assets) public booksCovered {
        assets = bound(assets, 0, MOST);
        _put(BOB, 77_777 * UNIT + 7);
        _wait(time);
        uint256 others = _worth(BOB);
        uint256 expected = strategy.previewDeposit(assets);

        assertEq(_put(ALICE, assets), expected);
        assertEq(asset.balanceOf(ALICE), 0);
        assertLe(_worth(ALICE), assets, "never worth more than was paid");
        assertApproxEqAbs(_worth(ALICE), assets, 2 * market.pool().getReserveNormalizedIncome(address(asset)) / 1e27);
        assertGe(_worth(BOB), others, "nobody else loses");
    }

    function test_mint_takesWhatItPreviews(uint256 time, uint256 shares) public booksCovered {
        shares = bound(shares, 0, MOST * 1e6);
        _put(BOB, 77_777 * UNIT + 7);
        _wait(time);
        uint256 others = _worth(BOB);
        uint256 expected = strategy.previewMint(shares);
        asset.mint(ALICE, expected);
        vm.startPrank(ALICE);
        asset.approve(address(strategy), expected);
        assertEq(strategy.mint(shares, ALICE), expected);
        assertEq(strategy.balanceOf(ALICE), shares);
        assertLe(_worth(ALICE), expected);
        assertGe(_worth(BOB), others);
    }

    function test_withdraw_paysToTheUnit(uint256 time, uint256 assets) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        _wait(time);
        assets = bound(assets, 0, strategy.maxWithdraw(ALICE));
        uint256 others = _worth(BOB);
        uint256 mine = _worth(ALICE);
        uint256 expected = strategy.previewWithdraw(assets);

        vm.prank(ALICE);
        assertEq(strategy.withdraw(assets, MALLORY, ALICE), expected);
        assertEq(asset.balanceOf(MALLORY), assets);
        assertLe(_worth(ALICE) + assets, mine, "a position never grows by leaving");
        assertGe(_worth(BOB), others);
    }

    function test_redeem_paysToTheUnit(uint256 time, uint256 shares) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        _wait(time);
        shares = bound(shares, 0, strategy.maxRedeem(ALICE));
        uint256 others = _worth(BOB);
        uint256 expected = strategy.previewRedeem(shares);

        vm.prank(ALICE);
        assertEq(strategy.redeem(shares, MALLORY, ALICE), expected);
        assertEq(asset.balanceOf(MALLORY), expected);
        assertGe(_worth(BOB), others);
    }

    /// @dev Whatever people do, the units in the books are there, and the last to leave is paid as well.
    function test_anySequence(uint256[12] memory seeds) public booksCovered {
        address[3] memory people = [ALICE, BOB, MALLORY];
        _put(ALICE, UNIT);
        for (uint256 i; i < seeds.length; ++i) {
            address who = people[seeds[i] % 3];
            uint256 amount = uint256(keccak256(abi.encode(seeds[i])));
            vm.warp(block.timestamp + (amount >> 200) % 30 days);
            if (seeds[i] >> 8 & 1 == 0) {
                _put(who, bound(amount, 0, 1_000_000 * UNIT));
            } else {
                amount = bound(amount, 0, strategy.maxWithdraw(who));
                vm.prank(who);
                strategy.withdraw(amount, who, who);
            }
        }
        market.repayAll();
        for (uint256 i; i < people.length; ++i) {
            uint256 worth = _worth(people[i]);
            assertEq(strategy.maxWithdraw(people[i]), worth);
            assertEq(_takeAll(people[i]), worth);
        }
        assertEq(strategy.totalSupply(), 0);
    }

    function test_totalAssets_isWhatAaveHoldsForUs(uint256 assets, uint256 time) public {
        assets = bound(assets, UNIT, MOST);
        _put(ALICE, assets);
        _wait(time);
        assertLe(strategy.totalAssets(), aToken.balanceOf(address(strategy)));
        assertApproxEqAbs(strategy.totalAssets(), aToken.balanceOf(address(strategy)), 3);
        assertLe(_worth(ALICE), strategy.totalAssets());
        assertApproxEqAbs(_worth(ALICE), strategy.totalAssets(), 1 + strategy.totalAssets() / (assets * 1e6) + 3);
    }

    /// @dev aTokens sent to the strategy move no price, so there is nothing to inflate.
    function test_donatedATokensCountForNothing(uint256 seed, uint256 donation, uint256 victim) public {
        seed = bound(seed, 1, UNIT);
        donation = bound(donation, 1, MOST);
        victim = bound(victim, 1, MOST);
        _put(MALLORY, seed);
        uint256 price = strategy.convertToAssets(1e27);
        asset.mint(MALLORY, donation);
        vm.startPrank(MALLORY);
        asset.approve(address(market.pool()), donation);
        market.pool().supply(address(asset), donation, address(strategy), 0);
        vm.stopPrank();

        assertEq(strategy.convertToAssets(1e27), price);
        _put(ALICE, victim);
        assertGe(_takeAll(ALICE) + 3, victim);
        assertLe(_takeAll(MALLORY), seed);
    }

    /// @dev aTokens that are gone are gone for every holder alike, at once; what comes later is not eaten by the hole.
    function test_lostATokens(uint256 lost, uint256 later, uint256 donation) public {
        _put(ALICE, 60_000 * UNIT);
        _put(BOB, 30_000 * UNIT);
        vm.warp(block.timestamp + 100 days);
        lost = bound(lost, 1, 89_000 * UNIT);
        later = bound(later, 10, MOST);
        uint256 left = aToken.balanceOf(address(strategy)) - lost;
        vm.prank(address(strategy));
        aToken.transfer(MALLORY, lost);

        assertApproxEqAbs(strategy.totalAssets(), left, 3);
        assertApproxEqAbs(_worth(ALICE), left * 2 / 3, 4);
        assertApproxEqAbs(_worth(BOB), left / 3, 4);

        uint256 assets = bound(later, 1, left);
        assertGe(strategy.previewRedeem(strategy.previewWithdraw(assets)), assets, "charged for what is paid");
        _put(MALLORY, later);
        assertEq(strategy.booked(), strategy.scaledAssets(), "written off");
        donation = bound(donation, 1, lost);
        uint256 worth = _worth(ALICE);
        vm.prank(MALLORY);
        aToken.transfer(address(strategy), donation);
        assertEq(_worth(ALICE), worth, "aTokens sent later count for nothing again");
        assertApproxEqAbs(_takeAll(MALLORY), later, 6 + later / 1e9);
        assertApproxEqAbs(_takeAll(ALICE), left * 2 / 3, 6);
        assertApproxEqAbs(_takeAll(BOB), left / 3, 6);
    }

    /// @dev Aave 3.0 refuses amounts that round to no scaled unit; here they still go in and out.
    function test_dustWhileAUnitIsWorthMoreThanTwo() public booksCovered {
        _put(ALICE, 1000 * UNIT);
        _growIndexAboveTwo();
        assertEq(_put(BOB, 1), 0, "buys nothing");
        uint256 worth = _worth(ALICE);
        vm.startPrank(ALICE);
        strategy.withdraw(1, ALICE, ALICE);
        assertEq(asset.balanceOf(ALICE), 1);
        strategy.redeem(1, ALICE, ALICE);
        strategy.redeem(0, ALICE, ALICE);
        strategy.withdraw(0, ALICE, ALICE);
        strategy.deposit(0, ALICE);
        assertLe(_worth(ALICE), worth - 1);
        assertGe(_worth(ALICE), worth - 10);
        vm.stopPrank();
        worth = _worth(ALICE);
        assertEq(_takeAll(ALICE), worth);
    }

    /* LIMITS */

    /// @dev Up to the supply cap as Aave counts it, with the treasury's share of interest that is not recorded yet.
    function test_maxDeposit_supplyCap(uint256 time, uint256 capUnits, uint256 stable) public {
        if (stable % 2 == 0) market.borrowStable(40_000 * UNIT);
        market.setSupplyCap(bound(capUnits, 1_000_001, 1e9));
        _wait(time);
        uint256 most = strategy.maxDeposit(ALICE);
        uint256 margin = 6;
        // Aave's own check refuses a few units more.
        uint256 snapshot = vm.snapshotState();
        vm.expectRevert(bytes("51"));
        market.supply(most + margin);
        vm.revertToState(snapshot);

        if (most != 0) {
            _put(ALICE, most);
            assertLe(strategy.maxDeposit(ALICE), 4 + margin);
        }
        asset.mint(BOB, MOST);
        vm.startPrank(BOB);
        asset.approve(address(strategy), MOST);
        most = strategy.maxDeposit(BOB);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, BOB, most + 1, most));
        strategy.deposit(most + 1, BOB);
    }

    function test_maxMint_isAccepted(uint256 time, uint256 capUnits) public {
        market.setSupplyCap(bound(capUnits, 1_000_001, 1e9));
        _put(BOB, UNIT / 2);
        _wait(time);
        uint256 most = strategy.maxMint(ALICE);
        asset.mint(ALICE, strategy.maxDeposit(ALICE));
        vm.startPrank(ALICE);
        asset.approve(address(strategy), type(uint256).max);
        strategy.mint(most, ALICE);
        assertEq(strategy.balanceOf(ALICE), most);
    }

    function test_maxDeposit_withoutACap() public view {
        assertGt(strategy.maxDeposit(ALICE), type(uint128).max / 2);
        assertLt(strategy.maxDeposit(ALICE), type(uint128).max);
    }

    function test_maxDeposit_frozenOrPaused() public {
        _put(ALICE, 1000 * UNIT);
        market.setFrozen(true);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), _worth(ALICE), "frozen lets out");
        vm.prank(ALICE);
        strategy.withdraw(10 * UNIT, ALICE, ALICE);

        market.setFrozen(false);
        market.setPaused(true);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertGt(strategy.totalAssets(), 0, "still valued");

        market.setPaused(false);
        _takeAll(ALICE);
    }

    function test_max_inactive() public {
        _put(ALICE, 1000 * UNIT);
        IPool.ReserveData memory reserve = market.pool().getReserveData(address(asset));
        reserve.configuration &= ~uint256(1 << 56);
        vm.mockCall(address(market.pool()), abi.encodeCall(IPool.getReserveData, (address(asset))), abi.encode(reserve));
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
    }

    /// @dev Liquidity that is lent out cannot be withdrawn; the rest can, to the unit.
    function test_maxWithdraw_illiquid(uint256 borrowed, uint256 time) public booksCovered {
        _put(ALICE, 100_000 * UNIT);
        uint256 free = asset.balanceOf(address(aToken));
        market.borrow(bound(borrowed, free - 99_999 * UNIT, free));
        _wait(time);
        free = asset.balanceOf(address(aToken));
        uint256 most = strategy.maxWithdraw(ALICE);
        assertLe(most, free);
        assertApproxEqAbs(most, free, 4);
        assertLe(strategy.maxRedeem(ALICE), strategy.balanceOf(ALICE));

        vm.startPrank(ALICE);
        strategy.withdraw(most, ALICE, ALICE);
        strategy.redeem(strategy.maxRedeem(ALICE), ALICE, ALICE);
        assertLe(asset.balanceOf(address(aToken)), 4);
        vm.expectRevert();
        strategy.withdraw(10, ALICE, ALICE);
        vm.stopPrank();

        market.repayAll();
        assertEq(strategy.maxRedeem(ALICE), strategy.balanceOf(ALICE));
        _takeAll(ALICE);
    }

    /// @dev From 3.1 on the pool keeps its own count of what is not lent out, which donations do not raise.
    function test_maxWithdraw_virtualBalance(uint128 booked) public {
        _put(ALICE, 100_000 * UNIT);
        booked = uint128(bound(booked, 0, 99_999 * UNIT));
        vm.mockCall(
            address(market.pool()),
            abi.encodeCall(IPool.getVirtualUnderlyingBalance, (address(asset))),
            abi.encode(booked)
        );
        assertLe(strategy.maxWithdraw(ALICE), booked);
        assertApproxEqAbs(strategy.maxWithdraw(ALICE), booked, 2);
    }

    /// @dev What anybody could take out, whether or not we hold something: nothing while the reserve is paused.
    function test_availableLiquidity(uint256 borrowed, uint128 booked) public {
        market.borrow(bound(borrowed, 1, 100_000 * UNIT));
        uint256 free = asset.balanceOf(address(aToken));
        assertEq(strategy.availableLiquidity(), free);
        market.setFrozen(true);
        assertEq(strategy.availableLiquidity(), free, "frozen lets out");
        vm.mockCall(
            address(market.pool()),
            abi.encodeCall(IPool.getVirtualUnderlyingBalance, (address(asset))),
            abi.encode(booked)
        );
        assertEq(strategy.availableLiquidity(), booked < free ? booked : free);
        market.setPaused(true);
        assertEq(strategy.availableLiquidity(), 0);
    }

    /* UNDER THE VAULT */

    /// @dev The vault puts no more in than the reserve could pay back out of what others have left in it, to the unit.
    function test_vaultPutsNothingWhereItCouldNotGetOut(uint256 free) public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        free = bound(free, 400 * UNIT, 500 * UNIT - 1);
        market.borrow(asset.balanceOf(address(aToken)) - free);
        uint256[] memory w = new uint256[](4);
        w[3] = 0.5e18;
        _refused(
            _request(w), abi.encodeWithSelector(IVaultTypes.Illiquid.selector, address(strategy), 500 * UNIT, free)
        );
        w[3] = free * WAD / (1000 * UNIT);
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vault.rebalance(request);
        assertApproxEqAbs(strategy.maxWithdraw(address(vault)), free, 1e6);
    }

    /// @dev A weight that is exactly the cap works, whatever Aave's rounding does: a position never grows over its target, and
    /// one that shrinks stays at most two units over it: what is paid is rounded down, and so is what is taken for it.
    function test_vaultAimsAtTheCapExactly(uint256[6] memory weights, uint256[6] memory times, uint256 assets) public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, bound(assets, 1000 * UNIT, 100_000 * UNIT) + 1);
        uint256[] memory w = new uint256[](4);
        for (uint256 i; i < weights.length; ++i) {
            vm.warp(block.timestamp + bound(times[i], 1, 30 days));
            // Caps count in the bid. Of a position of a unit or two it cannot grow, by rounding.
            uint256 nav = vault.valuation().nav;
            uint256 most = 0.6e18 * vault.valuation().bid / nav;
            w[3] = weights[i] % 3 == 0 ? most : bound(weights[i], 0, most);
            uint256 target = nav * w[3] / WAD;
            bool grows = strategy.previewRedeem(strategy.balanceOf(address(vault))) <= target;
            IVaultTypes.Rebalance memory request = _request(w);
            vm.prank(KEEPER);
            vault.rebalance(request);
            uint256 value = strategy.previewRedeem(strategy.balanceOf(address(vault)));
            assertLe(value, grows ? target : target + 2);
            assertApproxEqAbs(value, target, 3);
            assertApproxEqAbs(vault.valuation().nav, nav, 3);
        }
        uint256 worth = vault.previewRedeem(vault.balanceOf(ALICE));
        assertEq(_redeemAll(ALICE), worth);
    }
}

contract AaveV3StrategyTest6 is AaveV3StrategyTest {
    constructor() BaseTest(6) {}
}

contract AaveV3StrategyTest18 is AaveV3StrategyTest {
    constructor() BaseTest(18) {}
}
