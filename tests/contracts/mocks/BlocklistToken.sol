// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Token} from "./Token.sol";

/// @notice Like USDC: its issuer can block an address, which then can send nothing.
contract BlocklistToken is Token {
    mapping(address => bool) public blocked;

    error Blocked(address holder);

    constructor(uint8 decimals_) Token(decimals_) {}

    function setBlocked(address holder, bool isBlocked) external {
        blocked[holder] = isBlocked;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blocked[from], Blocked(from));
        super._update(from, to, amount);
    }
}
