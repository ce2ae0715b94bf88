// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {FeeStrategy} from "./mocks/FeeStrategy.sol";

/// @notice The bid believes gains slowly and losses at once, for each position and for the whole; the ask is never under it.
abstract contract TwoSidedPriceTest is BaseTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0.1e18);
    }

    function _grown(uint256 amount, uint256 elapsed) private pure returns (uint256) {
        return amount + amount * MAX_GROWTH_RATE * elapsed / (WAD * 365 days);
    }

    /* THE BID */

    function test_bid_believesAPositionSlowly(uint256 gain, uint256 wait) public {
        gain = bound(gain, 1, MOST);
        wait = bound(wait, 0, 4 * 365 days);
        c.gain(gain);
        vm.warp(block.timestamp + wait);
        uint256 believed = _grown(100 * UNIT, wait);
        uint256 value = _value(c);
        assertEq(vault.totalAssets(), 900 * UNIT + (value < believed ? value : believed));
        assertEq(_nav(), 900 * UNIT + value);
    }

    /// @dev With what is given to the vault itself there is no position to bound: the whole is.
    function test_bid_believesTheWholeSlowly(uint256 gift, uint256 wait) public {
        gift = bound(gift, 1, MOST);
        wait = bound(wait, 0, 4 * 365 days);
        asset.mint(address(vault), gift);
        vm.warp(block.timestamp + wait);
        uint256 believed = _grown(1000 * UNIT, wait);
        assertEq(vault.totalAssets(), 1000 * UNIT + gift < believed ? 1000 * UNIT + gift : believed);
    }

    /// @dev However often it is recorded within a block.
    function test_bid_growsOncePerBlock(uint256 records, uint256 wait) public {
        wait = bound(wait, 0, 365 days);
        asset.mint(address(vault), 5000 * UNIT);
        vm.warp(block.timestamp + wait);
        for (uint256 i; i < records % 8; ++i) {
            _touch();
        }
        assertEq(vault.totalAssets(), _grown(1000 * UNIT, wait));
    }

    function test_bid_fallsAtOnceAndDoesNotJumpBack(uint256 loss) public {
        loss = bound(loss, 1, 90 * UNIT);
        a.lose(loss);
        assertEq(vault.totalAssets(), _nav());
        _touch();
        a.gain(loss);
        assertEq(_nav(), 1000 * UNIT);
        assertLe(vault.totalAssets(), 1000 * UNIT - loss + 1);
        vm.warp(block.timestamp + 1 days);
        assertLe(vault.totalAssets(), _grown(1000 * UNIT - loss + 1, 1 days));
    }

    /// @dev What another position lost is no room for a lie of this one.
    function test_bid_boundsEachPositionByItself(uint256 lie) public {
        lie = bound(lie, 1, 400 * UNIT);
        a.lose(50 * UNIT);
        c.gain(lie);
        assertApproxEqAbs(vault.totalAssets(), 950 * UNIT, 2);
    }

    /// @dev A position that the vault takes from keeps its ceiling in proportion.
    function test_bid_ceilingFollowsTheShares(uint256 weight) public {
        weight = bound(weight, 0.01e18, 0.09e18);
        _rebalance(HOLD, HOLD, weight);
        uint256 recorded = vault.strategies()[2].recorded;
        assertApproxEqAbs(recorded, 1000 * UNIT * weight / WAD, 1);
        c.gain(500 * UNIT);
        assertApproxEqAbs(vault.totalAssets(), 1000 * UNIT, 4);
        uint256 shares = vault.balanceOf(ALICE) / 2;
        vm.prank(ALICE);
        vault.redeemInKind(shares, ALICE, ALICE, new uint256[](0));
        assertApproxEqAbs(vault.totalAssets(), 500 * UNIT, 5);
        assertApproxEqAbs(vault.strategies()[2].recorded, recorded / 2, 1);
    }

    /// @dev Adding to a position makes nothing believed of what is in it already.
    function test_bid_ceilingTakesADepositAndNoGain(uint256 gain, uint256 wait) public {
        gain = bound(gain, UNIT, 100 * UNIT);
        wait = bound(wait, 0, 365 days);
        c.gain(gain);
        uint256 value = _value(c);
        uint256 before = vault.idle();
        _rebalance(HOLD, HOLD, 0.25e18);
        uint256 recorded = 100 * UNIT + before - vault.idle();
        assertEq(vault.strategies()[2].recorded, recorded);
        assertLt(recorded, _value(c));
        assertGt(_value(c), value);

        vm.warp(block.timestamp + wait);
        uint256 rest = _nav() - _value(c);
        uint256 believed = _grown(recorded, wait);
        uint256 bid = rest + (_value(c) < believed ? _value(c) : believed);
        uint256 whole = _grown(1000 * UNIT, wait);
        assertApproxEqAbs(vault.totalAssets(), bid < whole ? bid : whole, 2);
    }

    /// @dev Deposits and withdrawals move the bid along, and neither gain nor lose by it.
    function test_bid_movesWithWhatComesAndGoes(uint256 assets) public {
        assets = bound(assets, 1, MOST);
        _deposit(BOB, assets);
        assertEq(vault.totalAssets(), 1000 * UNIT + assets);
        uint256 paid = _redeemAll(BOB);
        assertApproxEqAbs(paid, assets, 1);
        assertApproxEqAbs(vault.totalAssets(), 1000 * UNIT, 3);
    }

    /// @dev A new rate holds from its day on: no position's ceiling jumps.
    function test_bid_newRateDoesNotReachBack(uint64 rate, uint256 wait) public {
        rate = uint64(bound(rate, 0, 10e6)) * 1e12;
        wait = bound(wait, 0, 365 days);
        c.gain(500 * UNIT);
        vm.warp(block.timestamp + wait);
        uint256 bid = vault.totalAssets();
        _setLimit(IVaultTypes.Limit.MaxGrowthRate, rate);
        assertEq(vault.totalAssets(), bid);
    }

    /// @dev With hardly anything in the vault, a unit of rounding is no crash and no gain has to be waited for.
    function test_bid_ofDustIsNav(uint256 dust, uint256 gift) public {
        _redeemAll(ALICE);
        _rebalance(0, 0, 0);
        _deposit(BOB, bound(dust, 1, 900));
        uint256 nav = _nav();
        assertLt(nav, 1000);
        gift = bound(gift, 0, 999 - nav);
        asset.mint(address(vault), gift);
        IVaultTypes.Valuation memory v = vault.valuation();
        assertEq(v.bid, nav + gift);
        assertEq(v.bid, v.nav);
        assertEq(v.highWaterMark, v.sharePrice);
    }

    /* THE ASK */

    /// @dev A position is bought at what its shares are worth and left at what leaving it pays.
    function test_ask_ofACostlyPosition(uint256 assets) public {
        FeeStrategy costly = _costly();
        assets = bound(assets, UNIT, 1e6 * UNIT);
        IVaultTypes.Valuation memory v = vault.valuation();
        IVaultTypes.Strategy memory s = vault.strategies()[3];
        assertEq(v.ask - v.nav, costly.convertToAssets(s.shares) - costly.previewRedeem(s.shares));
        assertGt(v.ask, v.bid);
        uint256 shares = _deposit(BOB, assets);
        assertEq(shares, assets * (1000 * UNIT * 1e6 + 1e6) / (v.ask + 1));
        assertLt(vault.previewRedeem(shares), assets);
    }

    /// @dev Whoever enters before the vault leaves a costly position, and leaves after, takes nothing of what comes back.
    function test_ask_givesNobodyTheDiscount(uint256 assets) public {
        _costly();
        assets = bound(assets, UNIT, 1e6 * UNIT);
        _deposit(MALLORY, assets);
        uint256[] memory weights = new uint256[](4);
        (weights[0], weights[1], weights[2]) = (HOLD, HOLD, HOLD);
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
        assertLe(_redeemAll(MALLORY), assets);
    }

    function test_ask_isNeverUnderTheBid(uint256 gain, uint256 loss, uint256 wait) public {
        a.gain(bound(gain, 0, 500 * UNIT));
        b.lose(bound(loss, 0, 150 * UNIT));
        vm.warp(block.timestamp + bound(wait, 0, 365 days));
        IVaultTypes.Valuation memory v = vault.valuation();
        assertGe(v.ask, v.nav);
        assertGe(v.nav, v.bid);
        assertGe(vault.previewMint(1e18), vault.previewRedeem(1e18));
        assertLe(vault.previewDeposit(UNIT), vault.previewWithdraw(UNIT));
    }

    /// @dev A strategy that says its shares are worth less than leaving pays does not make entering cheap.
    function test_ask_notByAnUnderstatement() public {
        _costly();
        address costly = address(vault.strategies()[3].target);
        vm.mockCall(costly, abi.encodeWithSelector(IERC4626.convertToAssets.selector), abi.encode(1));
        IVaultTypes.Valuation memory v = vault.valuation();
        assertEq(v.ask, v.nav);
    }

    function _costly() private returns (FeeStrategy costly) {
        costly = new FeeStrategy(asset);
        _add(address(costly), 0.6e18, type(uint128).max);
        uint256[] memory weights = new uint256[](4);
        weights[3] = 0.4e18;
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }
}

contract TwoSidedPriceTest6 is TwoSidedPriceTest {
    constructor() BaseTest(6) {}
}

contract TwoSidedPriceTest18 is TwoSidedPriceTest {
    constructor() BaseTest(18) {}
}
