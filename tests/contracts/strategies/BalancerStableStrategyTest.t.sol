// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IOracle} from "../../../contracts/interfaces/IOracle.sol";
import {IBalancerVault} from "../../../contracts/interfaces/balancer/IBalancerVault.sol";
import {IComposableStablePool} from "../../../contracts/interfaces/balancer/IComposableStablePool.sol";
import {BalancerStableStrategy} from "../../../contracts/strategies/BalancerStableStrategy.sol";
import {StablePoolStrategy} from "../../../contracts/strategies/StablePoolStrategy.sol";
import {StableMath} from "../../../contracts/strategies/libraries/StableMath.sol";
import {BaseTest} from "../BaseTest.sol";
import {SettableOracle} from "../mocks/SettableOracle.sol";
import {BalancerMarket, IFullBalancerVault, IFullStablePool} from "../utils/BalancerMarket.sol";
import {StablePoolStrategyTest} from "./StablePoolStrategyTest.t.sol";
import {StrategyTest} from "./StrategyTest.sol";

/// @notice The strategy on Balancer's own bytecode.
abstract contract BalancerStableStrategyTest is StablePoolStrategyTest {
    using StableMath for StableMath.Pool;

    uint256 internal constant AMPLIFICATION = 500;

    BalancerMarket internal market;
    IFullStablePool internal pool;

    function _newPool(uint256[] memory amounts) internal override {
        market = new BalancerMarket();
        address[] memory all = new address[](COINS);
        for (uint256 i; i < COINS; ++i) {
            all[i] = address(coins[i]);
        }
        pool = market.newPool(all, new address[](COINS), AMPLIFICATION);
        market.start(pool, amounts);
    }

    function _new(uint256 maxCost, IOracle[] memory oracles_) internal override returns (StablePoolStrategy) {
        return new BalancerStableStrategy(asset, pool, oracles_, maxCost, MAX_GROWTH, "Stable", "sSTABLE");
    }

    function _trade(uint256 paid, uint256 received, uint256 amount) internal override returns (uint256) {
        return market.trade(pool, address(coins[paid]), address(coins[received]), amount);
    }

    function _join(uint256 coin, uint256 amount) internal override returns (uint256 tokens) {
        uint256[] memory amounts = new uint256[](COINS);
        amounts[coin] = amount;
        tokens = market.join(pool, amounts);
        vm.prank(address(market));
        pool.transfer(address(this), tokens);
    }

    function _pause() internal override {
        pool.pause();
    }

    function _mute() internal override {
        vm.mockCall(address(market.vault()), abi.encodeWithSelector(IBalancerVault.swap.selector), abi.encode(1e30));
    }

    function _pool() internal view override returns (address) {
        return address(pool);
    }

    function _rateQuestion() internal pure override returns (bytes memory) {
        return abi.encodeCall(IComposableStablePool.getRate, ());
    }

    function _joinable() internal pure override returns (uint256) {
        return 0.5e18;
    }

    /// @dev The invariant, and the balance that belongs to it, are the pool's own, wherever the pool is.
    function testFuzz_math__is_the_pools(uint256 amount, uint256 paid, uint256 received) public {
        (paid, received) = (paid % COINS, received % COINS);
        amount = bound(amount, 1, 4_990_000);
        if (paid != received) _trade(paid, received, _whole(paid, amount));
        StableMath.Pool memory state;
        (, uint256[] memory all,) = market.vault().getPoolTokens(pool.getPoolId());
        state.balances = new uint256[](COINS);
        for (uint256 i; i < COINS; ++i) {
            state.balances[i] = all[i < pool.getBptIndex() ? i : i + 1] * 10 ** (18 - coins[i].decimals());
        }
        (state.index, state.amplification, state.precision) = (received, AMPLIFICATION * COINS, 1);
        uint256 invariant = state.solveInvariant();
        assertApproxEqRel(invariant, pool.getRate() * pool.getActualSupply() / WAD, 10);
        assertApproxEqAbs(state.balanceAt(invariant), state.balances[received], 1e4);
    }

    /// @dev A coin with a rate of its own has no price of 1.
    function test_constructor__a_coin_with_a_rate__refused() public {
        address[] memory all = new address[](COINS);
        for (uint256 i; i < COINS; ++i) {
            all[i] = address(coins[i]);
        }
        address[] memory providers = new address[](COINS);
        providers[_other()] = address(new RateProvider());
        pool = market.newPool(all, providers, AMPLIFICATION);
        uint256[] memory amounts = new uint256[](COINS);
        for (uint256 i; i < COINS; ++i) {
            amounts[i] = _whole(i, 1000);
        }
        market.start(pool, amounts);
        IOracle[] memory feeds = _oracles();
        vm.expectRevert(abi.encodeWithSelector(StablePoolStrategy.BadPool.selector, pool));
        _new(MAX_COST, feeds);
    }

    /// @dev The vault over all pools can be paused, too.
    function test_vault_paused__limits_are_0_and_the_value_stays() public {
        _put(ALICE, 1000 * UNIT);
        uint256 worth = _worth(ALICE);
        market.vault().setPaused(true);
        _assertClosed();
        assertEq(_worth(ALICE), worth);
    }

    /// @dev The pool's fee may be changed by its owner: what enters and leaves is less then, or nothing.
    function test_fee__raised_over_the_bound__nothing_enters_or_leaves() public {
        _put(ALICE, 1000 * UNIT);
        vm.prank(address(market));
        pool.setSwapFeePercentage(0.02e18);
        _assertClosed();
        assertGt(_worth(ALICE), 0);
    }

    function _slack() internal pure override returns (uint256, uint256) {
        return (0.002e18, 1e-6 * 1e18);
    }
}

/// @notice Says what a coin is worth in another, which makes it a coin that the strategy does not take.
contract RateProvider {
    function getRate() external pure returns (uint256) {
        return 1.1e18;
    }
}

/// @notice A pool with ether, of which an exit calls its receiver before the vault has booked what it paid.
contract BalancerReadOnlyReentryTest is StrategyTest {
    uint256 private constant EXIT_PROPORTIONALLY = 2;

    BalancerMarket private market;
    IFullStablePool private pool;
    BalancerStableStrategy private strategy;
    uint256 private rateInside;
    uint256 private limitsInside;
    uint256 private refused;
    uint256 private asked;

    constructor() BaseTest(18) {}

    function setUp() public override {
        super.setUp();
        market = new BalancerMarket();
        vm.deal(address(market), 100_000_000e18);
        address[] memory all = new address[](2);
        (all[0], all[1]) = (address(asset), address(market.weth()));
        if (all[0] > all[1]) (all[0], all[1]) = (all[1], all[0]);
        pool = market.newPool(all, new address[](2), 500);
        uint256[] memory amounts = new uint256[](2);
        (amounts[0], amounts[1]) = (3_000_000e18, 3_000_000e18);
        market.start(pool, amounts);
        (amounts[0], amounts[1]) = (12_000_000e18, 12_000_000e18);
        uint256 tokens = market.join(pool, amounts);
        vm.prank(address(market));
        pool.transfer(address(this), tokens);
        IOracle[] memory oracles = new IOracle[](1);
        SettableOracle oracle = new SettableOracle();
        oracle.setPrice(1e36);
        oracles[0] = oracle;
        strategy = new BalancerStableStrategy(asset, pool, oracles, 0.005e18, 0.1e18, "Stable", "sSTABLE");
        _put(ALICE, 1000e18);
        _put(address(this), 1000e18);
    }

    function _tested() internal view override returns (IERC4626) {
        return strategy;
    }

    /// @dev dForce and Sturdy, 2023: in an exit's call the rate is three times what it was, and five times where the
    /// protocol takes no part of the fees.
    function test_value__asked_inside_an_exit__none() public {
        uint256 rate = pool.getRate();
        uint256 worth = _worth(ALICE);
        (address[] memory coins,,) = market.vault().getPoolTokens(pool.getPoolId());
        for (uint256 i; i < coins.length; ++i) {
            if (coins[i] == address(market.weth())) coins[i] = address(0);
        }
        market.vault()
            .exitPool(
                pool.getPoolId(),
                address(this),
                payable(address(this)),
                IFullBalancerVault.ExitPoolRequest(
                    coins,
                    new uint256[](coins.length),
                    abi.encode(EXIT_PROPORTIONALLY, pool.balanceOf(address(this))),
                    false
                )
            );
        assertGt(rateInside, rate * 29 / 10, "or there is no attack");
        assertEq(limitsInside, 0);
        assertEq(asked, 9);
        assertEq(refused, asked);
        assertApproxEqRel(_worth(ALICE), worth, 1e12);
        assertGt(strategy.maxWithdraw(ALICE), 0, "and there is a price again");
    }

    receive() external payable {
        rateInside = pool.getRate();
        limitsInside = strategy.maxDeposit(ALICE) + strategy.maxMint(ALICE) + strategy.maxWithdraw(ALICE)
            + strategy.maxRedeem(ALICE) + strategy.availableLiquidity();
        asset.mint(address(this), 1e18);
        asset.approve(address(strategy), 1e18);
        _ask(abi.encodeCall(strategy.totalAssets, ()));
        _ask(abi.encodeCall(strategy.convertToAssets, (1e18)));
        _ask(abi.encodeCall(strategy.convertToShares, (1e18)));
        _ask(abi.encodeCall(strategy.previewRedeem, (1e18)));
        _ask(abi.encodeCall(strategy.previewWithdraw, (1e18)));
        _ask(abi.encodeCall(strategy.deposit, (1e18, address(this))));
        _ask(abi.encodeCall(strategy.mint, (1e17, address(this))));
        _ask(abi.encodeCall(strategy.withdraw, (1e17, address(this), address(this))));
        _ask(abi.encodeCall(strategy.redeem, (1e17, address(this), address(this))));
        // In kind there is no price to be wrong.
        uint256 held = strategy.units();
        assertEq(strategy.redeemInKind(1e17, address(this), address(this)), held - strategy.units());
    }

    function _ask(bytes memory question) private {
        (bool ok, bytes memory answer) = address(strategy).call(question);
        ++asked;
        if (!ok && bytes4(answer) == StablePoolStrategy.Entered.selector) ++refused;
    }

    /// @dev Nor can the strategy be made in there, with that rate for its first.
    function test_constructor__inside_an_exit__refused() public {
        vm.mockCallRevert(
            address(market.vault()),
            abi.encodeWithSelector(IBalancerVault.manageUserBalance.selector),
            abi.encodeWithSignature("Error(string)", "BAL#400")
        );
        vm.expectRevert(abi.encodeWithSelector(StablePoolStrategy.Entered.selector, pool));
        new BalancerStableStrategy(asset, pool, new IOracle[](1), 0.005e18, 0.1e18, "Stable", "sSTABLE");
    }
}

contract BalancerStableStrategyTest6 is BalancerStableStrategyTest {
    constructor() BaseTest(6) {}
}

contract BalancerStableStrategyTest18 is BalancerStableStrategyTest {
    constructor() BaseTest(18) {}
}
