// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The parts of a Set V2 token that say what is in it
interface ISetToken {
    function getComponents() external view returns (address[] memory);

    /// @notice Base units of a component that the token itself holds per whole token.
    function getDefaultPositionRealUnit(address component) external view returns (int256);

    /// @notice Modules that keep more of a component elsewhere, or owe it.
    function getExternalPositionModules(address component) external view returns (address[] memory);
}
