// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "./IVaultTypes.sol";

/// @title Everything a keeper must know about a vault, at one block, in one view call
interface IVaultLens {
    /// @param assets What leaving the vault's position pays (`previewRedeem`).
    /// @param recorded What the bid believes of the position at most, but for growth since `recordedAt`.
    /// @param price Assets per 1e27 shares-in-whole-units of the strategy, i.e. `convertToAssets(1e27)`; precise to 1e-18.
    /// @param entryPrice Assets that so many shares cost at most (`previewMint`); the price where the strategy does not say.
    /// @param exitPrice Assets that they pay at least (`previewRedeem`); the price where the strategy does not say.
    /// @param supplyRate APR (WAD); 0 and `hasRate` false where the strategy does not publish one.
    /// @param maxWithdraw Assets that the vault could withdraw now.
    /// @param maxDeposit Assets that the vault could deposit now.
    /// @param cash Assets that the venue could pay out to anybody; 0 and `hasCash` false where the strategy does not say.
    /// @param live False when reading the strategy reverted: its numbers are then 0, and nobody must trade on them.
    struct StrategySnapshot {
        address target;
        string name;
        uint256 shares;
        uint256 assets;
        uint256 recorded;
        uint256 recordedAt;
        uint256 price;
        uint256 entryPrice;
        uint256 exitPrice;
        uint256 supplyRate;
        bool hasRate;
        uint256 maxWithdraw;
        uint256 maxDeposit;
        uint256 cash;
        bool hasCash;
        uint64 relativeCap;
        uint128 absoluteCap;
        bool live;
    }

    /// @dev `nav` to `drawdownFloor`: see `IVaultTypes.Valuation`. While `valued` is false they leave the broken ones out.
    struct Snapshot {
        uint256 chainId;
        uint256 blockNumber;
        bytes32 parentHash;
        uint256 timestamp;
        uint256 baseFee;
        address vault;
        address asset;
        uint8 assetDecimals;
        address keeper;
        bytes32 policyHash;
        uint256 epoch;
        uint256 lastRebalance;
        uint256 lastSeen;
        bool halted;
        bool valued;
        uint256 nav;
        uint256 bid;
        uint256 ask;
        uint256 totalSupply;
        uint256 idle;
        uint256 sharePrice;
        uint256 navPrice;
        uint256 highWaterMark;
        uint256 drawdownFloor;
        uint256 lossBudget;
        uint256 turnoverBudget;
        IVaultTypes.Limits limits;
        IVaultTypes.Group[] groups;
        StrategySnapshot[] strategies;
    }

    function snapshot(address vault) external view returns (Snapshot memory);
}
