// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {LimitTable} from "./LimitTable.sol";
import {Positions} from "./Positions.sol";
import {VaultStorage} from "./VaultStorage.sol";

/// @title What guardian and governance may do to a vault, and anyone once nobody steers it
contract Governance is Positions, LimitTable {
    using Math for uint256;
    using SafeERC20 for IERC20;

    /// @dev For the immutables only: this contract's own storage is never used.
    constructor(IERC20 asset_, string memory name_, string memory symbol_, address authority_)
        VaultStorage(asset_, name_, symbol_, authority_)
    {}

    /* ANYONE */

    function unwind(address strategy, uint256 assets) external nonReentrant returns (uint256 received) {
        uint256 silentFrom = _lastSeen() + _maxSilence;
        require(_halted || block.timestamp > silentFrom, KeeperNotSilent(_lastSeen(), silentFrom));
        Strategy storage s = _strategy(strategy);
        (bool ok, uint256 value) = _valueOf(s);
        // One that cannot be valued may still pay: then what is recorded of it stands for its value.
        if (!ok) value = s.recorded;
        uint256 shares = _unwindable(s, value, assets);

        received = _redeem(s, shares);
        uint256 left = s.recorded;
        if (ok) (ok, left) = _valueOf(s);
        else ok = true;
        require(ok, ValuationFailed(strategy));
        uint256 gone = value.saturatingSub(left);
        uint256 loss = gone.saturatingSub(received);
        uint256 allowed = gone.mulDiv(_unwindLoss, WAD) + ROUNDING;
        require(loss <= allowed, ExitTooDear(strategy, loss, allowed));
        emit Unwound(msg.sender, strategy, shares, received, loss);
    }

    /* GUARDIAN */

    function tighten(Limit limit_, uint256 value) external restricted {
        uint256 current = _limit(limit_);
        require(_isTighter(limit_, value, current), NotTighter(value, current));
        if (limit_ == Limit.PerformanceFee) _accrue(false); // what is due is due at the old rate
        _setLimit(limit_, value);
    }

    function tightenCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external restricted {
        Strategy storage s = _strategy(strategy);
        _checkTighter(relativeCap, s.relativeCap, absoluteCap, s.absoluteCap);
        _setCaps(s, relativeCap, absoluteCap);
    }

    function tightenGroup(uint256 index, uint64 relativeCap, uint128 absoluteCap) external restricted {
        require(index < _groupCount, LimitOutOfRange(index, 0, _groupCount));
        Group storage g = _groups[index];
        _checkTighter(relativeCap, g.relativeCap, absoluteCap, g.absoluteCap);
        (g.relativeCap, g.absoluteCap) = (relativeCap, absoluteCap);
        emit GroupSet(index, g);
    }

    function halt() external restricted {
        require(!_halted, VaultHalted());
        _halted = true;
        emit Halted(msg.sender);
    }

    function cutKeeper() external restricted {
        _cutKeeper();
    }

    /* GOVERNANCE */

    function loosen(Limit limit_, uint256 value) external restricted {
        uint256 governed = _governed[limit_];
        bool free = !_isAbdicated(limit_) || value == governed || _isTighter(limit_, value, governed);
        require(free, Abdicated());
        if (limit_ == Limit.MaxGrowthRate || limit_ == Limit.PerformanceFee) _settle();
        if (limit_ == Limit.MaxGrowthRate) _settlePositions();
        _governLimit(limit_, value);
    }

    function loosenCaps(address strategy, uint64 relativeCap, uint128 absoluteCap) external restricted {
        _governCaps(strategy, relativeCap, absoluteCap);
        _setCaps(_strategy(strategy), relativeCap, absoluteCap);
    }

    function setGroup(uint256 index, Group calldata group) external restricted {
        uint256 count = _groupCount;
        require(index <= count && index < MAX_GROUPS, LimitOutOfRange(index, 0, Math.min(count, MAX_GROUPS - 1)));
        require(group.relativeCap <= WAD, LimitOutOfRange(group.relativeCap, 0, WAD));
        require(group.members >> _count == 0, LimitOutOfRange(group.members, 0, (1 << _count) - 1));
        require(!_areCapsAbdicated() || group.members == _groups[index].members, Abdicated());
        _governCaps(address(uint160(index + 1)), group.relativeCap, group.absoluteCap);
        if (index == count) ++_groupCount;
        _groups[index] = group;
        emit GroupSet(index, group);
    }

    function abdicate(Limit limit_) external restricted {
        _abdicated |= 1 << uint256(limit_);
        emit LimitAbdicated(limit_);
    }

    function abdicateCaps() external restricted {
        _abdicated |= 1 << CAPS_BIT;
        emit CapsAbdicated();
    }

    function addStrategy(address strategy, uint64 relativeCap, uint128 absoluteCap) external restricted {
        require(!_areCapsAbdicated(), Abdicated());
        require(strategy != address(0) && strategy != address(this), ZeroAddress());
        require(_position[strategy] == 0, StrategyAlreadyAdded(strategy));
        require(_count < MAX_STRATEGIES, TooManyStrategies(MAX_STRATEGIES));
        require(IERC4626(strategy).asset() == asset(), WrongAsset(strategy, IERC4626(strategy).asset()));
        _strategies[_count].target = IERC4626(strategy);
        _position[strategy] = ++_count;
        emit StrategyAdded(strategy);
        _governCaps(strategy, relativeCap, absoluteCap);
        _setCaps(_strategy(strategy), relativeCap, absoluteCap);
    }

    function removeStrategy(address strategy) external restricted {
        Strategy storage s = _strategy(strategy);
        require(s.shares == 0, StrategyNotEmpty(strategy, s.shares));
        // The others keep their order; a request that is under way was made for the old one, and the epoch voids it.
        for (uint256 i = _position[strategy]; i < _count; ++i) {
            _strategies[i - 1] = _strategies[i];
            _position[address(_strategies[i].target)] = i;
        }
        uint256 position = _position[strategy] - 1;
        _discounted = _without(_discounted, position);
        for (uint256 i; i < _groupCount; ++i) {
            _groups[i].members = _without(_groups[i].members, position);
        }
        delete _strategies[--_count];
        delete _position[strategy];
        ++_epoch;
        emit StrategyRemoved(strategy);
    }

    function writeOff(address strategy) external restricted {
        Strategy storage s = _strategy(strategy);
        emit StrategyWrittenOff(strategy, s.shares);
        (s.shares, s.recorded) = (0, 0);
    }

    function setKeeper(address newKeeper) external restricted {
        _setKeeper(newKeeper);
    }

    function commitPolicy(bytes32 newPolicyHash) external restricted {
        _policyHash = newPolicyHash;
        emit PolicyCommitted(newPolicyHash);
    }

    function setFeeRecipient(address newFeeRecipient) external restricted {
        _settle();
        _feeRecipient = newFeeRecipient;
        emit FeeRecipientSet(newFeeRecipient);
    }

    function sweep(address token, address receiver) external restricted {
        require(token != asset() && token != address(this) && _position[token] == 0, NotSweepable(token));
        uint256 amount = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransfer(receiver, amount);
        emit Swept(token, receiver, amount);
    }

    /// @dev A number that was announced, and not what strategies say at this moment: a lie could wait for that.
    function restate(uint256 bid) external restricted {
        require(!_isAbdicated(Limit.MaxGrowthRate), Abdicated());
        uint256 nav = _accrueValued().nav;
        _record(Math.max(_recorded, Math.min(bid, nav)));
        emit Restated(_recorded);
    }

    function resume() external restricted {
        require(_halted, NotHalted());
        uint256 price = _accrueValued().price;
        _setMark(price);
        _halted = false;
        emit Resumed(price);
    }

    /* INTERNAL */

    /// @dev Up to now, what is recorded of the positions has grown at the old rate.
    function _settlePositions() internal {
        for (uint256 i; i < _count; ++i) {
            Strategy storage s = _strategies[i];
            (s.recorded, s.recordedAt) = (uint128(Math.min(_ceiling(s), MAX_ASSETS)), uint32(block.timestamp));
        }
    }

    /// @dev Shares to redeem for `assets` of a position's `value`: no more than the strategy says it can pay, unless it says
    /// nothing.
    function _unwindable(Strategy storage s, uint256 value, uint256 assets) internal view returns (uint256 shares) {
        shares = s.shares;
        if (assets < value) shares = shares.mulDiv(assets, value, Math.Rounding.Ceil);
        uint256 most = _most(s, IERC4626.maxRedeem.selector);
        if (most != 0) shares = Math.min(shares, most);
        require(shares != 0, NothingToUnwind(address(s.target)));
    }

    function _setCaps(Strategy storage s, uint64 relativeCap, uint128 absoluteCap) internal {
        require(relativeCap <= WAD, LimitOutOfRange(relativeCap, 0, WAD));
        s.relativeCap = relativeCap;
        s.absoluteCap = absoluteCap;
        emit CapsSet(address(s.target), relativeCap, absoluteCap);
    }

    function _checkTighter(uint64 relativeCap, uint64 relativeNow, uint128 absoluteCap, uint128 absoluteNow)
        internal
        pure
    {
        require(relativeCap <= relativeNow, NotTighter(relativeCap, relativeNow));
        require(absoluteCap <= absoluteNow, NotTighter(absoluteCap, absoluteNow));
    }

    /// @dev Notes what governance sets. Where caps were given up, that is no looser than before.
    /// @param id The strategy, or the group's index plus one.
    function _governCaps(address id, uint64 relativeCap, uint128 absoluteCap) internal {
        Caps storage caps = _governedCaps[id];
        if (_areCapsAbdicated()) {
            require(relativeCap <= caps.relativeCap && absoluteCap <= caps.absoluteCap, Abdicated());
        } else {
            (caps.relativeCap, caps.absoluteCap) = (relativeCap, absoluteCap);
        }
    }
}
