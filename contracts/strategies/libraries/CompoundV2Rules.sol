// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IComptroller} from "../../interfaces/compound/IComptroller.sol";
import {ICToken} from "../../interfaces/compound/ICToken.sol";
import {BoundedCall} from "../../libraries/BoundedCall.sol";

/// @title What the controller of a Compound V2 market allows a supplier
/// @notice Compound's controller and its descendants restrict by different functions. One that a controller does not have
/// restricts nothing.
library CompoundV2Rules {
    using BoundedCall for address;

    uint256 private constant READ_GAS = 60_000;
    uint256 private constant WAD = 1e18;
    /// @dev Venus's `Action`.
    uint256 private constant MINT = 0;
    uint256 private constant REDEEM = 1;

    /// @notice The most that all suppliers together may have in the market. Venus takes a cap of 0 for a closed market.
    function supplyCap(ICToken market) internal view returns (uint256) {
        address controller = market.comptroller();
        if (_isPaused(controller, market, MINT)) return 0;
        if (_isTrue(controller, abi.encodeCall(IComptroller.mintGuardianPaused, (address(market))))) return 0;
        (bool ok, uint256 cap) =
            controller.readUint(READ_GAS, abi.encodeCall(IComptroller.supplyCaps, (address(market))));
        return ok ? cap : type(uint256).max;
    }

    function canRedeem(ICToken market) internal view returns (bool) {
        return !_isPaused(market.comptroller(), market, REDEEM);
    }

    /// @notice Share of what is redeemed that goes to the protocol's treasury, WAD.
    function redeemFee(ICToken market) internal view returns (uint256 fee) {
        bool ok;
        (ok, fee) = market.comptroller().readUint(READ_GAS, abi.encodeCall(IComptroller.treasuryPercent, ()));
        if (!ok) return 0;
        if (fee > WAD) return WAD;
    }

    function _isPaused(address controller, ICToken market, uint256 action) private view returns (bool) {
        return _isTrue(controller, abi.encodeCall(IComptroller.protocolPaused, ()))
            || _isTrue(controller, abi.encodeCall(IComptroller.actionPaused, (address(market), uint8(action))));
    }

    function _isTrue(address controller, bytes memory question) private view returns (bool) {
        (bool ok, uint256 answer) = controller.readUint(READ_GAS, question);
        return ok && answer != 0;
    }
}
