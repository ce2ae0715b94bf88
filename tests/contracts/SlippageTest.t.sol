// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";

/// @notice The overloads with a bound, and permit.
contract SlippageTest is BaseTest {
    constructor() BaseTest(6) {}

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
        asset.mint(address(vault), 77 * UNIT);
        _catchUp();
        _fund(BOB, MOST);
    }

    function _exceeded(uint256 result, uint256 bound_) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVaultTypes.SlippageExceeded.selector, result, bound_);
    }

    function test_deposit(uint256 assets) public {
        assets = bound(assets, 0, MOST);
        uint256 shares = vault.previewDeposit(assets);
        vm.startPrank(BOB);
        vm.expectRevert(_exceeded(shares, shares + 1));
        vault.deposit(assets, BOB, shares + 1);
        assertEq(vault.deposit(assets, BOB, shares), shares);
        assertEq(vault.balanceOf(BOB), shares);
    }

    function test_mint(uint256 shares) public {
        shares = bound(shares, 1, MOST / 1e6);
        uint256 assets = vault.previewMint(shares);
        vm.startPrank(BOB);
        vm.expectRevert(_exceeded(assets, assets - 1));
        vault.mint(shares, BOB, assets - 1);
        assertEq(vault.mint(shares, BOB, assets), assets);
        assertEq(vault.balanceOf(BOB), shares);
    }

    function test_withdraw(uint256 assets) public {
        assets = bound(assets, 1, vault.maxWithdraw(ALICE));
        uint256 shares = vault.previewWithdraw(assets);
        vm.startPrank(ALICE);
        vm.expectRevert(_exceeded(shares, shares - 1));
        vault.withdraw(assets, ALICE, ALICE, shares - 1);
        assertEq(vault.withdraw(assets, BOB, ALICE, shares), shares);
        assertEq(asset.balanceOf(BOB), MOST + assets);
    }

    function test_redeem(uint256 shares) public {
        shares = bound(shares, 0, vault.balanceOf(ALICE));
        uint256 assets = vault.previewRedeem(shares);
        vm.startPrank(ALICE);
        vm.expectRevert(_exceeded(assets, assets + 1));
        vault.redeem(shares, ALICE, ALICE, assets + 1);
        assertEq(vault.redeem(shares, BOB, ALICE, assets), assets);
        assertEq(asset.balanceOf(BOB), MOST + assets);
    }

    function test_permit(uint256 key, uint256 value) public {
        key = bound(key, 1, type(uint128).max);
        address owner = vm.addr(key);
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 message = keccak256(abi.encode(typehash, owner, BOB, value, 0, block.timestamp));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", vault.DOMAIN_SEPARATOR(), message));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        vm.expectPartialRevert(ERC20Permit.ERC2612InvalidSigner.selector);
        vault.permit(owner, MALLORY, value, block.timestamp, v, r, s);
        vault.permit(owner, BOB, value, block.timestamp, v, r, s);
        assertEq(vault.allowance(owner, BOB), value);
        vm.expectPartialRevert(ERC20Permit.ERC2612InvalidSigner.selector);
        vault.permit(owner, BOB, value, block.timestamp, v, r, s);
    }
}
