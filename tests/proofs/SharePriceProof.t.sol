// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {Vault} from "../../contracts/Vault.sol";
import {Proof} from "./Proof.sol";

contract Asset is ERC20("Asset", "ASSET") {}

/// @notice The vault's own arithmetic, callable.
contract VaultMath is Vault {
    constructor(IVault.Limits memory limits_) Vault(new Asset(), "Vault", "V", address(1), address(2), limits_) {}

    function toShares(uint256 assets, uint256 nav, uint256 supply, Math.Rounding rounding)
        external
        pure
        returns (uint256)
    {
        return _toShares(assets, _at(nav, supply), rounding);
    }

    function toAssets(uint256 shares, uint256 nav, uint256 supply, Math.Rounding rounding)
        external
        pure
        returns (uint256)
    {
        return _toAssets(shares, _at(nav, supply), rounding);
    }

    function drawdownFloor(uint256 mark, uint64 maxDrawdown) external returns (uint256) {
        _hot.maxDrawdown = maxDrawdown;
        return _drawdownFloor(mark);
    }

    function checkCaps(uint64 relativeCap, uint128 absoluteCap, uint256 assets, uint256 nav) external {
        _strategies[0] = Strategy(IERC4626(address(3)), relativeCap, 0, absoluteCap);
        _checkCaps(_strategies[0], assets, nav);
    }

    function _at(uint256 nav, uint256 supply) private pure returns (Books memory books) {
        (books.nav, books.supply) = (nav, supply);
    }
}

/// @notice The share conversions, the drawdown floor and the caps, on the vault's own functions.
/// @dev Bounds of the proofs: amounts of 64 bits, for a solver multiplies bit by bit.
contract SharePriceProof is Proof {
    uint256 internal constant VIRTUAL_SHARES = 1e6;

    VaultMath internal _vault;

    function setUp() public {
        IVault.Limits memory limits;
        limits.maxSilence = 1 days;
        _vault = new VaultMath(limits);
    }

    /// @dev Deposit and redeem pay the floor of the exact value.
    function check_depositPaysTheFloor(uint64 assets, uint64 nav, uint64 supply) external view {
        uint256 shares = _vault.toShares(assets, nav, supply, Math.Rounding.Floor);
        unchecked {
            assert(shares == assets * (supply + VIRTUAL_SHARES) / (uint256(nav) + 1));
        }
    }

    function check_redeemPaysTheFloor(uint64 shares, uint64 nav, uint64 supply) external view {
        uint256 assets = _vault.toAssets(shares, nav, supply, Math.Rounding.Floor);
        unchecked {
            assert(assets == shares * (uint256(nav) + 1) / (supply + VIRTUAL_SHARES));
        }
    }

    /// @dev The twins that name what they get: never cheaper, and by one unit at most dearer.
    function check_mintCostsNoLessThanItsRedemption(uint64 shares, uint64 nav, uint64 supply) external view {
        uint256 cost = _vault.toAssets(shares, nav, supply, Math.Rounding.Ceil);
        uint256 paid = _vault.toAssets(shares, nav, supply, Math.Rounding.Floor);
        assert(cost >= paid && cost <= paid + 1);
    }

    function check_withdrawBurnsNoLessThanItsDepositMints(uint64 assets, uint64 nav, uint64 supply) external view {
        uint256 burned = _vault.toShares(assets, nav, supply, Math.Rounding.Ceil);
        uint256 minted = _vault.toShares(assets, nav, supply, Math.Rounding.Floor);
        assert(burned >= minted && burned <= minted + 1);
    }

    /// @dev A depositor gets no more shares than the assets are worth.
    function check_depositRoundsAgainstTheDepositor(uint64 assets, uint64 nav, uint64 supply) external view {
        uint256 shares = _vault.toShares(assets, nav, supply, Math.Rounding.Floor);
        unchecked {
            assert(shares * (uint256(nav) + 1) <= assets * (supply + VIRTUAL_SHARES));
        }
    }

    /// @dev Redeeming pays no more than the shares are worth.
    function check_redeemRoundsAgainstTheOwner(uint64 shares, uint64 nav, uint64 supply) external view {
        uint256 assets = _vault.toAssets(shares, nav, supply, Math.Rounding.Floor);
        unchecked {
            assert(assets * (supply + VIRTUAL_SHARES) <= shares * (uint256(nav) + 1));
        }
    }

    /// @dev Deposit, then redeem what it gave: no profit. From `shares x (nav + 1) <= assets x supply`, which
    /// `check_depositRoundsAgainstTheDepositor` proves, for every product of 128 bits: what redeeming pays is the floor of
    /// `shares x (nav + 1 + assets) / (supply + shares)`, at most `assets` if and only if the inequality below holds.
    function check_depositThenRedeemNeverProfits(
        uint128 priced,
        uint128 owed,
        uint128 own,
        uint128 supply,
        uint64 shares
    ) external pure {
        vm.assume(priced <= owed); // shares x (nav + 1), and assets x supply
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

    /* FALSE ON PURPOSE, with the assumptions of those above. See `MUST_FAIL` of the audit. */

    function check_refuted_depositsAreNeverRounded(uint16 assets, uint16 nav, uint16 supply) external view {
        uint256 shares = _vault.toShares(assets, nav, supply, Math.Rounding.Floor);
        unchecked {
            assert(shares * (uint256(nav) + 1) == assets * (supply + VIRTUAL_SHARES));
        }
    }

    function check_refuted_redemptionsAreNeverRounded(uint16 shares, uint16 nav, uint16 supply) external view {
        uint256 assets = _vault.toAssets(shares, nav, supply, Math.Rounding.Floor);
        assert(assets == _vault.toAssets(shares, nav, supply, Math.Rounding.Ceil));
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

    function check_refuted_nothingPassesTheCaps(uint64 relativeCap, uint128 absoluteCap, uint16 assets, uint16 nav)
        external
    {
        vm.assume(relativeCap <= WAD);
        _vault.checkCaps(relativeCap, absoluteCap, assets, nav);
        assert(assets == 0);
    }
}
