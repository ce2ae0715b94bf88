// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Test} from "forge-std/Test.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {LossyStrategy} from "../mocks/LossyStrategy.sol";
import {MockStrategy} from "../mocks/MockStrategy.sol";
import {PlainStrategy} from "../mocks/PlainStrategy.sol";
import {Token} from "../mocks/Token.sol";
import {VaultHarness} from "../utils/VaultHarness.sol";
import {LyingStrategy} from "./LyingStrategy.sol";
import {Windows} from "./Windows.sol";

/// @title What holds after every action
/// @notice Whoever acts, one action is one transaction: `_begin` looks at the vault, `_end` compares. A lie or an impact that
/// was armed lasts for one action, from before the first look until after the last.
abstract contract Promises is Test {
    using Windows for Windows.Log;

    uint256 internal constant WAD = 1e18;
    uint256 internal constant YEAR = 365 days;
    uint256 internal constant COUNT = 5;

    struct Set {
        MockStrategy a;
        MockStrategy b;
        LossyStrategy lossy;
        LyingStrategy liar;
        VaultHarness nested;
        MockStrategy inner; // the strategy of the nested vault
    }

    VaultHarness public immutable VAULT;
    Token public immutable ASSET;
    address internal immutable GOVERNANCE;
    /// @notice The thief's accomplice, who knows when the liar lies.
    address internal immutable ACCOMPLICE;
    MockStrategy internal immutable A;
    MockStrategy internal immutable B;
    LossyStrategy internal immutable LOSSY;
    LyingStrategy internal immutable LIAR;
    VaultHarness internal immutable NESTED;
    MockStrategy internal immutable INNER;
    bytes32 private immutable RECORDED_SLOT;

    /// @notice The first promise that was broken.
    string public broken;
    /// @notice The expected epoch.
    uint256 public rebalances;
    /// @notice Largest loss to rebalancing and exits within any window, as a share of the bound it was given (WAD).
    uint256 public worst;
    /// @notice The most that the accomplice had taken from the others, as a share of its bound (WAD).
    uint256 public worstLie;

    bool internal _halted;
    IVaultTypes.Limits internal _limits;
    Windows.Log internal _losses;
    Windows.Log internal _turnovers;

    /// @dev What the vault looked like.
    struct Look {
        bool valued;
        address broken;
        uint256 price; // without what is broken
        uint256 navPrice;
        uint256 askPrice;
        uint256 supply;
        uint256 rounding;
        uint256 mark;
        uint256 recorded;
        uint256 recordedAt;
        bool empty; // but for dust: there the mark is the price
        uint256 epoch;
        bool past;
        uint256 liar; // true worth of what is in it
    }

    Look internal _was;
    IVaultTypes.Strategy[] private _before;

    /// @dev For one action: something is claimed that is not so; leaving costs more than is said.
    bool internal _lying;
    bool internal _costly;
    uint256 internal _lieLeaving = WAD;
    uint256 internal _lieWorth = WAD;
    uint256 internal _hidden;
    uint256 internal _impact;
    /// @dev The bid may rise beyond its rate: somebody left at a cost, or forwent something.
    bool internal _forgone;

    /// @dev Highest price within an action of several steps.
    uint256 internal _between;

    /// @dev The accomplice's ledger, in assets: taken from the others by its own actions; what was ever in the liar; growth
    /// that the rate allowed; rounding.
    int256 public taken;
    uint256 public risked;
    uint256 public growth;
    uint256 public roundings;

    constructor(VaultHarness vault, Set memory set, address governance, address accomplice) {
        (VAULT, GOVERNANCE, ACCOMPLICE) = (vault, governance, accomplice);
        (A, B, LOSSY, LIAR, NESTED, INNER) = (set.a, set.b, set.lossy, set.liar, set.nested, set.inner);
        ASSET = Token(vault.asset());
        rebalances = vault.epoch();
        _limits = vault.limits();
        (_losses.capacity, _losses.refill) = (_limits.lossCapacity, _limits.lossRefill);
        (_turnovers.capacity, _turnovers.refill) = (_limits.turnoverCapacity, _limits.turnoverRefill);
        // What is recorded shares a slot with when it was.
        vm.record();
        (, uint256 recordedAt) = vault.recordedMark();
        (bytes32[] memory reads,) = vm.accesses(address(vault));
        RECORDED_SLOT = reads[reads.length - 1];
        require(uint40(uint256(vm.load(address(vault), RECORDED_SLOT)) >> 128) == recordedAt, "another slot");
    }

    /* AROUND EVERY ACTION */

    modifier action(string memory name, bool keepsPrice) {
        _begin();
        _;
        _end(name, keepsPrice);
    }

    function _begin() internal {
        LIAR.lie(_lieLeaving, _lieWorth, _hidden);
        LOSSY.setImpact(_impact);
        _lying = _lieLeaving != WAD || _lieWorth != WAD || _hidden != 0;
        _costly = _impact != 0;
        _forgone = false;
        _between = 0;
        _was = _look();
        delete _before;
        IVaultTypes.Strategy[] memory all = VAULT.strategies();
        for (uint256 i; i < COUNT; ++i) {
            _before.push(all[i]);
        }
    }

    function _look() internal view returns (Look memory l) {
        IVaultTypes.Valuation memory v = VAULT.valuation();
        l.valued = VAULT.valued();
        l.broken = v.broken;
        l.price = l.valued ? VAULT.sharePrice() : v.sharePrice;
        l.navPrice = v.navPrice;
        l.supply = VAULT.totalSupply();
        l.askPrice = Math.mulDiv(v.ask + 1, 1e24, l.supply + 1e6, Math.Rounding.Ceil);
        l.rounding = _rounding();
        (l.mark, l.recordedAt) = VAULT.recordedMark();
        l.recorded = uint128(uint256(vm.load(address(VAULT), RECORDED_SLOT)));
        l.empty = l.supply == 0 || (l.supply < 1e9 && v.nav < 1e3);
        l.epoch = VAULT.epoch();
        l.past = l.valued && l.price < VAULT.drawdownFloor();
        l.liar = LIAR.honest(VAULT.strategies()[3].shares);
    }

    function _end(string memory name, bool keepsPrice) internal {
        Look memory now_ = _look();
        _checkPrices(name, keepsPrice, now_);
        _checkMark(now_);
        _checkBid(name, now_);
        _checkRecorded(name);
        _checkMaximums(now_);
        _promise(VAULT.halted() == _halted, "halted for no reason, or resumed");
        _promise(VAULT.epoch() >= _was.epoch, "epoch fell");
        _promise(VAULT.epoch() == rebalances, "epoch is not the count of rebalances");
        _promise(keccak256(abi.encode(VAULT.limits())) == keccak256(abi.encode(_limits)), "a limit changed");
        risked += Math.saturatingSub(now_.liar, _was.liar);
        roundings += now_.rounding + _was.rounding;
        LIAR.lie(WAD, WAD, 0);
        LOSSY.setImpact(0);
        (_lieLeaving, _lieWorth, _hidden, _impact) = (WAD, WAD, 0, 0);
    }

    /// @dev A share is not worth less by what cannot be a loss: at the bid, and in NAV where everybody is honest.
    function _checkPrices(string memory name, bool keepsPrice, Look memory now_) private {
        if (!keepsPrice || now_.broken != _was.broken || now_.valued != _was.valued) return;
        if (_hidden != 0) return; // what is said is not in proportion to the shares
        uint256 supply = Math.min(_was.supply, now_.supply) + 1e6;
        uint256 rounding = Math.mulDiv(_was.rounding + now_.rounding, 1e24, supply) + 1;
        // In dust the bid is NAV; out of it, a thousand base units at most are not in the record.
        bool outOfDust = _was.empty && !now_.empty;
        _promise(outOfDust || now_.price + rounding >= _was.price, string.concat("share price fell by ", name));
        // As the bid grows, a fee on it becomes due, and NAV per share is net of that.
        if (_lying || now_.broken != address(0) || _limits.performanceFee != 0) return;
        _promise(now_.navPrice + rounding >= _was.navPrice, string.concat("NAV per share fell by ", name));
    }

    /// @dev The mark is the highest bid price, and rises no other way.
    function _checkMark(Look memory now_) private {
        if (_was.empty || now_.empty) return; // dust has no mark
        _promise(now_.mark >= _was.mark, "mark fell");
        uint256 highest = Math.max(_was.mark, Math.max(Math.max(_was.price, now_.price), _between));
        _promise(now_.mark <= highest, "mark over the highest price");
        if (now_.valued) _promise(VAULT.highWaterMark() >= now_.price, "mark under the price");
    }

    /// @dev The bid per share grows at its rate, from the last record, and by what others forgo: who enters at the ask, who
    /// leaves at a cost. It is never over NAV, and NAV never over the ask.
    function _checkBid(string memory name, Look memory now_) private {
        IVaultTypes.Valuation memory v = VAULT.valuation();
        _promise(v.bid <= v.nav && v.nav <= v.ask, "bid over NAV, or NAV over the ask");
        if (!now_.valued || _was.empty || now_.empty || _forgone) return;
        uint256 supply = Math.min(_was.supply, now_.supply) + 1e6;
        uint256 most = Math.mulDiv(_was.recorded + 1, 1e24, _was.supply + 1e6, Math.Rounding.Ceil);
        most += Math.mulDiv(most, _limits.maxGrowthRate * (block.timestamp - _was.recordedAt), WAD * YEAR);
        // Who enters is given a whole number of shares, and up to one too few; who leaves pays up to one too many.
        if (now_.supply > _was.supply) most = Math.max(most, _was.askPrice);
        most += _was.askPrice / supply;
        most += Math.mulDiv(_was.rounding + now_.rounding, 1e24, supply) + 1;
        _promise(now_.price <= most, string.concat("the bid grew faster than its rate by ", name));
    }

    /// @dev What is recorded of a strategy leaves with its shares, and comes with a deposit into it only.
    function _checkRecorded(string memory name) private {
        IVaultTypes.Strategy[] memory all = VAULT.strategies();
        for (uint256 i; i < COUNT; ++i) {
            IVaultTypes.Strategy memory s = _before[i];
            // A deposit of less than a share is worth, for which there was none.
            if (all[i].shares == 0) _promise(all[i].recorded <= honest(i, 1) + 16, "recorded without shares");
            if (all[i].shares > s.shares) continue; // `_checkGrown`
            uint256 most = s.shares == 0 ? 0 : Math.mulDiv(s.recorded, all[i].shares, s.shares);
            if (s.shares != 0) {
                _promise(all[i].recorded <= most, string.concat("recorded more of a strategy by ", name));
            }
            // A deposit of less than a share is worth buys none, and records the position at what it is worth.
            (bool told, uint256 worth) = _said(address(s.target), s.shares);
            uint256 least = told && all[i].shares == s.shares ? Math.min(most, worth) : most;
            _promise(all[i].recorded + 16 >= least, string.concat("recorded less of a strategy by ", name));
        }
    }

    /// @dev Without a price there is nothing to be had by one.
    function _checkMaximums(Look memory now_) private {
        if (now_.broken != address(0) || _halted) {
            _promise(VAULT.maxDeposit(ACCOMPLICE) == 0 && VAULT.maxMint(ACCOMPLICE) == 0, "open without a price");
        }
        if (now_.valued) return;
        _promise(VAULT.maxWithdraw(ACCOMPLICE) == 0 && VAULT.maxRedeem(ACCOMPLICE) == 0, "a way out without a price");
        bytes[7] memory calls = [
            abi.encodeCall(VAULT.totalAssets, ()),
            abi.encodeCall(VAULT.sharePrice, ()),
            abi.encodeCall(VAULT.convertToAssets, (1)),
            abi.encodeCall(VAULT.convertToShares, (1)),
            abi.encodeCall(VAULT.previewRedeem, (1)),
            abi.encodeCall(VAULT.previewWithdraw, (1)),
            abi.encodeCall(VAULT.previewDeposit, (1))
        ];
        for (uint256 i; i < calls.length; ++i) {
            (bool ok, bytes memory why) = address(VAULT).staticcall(calls[i]);
            _promise(!ok && bytes4(why) == IVaultTypes.ValuationFailed.selector, "a price in quarantine");
        }
    }

    function _promise(bool kept, string memory what) internal {
        if (!kept && bytes(broken).length == 0) broken = what;
    }

    /* THE ACCOMPLICE'S LEDGER */

    /// @dev What an action of the accomplice took from the others, by the true worth of everything. It counts whatever it gave
    /// before, too.
    modifier booked(address who) {
        uint256 others = _others();
        _;
        if (who == ACCOMPLICE) _book(others);
    }

    function _book(uint256 others) internal {
        taken += int256(others) - int256(_others());
        if (taken <= 0) return;
        uint256 liar = LIAR.honest(VAULT.strategies()[3].shares);
        uint256 bound_ = risked + Math.saturatingSub(liar, _was.liar) + growth + roundings + 2 * _was.rounding;
        uint256 share = Math.mulDiv(uint256(taken), WAD, bound_ + 1);
        if (share > worstLie) worstLie = share;
        _promise(share <= WAD, "the accomplice took more than its bound");
    }

    /// @dev True worth of the shares that are not the accomplice's.
    function _others() internal view returns (uint256) {
        uint256 supply = VAULT.totalSupply();
        return Math.mulDiv(_honest() + 1, supply - VAULT.balanceOf(ACCOMPLICE), supply + 1e6);
    }

    /// @dev True worth of everything in the vault.
    function _honest() internal view returns (uint256 assets) {
        assets = VAULT.idle();
        IVaultTypes.Strategy[] memory all = VAULT.strategies();
        for (uint256 i; i < COUNT; ++i) {
            assets += honest(i, all[i].shares);
        }
    }

    function honest(uint256 i, uint256 shares) public view returns (uint256) {
        if (i == 3) return LIAR.honest(shares);
        if (i == 4) {
            uint256 nav = NESTED.idle() + _plain(INNER, NESTED.strategies()[0].shares);
            return Math.mulDiv(shares, nav + 1, NESTED.totalSupply() + 1e6);
        }
        return _plain(_strategy(i), shares);
    }

    function _plain(IERC4626 strategy, uint256 shares) private view returns (uint256) {
        return Math.mulDiv(shares, strategy.totalAssets() + 1, strategy.totalSupply() + 1);
    }

    /* READING */

    function _strategy(uint256 i) internal view returns (IERC4626) {
        if (i == 0) return A;
        if (i == 1) return B;
        return i == 2 ? IERC4626(LOSSY) : i == 3 ? IERC4626(LIAR) : IERC4626(address(NESTED));
    }

    /// @dev A withdrawal from a strategy may cost what one of its shares is worth, and a unit.
    function _rounding() internal view returns (uint256 units) {
        for (uint256 i; i < COUNT; ++i) {
            units += 2 * honest(i, 1) + 4;
        }
    }

    function _values() internal view returns (uint256[COUNT] memory values) {
        IVaultTypes.Strategy[] memory all = VAULT.strategies();
        for (uint256 i; i < COUNT; ++i) {
            values[i] = claimed(address(all[i].target), all[i].shares);
        }
    }

    /// @notice What a strategy says of its shares; 0 where it does not answer.
    function claimed(address strategy, uint256 shares) public view returns (uint256 value) {
        (, value) = _said(strategy, shares);
    }

    /// @dev It may waste what gas it is given, so it is given little.
    function _said(address strategy, uint256 shares) private view returns (bool ok, uint256 value) {
        bytes memory answer;
        (ok, answer) = strategy.staticcall{gas: 1_000_000}(abi.encodeCall(IERC4626.previewRedeem, (shares)));
        ok = ok && answer.length == 32;
        if (ok) value = abi.decode(answer, (uint256));
    }
}
