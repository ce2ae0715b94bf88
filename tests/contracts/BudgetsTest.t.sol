// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVaultTypes} from "../../contracts/interfaces/IVaultTypes.sol";
import {BaseTest} from "./BaseTest.sol";
import {Token} from "./mocks/Token.sol";

/// @notice Loss budget, turnover budget, cooldown: what bounds a stolen key.
abstract contract BudgetsTest is BaseTest {
    uint64 internal constant LOSS = 0.01e18;
    uint64 internal constant LOSS_REFILL = uint64(0.01e18) / 1 weeks;
    uint64 internal constant TURNOVER = 1e18;
    uint64 internal constant TURNOVER_REFILL = uint64(1e18) / 1 days;

    function _limits() internal view override returns (IVaultTypes.Limits memory limits) {
        limits = super._limits();
        (limits.lossCapacity, limits.lossRefill) = (LOSS, LOSS_REFILL);
        (limits.turnoverCapacity, limits.turnoverRefill) = (TURNOVER, TURNOVER_REFILL);
    }

    function setUp() public override {
        super.setUp();
        _deposit(ALICE, 1000 * UNIT);
    }

    /* LOSS */

    function test_loss(uint256 slippage) public {
        slippage = bound(slippage, 10 * UNIT + 1, 90 * UNIT);
        a.setSlippage(slippage);
        uint256 loss = (slippage * WAD + 1000 * UNIT - 1) / (1000 * UNIT);
        _refused(0.5e18, 0, 0, abi.encodeWithSelector(IVaultTypes.LossBudgetExceeded.selector, loss, LOSS));
        assertEq(vault.lossBudget(), LOSS);

        a.setSlippage(10 * UNIT);
        _rebalance(0.5e18, 0, 0);
        assertEq(vault.totalAssets(), 990 * UNIT);
        assertEq(vault.lossBudget(), 0);
    }

    /// @dev Many small losses are bounded like one large one, and the budget comes back at its rate.
    function test_loss_addsUpAndComesBack(uint256 first, uint256 wait) public {
        first = bound(first, 1, 10 * UNIT - 1);
        wait = bound(wait, 0, 2 weeks);
        a.setSlippage(first);
        _rebalance(0.3e18, 0, 0);
        uint256 spent = (first * WAD + 1000 * UNIT - 1) / (1000 * UNIT);
        assertEq(vault.lossBudget(), LOSS - spent);
        vm.warp(block.timestamp + wait);
        uint256 back = uint256(LOSS_REFILL) * wait;
        uint256 budget = LOSS - (spent > back ? spent - back : 0);
        assertEq(vault.lossBudget(), budget);

        uint256 nav = vault.totalAssets();
        a.setSlippage(nav * budget / WAD + 1);
        IVaultTypes.Rebalance memory request = _request(0.6e18, 0, 0);
        vm.expectPartialRevert(IVaultTypes.LossBudgetExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
        a.setSlippage(nav * budget / WAD);
        _rebalance(0.6e18, 0, 0);
        assertLe(vault.lossBudget(), WAD / (nav / 4));
    }

    /// @dev The market's losses are not the keeper's: they cost no budget and block no rebalance within the drawdown.
    function test_loss_ofTheMarketCostsNoBudget(uint256 loss) public {
        _rebalance(0.5e18, 0.2e18, 0);
        a.lose(bound(loss, 1, 99 * UNIT));
        _rebalance(0.3e18, 0.2e18, 0);
        assertApproxEqAbs(vault.lossBudget(), LOSS, 5 * WAD / (1000 * UNIT));
    }

    function test_loss_noBudgetAtAll() public {
        vm.prank(GOVERNANCE);
        vault.tighten(IVaultTypes.Limit.LossCapacity, 0);
        a.setSlippage(1);
        IVaultTypes.Rebalance memory request = _request(0.5e18, 0, 0);
        vm.expectPartialRevert(IVaultTypes.LossBudgetExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);
        a.setSlippage(0);
        _rebalance(0.5e18, 0, 0);
    }

    /// @dev Losses are summed leg by leg: what another position gains on being touched hides none.
    function test_loss_isNotHiddenByAGain(uint256 gain, uint256 slippage) public {
        gain = bound(gain, 10 * UNIT, 50 * UNIT);
        slippage = bound(slippage, 10 * UNIT + 10, 50 * UNIT);
        _rebalance(0.3e18, 0.3e18, 0);
        b.setCallback(address(asset), abi.encodeCall(Token.mint, (address(b), gain)));
        a.setSlippage(slippage);
        IVaultTypes.Rebalance memory request = _request(0.4e18, 0.2e18, 0);
        vm.expectPartialRevert(IVaultTypes.LossBudgetExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);

        a.setSlippage(5 * UNIT);
        _rebalance(0.4e18, 0.2e18, 0);
        assertApproxEqAbs(vault.lossBudget(), LOSS / 2, 5 * WAD / (1000 * UNIT));
        assertGt(_nav(), 1000 * UNIT, "a gain on balance");
    }

    /// @dev Shares of no more than the bid: a valuation that is too high widens neither.
    function test_budgets_areNotWidenedByALie(uint256 lie) public {
        lie = bound(lie, 100 * UNIT, 20_000 * UNIT);
        _rebalance(0.3e18, 0.1e18, 0);
        c.setSlippage(11 * UNIT);
        a.gain(lie);
        uint256 nav = _nav();
        IVaultTypes.Rebalance memory request = _request(HOLD, HOLD, 100 * UNIT * WAD / nav);
        vm.expectPartialRevert(IVaultTypes.LossBudgetExceeded.selector);
        vm.prank(KEEPER);
        vault.rebalance(request);

        c.setSlippage(0);
        _rebalance(HOLD, HOLD, 100 * UNIT * WAD / nav);
        assertApproxEqRel(vault.turnoverBudget(), TURNOVER - 0.5e18, 0.001e18);
    }

    /// @dev One that is too low counts as it is said.
    function test_budgets_areOfTheLessThatALossLeft(uint256 loss) public {
        loss = bound(loss, UNIT, 90 * UNIT);
        _rebalance(0.3e18, 0.1e18, 0);
        a.lose(loss);
        _touch();
        a.gain(loss); // NAV is back, the bid is not
        uint256 bid = vault.totalAssets();
        _rebalance(HOLD, HOLD, 0.1e18);
        assertApproxEqAbs(
            vault.turnoverBudget(), TURNOVER - 0.4e18 - 100 * UNIT * WAD / bid, 5 + 5 * WAD / (900 * UNIT)
        );
    }

    /* TURNOVER */

    function test_turnover(uint256 first, uint256 wait) public {
        first = bound(first, 1e12, 0.6e18);
        wait = bound(wait, 0, 2 days);
        _rebalance(first, 0.1e18, 0);
        assertApproxEqAbs(vault.turnoverBudget(), TURNOVER - first - 0.1e18, 2 * WAD / (1000 * UNIT));
        vm.warp(block.timestamp + wait);
        uint256 expected = TURNOVER - first - 0.1e18 + uint256(TURNOVER_REFILL) * wait;
        if (expected > TURNOVER) expected = TURNOVER;
        assertApproxEqAbs(vault.turnoverBudget(), expected, 2 * WAD / (1000 * UNIT));
    }

    /// @dev A move from one strategy to another counts once.
    function test_turnover_countsAMoveOnce() public {
        _rebalance(0.5e18, 0, 0);
        assertEq(vault.turnoverBudget(), 0.5e18);
        _rebalance(0.1e18, 0.4e18, 0);
        assertEq(vault.turnoverBudget(), 0.1e18);
        _refused(0.3e18, 0.2e18, 0, abi.encodeWithSelector(IVaultTypes.TurnoverBudgetExceeded.selector, 0.2e18, 0.1e18));
        _rebalance(0.2e18, 0.3e18, 0);
        assertEq(vault.turnoverBudget(), 0);
        // What is held moves nothing.
        _rebalance(HOLD, HOLD, HOLD);
        vm.warp(block.timestamp + 1 days);
        assertApproxEqAbs(vault.turnoverBudget(), 1e18, 1 days);
    }

    /// @dev The budgets are right down to a vault of one base unit.
    function test_loss_ofTheLastUnit() public {
        _redeemAll(ALICE);
        _deposit(BOB, 1);
        vm.startPrank(GOVERNANCE);
        vault.loosenCaps(address(a), 1e18, type(uint128).max);
        vault.loosen(IVaultTypes.Limit.IdleFloor, 0);
        vm.stopPrank();
        a.setSlippage(1);
        _refused(1e18, 0, 0, abi.encodeWithSelector(IVaultTypes.LossBudgetExceeded.selector, WAD, LOSS));
        a.setSlippage(0);
        _rebalance(1e18, 0, 0);
        assertEq(vault.turnoverBudget(), TURNOVER - WAD);
    }

    /// @dev Against the keeper.
    function test_turnover_isRoundedUp() public {
        _deposit(BOB, 7);
        uint256 nav = vault.totalAssets();
        _rebalance(0.1e18, 0, 0);
        uint256 moved = asset.balanceOf(address(a));
        assertGt(moved * WAD % nav, 0, "nothing to round");
        assertEq(vault.turnoverBudget(), TURNOVER - moved * WAD / nav - 1);
    }

    /* COOLDOWN */

    function test_cooldown(uint256 cooldown, uint256 early) public {
        cooldown = bound(cooldown, 1, 30 days);
        early = bound(early, 1, cooldown);
        vm.prank(GOVERNANCE);
        vault.tighten(IVaultTypes.Limit.Cooldown, cooldown);
        _rebalance(0.1e18, 0, 0);
        uint256 until = block.timestamp + cooldown;
        vm.warp(until - early);
        _refused(0, 0, 0, abi.encodeWithSelector(IVaultTypes.CooldownRunning.selector, until));
        vm.warp(until);
        _rebalance(0, 0, 0);
    }
}

contract BudgetsTest6 is BudgetsTest {
    constructor() BaseTest(6) {}
}

contract BudgetsTest18 is BudgetsTest {
    constructor() BaseTest(18) {}
}
