// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Stands for Ondo's USDY, a token of treasury bills, on devnets and in tests
/// @notice Kept of the real one: it moves only between holders on its issuer's list, and only at the hand of somebody on the
/// list; the issuer mints, burns and strikes holders off at any time. Left out: the list is a contract of its own there, and
/// there are a list of blocked and one of sanctioned holders besides, a pause, and an upgradeable proxy.
contract StandInUsdy is ERC20, Ownable {
    mapping(address => bool) public isAllowed;

    error NotOnTheList(address account);

    constructor() ERC20("Stand-in for Ondo U.S. Dollar Yield", "USDY") Ownable(msg.sender) {}

    function setAllowed(address account, bool allowed) external onlyOwner {
        isAllowed[account] = allowed;
    }

    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }

    function burn(address from, uint256 amount) external onlyOwner {
        _burn(from, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        bool issuing = from == address(0) || to == address(0);
        if (!issuing) _requireAllowed(msg.sender);
        if (from != address(0)) _requireAllowed(from);
        if (to != address(0)) _requireAllowed(to);
        super._update(from, to, amount);
    }

    function _requireAllowed(address account) private view {
        require(isAllowed[account], NotOnTheList(account));
    }
}
