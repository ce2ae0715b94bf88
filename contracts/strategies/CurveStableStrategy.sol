// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

import {IOracle} from "../interfaces/IOracle.sol";
import {ICurvePool} from "../interfaces/curve/ICurvePool.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {StablePoolStrategy} from "./StablePoolStrategy.sol";
import {StableMath} from "./libraries/StableMath.sol";

/// @title A strategy over a stable pool of Curve: 3pool and its like, or stableswap-ng
/// @notice What is in `StablePoolStrategy` holds; besides:
/// - The pool itself says what a trade would pay, a few times for a limit: `max*` are coarser than over other pools.
/// - ASSUMPTION: nobody can read the rate in the middle of an exit. Pools of stableswap-ng guard `get_virtual_price`; in
///   3pool and its like no coin may call anybody while it moves. Pools with ether, or with coins that do, are not for this
///   strategy.
/// - ASSUMPTION: a pool that does not say whether it is stopped runs. 3pool does not, and is past the time in which it could
///   be stopped.
contract CurveStableStrategy is StablePoolStrategy {
    using Address for address;
    using BoundedCall for address;
    using SafeERC20 for IERC20;

    uint256 private constant FEE_UNIT = 1e10;
    uint256 private constant READ_GAS = 150_000;
    uint256 private constant SEARCH_STEPS = 5;

    ICurvePool public immutable POOL;
    /// @notice Whether the pool takes lists of any length, as those of stableswap-ng do.
    bool public immutable LISTS;

    uint256 private immutable COINS;
    int128 private immutable INDEX;
    bytes4 private immutable ADD;
    bytes4 private immutable REMOVE;
    bytes4 private immutable QUOTE;

    /// @param token The pool's, which newer pools are themselves.
    /// @param oracles Prices of the other coins in the asset, in the pool's order.
    constructor(
        IERC20 asset_,
        ICurvePool pool,
        IERC20 token,
        bool lists,
        IOracle[] memory oracles,
        uint256 maxCost,
        uint256 maxGrowth,
        string memory name_,
        string memory symbol_
    )
        StablePoolStrategy(
            asset_,
            token,
            _coins(pool, oracles.length + 1),
            oracles,
            maxCost,
            pool.get_virtual_price(),
            maxGrowth,
            name_,
            symbol_
        )
    {
        (POOL, LISTS, COINS, INDEX) = (pool, lists, oracles.length + 1, int128(int256(ASSET_INDEX)));
        // A coin without a feed is none that may be left out.
        (bool more,) = address(pool).readUint(READ_GAS, abi.encodeCall(ICurvePool.coins, (COINS)));
        require(!more, BadPool(address(pool)));
        string memory amounts = lists ? "uint256[]" : string.concat("uint256[", Strings.toString(COINS), "]");
        ADD = _selector("add_liquidity(", amounts, ",uint256)");
        REMOVE = _selector("remove_liquidity_imbalance(", amounts, ",uint256)");
        QUOTE = _selector("calc_token_amount(", amounts, ",bool)");
        // The strategy holds only remainders of the asset between two calls, so there is nothing for the pool to take. Its own
        // tokens it burns anyhow.
        asset_.forceApprove(address(pool), type(uint256).max);
    }

    function _coins(ICurvePool pool, uint256 count) private view returns (address[] memory coins) {
        coins = new address[](count);
        for (uint256 i; i < count; ++i) {
            coins[i] = pool.coins(i);
        }
    }

    function _selector(string memory name, string memory amounts, string memory rest) private pure returns (bytes4) {
        return bytes4(keccak256(bytes(string.concat(name, amounts, rest))));
    }

    function _rate() internal view override returns (uint256) {
        return POOL.get_virtual_price();
    }

    function _pool() internal view override returns (uint256 has, StableMath.Pool memory pool) {
        (bool ok, uint256 killed) = address(POOL).readUint(READ_GAS, abi.encodeCall(ICurvePool.is_killed, ()));
        if (!ok || killed == 0) has = POOL.balances(ASSET_INDEX);
        return (has, pool);
    }

    /// @dev The quote of older pools is without the fee, which is on less than the whole amount.
    function _buys(StableMath.Pool memory, uint256, uint256 assets, uint256 tokens)
        internal
        view
        override
        returns (bool)
    {
        (bool ok, uint256 quote) = address(POOL).readUint(READ_GAS, _withAmount(QUOTE, assets, 1));
        return ok && quote * (FEE_UNIT - POOL.fee()) / FEE_UNIT >= tokens;
    }

    /// @dev Newer pools' fees depend on the balances, and are not quite the same for an exact amount: another fee is left for
    /// that.
    function _sells(StableMath.Pool memory, uint256, uint256 tokens, uint256 assets)
        internal
        view
        override
        returns (bool)
    {
        (bool ok, uint256 quote) =
            address(POOL).readUint(READ_GAS, abi.encodeCall(ICurvePool.calc_withdraw_one_coin, (tokens, INDEX)));
        return ok && quote * (FEE_UNIT - POOL.fee()) / FEE_UNIT >= assets;
    }

    function _searchSteps() internal pure override returns (uint256) {
        return SEARCH_STEPS;
    }

    function _join(uint256 assets) internal override {
        address(POOL).functionCall(_withAmount(ADD, assets, 0));
    }

    function _exit(uint256 tokens) internal override {
        POOL.remove_liquidity_one_coin(tokens, INDEX, 0);
    }

    function _exitExact(uint256 assets, uint256 most) internal override {
        address(POOL).functionCall(_withAmount(REMOVE, assets, most));
    }

    /// @dev A call with the coins' amounts, all 0 but the asset's, and one more word. A list of fixed length is encoded
    /// without its length and in place.
    function _withAmount(bytes4 selector, uint256 assets, uint256 last) private view returns (bytes memory) {
        uint256[] memory amounts = new uint256[](COINS);
        amounts[ASSET_INDEX] = assets;
        return LISTS ? abi.encodeWithSelector(selector, amounts, last) : abi.encodePacked(selector, amounts, last);
    }
}
