// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {ILiquiditySource} from "../interfaces/ILiquiditySource.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {Valuation} from "./Valuation.sol";

/// @title Into a strategy and out of it, with the books kept
abstract contract Positions is Valuation {
    using BoundedCall for address;
    using Math for uint256;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev One step of a withdrawal: draws `amount` from the strategy at a position, all of it where that is its whole `value`.
    /// @param allowed The most that leaving may cost beyond the strategy's valuation.
    /// @param probe Reverts in any case: with `Probed` where the strategy would have paid.
    /// @return loss What leaving cost beyond the valuation.
    function _draw(uint256 position, uint256 amount, uint256 value, uint256 allowed, bool probe)
        internal
        returns (uint256 loss)
    {
        Strategy storage s = _strategies[position];
        uint256 shares = s.shares;
        uint256 before = _idle();
        bool whole = amount >= value;
        bytes memory call_ = whole
            ? abi.encodeCall(IERC4626.redeem, (shares, address(this), address(this)))
            : abi.encodeCall(IERC4626.withdraw, (amount, address(this), address(this)));
        (bool ok, uint256 burned) = address(s.target).callUint(CALL_GAS, call_);
        require(ok, ValuationFailed(address(s.target)));
        _reduce(s, whole ? shares : Math.min(burned, shares));

        uint256 left;
        (ok, left) = _valueOf(s);
        require(ok, ValuationFailed(address(s.target)));
        loss = value.saturatingSub(left).saturatingSub(_idle() - before);
        require(loss <= allowed, ExitTooDear(address(s.target), loss, allowed));
        require(!probe, Probed());
    }

    /// @dev What a draw may cost by rounding: a strategy's may take a share of it too many.
    function _rounding(uint256 value, uint256 shares) internal pure returns (uint256) {
        return value / shares + ROUNDING;
    }

    /// @dev The approval is exact and spent at once: a strategy can never pull more than its deposit. Where the venue's cash is
    /// known, it must cover everything that would be in it before our own deposit counts as such.
    /// @param value What is in it.
    function _put(Strategy storage s, uint256 value, uint256 assets) internal {
        IERC4626 target = s.target;
        (bool ok, uint256 cash) =
            address(target).readUint(READ_GAS, abi.encodeCall(ILiquiditySource.availableLiquidity, ()));
        require(!ok || cash >= value + assets, Illiquid(address(target), value + assets, cash));
        s.recorded = (Math.min(value, _ceiling(s)) + assets).toUint128();
        s.recordedAt = uint32(block.timestamp);
        IERC20(asset()).forceApprove(address(target), assets);
        s.shares = (s.shares + target.deposit(assets, address(this))).toUint128();
    }

    /// @dev Returns what arrived, whatever the strategy says.
    function _redeem(Strategy storage s, uint256 shares) internal returns (uint256) {
        uint256 before = _idle();
        _reduce(s, shares);
        s.target.redeem(shares, address(this), address(this));
        return _idle() - before;
    }

    /// @dev Takes shares off the books, and their part of what is recorded.
    function _reduce(Strategy storage s, uint256 shares) internal {
        if (shares == 0) return;
        uint256 held = s.shares;
        s.recorded = uint128(uint256(s.recorded).mulDiv(held - shares, held));
        s.shares = uint128(held - shares);
    }

    /// @dev The strategy's own `maxWithdraw` or `maxRedeem` for the vault; 0 where it does not answer.
    function _most(Strategy storage s, bytes4 selector) internal view returns (uint256 most) {
        (, most) = address(s.target).readUint(READ_GAS, selector, uint160(address(this)));
    }
}
