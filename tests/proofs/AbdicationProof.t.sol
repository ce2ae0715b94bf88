// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {Governance} from "../../contracts/vault/Governance.sol";
import {VaultStorage} from "../../contracts/vault/VaultStorage.sol";
import {Proof} from "./Proof.sol";
import {Asset} from "./VaultMath.sol";

/// @notice An authority that lets everybody do everything at once.
contract Everybody {
    function canCall(address, address, bytes4) external pure returns (bool, uint32) {
        return (true, 0);
    }
}

/// @notice Governance on a state of its own.
contract Governed is Governance {
    constructor(address authority_) Governance(new Asset(), "Vault", "V", authority_) {}

    function setStrategy(address strategy) external {
        _strategies[0].target = IERC4626(strategy);
        _position[strategy] = _count = 1;
    }

    function setLimit(Limit limit_, uint256 value) external {
        _setLimit(limit_, value);
    }

    function limit(Limit limit_) external view returns (uint256) {
        return _limit(limit_);
    }

    function caps() external view returns (uint64, uint128) {
        return (_strategies[0].relativeCap, _strategies[0].absoluteCap);
    }

    function group(uint256 index) external view returns (Group memory) {
        return _groups[index];
    }
}

/// @notice What was given up stays given up, with all power that there is: everybody may call everything at once.
/// @dev One limit of each direction stands for the others, whose setters have the same form: `WallsProof` is about which way
/// is tighter.
contract AbdicationProof is Proof {
    Governed internal _vault;

    function setUp() public {
        _vault = new Governed(address(new Everybody()));
        _vault.setStrategy(address(3));
    }

    function check_anAbdicatedCapIsNeverRaised(uint128 cap, uint128 present, uint256 value) external {
        _giveUp(IVaultTypes.Limit.DepositCap, cap, present);
        _vault.loosen(IVaultTypes.Limit.DepositCap, value);
        assert(_vault.limit(IVaultTypes.Limit.DepositCap) <= cap);
    }

    function check_anAbdicatedFloorIsNeverLowered(uint64 floor, uint64 present, uint256 value) external {
        _giveUp(IVaultTypes.Limit.IdleFloor, floor, present);
        _vault.loosen(IVaultTypes.Limit.IdleFloor, value);
        assert(_vault.limit(IVaultTypes.Limit.IdleFloor) >= floor);
    }

    /// @dev No growth rate is tighter than another, so this one can only stay.
    function check_anAbdicatedGrowthRateStays(uint256 value) external {
        _vault.loosen(IVaultTypes.Limit.MaxGrowthRate, WAD / 4);
        _vault.abdicate(IVaultTypes.Limit.MaxGrowthRate);
        _vault.loosen(IVaultTypes.Limit.MaxGrowthRate, value);
        assert(_vault.limit(IVaultTypes.Limit.MaxGrowthRate) == WAD / 4);
    }

    /// @dev What the guardian tightened, before or after, governance can undo.
    function check_anAbdicatedLimitGoesBackToItsValue(uint128 cap, uint128 before, uint128 present) external {
        _vault.loosen(IVaultTypes.Limit.DepositCap, cap);
        _vault.setLimit(IVaultTypes.Limit.DepositCap, before);
        _vault.abdicate(IVaultTypes.Limit.DepositCap);
        _vault.setLimit(IVaultTypes.Limit.DepositCap, present);
        assert(_loosens(IVaultTypes.Limit.DepositCap, cap));
        assert(_vault.limit(IVaultTypes.Limit.DepositCap) == cap);
    }

    function check_abdicatingTwiceChangesNothing(uint128 cap, uint128 present) external {
        _giveUp(IVaultTypes.Limit.DepositCap, cap, present);
        _vault.abdicate(IVaultTypes.Limit.DepositCap);
        assert(_loosens(IVaultTypes.Limit.DepositCap, cap));
        assert(_vault.limit(IVaultTypes.Limit.DepositCap) == cap);
    }

    /// @dev Governance that tightens an abdicated limit does not give up more.
    function check_anAbdicatedLimitMayBeTightenedForAWhile(uint128 cap, uint128 between) external {
        vm.assume(between <= cap);
        _giveUp(IVaultTypes.Limit.DepositCap, cap, cap);
        assert(_loosens(IVaultTypes.Limit.DepositCap, between));
        assert(_loosens(IVaultTypes.Limit.DepositCap, cap));
        assert(_vault.limit(IVaultTypes.Limit.DepositCap) == cap);
    }

    /// @dev Governance sets a limit and abdicates. Whatever became of the limit since, the guardian made of it.
    function _giveUp(IVaultTypes.Limit limit, uint256 value, uint256 present) private {
        _vault.loosen(limit, value);
        _vault.abdicate(limit);
        _vault.setLimit(limit, present);
    }

    function _loosens(IVaultTypes.Limit limit, uint256 value) private returns (bool ok) {
        (ok,) = address(_vault).call(abi.encodeCall(Governance.loosen, (limit, value)));
    }

    function check_abdicatedCapsAreNeverRaised(
        uint64 relative,
        uint128 absolute,
        uint64 relativeThen,
        uint128 absoluteThen
    ) external {
        _vault.loosenCaps(address(3), relative, absolute);
        _vault.abdicateCaps();
        _vault.loosenCaps(address(3), relativeThen, absoluteThen);
        (uint64 relativeCap, uint128 absoluteCap) = _vault.caps();
        assert(relativeCap <= relative && absoluteCap <= absolute);
    }

    function check_anAbdicatedGroupIsNeverLoosened(
        uint64 relative,
        uint128 absolute,
        uint64 relativeThen,
        uint128 absoluteThen,
        uint16 members
    ) external {
        _vault.setGroup(0, IVaultTypes.Group(address(0), relative, absolute, 1));
        _vault.abdicateCaps();
        _vault.setGroup(0, IVaultTypes.Group(address(0), relativeThen, absoluteThen, members));
        IVaultTypes.Group memory group = _vault.group(0);
        assert(group.relativeCap <= relative && group.absoluteCap <= absolute && group.members == 1);
    }

    /* FALSE ON PURPOSE. See `MUST_FAIL` of the audit. */

    function check_refuted_anAbdicatedCapIsFrozen(uint128 cap, uint128 present, uint256 value) external {
        _giveUp(IVaultTypes.Limit.DepositCap, cap, present);
        _vault.loosen(IVaultTypes.Limit.DepositCap, value);
        assert(_vault.limit(IVaultTypes.Limit.DepositCap) == cap);
    }

    function check_refuted_anAbdicatedLimitIsAsItWas(uint128 cap, uint128 between) external {
        vm.assume(between <= cap);
        _giveUp(IVaultTypes.Limit.DepositCap, cap, cap);
        assert(_loosens(IVaultTypes.Limit.DepositCap, between));
        assert(_vault.limit(IVaultTypes.Limit.DepositCap) == cap);
    }

    function check_refuted_abdicatedCapsAreFrozen(uint64 relative, uint128 absolute, uint64 relativeThen) external {
        _vault.loosenCaps(address(3), relative, absolute);
        _vault.abdicateCaps();
        _vault.loosenCaps(address(3), relativeThen, absolute);
        (uint64 relativeCap,) = _vault.caps();
        assert(relativeCap == relative);
    }
}
