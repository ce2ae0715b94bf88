// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ILiquiditySource} from "../../../../contracts/interfaces/ILiquiditySource.sol";
import {PlainStrategy} from "../../mocks/PlainStrategy.sol";

/// @notice A lending pool: what is borrowed still counts, and cannot be paid out.
contract Pool {
    IERC20 public immutable ASSET;
    uint256 public borrowed;

    constructor(IERC20 asset_) {
        ASSET = asset_;
    }

    function borrow(uint256 assets) external {
        borrowed += assets;
        ASSET.transfer(msg.sender, assets);
    }

    function supply(uint256 assets) external {
        ASSET.transferFrom(msg.sender, address(this), assets);
    }

    function take(uint256 assets, address to) external {
        ASSET.transfer(to, assets);
    }

    function cash() external view returns (uint256) {
        return ASSET.balanceOf(address(this));
    }
}

/// @notice A position in the pool. It says what its depositors can withdraw, as ERC-4626 asks.
contract PoolStrategy is PlainStrategy {
    Pool public immutable POOL;
    uint256 private _supplied;

    constructor(IERC20 asset_, Pool pool) PlainStrategy(asset_) {
        POOL = pool;
        asset_.approve(address(pool), type(uint256).max);
    }

    function totalAssets() public view override returns (uint256) {
        return _supplied;
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        return Math.min(super.maxWithdraw(owner), POOL.cash());
    }

    function _transferIn(address from, uint256 assets) internal override {
        super._transferIn(from, assets);
        _supplied += assets;
        POOL.supply(assets);
    }

    function _transferOut(address to, uint256 assets) internal override {
        _supplied -= assets;
        POOL.take(assets, to);
    }
}

/// @notice One that also says what the pool could pay to anybody.
contract KnownPoolStrategy is PoolStrategy, ILiquiditySource {
    constructor(IERC20 asset_, Pool pool) PoolStrategy(asset_, pool) {}

    function availableLiquidity() external view returns (uint256) {
        return POOL.cash();
    }
}
