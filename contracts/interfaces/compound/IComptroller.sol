// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What may restrict a supplier of a Compound V2 market
/// @notice No controller has all of these: Compound's has the first, Venus's the others.
interface IComptroller {
    function mintGuardianPaused(address market) external view returns (bool);
    function protocolPaused() external view returns (bool);
    function actionPaused(address market, uint8 action) external view returns (bool);
    function supplyCaps(address market) external view returns (uint256);
    function treasuryPercent() external view returns (uint256);
}
