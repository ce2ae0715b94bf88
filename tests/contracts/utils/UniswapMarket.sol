// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IUniswapV3LiquidityPool} from "../../../contracts/interfaces/uniswap/IUniswapV3LiquidityPool.sol";
import {Token} from "../mocks/Token.sol";
import {Artifacts} from "./Artifacts.sol";

interface IUniswapV3Factory {
    function createPool(address a, address b, uint24 fee) external returns (address);
}

interface IFullPool is IUniswapV3LiquidityPool {
    function initialize(uint160 sqrtPriceX96) external;
    function flash(address recipient, uint256 amount0, uint256 amount1, bytes calldata data) external;
}

/// @title A real Uniswap V3 pool of two tokens, and an outsider who provides liquidity and trades
contract UniswapMarket {
    uint24 public constant FEE = 500;
    int24 private constant SPACING = 10;
    uint160 private constant LOWEST = 4_295_128_740;
    uint160 private constant HIGHEST = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_341;

    IFullPool public pool;
    Token public asset;
    Token public token;
    bool public tokenIsFirst;

    constructor(Token asset_, Token token_) {
        (asset, token) = (asset_, token_);
        address factory =
            Artifacts.deploy("@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json", "");
        pool = IFullPool(IUniswapV3Factory(factory).createPool(address(asset), address(token), FEE));
        tokenIsFirst = pool.token0() == address(token);
    }

    /// @param price Base units of the asset per base unit of the token, times 1e36.
    function start(uint256 price) external {
        pool.initialize(sqrtPrice(price));
    }

    function sqrtPrice(uint256 price) public view returns (uint160) {
        return
            uint160(Math.sqrt(tokenIsFirst ? Math.mulDiv(price, 1 << 192, 1e36) : Math.mulDiv(1e36, 1 << 192, price)));
    }

    /// @notice Provides liquidity within `width` spacings of the present tick, worth about `assets` on each side.
    function provide(uint256 assets, int24 width) external returns (int24 lower, int24 upper, uint128 liquidity) {
        (uint160 price, int24 tick) = pool.slot0();
        int24 middle = tick / SPACING * SPACING;
        (lower, upper) = (middle - width * SPACING, middle + width * SPACING);
        // Of `width` spacings the asset's side holds about L x sqrt(price) x (width x 0.05 %), in token 1, and alike in token 0.
        uint256 side = tokenIsFirst ? Math.mulDiv(assets, 1 << 96, price) : Math.mulDiv(assets, price, 1 << 96);
        liquidity = uint128(side * 2000 / uint24(width));
        pool.mint(address(this), lower, upper, liquidity, "");
    }

    function remove(int24 lower, int24 upper, uint128 liquidity) external {
        pool.burn(lower, upper, liquidity);
    }

    /// @notice Buys the token for an amount of the asset, or sells an amount of the token.
    function trade(bool buy, uint256 amount) external returns (uint256 received) {
        (int256 amount0, int256 amount1) = _swap(buy, int256(amount), buy != tokenIsFirst ? LOWEST : HIGHEST);
        received = uint256(-(buy != tokenIsFirst ? amount1 : amount0));
    }

    /// @notice Trades until the token costs `price`.
    function push(uint256 price) external {
        uint160 goal = sqrtPrice(price);
        (uint160 now_,) = pool.slot0();
        if (now_ == goal) return;
        _swap((goal > now_) == tokenIsFirst, type(int128).max, goal);
    }

    function _swap(bool buy, int256 amount, uint160 limit) private returns (int256, int256) {
        return pool.swap(address(this), buy != tokenIsFirst, amount, limit, "");
    }

    function uniswapV3SwapCallback(int256 amount0, int256 amount1, bytes calldata) external {
        if (amount0 > 0) Token(pool.token0()).mint(msg.sender, uint256(amount0));
        if (amount1 > 0) Token(pool.token1()).mint(msg.sender, uint256(amount1));
    }

    function uniswapV3MintCallback(uint256 amount0, uint256 amount1, bytes calldata) external {
        if (amount0 > 0) Token(pool.token0()).mint(msg.sender, amount0);
        if (amount1 > 0) Token(pool.token1()).mint(msg.sender, amount1);
    }
}
