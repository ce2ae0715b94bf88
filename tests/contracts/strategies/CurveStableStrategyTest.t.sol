// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IOracle} from "../../../contracts/interfaces/IOracle.sol";
import {ICurvePool} from "../../../contracts/interfaces/curve/ICurvePool.sol";
import {CurveStableStrategy} from "../../../contracts/strategies/CurveStableStrategy.sol";
import {StablePoolStrategy} from "../../../contracts/strategies/StablePoolStrategy.sol";
import {BaseTest} from "../BaseTest.sol";
import {CurvePool} from "../mocks/CurvePool.sol";
import {StablePoolStrategyTest} from "./StablePoolStrategyTest.t.sol";

/// @notice The strategy on a stand-in with Curve's functions.
abstract contract CurveStableStrategyTest is StablePoolStrategyTest {
    CurvePool internal pool;
    IERC20 internal token;

    function _lists() internal pure virtual returns (bool);

    function _newPool(uint256[] memory amounts) internal override {
        pool = new CurvePool(coins, 500, 1e6, _lists());
        token = IERC20(address(pool.token()));
        for (uint256 i; i < COINS; ++i) {
            coins[i].approve(address(pool), type(uint256).max);
        }
        _add(amounts);
    }

    function _add(uint256[] memory amounts) private {
        for (uint256 i; i < COINS; ++i) {
            coins[i].mint(address(this), amounts[i]);
        }
        if (_lists()) pool.add_liquidity(amounts, 0);
        else pool.add_liquidity([amounts[0], amounts[1], amounts[2]], 0);
    }

    function _new(uint256 maxCost, IOracle[] memory oracles_) internal override returns (StablePoolStrategy) {
        return new CurveStableStrategy(
            asset, ICurvePool(address(pool)), token, _lists(), oracles_, maxCost, MAX_GROWTH, "Stable", "sSTABLE"
        );
    }

    function _trade(uint256 paid, uint256 received, uint256 amount) internal override returns (uint256) {
        coins[paid].mint(address(this), amount);
        return pool.exchange(int128(int256(paid)), int128(int256(received)), amount);
    }

    function _join(uint256 coin, uint256 amount) internal override returns (uint256 tokens) {
        uint256[] memory amounts = new uint256[](COINS);
        amounts[coin] = amount;
        tokens = token.balanceOf(address(this));
        _add(amounts);
        tokens = token.balanceOf(address(this)) - tokens;
    }

    function _pause() internal override {
        pool.kill();
    }

    function _mute() internal override {
        string memory amounts = _lists() ? "uint256[]" : "uint256[3]";
        _mute("add_liquidity(", amounts);
        _mute("remove_liquidity_imbalance(", amounts);
        bytes4 exit = ICurvePool.remove_liquidity_one_coin.selector;
        vm.mockCall(address(pool), abi.encodeWithSelector(exit), abi.encode(1e30));
    }

    function _mute(string memory name, string memory amounts) private {
        string memory question = string.concat(name, amounts, ",uint256)");
        vm.mockCall(address(pool), abi.encodeWithSignature(question), abi.encode(1e30));
    }

    function _pool() internal view override returns (address) {
        return address(pool);
    }

    function _rateQuestion() internal pure override returns (bytes memory) {
        return abi.encodeCall(ICurvePool.get_virtual_price, ());
    }

    function _joinable() internal pure override returns (uint256) {
        return 0.5e18;
    }

    /// @dev Five halvings, with room for one more fee: it may be far from the most.
    function _slack() internal pure override returns (uint256, uint256) {
        return (0, WAD);
    }
}

contract CurveStableStrategyTest6 is CurveStableStrategyTest {
    constructor() BaseTest(6) {}

    function _lists() internal pure override returns (bool) {
        return false;
    }
}

contract CurveStableStrategyTest18 is CurveStableStrategyTest {
    constructor() BaseTest(18) {}

    function _lists() internal pure override returns (bool) {
        return true;
    }

    /// @dev Newer pools cannot be stopped.
    function _canPause() internal pure override returns (bool) {
        return false;
    }
}
