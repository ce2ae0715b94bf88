// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {StandInUsdy} from "../../../contracts/standins/StandInUsdy.sol";
import {SwapStrategy} from "../../../contracts/strategies/SwapStrategy.sol";
import {BaseTest} from "../BaseTest.sol";
import {SettableOracle} from "../mocks/SettableOracle.sol";
import {Token} from "../mocks/Token.sol";
import {UniswapMarket} from "../utils/UniswapMarket.sol";
import {StrategyTest} from "./StrategyTest.sol";

/// @notice Over a token that moves only between holders on its issuer's list, as USDY does.
contract SwapStrategyListedTest is StrategyTest {
    StandInUsdy private usdy;
    SwapStrategy private strategy;

    constructor() BaseTest(6) {}

    function setUp() public override {
        super.setUp();
        usdy = new StandInUsdy();
        UniswapMarket market = new UniswapMarket(asset, Token(address(usdy)));
        market.start(1.05e24);
        usdy.setAllowed(address(market.pool()), true);
        _lendOwnership(market);
        SettableOracle oracle = new SettableOracle();
        oracle.setPrice(1.05e24);
        IERC4626 none;
        strategy = new SwapStrategy(asset, market.pool(), none, oracle, 0.003e18, "Swap", "sSWAP");
    }

    /// @dev The market mints what it puts into the pool, as the issuer alone may.
    function _lendOwnership(UniswapMarket market) private {
        usdy.transferOwnership(address(market));
        market.provide(400_000_000 * UNIT, 100);
        vm.prank(address(market));
        usdy.transferOwnership(address(this));
    }

    function _tested() internal view override returns (IERC4626) {
        return strategy;
    }

    function _expectRefusal(address who) private {
        vm.expectRevert(abi.encodeWithSelector(StandInUsdy.NotOnTheList.selector, who));
    }

    /// @dev A pool keeps the token's reason to itself, and says only that a transfer failed.
    function test_deposit_notOnTheList__isRefused() public {
        asset.mint(ALICE, 1000 * UNIT);
        vm.startPrank(ALICE);
        asset.approve(address(strategy), 1000 * UNIT);
        vm.expectRevert(bytes("TF"));
        strategy.deposit(1000 * UNIT, ALICE);
        vm.stopPrank();
        assertEq(asset.balanceOf(ALICE), 1000 * UNIT);
        usdy.setAllowed(address(strategy), true);
        vm.prank(ALICE);
        strategy.deposit(1000 * UNIT, ALICE);
        _takeAll(ALICE);
    }

    /// @dev Only a holder on the list can be paid in kind.
    function test_redeemInKind_receiverNotOnTheList__isRefused() public {
        usdy.setAllowed(address(strategy), true);
        _put(ALICE, 1000 * UNIT);
        uint256 shares = strategy.balanceOf(ALICE);
        vm.startPrank(ALICE);
        _expectRefusal(ALICE);
        strategy.redeemInKind(shares, ALICE, ALICE);
        vm.stopPrank();
        usdy.setAllowed(ALICE, true);
        vm.prank(ALICE);
        uint256 units = strategy.redeemInKind(shares, ALICE, ALICE);
        assertEq(usdy.balanceOf(ALICE), units);
    }

    /// @dev Whoever is struck off keeps what it has, and is paid when it is listed again.
    function test_struckOff__keepsItsValue_untilListedAgain() public {
        usdy.setAllowed(address(strategy), true);
        _put(ALICE, 1000 * UNIT);
        uint256 worth = _worth(ALICE);
        usdy.setAllowed(address(strategy), false);
        assertEq(_worth(ALICE), worth);
        uint256 shares = strategy.balanceOf(ALICE);
        vm.startPrank(ALICE);
        _expectRefusal(address(strategy));
        strategy.redeem(shares, ALICE, ALICE);
        _expectRefusal(address(strategy));
        strategy.redeemInKind(shares, ALICE, ALICE);
        vm.stopPrank();
        usdy.setAllowed(address(strategy), true);
        assertGe(_takeAll(ALICE), worth);
    }

    /// @dev In a vault, the others' exits pass over what is frozen, and the keeper can arrange the rest.
    function test_struckOff__inAVault_theRestCanBeHad() public {
        usdy.setAllowed(address(strategy), true);
        _add(address(strategy), 0.4e18, type(uint128).max);
        _deposit(ALICE, 1_000_000 * UNIT);
        uint256[] memory w = new uint256[](4);
        (w[0], w[3]) = (0.5e18, 0.4e18);
        IVaultTypes.Rebalance memory request = _request(w);
        vm.prank(KEEPER);
        vault.rebalance(request);
        usdy.setAllowed(address(strategy), false);

        vm.startPrank(ALICE);
        vault.withdraw(550_000 * UNIT, ALICE, ALICE);
        vm.stopPrank();
        assertEq(asset.balanceOf(ALICE), 550_000 * UNIT);
        vault.endTransaction();
        w[0] = HOLD;
        w[3] = 0;
        request = _request(w);
        vm.prank(KEEPER);
        _expectRefusal(address(strategy));
        vault.rebalance(request);

        uint256 shares = vault.balanceOf(ALICE);
        vm.prank(ALICE);
        vault.redeemInKind(shares, ALICE, ALICE, new uint256[](0));
        assertGt(strategy.balanceOf(ALICE), 0, "shares of the strategy move freely");
    }
}
