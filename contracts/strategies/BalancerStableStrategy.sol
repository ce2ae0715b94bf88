// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IOracle} from "../interfaces/IOracle.sol";
import {IBalancerVault} from "../interfaces/balancer/IBalancerVault.sol";
import {IComposableStablePool} from "../interfaces/balancer/IComposableStablePool.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {StablePoolStrategy} from "./StablePoolStrategy.sol";
import {StableMath} from "./libraries/StableMath.sol";

/// @title A strategy over a composable stable pool of Balancer V2
/// @notice The pool's token is one of its coins, so entering and leaving are swaps. What is in `StablePoolStrategy` holds;
/// besides:
/// - In an exit the pool's tokens are burned before the coins have left the vault's books, and a receiver of ether is
///   called in between: the rate is up to 400 % too high then. So the rate is read only where the vault's guard would let
///   a call in.
/// - The whole family of pools lost 116 to 128 million on 2025-11-03: for devnets and tests.
contract BalancerStableStrategy is StablePoolStrategy {
    using Math for uint256;
    using SafeERC20 for IERC20;
    using StableMath for StableMath.Pool;

    /// @dev What the vault's guard needs to say no. Where it says nothing, it has not, and all of this is spent.
    uint256 private constant PROBE_GAS = 10_000;
    uint256 private constant SEARCH_STEPS = 20;

    IComposableStablePool public immutable POOL;
    IBalancerVault public immutable VAULT;
    bytes32 public immutable POOL_ID;

    /// @dev Of the pool's own token among the coins in the vault's books.
    uint256 private immutable OWN_INDEX;
    /// @dev What turns the asset into 18 decimals.
    uint256 private immutable SCALE;

    /// @param pool A pool that has the asset among its coins, all of them without a rate of their own.
    /// @param oracles Prices of the other coins in the asset, in the pool's order.
    constructor(
        IERC20 asset_,
        IComposableStablePool pool,
        IOracle[] memory oracles,
        uint256 maxCost,
        uint256 maxGrowth,
        string memory name_,
        string memory symbol_
    )
        StablePoolStrategy(
            asset_,
            IERC20(address(pool)),
            _coins(pool),
            oracles,
            maxCost,
            _rateOf(pool, pool.getVault()),
            maxGrowth,
            name_,
            symbol_
        )
    {
        (POOL, VAULT, POOL_ID, OWN_INDEX) = (pool, pool.getVault(), pool.getPoolId(), pool.getBptIndex());
        address[] memory providers = pool.getRateProviders();
        for (uint256 i; i < providers.length; ++i) {
            require(providers[i] == address(0), BadPool(address(pool)));
        }
        SCALE = 10 ** (18 - ASSET_DECIMALS);
        // The strategy holds only remainders of the asset between two calls, so there is nothing for the vault to take. The
        // pool's tokens it may take anyhow.
        asset_.forceApprove(address(VAULT), type(uint256).max);
    }

    /// @dev Without the pool's own token.
    function _coins(IComposableStablePool pool) private view returns (address[] memory coins) {
        (address[] memory all,,) = pool.getVault().getPoolTokens(pool.getPoolId());
        uint256 own = pool.getBptIndex();
        coins = new address[](all.length - 1);
        for (uint256 i; i < coins.length; ++i) {
            coins[i] = all[i < own ? i : i + 1];
        }
    }

    function _rate() internal view override returns (uint256) {
        return _rateOf(POOL, VAULT);
    }

    /// @dev A static call to what the vault guards fails in any case: where its guard says no, with a message; else where the
    /// guard first writes, with none.
    function _rateOf(IComposableStablePool pool, IBalancerVault vault) private view returns (uint256) {
        bytes memory probe = abi.encodeCall(IBalancerVault.manageUserBalance, (new IBalancerVault.UserBalanceOp[](0)));
        uint256 before = gasleft();
        (, bytes memory answer) = address(vault).staticcall{gas: PROBE_GAS}(probe);
        BoundedCall.requireGas(before, PROBE_GAS);
        require(answer.length == 0, Entered(address(pool)));
        return pool.getRate();
    }

    function _pool() internal view override returns (uint256 has, StableMath.Pool memory pool) {
        (bool paused,,) = POOL.getPausedState();
        (bool vaultPaused,,) = VAULT.getPausedState();
        if (paused || vaultPaused) return (0, pool);
        (, uint256[] memory all,) = VAULT.getPoolTokens(POOL_ID);
        uint256[] memory factors = POOL.getScalingFactors();
        uint256[] memory balances = new uint256[](all.length - 1);
        for (uint256 i; i < balances.length; ++i) {
            uint256 at = i < OWN_INDEX ? i : i + 1;
            balances[i] = all[at].mulDiv(factors[at], WAD);
            if (i == ASSET_INDEX) has = all[at];
        }
        (uint256 amplification,, uint256 precision) = POOL.getAmplificationParameter();
        (pool.balances, pool.index) = (balances, ASSET_INDEX);
        (pool.amplification, pool.precision) = (amplification * balances.length, precision);
        pool.fee = POOL.getSwapFeePercentage();
        pool.invariant = pool.solveInvariant();
    }

    /// @dev A token is its rate's worth of the invariant.
    function _buys(StableMath.Pool memory pool, uint256 rate, uint256 assets, uint256 tokens)
        internal
        view
        override
        returns (bool)
    {
        return pool.pays(assets * SCALE, tokens.mulDiv(rate, WAD, Math.Rounding.Ceil));
    }

    function _sells(StableMath.Pool memory pool, uint256 rate, uint256 tokens, uint256 assets)
        internal
        view
        override
        returns (bool)
    {
        return pool.brings(tokens.mulDiv(rate, WAD), assets * SCALE);
    }

    function _searchSteps() internal pure override returns (uint256) {
        return SEARCH_STEPS;
    }

    function _join(uint256 assets) internal override {
        _swap(IBalancerVault.SwapKind.GIVEN_IN, asset(), address(POOL), assets, 0);
    }

    function _exit(uint256 tokens) internal override {
        _swap(IBalancerVault.SwapKind.GIVEN_IN, address(POOL), asset(), tokens, 0);
    }

    function _exitExact(uint256 assets, uint256 most) internal override {
        _swap(IBalancerVault.SwapKind.GIVEN_OUT, address(POOL), asset(), assets, most);
    }

    function _swap(IBalancerVault.SwapKind kind, address paid, address received, uint256 amount, uint256 limit)
        private
    {
        VAULT.swap(
            IBalancerVault.SingleSwap(POOL_ID, kind, paid, received, amount, ""),
            IBalancerVault.FundManagement(address(this), false, payable(address(this)), false),
            limit,
            block.timestamp
        );
    }
}
