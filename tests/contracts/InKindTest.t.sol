// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {BaseTest} from "./BaseTest.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";

/// @notice The exit that needs no price, no liquidity and no live strategy.
abstract contract InKindTest is BaseTest {
    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 600 * UNIT);
        _deposit(BOB, 400 * UNIT);
        _rebalance(0.5e18, 0.2e18, 0.1e18);
    }

    function _leave(address who, uint256 shares) private returns (uint256 assets, uint256[] memory parts) {
        vm.prank(who);
        return vault.redeemInKind(shares, who, who);
    }

    function test_redeemInKind(uint256 shares) public {
        uint256 owned = vault.balanceOf(ALICE);
        shares = bound(shares, 0, owned);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, ALICE, owned, owned + 1));
        _leave(ALICE, owned + 1);
        vm.assume(shares > 0);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, MALLORY, 0, shares));
        vm.prank(MALLORY);
        vault.redeemInKind(shares, MALLORY, ALICE);

        uint256 whole = vault.totalSupply() + 1e6;
        uint256 expected = 200 * UNIT * shares / whole;
        (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        vm.expectEmit(address(vault));
        emit IVault.RedeemedInKind(ALICE, ALICE, ALICE, shares, expected);
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
        vault.redeemInKind(60 * UNIT * 1e6, BOB, ALICE);
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
        (uint256 assets,) = vault.redeemInKind{gas: 1_000_000}(shares, ALICE, ALICE);
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
        emit IVault.StrategySkipped(address(a));
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

    /// @dev Sixteen strategies that burn all the gas they are given still let one out within a block.
    function test_redeemInKind_pastSixteenGasBurners() public {
        vm.startPrank(GOVERNANCE);
        for (uint256 i; i < 13; ++i) {
            vault.addStrategy(address(new MockStrategy(asset)), 0.01e18, type(uint128).max);
        }
        vm.stopPrank();
        IVault.Strategy[] memory all = vault.strategies();
        uint256[] memory weights = new uint256[](16);
        for (uint256 i; i < 16; ++i) {
            weights[i] = 0.01e18;
        }
        IVault.Rebalance memory request = _request(weights);
        vm.prank(KEEPER);
        vault.rebalance(request);
        for (uint256 i; i < 16; ++i) {
            vm.etch(address(all[i].target), hex"fe");
        }
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        (uint256 assets,) = vault.redeemInKind{gas: 16_000_000}(shares, ALICE, ALICE);
        assertApproxEqAbs(assets, 504 * UNIT, 1);
    }

    /// @dev It hands out nothing that the others own, whatever was donated or lost.
    function test_redeemInKind_isFair(uint256 gain, uint256 loss, uint256 shares) public {
        a.gain(bound(gain, 0, 500 * UNIT));
        b.lose(bound(loss, 0, 200 * UNIT));
        shares = bound(shares, 0, vault.balanceOf(ALICE));
        (uint256 nav, uint256 supply) = (vault.totalAssets(), vault.totalSupply());
        uint256 fair = vault.convertToAssets(shares);
        (uint256 assets, uint256[] memory parts) = _leave(ALICE, shares);
        assets += a.previewRedeem(parts[0]) + b.previewRedeem(parts[1]) + c.previewRedeem(parts[2]);
        assertLe(assets, fair + 1);
        assertApproxEqAbs(assets, fair, a.convertToAssets(1) + b.convertToAssets(1) + 5);
        _assertPriceKept(nav, supply, 3); // one unit for each strategy: a value is rounded down
    }
}

contract InKindTest6 is InKindTest {
    constructor() BaseTest(6) {}
}

contract InKindTest18 is InKindTest {
    constructor() BaseTest(18) {}
}
