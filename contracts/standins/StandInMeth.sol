// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Stands for Mantle's mETH, staked ETH that is redeemed at a rate, on devnets and in tests
/// @notice Kept of the real one: anybody may hold it; a unit is worth more ETH as rewards come in, and less when validators
/// are slashed; a report outside its bounds is refused. Left out: staking itself, with its queue. On Mantle the token is bridged and
/// the rate is on Ethereum; here the token answers it.
contract StandInMeth is ERC20, Ownable {
    uint256 private constant WAD = 1e18;

    /// @notice Most that a report raises the rate by for a day since the last one, and most that it lowers it by.
    uint256 public constant MAX_DAILY_GAIN = 0.001e18;
    uint256 public constant MAX_LOSS = 0.1e18;

    /// @notice ETH per mETH, WAD.
    uint256 public rate;
    uint256 private _reportedAt;

    error BadRate(uint256 from, uint256 to);

    constructor(uint256 rate_) ERC20("Stand-in for Mantle Staked Ether", "mETH") Ownable(msg.sender) {
        (rate, _reportedAt) = (rate_, block.timestamp);
    }

    function mETHToETH(uint256 amount) external view returns (uint256) {
        return amount * rate / WAD;
    }

    function report(uint256 rate_) external onlyOwner {
        uint256 most = rate + rate * MAX_DAILY_GAIN * (block.timestamp - _reportedAt) / (WAD * 1 days);
        uint256 least = rate - rate * MAX_LOSS / WAD;
        require(rate_ >= least && rate_ <= most, BadRate(rate, rate_));
        (rate, _reportedAt) = (rate_, block.timestamp);
    }

    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }
}
