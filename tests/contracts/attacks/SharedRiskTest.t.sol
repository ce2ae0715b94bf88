// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "../BaseTest.sol";
import {AttackTest} from "./AttackTest.sol";
import {KnownPoolStrategy, Pool, PoolStrategy} from "./mocks/Pool.sol";

/// @notice Two strategies over one pool, and a pool that cannot pay.
abstract contract SharedRiskTest is AttackTest {
    uint64 internal constant GROUP_CAP = 0.3e18;
    address internal immutable WHALE = makeAddr("whale");

    Pool internal pool;
    PoolStrategy internal plain;
    KnownPoolStrategy internal known;

    function setUp() public override {
        super.setUp();
        vm.startPrank(GOVERNANCE);
        vault.removeStrategy(address(c));
        vault.removeStrategy(address(b));
        vm.stopPrank();
        pool = new Pool(asset);
        plain = new PoolStrategy(asset, pool);
        known = new KnownPoolStrategy(asset, pool);
        _add(address(plain), 0.3e18, type(uint128).max);
        _add(address(known), 0.3e18, type(uint128).max);
        vm.prank(GOVERNANCE);
        vault.setGroup(0, IVaultTypes.Group(address(pool), GROUP_CAP, uint128(500 * UNIT), 6));
        asset.mint(address(pool), 5000 * UNIT);
        _deposit(ALICE, 1000 * UNIT);
    }

    function _inPool() private view returns (uint256) {
        return plain.totalAssets() + known.totalAssets();
    }

    /* GROUPS */

    function test_group_twoStrategiesDoubleNoCap(uint256 first, uint256 second, uint256 third) public {
        _tryRebalance(_weights(0, bound(first, 0, 0.4e18), 0));
        _tryRebalance(_weights(0, HOLD, bound(second, 0, 0.4e18)));
        _tryRebalance(_weights(HOLD, bound(third, 0, 0.4e18), bound(first, 0, 0.4e18)));
        assertLe(_inPool(), 1000 * UNIT * GROUP_CAP / WAD + UNITS);
    }

    /// @dev Stolen key, and a deposit of the same transaction.
    function test_group_notWidenedByAFlashDeposit(uint256 hoard, uint256 first, uint256 second) public {
        assertTrue(_enter(bound(hoard, 1, 9_000_000 * UNIT)));
        _tryRebalance(_weights(0, bound(first, 0, 0.3e18), bound(second, 0, 0.3e18)));
        _tryRebalance(_weights(HOLD, HOLD, bound(first, 0, 0.3e18)));
        assertLe(_inPool(), 1000 * UNIT * GROUP_CAP / WAD + UNITS);
    }

    /// @dev The absolute cap holds against capital that stays for a block, too.
    function test_group_absoluteCap(uint256 hoard, uint256 first, uint256 second) public {
        assertTrue(_enter(bound(hoard, 1, 9_000_000 * UNIT)));
        _nextBlock();
        _tryRebalance(_weights(0, bound(first, 0, 0.01e18), bound(second, 0, 0.3e18)));
        _tryRebalance(_weights(HOLD, HOLD, bound(first, 0, 0.3e18)));
        assertLe(_inPool(), 500 * UNIT);
    }

    /// @dev Strategies keep their groups when one in front of them is removed.
    function test_group_followsItsMembers(uint256 first, uint256 second) public {
        vm.prank(GOVERNANCE);
        vault.removeStrategy(address(a));
        uint256[] memory w = new uint256[](2);
        (w[0], w[1]) = (bound(first, 0, 0.3e18), bound(second, 0, 0.3e18));
        _tryRebalance(w);
        assertLe(_inPool(), 1000 * UNIT * GROUP_CAP / WAD + UNITS);
    }

    /// @dev A drifted group blocks nothing but its own growth.
    function test_group_driftBlocksNothingElse() public {
        _rebalance(_weights(0.2e18, 0.2e18, 0.1e18));
        vm.prank(ALICE);
        vault.withdraw(500 * UNIT, ALICE, ALICE);
        _endTransaction();
        _rebalance(_weights(0.1e18, HOLD, HOLD));
        assertFalse(_tryRebalance(_weights(HOLD, HOLD, 0.3e18)));
    }

    /* LIQUIDITY */

    /// @dev At full utilisation a policy that chases the rate gets nothing in.
    function test_liquidity_atFullUtilisation(uint256 weight, bool knows) public {
        weight = bound(weight, 0.001e18, 0.3e18);
        vm.startPrank(WHALE);
        pool.borrow(pool.cash());
        vm.stopPrank();
        bool ok = _tryRebalance(knows ? _weights(0, 0, weight) : _weights(0, weight, 0));
        if (knows) {
            assertFalse(ok);
            assertEq(_inPool(), 0);
        } else {
            // The plain one can pay the deposit itself back.
            assertTrue(ok);
        }
    }

    /// @dev The plain one does not take more than could be had back.
    function test_liquidity_short(uint256 cash, uint256 more) public {
        _rebalance(_weights(0, 0.1e18, 0));
        cash = bound(cash, 0, 100 * UNIT - UNITS);
        uint256 all = pool.cash();
        vm.prank(WHALE);
        pool.borrow(all - cash);
        more = bound(more, 0.1001e18, 0.3e18);
        assertFalse(_tryRebalance(_weights(0, more, HOLD)));
    }

    /// @dev The cash of a known pool must cover all that would be in it, before our own deposit counts as cash.
    function test_liquidity_known(uint256 cash, uint256 weight) public {
        weight = bound(weight, 0.01e18, 0.3e18);
        uint256 all = pool.cash();
        cash = bound(cash, 0, all);
        vm.prank(WHALE);
        pool.borrow(all - cash);
        assertEq(_tryRebalance(_weights(0, 0, weight)), cash >= 1000 * UNIT * weight / WAD);
    }

    /// @dev The thief moves the cash in front, and out again: nothing but a rebalance is lost.
    function test_liquidity_dryPoolLetsEverythingElsePass() public {
        _rebalance(_weights(0.2e18, 0.1e18, 0.1e18));
        uint256 all = pool.cash();
        vm.prank(WHALE);
        pool.borrow(all);
        _rebalance(_weights(0.3e18, HOLD, HOLD));
        _rebalance(_weights(HOLD, HOLD, HOLD));
        vm.prank(ALICE);
        vault.withdraw(700 * UNIT, ALICE, ALICE);
    }

    /* DEPOSIT CAP */

    function test_depositCap(uint256 cap, uint256 assets, uint256 gift) public {
        cap = bound(cap, 0, 5000 * UNIT);
        _setLimit(IVaultTypes.Limit.DepositCap, cap);
        asset.mint(address(vault), bound(gift, 0, 40 * UNIT));
        assets = bound(assets, 1, 6000 * UNIT);
        uint256 most = vault.maxDeposit(MALLORY);
        bool ok = _enter(assets);
        assertEq(ok, assets <= most);
        if (ok) assertLe(vault.valuation().ask, cap);
        _leave();
        vm.prank(ALICE);
        vault.redeem(1e6, ALICE, ALICE);
    }
}

contract SharedRiskTest6 is SharedRiskTest {
    constructor() BaseTest(6) {}
}

contract SharedRiskTest18 is SharedRiskTest {
    constructor() BaseTest(18) {}
}
