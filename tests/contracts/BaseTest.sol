// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {MockStrategy} from "./mocks/MockStrategy.sol";
import {Token} from "./mocks/Token.sol";
import {VaultHarness} from "./utils/VaultHarness.sol";

/// @notice A vault with three strategies over a token of chosen decimals, and words to write tests in.
abstract contract BaseTest is Test {
    uint256 internal constant WAD = 1e18;
    uint256 internal constant HOLD = type(uint256).max;
    uint256 internal constant LIMITS = 12;
    uint64 internal constant IDLE_FLOOR = 0.02e18;
    uint64 internal constant MAX_DRAWDOWN = 0.1e18;
    uint64 internal constant MAX_GROWTH_RATE = 0.25e18;
    uint32 internal constant MAX_SILENCE = 7 days;
    bytes32 internal constant POLICY = keccak256("policy");
    bytes32 internal constant DECISION = keccak256("decision");

    address internal immutable GOVERNANCE = makeAddr("governance");
    address internal immutable KEEPER = makeAddr("keeper");
    address internal immutable ALICE = makeAddr("alice");
    address internal immutable BOB = makeAddr("bob");
    address internal immutable MALLORY = makeAddr("mallory");

    uint8 internal immutable DECIMALS;
    /// @dev One whole asset.
    uint256 internal immutable UNIT;
    /// @dev Largest amount that fuzzing uses: a trillion whole assets, or a billion of those with 24 decimals.
    uint256 internal immutable MOST;

    Token internal asset;
    AccessManager internal authority;
    VaultHarness internal vault;
    MockStrategy internal a;
    MockStrategy internal b;
    MockStrategy internal c;

    constructor(uint8 decimals) {
        DECIMALS = decimals;
        UNIT = 10 ** decimals;
        MOST = (decimals > 18 ? 1e9 : 1e12) * UNIT;
    }

    function setUp() public virtual {
        vm.warp(1_750_000_000);
        asset = new Token(DECIMALS);
        authority = new AccessManager(GOVERNANCE);
        vault = _newVault(IERC20(address(asset)));
        a = new MockStrategy(asset);
        b = new MockStrategy(asset);
        c = new MockStrategy(asset);
        _add(address(a), 0.6e18, type(uint128).max);
        _add(address(b), 0.5e18, type(uint128).max);
        _add(address(c), 0.4e18, type(uint128).max);
        vm.label(address(vault), "vault");
        vm.label(address(asset), "asset");
        vm.label(address(a), "a");
        vm.label(address(b), "b");
        vm.label(address(c), "c");
    }

    /* SET-UP */

    /// @dev Budgets so wide that they do not bind: those who test them set their own.
    function _limits() internal view virtual returns (IVaultTypes.Limits memory) {
        return IVaultTypes.Limits({
            idleFloor: IDLE_FLOOR,
            maxDrawdown: MAX_DRAWDOWN,
            maxGrowthRate: MAX_GROWTH_RATE,
            cooldown: 0,
            maxSilence: MAX_SILENCE,
            lossCapacity: 1e18,
            lossRefill: 1e18,
            turnoverCapacity: 10e18,
            turnoverRefill: 10e18,
            performanceFee: 0,
            unwindLoss: 0.01e18,
            depositCap: type(uint128).max
        });
    }

    function _newVault(IERC20 asset_) internal returns (VaultHarness v) {
        v = new VaultHarness(asset_, "Vault", "VLT", address(authority), KEEPER, _limits());
        vm.prank(GOVERNANCE);
        v.commitPolicy(POLICY);
    }

    function _add(address strategy, uint64 relativeCap, uint128 absoluteCap) internal {
        vm.prank(GOVERNANCE);
        vault.addStrategy(strategy, relativeCap, absoluteCap);
    }

    function _setCaps(MockStrategy strategy, uint64 relativeCap, uint128 absoluteCap) internal {
        vm.prank(GOVERNANCE);
        vault.loosenCaps(address(strategy), relativeCap, absoluteCap);
    }

    /// @dev Sets a limit in either direction.
    function _setLimit(IVaultTypes.Limit limit, uint256 value) internal {
        vm.prank(GOVERNANCE);
        vault.loosen(limit, value);
    }

    /// @dev What a guardian may call: it only ever tightens.
    function _guardianSelectors() internal view returns (bytes4[] memory selectors) {
        selectors = new bytes4[](5);
        selectors[0] = vault.tighten.selector;
        selectors[1] = vault.tightenCaps.selector;
        selectors[2] = vault.tightenGroup.selector;
        selectors[3] = vault.halt.selector;
        selectors[4] = vault.cutKeeper.selector;
    }

    /// @dev Lets the bid catch up with NAV, however much was gained.
    function _catchUp() internal {
        uint256 rate = vault.limits().maxGrowthRate;
        _setLimit(IVaultTypes.Limit.MaxGrowthRate, 1000e18);
        vm.warp(block.timestamp + 30 days);
        _setLimit(IVaultTypes.Limit.MaxGrowthRate, rate);
    }

    /// @dev Records what there is to record.
    function _touch() internal {
        vault.deposit(0, address(this));
    }

    function _nav() internal view returns (uint256) {
        return vault.valuation().nav;
    }

    /* DEPOSITORS */

    function _fund(address who, uint256 assets) internal {
        asset.mint(who, assets);
        vm.prank(who);
        asset.approve(address(vault), type(uint256).max);
    }

    function _deposit(address who, uint256 assets) internal returns (uint256 shares) {
        _fund(who, assets);
        vm.prank(who);
        shares = vault.deposit(assets, who);
        vault.endTransaction();
    }

    function _redeemAll(address who) internal returns (uint256 assets) {
        uint256 shares = vault.balanceOf(who);
        vm.prank(who);
        assets = vault.redeem(shares, who, who);
    }

    /* KEEPER */

    function _weights(uint256 wa, uint256 wb, uint256 wc) internal pure returns (uint256[] memory w) {
        w = new uint256[](3);
        (w[0], w[1], w[2]) = (wa, wb, wc);
    }

    /// @dev A request that is right in all but, perhaps, its weights.
    function _request(uint256[] memory weights) internal view returns (IVaultTypes.Rebalance memory) {
        return IVaultTypes.Rebalance({
            epoch: vault.epoch(),
            deadline: block.timestamp,
            minSharePrice: 0,
            weights: weights,
            policyHash: POLICY,
            decisionHash: DECISION
        });
    }

    function _request(uint256 wa, uint256 wb, uint256 wc) internal view returns (IVaultTypes.Rebalance memory) {
        return _request(_weights(wa, wb, wc));
    }

    function _rebalance(uint256 wa, uint256 wb, uint256 wc) internal {
        IVaultTypes.Rebalance memory request = _request(wa, wb, wc);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /// @dev The rebalance must revert with exactly this error.
    function _refused(uint256 wa, uint256 wb, uint256 wc, bytes memory error) internal {
        _refused(_request(wa, wb, wc), error);
    }

    function _refused(IVaultTypes.Rebalance memory request, bytes memory error) internal {
        vm.expectRevert(error);
        vm.prank(KEEPER);
        vault.rebalance(request);
    }

    /* LOSSES */

    /// @dev Takes a share (WAD) of NAV out of strategy `a`, which must hold as much.
    function _loseShareOfNav(uint256 share) internal {
        a.lose(vault.totalAssets() * share / WAD);
    }

    /// @dev Invests, loses 20 % of NAV in `a`, and trips.
    function _halt() internal {
        if (!vault.halted()) {
            if (_value(a) < vault.totalAssets() / 2) _rebalance(0.55e18, 0.2e18, 0.1e18);
            _loseShareOfNav(0.2e18);
            vault.trip();
        }
    }

    /* READING */

    /// @dev Worth of a position by the vault's books.
    function _value(MockStrategy strategy) internal view returns (uint256) {
        return strategy.previewRedeem(_shares(strategy));
    }

    function _shares(MockStrategy strategy) internal view returns (uint256) {
        IVaultTypes.Strategy[] memory all = vault.strategies();
        for (uint256 i; i < all.length; ++i) {
            if (all[i].target == IERC4626(address(strategy))) return all[i].shares;
        }
        revert("not a strategy of the vault");
    }

    /// @dev Share price as a fraction, compared without rounding: has it not fallen by more than `units` of NAV?
    function _assertPriceKept(uint256 navBefore, uint256 supplyBefore, uint256 units) internal view {
        assertGe(
            (vault.totalAssets() + 1 + units) * (supplyBefore + 1e6),
            (navBefore + 1) * (vault.totalSupply() + 1e6),
            "share price fell"
        );
    }
}
