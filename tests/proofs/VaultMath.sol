// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {Exits} from "../../contracts/vault/Exits.sol";
import {LimitTable} from "../../contracts/vault/LimitTable.sol";
import {Rebalancing} from "../../contracts/vault/Rebalancing.sol";
import {VaultStorage} from "../../contracts/vault/VaultStorage.sol";

contract Asset is ERC20("Asset", "ASSET") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice A strategy that answers what it is told to.
contract Answers {
    uint256 public leaving;
    uint256 public worth;

    function set(uint256 leaving_, uint256 worth_) external {
        (leaving, worth) = (leaving_, worth_);
    }

    function previewRedeem(uint256) external view returns (uint256) {
        return leaving;
    }

    function convertToAssets(uint256) external view returns (uint256) {
        return worth;
    }
}

/// @notice The vault's own arithmetic, callable, on a state of choice. It is the vault without its face: a proof of one
/// function need not carry the code of the others.
contract VaultMath is Rebalancing, Exits, LimitTable {
    constructor() VaultStorage(new Asset(), "Vault", "V", address(1)) {}

    /* A STATE OF CHOICE */

    function setTotals(uint128 recorded, uint40 recordedAt, uint32 millionths) external {
        (_recorded, _recordedAt, _maxGrowthRate) = (recorded, recordedAt, millionths);
    }

    function setStrategy(uint256 i, address target, uint128 shares, uint128 recorded, uint32 recordedAt) external {
        _strategies[i] = Strategy(IERC4626(target), 0, recordedAt, shares, recorded, 0);
        if (i >= _count) _count = uint8(i + 1);
    }

    function setGroup(uint16 members, uint64 relativeCap, uint128 absoluteCap) external {
        _groups[0] = Group(address(0), relativeCap, absoluteCap, members);
        _groupCount = 1;
    }

    function setDiscounted(uint16 bits) external {
        _discounted = bits;
    }

    function mintShares(uint256 shares) external {
        _mint(address(4), shares);
    }

    function strategy(uint256 i) external view returns (Strategy memory) {
        return _strategies[i];
    }

    /* THE VAULT'S FUNCTIONS */

    function toShares(uint256 assets, uint256 side, uint256 supply, Math.Rounding rounding)
        external
        pure
        returns (uint256)
    {
        return _toShares(assets, side, _at(supply), rounding);
    }

    function toAssets(uint256 shares, uint256 side, uint256 supply, Math.Rounding rounding)
        external
        pure
        returns (uint256)
    {
        return _toAssets(shares, side, _at(supply), rounding);
    }

    function drawdownFloor(uint256 mark, uint64 maxDrawdown) external returns (uint256) {
        _maxDrawdown = maxDrawdown;
        return _drawdownFloor(mark);
    }

    function checkCaps(uint64 relativeCap, uint128 absoluteCap, uint256 assets, uint256 nav) external {
        _strategies[0] = Strategy(IERC4626(address(3)), relativeCap, 0, 0, 0, absoluteCap);
        _checkCaps(_strategies[0], assets, nav);
    }

    function checkGroups(uint256[] memory values, uint256 grew, uint256 nav) external view {
        _checkGroups(values, grew, nav);
    }

    function checkIdleFloor(uint256 idle, uint256 nav, uint256 flash, uint256 before, uint64 idleFloor) external {
        _idleFloor = idleFloor;
        _checkIdleFloor(idle, nav, flash, before);
    }

    function books() external view returns (uint256 nav, uint256 bid, uint256 ask) {
        Books memory b;
        _value(b, true);
        return (b.nav, b.bid, b.ask);
    }

    function ceiling(uint256 i) external view returns (uint256) {
        return _ceiling(_strategies[i]);
    }

    function reduce(uint256 shares) external {
        _reduce(_strategies[0], shares);
    }

    function isTighter(Limit limit_, uint256 value, uint256 current) external pure returns (bool) {
        return _isTighter(limit_, value, current);
    }

    function without(uint16 bits, uint256 position) external pure returns (uint16) {
        return _without(bits, position);
    }

    function minimum(uint256[] calldata minimums, uint256 i) external pure returns (uint256) {
        return _minimum(minimums, i);
    }

    function handOut(address token, uint256 amount, uint256 least) external returns (uint256) {
        return _handOut(token, amount, address(5), least);
    }

    function _at(uint256 supply) private pure returns (Books memory b) {
        b.supply = supply;
    }
}
