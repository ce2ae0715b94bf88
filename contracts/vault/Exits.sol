// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ISelf} from "../interfaces/ISelf.sol";
import {BoundedCall} from "../libraries/BoundedCall.sol";
import {Positions} from "./Positions.sol";

/// @title The ways out: at the bid, and in kind
abstract contract Exits is Positions {
    using BoundedCall for address;
    using Math for uint256;

    function _redeemInKind(uint256 shares, address receiver, address owner, uint256[] calldata minimums)
        internal
        returns (uint256 assets, uint256[] memory parts)
    {
        // Flash money that left in kind would take the strategies along, and leave its cash in their place.
        require(_navBeforeDeposit == 0, DepositedInThisTransaction());
        uint256 count = _count;
        require(minimums.length == 0 || minimums.length == count + 1, WrongLength(minimums.length, count + 1));
        uint256 whole = (_performanceFee == 0 ? totalSupply() : _accrue(false).supply) + VIRTUAL_SHARES;
        if (msg.sender != owner) _spendAllowance(owner, msg.sender, shares);
        _burn(owner, shares);
        _recorded -= uint128(uint256(_recorded).mulDiv(shares, whole));

        assets = _handOut(asset(), _idle().mulDiv(shares, whole), receiver, _minimum(minimums, 0));
        parts = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            Strategy storage s = _strategies[i];
            uint256 part = uint256(s.shares).mulDiv(shares, whole);
            parts[i] = _handOut(address(s.target), part, receiver, _minimum(minimums, i + 1));
            _reduce(s, parts[i]);
        }
        emit RedeemedInKind(msg.sender, receiver, owner, shares, assets);
    }

    /// @dev Withdraws from the strategies, in order, until `assets` are idle; one that does not pay is passed over.
    /// @param atCost Whether a strategy may cost more than its valuation says: the caller charges that to who leaves.
    /// @param net Whether that cost is taken off `assets`, which is then all that it may be.
    /// @return cost What leaving the strategies cost beyond their valuation.
    function _pull(uint256 assets, Books memory books, bool atCost, bool net) internal returns (uint256 cost) {
        uint256 available = books.idle;
        uint256 count = books.values.length;
        for (uint256 i; i < count && available < assets; ++i) {
            uint256 value = books.values[i];
            if (value == 0) continue;
            Strategy storage s = _strategies[i];
            uint256 most = _most(s, IERC4626.maxWithdraw.selector);
            uint256 amount = Math.min(assets - available, most == 0 ? value : Math.min(most, value));
            uint256 allowed = net ? assets - cost : atCost ? type(uint256).max : _rounding(value, s.shares);
            uint256 before = gasleft();
            try ISelf(address(this)).draw(i, amount, value, allowed, false) returns (uint256 loss) {
                cost += loss;
                available = _idle() + (net ? cost : 0);
            } catch {
                BoundedCall.requireGas(before, DRAW_GAS);
                emit StrategySkipped(address(s.target));
            }
        }
        require(available >= assets, NotEnoughLiquidity(assets, available));
    }

    /// @dev Pays, from idle, what has been pulled there. What that cost is gone too.
    function _leave(address receiver, address owner, uint256 assets, uint256 shares, Books memory books, uint256 cost)
        internal
    {
        // In quarantine it has grown since: first that, so that what is left grows as it would have.
        bool growing = books.broken != address(0) && assets + cost != 0;
        if (growing) _record(_grown(_recorded, _recordedAt, _maxGrowthRate));
        bool past = books.broken == address(0) && books.price < _drawdownFloor(_mark);
        if (past && !_halted) _trip(books.price);
        _recorded = uint128(uint256(_recorded).saturatingSub(assets + cost));
        _withdraw(msg.sender, receiver, owner, assets, shares);
    }

    /// @dev What can be paid out now; 0 while there is no price.
    function _liquid(Books memory books) internal view returns (uint256 assets) {
        if (books.broken != address(0)) return 0;
        assets = books.idle;
        for (uint256 i; i < books.values.length; ++i) {
            uint256 value = books.values[i];
            if (value != 0) assets += Math.min(value, _most(_strategies[i], IERC4626.maxWithdraw.selector));
        }
    }

    /// @dev Transfers a part, and returns it: 0 where the transfer fails or is not wanted.
    function _handOut(address token, uint256 amount, address receiver, uint256 minimum) internal returns (uint256) {
        if (minimum == LEAVE_IT) return 0;
        if (amount != 0 && !token.tryTransfer(TRANSFER_GAS, receiver, amount)) {
            emit StrategySkipped(token);
            amount = 0;
        }
        require(amount >= minimum, SlippageExceeded(amount, minimum));
        return amount;
    }

    function _minimum(uint256[] calldata minimums, uint256 i) internal pure returns (uint256) {
        return minimums.length == 0 ? 0 : minimums[i];
    }
}
