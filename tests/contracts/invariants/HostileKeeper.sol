// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Test} from "forge-std/Test.sol";

import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {MockStrategy} from "../mocks/MockStrategy.sol";
import {Token} from "../mocks/Token.sol";
import {VaultHarness} from "../utils/VaultHarness.sol";

/// @title The handler is the thief: it holds the keeper's key, and drives depositors, donors, markets and the clock
/// @notice Actions never revert by themselves. What an action must leave true is checked at once and, when it does not
/// hold, remembered in `broken`, for the invariants to find.
contract HostileKeeper is Test {
    uint256 private constant WAD = 1e18;
    uint256 private constant HOLD = type(uint256).max;
    bytes32 private constant POLICY = keccak256("policy");

    VaultHarness public immutable VAULT;
    Token public immutable ASSET;
    address public immutable KEEPER;
    uint256 private immutable MOST;

    MockStrategy[] public strategies;
    address[] public depositors;

    /// @notice The first promise that was broken.
    string public broken;
    /// @notice What the vault should be by what happened to it.
    uint256 public rebalances;
    bool public tripped;
    mapping(string action => uint256) public successes;

    constructor(VaultHarness vault, MockStrategy[] memory strategies_, address[] memory depositors_, uint256 most) {
        VAULT = vault;
        ASSET = Token(vault.asset());
        KEEPER = vault.keeper();
        MOST = most;
        strategies = strategies_;
        depositors = depositors_;
    }

    /* WHAT HOLDS AFTER EVERY ACTION */

    struct Before {
        uint256 nav;
        uint256 supply;
        uint256 rounding;
        uint256 mark;
        uint256 recordedAt;
    }

    /// @param keepsPrice Whether the action is one that must not lower the share price.
    modifier action(string memory name, bool keepsPrice) {
        Before memory before = _before();
        _;
        if (keepsPrice) _checkPrice(before, name);
        _checkState(before);
    }

    function _before() private view returns (Before memory before) {
        before.nav = VAULT.totalAssets();
        before.supply = VAULT.totalSupply();
        before.rounding = _rounding();
        (before.mark, before.recordedAt) = VAULT.recordedMark();
    }

    function _checkPrice(Before memory before, string memory name) private {
        bool kept = (VAULT.totalAssets() + 1 + before.rounding) * (before.supply + 1e6)
            >= (before.nav + 1) * (VAULT.totalSupply() + 1e6);
        _promise(kept, string.concat("share price fell by ", name));
    }

    /// @dev A halt lasts, epochs count rebalances, and the mark never falls and rises no faster than its rate.
    function _checkState(Before memory before) private {
        _promise(VAULT.halted() == tripped, "halted without trip, or resumed");
        _promise(VAULT.epoch() == rebalances, "epoch is not the count of rebalances");
        // In a vault that is empty but for dust the mark is the price.
        if (before.supply == 0 || (before.supply < 1e9 && before.nav < 1e3)) return;
        (uint256 mark,) = VAULT.recordedMark();
        uint256 growth = before.mark * VAULT.markGrowthRate() * (block.timestamp - before.recordedAt);
        _promise(mark >= before.mark, "mark fell");
        _promise(mark <= before.mark + growth / (WAD * 365 days), "mark grew faster than its bound");
    }

    /// @dev A withdrawal from a strategy may cost what one of its shares is worth, and a unit.
    function _rounding() private view returns (uint256 units) {
        for (uint256 i; i < strategies.length; ++i) {
            units += 2 * strategies[i].convertToAssets(1) + 4;
        }
    }

    function _promise(bool kept, string memory what) private {
        if (!kept && bytes(broken).length == 0) broken = what;
    }

    /* THE THIEF: ANY WEIGHTS AT ANY TIME */

    function rebalance(uint256[3] calldata seeds, uint256 style) external {
        uint256[] memory weights = new uint256[](3);
        for (uint256 i; i < 3; ++i) {
            weights[i] = _weight(i, seeds[i], style >> (8 * i));
        }
        _rebalance(weights);
    }

    /// @dev All that the caps and the floor allow, in an order of choice: a request that passes, as close to the walls as
    /// can be.
    function rebalanceToTheWalls(uint256 first) external {
        IVault.Strategy[] memory all = VAULT.strategies();
        uint256[] memory weights = new uint256[](3);
        uint256 left = WAD - VAULT.idleFloor();
        for (uint256 i; i < 3; ++i) {
            uint256 at = (first % 3 + i) % 3;
            uint256 cap = all[at].relativeCap;
            uint256 nav = VAULT.totalAssets();
            if (nav != 0) cap = Math.min(cap, Math.mulDiv(all[at].absoluteCap, WAD, nav));
            weights[at] = Math.min(cap, left);
            left -= weights[at];
        }
        _rebalance(weights);
    }

    function _weight(uint256 i, uint256 seed, uint256 style) private view returns (uint256) {
        style %= 8;
        if (style == 0) return HOLD;
        if (style == 1) return VAULT.strategies()[i].relativeCap;
        if (style == 2) return seed;
        if (style == 3) return bound(seed, 0, 1.2e18);
        if (style == 4) return 0;
        return bound(seed, 0, 0.32e18);
    }

    function _rebalance(uint256[] memory weights) private action("rebalance", _lossless()) {
        uint256 nav = VAULT.totalAssets();
        IVault.Rebalance memory request = IVault.Rebalance({
            epoch: VAULT.epoch(),
            deadline: block.timestamp,
            minTotalAssets: 0,
            weights: weights,
            policyHash: POLICY,
            decisionHash: 0
        });
        vm.prank(KEEPER);
        try VAULT.rebalance(request) {
            ++rebalances;
            ++successes["rebalance"];
            _promise(!tripped, "rebalanced while halted");
            _checkWalls(nav);
        } catch {}
    }

    function _checkWalls(uint256 navBefore) private {
        IVault.Strategy[] memory all = VAULT.strategies();
        for (uint256 i; i < all.length; ++i) {
            uint256 value = all[i].target.previewRedeem(all[i].shares);
            _promise(value <= navBefore * all[i].relativeCap / WAD, "over the relative cap");
            _promise(value <= all[i].absoluteCap, "over the absolute cap");
        }
        uint256 nav = VAULT.totalAssets();
        _promise(VAULT.idle() >= Math.mulDiv(nav, VAULT.idleFloor(), WAD, Math.Rounding.Ceil), "under the idle floor");
        _promise(VAULT.sharePrice() >= VAULT.drawdownFloor(), "rebalanced under the drawdown floor");
    }

    /// @dev No strategy slips: a rebalance may then lose rounding only.
    function _lossless() private view returns (bool) {
        for (uint256 i; i < strategies.length; ++i) {
            if (strategies[i].slippage() != 0) return false;
        }
        return true;
    }

    /* DEPOSITORS */

    function deposit(uint256 who, uint256 assets) external action("deposit", true) {
        address depositor = _fund(who, assets = bound(assets, 0, MOST));
        bool open = VAULT.maxDeposit(depositor) != 0;
        uint256 expected = VAULT.previewDeposit(assets);
        vm.prank(depositor);
        try VAULT.deposit(assets, depositor) returns (uint256 shares) {
            ++successes["deposit"];
            _promise(open && !tripped, "deposited while closed");
            _promise(shares == expected, "deposit is not what was previewed");
        } catch {
            _promise(!open, "deposit refused while open");
        }
    }

    function mint(uint256 who, uint256 shares) external action("mint", true) {
        shares = bound(shares, 0, MOST * 1e6);
        uint256 expected = VAULT.previewMint(shares);
        if (expected > MOST) return;
        address depositor = _fund(who, expected);
        bool open = VAULT.maxMint(depositor) != 0;
        vm.prank(depositor);
        try VAULT.mint(shares, depositor) returns (uint256 assets) {
            _promise(open && !tripped, "minted while closed");
            _promise(assets == expected, "mint is not what was previewed");
        } catch {
            _promise(!open, "mint refused while open");
        }
    }

    function withdraw(uint256 who, uint256 assets) external action("withdraw", _lossless()) {
        address depositor = depositors[who % depositors.length];
        uint256 most = VAULT.maxWithdraw(depositor);
        assets = bound(assets, 0, most);
        uint256 expected = VAULT.previewWithdraw(assets);
        vm.prank(depositor);
        try VAULT.withdraw(assets, depositor, depositor) returns (uint256 shares) {
            ++successes["withdraw"];
            _promise(shares == expected, "withdraw is not what was previewed");
        } catch {
            // A strategy that pays less than it says makes its own maxWithdraw a lie, and the vault's with it.
            _promise(!_lossless(), "maxWithdraw is not true");
        }
    }

    function redeem(uint256 who, uint256 shares) external action("redeem", _lossless()) {
        address depositor = depositors[who % depositors.length];
        shares = bound(shares, 0, VAULT.maxRedeem(depositor));
        uint256 expected = VAULT.previewRedeem(shares);
        vm.prank(depositor);
        try VAULT.redeem(shares, depositor, depositor) returns (uint256 assets) {
            ++successes["redeem"];
            _promise(assets == expected, "redeem is not what was previewed");
        } catch {
            _promise(!_lossless(), "maxRedeem is not true");
        }
    }

    function _fund(uint256 who, uint256 assets) private returns (address depositor) {
        depositor = depositors[who % depositors.length];
        ASSET.mint(depositor, assets);
        vm.prank(depositor);
        ASSET.approve(address(VAULT), assets);
    }

    /* DONORS */

    function donateAssets(uint256 assets) external action("donation", true) {
        ASSET.mint(address(VAULT), bound(assets, 0, MOST / 1e3));
    }

    function donateStrategyShares(uint256 at, uint256 assets) external action("donation of shares", _lossless()) {
        MockStrategy strategy = strategies[at % strategies.length];
        assets = bound(assets, 0, MOST / 1e3);
        uint256 nav = VAULT.totalAssets();
        ASSET.mint(address(this), assets);
        ASSET.approve(address(strategy), assets);
        try strategy.deposit(assets, address(VAULT)) {} catch {}
        // The strategy's rounding may favour its holders; the shares themselves are not in the vault's books.
        _promise(VAULT.totalAssets() <= nav + strategy.convertToAssets(1) + 1, "donated shares count");
    }

    /* THE MARKET AND THE CLOCK */

    function gain(uint256 at, uint256 share) external action("gain", true) {
        MockStrategy strategy = strategies[at % strategies.length];
        strategy.gain(strategy.totalAssets() * bound(share, 0, 0.1e18) / WAD);
    }

    function lose(uint256 at, uint256 share) external action("loss", false) {
        MockStrategy strategy = strategies[at % strategies.length];
        // Mostly small change; now and then a loss that trips the vault.
        strategy.lose(strategy.totalAssets() * bound(share, 0, share % 3 == 0 ? 0.6e18 : 0.02e18) / WAD);
    }

    function setLiquidity(uint256 at, uint256 liquidity) external action("liquidity", true) {
        strategies[at
                % strategies.length].setLiquidity(liquidity % 3 == 0 ? bound(liquidity, 0, MOST) : type(uint256).max);
    }

    function setSlippage(uint256 at, uint256 slippage) external action("slippage", true) {
        strategies[at % strategies.length].setSlippage(slippage % 4 == 0 ? bound(slippage, 0, MOST / 1e6) : 0);
    }

    function wait(uint256 time) external action("time", true) {
        vm.warp(block.timestamp + bound(time, 0, 60 days));
    }

    /* THE KILL-SWITCH */

    function trip(address anyone) external action("trip", true) {
        bool past = VAULT.sharePrice() < VAULT.drawdownFloor();
        vm.prank(anyone);
        try VAULT.trip() {
            ++successes["trip"];
            _promise(past && !tripped, "tripped within the limit");
            tripped = true;
        } catch {
            _promise(!past || tripped, "trip refused past the limit");
        }
    }

    function unwind(uint256 at, address anyone) external action("unwind", _lossless()) {
        vm.prank(anyone);
        try VAULT.unwind(address(strategies[at % strategies.length])) {
            ++successes["unwind"];
            _promise(tripped, "unwound while not halted");
        } catch {
            _promise(!tripped || !_lossless(), "unwind refused while halted");
        }
    }

    /* THE END */

    /// @notice Once the strategies pay again, everybody leaves.
    function everybodyLeaves() external {
        for (uint256 i; i < strategies.length; ++i) {
            strategies[i].setLiquidity(type(uint256).max);
            strategies[i].setSlippage(0);
        }
        for (uint256 i; i < depositors.length; ++i) {
            uint256 shares = VAULT.balanceOf(depositors[i]);
            uint256 worth = VAULT.previewRedeem(shares);
            vm.prank(depositors[i]);
            try VAULT.redeem(shares, depositors[i], depositors[i]) returns (uint256 paid) {
                _promise(paid == worth, "left with less than promised");
            } catch {
                _promise(false, "could not leave");
            }
        }
        _promise(VAULT.totalSupply() == 0, "shares are left");
    }

    function claims() external view returns (uint256 sum) {
        for (uint256 i; i < depositors.length; ++i) {
            sum += VAULT.convertToAssets(VAULT.balanceOf(depositors[i]));
        }
    }
}
