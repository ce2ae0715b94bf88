// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IVaultTypes} from "../interfaces/IVaultTypes.sol";
import {Bucket} from "../libraries/Bucket.sol";

/// @title What a vault keeps: its constants and its storage
/// @notice The vault and its governance share this layout: the vault runs the governance's code on its own storage.
abstract contract VaultStorage is IVaultTypes, ERC4626, ERC20Permit, AccessManaged, ReentrancyGuardTransient {
    /* CONSTANTS */

    uint256 internal constant WAD = 1e18;
    uint256 internal constant BASIS_POINTS = 1e4;
    uint256 internal constant WAD_PER_BASIS_POINT = 1e14;
    uint256 internal constant WAD_PER_MILLIONTH = 1e12;
    uint256 internal constant VIRTUAL_SHARES = 1e6;
    uint8 internal constant DECIMALS_OFFSET = 6;
    /// @dev A vault with fewer than these assets, and fewer than these shares, is empty but for dust. Either test alone would
    /// fail: a crash leaves few assets, and a gift to an empty vault makes few shares worth much.
    uint256 internal constant DUST_ASSETS = 1e3;
    uint256 internal constant DUST_SHARES = DUST_ASSETS * VIRTUAL_SHARES;
    /// @dev No deposit lifts NAV over these assets, nor the supply over these shares: beyond them, conversions would overflow.
    /// 3e38 base units, as much as a strategy's value may have.
    uint256 internal constant MAX_ASSETS = type(uint128).max;
    uint256 internal constant MAX_SHARES = MAX_ASSETS * VIRTUAL_SHARES;
    uint256 internal constant MAX_STRATEGIES = 16;
    uint256 internal constant MAX_GROUPS = 8;
    /// @dev Gas for reading a strategy, for drawing from it and for handing its shares out: generous for honest strategies,
    /// while hostile ones that burn it all leave enough of the 2^24 that a transaction may use. A withdrawal gets past four
    /// of them, each read three times and called once; an exit in kind past sixteen, each read once and called once.
    uint256 internal constant READ_GAS = 700_000;
    uint256 internal constant CALL_GAS = 1_600_000;
    uint256 internal constant TRANSFER_GAS = 250_000;
    /// @dev What `draw` needs: one call, one reading, and its own books.
    uint256 internal constant DRAW_GAS = CALL_GAS + READ_GAS + 100_000;
    /// @dev Base units by which a strategy's rounding may differ from what was expected of it.
    uint256 internal constant ROUNDING = 2;
    /// @dev Deposits are closed while the ask, of the whole or of a position, is over the bid by more than a twentieth of it:
    /// whoever entered then and left at once would leave that much to the others.
    uint256 internal constant SPREAD_PART = 20;
    /// @dev Weight that leaves a position as it is, and minimum that does not try to hand a part out.
    uint256 internal constant LEAVE_IT = type(uint256).max;

    /* STORAGE THAT EVERY OPERATION READS */

    /// @dev The bid at the last record, moved along by what was deposited and paid out since; and when that was.
    uint128 internal _recorded;
    uint40 internal _recordedAt;
    uint64 internal _maxDrawdown;
    /// @dev In basis points.
    uint16 internal _performanceFee;
    bool internal _halted;

    /// @dev High-water mark of the share price (WAD). As wide as any price: a gift of a few assets to an empty vault lifts it far,
    /// and a mark that cannot follow is blind.
    uint184 internal _mark;
    /// @dev In millionths a year.
    uint32 internal _maxGrowthRate;
    /// @dev Number of strategies, and of groups.
    uint8 internal _count;
    uint8 internal _groupCount;
    /// @dev Whether there is a `_depositCap` to look up.
    bool internal _hasDepositCap;
    /// @dev Bit `i`: when it was last deposited into, leaving the strategy at position `i` paid less than its shares are worth.
    /// Who enters asks only these for both.
    uint16 internal _discounted;

    /* KEEPER STORAGE */

    address internal _keeper;
    uint40 internal _epoch;
    uint40 internal _lastRebalance;
    bytes32 internal _policyHash;

    /* LIMITS STORAGE */

    uint64 internal _idleFloor;
    uint32 internal _cooldown;
    uint32 internal _maxSilence;
    uint40 internal _lastHeartbeat;

    uint128 internal _depositCap;
    uint64 internal _unwindLoss;

    Bucket.State internal _loss;
    Bucket.State internal _turnover;

    /// @dev Bit `Limit`: that limit can never be loosened again beyond what is in `_governed`. Bit 255: the same for caps, and for
    /// new strategies.
    uint256 internal _abdicated;
    uint256 internal constant CAPS_BIT = 255;

    struct Caps {
        uint64 relativeCap;
        uint128 absoluteCap;
    }

    /// @dev What governance set last, whatever the guardian has tightened since: the values of limits, the caps of strategies, and
    /// those of groups (by index plus one).
    mapping(Limit => uint256) internal _governed;
    mapping(address => Caps) internal _governedCaps;

    /* FEE STORAGE */

    address internal _feeRecipient;
    /// @dev Highest share price at which the performance fee was charged.
    uint256 internal _feeMark;

    /* STRATEGIES STORAGE */

    /// @dev The first `_count` are used.
    Strategy[MAX_STRATEGIES] internal _strategies;
    /// @dev The first `_groupCount` are used.
    Group[MAX_GROUPS] internal _groups;
    /// @dev Position in `_strategies` plus one; 0 for an address that is not a strategy.
    mapping(address => uint256) internal _position;

    /* TRANSIENT STORAGE */

    /// @dev NAV before the first deposit of this transaction, plus one; 0 when there was none.
    uint256 internal transient _navBeforeDeposit;

    /* CONSTRUCTOR */

    constructor(IERC20 asset_, string memory name_, string memory symbol_, address authority_)
        ERC20(name_, symbol_)
        ERC20Permit(name_)
        ERC4626(asset_)
        AccessManaged(authority_)
    {}

    function decimals() public view virtual override(ERC20, ERC4626) returns (uint8) {
        return ERC4626.decimals();
    }

    /* INTERNAL */

    /// @dev Last rebalance or heartbeat.
    function _lastSeen() internal view returns (uint256) {
        return Math.max(_lastRebalance, _lastHeartbeat);
    }

    function _strategy(address strategy) internal view returns (Strategy storage) {
        uint256 position = _position[strategy];
        require(position != 0, UnknownStrategy(strategy));
        return _strategies[position - 1];
    }

    function _onlyKeeper() internal view {
        require(msg.sender == _keeper, NotKeeper(msg.sender));
    }

    /// @dev The dead man's switch keeps running.
    function _cutKeeper() internal {
        _keeper = address(0);
        emit KeeperSet(address(0));
    }

    function _decimalsOffset() internal pure override returns (uint8) {
        return DECIMALS_OFFSET;
    }

    function _isAbdicated(Limit limit_) internal view returns (bool) {
        return _abdicated >> uint256(limit_) & 1 == 1;
    }

    function _areCapsAbdicated() internal view returns (bool) {
        return _abdicated >> CAPS_BIT == 1;
    }

    /// @dev A bitmap of strategies without the one at a position; the later ones move down.
    function _without(uint256 bits, uint256 position) internal pure returns (uint16) {
        uint256 below = (1 << position) - 1;
        return uint16((bits & below) | (bits >> 1 & ~below));
    }
}
