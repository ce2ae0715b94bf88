// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {ThinStrategy} from "./mocks/ThinStrategy.sol";

/// @notice A strategy that costs more to leave than it previews, with the thief on the other side of the trade.
abstract contract ExitCostTest is AttackTest {
    uint64 internal constant BUDGET = 0.005e18;

    ThinStrategy internal thin;
    ThinStrategy internal other;

    function _limits() internal view override returns (IVaultTypes.Limits memory l) {
        l = super._limits();
        (l.lossCapacity, l.lossRefill) = (BUDGET, 0);
        l.idleFloor = 0;
        l.maxDrawdown = 1e18;
    }

    function setUp() public override {
        super.setUp();
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(c));
        vault.removeStrategy(address(b));
        vault.removeStrategy(address(a));
        vm.stopPrank();
        thin = new ThinStrategy(asset, MALLORY);
        other = new ThinStrategy(asset, MALLORY);
        _add(address(thin), 1e18, type(uint128).max);
        _add(address(other), 1e18, type(uint128).max);
        _deposit(ALICE, 1000 * UNIT);
    }

    function _two(uint256 wt, uint256 wo) private pure returns (uint256[] memory w) {
        w = new uint256[](2);
        (w[0], w[1]) = (wt, wo);
    }

    /* LEAVING THROUGH IT */

    /// @dev Stolen key, twice the capital: everything into the thin pool, and out through it by the plain exit.
    function test_exit_plain(uint256 hoard, uint256 depth, uint256 part) public {
        _steal(hoard, depth);
        _leave(bound(part, 0, vault.balanceOf(MALLORY)));
        _leave();
        assertLe(_loss(), BUDGET * 1000 * UNIT / WAD + UNITS);
    }

    function test_exit_withABoundInShares(uint256 hoard, uint256 depth, uint256 assets) public {
        _steal(hoard, depth);
        assets = bound(assets, 0, vault.totalAssets());
        vm.prank(MALLORY);
        try vault.withdraw(assets, MALLORY, MALLORY, type(uint256).max) {} catch {}
        assertLe(_loss(), BUDGET * 1000 * UNIT / WAD + UNITS);
    }

    /// @dev Who asks for no minimum may lose all that is theirs, and not a unit of the others'.
    function test_exit_withABoundInAssets(uint256 hoard, uint256 depth, uint256 part, uint256 parts) public {
        _steal(hoard, depth);
        parts = bound(parts, 1, 4);
        for (uint256 i; i < parts; ++i) {
            uint256 shares = bound(part, 0, vault.balanceOf(MALLORY));
            vm.prank(MALLORY);
            try vault.redeem(shares, MALLORY, MALLORY, 0) {} catch {}
        }
        assertLe(_loss(), BUDGET * 1000 * UNIT / WAD + UNITS);
    }

    /// @dev The least that shows it: a hundredth of the vault redeems for nothing, and takes the rest along.
    function test_exit_costIsNoMoreThanTheLeaversShare() public {
        assertTrue(_enter(10 * UNIT));
        _endTransaction();
        _rebalance(_two(1e18, 0));
        thin.setDepth(10 * UNIT + 10 * UNIT / 100);
        uint256 shares = vault.balanceOf(MALLORY);
        vm.prank(MALLORY);
        try vault.redeem(shares, MALLORY, MALLORY, 0) {} catch {}
        assertLe(_loss(), UNITS);
    }

    function test_exit_inKind(uint256 hoard, uint256 depth) public {
        _steal(hoard, depth);
        _leaveInKind();
        assertLe(_loss(), BUDGET * 1000 * UNIT / WAD + UNITS);
    }

    /* REBALANCING */

    /// @dev In and out by the keeper, as often as it likes, with gains that are booked on touch.
    function test_rebalance_lossesAreSummedLegByLeg(uint256 seed, uint256 gain) public {
        gain = bound(gain, 0, 50 * UNIT);
        _rebalance(_two(0.5e18, 0.4e18));
        uint256 earned;
        for (uint256 i; i < 6; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            // The gain is in one, the cost in the other.
            asset.mint(address(this), gain);
            asset.approve(address(other), gain);
            other.earn(gain);
            earned += gain;
            thin.setDepth(bound(seed >> 8, 1, 100_000 * UNIT));
            thin.setToll(bound(seed >> 64, 0, 0.1e18));
            _tryRebalance(_two(bound(seed >> 128, 0, 0.6e18), seed & 1 == 0 ? HOLD : bound(seed >> 192, 0, 0.4e18)));
        }
        assertLe(asset.balanceOf(MALLORY), BUDGET * (1000 * UNIT + earned) / WAD + UNITS, "53 before");
    }

    /// @dev Where the gain is in the same strategy as the cost, and shows itself only when it is touched, the two are one: no more
    /// is lost than what nobody has counted yet.
    function test_rebalance_gainOfTheSameStrategy(uint256 gain, uint256 toll) public {
        _rebalance(_two(0.5e18, 0));
        gain = bound(gain, UNIT, 50 * UNIT);
        asset.mint(address(this), gain);
        asset.approve(address(thin), gain);
        thin.earn(gain);
        thin.setToll(bound(toll, 0, 0.5e18));
        _tryRebalance(_two(0.6e18, HOLD));
        assertLe(asset.balanceOf(MALLORY), gain + BUDGET * (1000 * UNIT + gain) / WAD + UNITS);
        assertGe(vault.valuation().nav + UNITS, 1000 * UNIT - BUDGET * 1000 * UNIT / WAD);
    }

    /* UNWINDING */

    function test_unwind_inManyParts(uint256 depth, uint256 part, uint256 parts) public {
        _rebalance(_two(1e18, 0));
        vm.prank(GOVERNANCE);
        vault.halt();
        thin.setDepth(bound(depth, 1, 100_000 * UNIT));
        parts = bound(parts, 1, 30);
        uint256 unwound;
        for (uint256 i; i < parts; ++i) {
            uint256 before = vault.valuation().nav - vault.idle();
            vm.prank(MALLORY);
            try vault.unwind(address(thin), bound(uint256(keccak256(abi.encode(part, i))), 1, 1000 * UNIT)) {
                unwound += before - (vault.valuation().nav - vault.idle());
            } catch {}
        }
        assertLe(asset.balanceOf(MALLORY), unwound * 0.01e18 / WAD + 3 * parts, "200 of 1,000 before");
        assertLe(_loss(), unwound * 0.01e18 / WAD + 3 * parts);
    }

    /// @dev Of one that cannot be valued, what is recorded stands for the value.
    function test_unwind_ofOneThatIsDark(uint256 depth, uint256 part, uint256 parts) public {
        _rebalance(_two(1e18, 0));
        vm.prank(GOVERNANCE);
        vault.halt();
        thin.setDepth(bound(depth, 1, 100_000 * UNIT));
        vm.mockCallRevert(address(thin), abi.encodeWithSelector(thin.previewRedeem.selector), "dark");
        parts = bound(parts, 1, 30);
        for (uint256 i; i < parts; ++i) {
            vm.prank(MALLORY);
            try vault.unwind(address(thin), bound(uint256(keccak256(abi.encode(part, i))), 1, 1000 * UNIT)) {} catch {}
        }
        assertLe(asset.balanceOf(MALLORY), 1000 * UNIT * 0.01e18 / WAD + 3 * parts);
    }

    /// @dev A thin market lets a part through.
    function test_unwind_partThatFits(uint256 depth) public {
        _rebalance(_two(1e18, 0));
        vm.prank(GOVERNANCE);
        vault.halt();
        depth = bound(depth, UNIT, 50_000 * UNIT);
        thin.setDepth(depth);
        vm.expectPartialRevert(IVaultTypes.ExitTooDear.selector);
        vault.unwind(address(thin), type(uint256).max);
        assertGt(vault.unwind(address(thin), depth / 102), depth / 104);
    }

    /* INTERNAL */

    /// @dev Capital in, everything into the thin pool, and the pool is thin.
    function _steal(uint256 hoard, uint256 depth) private {
        assertTrue(_enter(bound(hoard, UNIT, 2000 * UNIT)));
        _endTransaction();
        _rebalance(_two(1e18, 0));
        thin.setDepth(bound(depth, 1, 10_000 * UNIT));
    }

    /// @dev What the others' shares are worth less, at valuations that are the middle of the market.
    function _loss() private view returns (uint256) {
        uint256 worth = vault.balanceOf(ALICE) * (vault.valuation().nav + 1) / (vault.totalSupply() + 1e6);
        return worth >= 1000 * UNIT ? 0 : 1000 * UNIT - worth;
    }
}

contract ExitCostTest6 is ExitCostTest {
    constructor() BaseTest(6) {}
}

contract ExitCostTest18 is ExitCostTest {
    constructor() BaseTest(18) {}
}
