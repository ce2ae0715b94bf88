// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {BoundedCall} from "../libraries/BoundedCall.sol";
import {GrowthBound} from "../libraries/GrowthBound.sol";
import {VaultStorage} from "./VaultStorage.sol";

/// @title What a vault is worth: NAV, bid, ask, the fee that is due and the high-water mark
abstract contract Valuation is VaultStorage {
    using BoundedCall for address;
    using Math for uint256;

    /* MEMORY TYPES */

    /// @dev The vault's books at one moment, net of the fee that is due. `nav`, `bid` and `ask` as in `Valuation`; without the
    /// strategies that could not be valued.
    struct Books {
        uint256 nav;
        uint256 bid;
        uint256 ask; // only where it was asked for
        bool wide; // whether a position's ask is far over what is recorded of it; only where it was asked for
        uint256 supply;
        uint256 feeRate; // in basis points
        uint256 feeShares;
        uint256 price; // bid per share
        uint256 idle;
        uint256[] values; // what leaving each strategy pays
        address broken; // a strategy that could not be valued, or 0
    }

    /* THE BOOKS */

    function _idle() internal view returns (uint256) {
        return IERC20(asset()).balanceOf(address(this));
    }

    /// @dev Values and supply at this moment, as if the performance fee that is due were minted. None is due while a strategy
    /// cannot be valued.
    function _books(bool entering) internal view returns (Books memory books) {
        _value(books, entering);
        books.price = _sharePrice(books.bid, books.supply);
        uint256 rate = books.feeRate = _feeRate();
        if (rate == 0 || books.price <= _feeMark || books.broken != address(0)) return books;
        uint256 gain = (books.price - _feeMark).mulDiv(books.supply, WAD * VIRTUAL_SHARES);
        uint256 fee = gain.mulDiv(rate, BASIS_POINTS);
        books.feeShares = fee.mulDiv(books.supply + VIRTUAL_SHARES, books.bid + 1 - fee);
        books.supply += books.feeShares;
        books.price = _sharePrice(books.bid, books.supply);
    }

    /// @dev The books for a view. In the middle of an operation they do not add up, so the view reverts.
    function _readBooks(bool entering) internal view nonReentrantView returns (Books memory) {
        return _books(entering);
    }

    /// @dev The books for a view that makes a price of them.
    function _pricedBooks(bool entering) internal view returns (Books memory books) {
        books = _readBooks(entering);
        _checkPriced(books, 1);
    }

    /// @dev Values the strategies. An answer beyond 128 bits is no valuation: the sum must not overflow, or one strategy could
    /// lock the vault. While a strategy cannot be valued nothing is recorded, so that its return is not taken for a gain. One that
    /// fails for the ask alone counts with what leaving it pays.
    function _value(Books memory books, bool entering) internal view {
        uint256[] memory values = new uint256[](_count);
        books.values = values;
        books.idle = books.nav = books.bid = books.ask = _idle();
        uint256 rate = _maxGrowthRate;
        uint256 discounted = entering ? _discounted : 0;
        for (uint256 i; i < values.length; ++i) {
            Strategy storage s = _strategies[i];
            uint256 shares = s.shares;
            if (shares == 0) continue;
            uint256 ceiling = _grown(s.recorded, s.recordedAt, rate);
            address target = address(s.target);
            (bool ok, uint256 value) = _askWorth(target, IERC4626.previewRedeem.selector, shares);
            if (ok) {
                values[i] = value;
                books.nav += value;
                books.bid += Math.min(value, ceiling);
                uint256 worth = value;
                if (discounted >> i & 1 == 1) {
                    (ok, worth) = _askWorth(target, IERC4626.convertToAssets.selector, shares);
                    worth = ok ? Math.max(value, worth) : value;
                }
                books.ask += worth;
                if (worth > _spread(ceiling)) books.wide = true;
            }
            if (!ok) books.broken = target;
        }
        books.supply = totalSupply();
        books.bid = _isEmpty(books) ? books.nav : Math.min(books.bid, _grown(_recorded, _recordedAt, rate));
    }

    /// @dev An amount of 0 needs no price.
    function _checkPriced(Books memory books, uint256 amount) internal pure {
        require(books.broken == address(0) || amount == 0, ValuationFailed(books.broken));
    }

    /// @dev With hardly anything in it there is nobody to protect, and a unit of rounding would look like a crash.
    function _isEmpty(Books memory books) internal pure returns (bool) {
        return books.supply == 0 || (books.supply < DUST_SHARES && books.nav < DUST_ASSETS);
    }

    /// @dev The most that an ask may be over a bid.
    function _spread(uint256 bid) internal pure returns (uint256) {
        return bid + bid / SPREAD_PART + DUST_ASSETS;
    }

    /* POSITIONS */

    function _grown(uint256 recorded, uint256 recordedAt, uint256 rate) internal view returns (uint256) {
        return GrowthBound.grown(recorded, rate * WAD_PER_MILLIONTH, block.timestamp - recordedAt);
    }

    /// @dev What leaving a position pays. `previewRedeem` and not `convertToAssets`: net of exit fees.
    function _valueOf(Strategy storage s) internal view returns (bool, uint256) {
        uint256 shares = s.shares;
        if (shares == 0) return (true, 0);
        return _askWorth(address(s.target), IERC4626.previewRedeem.selector, shares);
    }

    function _askWorth(address target, bytes4 selector, uint256 shares) internal view returns (bool ok, uint256 value) {
        (ok, value) = target.readUint(READ_GAS, selector, shares);
        ok = ok && value <= type(uint128).max;
    }

    /// @dev The most that the bid believes of a position.
    function _ceiling(Strategy storage s) internal view returns (uint256) {
        return _grown(s.recorded, s.recordedAt, _maxGrowthRate);
    }

    /* WHAT IS RECORDED */

    /// @dev Records the fee, the bid and the high-water mark; nothing while a strategy cannot be valued, so that all is as
    /// before when it comes back. The fee's mark rises even where the fee rounds to nothing: with hardly any shares in
    /// existence a donation lifts the price for free, and the next depositor would pay for that gain.
    function _accrue(bool entering) internal returns (Books memory books) {
        books = _books(entering);
        if (books.broken != address(0)) return books;
        if (books.feeShares > 0) {
            _mint(_feeRecipient, books.feeShares);
            emit FeeCharged(_feeRecipient, books.feeShares, books.price);
        }
        if (books.feeRate != 0 && books.price > _feeMark) _feeMark = books.price;
        _record(books.bid);
        uint256 mark = _mark;
        uint256 raised = _isEmpty(books) ? books.price : Math.max(mark, books.price);
        if (raised != mark) _setMark(raised);
    }

    function _accrueValued() internal returns (Books memory books) {
        books = _accrue(false);
        _checkPriced(books, 1);
    }

    /// @dev A bid over 128 bits (a gift of all the money in the world) counts as no more: reverting would lock the vault.
    function _record(uint256 bid) internal {
        _recorded = uint128(Math.min(bid, MAX_ASSETS));
        _recordedAt = uint40(block.timestamp);
    }

    /// @dev Settles under the old terms, so that new ones never reach back. Needs a valuation of every strategy: the recovery
    /// of one in quarantine would later pass for a gain.
    function _settle() internal {
        _feeMark = Math.max(_feeMark, _accrueValued().price);
    }

    /// @dev In basis points; 0 while there is no recipient.
    function _feeRate() internal view returns (uint256 rate) {
        rate = _performanceFee;
        if (rate != 0 && _feeRecipient == address(0)) rate = 0;
    }

    /* SHARE PRICE AND DRAWDOWN */

    /// @dev A price beyond 184 bits (an empty vault that was sent all the money in the world) is capped: reverting would lock
    /// the vault.
    function _sharePrice(uint256 assets, uint256 supply) internal pure returns (uint256) {
        return Math.min((assets + 1).mulDiv(WAD * VIRTUAL_SHARES, supply + VIRTUAL_SHARES), type(uint184).max);
    }

    /// @dev The mark needs no bound of its own: the bid has one.
    function _markAt(Books memory books) internal view returns (uint256) {
        if (books.broken != address(0)) return _mark;
        return _isEmpty(books) ? books.price : Math.max(_mark, books.price);
    }

    function _setMark(uint256 price) internal {
        _mark = uint184(price);
    }

    function _drawdownFloor(uint256 mark) internal view returns (uint256) {
        return mark * (WAD - _maxDrawdown) / WAD; // 184 and 64 bits
    }

    /// @dev Refuses deposits and rebalances at a price that is unknown or past the drawdown limit.
    function _checkTradable(Books memory books) internal view returns (uint256 floor) {
        _checkPriced(books, 1);
        floor = _drawdownFloor(_mark);
        require(books.price >= floor, DrawdownExceeded(books.price, floor));
    }

    function _trip(uint256 price) internal {
        _halted = true;
        emit Tripped(msg.sender, price, _mark);
    }

    /// @param side The bid or the ask.
    function _toShares(uint256 assets, uint256 side, Books memory books, Math.Rounding rounding)
        internal
        pure
        returns (uint256)
    {
        return assets.mulDiv(books.supply + VIRTUAL_SHARES, side + 1, rounding);
    }

    /// @param side The bid or the ask.
    function _toAssets(uint256 shares, uint256 side, Books memory books, Math.Rounding rounding)
        internal
        pure
        returns (uint256)
    {
        return shares.mulDiv(side + 1, books.supply + VIRTUAL_SHARES, rounding);
    }
}
