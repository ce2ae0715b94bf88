// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {IComptroller} from "../../../contracts/interfaces/compound/IComptroller.sol";
import {ICToken} from "../../../contracts/interfaces/compound/ICToken.sol";
import {IInterestRateModel} from "../../../contracts/interfaces/compound/IInterestRateModel.sol";
import {CompoundV2Strategy} from "../../../contracts/strategies/CompoundV2Strategy.sol";
import {BaseTest} from "../BaseTest.sol";
import {HookToken, ReenteringDepositor} from "../mocks/HookToken.sol";
import {Token} from "../mocks/Token.sol";
import {CompoundMarket, IFullCToken} from "../utils/CompoundMarket.sol";
import {StrategyTest} from "./StrategyTest.sol";

/// @notice Shows the books.
contract CompoundV2StrategyHarness is CompoundV2Strategy {
    constructor(ICToken market, uint256 blocksPerYear) CompoundV2Strategy(market, blocksPerYear, "Compound", "sCOMP") {}

    function booked() external view returns (uint256) {
        return _booked;
    }
}

/// @notice The strategy on the bytecode of a Compound V2 descendant (Venus 2.2.1).
abstract contract CompoundV2StrategyTest is StrategyTest {
    CompoundMarket internal compound;
    IFullCToken internal market;
    CompoundV2StrategyHarness internal strategy;
    uint256 internal blocksPerYear;

    function setUp() public override {
        super.setUp();
        compound = new CompoundMarket(asset);
        market = compound.market();
        blocksPerYear = compound.BLOCKS_PER_YEAR();
        strategy = new CompoundV2StrategyHarness(market, blocksPerYear);
        compound.supply(1_000_000 * UNIT);
        compound.borrow(750_000 * UNIT);
    }

    /* HELPERS */

    function _tested() internal view override returns (IERC4626) {
        return strategy;
    }

    function _wait(uint256 blocks) internal {
        vm.roll(block.number + bound(blocks, 0, 3 * blocksPerYear));
    }

    function _mockModel(bytes memory answer) internal {
        vm.mockCall(
            address(market.interestRateModel()),
            abi.encodeWithSelector(IInterestRateModel.getBorrowRate.selector),
            answer
        );
    }

    /// @dev One unit of the market, in base units of the asset, rounded up: what rounding may cost.
    function _unit() internal view returns (uint256) {
        return market.exchangeRateStored() * 4 / WAD + 1;
    }

    modifier booksCovered() {
        _;
        assertLe(strategy.booked(), market.balanceOf(address(strategy)), "books not covered");
    }

    /* SET-UP AND RATE */

    function test_constructor() public {
        vm.expectRevert(CompoundV2Strategy.NoBlocksPerYear.selector);
        new CompoundV2StrategyHarness(market, 0);

        assertEq(strategy.asset(), address(asset));
        assertEq(address(strategy.MARKET()), address(market));
        assertEq(strategy.decimals(), 8, "a share is a unit of the market");
        assertEq(strategy.totalAssets(), 0);
        assertEq(strategy.convertToShares(UNIT), UNIT * WAD / market.exchangeRateStored());
    }

    /// @dev The published rate is what a position then earns, as long as nobody touches the market.
    function test_supplyRate(uint256 blocks) public {
        blocks = bound(blocks, 0, blocksPerYear);
        _put(ALICE, 100_000 * UNIT);
        uint256 rate = strategy.supplyRate();
        assertApproxEqRel(rate, uint256(0.0625e18) * 15 / 22 * 15 / 22 * 9 / 10, 1e12, "less the reserve factor");
        uint256 before = _worth(ALICE);
        vm.roll(block.number + blocks);
        assertApproxEqAbs(
            _worth(ALICE), before + before * rate * blocks / (WAD * blocksPerYear), before / 1e10 + _unit()
        );
    }

    /* ACCOUNTING */

    /// @dev The view says what the market says once somebody has used it, to the last digit.
    function test_rate_isTheMarkets(uint256 blocks) public {
        _put(ALICE, 100_000 * UNIT);
        _wait(blocks);
        uint256 shown = strategy.totalAssets();
        uint256 current = market.exchangeRateCurrent();
        assertEq(shown, strategy.units() * current / WAD);
        assertEq(strategy.totalAssets(), shown, "using the market moves nothing");
    }

    function test_deposit_creditsWhatItPreviews(uint256 blocks, uint256 assets) public booksCovered {
        assets = bound(assets, 0, MOST);
        _put(BOB, 77_777 * UNIT + 7);
        _wait(blocks);
        uint256 others = _worth(BOB);
        uint256 expected = strategy.previewDeposit(assets);

        assertEq(_put(ALICE, assets), expected);
        assertEq(asset.balanceOf(ALICE), 0);
        assertLe(_worth(ALICE), assets, "never worth more than was paid");
        assertApproxEqAbs(_worth(ALICE), assets, _unit());
        assertGe(_worth(BOB), others, "nobody else loses");
    }

    function test_mint_takesWhatItPreviews(uint256 blocks, uint256 shares) public booksCovered {
        shares = bound(shares, 0, MOST);
        _put(BOB, 77_777 * UNIT + 7);
        _wait(blocks);
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

    function test_withdraw_paysToTheUnit(uint256 blocks, uint256 assets, uint256 fee) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        _wait(blocks);
        compound.setRedeemFee(fee % 2 == 0 ? 0 : bound(fee, 1, 0.9e18));
        assets = bound(assets, 0, strategy.maxWithdraw(ALICE));
        uint256 others = _worth(BOB);
        uint256 mine = _worth(ALICE);
        uint256 expected = strategy.previewWithdraw(assets);

        vm.prank(ALICE);
        assertEq(strategy.withdraw(assets, MALLORY, ALICE), expected);
        assertEq(asset.balanceOf(MALLORY), assets);
        assertLe(_worth(ALICE) + assets, mine + 1, "a position never grows by leaving");
        assertGe(_worth(BOB), others);
    }

    function test_redeem_paysToTheUnit(uint256 blocks, uint256 shares, uint256 fee) public booksCovered {
        _put(ALICE, 55_555 * UNIT + 3);
        _put(BOB, 77_777 * UNIT + 7);
        _wait(blocks);
        compound.setRedeemFee(fee % 2 == 0 ? 0 : bound(fee, 1, 0.9e18));
        shares = bound(shares, 0, strategy.maxRedeem(ALICE));
        uint256 others = _worth(BOB);
        uint256 expected = strategy.previewRedeem(shares);

        vm.prank(ALICE);
        assertEq(strategy.redeem(shares, MALLORY, ALICE), expected);
        assertEq(asset.balanceOf(MALLORY), expected);
        assertGe(_worth(BOB), others);
    }

    /// @dev A fee for redeeming is in the bid and not in the ask.
    function test_redeemFee() public {
        _put(ALICE, 1000 * UNIT);
        uint256 shares = strategy.balanceOf(ALICE);
        uint256 ask = strategy.convertToAssets(shares);
        compound.setRedeemFee(0.01e18);
        assertEq(strategy.convertToAssets(shares), ask);
        assertApproxEqAbs(strategy.previewRedeem(shares), ask * 99 / 100, 1);
        assertEq(strategy.maxWithdraw(ALICE), strategy.previewRedeem(shares));
        assertEq(_takeAll(ALICE), asset.balanceOf(ALICE));
    }

    /// @dev A controller that takes all of it, or more, leaves nothing to withdraw.
    function test_redeemFee_ofEverything(uint256 fee) public {
        _put(ALICE, 1000 * UNIT);
        vm.mockCall(
            address(compound.comptroller()),
            abi.encodeCall(IComptroller.treasuryPercent, ()),
            abi.encode(bound(fee, WAD, type(uint256).max))
        );
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(_worth(ALICE), 0);
    }

    /// @dev Whatever people do, the units in the books are there, and the last to leave is paid as well.
    function test_anySequence(uint256[12] memory seeds) public booksCovered {
        address[3] memory people = [ALICE, BOB, MALLORY];
        _put(ALICE, UNIT);
        for (uint256 i; i < seeds.length; ++i) {
            address who = people[seeds[i] % 3];
            uint256 amount = uint256(keccak256(abi.encode(seeds[i])));
            vm.roll(block.number + (amount >> 200) % 864_000);
            if (seeds[i] >> 8 & 1 == 0) {
                _put(who, bound(amount, 0, 1_000_000 * UNIT));
            } else {
                amount = bound(amount, 0, strategy.maxWithdraw(who));
                vm.prank(who);
                strategy.withdraw(amount, who, who);
            }
        }
        compound.repayAll();
        for (uint256 i; i < people.length; ++i) {
            uint256 worth = _worth(people[i]);
            assertEq(strategy.maxWithdraw(people[i]), worth);
            assertEq(_takeAll(people[i]), worth);
        }
        assertEq(strategy.totalSupply(), 0);
    }

    /// @dev Units sent to the strategy move no price, so there is nothing to inflate.
    function test_donatedUnitsCountForNothing(uint256 seed, uint256 donation, uint256 victim) public {
        seed = bound(seed, 1, UNIT);
        donation = bound(donation, 1, MOST);
        victim = bound(victim, 1, MOST);
        _put(MALLORY, seed);
        uint256 price = strategy.convertToAssets(1e27);
        asset.mint(MALLORY, donation);
        vm.startPrank(MALLORY);
        asset.approve(address(market), donation);
        assertEq(market.mint(donation), 0);
        market.transfer(address(strategy), market.balanceOf(MALLORY));
        vm.stopPrank();

        assertApproxEqRel(strategy.convertToAssets(1e27), price, 1e12);
        _put(ALICE, victim);
        assertGe(_takeAll(ALICE) + 2 * _unit(), victim);
        assertLe(_takeAll(MALLORY), seed + _unit(), "but for the remainders of others, which are all suppliers'");
    }

    /// @dev Units that are gone are gone for every holder alike, at once; what comes later is not eaten by the hole.
    function test_lostUnits(uint256 lost, uint256 later) public {
        _put(ALICE, 60_000 * UNIT);
        _put(BOB, 30_000 * UNIT);
        vm.roll(block.number + blocksPerYear / 4);
        lost = bound(lost, 1, strategy.units() * 98 / 100);
        later = bound(later, UNIT, MOST);
        uint256 left = strategy.units() - lost;
        vm.prank(address(strategy));
        market.transfer(MALLORY, lost);

        assertEq(strategy.units(), left);
        uint256 worth = _worth(ALICE);
        assertApproxEqRel(worth, strategy.totalAssets() * 2 / 3, 1e13);
        _put(MALLORY, later);
        assertEq(strategy.booked(), strategy.units(), "written off");
        assertApproxEqAbs(_worth(ALICE), worth, _unit());
        assertApproxEqAbs(_takeAll(MALLORY), later, 2 * _unit() + later / 1e9);
        assertApproxEqAbs(_takeAll(ALICE), worth, 2 * _unit());
    }

    /// @dev What a gift to the market adds is the suppliers', and shows at once.
    function test_giftToTheMarket_isShared() public {
        _put(ALICE, 100_000 * UNIT);
        uint256 before = _worth(ALICE);
        asset.mint(address(market), 110_000 * UNIT);
        assertApproxEqRel(_worth(ALICE), before * 11 / 10, 1e12);
    }

    /// @dev In a market with few units a gift makes one worth a fortune: whoever supplied 999,000 received nothing.
    function test_emptyMarket(uint256 gift) public {
        IFullCToken empty = compound.newMarket(asset, 2 * 10 ** (8 + DECIMALS));
        CompoundV2StrategyHarness other = new CompoundV2StrategyHarness(empty, blocksPerYear);
        gift = bound(gift, 1_000_000 * UNIT, 10_000_000 * UNIT);
        asset.mint(MALLORY, UNIT + gift);
        vm.startPrank(MALLORY);
        asset.approve(address(empty), type(uint256).max);
        assertEq(empty.mint(UNIT), 0);
        empty.redeem(empty.balanceOf(MALLORY) - 1);
        asset.transfer(address(empty), gift);
        vm.stopPrank();

        // The market takes it, answers that all is well, and gives nothing.
        uint256 victim = 999_000 * UNIT;
        asset.mint(BOB, victim);
        vm.startPrank(BOB);
        asset.approve(address(empty), victim);
        assertEq(empty.mint(victim), 0);
        assertEq(empty.balanceOf(BOB), 0);
        vm.stopPrank();

        assertEq(other.maxDeposit(ALICE), 0);
        assertEq(other.maxMint(ALICE), 0);
        asset.mint(ALICE, victim);
        vm.startPrank(ALICE);
        asset.approve(address(other), victim);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, ALICE, victim, 0));
        other.deposit(victim, ALICE);
    }

    /// @dev From the least supply on, rounding costs less than a part in 10^10 of the market, however much was given to it.
    function test_leastSupply_boundsRounding(uint256 gift) public {
        IFullCToken small = compound.newMarket(asset, 2 * 10 ** (8 + DECIMALS));
        CompoundV2StrategyHarness other = new CompoundV2StrategyHarness(small, blocksPerYear);
        uint256 least = other.MIN_MARKET_SUPPLY();
        asset.mint(MALLORY, 1000 * UNIT);
        vm.startPrank(MALLORY);
        asset.approve(address(small), type(uint256).max);
        assertEq(small.mint(1000 * UNIT), 0);
        assertEq(small.redeem(small.balanceOf(MALLORY) - least + 1), 0);
        assertEq(other.maxDeposit(ALICE), 0, "one unit short");
        assertEq(small.mint(UNIT), 0);
        assertEq(small.redeem(small.balanceOf(MALLORY) - least), 0);
        vm.stopPrank();
        gift = bound(gift, 0, 10_000_000 * UNIT);
        asset.mint(address(small), gift);

        uint256 assets = 999_000 * UNIT;
        uint256 most = (asset.balanceOf(address(small)) + assets) / least + 2;
        asset.mint(ALICE, assets);
        vm.startPrank(ALICE);
        asset.approve(address(other), assets);
        uint256 shares = other.deposit(assets, ALICE);
        assertGe(other.previewRedeem(shares) + 2 * most, assets);
    }

    /// @dev An amount worth less than one unit buys nothing and stays in the strategy; the market is not called.
    function test_dust() public booksCovered {
        _put(ALICE, 1000 * UNIT);
        vm.mockCall(address(market), abi.encodeCall(ICToken.exchangeRateStored, ()), abi.encode(uint256(2.5e18)));
        vm.mockCallRevert(address(market), abi.encodeWithSelector(ICToken.mint.selector), "not called");
        assertEq(_put(BOB, 2), 0);
        assertEq(asset.balanceOf(address(strategy)), 2);
    }

    function test_nothing() public booksCovered {
        _put(ALICE, 1000 * UNIT);
        vm.startPrank(ALICE);
        strategy.deposit(0, ALICE);
        strategy.mint(0, ALICE);
        strategy.withdraw(0, ALICE, ALICE);
        strategy.redeem(0, ALICE, ALICE);
        strategy.redeem(1, ALICE, ALICE);
        vm.stopPrank();
    }

    /* A MARKET THAT DOES NOT DO WHAT IT SAYS */

    /// @dev A market does not revert when it refuses: it answers a code. A code is a refusal.
    function test_deposit_refusedWithACode(uint256 code) public {
        code = bound(code, 1, type(uint256).max);
        vm.mockCall(address(market), abi.encodeWithSelector(ICToken.mint.selector), abi.encode(code));
        asset.mint(ALICE, UNIT);
        vm.startPrank(ALICE);
        asset.approve(address(strategy), UNIT);
        vm.expectRevert(abi.encodeWithSelector(CompoundV2Strategy.MarketRefused.selector, market, code));
        strategy.deposit(UNIT, ALICE);
    }

    function test_withdraw_refusedWithACode(uint256 code) public {
        code = bound(code, 1, type(uint256).max);
        _put(ALICE, UNIT);
        vm.mockCall(address(market), abi.encodeWithSelector(ICToken.redeem.selector), abi.encode(code));
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(CompoundV2Strategy.MarketRefused.selector, market, code));
        strategy.withdraw(UNIT / 2, ALICE, ALICE);
    }

    /// @dev A market that says yes and gives nothing.
    function test_deposit_thatBringsNothing() public {
        uint256 expected = UNIT * WAD / market.exchangeRateStored();
        vm.mockCall(address(market), abi.encodeWithSelector(ICToken.mint.selector), abi.encode(0));
        asset.mint(ALICE, UNIT);
        vm.startPrank(ALICE);
        asset.approve(address(strategy), UNIT);
        vm.expectRevert(abi.encodeWithSelector(CompoundV2Strategy.MarketKept.selector, market, 0, expected));
        strategy.deposit(UNIT, ALICE);
    }

    function test_withdraw_thatBringsNothing() public {
        _put(ALICE, UNIT);
        vm.mockCall(address(market), abi.encodeWithSelector(ICToken.redeem.selector), abi.encode(0));
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(CompoundV2Strategy.MarketKept.selector, market, 0, UNIT / 2));
        strategy.withdraw(UNIT / 2, ALICE, ALICE);
    }

    /// @dev A market whose interest is absurd lets nobody in or out; neither do we, and there is no price.
    function test_absurdInterest() public {
        _put(ALICE, 1000 * UNIT);
        compound.setAbsurdRates();
        vm.roll(block.number + 1);
        vm.expectRevert(bytes("borrow rate is absurdly high"));
        market.accrueInterest();
        _assertNoPrice();
    }

    /// @dev The highest rate that a market accepts is still one.
    function test_highestInterest() public {
        _put(ALICE, 1000 * UNIT);
        vm.roll(block.number + 1);
        _mockModel(abi.encode(5e12));
        assertEq(strategy.totalAssets(), strategy.units() * market.exchangeRateCurrent() / WAD);
        vm.roll(block.number + 1);
        _mockModel(abi.encode(5e12 + 1));
        _assertNoPrice();
    }

    /// @dev A market that owes its reserves more than it has, or that has lost all: nobody gets in or out.
    function test_insolventMarket() public {
        _put(ALICE, 1000 * UNIT);
        vm.roll(block.number + 1);
        vm.mockCall(address(market), abi.encodeCall(ICToken.totalReserves, ()), abi.encode(1e12 * UNIT));
        _assertNoPrice();
        uint256 all = market.getCash() + market.totalBorrows();
        vm.mockCall(address(market), abi.encodeCall(ICToken.totalReserves, ()), abi.encode(all));
        _mockModel(abi.encode(0));
        assertEq(strategy.totalAssets(), 0);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.availableLiquidity(), 0);
    }

    function test_brokenRateModel() public {
        _put(ALICE, 1000 * UNIT);
        vm.roll(block.number + 1);
        vm.mockCallRevert(
            address(market.interestRateModel()),
            abi.encodeWithSelector(IInterestRateModel.getBorrowRate.selector),
            "broken"
        );
        _assertNoPrice();
    }

    function _assertNoPrice() internal {
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.availableLiquidity(), 0);
        vm.expectRevert(abi.encodeWithSelector(CompoundV2Strategy.MarketDoesNotAccrue.selector, market));
        strategy.totalAssets();
        vm.expectRevert(abi.encodeWithSelector(CompoundV2Strategy.MarketDoesNotAccrue.selector, market));
        strategy.previewRedeem(UNIT);
    }

    /// @dev Not even an asset that calls while it moves lets anybody in between.
    function test_reentry() public {
        HookToken token = new HookToken(DECIMALS);
        CompoundMarket other = new CompoundMarket(token);
        other.supply(1000 * UNIT);
        CompoundV2Strategy entered = new CompoundV2StrategyHarness(other.market(), blocksPerYear);
        ReenteringDepositor mallory = new ReenteringDepositor(entered);
        token.mint(address(mallory), UNIT);
        token.setHook(address(mallory));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        mallory.enter(UNIT);
        token.setHook(address(0));
        mallory.enter(UNIT);
    }

    /* LIMITS */

    /// @dev Up to the supply cap as the market counts it, to the unit, with interest that is not recorded yet.
    function test_maxDeposit_supplyCap(uint256 blocks, uint256 cap) public {
        compound.setSupplyCap(bound(cap, 1, 1e9 * UNIT));
        _wait(blocks);
        uint256 most = strategy.maxDeposit(ALICE);
        if (most != 0) {
            uint256 snapshot = vm.snapshotState();
            vm.expectRevert(bytes("market supply cap reached"));
            compound.supply(most + 1);
            vm.revertToState(snapshot);
            _put(ALICE, most);
        }
        asset.mint(BOB, MOST);
        vm.startPrank(BOB);
        asset.approve(address(strategy), MOST);
        most = strategy.maxDeposit(BOB);
        vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, BOB, most + 1, most));
        strategy.deposit(most + 1, BOB);
    }

    function test_maxMint_isAccepted(uint256 blocks, uint256 cap) public {
        compound.setSupplyCap(bound(cap, 1, 1e9 * UNIT));
        _wait(blocks);
        uint256 most = strategy.maxMint(ALICE);
        asset.mint(ALICE, strategy.maxDeposit(ALICE));
        vm.startPrank(ALICE);
        asset.approve(address(strategy), type(uint256).max);
        strategy.mint(most, ALICE);
        assertEq(strategy.balanceOf(ALICE), most);
    }

    function test_maxDeposit_withoutACap() public {
        assertEq(strategy.maxDeposit(ALICE), type(uint128).max);
        _put(ALICE, 1000 * UNIT);
        assertGt(strategy.maxMint(ALICE), type(uint128).max / 1e24);
        compound.setSupplyCap(0);
        assertEq(strategy.maxDeposit(ALICE), 0, "Venus closes a market so");
    }

    /// @dev Compound's own controller has neither caps nor these pauses; its guardian stops deposits alone.
    function test_maxDeposit_compoundsGuardian() public {
        vm.mockCall(
            address(compound.comptroller()),
            abi.encodeCall(IComptroller.mintGuardianPaused, (address(market))),
            abi.encode(false)
        );
        assertEq(strategy.maxDeposit(ALICE), type(uint128).max);
        vm.mockCall(
            address(compound.comptroller()),
            abi.encodeCall(IComptroller.mintGuardianPaused, (address(market))),
            abi.encode(true)
        );
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.availableLiquidity(), market.getCash());
    }

    /// @dev A controller with none of these functions restricts nothing.
    function test_max_plainController() public {
        _put(ALICE, 1000 * UNIT);
        vm.etch(address(compound.comptroller()), hex"5f5ffd"); // reverts
        assertEq(strategy.maxDeposit(ALICE), type(uint128).max);
        assertEq(strategy.maxRedeem(ALICE), strategy.balanceOf(ALICE));
        assertEq(strategy.maxWithdraw(ALICE), strategy.previewRedeem(strategy.balanceOf(ALICE)));
    }

    function test_max_paused() public {
        _put(ALICE, 1000 * UNIT);
        compound.setMintPaused(true);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxMint(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), _worth(ALICE), "lets out");
        vm.prank(ALICE);
        strategy.withdraw(10 * UNIT, ALICE, ALICE);

        compound.setMintPaused(false);
        compound.setRedeemPaused(true);
        assertEq(strategy.maxDeposit(ALICE), type(uint128).max);
        assertEq(strategy.maxWithdraw(ALICE), 0);
        assertEq(strategy.maxRedeem(ALICE), 0);
        assertEq(strategy.availableLiquidity(), 0);
        assertGt(strategy.totalAssets(), 0, "still valued");

        compound.setRedeemPaused(false);
        compound.setProtocolPaused(true);
        assertEq(strategy.maxDeposit(ALICE), 0);
        assertEq(strategy.maxWithdraw(ALICE), 0);

        compound.setProtocolPaused(false);
        _takeAll(ALICE);
    }

    /// @dev Cash that is lent out cannot be withdrawn; the rest can, to the unit.
    function test_maxWithdraw_illiquid(uint256 borrowed, uint256 blocks) public booksCovered {
        _put(ALICE, 100_000 * UNIT);
        uint256 free = market.getCash();
        compound.borrow(bound(borrowed, free - 99_999 * UNIT, free));
        _wait(bound(blocks, 0, blocksPerYear / 12));
        free = market.getCash();
        uint256 most = strategy.maxWithdraw(ALICE);
        assertLe(most, free);
        assertApproxEqAbs(most, free, _unit());
        assertEq(strategy.availableLiquidity(), free);

        vm.startPrank(ALICE);
        strategy.withdraw(most, ALICE, ALICE);
        strategy.redeem(strategy.maxRedeem(ALICE), ALICE, ALICE);
        assertLe(market.getCash(), 2 * _unit());
        uint256 more = 10 * _unit();
        vm.expectRevert();
        strategy.withdraw(more, ALICE, ALICE);
        vm.stopPrank();

        compound.repayAll();
        assertEq(strategy.maxRedeem(ALICE), strategy.balanceOf(ALICE));
        _takeAll(ALICE);
    }

    /* UNDER THE VAULT */

    /// @dev The vault puts no more in than the market could pay back out of what others have left in it.
    function test_vaultPutsNothingWhereItCouldNotGetOut(uint256 free) public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        free = bound(free, 400 * UNIT, 500 * UNIT - 1);
        compound.borrow(market.getCash() - free);
        uint256[] memory w = new uint256[](4);
        w[3] = 0.5e18;
        _refused(
            _request(w), abi.encodeWithSelector(IVaultTypes.Illiquid.selector, address(strategy), 500 * UNIT, free)
        );
    }

    /// @dev Aiming at the cap again and again, the vault is never carried over it by the market's rounding.
    function test_vaultAimsAtTheCapExactly(uint256[6] memory weights, uint256[6] memory blocks, uint256 assets) public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, bound(assets, 1000 * UNIT, 100_000 * UNIT) + 1);
        uint256[] memory w = new uint256[](4);
        for (uint256 i; i < weights.length; ++i) {
            blocks[i] = bound(blocks[i], 1, 864_000);
            vm.roll(block.number + blocks[i]);
            vm.warp(block.timestamp + 3 * blocks[i]); // without time a vault takes interest for a gift
            // Caps count in the bid. Of a position of a unit or two it cannot grow, by rounding.
            (uint256 nav, uint256 bid) = (vault.valuation().nav, vault.valuation().bid);
            uint256 most = 0.6e18 * bid / nav;
            w[3] = weights[i] % 3 == 0 ? most : bound(weights[i], 0, most);
            IVaultTypes.Rebalance memory request = _request(w);
            vm.prank(KEEPER);
            vault.rebalance(request);
            uint256 value = strategy.previewRedeem(strategy.balanceOf(address(vault)));
            assertApproxEqAbs(value, nav * w[3] / WAD, 2 * _unit());
            assertApproxEqAbs(vault.valuation().nav, nav, 2 * _unit());
        }
        uint256 worth = vault.previewRedeem(vault.balanceOf(ALICE));
        assertEq(_redeemAll(ALICE), worth);
    }

    /// @dev A vault with a position in a market that cannot be valued shows no price, and lets nobody in.
    function test_vaultShowsNoPriceWhereTheMarketHasNone() public {
        _add(address(strategy), 0.6e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        uint256[] memory w = new uint256[](4);
        w[3] = 0.5e18;
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vault.rebalance(request);
        vm.roll(block.number + 1);
        _mockModel(abi.encode(1e18));
        assertEq(vault.maxDeposit(ALICE), 0);
        vm.expectRevert();
        vault.totalAssets();
    }
}

contract CompoundV2StrategyTest6 is CompoundV2StrategyTest {
    constructor() BaseTest(6) {}
}

contract CompoundV2StrategyTest18 is CompoundV2StrategyTest {
    constructor() BaseTest(18) {}
}
