// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {Vault} from "../../contracts/Vault.sol";
import {BaseTest} from "./BaseTest.sol";
import {FeeToken} from "./mocks/FeeToken.sol";
import {PlainStrategy} from "./mocks/PlainStrategy.sol";
import {TetherToken} from "./mocks/TetherToken.sol";

/// @notice Assets that are not quite ERC-20.
contract TokensTest is BaseTest {
    constructor() BaseTest(6) {}

    /// @dev USDT returns nothing and refuses approvals over approvals: the whole path works with it.
    function test_tetherLikeAsset() public {
        TetherToken usdt = new TetherToken();
        vault = _newVault(IERC20(address(usdt)));
        PlainStrategy strategy = new PlainStrategy(IERC20(address(usdt)));
        _add(address(strategy), 0.9e18, type(uint128).max);
        usdt.mint(ALICE, 1000e6);
        vm.startPrank(ALICE);
        usdt.approve(address(vault), 1000e6);
        vault.deposit(1000e6, ALICE);
        vm.stopPrank();
        vault.endTransaction();

        uint256[] memory weights = new uint256[](1);
        for (uint256 i; i < 3; ++i) {
            weights[0] = 0.9e18 - 0.1e18 * (i % 2);
            IVaultTypes.Rebalance memory request = _request(weights);
            vm.prank(KEEPER);
            vault.rebalance(request);
        }
        assertEq(vault.totalAssets(), 1000e6);
        _redeemAll(ALICE);
        assertEq(usdt.balanceOf(ALICE), 1000e6);
    }

    /// @dev A token that keeps part of each transfer would credit depositors with more than arrives: refused.
    function test_feeTakingAsset() public {
        FeeToken token = new FeeToken();
        vault = _newVault(token);
        token.mint(ALICE, 1000e6);
        vm.startPrank(ALICE);
        token.approve(address(vault), 1000e6);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.TransferFeeTaken.selector, 100e6, 99e6));
        vault.deposit(100e6, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IVaultTypes.TransferFeeTaken.selector, 100e6, 99e6));
        vault.mint(100e12, ALICE);
        assertEq(vault.totalSupply(), 0);
    }
}
