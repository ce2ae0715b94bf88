// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626, IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

/// @notice OpenZeppelin's ERC-4626 vault as it is. It publishes no rate.
contract PlainStrategy is ERC4626 {
    constructor(IERC20 asset_) ERC20("Plain strategy", "PLAIN") ERC4626(asset_) {}
}
