// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {MockStrategy} from "../mocks/MockStrategy.sol";
import {AttackTest} from "./AttackTest.sol";
import {IssuedToken} from "./mocks/IssuedToken.sol";

/// @notice The asset's issuer blocks the vault, or the leaver; or a strategy's share refuses to move at that moment.
abstract contract BlockedIssuerTest is AttackTest {
    IssuedToken internal issued;

    function setUp() public override {
        super.setUp();
        issued = new IssuedToken(DECIMALS);
        asset = issued;
        vault = _newVault(IERC20(address(issued)));
        a = new MockStrategy(issued);
        b = new MockStrategy(issued);
        _add(address(a), 0.6e18, type(uint128).max);
        _add(address(b), 0.5e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
        _rebalance(_two(0.5e18, 0.48e18));
    }

    function test_blocked_vaultStillHandsOutStrategies(uint256 shares) public {
        shares = bound(shares, 1e10, vault.balanceOf(ALICE));
        issued.setBlocked(address(vault), true);
        vm.prank(ALICE);
        (uint256 assets, uint256[] memory parts) = vault.redeemInKind(shares, ALICE, ALICE, new uint256[](0));
        assertEq(assets, 0);
        assertApproxEqRel(parts[0], 500 * UNIT * shares / (1000 * UNIT * 1e6), 1e16);
        assertEq(a.balanceOf(ALICE), parts[0]);
        assertEq(b.balanceOf(ALICE), parts[1]);
    }

    /// @dev A minimum makes a refused transfer a revert, and not a loss.
    function test_blocked_minimums(uint256 which) public {
        which = bound(which, 0, 2);
        uint256[] memory minimums = new uint256[](3);
        minimums[which] = 1;
        uint256 shares = vault.balanceOf(ALICE);
        address token = which == 0 ? address(issued) : which == 1 ? address(a) : address(b);
        if (which == 0) issued.setBlocked(ALICE, true);
        else vm.mockCallRevert(token, abi.encodeWithSignature("transfer(address,uint256)"), "");
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, 0, 1));
        vault.redeemInKind(shares, ALICE, ALICE, minimums);
        assertEq(vault.balanceOf(ALICE), shares);

        minimums[which] = vault.SKIP();
        vm.prank(ALICE);
        vault.redeemInKind(shares, ALICE, ALICE, minimums);
        assertEq(vault.balanceOf(ALICE), 0);
    }

    /// @dev What was not handed out belongs to those who stay, and is not a gain that somebody can take at once.
    function test_blocked_forgonePartIsNoPrize(uint256 hoard) public {
        assertTrue(_enter(bound(hoard, UNIT, 100_000 * UNIT)));
        _endTransaction();
        uint256[] memory minimums = new uint256[](3);
        for (uint256 i; i < 3; ++i) {
            minimums[i] = type(uint256).max;
        }
        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        vault.redeemInKind(shares, ALICE, ALICE, minimums);
        _leave();
        assertLe(_profit(), UNITS);
    }

    function _two(uint256 wa, uint256 wb) private pure returns (uint256[] memory w) {
        w = new uint256[](2);
        (w[0], w[1]) = (wa, wb);
    }
}

contract BlockedIssuerTest6 is BlockedIssuerTest {
    constructor() BaseTest(6) {}
}

contract BlockedIssuerTest18 is BlockedIssuerTest {
    constructor() BaseTest(18) {}
}
