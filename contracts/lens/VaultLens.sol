// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ILiquiditySource} from "../interfaces/ILiquiditySource.sol";
import {IRateSource} from "../interfaces/IRateSource.sol";
import {IVault} from "../interfaces/IVault.sol";
import {IVaultTypes} from "../interfaces/IVaultTypes.sol";
import {IVaultLens} from "../interfaces/IVaultLens.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";

/// @title Everything a keeper must know about a vault, at one block, in one view call
/// @notice Strategies are read at arm's length: one that reverts, wastes gas, has no code or answers with rubbish is
/// reported with `live = false` and cannot spoil the rest. `valued` says whether the vault itself could value them all; if
/// not, its values leave the broken ones out, and are no prices.
contract VaultLens is IVaultLens {
    using BoundedCall for address;

    /* CONSTANTS */

    /// @dev Gas for one call to a strategy. Reading an Aave reserve takes a tenth of it.
    uint256 internal constant STRATEGY_GAS = 1_000_000;
    /// @dev The number of shares whose value is a strategy's price.
    uint256 internal constant PRICED_SHARES = 1e27;
    uint256 internal constant MAX_NAME_LENGTH = 64;
    uint8 internal constant DEFAULT_DECIMALS = 18;

    /* ERRORS */

    error NotAVault(address vault);

    /* VIEWS */

    /// @inheritdoc IVaultLens
    function snapshot(address vault) external view returns (Snapshot memory s) {
        require(vault.code.length != 0, NotAVault(vault));
        _readChain(s);
        _readBooks(s, IVault(vault));
        _readValuation(s, IVault(vault));
        IVaultTypes.Strategy[] memory strategies = IVault(vault).strategies();
        s.strategies = new StrategySnapshot[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            s.strategies[i] = _readStrategy(vault, strategies[i]);
        }
    }

    /* INTERNAL */

    function _readChain(Snapshot memory s) internal view {
        s.chainId = block.chainid;
        s.blockNumber = block.number;
        s.parentHash = blockhash(block.number - 1);
        s.timestamp = block.timestamp;
        s.baseFee = block.basefee;
    }

    /// @dev Reads the fields that need no strategy's answer.
    function _readBooks(Snapshot memory s, IVault vault) internal view {
        s.vault = address(vault);
        s.asset = vault.asset();
        (bool ok, uint8 decimals) = SafeERC20.tryGetDecimals(IERC20(s.asset));
        s.assetDecimals = ok ? decimals : DEFAULT_DECIMALS;
        s.keeper = vault.keeper();
        s.policyHash = vault.policyHash();
        s.epoch = vault.epoch();
        s.lastRebalance = vault.lastRebalance();
        s.halted = vault.halted();
        s.totalSupply = vault.totalSupply();
        s.idle = vault.idle();
        s.lastSeen = vault.lastSeen();
        s.lossBudget = vault.lossBudget();
        s.turnoverBudget = vault.turnoverBudget();
        s.limits = vault.limits();
        s.groups = vault.groups();
    }

    function _readValuation(Snapshot memory s, IVault vault) internal view {
        IVaultTypes.Valuation memory v = vault.valuation();
        s.valued = v.broken == address(0);
        (s.nav, s.bid, s.ask) = (v.nav, v.bid, v.ask);
        (s.sharePrice, s.navPrice) = (v.sharePrice, v.navPrice);
        (s.highWaterMark, s.drawdownFloor) = (v.highWaterMark, v.drawdownFloor);
    }

    function _readStrategy(address vault, IVaultTypes.Strategy memory booked)
        internal
        view
        returns (StrategySnapshot memory s)
    {
        address target = address(booked.target);
        s.target = target;
        s.shares = booked.shares;
        (s.recorded, s.recordedAt) = (booked.recorded, booked.recordedAt);
        s.relativeCap = booked.relativeCap;
        s.absoluteCap = booked.absoluteCap;

        (bool okAssets, uint256 assets) = _ask(target, abi.encodeCall(IERC4626.previewRedeem, (booked.shares)));
        if (!okAssets) return s;
        (bool okPrice, uint256 price) = _ask(target, abi.encodeCall(IERC4626.convertToAssets, (PRICED_SHARES)));
        if (!okPrice) return s;
        (bool okOut, uint256 mostOut) = _ask(target, abi.encodeCall(IERC4626.maxWithdraw, (vault)));
        if (!okOut) return s;
        (bool okIn, uint256 mostIn) = _ask(target, abi.encodeCall(IERC4626.maxDeposit, (vault)));
        if (!okIn) return s;

        s.live = true;
        s.assets = assets;
        s.price = price;
        s.entryPrice = _askOr(price, target, abi.encodeCall(IERC4626.previewMint, (PRICED_SHARES)));
        s.exitPrice = _askOr(price, target, abi.encodeCall(IERC4626.previewRedeem, (PRICED_SHARES)));
        // The strategy also counts shares that were sent to the vault; the vault can only use those in its books.
        s.maxWithdraw = Math.min(mostOut, assets);
        s.maxDeposit = mostIn;
        (, s.name) = target.readText(STRATEGY_GAS, abi.encodeCall(IERC20Metadata.name, ()), MAX_NAME_LENGTH);
        (s.hasCash, s.cash) = _ask(target, abi.encodeCall(ILiquiditySource.availableLiquidity, ()));
        (s.hasRate, s.supplyRate) = _ask(target, abi.encodeCall(IRateSource.supplyRate, ()));
    }

    function _askOr(uint256 otherwise, address target, bytes memory question) internal view returns (uint256) {
        (bool ok, uint256 answer) = _ask(target, question);
        return ok ? answer : otherwise;
    }

    function _ask(address target, bytes memory question) internal view returns (bool, uint256) {
        return target.readUint(STRATEGY_GAS, question);
    }
}
