// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {FeeStrategy} from "./mocks/FeeStrategy.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";

/// @notice The properties that ERC-4626 asks for, in every state that the vault can be in.
abstract contract ERC4626Test is BaseTest {
    enum State {
        Empty,
        Idle,
        Invested,
        Gained,
        Unbelieved,
        Lost,
        UnderFloor,
        Halted,
        Illiquid,
        Broken,
        Quarantined,
        FeeDue,
        Costly,
        Donated
    }

    modifier inState(uint256 seed) {
        _enter(State(seed % (uint256(type(State).max) + 1)), uint256(keccak256(abi.encode(seed))));
        _;
    }

    function _enter(State state, uint256 random) private {
        if (state == State.Empty) return;
        _deposit(ALICE, bound(random, UNIT, MOST));
        _deposit(BOB, bound(random >> 64, 1, MOST));
        if (state == State.Idle) return;
        _rebalance(0.5e18, 0.2e18, bound(random >> 128, 0, 0.2e18));
        uint256 nav = vault.totalAssets();
        if (state == State.Gained) {
            a.gain(bound(random >> 96, 0, 3 * nav));
            _catchUp();
        }
        // By little enough for deposits to stay open, and by more.
        if (state == State.Unbelieved) a.gain(bound(random >> 96, 0, random & 1 == 0 ? nav / 41 : 3 * nav));
        if (state == State.Lost) a.lose(bound(random >> 96, 0, nav / 11));
        if (state == State.UnderFloor) a.lose(bound(random >> 96, nav * 11 / 100, nav * 2 / 5));
        if (state == State.Halted) _halt();
        if (state == State.Illiquid) a.setLiquidity(bound(random >> 96, 0, nav / 2));
        if (state == State.Broken) {
            a.setFault(MockStrategy.Part.MaxWithdraw, MockStrategy.Fault.Revert);
            a.setFault(MockStrategy.Part.Withdraw, MockStrategy.Fault.Revert);
        }
        if (state == State.Quarantined) a.setFault(MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.Revert);
        if (state == State.FeeDue) {
            _setLimit(IVaultTypes.Limit.PerformanceFee, 0.3e18);
            vm.prank(GOVERNANCE);
            vault.setFeeRecipient(BOB);
            _setLimit(IVaultTypes.Limit.MaxGrowthRate, 1000e18);
            a.gain(bound(random >> 96, 0, 3 * nav));
            vm.warp(block.timestamp + 30 days);
        }
        if (state == State.Costly) {
            _add(address(new FeeStrategy(asset)), 0.3e18, type(uint128).max);
            uint256[] memory weights = new uint256[](4);
            (weights[0], weights[1], weights[2], weights[3]) = (0.3e18, HOLD, HOLD, 0.2e18);
            IVaultTypes.Rebalance memory request = _request(weights);
            vm.prank(KEEPER);
            vault.rebalance(request);
        }
        if (state == State.Donated) {
            asset.mint(address(vault), bound(random >> 96, 1, 10 * nav));
            asset.mint(address(this), nav);
            asset.approve(address(b), nav);
            b.deposit(nav, address(vault));
        }
    }

    /* PREVIEWS EQUAL WHAT HAPPENS */

    function test_deposit(uint256 seed, uint256 assets) public inState(seed) {
        if (!vault.valued()) return _assertNoPrice();
        assets = bound(assets, 0, _least(vault.maxDeposit(MALLORY), MOST));
        uint256 expected = vault.previewDeposit(assets);
        assertEq(_deposit(MALLORY, assets), expected);
        assertEq(vault.balanceOf(MALLORY), expected);
        assertEq(asset.balanceOf(MALLORY), 0);
    }

    function test_mint(uint256 seed, uint256 shares) public inState(seed) {
        if (!vault.valued()) return _assertNoPrice();
        shares = bound(shares, 0, _least(vault.maxMint(MALLORY), MOST));
        uint256 expected = vault.previewMint(shares);
        _fund(MALLORY, expected);
        vm.prank(MALLORY);
        assertEq(vault.mint(shares, MALLORY), expected);
        assertEq(vault.balanceOf(MALLORY), shares);
        assertEq(asset.balanceOf(MALLORY), 0);
    }

    function test_withdraw(uint256 seed, uint256 assets) public inState(seed) {
        if (!vault.valued()) return _assertNoPrice();
        assets = bound(assets, 0, vault.maxWithdraw(ALICE));
        uint256 owned = vault.balanceOf(ALICE);
        uint256 expected = vault.previewWithdraw(assets);
        vm.prank(ALICE);
        assertEq(vault.withdraw(assets, MALLORY, ALICE), expected);
        assertEq(vault.balanceOf(ALICE), owned - expected);
        assertEq(asset.balanceOf(MALLORY), assets);
    }

    function test_redeem(uint256 seed, uint256 shares) public inState(seed) {
        if (!vault.valued()) return _assertNoPrice();
        shares = bound(shares, 0, vault.maxRedeem(ALICE));
        uint256 owned = vault.balanceOf(ALICE);
        uint256 expected = vault.previewRedeem(shares);
        vm.prank(ALICE);
        assertEq(vault.redeem(shares, MALLORY, ALICE), expected);
        assertEq(vault.balanceOf(ALICE), owned - shares);
        assertEq(asset.balanceOf(MALLORY), expected);
    }

    /* MAX FUNCTIONS ARE TRUE */

    function test_maxWithdraw(uint256 seed) public inState(seed) {
        uint256 most = vault.maxWithdraw(ALICE);
        uint256 snapshot = vm.snapshotState();
        vm.prank(ALICE);
        vault.withdraw(most, ALICE, ALICE);
        vm.revertToState(snapshot);
        vm.expectRevert();
        vm.prank(ALICE);
        vault.withdraw(most + 1, ALICE, ALICE);
    }

    function test_maxRedeem(uint256 seed) public inState(seed) {
        if (!vault.valued()) return _assertNoPrice();
        uint256 most = vault.maxRedeem(ALICE);
        assertLe(most, vault.balanceOf(ALICE));
        assertApproxEqAbs(vault.previewRedeem(most), vault.maxWithdraw(ALICE), vault.convertToAssets(1) + 1);
        vm.prank(ALICE);
        vault.redeem(most, ALICE, ALICE);
    }

    function test_maxDepositAndMint(uint256 seed, uint256 amount) public inState(seed) {
        amount = bound(amount, 1, MOST);
        _fund(MALLORY, type(uint128).max);
        vm.startPrank(MALLORY);
        if (vault.maxDeposit(MALLORY) == 0) vm.expectRevert();
        vault.deposit(amount, MALLORY);
        if (vault.maxMint(MALLORY) == 0) vm.expectRevert();
        vault.mint(amount, MALLORY);
    }

    /* ROUND TRIPS PAY NOBODY */

    function test_roundTrips(uint256 seed, uint256 amount) public inState(seed) {
        amount = bound(amount, 0, MOST);
        if (vault.maxDeposit(MALLORY) == 0) return;
        uint256 shares = _deposit(MALLORY, amount);
        assertLe(vault.previewRedeem(shares), amount, "deposit, then redeem");
        assertGe(vault.previewWithdraw(amount), shares, "deposit, then withdraw");

        _fund(MALLORY, vault.previewMint(amount));
        vm.prank(MALLORY);
        uint256 paid = vault.mint(amount, MALLORY);
        assertLe(vault.previewRedeem(amount), paid, "mint, then redeem");
        assertGe(vault.previewWithdraw(paid), amount, "mint, then withdraw");
    }

    function test_conversions(uint256 seed, uint256 amount) public inState(seed) {
        if (!vault.valued()) return _assertNoPrice();
        amount = bound(amount, 0, MOST * 1e6);
        assertLe(vault.convertToAssets(vault.convertToShares(amount)), amount);
        assertLe(vault.convertToShares(vault.convertToAssets(amount)), amount);
        assertEq(vault.previewDeposit(amount), vault.convertToShares(amount));
        assertEq(vault.previewRedeem(amount), vault.convertToAssets(amount));
        assertGe(vault.previewMint(amount), vault.convertToAssets(amount));
        assertGe(vault.previewWithdraw(amount), vault.convertToShares(amount));
    }

    /// @dev The claims of all holders together never exceed the assets.
    function test_claimsAreCovered(uint256 seed) public inState(seed) {
        if (!vault.valued()) return _assertNoPrice();
        uint256 claims = vault.convertToAssets(vault.balanceOf(ALICE)) + vault.convertToAssets(vault.balanceOf(BOB));
        assertLe(claims, vault.totalAssets());
    }

    /// @dev Half a price is none: whatever would have to show one refuses, and nothing can be entered or left by it.
    function _assertNoPrice() private {
        bytes[8] memory views = [
            abi.encodeCall(vault.totalAssets, ()),
            abi.encodeCall(vault.sharePrice, ()),
            abi.encodeCall(vault.convertToAssets, (UNIT)),
            abi.encodeCall(vault.convertToShares, (UNIT)),
            abi.encodeCall(vault.previewDeposit, (UNIT)),
            abi.encodeCall(vault.previewMint, (UNIT)),
            abi.encodeCall(vault.previewWithdraw, (UNIT)),
            abi.encodeCall(vault.previewRedeem, (UNIT))
        ];
        for (uint256 i; i < views.length; ++i) {
            (bool ok, bytes memory answer) = address(vault).staticcall(views[i]);
            assertFalse(ok);
            assertEq(answer, abi.encodeWithSelector(IVaultTypes.ValuationFailed.selector, address(a)));
        }
        assertEq(vault.maxDeposit(ALICE), 0);
        assertEq(vault.maxMint(ALICE), 0);
        assertEq(vault.maxWithdraw(ALICE), 0);
        assertEq(vault.maxRedeem(ALICE), 0);
        vm.startPrank(ALICE);
        vault.deposit(0, ALICE);
        vault.mint(0, ALICE);
        vault.withdraw(0, ALICE, ALICE);
        vault.redeem(0, ALICE, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.ValuationFailed.selector, address(a)));
        vault.redeem(1, ALICE, ALICE);
        vm.stopPrank();
    }

    function _least(uint256 x, uint256 y) private pure returns (uint256) {
        return x < y ? x : y;
    }
}

contract ERC4626Test0 is ERC4626Test {
    constructor() BaseTest(0) {}
}

contract ERC4626Test6 is ERC4626Test {
    constructor() BaseTest(6) {}
}

contract ERC4626Test8 is ERC4626Test {
    constructor() BaseTest(8) {}
}

contract ERC4626Test18 is ERC4626Test {
    constructor() BaseTest(18) {}
}

contract ERC4626Test24 is ERC4626Test {
    constructor() BaseTest(24) {}
}
