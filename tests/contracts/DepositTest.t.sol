// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";

abstract contract DepositTest is BaseTest {
    function test_deposit() public {
        _fund(ALICE, 100 * UNIT);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, ALICE, 100 * UNIT, 100 * UNIT + 1)
        );
        vm.prank(ALICE);
        vault.deposit(100 * UNIT + 1, ALICE);

        vm.expectEmit(address(vault));
        emit IERC4626.Deposit(ALICE, BOB, 100 * UNIT, 100 * UNIT * 1e6);
        vm.prank(ALICE);
        uint256 shares = vault.deposit(100 * UNIT, BOB);

        assertEq(shares, 100 * UNIT * 1e6);
        assertEq(vault.balanceOf(BOB), shares);
        assertEq(vault.balanceOf(ALICE), 0);
        assertEq(vault.idle(), 100 * UNIT, "all of it idle");
        assertEq(vault.totalAssets(), 100 * UNIT);
        assertEq(vault.decimals(), DECIMALS + 6);
    }

    function test_deposit_closedWhenHalted() public {
        _deposit(ALICE, 100_000 * UNIT);
        _fund(BOB, UNIT);
        _halt();

        vm.startPrank(BOB);
        vm.expectRevert(IVaultTypes.VaultHalted.selector);
        vault.deposit(UNIT, BOB);
        vm.expectRevert(IVaultTypes.VaultHalted.selector);
        vault.mint(1, BOB);
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxMint(BOB), 0);
        vm.stopPrank();

        vm.prank(GOVERNANCE);
        vault.resume();
        assertGt(vault.maxDeposit(BOB), MOST);
        assertGt(vault.maxMint(BOB), MOST * 1e6);
        vm.prank(BOB);
        vault.deposit(UNIT, BOB);
    }

    function test_deposit_closedUnderDrawdownFloor(uint256 loss) public {
        loss = bound(loss, DECIMALS == 0 ? 0.12e18 : 0.1001e18, 0.5e18);
        _deposit(ALICE, 100_000 * UNIT);
        _rebalance(0.6e18, 0, 0);
        _loseShareOfNav(loss);
        _fund(BOB, UNIT);
        bytes memory error =
            abi.encodeWithSelector(IVaultTypes.DrawdownExceeded.selector, vault.sharePrice(), vault.drawdownFloor());

        vm.startPrank(BOB);
        vm.expectRevert(error);
        vault.deposit(UNIT, BOB);
        vm.expectRevert(error);
        vault.mint(1, BOB);
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxMint(BOB), 0);
        vm.stopPrank();
    }

    /// @dev As much as conversions can bear, whatever came before: gifts and losses make a share worth anything.
    function test_deposit_upToMaxAtAnyPrice(uint256 first, uint256 gift, uint256 left) public {
        _setLimit(IVaultTypes.Limit.IdleFloor, 0);
        _setCaps(a, 1e18, type(uint128).max);
        first = bound(first, 1, type(uint128).max);
        _deposit(ALICE, first);
        _rebalance(1e18, 0, 0);
        a.lose(first - bound(left, 0, first));
        asset.mint(address(vault), bound(gift, 0, type(uint128).max));
        vm.startPrank(GOVERNANCE);
        vault.halt();
        vault.resume();
        vault.restate(type(uint256).max);
        vm.stopPrank();

        uint256 most = vault.maxDeposit(BOB);
        uint256 snapshot = vm.snapshotState();
        // Where it is the shares that are scarce, rounding leaves what is worth one of them.
        uint256 more = most + 1 + vault.convertToAssets(1);
        _fund(BOB, more);
        vm.prank(BOB);
        if (most == 0) vm.expectRevert();
        else vm.expectRevert(abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, BOB, more, most));
        vault.deposit(more, BOB);
        vm.prank(BOB);
        assertLe(vault.deposit(most, BOB), vault.totalSupply());
        assertLe(vault.maxDeposit(BOB), 1 + vault.convertToAssets(1));
        vault.sharePrice();
        _redeemAll(BOB);

        vm.revertToState(snapshot);
        most = vault.maxMint(BOB);
        _fund(BOB, vault.previewMint(most));
        vm.prank(BOB);
        vault.mint(most, BOB);
        vault.sharePrice();
        _redeemAll(BOB);
    }

    function test_deposit_roomInNumbers() public {
        assertEq(vault.maxDeposit(BOB), type(uint128).max);
        assertEq(vault.maxMint(BOB), uint256(type(uint128).max) * 1e6);
        _deposit(ALICE, 100 * UNIT);
        assertEq(vault.maxDeposit(BOB), type(uint128).max - 100 * UNIT, "the assets that are there");
        _rebalance(0.6e18, 0, 0);
        _loseShareOfNav(0.05e18);
        // Of the supply, what is left; at the lower price it is worth less than what is left of the assets.
        uint256 shares = (uint256(type(uint128).max) - 100 * UNIT) * 1e6;
        assertEq(vault.maxDeposit(BOB), vault.convertToAssets(shares), "the shares that are there");
        asset.mint(address(vault), type(uint128).max);
        assertEq(vault.maxDeposit(BOB), 0, "full");
        assertEq(vault.maxMint(BOB), 0, "full");
        vault.deposit(0, BOB);
        vault.mint(0, BOB);
    }

    /// @dev Whoever enters pays for what the positions are worth, also for what the bid does not believe yet.
    function test_deposit_pricedAtTheAsk(uint256 gain, uint256 assets) public {
        gain = bound(gain, 0, 3 * UNIT);
        assets = bound(assets, 1, MOST);
        _deposit(ALICE, 100 * UNIT);
        _rebalance(0.6e18, 0.3e18, 0);
        a.gain(gain);
        uint256 worth = vault.idle() + a.convertToAssets(_shares(a)) + b.convertToAssets(_shares(b));
        uint256 expected = assets * (vault.totalSupply() + 1e6) / (worth + 1);

        assertEq(_deposit(BOB, assets), expected);
    }

    /// @dev With a gain or a gift that the bid is far behind, whoever entered would give much of it to the others.
    function test_deposit_closedWhileTheSpreadIsWide(uint256 gift) public {
        _deposit(ALICE, 100_000 * UNIT);
        uint256 least = 100_000 * UNIT / 20 + 1001;
        gift = bound(gift, least, MOST + least);
        asset.mint(address(vault), gift);
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxMint(BOB), 0);
        _fund(BOB, UNIT);
        bytes memory error =
            abi.encodeWithSelector(IVaultTypes.SpreadTooWide.selector, 100_000 * UNIT, 100_000 * UNIT + gift);
        vm.startPrank(BOB);
        vm.expectRevert(error);
        vault.deposit(UNIT, BOB);
        vm.expectRevert(error);
        vault.mint(1, BOB);
        vm.stopPrank();

        vm.prank(GOVERNANCE);
        vault.restate(type(uint256).max);
        _deposit(BOB, UNIT);
    }

    function test_deposit_openUpToTheSpread() public {
        _deposit(ALICE, 100_000 * UNIT);
        asset.mint(address(vault), 100_000 * UNIT / 20 + 1000);
        _deposit(BOB, UNIT);
    }

    /// @dev Nor may a single position be far over what is recorded of it, however small it is in the whole.
    function test_deposit_closedWhileThatOfAPositionIsWide(uint256 gain) public {
        _deposit(ALICE, 100_000 * UNIT);
        _rebalance(0.6e18, 0, 0.01e18);
        uint256 least = 1000 * UNIT / 20 + 1000;
        c.gain(least);
        _deposit(BOB, UNIT);
        // A share of the strategy belongs to nobody, and so does its part of the gain.
        gain = bound(gain, 4, 3000 * UNIT);
        c.gain(gain);
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxMint(BOB), 0);
        IVaultTypes.Valuation memory v = vault.valuation();
        assertLe(v.ask, v.bid * 21 / 20 + 1000, "the whole is narrow");
        _fund(BOB, UNIT);
        bytes memory error = abi.encodeWithSelector(IVaultTypes.SpreadTooWide.selector, v.bid, v.ask);
        vm.startPrank(BOB);
        vm.expectRevert(error);
        vault.deposit(UNIT, BOB);
        vm.expectRevert(error);
        vault.mint(1, BOB);
        vault.deposit(0, BOB);
        vault.mint(0, BOB);
        vm.stopPrank();

        _catchUp();
        _deposit(BOB, UNIT);
    }

    /// @dev What the last holder could not take along, because the bid did not believe it, would be a trap for the next one: an
    /// empty vault opens when the keeper has brought it home.
    function test_deposit_closedWhereAnEmptyVaultHoldsAnUnbelievedGain(uint256 gain) public {
        if (DECIMALS == 0) return; // a gain of this size is dust
        gain = bound(gain, 15 * UNIT, 500 * UNIT);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(0.2e18, 0.2e18, 0.2e18);
        c.gain(gain);
        _redeemAll(ALICE);
        assertEq(vault.totalSupply(), 0);
        assertEq(vault.maxDeposit(BOB), 0);

        _rebalance(0, 0, 0);
        _deposit(BOB, 1000 * UNIT);
        assertApproxEqRel(_redeemAll(BOB), 1000 * UNIT, 0.001e18);
    }

    function test_deposit_upToTheCap(uint256 cap, uint256 first) public {
        cap = bound(cap, 1, MOST);
        first = bound(first, 0, cap);
        _setLimit(IVaultTypes.Limit.DepositCap, cap);
        _deposit(ALICE, first);
        assertEq(vault.maxDeposit(BOB), cap - first);
        _fund(BOB, cap + 1);
        vm.startPrank(BOB);
        vm.expectRevert(
            abi.encodeWithSelector(ERC4626.ERC4626ExceededMaxDeposit.selector, BOB, cap - first + 1, cap - first)
        );
        vault.deposit(cap - first + 1, BOB);
        vault.deposit(cap - first, BOB);
        assertEq(vault.maxDeposit(BOB), 0);
        assertEq(vault.maxMint(BOB), 0);
        vault.deposit(0, BOB);
    }

    function test_mint(uint256 shares) public {
        shares = bound(shares, 1, MOST * 1e6);
        _deposit(ALICE, 100 * UNIT);
        _rebalance(0.6e18, 0.3e18, 0);
        a.gain(2 * UNIT + 1);
        uint256 expected = vault.previewMint(shares);
        _fund(BOB, expected);

        vm.prank(BOB);
        assertEq(vault.mint(shares, BOB), expected);
        assertEq(vault.balanceOf(BOB), shares);
        assertEq(asset.balanceOf(BOB), 0);
    }

    /// @dev First depositor's attack: inflate the price of a share, so that the victim's deposit rounds to little, or leave
    /// before the bid believes the gift. A large gift closes the vault instead.
    function test_inflationAttackCostsTheAttacker(uint256 seed, uint256 donation, uint256 victim) public {
        seed = bound(seed, 1, 1000 * UNIT);
        donation = bound(donation, 1, donation % 2 == 0 ? MOST : seed / 20 + 1000);
        victim = bound(victim, UNIT, MOST);
        _deposit(MALLORY, seed);
        asset.mint(address(vault), donation);
        if (vault.maxDeposit(ALICE) == 0) {
            assertLe(_redeemAll(MALLORY), seed + 1);
            return;
        }
        _deposit(ALICE, victim);

        uint256 taken = _redeemAll(MALLORY);
        assertLe(taken, seed + donation, "the attack paid");
        // Rounding costs the victim at most the price of one share, in assets; the rest is there in kind.
        uint256 shareValue = (seed + donation + 1) / (seed * 1e6 + 1e6) + 1;
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        (uint256 kept,) = vault.redeemInKind(shares, ALICE, ALICE, new uint256[](0));
        assertGe(kept + shareValue + 1, victim, "the victim lost");
    }
}

contract DepositTest0 is DepositTest {
    constructor() BaseTest(0) {}
}

contract DepositTest6 is DepositTest {
    constructor() BaseTest(6) {}
}

contract DepositTest8 is DepositTest {
    constructor() BaseTest(8) {}
}

contract DepositTest18 is DepositTest {
    constructor() BaseTest(18) {}
}

contract DepositTest24 is DepositTest {
    constructor() BaseTest(24) {}
}
