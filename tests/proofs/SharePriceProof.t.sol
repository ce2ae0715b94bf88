// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Proof} from "./Proof.sol";
import {VaultMath} from "./VaultMath.sol";

/// @notice The share conversions and the drawdown floor, on the vault's own functions. `side` is the bid or the ask.
/// @dev Bounds of the proofs: amounts of 64 bits, for a solver multiplies bit by bit.
contract SharePriceProof is Proof {
    uint256 internal constant VIRTUAL_SHARES = 1e6;

    VaultMath internal _vault;

    function setUp() public {
        _vault = new VaultMath();
    }

    /// @dev Deposit and redeem pay the floor of the exact value.
    function check_depositPaysTheFloor(uint64 assets, uint64 side, uint64 supply) external view {
        uint256 shares = _vault.toShares(assets, side, supply, Math.Rounding.Floor);
        unchecked {
            assert(shares == assets * (supply + VIRTUAL_SHARES) / (uint256(side) + 1));
        }
    }

    function check_redeemPaysTheFloor(uint64 shares, uint64 side, uint64 supply) external view {
        uint256 assets = _vault.toAssets(shares, side, supply, Math.Rounding.Floor);
        unchecked {
            assert(assets == shares * (uint256(side) + 1) / (supply + VIRTUAL_SHARES));
        }
    }

    /// @dev The twins that name what they get: never cheaper, and by one unit at most dearer.
    function check_mintCostsNoLessThanItsRedemption(uint64 shares, uint64 side, uint64 supply) external view {
        uint256 cost = _vault.toAssets(shares, side, supply, Math.Rounding.Ceil);
        uint256 paid = _vault.toAssets(shares, side, supply, Math.Rounding.Floor);
        assert(cost >= paid && cost <= paid + 1);
    }

    function check_withdrawBurnsNoLessThanItsDepositMints(uint64 assets, uint64 side, uint64 supply) external view {
        uint256 burned = _vault.toShares(assets, side, supply, Math.Rounding.Ceil);
        uint256 minted = _vault.toShares(assets, side, supply, Math.Rounding.Floor);
        assert(burned >= minted && burned <= minted + 1);
    }

    /// @dev A depositor gets no more shares than the assets are worth.
    function check_depositRoundsAgainstTheDepositor(uint64 assets, uint64 side, uint64 supply) external view {
        uint256 shares = _vault.toShares(assets, side, supply, Math.Rounding.Floor);
        unchecked {
            assert(shares * (uint256(side) + 1) <= assets * (supply + VIRTUAL_SHARES));
        }
    }

    /// @dev Redeeming pays no more than the shares are worth.
    function check_redeemRoundsAgainstTheOwner(uint64 shares, uint64 side, uint64 supply) external view {
        uint256 assets = _vault.toAssets(shares, side, supply, Math.Rounding.Floor);
        unchecked {
            assert(assets * (supply + VIRTUAL_SHARES) <= shares * (uint256(side) + 1));
        }
    }

    /// @dev Deposit, then redeem what it gave: no profit. From `shares x (side + 1) <= assets x supply`, which
    /// `check_depositRoundsAgainstTheDepositor` proves, for every product of 128 bits: what redeeming pays is the floor of
    /// `shares x (side + 1 + assets) / (supply + shares)`, at most `assets` if and only if the inequality below holds.
    function check_depositThenRedeemNeverProfits(
        uint128 priced,
        uint128 owed,
        uint128 own,
        uint128 supply,
        uint64 shares
    ) external pure {
        vm.assume(priced <= owed); // shares x (side + 1), and assets x supply
        uint256 paid = uint256(priced) + own; // own is shares x assets
        uint256 due = uint256(owed) + own; // assets x (supply + shares)
        vm.assume(supply > 0);
        assert(paid < due + supply + shares);
    }

    /// @dev Hence never over the mark, for `WAD - maxDrawdown <= WAD`.
    function check_theDrawdownFloorIsNotOverThatShareOfTheMark(uint64 mark, uint64 maxDrawdown) external {
        vm.assume(maxDrawdown <= WAD);
        uint256 floor = _vault.drawdownFloor(mark, maxDrawdown);
        unchecked {
            assert(floor * WAD <= mark * (WAD - maxDrawdown));
        }
    }

    function check_theDrawdownFloorIsThatShareOfTheMark(uint64 mark, uint64 maxDrawdown) external {
        vm.assume(maxDrawdown <= WAD);
        uint256 floor = _vault.drawdownFloor(mark, maxDrawdown);
        unchecked {
            assert(floor == mark * (WAD - maxDrawdown) / WAD);
        }
    }

    /* FALSE ON PURPOSE, with the assumptions of those above. See `MUST_FAIL` of the audit. */

    function check_refuted_depositsAreNeverRounded(uint16 assets, uint16 side, uint16 supply) external view {
        uint256 shares = _vault.toShares(assets, side, supply, Math.Rounding.Floor);
        unchecked {
            assert(shares * (uint256(side) + 1) == assets * (supply + VIRTUAL_SHARES));
        }
    }

    function check_refuted_redemptionsAreNeverRounded(uint16 shares, uint16 side, uint16 supply) external view {
        uint256 assets = _vault.toAssets(shares, side, supply, Math.Rounding.Floor);
        assert(assets == _vault.toAssets(shares, side, supply, Math.Rounding.Ceil));
    }

    function check_refuted_roundTripsCostNothing(
        uint128 priced,
        uint128 owed,
        uint128 own,
        uint128 supply,
        uint64 shares
    ) external pure {
        vm.assume(priced <= owed);
        vm.assume(supply > 0);
        assert(uint256(priced) + own == uint256(owed) + own || shares == 0);
    }

    function check_refuted_theFloorIsTheMark(uint16 mark, uint64 maxDrawdown) external {
        vm.assume(maxDrawdown <= WAD);
        assert(_vault.drawdownFloor(mark, maxDrawdown) == mark);
    }
}
