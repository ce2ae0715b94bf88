// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BoundedCall} from "../../contracts/libraries/BoundedCall.sol";
import {BaseTest} from "./BaseTest.sol";
import {BlocklistToken} from "./mocks/BlocklistToken.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";
import {SlowStrategy} from "./mocks/SlowStrategy.sol";
import {Token} from "./mocks/Token.sol";

/// @notice The exit that needs no price, no liquidity and no live strategy.
abstract contract InKindTest is BaseTest {
    /// @dev What a transaction may use (EIP-7825).
    uint256 internal constant TRANSACTION_GAS = 16_777_216;

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 600 * UNIT);
        _deposit(BOB, 400 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0.1e18);
    }

    function _leave(address who, uint256 shares) private returns (uint256 assets, uint256[] memory parts) {
        vm.prank(who);
        return vault.redeemInKind(shares, who, who, new uint256[](0));
    }

    function test_redeemInKind(uint256 shares) public {
        uint256 owned = vault.balanceOf(ALICE);
        shares = bound(shares, 0, owned);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, ALICE, owned, owned + 1));
        _leave(ALICE, owned + 1);
        vm.assume(shares > 0);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, MALLORY, 0, shares));
        vm.prank(MALLORY);
        vault.redeemInKind(shares, MALLORY, ALICE, new uint256[](0));

        uint256 whole = vault.totalSupply() + 1e6;
        uint256 expected = 200 * UNIT * shares / whole;
        (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        vm.expectEmit(address(vault));
        emit IVaultTypes.RedeemedInKind(ALICE, ALICE, ALICE, shares, expected);
        (uint256 assets, uint256[] memory parts) = _leave(ALICE, shares);
        assertEq(assets, expected);
        assertEq(asset.balanceOf(ALICE), expected);
        assertEq(parts.length, 3);
        assertEq(parts[0], 500 * UNIT * shares / whole);
        assertEq(parts[1], 200 * UNIT * shares / whole);
        assertEq(parts[2], 100 * UNIT * shares / whole);
        assertEq(a.balanceOf(ALICE), parts[0]);
        assertEq(b.balanceOf(ALICE), parts[1]);
        assertEq(c.balanceOf(ALICE), parts[2]);
        assertEq(_shares(a), a.balanceOf(address(vault)));
        assertEq(vault.balanceOf(ALICE), owned - shares);
        _assertPriceKept(nav, supply, 0);
    }

    /// @dev Some tokens refuse to move nothing.
    function test_redeemInKind_sendsNoNothing() public {
        vm.mockCallRevert(address(asset), abi.encodeCall(asset.transfer, (ALICE, 0)), "");
        (uint256 assets,) = _leave(ALICE, 1);
        assertEq(assets, 0);
    }

    function test_redeemInKind_byAnAllowedSpender() public {
        vm.prank(ALICE);
        vault.approve(BOB, 100 * UNIT * 1e6);
        vm.prank(BOB);
        vault.redeemInKind(60 * UNIT * 1e6, BOB, ALICE, new uint256[](0));
        assertEq(vault.allowance(ALICE, BOB), 40 * UNIT * 1e6);
        assertGt(a.balanceOf(BOB), 0);
    }

    /// @dev Everything is broken at once: nothing can be valued, withdrawn or said, and the vault is halted.
    function test_redeemInKind_inTheWorstState(uint256 kind) public {
        vm.prank(GOVERNANCE);
        vault.halt();
        MockStrategy[3] memory all = [a, b, c];
        for (uint256 i; i < 3; ++i) {
            all[i].setLiquidity(0);
            for (uint256 part; part < 6; ++part) {
                all[i].setFault(MockStrategy.Part(part), MockStrategy.Fault(bound(kind, 1, 3)));
            }
        }
        assertFalse(vault.valued());
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        (uint256 assets,) = vault.redeemInKind{gas: 1_000_000}(shares, ALICE, ALICE, new uint256[](0));
        assertApproxEqAbs(assets, 120 * UNIT, 1);
        assertApproxEqAbs(a.balanceOf(ALICE), 300 * UNIT, 1);
        _leave(BOB, vault.balanceOf(BOB));
        assertEq(vault.totalSupply(), 0);
        assertLe(_shares(a), 1);
    }

    /// @dev A strategy whose shares do not move is passed over; its part stays with the others, and in the books.
    function test_redeemInKind_passesOverSharesThatDoNotMove(uint256 kind) public {
        bytes memory call = abi.encodeWithSignature("transfer(address,uint256)");
        kind %= 4;
        if (kind == 0) vm.mockCallRevert(address(a), call, "no");
        if (kind == 1) vm.mockCall(address(a), call, abi.encode(false));
        if (kind == 2) vm.mockCall(address(a), call, abi.encode(uint256(2)));
        if (kind == 3) vm.etch(address(a), "");
        uint256 shares = vault.balanceOf(ALICE);
        vm.expectEmit(address(vault));
        emit IVaultTypes.StrategySkipped(address(a));
        (, uint256[] memory parts) = _leave(ALICE, shares);
        assertEq(parts[0], 0);
        assertGt(parts[1], 0);
        assertEq(_shares(a), 500 * UNIT);
    }

    /// @dev Some tokens answer nothing when they have moved: that is no refusal.
    function test_redeemInKind_sharesThatAnswerNothing() public {
        vm.mockCall(address(a), abi.encodeWithSignature("transfer(address,uint256)"), "");
        (, uint256[] memory parts) = _leave(ALICE, vault.balanceOf(ALICE));
        assertEq(_shares(a), 500 * UNIT - parts[0]);
        assertGt(parts[0], 0);
    }

    /* MINIMUMS */

    function _least(uint256 idle_, uint256 partA, uint256 partB, uint256 partC)
        private
        pure
        returns (uint256[] memory minimums)
    {
        minimums = new uint256[](4);
        (minimums[0], minimums[1], minimums[2], minimums[3]) = (idle_, partA, partB, partC);
    }

    function test_redeemInKind_wrongLength(uint256 length) public {
        length = bound(length, 1, 20);
        if (length == 4) ++length;
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.WrongLength.selector, length, 4));
        vm.prank(ALICE);
        vault.redeemInKind(1, ALICE, ALICE, new uint256[](length));
    }

    /// @dev Each of the four binds to the unit, idle first.
    function test_redeemInKind_minimums(uint256 shares) public {
        shares = bound(shares, 0, vault.balanceOf(ALICE));
        uint256 snapshot = vm.snapshotState();
        (uint256 assets, uint256[] memory parts) = _leave(ALICE, shares);
        vm.revertToState(snapshot);
        uint256[] memory minimums = _least(assets, parts[0], parts[1], parts[2]);
        vm.startPrank(ALICE);
        for (uint256 i; i < 4; ++i) {
            ++minimums[i];
            vm.expectRevert(abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, minimums[i] - 1, minimums[i]));
            vault.redeemInKind(shares, ALICE, ALICE, minimums);
            --minimums[i];
        }
        vault.redeemInKind(shares, ALICE, ALICE, minimums);
        assertEq(asset.balanceOf(ALICE), assets);
        assertEq(b.balanceOf(ALICE), parts[1]);
    }

    /// @dev Whoever demands a part is not sent away without it.
    function test_redeemInKind_minimumOfSharesThatDoNotMove() public {
        vm.mockCallRevert(address(a), abi.encodeWithSignature("transfer(address,uint256)"), "no");
        uint256 shares = vault.balanceOf(ALICE);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, 0, 1));
        vault.redeemInKind(shares, ALICE, ALICE, _least(0, 1, 0, 0));
        vault.redeemInKind(shares, ALICE, ALICE, _least(0, 0, 1, 1));
        assertEq(a.balanceOf(ALICE), 0);
    }

    /// @dev What is skipped is not even tried; it stays with the others.
    function test_redeemInKind_skip(uint256 which) public {
        which %= 4;
        uint256 skip = vault.SKIP();
        uint256[] memory minimums = new uint256[](4);
        minimums[which] = skip;
        address[4] memory tokens = [address(asset), address(a), address(b), address(c)];
        vm.expectCall(tokens[which], abi.encodeWithSignature("transfer(address,uint256)"), 0);
        (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        uint256[4] memory held = [vault.idle(), _shares(a), _shares(b), _shares(c)];
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        vault.redeemInKind(shares, ALICE, ALICE, minimums);
        uint256[4] memory left = [vault.idle(), _shares(a), _shares(b), _shares(c)];
        for (uint256 i; i < 4; ++i) {
            assertEq(left[i] == held[i], i == which);
            assertEq(Token(tokens[i]).balanceOf(ALICE), held[i] - left[i]);
        }
        _assertPriceKept(nav, supply, 0);
    }

    function test_redeemInKind_skipEverything() public {
        uint256 skip = vault.SKIP();
        (uint256 nav, uint256 shares) = (vault.totalAssets(), vault.balanceOf(ALICE));
        vm.prank(ALICE);
        (uint256 assets, uint256[] memory parts) =
            vault.redeemInKind(shares, ALICE, ALICE, _least(skip, skip, skip, skip));
        assertEq(assets + parts[0] + parts[1] + parts[2], 0);
        assertEq(vault.valuation().nav, nav, "a gift to the others");
        assertEq(vault.balanceOf(ALICE), 0);
    }

    /* AN ASSET THAT IS BLOCKED */

    /// @dev The asset's issuer blocks the vault: nothing can be paid, and the strategies' shares still come out.
    function test_redeemInKind_pastABlockedAsset(uint256 shares) public {
        vm.etch(address(asset), address(new BlocklistToken(DECIMALS)).code);
        BlocklistToken(address(asset)).setBlocked(address(vault), true);
        shares = bound(shares, 1e7, vault.balanceOf(ALICE));
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(BlocklistToken.Blocked.selector, address(vault)));
        vault.redeem(shares, ALICE, ALICE);
        uint256[] memory minimums = _least(1, 0, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, 0, 1));
        vault.redeemInKind(shares, ALICE, ALICE, minimums);
        uint256 snapshot = vm.snapshotState();

        for (uint256 i; i < 2; ++i) {
            minimums[0] = i == 0 ? vault.SKIP() : 0;
            (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
            if (i == 1) {
                vm.expectEmit(address(vault));
                emit IVaultTypes.StrategySkipped(address(asset));
            }
            (uint256 assets, uint256[] memory parts) = vault.redeemInKind(shares, ALICE, ALICE, minimums);
            assertEq(assets, 0);
            assertEq(parts[0], 500 * UNIT * shares / (supply + 1e6));
            assertEq(vault.idle(), 200 * UNIT);
            _assertPriceKept(nav, supply, 3);
            vm.revertToState(snapshot);
        }
    }

    /* GAS BURNERS */

    /// @dev Sixteen strategies that burn all the gas they are given still let one out within a transaction; also where a fee
    /// makes the vault read them first, and whether they answer in the end or not.
    function test_redeemInKind_pastSixteenGasBurners() public {
        SlowStrategy[] memory all = _investInSixteen();
        uint256 snapshot = vm.snapshotState();
        for (uint256 kind; kind < 4; ++kind) {
            (bool fee, bool answer) = (kind % 2 == 1, kind / 2 == 1);
            if (fee) _chargeAFee();
            for (uint256 i; i < 16; ++i) {
                if (answer) all[i].setTemper(SlowStrategy.Temper.Refuses);
                else vm.etch(address(all[i]), hex"fe");
            }
            uint256 shares = vault.balanceOf(ALICE);
            uint256 idle = vault.idle();
            vm.prank(ALICE);
            (uint256 assets,) = vault.redeemInKind{gas: TRANSACTION_GAS}(shares, ALICE, ALICE, new uint256[](0));
            bool charged = vault.balanceOf(BOB) > 400 * UNIT * 1e6;
            assertEq(charged, fee && answer, "the fee is charged where there is a price");
            assertEq(assets, idle * shares / (vault.totalSupply() + shares + 1e6));
            vm.revertToState(snapshot);
        }
    }

    /// @dev The same, where every share moves in the end.
    function test_redeemInKind_fromSixteenThatMoveLate() public {
        SlowStrategy[] memory all = _investInSixteen();
        _chargeAFee();
        for (uint256 i; i < 16; ++i) {
            all[i].setTemper(SlowStrategy.Temper.PaysLate);
        }
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        (, uint256[] memory parts) = vault.redeemInKind{gas: TRANSACTION_GAS}(shares, ALICE, ALICE, new uint256[](0));
        for (uint256 i; i < 16; ++i) {
            assertGt(parts[i], 5 * UNIT);
        }
    }

    /// @dev With less gas than a strategy may need, nothing is forgone: it reverts, or hands out everything; and a fee that is
    /// due is charged in full.
    function test_redeemInKind_tooLittleGasForgoesNothing() public {
        _tooLittleGas(false);
    }

    function test_redeemInKind_tooLittleGasForgoesNothing_withAFee() public {
        _tooLittleGas(true);
    }

    function _tooLittleGas(bool fee) private {
        SlowStrategy[] memory all = _investInSixteen();
        if (fee) _chargeAFee();
        uint256 due = vault.totalSupply();
        for (uint256 i; i < 16; ++i) {
            all[i].setCost(150_000);
        }
        uint256 shares = vault.balanceOf(ALICE);
        uint256 snapshot = vm.snapshotState();
        uint256 handedOut;
        for (uint256 gas_ = 500_000; gas_ < 9_000_000; gas_ += 500_000) {
            vm.prank(ALICE);
            try vault.redeemInKind{gas: gas_}(shares, ALICE, ALICE, new uint256[](0)) returns (
                uint256, uint256[] memory parts
            ) {
                for (uint256 i; i < 16; ++i) {
                    assertGt(parts[i], 0);
                }
                if (handedOut == 0) handedOut = vault.totalSupply();
                assertEq(vault.totalSupply(), handedOut);
                assertEq(handedOut > due - shares, fee);
            } catch {}
            vm.revertToState(snapshot);
        }
        assertGt(handedOut, 0);
        vm.expectPartialRevert(BoundedCall.NotEnoughGas.selector);
        vm.prank(ALICE);
        vault.redeemInKind{gas: 1_500_000}(shares, ALICE, ALICE, new uint256[](0));
    }

    /// @dev One hundredth in each, 840 idle.
    function _investInSixteen() private returns (SlowStrategy[] memory all) {
        all = new SlowStrategy[](16);
        uint256[] memory weights = new uint256[](16);
        _rebalance(0, 0, 0);
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(a));
        vault.removeStrategy(address(b));
        vault.removeStrategy(address(c));
        for (uint256 i; i < 16; ++i) {
            all[i] = new SlowStrategy(asset);
            vault.addStrategy(address(all[i]), 0.01e18, type(uint128).max);
            weights[i] = 0.01e18;
        }
        vm.stopPrank();
        IVaultTypes.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    function _chargeAFee() private {
        vm.startPrank(GOVERNANCE);
        vault.setFeeRecipient(BOB);
        vault.loosen(IVaultTypes.Limit.PerformanceFee, 0.1e18);
        vm.stopPrank();
        asset.mint(address(vault), 100 * UNIT);
        vm.warp(block.timestamp + 365 days);
    }

    /* FAIR */

    /// @dev It hands out nothing that the others own, whatever was donated or lost, and whatever the bid believes of it.
    function test_redeemInKind_isFair(uint256 gain, uint256 loss, uint256 shares) public {
        a.gain(bound(gain, 0, 500 * UNIT));
        b.lose(bound(loss, 0, 200 * UNIT));
        shares = bound(shares, 0, vault.balanceOf(ALICE));
        IVaultTypes.Valuation memory before = vault.valuation();
        (uint256 bid, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        uint256 fair = before.nav * shares / (supply + 1e6);
        (uint256 assets, uint256[] memory parts) = _leave(ALICE, shares);
        assets += a.previewRedeem(parts[0]) + b.previewRedeem(parts[1]) + c.previewRedeem(parts[2]);
        assertLe(assets, fair + 1);
        assertApproxEqAbs(assets, fair, a.convertToAssets(1) + b.convertToAssets(1) + 5);
        _assertPriceKept(bid, supply, 3); // one unit for each strategy: a value is rounded down
        // Products, not prices: a price's own rounding would hide or feign a unit.
        uint256 left = vault.valuation().nav + 1 + 3;
        assertGe(left * (supply + 1e6), (before.nav + 1) * (vault.totalSupply() + 1e6), "NAV per share fell");
    }

    /// @dev A loss that leaves the price at the edge of a unit.
    function test_redeemInKind_isFair_atTheEdgeOfAUnit() public {
        test_redeemInKind_isFair(
            1001, 1e14, 51704704831965588626319974067063268036117105965577205302316842884397941922508
        );
    }

    /// @dev Whoever leaves takes their part of the bid along: the others' part does not grow at once, where a gift waits to be
    /// believed.
    function test_redeemInKind_takesItsPartOfTheBid(uint256 gift, uint256 shares) public {
        asset.mint(address(vault), bound(gift, 0, MOST));
        shares = bound(shares, 0, vault.balanceOf(ALICE));
        uint256 supply = vault.totalSupply();
        assertEq(vault.totalAssets(), 1000 * UNIT);
        _leave(ALICE, shares);
        assertApproxEqAbs(vault.totalAssets(), 1000 * UNIT - 1000 * UNIT * shares / (supply + 1e6), 3);
    }
}

contract InKindTest6 is InKindTest {
    constructor() BaseTest(6) {}
}

contract InKindTest18 is InKindTest {
    constructor() BaseTest(18) {}
}
