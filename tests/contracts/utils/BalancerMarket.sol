// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IBalancerVault} from "../../../contracts/interfaces/balancer/IBalancerVault.sol";
import {IComposableStablePool} from "../../../contracts/interfaces/balancer/IComposableStablePool.sol";
import {Token} from "../mocks/Token.sol";
import {Artifacts} from "./Artifacts.sol";

interface IFullBalancerVault is IBalancerVault {
    struct JoinPoolRequest {
        address[] assets;
        uint256[] maxAmountsIn;
        bytes userData;
        bool fromInternalBalance;
    }

    struct ExitPoolRequest {
        address[] assets;
        uint256[] minAmountsOut;
        bytes userData;
        bool toInternalBalance;
    }

    function joinPool(bytes32 poolId, address sender, address recipient, JoinPoolRequest calldata request)
        external
        payable;
    function exitPool(bytes32 poolId, address sender, address payable recipient, ExitPoolRequest calldata request)
        external;
    function setPaused(bool paused) external;
    function getProtocolFeesCollector() external view returns (address);
}

interface IFullStablePool is IComposableStablePool, IERC20 {
    function pause() external;
    function setSwapFeePercentage(uint256 fee) external;
    function getActualSupply() external view returns (uint256);
}

interface IFeesCollector {
    function setSwapFeePercentage(uint256 percentage) external;
}

interface IWeth is IERC20 {
    function deposit() external payable;
}

/// @notice Lets everybody do everything that the vault and its pools restrict.
contract AnybodyMay {
    function canPerform(bytes32, address, address) external pure returns (bool) {
        return true;
    }
}

/// @title A real composable stable pool of Balancer V2, and an outsider who provides liquidity and trades
/// @dev The protocol takes half of the swap fees.
contract BalancerMarket {
    /// @dev `NewPoolParams` of the pool's constructor.
    struct PoolParameters {
        address vault;
        address protocolFeeProvider;
        string name;
        string symbol;
        address[] tokens;
        address[] rateProviders;
        uint256[] tokenRateCacheDurations;
        bool[] exemptFromYieldProtocolFeeFlags;
        uint256 amplificationParameter;
        uint256 swapFeePercentage;
        uint256 pauseWindowDuration;
        uint256 bufferPeriodDuration;
        address owner;
        string version;
    }

    string private constant TASKS = "@balancer-labs/v2-deployments/dist/tasks/";
    uint256 public constant FEE = 0.0004e18;
    uint256 private constant JOIN_INIT = 0;
    uint256 private constant JOIN_EXACT_IN = 1;

    IFullBalancerVault public vault;
    IWeth public weth;
    address private _feeProvider;

    constructor() {
        weth = IWeth(Artifacts.deploy("canonical-weth/build/contracts/WETH9.json", ""));
        vault = IFullBalancerVault(
            _deploy("20210418-vault", "Vault", abi.encode(new AnybodyMay(), weth, 90 days, 30 days))
        );
        _feeProvider = _deploy(
            "20220725-protocol-fee-percentages-provider",
            "ProtocolFeePercentagesProvider",
            abi.encode(vault, 1e18, 1e18)
        );
        IFeesCollector(vault.getProtocolFeesCollector()).setSwapFeePercentage(0.5e18);
    }

    function _deploy(string memory task, string memory name, bytes memory arguments) private returns (address) {
        return Artifacts.deploy(string.concat(TASKS, task, "/artifact/", name, ".json"), arguments);
    }

    /// @param coins In the order of their addresses.
    /// @param rateProviders For each coin, none where its rate is 1.
    function newPool(address[] memory coins, address[] memory rateProviders, uint256 amplification)
        external
        returns (IFullStablePool)
    {
        PoolParameters memory parameters = PoolParameters({
            vault: address(vault),
            protocolFeeProvider: _feeProvider,
            name: "Pool",
            symbol: "POOL",
            tokens: coins,
            rateProviders: rateProviders,
            tokenRateCacheDurations: new uint256[](coins.length),
            exemptFromYieldProtocolFeeFlags: new bool[](coins.length),
            amplificationParameter: amplification,
            swapFeePercentage: FEE,
            pauseWindowDuration: 90 days,
            bufferPeriodDuration: 30 days,
            owner: address(this),
            version: ""
        });
        return
            IFullStablePool(
                _deploy("20230206-composable-stable-pool-v3", "ComposableStablePool", abi.encode(parameters))
            );
    }

    /// @notice Puts the first coins in.
    /// @param amounts For each coin of the pool without its own token.
    function start(IFullStablePool pool, uint256[] memory amounts) external {
        (address[] memory tokens,,) = vault.getPoolTokens(pool.getPoolId());
        uint256[] memory all = new uint256[](tokens.length);
        uint256 own = pool.getBptIndex();
        for (uint256 i; i < amounts.length; ++i) {
            all[i < own ? i : i + 1] = amounts[i];
        }
        _join(pool, tokens, amounts, abi.encode(JOIN_INIT, all));
    }

    /// @notice Puts coins in.
    function join(IFullStablePool pool, uint256[] memory amounts) external returns (uint256 lp) {
        (address[] memory tokens,,) = vault.getPoolTokens(pool.getPoolId());
        lp = pool.balanceOf(address(this));
        _join(pool, tokens, amounts, abi.encode(JOIN_EXACT_IN, amounts, 0));
        lp = pool.balanceOf(address(this)) - lp;
    }

    function _join(IFullStablePool pool, address[] memory tokens, uint256[] memory amounts, bytes memory data) private {
        uint256[] memory most = new uint256[](tokens.length);
        uint256 own = pool.getBptIndex();
        for (uint256 i; i < tokens.length; ++i) {
            most[i] = type(uint256).max;
            if (i != own) _fund(tokens[i], amounts[i < own ? i : i - 1]);
        }
        IFullBalancerVault.JoinPoolRequest memory request =
            IFullBalancerVault.JoinPoolRequest(tokens, most, data, false);
        vault.joinPool(pool.getPoolId(), address(this), address(this), request);
    }

    /// @notice Sells an amount of one coin for another.
    function trade(IFullStablePool pool, address paid, address received, uint256 amount) external returns (uint256) {
        _fund(paid, amount);
        return vault.swap(
            IBalancerVault.SingleSwap(pool.getPoolId(), IBalancerVault.SwapKind.GIVEN_IN, paid, received, amount, ""),
            IBalancerVault.FundManagement(address(this), false, payable(address(this)), false),
            0,
            block.timestamp
        );
    }

    function _fund(address token, uint256 amount) private {
        if (token == address(weth)) weth.deposit{value: amount}();
        else Token(token).mint(address(this), amount);
        IERC20(token).approve(address(vault), amount);
    }
}
