// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPool} from "../../../contracts/interfaces/aave/IPool.sol";
import {Token} from "../mocks/Token.sol";
import {AaveArtifacts} from "./AaveArtifacts.sol";

interface IAddressesProvider {
    function setACLAdmin(address admin) external;
    function setACLManager(address manager) external;
    function setPriceOracle(address oracle) external;
    function setPoolImpl(address implementation) external;
    function setPoolConfiguratorImpl(address implementation) external;
    function getPool() external view returns (address);
    function getPoolConfigurator() external view returns (address);
}

interface IACLManager {
    function addPoolAdmin(address admin) external;
    function addEmergencyAdmin(address admin) external;
}

interface IPoolConfigurator {
    struct InitReserveInput {
        address aToken;
        address stableDebtToken;
        address variableDebtToken;
        uint8 decimals;
        address rateStrategy;
        address asset;
        address treasury;
        address incentives;
        string aTokenName;
        string aTokenSymbol;
        string variableDebtName;
        string variableDebtSymbol;
        string stableDebtName;
        string stableDebtSymbol;
        bytes params;
    }

    function initReserves(InitReserveInput[] calldata input) external;
    function configureReserveAsCollateral(address asset, uint256 ltv, uint256 threshold, uint256 bonus) external;
    function setReserveBorrowing(address asset, bool enabled) external;
    function setReserveStableRateBorrowing(address asset, bool enabled) external;
    function setReserveFactor(address asset, uint256 basisPoints) external;
    function setSupplyCap(address asset, uint256 wholeUnits) external;
    function setReserveFreeze(address asset, bool freeze) external;
    function setReservePause(address asset, bool pause) external;
}

interface IFullPool is IPool {
    function borrow(address asset, uint256 amount, uint256 rateMode, uint16 referralCode, address onBehalfOf) external;
    function repay(address asset, uint256 amount, uint256 rateMode, address onBehalfOf) external returns (uint256);
}

/// @notice One price for every asset: the tests' loans are never near liquidation.
contract OnePriceOracle {
    function getAssetPrice(address) external pure returns (uint256) {
        return 1e8;
    }
}

/// @title A real Aave V3 market with the reserve `asset` to lend and the reserve `collateral`
contract AaveMarket is AaveArtifacts {
    uint256 private constant STABLE = 1;
    uint256 private constant VARIABLE = 2;

    IFullPool public pool;
    IPoolConfigurator public configurator;
    Token public asset;
    Token public collateral;
    address private _provider;

    constructor(Token asset_) {
        asset = asset_;
        collateral = new Token(asset_.decimals());
        string[8] memory logic = [
            "SupplyLogic",
            "BorrowLogic",
            "LiquidationLogic",
            "EModeLogic",
            "BridgeLogic",
            "PoolLogic",
            "ConfiguratorLogic",
            "FlashLoanLogic"
        ];
        for (uint256 i; i < logic.length; ++i) {
            _deployAaveLibrary(logic[i]);
        }
        _deployPool();
        _initReserves();
        configurator.configureReserveAsCollateral(address(collateral), 9_000, 9_500, 10_100);
        configurator.setReserveBorrowing(address(asset), true);
        configurator.setReserveFactor(address(asset), 1_000);
    }

    function _deployPool() private {
        IAddressesProvider provider = IAddressesProvider(
            _deployAave(
                "protocol/configuration/PoolAddressesProvider",
                "PoolAddressesProvider",
                abi.encode("market", address(this))
            )
        );
        provider.setACLAdmin(address(this));
        IACLManager acl =
            IACLManager(_deployAave("protocol/configuration/ACLManager", "ACLManager", abi.encode(provider)));
        provider.setACLManager(address(acl));
        acl.addPoolAdmin(address(this));
        acl.addEmergencyAdmin(address(this));
        provider.setPriceOracle(address(new OnePriceOracle()));
        provider.setPoolImpl(_deployAave("protocol/pool/Pool", "Pool", abi.encode(provider)));
        provider.setPoolConfiguratorImpl(_deployAave("protocol/pool/PoolConfigurator", "PoolConfigurator", ""));
        pool = IFullPool(provider.getPool());
        configurator = IPoolConfigurator(provider.getPoolConfigurator());
        _provider = address(provider);
    }

    function _initReserves() private {
        IPoolConfigurator.InitReserveInput[] memory input = new IPoolConfigurator.InitReserveInput[](2);
        input[0].asset = address(asset);
        input[1].asset = address(collateral);
        // Kink at 80 %, 4 % below it and 100 % above; stable loans 5 % dearer.
        address rates = _deployAave(
            "protocol/pool/DefaultReserveInterestRateStrategy",
            "DefaultReserveInterestRateStrategy",
            abi.encode(_provider, 0.8e27, 0, 0.04e27, 1e27, 0.01e27, 1e27, 0.05e27, 0.05e27, 0.2e27)
        );
        for (uint256 i; i < input.length; ++i) {
            input[i].aToken = _deployAave("protocol/tokenization/AToken", "AToken", abi.encode(pool));
            input[i].stableDebtToken =
                _deployAave("protocol/tokenization/StableDebtToken", "StableDebtToken", abi.encode(pool));
            input[i].variableDebtToken =
                _deployAave("protocol/tokenization/VariableDebtToken", "VariableDebtToken", abi.encode(pool));
            input[i].decimals = asset.decimals();
            input[i].rateStrategy = rates;
            input[i].treasury = address(this);
        }
        configurator.initReserves(input);
    }

    /* OUTSIDERS */

    function supply(uint256 amount) external {
        asset.mint(address(this), amount);
        asset.approve(address(pool), amount);
        pool.supply(address(asset), amount, address(this), 0);
    }

    function borrow(uint256 amount) external {
        _borrow(amount, VARIABLE);
    }

    function borrowStable(uint256 amount) external {
        configurator.setReserveStableRateBorrowing(address(asset), true);
        _borrow(amount, STABLE);
    }

    function _borrow(uint256 amount, uint256 mode) private {
        collateral.mint(address(this), 100 * amount);
        collateral.approve(address(pool), 100 * amount);
        pool.supply(address(collateral), 100 * amount, address(this), 0);
        pool.borrow(address(asset), amount, mode, 0, address(this));
    }

    function repayAll() external {
        asset.mint(address(this), type(uint128).max);
        asset.approve(address(pool), type(uint256).max);
        pool.repay(address(asset), type(uint256).max, VARIABLE, address(this));
    }

    /* RISK ADMIN */

    function setSupplyCap(uint256 wholeUnits) external {
        configurator.setSupplyCap(address(asset), wholeUnits);
    }

    function setFrozen(bool frozen) external {
        configurator.setReserveFreeze(address(asset), frozen);
    }

    function setPaused(bool paused) external {
        configurator.setReservePause(address(asset), paused);
    }
}
