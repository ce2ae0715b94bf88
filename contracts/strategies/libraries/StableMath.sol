// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The stable-swap invariant, for what one coin put in or taken out is worth in a pool's token
/// @notice For `n` coins with balances `x`, their sum `S` and the amplification `A`, the invariant `D` solves `A n S + D =
/// A n D + D^(n+1) / (n^n prod(x))`. It is homogeneous: a pool's token is a part of `D`. Both solutions are Newton's: after
/// its first step each falls until it is found, so the loops end.
/// Source: Curve's stable-swap whitepaper; Balancer V2's `StableMath`, whose fee on one coin this is.
library StableMath {
    using Math for uint256;

    uint256 private constant WAD = 1e18;

    /// @param balances In 18 decimals.
    /// @param index The coin that is traded.
    /// @param amplification `A n`, times `precision`.
    /// @param fee On what is not in proportion to the pool, WAD.
    struct Pool {
        uint256[] balances;
        uint256 index;
        uint256 amplification;
        uint256 precision;
        uint256 fee;
        uint256 invariant;
    }

    /// @notice Whether an amount of the coin pays for a growth of the invariant.
    function pays(Pool memory pool, uint256 amount, uint256 growth) internal pure returns (bool) {
        uint256 needed = balanceAt(pool, pool.invariant + growth).saturatingSub(pool.balances[pool.index]);
        return withFee(pool, needed) <= amount;
    }

    /// @notice Whether a part of the invariant brings an amount of the coin.
    function brings(Pool memory pool, uint256 part, uint256 amount) internal pure returns (bool) {
        if (part >= pool.invariant) return false;
        uint256 most = pool.balances[pool.index].saturatingSub(balanceAt(pool, pool.invariant - part));
        return withFee(pool, amount) <= most;
    }

    /// @notice An amount of one coin with the fee, as for an exact amount of what it is traded for.
    function withFee(Pool memory pool, uint256 amount) internal pure returns (uint256) {
        uint256 proportional = amount.mulDiv(pool.balances[pool.index], _sum(pool.balances));
        return proportional + (amount - proportional).mulDiv(WAD, WAD - pool.fee, Math.Rounding.Ceil);
    }

    /// @notice The invariant of the balances.
    /// @dev Forge takes a contract with a function `invariant...` for a test, and leaves it out of coverage.
    function solveInvariant(Pool memory pool) internal pure returns (uint256 invariant) {
        uint256[] memory balances = pool.balances;
        uint256 n = balances.length;
        uint256 sum = _sum(balances);
        uint256 weighted = pool.amplification * sum / pool.precision;
        uint256 before;
        invariant = sum;
        do {
            uint256 product = invariant;
            for (uint256 i; i < n; ++i) {
                product = product * invariant / (balances[i] * n);
            }
            before = invariant;
            invariant = (weighted + product * n) * invariant
                / ((pool.amplification - pool.precision) * invariant / pool.precision + (n + 1) * product);
        } while (!_isNext(before, invariant));
    }

    /// @notice The balance of the coin with which the others' have an invariant, rounded up.
    function balanceAt(Pool memory pool, uint256 invariant) internal pure returns (uint256 balance) {
        uint256[] memory balances = pool.balances;
        uint256 n = balances.length;
        // The balance `y` solves y^2 + (b - D) y = c.
        uint256 c = invariant;
        uint256 b = invariant * pool.precision / pool.amplification;
        for (uint256 i; i < n; ++i) {
            if (i == pool.index) continue;
            c = c * invariant / (balances[i] * n);
            b += balances[i];
        }
        c = c * invariant / n * pool.precision / pool.amplification;
        uint256 before;
        balance = invariant;
        do {
            before = balance;
            balance = (balance * balance + c) / (2 * balance + b - invariant);
        } while (!_isNext(before, balance));
        ++balance;
    }

    function _sum(uint256[] memory values) private pure returns (uint256 sum) {
        for (uint256 i; i < values.length; ++i) {
            sum += values[i];
        }
    }

    function _isNext(uint256 a, uint256 b) private pure returns (bool) {
        return a > b ? a - b <= 1 : b - a <= 1;
    }
}
