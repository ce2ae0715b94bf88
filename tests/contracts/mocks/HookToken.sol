// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {Token} from "./Token.sol";

/// @notice A token that calls its sender while it moves, as no asset of a vault should.
contract HookToken is Token {
    address public hook;

    constructor(uint8 decimals) Token(decimals) {}

    function setHook(address hook_) external {
        hook = hook_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from == hook && hook != address(0)) ReenteringDepositor(from).moved();
    }
}

/// @notice Enters a strategy once more while it pays.
contract ReenteringDepositor {
    IERC4626 private immutable STRATEGY;

    constructor(IERC4626 strategy) {
        STRATEGY = strategy;
        IERC20(strategy.asset()).approve(address(strategy), type(uint256).max);
    }

    function enter(uint256 assets) external {
        STRATEGY.deposit(assets, address(this));
    }

    function moved() external {
        STRATEGY.deposit(0, address(this));
    }
}
