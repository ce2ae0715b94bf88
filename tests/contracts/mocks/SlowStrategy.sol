// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

import {PlainStrategy} from "./PlainStrategy.sol";

/// @notice Takes as much gas as it is told to. An honest one needs a set amount for every reading and every payment. A
/// hostile one burns all but the little that it takes to answer; and what it is asked to pay or to move, it refuses after
/// burning everything, or pays as late as it can.
contract SlowStrategy is PlainStrategy {
    uint256 private constant ANSWER_GAS = 15_000;
    uint256 private constant PAY_GAS = 150_000;

    enum Temper {
        Honest,
        Refuses,
        PaysLate
    }

    uint256 public cost;
    Temper public temper;

    constructor(IERC20 asset_) PlainStrategy(asset_) {}

    function setCost(uint256 newCost) external {
        cost = newCost;
    }

    function setTemper(Temper newTemper) external {
        temper = newTemper;
    }

    function previewRedeem(uint256 shares) public view override returns (uint256) {
        _waste(ANSWER_GAS);
        return super.previewRedeem(shares);
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        _waste(ANSWER_GAS);
        return super.maxWithdraw(owner);
    }

    function withdraw(uint256 assets, address receiver, address owner) public override returns (uint256 shares) {
        _refuse();
        _waste(PAY_GAS);
        shares = previewWithdraw(assets);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    function redeem(uint256 shares, address receiver, address owner) public override returns (uint256 assets) {
        _refuse();
        _waste(PAY_GAS);
        assets = super.previewRedeem(shares);
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    function transfer(address to, uint256 amount) public override(ERC20, IERC20) returns (bool) {
        _refuse();
        _waste(PAY_GAS);
        return super.transfer(to, amount);
    }

    function _waste(uint256 rest) private view {
        uint256 until = temper == Temper.Honest ? gasleft() - cost : rest;
        while (gasleft() > until) {}
    }

    function _refuse() private view {
        while (temper == Temper.Refuses) {}
    }
}
