// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Token} from "../../mocks/Token.sol";

/// @notice An issuer can block an address.
contract IssuedToken is Token {
    error Blocked(address who);

    mapping(address => bool) public blocked;

    constructor(uint8 decimals_) Token(decimals_) {}

    function setBlocked(address who, bool blocked_) external {
        blocked[who] = blocked_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blocked[from], Blocked(from));
        require(!blocked[to], Blocked(to));
        super._update(from, to, amount);
    }
}
