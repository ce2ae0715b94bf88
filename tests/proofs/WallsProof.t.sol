// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {Proof} from "./Proof.sol";
import {VaultMath} from "./VaultMath.sol";

/// @notice The walls of a rebalance and of the limits, on the vault's own functions.
/// @dev Bounds of the proofs: amounts of 64 bits, those of the idle floor of 32, for a solver multiplies bit by bit.
contract WallsProof is Proof {
    uint256 internal constant SLACK = 32; // ROUNDING for each of MAX_STRATEGIES

    VaultMath internal _vault;

    function setUp() public {
        _vault = new VaultMath();
    }

    /* CAPS */

    /// @dev A target that passes is within both caps.
    function check_noTargetPassesOverItsCap(uint64 relativeCap, uint128 absoluteCap, uint64 assets, uint64 nav)
        external
    {
        vm.assume(relativeCap <= WAD);
        _vault.checkCaps(relativeCap, absoluteCap, assets, nav);
        unchecked {
            assert(assets <= absoluteCap && assets <= uint256(nav) * relativeCap / WAD);
        }
    }

    /// @dev Of three strategies, the first two are the group, and one of them was deposited into.
    function check_noGroupPassesOverItsRelativeCap(uint64 relativeCap, uint64 x, uint64 y, uint64 z, uint64 nav)
        external
    {
        vm.assume(relativeCap <= WAD);
        _vault.setGroup(3, relativeCap, type(uint128).max);
        _vault.checkGroups(_values(x, y, z), 1, nav);
        unchecked {
            assert(uint256(x) + y <= uint256(nav) * relativeCap / WAD);
        }
    }

    function check_noGroupPassesOverItsAbsoluteCap(uint128 absoluteCap, uint64 x, uint64 y, uint64 z) external {
        _vault.setGroup(3, uint64(WAD), absoluteCap);
        _vault.checkGroups(_values(x, y, z), 2, type(uint128).max);
        unchecked {
            assert(uint256(x) + y <= absoluteCap);
        }
    }

    /// @dev What was deposited into another strategy binds no group.
    function check_aGroupBindsItsMembersOnly(uint64 relativeCap, uint64 x, uint64 y, uint64 z, uint64 nav) external {
        vm.assume(relativeCap <= WAD);
        _vault.setGroup(3, relativeCap, 0);
        try _vault.checkGroups(_values(x, y, z), 4, nav) {}
        catch {
            assert(false);
        }
    }

    /* IDLE FLOOR */

    function check_idleIsNeverTakenUnderItsFloor(uint32 idle, uint32 nav, uint32 before, uint64 idleFloor) external {
        vm.assume(idleFloor <= WAD);
        _vault.checkIdleFloor(idle, nav, 0, before, idleFloor);
        unchecked {
            assert(idle + SLACK >= before || idle + SLACK >= uint256(nav) * idleFloor / WAD);
        }
    }

    /// @dev Whoever has taken the idle under its floor does not keep the keeper from acting.
    function check_idleUnderItsFloorBlocksNothing(uint32 nav, uint32 flash, uint32 before, uint64 idleFloor) external {
        vm.assume(idleFloor <= WAD);
        try _vault.checkIdleFloor(before, nav, flash, before, idleFloor) {}
        catch {
            assert(false);
        }
    }

    /* LIMITS */

    /// @dev No two values are both tighter than the other, so tightening never comes back to where it was.
    function check_tighterIsOneWay(uint8 limit, uint256 x, uint256 y) external view {
        vm.assume(limit <= uint8(type(IVaultTypes.Limit).max));
        assert(!(_tighter(limit, x, y) && _tighter(limit, y, x)) && !_tighter(limit, x, x));
    }

    /// @dev Of a limit that was given up, governance may set the loosest value and tighter ones: by these steps it never gets
    /// looser than the loosest.
    function check_nothingTighterIsLooserThanTheLoosest(uint8 limit, uint256 x, uint256 y, uint256 loosest)
        external
        view
    {
        vm.assume(limit <= uint8(type(IVaultTypes.Limit).max));
        vm.assume(x == loosest || _tighter(limit, x, loosest));
        vm.assume(_tighter(limit, y, x));
        assert(_tighter(limit, y, loosest));
    }

    function check_noGrowthRateIsTighter(uint256 x, uint256 y) external view {
        assert(!_tighter(uint8(IVaultTypes.Limit.MaxGrowthRate), x, y));
    }

    function _tighter(uint8 limit, uint256 x, uint256 y) private view returns (bool) {
        return _vault.isTighter(IVaultTypes.Limit(limit), x, y);
    }

    function _values(uint64 x, uint64 y, uint64 z) private pure returns (uint256[] memory values) {
        values = new uint256[](3);
        (values[0], values[1], values[2]) = (x, y, z);
    }

    /* FALSE ON PURPOSE, with the assumptions of those above. See `MUST_FAIL` of the audit. */

    function check_refuted_nothingPassesTheCaps(uint64 relativeCap, uint128 absoluteCap, uint16 assets, uint16 nav)
        external
    {
        vm.assume(relativeCap <= WAD);
        _vault.checkCaps(relativeCap, absoluteCap, assets, nav);
        assert(assets == 0);
    }

    function check_refuted_noGroupHoldsAnything(uint16 x, uint16 y, uint16 z) external {
        _vault.setGroup(3, uint64(WAD), 1000);
        _vault.checkGroups(_values(x, y, z), 1, type(uint128).max);
        assert(uint256(x) + y == 0);
    }

    function check_refuted_idleIsAlwaysAtItsFloor(uint16 idle, uint16 nav, uint16 before, uint64 idleFloor) external {
        vm.assume(idleFloor <= WAD);
        _vault.checkIdleFloor(idle, nav, 0, before, idleFloor);
        unchecked {
            assert(idle + SLACK >= uint256(nav) * idleFloor / WAD);
        }
    }

    function check_refuted_nothingIsTighter(uint8 limit, uint256 x, uint256 y, uint256 loosest) external view {
        vm.assume(limit <= uint8(type(IVaultTypes.Limit).max));
        vm.assume(x == loosest || _tighter(limit, x, loosest));
        assert(!_tighter(limit, y, x));
    }
}
