// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Aave V3's pool, as far as a supplier needs it
/// @notice Our own minimal interface. The layout of `ReserveData` is that of every 3.x pool: from 3.2 on Aave keeps it as
/// its "legacy" reply.
interface IPool {
    /// @dev Rates and indices are RAY (1e27). `configuration` is a bit map, see `ReserveConfiguration`.
    struct ReserveData {
        uint256 configuration;
        uint128 liquidityIndex;
        uint128 currentLiquidityRate;
        uint128 variableBorrowIndex;
        uint128 currentVariableBorrowRate;
        uint128 currentStableBorrowRate;
        uint40 lastUpdateTimestamp;
        uint16 id;
        address aTokenAddress;
        address stableDebtTokenAddress;
        address variableDebtTokenAddress;
        address interestRateStrategyAddress;
        uint128 accruedToTreasury;
        uint128 unbacked;
        uint128 isolationModeTotalDebt;
    }

    function supply(address asset, uint256 amount, address onBehalfOf, uint16 referralCode) external;
    function withdraw(address asset, uint256 amount, address to) external returns (uint256);
    function getReserveData(address asset) external view returns (ReserveData memory);
    /// @notice Assets per scaled aToken unit (RAY), accrued up to this block.
    function getReserveNormalizedIncome(address asset) external view returns (uint256);
    /// @notice Assets per scaled unit of variable debt (RAY), accrued up to this block.
    function getReserveNormalizedVariableDebt(address asset) external view returns (uint256);
    /// @notice Liquidity that is not lent out, by the pool's own books. Exists since 3.1.
    function getVirtualUnderlyingBalance(address asset) external view returns (uint128);
}
