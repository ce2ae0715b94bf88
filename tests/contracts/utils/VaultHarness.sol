// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {Vault} from "../../../contracts/Vault.sol";

/// @notice The vault as it is, with what it records in view, and an end to a transaction: Forge runs a test as one.
contract VaultHarness is Vault {
    constructor(
        IERC20 asset_,
        string memory name_,
        string memory symbol_,
        address authority_,
        address keeper_,
        Limits memory limits_
    ) Vault(asset_, name_, symbol_, authority_, keeper_, limits_) {}

    function recordedMark() external view returns (uint256 value, uint256 recordedAt) {
        return (_mark, _recordedAt);
    }

    function feeMark() external view returns (uint256) {
        return _feeMark;
    }

    /// @notice Clears transient storage, as the end of a transaction does.
    function endTransaction() external {
        _navBeforeDeposit = 0;
    }
}
