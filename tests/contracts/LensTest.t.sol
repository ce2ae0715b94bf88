// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ILiquiditySource} from "../../contracts/interfaces/ILiquiditySource.sol";
import {IVaultLens} from "../../contracts/interfaces/IVaultLens.sol";
import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {VaultLens} from "../../contracts/lens/VaultLens.sol";
import {BaseTest} from "./BaseTest.sol";
import {FeeStrategy} from "./mocks/FeeStrategy.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";
import {PlainStrategy} from "./mocks/PlainStrategy.sol";

abstract contract LensTest is BaseTest {
    /// @dev The least gas that nodes allow an `eth_call`.
    uint256 internal constant CALL_GAS = 30_000_000;

    VaultLens internal lens;

    function setUp() public override {
        super.setUp();
        lens = new VaultLens();
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0);
    }

    function test_snapshot_notAVault(address notAVault) public {
        vm.assume(notAVault.code.length == 0);
        vm.expectRevert(abi.encodeWithSelector(VaultLens.NotAVault.selector, notAVault));
        lens.snapshot(notAVault);
    }

    function test_snapshot_chainAndVault() public {
        vm.roll(77);
        vm.fee(13 gwei);
        vm.chainId(42);
        a.gain(100 * UNIT);
        vm.warp(block.timestamp + 30 days);
        IVaultLens.Snapshot memory s = lens.snapshot(address(vault));

        assertEq(s.chainId, 42);
        assertEq(s.blockNumber, 77);
        assertEq(s.parentHash, blockhash(76));
        assertEq(s.timestamp, block.timestamp);
        assertEq(s.baseFee, 13 gwei);
        assertEq(s.vault, address(vault));
        assertEq(s.asset, address(asset));
        assertEq(s.assetDecimals, DECIMALS);
        assertEq(s.keeper, KEEPER);
        assertEq(s.policyHash, POLICY);
        assertEq(s.epoch, 1);
        assertEq(s.lastRebalance, block.timestamp - 30 days);
        assertFalse(s.halted);
        IVaultTypes.Valuation memory v = vault.valuation();
        assertEq(s.nav, 1100 * UNIT - 1);
        assertEq(s.nav, v.nav);
        assertEq(s.bid, vault.totalAssets());
        assertEq(s.bid, v.bid);
        assertLt(s.bid, s.nav, "gains are believed by and by");
        assertEq(s.ask, v.ask);
        assertGe(s.ask, s.nav);
        assertEq(s.navPrice, v.navPrice);
        assertApproxEqRel(s.navPrice, 1.1e18, 1e13);
        assertEq(s.totalSupply, vault.totalSupply());
        assertEq(s.idle, 300 * UNIT);
        assertEq(s.sharePrice, vault.sharePrice());
        assertEq(s.highWaterMark, vault.highWaterMark());
        assertGt(s.highWaterMark, 1e18);
        assertEq(s.drawdownFloor, vault.drawdownFloor());
        assertEq(abi.encode(s.limits), abi.encode(_limits()));
        assertEq(s.lossBudget, vault.lossBudget());
        assertEq(s.turnoverBudget, vault.turnoverBudget());
        assertTrue(s.valued);

        _loseShareOfNav(0.3e18);
        vault.trip();
        assertTrue(lens.snapshot(address(vault)).halted);
    }

    /// @dev The three sides of a value, each from its own strategy: one that gained, one that costs to leave.
    function test_snapshot_navBidAndAsk() public {
        FeeStrategy fee = new FeeStrategy(asset);
        _add(address(fee), 0.5e18, type(uint128).max);
        uint256[] memory weights = new uint256[](4);
        (weights[0], weights[1], weights[2], weights[3]) = (HOLD, HOLD, HOLD, 0.2e18);
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
        a.gain(100 * UNIT);
        IVaultLens.Snapshot memory s = lens.snapshot(address(vault));
        uint256 cost = 200 * UNIT - fee.previewRedeem(fee.balanceOf(address(vault)));
        assertGt(cost, 0);
        assertEq(s.bid, 1000 * UNIT - cost);
        assertApproxEqAbs(s.nav, 1100 * UNIT - cost, 1);
        assertApproxEqAbs(s.ask, 1100 * UNIT, 1);
        assertEq(s.sharePrice, vault.sharePrice());
        assertGt(s.navPrice, s.sharePrice);
    }

    /// @dev What shares cost, are worth and pay: the same but for rounding, unless entering or leaving costs something.
    function test_snapshot_entryAndExitPrice() public {
        FeeStrategy fee = new FeeStrategy(asset);
        _add(address(fee), 0.5e18, type(uint128).max);
        a.gain(50 * UNIT);
        bytes memory call = abi.encodeCall(a.previewMint, (1e27));
        vm.mockCall(address(b), call, abi.encode(1.002e27));
        vm.mockCallRevert(address(c), call, "");
        IVaultLens.StrategySnapshot[] memory s = lens.snapshot(address(vault)).strategies;
        assertApproxEqAbs(s[0].entryPrice, s[0].price, 1);
        assertApproxEqAbs(s[0].exitPrice, s[0].price, 1);
        assertEq(s[1].entryPrice, 1.002e27);
        assertEq(s[2].entryPrice, s[2].price);
        assertTrue(s[2].live);
        assertApproxEqAbs(s[3].entryPrice, s[3].price, 1);
        assertEq(s[3].exitPrice, fee.previewRedeem(1e27));
        assertApproxEqRel(s[3].exitPrice, s[3].price * 10_000 / 10_030, 1e12);
    }

    function test_snapshot_groups() public {
        assertEq(lens.snapshot(address(vault)).groups.length, 0);
        vm.startPrank(GOVERNANCE);
        vault.setGroup(0, IVaultTypes.Group(ALICE, 0.5e18, 7, 3));
        vault.setGroup(1, IVaultTypes.Group(BOB, 0.6e18, 8, 5));
        IVaultTypes.Group[] memory groups = lens.snapshot(address(vault)).groups;
        assertEq(groups.length, 2);
        assertEq(abi.encode(groups[0]), abi.encode(IVaultTypes.Group(ALICE, 0.5e18, 7, 3)));
        assertEq(abi.encode(groups[1]), abi.encode(IVaultTypes.Group(BOB, 0.6e18, 8, 5)));
    }

    /// @dev What was recorded, and when: gains since then do not show.
    function test_snapshot_recorded() public {
        uint256 invested = block.timestamp;
        vm.warp(block.timestamp + 5 days);
        a.gain(UNIT);
        b.gain(20 * UNIT);
        _rebalance(HOLD, 0.25e18, HOLD);
        IVaultLens.StrategySnapshot[] memory s = lens.snapshot(address(vault)).strategies;
        assertEq(s[0].recorded, 500 * UNIT);
        assertEq(s[0].recordedAt, invested);
        assertGt(s[1].recorded, 200 * UNIT);
        assertLt(s[1].recorded, s[1].assets);
        assertEq(s[1].recordedAt, block.timestamp);
        assertEq(s[2].recorded, 0);
    }

    /// @dev The cash of a venue, where a strategy says it; and how one breaks that says it badly.
    function test_snapshot_cash(uint256 cash) public {
        bytes memory call = abi.encodeCall(ILiquiditySource.availableLiquidity, ());
        vm.mockCall(address(a), call, abi.encode(cash));
        vm.mockCall(address(b), call, "");
        IVaultLens.StrategySnapshot[] memory s = lens.snapshot(address(vault)).strategies;
        assertTrue(s[0].hasCash);
        assertEq(s[0].cash, cash);
        for (uint256 i = 1; i < 3; ++i) {
            assertFalse(s[i].hasCash);
            assertEq(s[i].cash, 0);
            assertTrue(s[i].live);
        }
    }

    function test_snapshot_strategies() public {
        PlainStrategy plain = new PlainStrategy(asset);
        _add(address(plain), 0.1e18, 123);
        a.setRate(0.034e18);
        a.setLiquidity(7 * UNIT);
        a.gain(50 * UNIT);
        IVaultLens.StrategySnapshot[] memory s = lens.snapshot(address(vault)).strategies;

        assertEq(s.length, 4);
        assertEq(s[0].target, address(a));
        assertEq(s[0].name, "Plain strategy");
        assertEq(s[0].shares, _shares(a));
        assertEq(s[0].assets, _value(a));
        assertEq(s[0].price, a.convertToAssets(1e27));
        assertApproxEqRel(s[0].price, 1.1e27, 1e12);
        assertEq(s[0].supplyRate, 0.034e18);
        assertTrue(s[0].hasRate);
        assertApproxEqAbs(s[0].maxWithdraw, 7 * UNIT, 2);
        assertEq(s[0].maxDeposit, type(uint256).max);
        assertEq(s[0].relativeCap, 0.6e18);
        assertEq(s[0].absoluteCap, type(uint128).max);
        assertTrue(s[0].live);

        assertEq(s[3].target, address(plain));
        assertEq(s[3].relativeCap, 0.1e18);
        assertEq(s[3].absoluteCap, 123);
        assertFalse(s[3].hasRate);
        assertEq(s[3].supplyRate, 0);
        assertTrue(s[3].live);
    }

    /// @dev Shares that were sent to the vault are not in its books: it cannot withdraw them.
    function test_snapshot_donatedShares() public {
        asset.mint(address(this), 100 * UNIT);
        asset.approve(address(a), 100 * UNIT);
        a.deposit(100 * UNIT, address(vault));
        IVaultLens.StrategySnapshot memory s = lens.snapshot(address(vault)).strategies[0];
        assertEq(s.assets, 500 * UNIT);
        assertEq(s.maxWithdraw, 500 * UNIT);
    }

    /// @dev However one strategy breaks, the others are told as they are.
    function test_snapshot_brokenStrategy(uint256 part, uint256 kind) public {
        MockStrategy.Part[4] memory parts = [
            MockStrategy.Part.PreviewRedeem,
            MockStrategy.Part.ConvertToAssets,
            MockStrategy.Part.MaxDeposit,
            MockStrategy.Part.MaxWithdraw
        ];
        MockStrategy.Part broken = parts[part % 4];
        MockStrategy.Fault fault = MockStrategy.Fault(bound(kind, 1, 3));
        a.setRate(0.05e18);
        b.setRate(0.03e18);
        a.setFault(broken, fault);
        IVaultLens.Snapshot memory s = lens.snapshot{gas: CALL_GAS}(address(vault));

        assertFalse(s.strategies[0].live);
        assertEq(s.strategies[0].target, address(a));
        assertEq(s.strategies[0].shares, _shares(a));
        assertEq(s.strategies[0].relativeCap, 0.6e18);
        assertEq(s.strategies[0].assets, 0);
        assertEq(s.strategies[0].price, 0);
        assertEq(s.strategies[0].maxWithdraw, 0);
        assertEq(s.strategies[0].maxDeposit, 0);
        assertEq(s.strategies[0].supplyRate, 0);
        assertFalse(s.strategies[0].hasRate);
        assertTrue(s.strategies[1].live);
        assertEq(s.strategies[1].assets, 200 * UNIT);
        assertEq(s.strategies[1].supplyRate, 0.03e18);
        assertEq(s.idle, 300 * UNIT);
        assertEq(s.epoch, 1);
        // What cannot be valued is left out, and that is told.
        bool valued = broken != MockStrategy.Part.PreviewRedeem;
        assertEq(s.valued, valued);
        assertEq(s.nav, valued ? 1000 * UNIT : 500 * UNIT);
        assertEq(s.bid, s.nav);
        assertEq(s.ask, s.nav);
        assertEq(s.strategies[0].recorded, 500 * UNIT);
        assertEq(s.highWaterMark, WAD);
        assertEq(s.drawdownFloor, 0.9e18);
    }

    function test_snapshot_brokenRateOrName(uint256 kind) public {
        MockStrategy.Fault fault = MockStrategy.Fault(bound(kind, 1, 4));
        bool flood = fault == MockStrategy.Fault.Flood;
        a.setRate(0.05e18);
        a.setFault(MockStrategy.Part.Rate, fault);
        a.setFault(MockStrategy.Part.Name, fault);
        IVaultLens.StrategySnapshot memory s = lens.snapshot{gas: CALL_GAS}(address(vault)).strategies[0];
        assertTrue(s.live);
        assertEq(s.assets, 500 * UNIT);
        assertEq(s.supplyRate, 0);
        assertEq(s.hasRate, flood, "a flood of zeros is an answer: zero");
        assertEq(s.name, "");
    }

    function test_snapshot_strangeNames() public {
        vm.mockCall(address(a), abi.encodeWithSignature("name()"), abi.encode(unicode"mañana\n"));
        vm.mockCall(address(b), abi.encodeWithSignature("name()"), abi.encode(new string(65)));
        vm.mockCall(address(c), abi.encodeWithSignature("name()"), abi.encode(bytes32("Maker")));
        IVaultLens.StrategySnapshot[] memory s = lens.snapshot(address(vault)).strategies;
        assertEq(s[0].name, "ma??ana?");
        assertEq(bytes(s[1].name).length, 64);
        assertEq(s[2].name, "");
        assertTrue(s[0].live && s[1].live && s[2].live);
    }

    function test_snapshot_strategyWithoutCode() public {
        vm.etch(address(a), "");
        IVaultLens.Snapshot memory s = lens.snapshot{gas: CALL_GAS}(address(vault));
        assertFalse(s.strategies[0].live);
        assertFalse(s.valued);
        assertEq(s.bid, 500 * UNIT);
        assertTrue(s.strategies[1].live);
        assertEq(s.strategies[1].assets, 200 * UNIT);
    }

    function test_snapshot_assetWithoutDecimals() public {
        vm.mockCallRevert(address(asset), abi.encodeWithSignature("decimals()"), "");
        assertEq(lens.snapshot(address(vault)).assetDecimals, 18);
    }
}

contract LensTest6 is LensTest {
    constructor() BaseTest(6) {}
}

contract LensTest18 is LensTest {
    constructor() BaseTest(18) {}
}
