// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What a vault calls on itself, so that it can be undone
interface ISelf {
    /// @notice Draws `amount` from the strategy at a position, all of it where that is its whole `value`. For the vault only.
    /// @param allowed The most that leaving may cost beyond the strategy's valuation.
    /// @param probe Reverts in any case: with `Probed` where the strategy would have paid.
    /// @return loss What leaving cost beyond the valuation.
    function draw(uint256 position, uint256 amount, uint256 value, uint256 allowed, bool probe)
        external
        returns (uint256 loss);
}
