// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {Vault} from "../../../contracts/Vault.sol";

/// @notice The vault as it is, with its recorded high-water mark in view.
contract VaultHarness is Vault {
    constructor(
        IERC20 asset_,
        string memory name_,
        string memory symbol_,
        address authority_,
        address keeper_,
        uint64 idleFloor_,
        uint64 maxDrawdown_,
        uint64 markGrowthRate_
    ) Vault(asset_, name_, symbol_, authority_, keeper_, idleFloor_, maxDrawdown_, markGrowthRate_) {}

    function recordedMark() external view returns (uint256 value, uint256 recordedAt) {
        return (_mark.value, _mark.recordedAt);
    }
}
