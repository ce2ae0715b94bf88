// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Test} from "forge-std/Test.sol";

import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {LossyStrategy} from "../mocks/LossyStrategy.sol";
import {MockStrategy} from "../mocks/MockStrategy.sol";
import {PlainStrategy} from "../mocks/PlainStrategy.sol";
import {Token} from "../mocks/Token.sol";
import {VaultHarness} from "../utils/VaultHarness.sol";
import {Windows} from "./Windows.sol";

/// @title The handler is the thief
/// @notice It holds the keeper's key and has capital of its own. It asks for any weights at any time, stands on the other
/// side of what a lossy strategy trades and chooses what that costs, sandwiches its own rebalances between a flash deposit
/// and a withdrawal in one transaction, and donates. Around it: depositors, the market, a guardian, governance, the clock.
///
/// Actions never revert by themselves. What an action must leave true is checked at once and, when it does not hold,
/// remembered in `broken`, for the invariants to find. One action is one transaction.
contract HostileKeeper is Test {
    using Windows for Windows.Log;

    uint256 private constant WAD = 1e18;
    uint256 private constant HOLD = type(uint256).max;
    bytes32 private constant POLICY = keccak256("policy");
    address private constant GUARDIAN = address(0x6a7d);

    VaultHarness public immutable VAULT;
    Token public immutable ASSET;
    address public immutable KEEPER;
    address private immutable GOVERNANCE;
    uint256 private immutable MOST;
    MockStrategy private immutable A;
    MockStrategy private immutable B;
    LossyStrategy private immutable LOSSY;

    address[] public depositors;

    /// @notice The first promise that was broken.
    string public broken;
    /// @notice The expected epoch.
    uint256 public rebalances;
    /// @notice Largest loss to rebalancing within any window, as a share of the bound it was given (WAD).
    uint256 public worst;

    bool private _halted;
    IVault.Limits private _limits;
    Windows.Log private _losses;
    Windows.Log private _turnovers;

    struct Before {
        uint256 price;
        uint256 supply;
        uint256 rounding;
        uint256 mark;
        uint256 markedAt;
        bool empty; // but for dust: there the mark is the price
        uint256 epoch;
        bool past;
    }

    Before private _was;

    constructor(
        VaultHarness vault,
        MockStrategy a,
        MockStrategy b,
        LossyStrategy lossy,
        address governance,
        address[] memory depositors_,
        uint256 most
    ) {
        (VAULT, A, B, LOSSY, GOVERNANCE, MOST) = (vault, a, b, lossy, governance, most);
        ASSET = Token(vault.asset());
        KEEPER = vault.keeper();
        depositors = depositors_;
        rebalances = vault.epoch();
        _limits = vault.limits();
        (_losses.capacity, _losses.refill) = (_limits.lossCapacity, _limits.lossRefill);
        (_turnovers.capacity, _turnovers.refill) = (_limits.turnoverCapacity, _limits.turnoverRefill);
    }

    /* WHAT HOLDS AFTER EVERY ACTION */

    /// @dev The mark rises no faster than its rate and never falls, a halt lasts, the epoch only grows, no limit changes by
    /// itself, and a share is not worth less by what cannot be a loss.
    modifier action(string memory name, bool keepsPrice) {
        _begin();
        _;
        _end(name, keepsPrice);
    }

    function _begin() private {
        _was.price = VAULT.sharePrice();
        _was.supply = VAULT.totalSupply();
        _was.empty = _isEmpty();
        _was.rounding = _rounding();
        (_was.mark, _was.markedAt) = VAULT.recordedMark();
        _was.epoch = VAULT.epoch();
        _was.past = VAULT.valued() && _was.price < VAULT.drawdownFloor();
    }

    /// @dev Dust, or nothing: it has no mark (`SharePriceTest.test_mark_ofDust`).
    function _isEmpty() private view returns (bool) {
        uint256 supply = VAULT.totalSupply();
        return supply == 0 || (supply < 1e9 && VAULT.totalAssets() < 1e3);
    }

    function _end(string memory name, bool keepsPrice) private {
        if (keepsPrice) {
            uint256 supply = Math.min(_was.supply, VAULT.totalSupply()) + 1e6;
            uint256 rounding = Math.mulDiv(_was.rounding + _rounding(), 1e24, supply) + 1;
            _promise(VAULT.sharePrice() + rounding >= _was.price, string.concat("share price fell by ", name));
        }
        (uint256 mark,) = VAULT.recordedMark();
        uint256 growth =
            Math.mulDiv(_was.mark, _limits.markGrowthRate * (block.timestamp - _was.markedAt), WAD * 365 days);
        // An action that robs what is next to nothing ends with dust, whose mark begins anew with the call after that.
        bool empty = _was.empty || _isEmpty();
        _promise(mark >= _was.mark || empty, "mark fell");
        _promise(mark <= _was.mark + growth || _was.empty, "mark grew faster than its bound");
        _promise(VAULT.halted() == _halted, "halted for no reason, or resumed");
        _promise(VAULT.epoch() >= _was.epoch, "epoch fell");
        _promise(VAULT.epoch() == rebalances, "epoch is not the count of rebalances");
        _promise(_same(VAULT.limits(), _limits), "a limit changed");
    }

    /// @dev A withdrawal from a strategy may cost what one of its shares is worth, and a unit.
    function _rounding() private view returns (uint256 units) {
        for (uint256 i; i < 3; ++i) {
            units += 2 * _strategy(i).convertToAssets(1) + 4;
        }
    }

    function _same(IVault.Limits memory x, IVault.Limits memory y) private pure returns (bool) {
        return keccak256(abi.encode(x)) == keccak256(abi.encode(y));
    }

    function _promise(bool kept, string memory what) private {
        if (!kept && bytes(broken).length == 0) broken = what;
    }

    function _strategy(uint256 i) private view returns (PlainStrategy) {
        return i == 0 ? A : i == 1 ? B : PlainStrategy(LOSSY);
    }

    function _healthy() private view returns (bool) {
        return VAULT.valued();
    }

    function _faulty(MockStrategy strategy) private view returns (bool) {
        return strategy.faults(MockStrategy.Part.PreviewRedeem) != MockStrategy.Fault.None;
    }

    /* THE THIEF: ANY WEIGHTS AT ANY TIME, AND THE OTHER SIDE OF THE TRADE */

    function rebalance(uint256[3] calldata seeds, uint256 style, uint256 impact) external action("rebalance", false) {
        uint256[] memory weights = new uint256[](3);
        for (uint256 i; i < 3; ++i) {
            weights[i] = _weight(i, seeds[i], style >> (8 * i));
        }
        LOSSY.setImpact(impact % 3 == 0 ? 0 : bound(impact, 0, 0.2e18));
        _rebalance(weights, VAULT.totalAssets());
        LOSSY.setImpact(0);
    }

    /// @dev As much as the loss budget allows, to within what is chosen: in and out of the lossy strategy.
    function steal(uint256 share) external action("theft", false) {
        _steal(VAULT.totalAssets(), bound(share, 0.9e18, 1.01e18));
    }

    /// @dev The same around a flash deposit, which is taken out again in the same transaction.
    function stealWithFlashDeposit(uint256 assets, uint256 share) external action("theft with a flash deposit", false) {
        uint256 nav = VAULT.totalAssets();
        uint256 price = VAULT.sharePrice();
        assets = bound(assets, 0, MOST);
        ASSET.mint(address(this), assets);
        ASSET.approve(address(VAULT), assets);
        try VAULT.deposit(assets, address(this)) returns (uint256 shares) {
            uint256 taken = ASSET.balanceOf(address(this));
            _steal(nav, bound(share, 0.9e18, 1.01e18));
            try VAULT.redeem(shares, address(this), address(this)) {
                _halted = _halted || (_healthy() && VAULT.halted());
            } catch {
                VAULT.transfer(depositors[0], shares);
            }
            // The others lose no more of their price than the whole of the budget.
            taken = Math.mulDiv(price, WAD - Math.min(WAD, _losses.capacity), WAD);
            _promise(
                _halted || VAULT.sharePrice() + 1e6 >= taken || _was.supply < 1e12, "a flash deposit widened the budget"
            );
        } catch {}
        ASSET.burn(address(this), ASSET.balanceOf(address(this)));
    }

    function _steal(uint256 navBefore, uint256 share) private {
        uint256 nav = VAULT.totalAssets();
        if (nav == 0) return;
        uint256 value = LOSSY.previewRedeem(VAULT.strategies()[2].shares);
        bool into = value * 5 < navBefore;
        uint256[] memory weights = new uint256[](3);
        (weights[0], weights[1]) = (HOLD, HOLD);
        weights[2] = into ? Math.mulDiv(navBefore, 0.35e18, nav) : 0;
        uint256 target = Math.mulDiv(nav, weights[2], WAD);
        uint256 moved = target > value ? target - value : value - target;
        if (moved == 0) return;
        uint256 loss = Math.mulDiv(navBefore, VAULT.lossBudget(), WAD);
        uint256 impact = Math.mulDiv(Math.mulDiv(loss, WAD, moved), share, WAD);
        LOSSY.setImpact(Math.min(impact, 0.5e18));
        _rebalance(weights, navBefore);
        LOSSY.setImpact(0);
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

    /// @param navBefore NAV at the start of the transaction.
    function _rebalance(uint256[] memory weights, uint256 navBefore) private {
        IVault.Rebalance memory request =
            IVault.Rebalance(VAULT.epoch(), block.timestamp, 0, weights, POLICY, bytes32(0));
        uint256 nav = VAULT.totalAssets();
        uint256[3] memory values = _values();
        uint256 last = VAULT.lastRebalance();
        vm.prank(KEEPER);
        try VAULT.rebalance(request) {
            ++rebalances;
            _promise(!_halted, "rebalanced while halted");
            _promise(VAULT.keeper() == KEEPER, "rebalanced without the key");
            _promise(block.timestamp >= last + _limits.cooldown, "rebalanced within the cooldown");
            _checkWalls(nav, Math.min(nav, navBefore));
            _checkBudgets(nav, Math.min(nav, navBefore), values);
        } catch {}
    }

    function _values() private view returns (uint256[3] memory values) {
        IVault.Strategy[] memory all = VAULT.strategies();
        for (uint256 i; i < 3; ++i) {
            values[i] = worth(address(all[i].target), all[i].shares);
        }
    }

    function _checkWalls(uint256 start, uint256 nav) private {
        IVault.Strategy[] memory all = VAULT.strategies();
        uint256[3] memory values = _values();
        for (uint256 i; i < 3; ++i) {
            _promise(values[i] <= Math.mulDiv(nav, all[i].relativeCap, WAD), "over the relative cap");
            _promise(values[i] <= all[i].absoluteCap, "over the absolute cap");
        }
        uint256 end = VAULT.totalAssets();
        uint256 flash = start - nav;
        uint256 floor = Math.mulDiv(Math.saturatingSub(end, flash), _limits.idleFloor, WAD, Math.Rounding.Ceil);
        _promise(VAULT.idle() >= floor + flash || (floor == 0 && VAULT.idle() + 1 >= flash), "under the idle floor");
        _promise(VAULT.sharePrice() >= VAULT.drawdownFloor(), "rebalanced under the drawdown floor");
    }

    function _checkBudgets(uint256 start, uint256 nav, uint256[3] memory before) private {
        uint256 end = VAULT.totalAssets();
        uint256 loss = Math.saturatingSub(start, end);
        uint256 used = _losses.spend(nav == 0 ? 0 : Math.mulDiv(loss, WAD, nav));
        if (used > worst) worst = used;
        _promise(used <= WAD, "lost more than the loss budget");

        uint256 withdrawn;
        uint256 deposited;
        uint256[3] memory values = _values();
        for (uint256 i; i < 3; ++i) {
            withdrawn += Math.saturatingSub(before[i], values[i]);
            deposited += Math.saturatingSub(values[i], before[i]);
        }
        // What a position lost beyond what was moved is a loss, and rounding.
        uint256 moved = Math.max(Math.saturatingSub(withdrawn, loss + 8 + _was.rounding), deposited);
        used = _turnovers.spend(nav == 0 ? 0 : Math.mulDiv(moved, WAD, nav));
        _promise(used <= WAD, "moved more than the turnover budget");
    }

    /* DONORS */

    function donateAssets(uint256 assets) external action("donation", true) {
        ASSET.mint(address(VAULT), bound(assets, 0, MOST / 1e3));
    }

    function donateStrategyShares(uint256 at, uint256 assets) external action("donation of shares", true) {
        PlainStrategy strategy = _strategy(at % 3);
        assets = bound(assets, 0, MOST / 1e3);
        uint256 nav = VAULT.totalAssets();
        ASSET.mint(address(this), assets);
        ASSET.approve(address(strategy), assets);
        try strategy.deposit(assets, address(VAULT)) {
            // The strategy's rounding may favour its holders; the shares themselves are not in the vault's books.
            _promise(VAULT.totalAssets() <= nav + strategy.convertToAssets(1) + 1, "donated shares count");
        } catch {}
    }

    /* DEPOSITORS, THE THIEF AMONG THEM */

    function deposit(uint256 who, uint256 assets) external action("deposit", true) {
        address depositor = _fund(who, assets = bound(assets, 0, MOST));
        bool open = VAULT.maxDeposit(depositor) != 0;
        uint256 expected = VAULT.previewDeposit(assets);
        vm.prank(depositor);
        try VAULT.deposit(assets, depositor) returns (uint256 shares) {
            _promise(assets == 0 || (open && !_halted && _healthy()), "deposited while closed");
            _promise(shares == expected, "deposit is not what was previewed");
        } catch {
            _promise(!open && assets != 0, "deposit refused while open");
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
            _promise(shares == 0 || (open && !_halted && _healthy()), "minted while closed");
            _promise(assets == expected, "mint is not what was previewed");
        } catch {
            _promise(!open && shares != 0, "mint refused while open");
        }
    }

    function withdraw(uint256 who, uint256 assets) external action("withdraw", true) {
        address depositor = depositors[who % depositors.length];
        assets = bound(assets, 0, VAULT.maxWithdraw(depositor));
        uint256 expected = VAULT.previewWithdraw(assets);
        vm.prank(depositor);
        try VAULT.withdraw(assets, depositor, depositor) returns (uint256 shares) {
            _halted = _halted || _was.past;
            _promise(shares == expected, "withdraw is not what was previewed");
        } catch {
            _promise(false, "maxWithdraw is not true");
        }
    }

    function redeem(uint256 who, uint256 shares) external action("redeem", true) {
        address depositor = depositors[who % depositors.length];
        shares = bound(shares, 0, VAULT.maxRedeem(depositor));
        uint256 expected = VAULT.previewRedeem(shares);
        vm.prank(depositor);
        try VAULT.redeem(shares, depositor, depositor) returns (uint256 assets) {
            _halted = _halted || _was.past;
            _promise(assets == expected, "redeem is not what was previewed");
        } catch {
            _promise(false, "maxRedeem is not true");
        }
    }

    /// @dev Open in every state, for every share.
    function redeemInKind(uint256 who, uint256 shares) external action("redemption in kind", true) {
        address depositor = depositors[who % depositors.length];
        shares = bound(shares, 0, VAULT.balanceOf(depositor));
        uint256 nav = VAULT.totalAssets();
        uint256 supply = VAULT.totalSupply();
        vm.prank(depositor);
        try VAULT.redeemInKind(shares, depositor, depositor) returns (uint256 assets, uint256[] memory parts) {
            for (uint256 i; i < 3; ++i) {
                assets += worth(address(_strategy(i)), parts[i]);
            }
            _promise(assets <= Math.mulDiv(nav + 1, shares, supply + 1e6) + _was.rounding, "more than the fair part");
        } catch {
            _promise(false, "could not leave in kind");
        }
    }

    function _fund(uint256 who, uint256 assets) private returns (address depositor) {
        depositor = depositors[who % depositors.length];
        ASSET.mint(depositor, assets);
        vm.prank(depositor);
        ASSET.approve(address(VAULT), assets);
    }

    /* THE MARKET AND THE CLOCK */

    function gain(uint256 at, uint256 share) external action("gain", true) {
        address strategy = address(_strategy(at % 3));
        ASSET.mint(strategy, ASSET.balanceOf(strategy) * bound(share, 0, 0.1e18) / WAD);
    }

    function lose(uint256 at, uint256 share) external action("loss", false) {
        address strategy = address(_strategy(at % 3));
        // Mostly small change; now and then a loss that trips the vault.
        uint256 most = share % 5 == 0 ? 0.6e18 : 0.02e18;
        ASSET.burn(strategy, ASSET.balanceOf(strategy) * bound(share, 0, most) / WAD);
    }

    function setLiquidity(uint256 at, uint256 liquidity) external action("liquidity", true) {
        uint256 liquid = liquidity % 3 == 0 ? bound(liquidity, 0, MOST) : type(uint256).max;
        (at % 2 == 0 ? A : B).setLiquidity(liquid);
    }

    /// @dev A strategy whose valuation fails, one way or another; mostly it comes back at once.
    function setFault(uint256 at, uint256 fault) external action("fault", false) {
        MockStrategy.Fault f = fault % 4 == 0 ? MockStrategy.Fault(bound(fault, 1, 3)) : MockStrategy.Fault.None;
        (at % 2 == 0 ? A : B).setFault(MockStrategy.Part.PreviewRedeem, f);
    }

    function wait(uint256 time) external action("time", true) {
        vm.warp(block.timestamp + bound(time, 0, time % 4 == 0 ? 60 days : 1 days));
    }

    /* ANYONE */

    function trip(address anyone) external action("trip", true) {
        vm.prank(anyone);
        try VAULT.trip() {
            _promise(_was.past && !_halted, "tripped within the limit");
            _halted = true;
        } catch {
            _promise(!_was.past || _halted, "trip refused past the limit");
        }
    }

    function unwind(uint256 at, address anyone) external action("unwind", true) {
        bool open = _halted || block.timestamp > VAULT.lastSeen() + _limits.maxSilence;
        vm.prank(anyone);
        try VAULT.unwind(address(_strategy(at % 3))) {
            _promise(open, "unwound while the keeper is there");
        } catch {
            _promise(!open || _faulty(A) || _faulty(B), "unwind refused");
        }
    }

    function heartbeat(address anyone) external action("heartbeat", true) {
        if (anyone == address(0)) anyone = KEEPER; // whose name a cut keeper leaves, but from where nobody can send
        vm.prank(anyone);
        try VAULT.heartbeat() {
            _promise(anyone == KEEPER, "heartbeat of a stranger");
        } catch {}
    }

    /* GUARDIAN AND GOVERNANCE */

    /// @dev Whatever value it names, the guardian's call makes the limit tighter or is refused. The loss and turnover
    /// budgets are left alone here, so that there is something to steal.
    function tighten(uint256 which, uint256 value) external action("tightening", true) {
        IVault.Limit limit = IVault.Limit(which % 10);
        if (which % 7 != 0 || (uint256(limit) > 4 && uint256(limit) < 9)) return;
        if (limit == IVault.Limit.IdleFloor) value = bound(value, 0, 0.2e18);
        if (limit == IVault.Limit.Cooldown) value = bound(value, 0, 2 hours);
        if (limit == IVault.Limit.MaxSilence) value = bound(value, 0, 30 days);
        if (limit == IVault.Limit.PerformanceFee) value = bound(value, 0, 0.1e18);
        if (limit == IVault.Limit.MaxDrawdown) value = bound(value, 0.05e18, WAD);
        vm.prank(GUARDIAN);
        try VAULT.tighten(limit, value) {
            IVault.Limits memory now_ = VAULT.limits();
            _promise(now_.idleFloor >= _limits.idleFloor, "guardian loosened the idle floor");
            _promise(now_.maxDrawdown <= _limits.maxDrawdown, "guardian loosened the drawdown");
            _promise(now_.markGrowthRate == _limits.markGrowthRate, "guardian changed the growth rate");
            _promise(now_.cooldown >= _limits.cooldown, "guardian loosened the cooldown");
            _promise(now_.maxSilence <= _limits.maxSilence, "guardian loosened the silence");
            _promise(now_.lossCapacity <= _limits.lossCapacity, "guardian loosened the loss capacity");
            _promise(now_.lossRefill <= _limits.lossRefill, "guardian loosened the loss refill");
            _promise(now_.turnoverCapacity <= _limits.turnoverCapacity, "guardian loosened the turnover capacity");
            _promise(now_.turnoverRefill <= _limits.turnoverRefill, "guardian loosened the turnover refill");
            _promise(now_.performanceFee <= _limits.performanceFee, "guardian loosened the fee");
            _limits = now_;
        } catch {}
    }

    function tightenCaps(uint256 at, uint64 relativeCap, uint128 absoluteCap) external action("tightening", true) {
        IVault.Strategy memory s = VAULT.strategies()[at % 3];
        vm.prank(GUARDIAN);
        try VAULT.tightenCaps(address(s.target), relativeCap, absoluteCap) {
            IVault.Strategy memory t = VAULT.strategies()[at % 3];
            _promise(t.relativeCap <= s.relativeCap && t.absoluteCap <= s.absoluteCap, "guardian loosened a cap");
            // Governance sets them back, so that there is something to steal.
            vm.prank(GOVERNANCE);
            VAULT.loosenCaps(address(s.target), s.relativeCap, s.absoluteCap);
        } catch {}
    }

    /// @dev Nothing that loosens, however it is asked for.
    function guardianTriesToLoosen(uint256 which, uint256 value, address other) external action("guardian", true) {
        bytes[9] memory calls = [
            abi.encodeCall(VAULT.loosen, (IVault.Limit(value % 10), value)),
            abi.encodeCall(VAULT.loosenCaps, (address(A), 1e18, type(uint128).max)),
            abi.encodeCall(VAULT.resume, ()),
            abi.encodeCall(VAULT.setKeeper, (other)),
            abi.encodeCall(VAULT.addStrategy, (other, 1e18, type(uint128).max)),
            abi.encodeCall(VAULT.commitPolicy, (bytes32(value))),
            abi.encodeCall(VAULT.setFeeRecipient, (other)),
            abi.encodeCall(VAULT.removeStrategy, (address(B))),
            abi.encodeCall(VAULT.writeOff, (address(B)))
        ];
        vm.prank(GUARDIAN);
        (bool ok,) = address(VAULT).call(calls[which % 9]);
        _promise(!ok, "the guardian did what is governance's");
    }

    function halt(uint256 rare) external action("halt", true) {
        if (rare % 8 != 0) return;
        vm.prank(GUARDIAN);
        try VAULT.halt() {
            _halted = true;
        } catch {
            _promise(_halted, "the guardian could not halt");
        }
    }

    function cutKeeper(uint256 rare) external action("cutting the keeper off", true) {
        if (rare % 4 != 0) return;
        uint256 seen = VAULT.lastSeen();
        vm.prank(GUARDIAN);
        VAULT.cutKeeper();
        _promise(VAULT.keeper() == address(0), "the keeper was not cut off");
        _promise(VAULT.lastSeen() == seen, "the guardian held the dead man's switch off");
    }

    /// @dev Governance trusts the thief again, and resumes: the one way out of a halt.
    function resume() external {
        vm.prank(GOVERNANCE);
        VAULT.setKeeper(KEEPER);
        vm.prank(GOVERNANCE);
        try VAULT.resume() {
            _promise(_halted && _healthy(), "resumed what was not halted, or has no price");
            _halted = false;
        } catch {
            _promise(!_halted || !_healthy(), "governance could not resume");
        }
    }

    /* THE END */

    /// @notice Everybody leaves: in kind whatever the state, and the rest by `redeem` once the strategies pay again.
    function everybodyLeaves() external {
        for (uint256 i; i < depositors.length; ++i) {
            _leaveInKind(depositors[i], VAULT.balanceOf(depositors[i]) / 2);
        }
        A.setLiquidity(type(uint256).max);
        B.setLiquidity(type(uint256).max);
        A.setFault(MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.None);
        B.setFault(MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.None);
        for (uint256 i; i < depositors.length; ++i) {
            _leave(depositors[i], VAULT.balanceOf(depositors[i]));
        }
        _feeRecipientLeavesAgain();
        _promise(VAULT.totalSupply() == 0, "shares are left");
    }

    /// @dev Rounding in the vault's favour as the others leave is a gain. The fee on it is minted as the recipient
    /// itself leaves (`PerformanceFeeTest`), and again, on less and less.
    function _feeRecipientLeavesAgain() private {
        address recipient = VAULT.feeRecipient();
        for (uint256 i; i < 3 && VAULT.balanceOf(recipient) > 0; ++i) {
            _leave(recipient, VAULT.balanceOf(recipient));
        }
    }

    function _leaveInKind(address depositor, uint256 shares) private {
        vm.prank(depositor);
        try VAULT.redeemInKind(shares, depositor, depositor) {}
        catch {
            _promise(false, "could not leave in kind");
        }
    }

    function _leave(address depositor, uint256 shares) private {
        uint256 worth = VAULT.previewRedeem(shares);
        vm.prank(depositor);
        try VAULT.redeem(shares, depositor, depositor) returns (uint256 paid) {
            _promise(paid == worth, "left with less than promised");
        } catch {
            _promise(false, "could not leave");
        }
    }

    /// @notice Value of a strategy's shares; 0 where it does not answer.
    function worth(address strategy, uint256 shares) public view returns (uint256) {
        (bool ok, bytes memory answer) =
            strategy.staticcall{gas: 1_000_000}(abi.encodeCall(IERC4626.previewRedeem, (shares)));
        return ok && answer.length == 32 ? abi.decode(answer, (uint256)) : 0;
    }
}
