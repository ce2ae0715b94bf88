// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IVaultTypes} from "../../../contracts/interfaces/IVaultTypes.sol";
import {MockStrategy} from "../mocks/MockStrategy.sol";
import {Token} from "../mocks/Token.sol";
import {VaultHarness} from "../utils/VaultHarness.sol";
import {Promises} from "./Promises.sol";
import {Windows} from "./Windows.sol";

/// @title The handler is the thief
/// @notice It holds the keeper's key and has capital of its own. It asks for any weights at any time, stands on the other
/// side of what a lossy strategy trades and chooses what that costs, tells the liar what to say, sandwiches its own rebalances
/// between a flash deposit and a withdrawal in one transaction, and donates. Around it: depositors, an accomplice among them,
/// the market, a guardian, governance, callers with too little gas, the clock.
///
/// Actions never revert by themselves. What an action must leave true is checked at once and, when it does not hold,
/// remembered in `broken`, for the invariants to find. One action is one transaction.
contract HostileKeeper is Promises {
    using Windows for Windows.Log;

    uint256 private constant HOLD = type(uint256).max;
    bytes32 private constant POLICY = keccak256("policy");
    address private constant GUARDIAN = address(0x6a7d);
    /// @dev The most that a transaction may use (EIP-7825). A strategy that wastes gas would take the campaign's own.
    uint256 private constant TRANSACTION_GAS = 1 << 24;

    address public immutable KEEPER;
    uint256 private immutable MOST;
    Token private immutable REWARD = new Token(18);

    address[] public depositors;

    constructor(
        VaultHarness vault,
        Set memory set,
        address governance,
        address accomplice,
        address[] memory depositors_,
        uint256 most
    ) Promises(vault, set, governance, accomplice) {
        MOST = most;
        KEEPER = vault.keeper();
        depositors = depositors_;
    }

    /* WHAT THE NEXT ACTION FINDS */

    /// @dev For one action the liar says what it likes, up or down, to one question or both.
    function lie(uint256 leaving, uint256 worth, uint256 hidden) external {
        _lieLeaving = _part(leaving);
        _lieWorth = worth % 2 == 0 ? _lieLeaving : _part(worth);
        if (hidden % 4 == 0) _hidden = bound(hidden, 0, MOST);
    }

    function _part(uint256 seed) private pure returns (uint256) {
        if (seed % 8 == 0) return 0;
        if (seed % 8 == 1) return WAD;
        if (seed % 8 == 2) return bound(seed, WAD, 1e40);
        return bound(seed, 0, 2e18);
    }

    /// @dev For one action leaving the lossy strategy costs something.
    function makeExitsCostly(uint256 impact) external {
        _impact = bound(impact, 0, impact % 2 == 0 ? 0.5e18 : 0.02e18);
    }

    /* THE THIEF: ANY WEIGHTS AT ANY TIME, AND THE OTHER SIDE OF THE TRADE */

    function rebalance(uint256[5] calldata seeds, uint256 style, uint256 impact) external action("rebalance", false) {
        uint256[] memory weights = new uint256[](COUNT);
        for (uint256 i; i < COUNT; ++i) {
            weights[i] = _weight(i, seeds[i], style >> (8 * i));
        }
        if (impact % 2 == 0) _flatter();
        LOSSY.setImpact(impact % 3 == 0 ? 0 : bound(impact, 0, 0.2e18));
        _rebalance(weights, type(uint256).max, TRANSACTION_GAS);
        LOSSY.setImpact(0);
        vm.clearMockedCalls();
    }

    /// @dev As much as the loss budget allows, to within what is chosen: in and out of the lossy strategy.
    function steal(uint256 share) external action("theft", false) {
        _steal(type(uint256).max, bound(share, 0.9e18, 1.01e18));
    }

    /// @dev The same around a flash deposit, which is taken out again in the same transaction.
    function stealWithFlashDeposit(uint256 assets, uint256 share) external action("theft with a flash deposit", false) {
        _forgone = true;
        uint256 nav = VAULT.valuation().nav;
        assets = bound(assets, 0, MOST);
        ASSET.mint(address(this), assets);
        ASSET.approve(address(VAULT), assets);
        try VAULT.deposit(assets, address(this)) returns (uint256 shares) {
            _between = VAULT.valuation().sharePrice;
            _steal(nav, bound(share, 0.9e18, 1.01e18));
            _leaveAfterTheft(shares, share);
            // The others lose no more of their price than the whole of the budget.
            uint256 floor = Math.mulDiv(_was.price, WAD - Math.min(WAD, _losses.capacity), WAD);
            uint256 rounding = Math.mulDiv(2 * _rounding(), 1e24, VAULT.totalSupply() + 1e6) + 1e6;
            bool kept = _halted || VAULT.valuation().sharePrice + rounding >= floor || _was.supply < 1e12;
            _promise(kept, "a flash deposit widened the budget");
        } catch {}
        ASSET.burn(address(this), ASSET.balanceOf(address(this)));
    }

    function _leaveAfterTheft(uint256 shares, uint256 seed) private {
        bool ok;
        if (seed % 2 == 0) {
            try VAULT.redeem(shares, address(this), address(this)) {
                ok = true;
            } catch {}
        } else {
            try VAULT.redeem(shares, address(this), address(this), 0) {
                ok = true;
            } catch {}
        }
        _halted = _halted || (ok && VAULT.halted());
        if (!ok) VAULT.transfer(depositors[0], shares);
    }

    function _steal(uint256 navBefore, uint256 share) private {
        if (!VAULT.valued()) return;
        uint256 nav = VAULT.valuation().nav;
        navBefore = Math.min(nav, navBefore);
        if (nav == 0) return;
        uint256 value = LOSSY.previewRedeem(VAULT.strategies()[2].shares);
        bool into = value * 5 < navBefore;
        uint256[] memory weights = new uint256[](COUNT);
        (weights[0], weights[1], weights[3], weights[4]) = (HOLD, HOLD, HOLD, HOLD);
        weights[2] = into ? Math.mulDiv(navBefore, 0.35e18, nav) : 0;
        uint256 target = Math.mulDiv(nav, weights[2], WAD);
        uint256 moved = target > value ? target - value : value - target;
        if (moved == 0) return;
        uint256 loss = Math.mulDiv(Math.min(navBefore, VAULT.totalAssets()), VAULT.lossBudget(), WAD);
        uint256 impact = Math.mulDiv(Math.mulDiv(loss, WAD, moved), share, WAD);
        LOSSY.setImpact(Math.min(impact, 0.5e18));
        _flatter();
        _rebalance(weights, navBefore, TRANSACTION_GAS);
        LOSSY.setImpact(_impact);
        vm.clearMockedCalls();
    }

    /// @dev The lossy strategy says it can pay everything without an impact, and so passes the wall of liquidity.
    function _flatter() private {
        vm.mockCall(
            address(LOSSY), abi.encodeCall(IERC4626.maxWithdraw, (address(VAULT))), abi.encode(type(uint128).max)
        );
    }

    function _weight(uint256 i, uint256 seed, uint256 style) private view returns (uint256) {
        style %= 8;
        if (style == 0) return HOLD;
        if (style == 1) return VAULT.strategies()[i].relativeCap;
        if (style == 2) return seed;
        if (style == 3) return bound(seed, 0, 1.2e18);
        if (style == 4) return 0;
        return bound(seed, 0, 0.24e18);
    }

    /* WHAT HOLDS AFTER A REBALANCE */

    struct Start {
        uint256 nav; // before a flash deposit
        uint256 base; // of the budgets
        uint256 flash;
        uint256 idle;
        uint256 honest;
        uint256 notShown;
        uint256 last;
        uint256[COUNT] values;
        IVaultTypes.Strategy[] strategies;
    }

    /// @param navBefore NAV at the start of the transaction.
    function _rebalance(uint256[] memory weights, uint256 navBefore, uint256 gas_) private {
        IVaultTypes.Rebalance memory request =
            IVaultTypes.Rebalance(VAULT.epoch(), block.timestamp, 0, weights, POLICY, bytes32(0));
        IVaultTypes.Valuation memory v = VAULT.valuation();
        Start memory s;
        s.nav = Math.min(v.nav, navBefore);
        s.base = Math.max(Math.min(s.nav, v.bid), 1);
        s.flash = v.nav - s.nav;
        (s.idle, s.honest, s.last) = (VAULT.idle(), _honest(), VAULT.lastRebalance());
        (s.notShown, s.values, s.strategies) = (_notShown(), _values(), VAULT.strategies());
        vm.prank(KEEPER);
        try VAULT.rebalance{gas: gas_}(request) {
            ++rebalances;
            _promise(!_halted, "rebalanced while halted");
            _promise(_was.valued, "rebalanced without a price");
            _promise(VAULT.keeper() == KEEPER, "rebalanced without the key");
            _promise(block.timestamp >= s.last + _limits.cooldown, "rebalanced within the cooldown");
            _checkWalls(s);
            _checkBudgets(s);
        } catch {}
    }

    function _checkWalls(Start memory s) private {
        IVaultTypes.Strategy[] memory all = VAULT.strategies();
        uint256[COUNT] memory values = _values();
        uint256 grew;
        for (uint256 i; i < COUNT; ++i) {
            if (all[i].shares <= s.strategies[i].shares) continue;
            grew |= 1 << i;
            _promise(values[i] <= Math.mulDiv(s.nav, all[i].relativeCap, WAD), "over the relative cap");
            _promise(values[i] <= all[i].absoluteCap, "over the absolute cap");
            uint256 most = IERC4626(all[i].target).maxWithdraw(address(VAULT));
            _promise(i > 1 || most + 2 >= values[i], "into a strategy that cannot pay back");
            most = s.strategies[i].recorded;
            most += Math.mulDiv(
                most, _limits.maxGrowthRate * (block.timestamp - s.strategies[i].recordedAt), WAD * YEAR
            );
            _promise(all[i].recorded <= most + s.idle + s.honest, "recorded more than was there");
            _promise(all[i].recordedAt == uint32(block.timestamp), "recorded at another time");
        }
        _checkGroups(s.nav, values, grew);

        IVaultTypes.Valuation memory v = VAULT.valuation();
        uint256 floor =
            Math.mulDiv(Math.saturatingSub(v.nav, s.flash), _limits.idleFloor, WAD, Math.Rounding.Ceil) + s.flash;
        _promise(VAULT.idle() + 32 >= Math.min(floor, s.idle), "idle taken under its floor");
        _promise(VAULT.sharePrice() >= VAULT.drawdownFloor(), "rebalanced under the drawdown floor");
    }

    function _checkGroups(uint256 nav, uint256[COUNT] memory values, uint256 grew) private {
        IVaultTypes.Group[] memory groups = VAULT.groups();
        for (uint256 g; g < groups.length; ++g) {
            if (groups[g].members & grew == 0) continue;
            uint256 sum;
            for (uint256 i; i < COUNT; ++i) {
                if (groups[g].members >> i & 1 == 1) sum += values[i];
            }
            _promise(sum <= Math.mulDiv(nav, groups[g].relativeCap, WAD), "over a group's relative cap");
            _promise(sum <= groups[g].absoluteCap, "over a group's absolute cap");
        }
    }

    /// @dev By the true worth of everything. What the liar claims to have moved, while it lies, is no turnover.
    function _checkBudgets(Start memory s) private {
        uint256[COUNT] memory values = _values();
        // What cannot be shown in the vault's own terms: the liar's and the nested vault's rounding.
        uint256 loss = Math.saturatingSub(s.honest, _honest() + (_lying ? 4 : 0));
        // A gain that the nested vault does not show yet stays behind in it, and is no loss that a price could tell.
        loss = Math.saturatingSub(loss, Math.saturatingSub(s.notShown, _notShown()));
        uint256 used = _losses.spend(Math.mulDiv(loss, WAD, s.base));
        if (used > worst) worst = used;
        _promise(used <= WAD, "lost more than the loss budget");

        uint256 withdrawn;
        uint256 deposited;
        for (uint256 i; i < COUNT; ++i) {
            if (i == 3 && _lying) continue;
            withdrawn += Math.saturatingSub(s.values[i], values[i]);
            deposited += Math.saturatingSub(values[i], s.values[i]);
        }
        // What a position lost beyond what was moved is a loss, and rounding.
        uint256 moved = Math.max(Math.saturatingSub(withdrawn, loss + 8 + _was.rounding), deposited);
        used = _turnovers.spend(Math.mulDiv(moved, WAD, s.base));
        _promise(used <= WAD, "moved more than the turnover budget");
    }

    /// @dev What the nested vault has gained and does not say yet, for the shares of it that are here.
    function _notShown() private view returns (uint256) {
        uint256 shares = VAULT.strategies()[4].shares;
        return Math.saturatingSub(honest(4, shares), claimed(address(NESTED), shares));
    }

    /* THE ACCOMPLICE, WHO KNOWS WHEN THE LIAR LIES */

    /// @dev Enters while the liar says it is worth little, and leaves in kind when it no longer does, all in one transaction.
    function robWhileLow(uint256 assets, uint256 part) external action("entering at a low price", false) {
        _forgone = true;
        uint256 others = _others();
        LIAR.lie(part % 4 == 0 ? 0 : bound(part, 0, WAD), part % 4 == 0 ? 0 : bound(part, 0, WAD), 0);
        _fund(ACCOMPLICE, assets = bound(assets, 0, MOST));
        vm.prank(ACCOMPLICE);
        try VAULT.deposit(assets, ACCOMPLICE) returns (uint256 shares) {
            _between = VAULT.valuation().sharePrice;
            LIAR.lie(_lieLeaving, _lieWorth, _hidden);
            VAULT.endTransaction(); // in kind not in the transaction of a deposit
            vm.prank(ACCOMPLICE);
            VAULT.redeemInKind(shares, ACCOMPLICE, ACCOMPLICE, new uint256[](0));
        } catch {}
        LIAR.lie(_lieLeaving, _lieWorth, _hidden);
        _book(others);
    }

    /// @dev What is in the liar goes; it says that all is well, and the accomplice leaves.
    function robWhileHigh(uint256 share, uint256 part) external action("leaving at a high price", false) {
        _forgone = true;
        share = share % 2 == 0 ? WAD : bound(share, 0, WAD);
        uint256 liar = LIAR.honest(VAULT.strategies()[3].shares);
        ASSET.burn(address(LIAR), Math.mulDiv(ASSET.balanceOf(address(LIAR)), share, WAD));
        uint256 left = Math.max(LIAR.honest(VAULT.strategies()[3].shares), 1);
        LIAR.lie(Math.mulDiv(liar + 1, WAD, left), Math.mulDiv(liar + 1, WAD, left), 0);
        _between = VAULT.valuation().sharePrice;
        uint256 others = _others();
        uint256 shares = VAULT.balanceOf(ACCOMPLICE);
        vm.prank(ACCOMPLICE);
        try VAULT.redeem(part % 2 == 0 ? shares : bound(part, 0, shares), ACCOMPLICE, ACCOMPLICE, 0) {
            _halted = _halted || VAULT.halted();
        } catch {}
        _book(others);
        LIAR.lie(_lieLeaving, _lieWorth, _hidden);
    }

    /* DONORS */

    function donateAssets(uint256 assets) external action("donation", true) {
        ASSET.mint(address(VAULT), bound(assets, 0, MOST / 1e3));
    }

    function donateStrategyShares(uint256 at, uint256 assets) external action("donation of shares", true) {
        IERC4626 strategy = _strategy(at % COUNT);
        assets = bound(assets, 0, MOST / 1e3);
        uint256 nav = VAULT.valuation().nav;
        ASSET.mint(address(this), assets);
        ASSET.approve(address(strategy), assets);
        try strategy.deposit(assets, address(VAULT)) {
            // The strategy's rounding may favour its holders; the shares themselves are not in the vault's books.
            bool kept = _lying || VAULT.valuation().nav <= nav + honest(at % COUNT, 1) + 4;
            // A nested vault's bid grows with what enters it.
            _promise(kept || at % COUNT == 4, "donated shares count");
        } catch {}
    }

    /* DEPOSITORS, THE THIEF AND THE ACCOMPLICE AMONG THEM */

    function deposit(uint256 who, uint256 assets) external action("deposit", true) {
        _deposit(_fund(_depositor(who), assets = bound(assets, 0, MOST)), assets);
    }

    function _deposit(address depositor, uint256 assets) private booked(depositor) {
        uint256 most = VAULT.maxDeposit(depositor);
        (bool priced, uint256 expected) = _ask(abi.encodeCall(VAULT.previewDeposit, (assets)), TRANSACTION_GAS);
        _promise(priced == (VAULT.valuation().broken == address(0)), "previewDeposit has no price, or shows one");
        vm.prank(depositor);
        try VAULT.deposit(assets, depositor) returns (uint256 shares) {
            _promise(assets == 0 || (!_halted && priced), "deposited while closed");
            _promise(assets <= most, "deposited more than the maximum");
            _promise(assets == 0 || shares == expected, "deposit is not what was previewed");
            _promise(assets == 0 || VAULT.valuation().ask <= _limits.depositCap + 4, "over the deposit cap");
        } catch {
            _promise(assets > most, "deposit refused while open");
        }
    }

    function mint(uint256 who, uint256 shares) external action("mint", true) {
        shares = bound(shares, 0, MOST * 1e6);
        (bool priced, uint256 expected) = _ask(abi.encodeCall(VAULT.previewMint, (shares)), TRANSACTION_GAS);
        _promise(priced == (VAULT.valuation().broken == address(0)), "previewMint has no price, or shows one");
        if (expected > MOST) return;
        _mint(_fund(_depositor(who), expected), shares, expected);
    }

    function _mint(address depositor, uint256 shares, uint256 expected) private booked(depositor) {
        uint256 most = VAULT.maxMint(depositor);
        vm.prank(depositor);
        try VAULT.mint(shares, depositor) returns (uint256 assets) {
            _promise(shares == 0 || !_halted, "minted while closed");
            _promise(shares == 0 || assets == expected, "mint is not what was previewed");
        } catch {
            _promise(shares > most, "mint refused while open");
        }
    }

    /// @dev While a strategy says it can pay more than it will without a cost, the maximum cannot know.
    function withdraw(uint256 who, uint256 assets) external action("withdraw", true) {
        address depositor = _depositor(who);
        uint256 most = VAULT.maxWithdraw(depositor);
        assets = bound(assets, 0, assets % 16 == 0 ? most + MOST : most);
        _withdraw(depositor, assets, most);
    }

    function _withdraw(address depositor, uint256 assets, uint256 most) private booked(depositor) {
        (, uint256 expected) = _ask(abi.encodeCall(VAULT.previewWithdraw, (assets)), TRANSACTION_GAS);
        vm.prank(depositor);
        try VAULT.withdraw(assets, depositor, depositor) returns (uint256 shares) {
            _halted = _halted || _was.past;
            _promise(_was.valued || assets == 0, "withdrew without a price");
            _promise(assets == 0 || shares == expected, "withdraw is not what was previewed");
        } catch {
            _promise(_lying || _costly || assets > most, "maxWithdraw is not true");
        }
    }

    function redeem(uint256 who, uint256 shares) external action("redeem", true) {
        address depositor = _depositor(who);
        uint256 most = VAULT.maxRedeem(depositor);
        shares = bound(shares, 0, shares % 16 == 0 ? most + MOST : most);
        _redeem(depositor, shares, most);
    }

    function _redeem(address depositor, uint256 shares, uint256 most) private booked(depositor) {
        (, uint256 expected) = _ask(abi.encodeCall(VAULT.previewRedeem, (shares)), TRANSACTION_GAS);
        vm.prank(depositor);
        try VAULT.redeem(shares, depositor, depositor) returns (uint256 assets) {
            _halted = _halted || _was.past;
            _promise(_was.valued || shares == 0, "redeemed without a price");
            _promise(shares == 0 || assets == expected, "redeem is not what was previewed");
        } catch {
            _promise(_lying || _costly || shares > most, "maxRedeem is not true");
        }
    }

    /// @dev Open in quarantine, and where leaving costs something: whoever leaves pays for it, within a bound of their own.
    function withdrawBounded(uint256 who, uint256 assets, uint256 maxShares) external action("bounded withdraw", true) {
        address depositor = _depositor(who);
        _forgone = _costly || _lying || !_was.valued;
        uint256 owned = VAULT.balanceOf(depositor);
        assets = bound(assets, 0, Math.mulDiv(owned, _was.price, 1e24) + 1);
        maxShares = maxShares % 2 == 0 ? owned : bound(maxShares, 0, owned);
        _withdrawBounded(depositor, assets, maxShares);
    }

    function _withdrawBounded(address depositor, uint256 assets, uint256 maxShares) private booked(depositor) {
        uint256 owned = VAULT.balanceOf(depositor);
        uint256 held = ASSET.balanceOf(depositor);
        vm.prank(depositor);
        try VAULT.withdraw(assets, depositor, depositor, maxShares) returns (uint256 shares) {
            _halted = _halted || _was.past;
            _promise(shares <= maxShares, "burned more than the bound");
            bool sum = VAULT.balanceOf(depositor) + shares == owned;
            _promise(sum || depositor == VAULT.feeRecipient(), "shares do not add up"); // whose fee is minted meanwhile
            uint256 paid = ASSET.balanceOf(depositor) - held;
            bool exact = paid == assets;
            _promise(exact || (depositor == ACCOMPLICE && paid > assets), "paid something else"); // who gets the impact
        } catch {}
    }

    function redeemBounded(uint256 who, uint256 shares, uint256 minAssets) external action("bounded redeem", true) {
        address depositor = _depositor(who);
        _forgone = _costly || _lying || !_was.valued;
        uint256 owned = VAULT.balanceOf(depositor);
        shares = bound(shares, 0, owned);
        minAssets = minAssets % 2 == 0 ? 0 : bound(minAssets, 0, Math.mulDiv(owned, _was.price, 1e24) + 1);
        _redeemBounded(depositor, shares, minAssets);
    }

    function _redeemBounded(address depositor, uint256 shares, uint256 minAssets) private booked(depositor) {
        uint256 held = ASSET.balanceOf(depositor);
        vm.prank(depositor);
        try VAULT.redeem(shares, depositor, depositor, minAssets) returns (uint256 assets) {
            _halted = _halted || _was.past;
            _promise(assets >= minAssets, "paid less than the bound");
            _promise(ASSET.balanceOf(depositor) >= held + assets, "paid less than it said");
            uint256 fair = Math.mulDiv(shares, _was.price + 1, 1e24) + 1;
            _promise(assets <= fair, "paid more than the price");
        } catch {}
    }

    /// @dev Open in every state, for every share; with parts that are not wanted, and with minimums.
    function redeemInKind(uint256 who, uint256 shares, uint256 skipped, uint256 minimum)
        external
        action("redemption in kind", true)
    {
        address depositor = _depositor(who);
        shares = bound(shares, 0, VAULT.balanceOf(depositor));
        uint256[] memory minimums = new uint256[](skipped % 3 == 0 ? COUNT + 1 : 0);
        if (minimums.length != 0) {
            for (uint256 i; i < minimums.length; ++i) {
                if (skipped >> (8 + i) & 1 == 1) minimums[i] = HOLD;
            }
            if (minimum % 4 == 0) minimums[minimum / 4 % minimums.length] = bound(minimum, 0, MOST);
            _forgone = true;
        }
        _redeemInKind(depositor, shares, minimums);
    }

    function _redeemInKind(address depositor, uint256 shares, uint256[] memory minimums) private booked(depositor) {
        uint256 fair = Math.mulDiv(_honest() + 1, shares, VAULT.totalSupply() + 1e6) + _was.rounding;
        vm.prank(depositor);
        try VAULT.redeemInKind(shares, depositor, depositor, minimums) returns (
            uint256 assets, uint256[] memory parts
        ) {
            _promise(minimums.length == 0 || assets >= minimums[0] || minimums[0] == HOLD, "idle under its minimum");
            for (uint256 i; i < COUNT; ++i) {
                uint256 minimum = minimums.length == 0 ? 0 : minimums[i + 1];
                _promise(minimum == HOLD ? parts[i] == 0 : parts[i] >= minimum, "a part under its minimum");
                assets += honest(i, parts[i]);
            }
            _promise(assets <= fair, "more than the fair part");
        } catch {
            bool demanding;
            for (uint256 i; i < minimums.length; ++i) {
                if (minimums[i] != HOLD && minimums[i] != 0) demanding = true;
            }
            _promise(demanding, "could not leave in kind");
        }
    }

    function _depositor(uint256 who) private view returns (address) {
        return depositors[who % depositors.length];
    }

    function _fund(address depositor, uint256 assets) private returns (address) {
        ASSET.mint(depositor, assets);
        vm.prank(depositor);
        ASSET.approve(address(VAULT), assets);
        return depositor;
    }

    function _ask(bytes memory question, uint256 gas_) private view returns (bool ok, uint256 answer) {
        bytes memory data;
        (ok, data) = address(VAULT).staticcall{gas: gas_}(question);
        if (ok) answer = abi.decode(data, (uint256));
    }

    /* CALLERS WITH TOO LITTLE GAS: AN ANSWER IS RIGHT, OR THERE IS NONE */

    function askWithLittleGas(uint256 which, uint256 gas_) external action("a question", true) {
        bytes[8] memory questions = [
            abi.encodeCall(VAULT.totalAssets, ()),
            abi.encodeCall(VAULT.maxWithdraw, (ACCOMPLICE)),
            abi.encodeCall(VAULT.maxRedeem, (ACCOMPLICE)),
            abi.encodeCall(VAULT.maxDeposit, (ACCOMPLICE)),
            abi.encodeCall(VAULT.previewDeposit, (MOST)),
            abi.encodeCall(VAULT.previewRedeem, (1e24)),
            abi.encodeCall(VAULT.highWaterMark, ()),
            abi.encodeCall(VAULT.valued, ())
        ];
        bytes memory question = questions[which % questions.length];
        (bool known, uint256 answer) = _ask(question, TRANSACTION_GAS);
        (bool told, uint256 said) = _ask(question, bound(gas_, 50_000, 3_000_000));
        _promise(!told || (known && said == answer), "a wrong answer with little gas");
    }

    function leaveWithLittleGas(uint256 who, uint256 shares, uint256 which, uint256 gas_)
        external
        action("leaving with little gas", true)
    {
        address depositor = _depositor(who);
        gas_ = bound(gas_, 100_000, 3_000_000);
        shares = bound(shares, 0, VAULT.balanceOf(depositor));
        _forgone = _costly || _lying || !_was.valued;
        if (which % 3 == 0) return _leaveInKindWithLittleGas(depositor, shares, gas_);
        (bool priced, uint256 expected) = _ask(abi.encodeCall(VAULT.previewRedeem, (shares)), TRANSACTION_GAS);
        uint256 others = _others();
        if (which % 3 == 1) {
            vm.prank(depositor);
            try VAULT.redeem{gas: gas_}(shares, depositor, depositor) returns (uint256 assets) {
                _halted = _halted || _was.past;
                _promise(shares == 0 || (priced && assets == expected), "redeem with little gas is another");
            } catch {}
        } else {
            vm.prank(depositor);
            try VAULT.redeem{gas: gas_}(shares, depositor, depositor, 0) returns (uint256 assets) {
                _halted = _halted || _was.past;
                bool right = !priced || _lying || _costly || assets + _was.rounding >= expected;
                _promise(right, "a bounded redeem with little gas is another");
            } catch {}
        }
        if (depositor == ACCOMPLICE) _book(others);
    }

    function _leaveInKindWithLittleGas(address depositor, uint256 shares, uint256 gas_) private booked(depositor) {
        IVaultTypes.Strategy[] memory all = VAULT.strategies();
        vm.prank(depositor);
        try VAULT.redeemInKind{gas: gas_}(shares, depositor, depositor, new uint256[](0)) returns (
            uint256, uint256[] memory parts
        ) {
            uint256 whole = VAULT.totalSupply() + shares + 1e6;
            for (uint256 i; i < COUNT; ++i) {
                _promise(parts[i] == Math.mulDiv(all[i].shares, shares, whole), "a part lost for want of gas");
            }
        } catch {}
    }

    function depositWithLittleGas(uint256 who, uint256 assets, uint256 gas_)
        external
        action("a deposit with little gas", true)
    {
        address depositor = _fund(_depositor(who), assets = bound(assets, 0, MOST / 1e3));
        uint256 others = _others();
        uint256 most = VAULT.maxDeposit(depositor);
        (, uint256 expected) = _ask(abi.encodeCall(VAULT.previewDeposit, (assets)), TRANSACTION_GAS);
        vm.prank(depositor);
        try VAULT.deposit{gas: bound(gas_, 100_000, 3_000_000)}(assets, depositor) returns (uint256 shares) {
            _promise(assets == 0 || (assets <= most && shares == expected), "a deposit with little gas is another");
        } catch {}
        if (depositor == ACCOMPLICE) _book(others);
    }

    function tripWithLittleGas(uint256 gas_) external action("trip with little gas", true) {
        try VAULT.trip{gas: bound(gas_, 50_000, 3_000_000)}() {
            _promise(_was.past && !_halted, "tripped for want of gas");
            _halted = true;
        } catch {}
    }

    function rebalanceWithLittleGas(uint256[5] calldata seeds, uint256 gas_)
        external
        action("rebalance with little gas", false)
    {
        uint256[] memory weights = new uint256[](COUNT);
        for (uint256 i; i < COUNT; ++i) {
            weights[i] = bound(seeds[i], 0, 0.22e18);
        }
        _rebalance(weights, type(uint256).max, bound(gas_, 300_000, 3_000_000));
    }

    /* THE MARKET AND THE CLOCK */

    function gain(uint256 at, uint256 share) external action("gain", true) {
        address strategy = _purse(at % COUNT);
        uint256 shares = VAULT.strategies()[4].shares;
        uint256 nested = honest(4, shares);
        ASSET.mint(strategy, ASSET.balanceOf(strategy) * bound(share, 0, 0.1e18) / WAD);
        // The nested vault shows a gain as slowly as any, and whoever enters meanwhile gets a part of what is still to come.
        growth += honest(4, shares) - nested;
    }

    function lose(uint256 at, uint256 share) external action("loss", false) {
        address strategy = _purse(at % COUNT);
        // Mostly small change; now and then a loss that trips the vault.
        uint256 most = share % 5 == 0 ? 0.6e18 : 0.02e18;
        ASSET.burn(strategy, ASSET.balanceOf(strategy) * bound(share, 0, most) / WAD);
    }

    function _purse(uint256 at) private view returns (address) {
        return at == 4 ? address(INNER) : address(_strategy(at));
    }

    function setLiquidity(uint256 at, uint256 liquidity) external action("liquidity", true) {
        uint256 liquid = liquidity % 3 == 0 ? bound(liquidity, 0, MOST) : type(uint256).max;
        _mock(at).setLiquidity(liquid);
    }

    /// @dev A strategy whose valuation fails, one way or another; mostly it comes back at once.
    function setFault(uint256 at, uint256 fault) external action("fault", false) {
        MockStrategy.Fault f = fault % 4 == 0 ? MockStrategy.Fault(bound(fault, 1, 3)) : MockStrategy.Fault.None;
        bool worth = fault % 3 == 0;
        MockStrategy.Part part = worth ? MockStrategy.Part.ConvertToAssets : MockStrategy.Part.PreviewRedeem;
        _mock(at).setFault(part, f);
    }

    function _mock(uint256 at) private view returns (MockStrategy) {
        return at % 3 == 0 ? A : at % 3 == 1 ? B : INNER;
    }

    /// @dev The nested vault's own keeper.
    function rebalanceNested(uint256 weight) external action("rebalance of the nested vault", true) {
        uint256[] memory weights = new uint256[](1);
        weights[0] = bound(weight, 0, 0.98e18);
        IVaultTypes.Rebalance memory request =
            IVaultTypes.Rebalance(NESTED.epoch(), block.timestamp, 0, weights, POLICY, bytes32(0));
        vm.prank(NESTED.keeper());
        try NESTED.rebalance{gas: TRANSACTION_GAS}(request) {} catch {}
    }

    function wait(uint256 time) external action("time", true) {
        time = bound(time, 0, time % 4 == 0 ? 60 days : 1 days);
        uint256 total = Math.max(VAULT.valuation().ask, Math.max(_honest(), _was.recorded));
        growth += Math.mulDiv(total, _limits.maxGrowthRate * time, WAD * YEAR);
        vm.warp(block.timestamp + time);
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

    function unwind(uint256 at, uint256 assets, address anyone) external action("unwind", false) {
        at %= COUNT;
        IVaultTypes.Strategy memory s = VAULT.strategies()[at];
        assets = assets % 2 == 0 ? type(uint256).max : bound(assets, 1, MOST);
        bool open = _halted || block.timestamp > VAULT.lastSeen() + _limits.maxSilence;
        uint256 value = claimed(address(s.target), s.shares);
        vm.prank(anyone);
        try VAULT.unwind{gas: TRANSACTION_GAS}(address(s.target), assets) {
            _promise(open, "unwound while the keeper is there");
            _checkUnwound(at, value);
        } catch {
            bool mayRefuse = s.shares == 0 || _lying || _costly || !_was.valued || at == 4;
            _promise(!open || mayRefuse || _illiquid(), "unwind refused");
        }
    }

    /// @dev The others lose no more by it than `UnwindLoss` of what was unwound.
    function _checkUnwound(uint256 at, uint256 value) private {
        if (!_was.valued || !VAULT.valued()) return;
        IVaultTypes.Strategy memory s = VAULT.strategies()[at];
        uint256 gone = Math.saturatingSub(value, claimed(address(s.target), s.shares));
        uint256 lost = Math.mulDiv(gone, _limits.unwindLoss, WAD) + _was.rounding;
        uint256 least = Math.saturatingSub(_was.price, Math.mulDiv(lost, 1e24, _was.supply + 1e6) + 1);
        _promise(VAULT.sharePrice() >= least, "an unwinding cost more than its limit");
    }

    function _illiquid() private view returns (bool) {
        return A.liquidity() != type(uint256).max || B.liquidity() != type(uint256).max;
    }

    function heartbeat(address anyone) external action("heartbeat", true) {
        if (anyone == address(0)) anyone = KEEPER; // whose name a cut keeper leaves, but from where nobody can send
        vm.prank(anyone);
        try VAULT.heartbeat() {
            _promise(anyone == KEEPER, "heartbeat of a stranger");
        } catch {}
    }

    function resign(address anyone, uint256 rare) external action("resignation", true) {
        if (rare % 8 == 0) anyone = KEEPER;
        if (anyone == address(0)) return;
        address before = VAULT.keeper();
        vm.prank(anyone);
        try VAULT.resign() {
            _promise(anyone == before && VAULT.keeper() == address(0), "a stranger resigned");
        } catch {
            _promise(anyone != before && VAULT.keeper() == before, "the keeper could not resign");
        }
    }

    /* GUARDIAN AND GOVERNANCE */

    /// @dev Whatever value it names, the guardian's call makes the limit tighter or is refused. The loss and turnover
    /// budgets are left alone here, so that there is something to steal.
    function tighten(uint256 which, uint256 value) external action("tightening", true) {
        IVaultTypes.Limit limit = IVaultTypes.Limit(which % 12);
        if (which % 7 != 0 || (uint256(limit) > 4 && uint256(limit) < 9)) return;
        if (limit == IVaultTypes.Limit.IdleFloor) value = bound(value, 0, 0.2e18);
        if (limit == IVaultTypes.Limit.Cooldown) value = bound(value, 0, 2 hours);
        if (limit == IVaultTypes.Limit.MaxSilence) value = bound(value, 0, 30 days);
        if (limit == IVaultTypes.Limit.PerformanceFee) value = bound(value, 0, 0.1e18);
        if (limit == IVaultTypes.Limit.MaxDrawdown) value = bound(value, 0.05e18, WAD);
        if (limit == IVaultTypes.Limit.UnwindLoss) value = bound(value, 0, 0.02e18);
        if (limit == IVaultTypes.Limit.DepositCap) value = bound(value, MOST, 5 * MOST);
        vm.prank(GUARDIAN);
        try VAULT.tighten(limit, value) {
            IVaultTypes.Limits memory now_ = VAULT.limits();
            _promise(now_.idleFloor >= _limits.idleFloor, "guardian loosened the idle floor");
            _promise(now_.maxDrawdown <= _limits.maxDrawdown, "guardian loosened the drawdown");
            _promise(now_.maxGrowthRate == _limits.maxGrowthRate, "guardian changed the growth rate");
            _promise(now_.cooldown >= _limits.cooldown, "guardian loosened the cooldown");
            _promise(now_.maxSilence <= _limits.maxSilence, "guardian loosened the silence");
            _promise(now_.lossCapacity <= _limits.lossCapacity, "guardian loosened the loss capacity");
            _promise(now_.lossRefill <= _limits.lossRefill, "guardian loosened the loss refill");
            _promise(now_.turnoverCapacity <= _limits.turnoverCapacity, "guardian loosened the turnover capacity");
            _promise(now_.turnoverRefill <= _limits.turnoverRefill, "guardian loosened the turnover refill");
            _promise(now_.performanceFee <= _limits.performanceFee, "guardian loosened the fee");
            _promise(now_.unwindLoss <= _limits.unwindLoss, "guardian loosened the loss of unwinding");
            _promise(now_.depositCap <= _limits.depositCap, "guardian loosened the deposit cap");
            _limits = now_;
        } catch {}
    }

    function tightenCaps(uint256 at, uint64 relativeCap, uint128 absoluteCap) external action("tightening", true) {
        IVaultTypes.Strategy memory s = VAULT.strategies()[at % COUNT];
        vm.prank(GUARDIAN);
        try VAULT.tightenCaps(address(s.target), relativeCap, absoluteCap) {
            IVaultTypes.Strategy memory t = VAULT.strategies()[at % COUNT];
            _promise(t.relativeCap <= s.relativeCap && t.absoluteCap <= s.absoluteCap, "guardian loosened a cap");
            // Governance sets them back, so that there is something to steal.
            vm.prank(GOVERNANCE);
            VAULT.loosenCaps(address(s.target), s.relativeCap, s.absoluteCap);
        } catch {}
    }

    function tightenGroup(uint256 at, uint64 relativeCap, uint128 absoluteCap) external action("tightening", true) {
        at %= VAULT.groups().length;
        IVaultTypes.Group memory g = VAULT.groups()[at];
        vm.prank(GUARDIAN);
        try VAULT.tightenGroup(at, relativeCap, absoluteCap) {
            IVaultTypes.Group memory h = VAULT.groups()[at];
            _promise(h.relativeCap <= g.relativeCap && h.absoluteCap <= g.absoluteCap, "guardian loosened a group");
            _promise(h.members == g.members, "guardian changed a group");
            vm.prank(GOVERNANCE);
            VAULT.setGroup(at, g);
        } catch {}
    }

    /// @dev Nothing that loosens, however it is asked for.
    function guardianTriesToLoosen(uint256 which, uint256 value, address other) external action("guardian", true) {
        IVaultTypes.Group memory group = IVaultTypes.Group(other, 1e18, type(uint128).max, 0);
        bytes[14] memory calls = [
            abi.encodeCall(VAULT.loosen, (IVaultTypes.Limit(value % 12), value)),
            abi.encodeCall(VAULT.loosenCaps, (address(A), 1e18, type(uint128).max)),
            abi.encodeCall(VAULT.resume, ()),
            abi.encodeCall(VAULT.setKeeper, (other)),
            abi.encodeCall(VAULT.addStrategy, (other, 1e18, type(uint128).max)),
            abi.encodeCall(VAULT.commitPolicy, (bytes32(value))),
            abi.encodeCall(VAULT.setFeeRecipient, (other)),
            abi.encodeCall(VAULT.removeStrategy, (address(B))),
            abi.encodeCall(VAULT.writeOff, (address(B))),
            abi.encodeCall(VAULT.setGroup, (0, group)),
            abi.encodeCall(VAULT.sweep, (address(REWARD), other)),
            abi.encodeCall(VAULT.restate, (value)),
            abi.encodeCall(VAULT.abdicate, (IVaultTypes.Limit(value % 12))),
            abi.encodeCall(VAULT.abdicateCaps, ())
        ];
        vm.prank(GUARDIAN);
        (bool ok,) = address(VAULT).call(calls[which % calls.length]);
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
        bool valued = VAULT.valued();
        vm.prank(GOVERNANCE);
        try VAULT.resume() {
            _promise(_halted && valued, "resumed what was not halted, or has no price");
            _halted = false;
        } catch {
            _promise(!_halted || !valued, "governance could not resume");
        }
    }

    /// @dev A token that is nobody's: governance takes it out. The asset and strategies' shares it cannot.
    function sweep(uint256 at, uint256 amount) external action("sweeping", true) {
        REWARD.mint(address(VAULT), amount = bound(amount, 0, MOST));
        uint256 before = REWARD.balanceOf(GOVERNANCE);
        vm.prank(GOVERNANCE);
        VAULT.sweep(address(REWARD), GOVERNANCE);
        _promise(REWARD.balanceOf(GOVERNANCE) == before + amount, "swept something else");
        address mine = at % (COUNT + 2) == COUNT ? address(ASSET) : address(VAULT);
        if (at % (COUNT + 2) < COUNT) mine = address(_strategy(at % (COUNT + 2)));
        vm.prank(GOVERNANCE);
        try VAULT.sweep(mine, GOVERNANCE) {
            _promise(false, "swept what is the depositors'");
        } catch {}
    }

    /// @dev The bid grows to what governance announced, and never beyond NAV.
    function restate(uint256 bid) external action("restating", true) {
        IVaultTypes.Valuation memory v = VAULT.valuation();
        bid = bound(bid, 0, 2 * v.nav);
        _forgone = true;
        vm.prank(GOVERNANCE);
        try VAULT.restate(bid) {
            _promise(_was.valued, "restated without a price");
            uint256 now_ = VAULT.valuation().bid;
            _promise(now_ <= Math.max(v.bid, Math.min(bid, v.nav)), "restated beyond NAV");
            growth += Math.saturatingSub(now_, v.bid);
        } catch {
            _promise(!_was.valued, "governance could not restate");
        }
    }

    /* THE END */

    /// @notice Everybody leaves: in kind whatever the state, and the rest by `redeem` once the strategies pay again.
    function everybodyLeaves() external {
        for (uint256 i; i < depositors.length; ++i) {
            _leaveInKind(depositors[i], VAULT.balanceOf(depositors[i]) / 2);
        }
        LIAR.lie(WAD, WAD, 0);
        LOSSY.setImpact(0);
        for (uint256 i; i < 3; ++i) {
            _mock(i).setLiquidity(type(uint256).max);
            _mock(i).setFault(MockStrategy.Part.PreviewRedeem, MockStrategy.Fault.None);
            _mock(i).setFault(MockStrategy.Part.ConvertToAssets, MockStrategy.Fault.None);
        }
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
        try VAULT.redeemInKind(shares, depositor, depositor, new uint256[](0)) {}
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
}
