from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.units import YEAR
from agent.vault.bucket import Budget
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, MarketRow, PortfolioState, accrue, rebalance, step, unwind
from agent.vault.replay import replay

FREE = Costs(gas_base=0.0, gas_per_move=0.0)
ALL = np.ones((1, 3), dtype=bool)
WIDE = Limits.uniform(2, 1.0, idle_floor=0.0)


def _row(*growth: float, gas: float = 0.0, seconds: float = 86_400.0) -> MarketRow:
    return _market(np.array([growth]), np.array([gas]), seconds)


def _market(growth: np.ndarray, gas: np.ndarray, seconds: float = 86_400.0, **more: np.ndarray) -> MarketRow:
    return MarketRow(np.zeros_like(growth), gas, growth, seconds, **more)


def _assert_same(alone: PortfolioState, whole: PortfolioState, row: int) -> None:
    for name, values in vars(alone).items():
        if name != "records":
            assert np.array_equal(values[0], getattr(whole, name)[row]), name
    for name, values in vars(alone.records).items():
        assert np.array_equal(values[0], getattr(whole.records, name)[row]), name


def test_step__moves_to_weights_then_earns(limits: Limits) -> None:
    opened = PortfolioState.open(1000.0, 3)
    result = step(opened, np.array([[0.5, 0.3, 0.0]]), ALL, _row(1.1, 1.0, 2.0), limits, FREE)
    assert np.allclose(result.state.assets, [[550.0, 300.0, 0.0]])
    assert np.allclose(result.state.idle, 200.0)
    assert result.turnover == pytest.approx(0.8)
    assert result.moved.tolist() == [[True, True, False]]


def test_step__held_positions__not_touched_and_drift(limits: Limits) -> None:
    opened = replace(PortfolioState.open(1000.0, 3), assets=np.array([[400.0, 300.0, 0.0]]), idle=np.array([300.0]))
    traded = np.array([[False, True, False]])
    result = step(opened, np.array([[9.0, 0.1, 9.0]]), traded, _row(1.5, 1.0, 1.0), limits, FREE)
    assert result.state.assets.tolist() == [[600.0, 100.0, 0.0]]
    assert result.state.weights[0, 0] == pytest.approx(0.5)


@given(st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_rebalance__without_costs__conserves_nav(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 17))
    limits = Limits.uniform(count, 0.6)
    state = PortfolioState.open(rng.uniform(1, 1e9, 8), count, 8)
    for _ in range(3):
        weights = limits.project(rng.normal(0, 1, (8, count)), state.nav)
        after = rebalance(state, weights, np.ones((8, count), dtype=bool), np.zeros(8), FREE, limits).state
        assert np.allclose(after.nav, state.nav, rtol=1e-14)
        assert np.allclose(after.weights, weights, atol=1e-13)
        assert (after.idle >= 0).all()
        state = accrue(after, rng.uniform(0.98, 1.1, (8, count)), 86_400.0, limits)


def test_fault_7_gas_is_money__charged_to_the_keeper_not_to_nav(limits: Limits) -> None:
    costs = Costs(gas_base=100.0, gas_per_move=10.0)
    weights = np.array([[0.5, 0.3, 0.0]])
    small = step(PortfolioState.open(1e3, 3), weights, ALL, _row(1, 1, 1, gas=0.5), limits, costs)
    large = step(PortfolioState.open(1e9, 3), weights, ALL, _row(1, 1, 1, gas=0.5), limits, costs)
    assert small.gas == large.gas == 0.5 * (100 + 2 * 10)  # two strategies move, whatever the size
    assert small.state.nav == 1e3
    assert small.state.net_worth == 1e3 - 60


def test_rebalance__entry_and_exit_costs__each_counted_once() -> None:
    held = replace(PortfolioState.open(1000.0, 2), assets=np.array([[500.0, 0.0]]), idle=np.array([500.0]))
    costs = Costs(0.0, 0.0, entry=np.array([0.0, 0.01]), exit=np.array([0.02, 0.0]))
    after = rebalance(held, np.array([[0.1, 0.4]]), np.ones((1, 2), dtype=bool), np.zeros(1), costs, WIDE).state
    assert after.assets.tolist() == [[100.0, 400.0 * 0.99]]
    assert after.idle[0] == pytest.approx(500 + 400 * 0.98 - 400)
    assert 1000 - after.nav[0] == pytest.approx(400 * 0.02 + 400 * 0.01)


def test_rebalance__haircut__lost_on_the_way_in_and_back_on_the_way_out() -> None:
    costs = Costs(0.0, 0.0, entry=0.001, exit=0.002, haircut=np.array([0.01, 0.0]))
    move = np.ones((1, 2), dtype=bool)
    entered = rebalance(PortfolioState.open(1000.0, 2), np.array([[0.4, 0.3]]), move, np.zeros(1), costs, WIDE).state
    worth = 400 * 0.999
    assert entered.assets[0] == pytest.approx([worth * 0.99, 300 * 0.999])
    left = rebalance(entered, np.zeros((1, 2)), move, np.zeros(1), costs, WIDE).state
    assert left.idle[0] == pytest.approx(300 + worth * 0.998 + 300 * 0.999 * 0.998)


def test_rebalance__haircut_that_comes_back__hides_no_loss_from_the_budget() -> None:
    limits = Limits.uniform(2, 1.0, idle_floor=0.0, loss_budget=Budget(0.1, 0.0))
    costs = Costs(0.0, 0.0, exit=np.array([0.0, 0.05]), haircut=np.array([0.2, 0.0]))
    held = replace(PortfolioState.open(1000.0, 2), assets=np.array([[400.0, 600.0]]), idle=np.zeros(1))
    after = rebalance(held, np.zeros((1, 2)), np.ones((1, 2), dtype=bool), np.zeros(1), costs, limits).state
    assert after.idle[0] == pytest.approx(400 / 0.8 + 600 * 0.95)
    assert after.loss_used[0] == pytest.approx(600 * 0.05 / 1000)


def test_flow__positions_with_a_haircut__who_enters_pays_their_worth() -> None:
    state = replace(PortfolioState.open(1000.0, 1), assets=np.array([[400.0]]), idle=np.array([500.0]))
    ask, price = 500 + 400 / 0.8, state.share_price[0]
    entered = state.flow(100.0, haircut=0.2)
    assert entered.supply[0] == pytest.approx(1000 * (1 + 100 / ask))
    assert entered.share_price[0] > price
    assert state.flow(-100.0, haircut=0.2).share_price[0] == pytest.approx(price)


def test_rebalance__exit_costs_eat_the_cash__deposits_shrink() -> None:
    held = replace(PortfolioState.open(1000.0, 2), assets=np.array([[1000.0, 0.0]]), idle=np.zeros(1))
    costs = Costs(0.0, 0.0, exit=0.1)
    after = rebalance(held, np.array([[0.0, 1.0]]), np.ones((1, 2), dtype=bool), np.zeros(1), costs, WIDE).state
    assert after.assets.tolist() == [[0.0, 900.0]]
    assert after.idle.tolist() == [0.0]


def test_accrue__mark__rises_no_faster_than_the_bid_may_grow() -> None:
    limits = Limits.uniform(1, 1.0, idle_floor=0.0, max_growth_rate=0.5)
    state = replace(PortfolioState.open(100.0, 1), assets=np.array([[100.0]]), idle=np.zeros(1))
    jumped = accrue(state, np.array([[2.0]]), YEAR / 10, limits)
    assert jumped.mark[0] == pytest.approx(1.05)
    followed = accrue(state, np.array([[1.001]]), YEAR / 10, limits)
    assert followed.mark[0] == pytest.approx(1.001)


def test_accrue__past_the_drawdown__halts_for_good_and_refuses_rebalances(limits: Limits) -> None:
    invested = replace(PortfolioState.open(1000.0, 3), assets=np.array([[1000.0, 0, 0]]), idle=np.zeros(1))
    fine = accrue(invested, np.array([[0.901, 1, 1]]), 1.0, limits)
    assert not fine.halted[0]
    halted = accrue(fine, np.array([[0.99, 1, 1]]), 1.0, limits)
    assert halted.halted[0]
    recovered = accrue(halted, np.array([[2.0, 1, 1]]), 1.0, limits)
    assert recovered.halted[0]
    result = step(recovered, np.array([[0.1, 0.5, 0.1]]), ALL, _row(1, 1, 1, gas=1.0), limits, Costs())
    assert result.refused[0]
    assert result.gas[0] == 0
    assert result.state.assets.tolist() == recovered.assets.tolist()


def test_flow__deposit_and_withdrawal__leave_share_price_and_drawdown() -> None:
    state = replace(PortfolioState.open(1000.0, 1), assets=np.array([[900.0]]), idle=np.array([50.0]))
    more, less = state.flow(500.0), state.flow(-50.0)
    for after in (more, less):
        assert after.share_price[0] == pytest.approx(state.share_price[0], rel=1e-15)
        assert after.drawdown[0] == pytest.approx(0.05)
    with pytest.raises(ShapeError, match="idle"):
        state.flow(-51.0)


def test_step__nan__refused(limits: Limits) -> None:
    opened = PortfolioState.open(1000.0, 3)
    with pytest.raises(NotFiniteError):
        step(opened, np.array([[np.nan, 0, 0]]), ALL, _row(1, 1, 1), limits, FREE)
    with pytest.raises(NotFiniteError):
        accrue(opened, np.array([[np.nan, 1, 1]]), 1.0, limits)
    with pytest.raises(NotFiniteError):
        PortfolioState.open(0.0, 3)


def _integer_vault(
    rng: np.random.Generator, prices: np.ndarray, count: int, nav: int
) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray]:
    """A vault in Python integers, as the Solidity one computes: base units of 1e-6, shares of strategies, WAD weights.

    Written from the vault's rules, not from `agent.vault.portfolio`: amounts are floored, shares are rounded against
    the vault, held positions keep their shares.
    """
    ray = 10**27
    length = len(prices)
    shares, idle = [0] * count, nav
    path: list[int] = []
    weights, traded, flows = np.zeros((length, count)), np.zeros((length, count), dtype=bool), np.zeros(length)
    limits = Limits.uniform(count, 0.6)
    for row in range(length):
        price = [round(value * ray) for value in prices[row]]
        total = idle + sum(s * p // ray for s, p in zip(shares, price, strict=True))
        path.append(total)
        if rng.random() < 0.2:
            deposit = int(rng.integers(1, 10**12))
            idle, total, flows[row] = idle + deposit, total + deposit, deposit / 1e6
        if rng.random() < 0.7:
            wads = [int(w * 10**18) for w in limits.project(rng.uniform(-1, 2, count), 1.0)]
            moved = rng.random(count) < 0.8
            value = [s * p // ray for s, p in zip(shares, price, strict=True)]
            target = [total * wads[i] // 10**18 if moved[i] else value[i] for i in range(count)]
            if sum(target) > total:
                moved[:] = True
                target = [total * w // 10**18 for w in wads]
            for i in range(count):
                if target[i] < value[i]:
                    shares[i] -= -(-(value[i] - target[i]) * ray // price[i])
                    idle += value[i] - target[i]
            for i in range(count):
                if target[i] > value[i]:
                    shares[i] += (target[i] - value[i]) * ray // price[i]
                    idle -= target[i] - value[i]
            weights[row], traded[row] = [w / 1e18 for w in wads], moved
    return path, weights, traded, flows


@pytest.mark.parametrize("seed", range(20))
def test_replay__share_prices_and_weights__reproduces_an_integer_vault_to_1e_9(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, length = int(rng.integers(2, 17)), 120
    prices = np.cumprod(1 + rng.uniform(-0.002, 0.003, (length, count)), axis=0) * rng.uniform(0.5, 2, count)
    expected, weights, traded, flows = _integer_vault(rng, prices, count, 10**13)
    nav = replay(prices, weights, traded, 1e7, flows=flows)
    assert np.abs(nav * 1e6 / np.array(expected, dtype=float) - 1).max() < 1e-9


def test_replay__from_held_positions__counts_them() -> None:
    prices = np.array([[1.0, 2.0], [1.1, 2.0]])
    none = np.zeros((2, 2), dtype=bool)
    nav = replay(prices, np.zeros((2, 2)), none, 100.0, assets=np.array([50.0, 10.0]))
    assert nav.tolist() == pytest.approx([100.0, 105.0])


def test_replay__wrong_shapes_or_prices__refused() -> None:
    good = np.ones((2, 2))
    with pytest.raises(ShapeError):
        replay(good, np.ones((3, 2)), good.astype(bool), 1.0)
    with pytest.raises(NotFiniteError):
        replay(good * np.nan, good, good.astype(bool), 1.0)
    with pytest.raises(ShapeError, match="one per row"):
        replay(good, good, good.astype(bool), 1.0, costs=[Costs()])


# --- cooldown and budgets ----------------------------------------------------------------------------------------


def _walled(**walls: object) -> Limits:
    return Limits.uniform(3, 1.0, idle_floor=0.0, **walls)  # type: ignore[arg-type]


def test_step__within_the_cooldown__is_refused() -> None:
    limits = _walled(cooldown=3600.0)
    first = step(
        PortfolioState.open(1000.0, 3), np.array([[0.5, 0, 0]]), ALL, _row(1, 1, 1, seconds=3599), limits, FREE
    )
    assert not first.refused[0]
    early = step(first.state, np.array([[0, 0.5, 0]]), ALL, _row(1, 1, 1, seconds=1), limits, FREE)
    assert early.refused[0]
    assert early.state.assets.tolist() == [[500.0, 0.0, 0.0]]
    assert early.state.allowance(limits).wait[0] == 0  # a refusal does not start it anew
    late = step(early.state, np.array([[0, 0.5, 0]]), ALL, _row(1, 1, 1), limits, FREE)
    assert not late.refused[0]


def test_step__turnover_budget__is_spent_refused_and_comes_back() -> None:
    limits = _walled(turnover_budget=Budget(1.0, 0.5))
    away, back = np.array([[0.75, 0, 0]]), np.array([[0, 0.75, 0]])
    first = step(PortfolioState.open(1000.0, 3), away, ALL, _row(1, 1, 1), limits, FREE)
    assert first.state.allowance(limits).turnover.tolist() == [0.75]  # 1 - 0.75 + half a day's refill of 0.5 x 1 day
    second = step(first.state, back, ALL, _row(1, 1, 1, seconds=0), limits, FREE)
    assert not second.refused[0]
    third = step(second.state, away, ALL, _row(1, 1, 1, seconds=0, gas=1.0), limits, Costs())
    assert third.refused[0]
    assert (third.gas[0], third.turnover[0]) == (0, 0)
    assert third.state.assets.tolist() == second.state.assets.tolist()
    assert third.state.allowance(limits).turnover.tolist() == [0.0]


def test_step__loss_budget__bounds_what_costs_may_take() -> None:
    limits = _walled(loss_budget=Budget(0.01, 0.0))
    costs = Costs(0.0, 0.0, entry=0.005, exit=0.005)
    state = PortfolioState.open(1000.0, 3)
    for target in ([0.8, 0, 0], [0.0, 0.8, 0], [0.8, 0, 0], [0, 0, 0.8], [0.4, 0, 0]):
        state = step(state, np.array([target]), ALL, _row(1, 1, 1), limits, costs).state
    assert 0.98 * 1000 < state.nav[0] <= 1000
    assert 1 - state.nav[0] / 1000 <= 0.01
    assert state.loss_used[0] == pytest.approx(0.004 + 0.0, abs=0.0061)


@given(st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_step__batch__equals_one_at_a_time_with_budgets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _walled(
        cooldown=float(rng.choice([0, 90_000])),
        turnover_budget=Budget(rng.uniform(0, 1), rng.uniform(0, 1)),
        loss_budget=Budget(rng.uniform(0, 0.005), 0.001),
    )
    costs = Costs(entry=0.001, exit=0.002)
    whole = PortfolioState.open(rng.uniform(1, 1e9, 8), 3, 8)
    parts = [replace(PortfolioState.open(1.0, 3), idle=whole.idle[[i]], supply=whole.supply[[i]]) for i in range(8)]
    for _ in range(4):
        weights, traded = rng.dirichlet(np.ones(4), 8)[:, :3], rng.random((8, 3)) < 0.7
        weights = np.where(traded, weights, 0)
        traded |= traded.any(-1, keepdims=True)
        growth, gas = rng.uniform(0.98, 1.1, (8, 3)), rng.uniform(0, 1, 8)
        result = step(whole, weights, traded, _market(growth, gas), limits, costs)
        whole = result.state
        for i in range(8):
            one = slice(i, i + 1)
            row = _market(growth[one], gas[one])
            alone = step(parts[i], weights[one], traded[one], row, limits, costs)
            parts[i] = alone.state
            assert alone.refused[0] == result.refused[i]
            _assert_same(alone.state, whole, i)


# --- depth, liquidity, costs per vault -----------------------------------------------------------------------------


def test_gain__own_deposit__dilutes_interest_by_the_square_of_the_utilisation() -> None:
    row = _market(np.full((1, 3), 1.01), np.zeros(1), depth=np.array([[300.0, np.inf, 300.0]]))
    gain = row.gain(np.array([[100.0, 100.0, 0.0]]))
    assert gain[0] == pytest.approx([1 + 0.01 * (300 / 400) ** 2, 1.01, 1.01], rel=1e-15)


def test_gain__factors__multiply_after_interest() -> None:
    row = _market(np.full((1, 2), 1.01), np.zeros(1), factors=np.array([[0.5, 1.0]]))
    assert row.gain(np.ones((1, 2))).tolist() == [[1.01 * 0.5, 1.01]]


def test_step__depth__counts_what_is_held_after_the_rebalance(limits: Limits) -> None:
    row = replace(_row(1.1, 1.1, 1.1), depth=np.full((1, 3), 500.0))
    result = step(PortfolioState.open(1000.0, 3), np.array([[0.5, 0.0, 0.0]]), ALL, row, limits, FREE)
    assert result.state.nav[0] == pytest.approx(1000 + 500 * 0.1 / 4)


def test_step__more_than_a_strategy_can_pay_out__refused_as_a_whole(limits: Limits) -> None:
    held = replace(PortfolioState.open(1000.0, 3), assets=np.array([[500.0, 100.0, 0.0]]), idle=np.array([400.0]))
    target = np.array([[0.2, 0.0, 0.5]])
    for paid_out, refused in ((300.0, False), (299.0, True), (0.0, True)):
        row = replace(_row(1, 1, 1, gas=1.0), liquidity=np.array([[paid_out, 100.0, 500.0]]))
        result = step(held, target, ALL, row, limits, Costs())
        assert result.refused[0] == refused
        assert (result.gas[0] == 0) == refused
        assert (result.state.assets[0, 2] == 0) == refused
    dry = replace(_row(1, 1, 1), liquidity=np.zeros((1, 3)))
    assert not step(held, np.array([[0.5, 0.1, 0.0]]), ALL, dry, limits, FREE).refused[0]  # it moves nothing


def test_step__more_into_a_strategy_than_it_could_pay_back__refused_as_a_whole(limits: Limits) -> None:
    held = replace(PortfolioState.open(1000.0, 3), assets=np.array([[500.0, 100.0, 0.0]]), idle=np.array([400.0]))
    target = np.array([[0.5, 0.3, 0.0]])  # all of the second, what is in it with what is added
    for cash, refused in ((300.0, False), (299.0, True), (0.0, True)):
        row = replace(_row(1, 1, 1, gas=1.0), liquidity=np.array([[0.0, cash, 0.0]]))
        result = step(held, target, ALL, row, limits, FREE)
        assert result.refused[0] == refused
        assert (result.state.assets[0, 1] == 100.0) == refused


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_step__costs_depth_and_liquidity_per_vault__equal_one_at_a_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _walled(loss_budget=Budget(0.003, 0.001))
    entry, leave = rng.uniform(0, 0.01, (8, 1)), rng.uniform(0, 0.01, (8, 3))
    impact = 10 ** rng.uniform(-12, -6, (8, 3)) * (rng.random((8, 1)) < 0.7)  # some vaults have none
    whole = PortfolioState.open(10 ** rng.uniform(3, 8, 8), 3, 8)
    parts = [replace(PortfolioState.open(1.0, 3), idle=whole.idle[[i]], supply=whole.supply[[i]]) for i in range(8)]
    for _ in range(4):
        weights, traded = rng.dirichlet(np.ones(4), 8)[:, :3], rng.random((8, 3)) < 0.7
        arrays = [rng.uniform(1, 1.1, (8, 3)), rng.uniform(0.9, 1.1, (8, 3)), 10 ** rng.uniform(3, 8, (8, 3))]
        arrays.append(10 ** rng.uniform(3, 8, (8, 3)))
        row = MarketRow(arrays[0] - 1, np.ones(8), arrays[0], 86_400.0, *arrays[1:])
        result = step(whole, weights, traded, row, limits, Costs(entry=entry, exit=leave, impact=impact))
        whole = result.state
        for i in range(8):
            one = slice(i, i + 1)
            costs = Costs(entry=float(entry[i, 0]), exit=leave[i], impact=impact[i])
            row = MarketRow(
                arrays[0][one] - 1, np.ones(1), arrays[0][one], 86_400.0, *(values[one] for values in arrays[1:])
            )
            alone = step(parts[i], weights[one], traded[one], row, limits, costs)
            parts[i] = alone.state
            assert alone.refused[0] == result.refused[i]
            _assert_same(alone.state, whole, i)


def test_costs__no_share_of_what_is_moved__refused() -> None:
    for costs in ({"entry": -1.0}, {"exit": np.array([0.0, 1.1])}, {"exit": np.nan}, {"entry": np.nan}):
        with pytest.raises(LimitsError, match="at most 1"):
            Costs(**costs)  # type: ignore[arg-type]
    for haircut in (-0.1, 1.0, np.nan):
        with pytest.raises(LimitsError, match="a haircut must be"):
            Costs(haircut=haircut)
    for impact in (-1e-12, np.nan, np.inf, np.array([0.0, -1.0])):
        with pytest.raises(LimitsError, match="an impact is a share per asset unit"):
            Costs(impact=impact)


def test_costs__switch__mean_of_entering_and_leaving() -> None:
    assert Costs().switch(2).tolist() == [0.0, 0.0]
    assert Costs(entry=0.001, exit=np.array([0.002, 0.004])).switch(2) == pytest.approx([0.004, 0.004])
    assert Costs(entry=np.array([[0.001], [0.002]])).switch(2).tolist() == [0.001, 0.002]


# --- costs that grow with the size of a leg ---------------------------------------------------------------------------

BOTH = np.ones((1, 2), dtype=bool)
NONE = np.zeros(1)


def test_rebalance__impact__a_leg_of_x_loses_x_times_impact_x_more() -> None:
    held = replace(PortfolioState.open(1000.0, 2), assets=np.array([[500.0, 0.0]]), idle=np.array([500.0]))
    costs = Costs(0.0, 0.0, entry=0.01, exit=np.array([0.02, 0.0]), impact=np.array([5e-5, 1e-4]))
    after = rebalance(held, np.array([[0.1, 0.3]]), BOTH, NONE, costs, WIDE).state
    assert after.assets[0] == pytest.approx([100.0, 300 * (1 - 0.01 - 0.03)])
    assert after.idle[0] == pytest.approx(500 + 400 * (1 - 0.02 - 0.02) - 300)
    assert after.loss_used[0] == pytest.approx((400 * 0.04 + 300 * 0.04) / 1000)
    scalar = rebalance(held, np.array([[0.1, 0.3]]), BOTH, NONE, replace(costs, impact=1e-4), WIDE).state
    assert scalar.idle[0] == pytest.approx(500 + 400 * (1 - 0.02 - 0.04) - 300)


def test_rebalance__impact_and_haircut__what_is_traded_is_the_worth() -> None:
    costs = Costs(0.0, 0.0, entry=0.001, exit=0.002, haircut=np.array([0.2, 0.0]), impact=1e-4)
    opened = PortfolioState.open(1000.0, 2)
    entered = rebalance(opened, np.array([[0.4, 0.3]]), BOTH, NONE, costs, WIDE).state
    worth = 400 * (1 - 0.001 - 0.04)
    assert entered.assets[0] == pytest.approx([worth * 0.8, 300 * (1 - 0.001 - 0.03)])
    left = rebalance(entered, np.zeros((1, 2)), BOTH, NONE, costs, WIDE).state
    other = 300 * (1 - 0.001 - 0.03)
    paid = worth * (1 - 0.002 - 1e-4 * worth) + other * (1 - 0.002 - 1e-4 * other)
    assert left.idle[0] == pytest.approx(300 + paid)
    unwound = unwind(entered, np.array([True]), costs)
    assert unwound.idle[0] == pytest.approx(300 + paid)


def test_rebalance__deposits_that_shrink__cost_by_what_is_deposited() -> None:
    held = replace(PortfolioState.open(1000.0, 2), assets=np.array([[1000.0, 0.0]]), idle=np.zeros(1))
    costs = Costs(0.0, 0.0, impact=1e-4)
    after = rebalance(held, np.array([[0.0, 1.0]]), BOTH, NONE, costs, WIDE).state
    assert after.assets[0] == pytest.approx([0.0, 900 * (1 - 0.09)])


def test_rebalance__twice_the_vault__loses_twice_the_share_and_its_budget_refuses() -> None:
    limits, costs = replace(WIDE, loss_budget=Budget(0.004)), Costs(0.0, 0.0, impact=1e-8)
    target = np.array([[0.5, 0.0]])
    small, large = (rebalance(PortfolioState.open(nav, 2), target, BOTH, NONE, costs, limits) for nav in (1e6, 2e6))
    assert small.state.loss_used[0] == pytest.approx(0.5 * 1e-8 * 0.5e6)
    assert not small.refused[0]
    assert large.refused[0]


def test_costs__a_leg_beyond_the_pool__loses_all_of_itself_and_no_more() -> None:
    costs = Costs(0.0, 0.0, entry=0.5, exit=0.25, haircut=0.1, impact=1e-3)
    state = replace(PortfolioState.open(3e6, 2), assets=np.array([[1e6, 0.0]]), idle=np.array([2e6]))
    after = rebalance(state, np.array([[0.0, 0.5]]), BOTH, NONE, costs, WIDE).state
    assert after.assets.tolist() == [[0.0, 0.0]]
    assert after.idle[0] == pytest.approx(0.5e6)
    assert after.loss_used[0] == pytest.approx(2.5 / 3)
    assert Costs(entry=-0.001, impact=0.01).entry_loss(np.array([0.0, 0.1, 200.0])).tolist() == [-0.001, 0.0, 1.0]


@given(st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_rebalance__any_impact__larger_vaults_lose_more_and_never_more_than_they_have(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 6))
    limits = Limits.uniform(count, 1.0, idle_floor=0.0, max_drawdown=1.0)
    costs = Costs(
        0.0,
        0.0,
        entry=rng.uniform(0, 0.02, count),
        exit=rng.uniform(0, 0.02, count),
        haircut=rng.choice([0.0, 0.01]),
        impact=10 ** rng.uniform(-11, 1, count),
    )
    navs, shares = np.sort(10 ** rng.uniform(2, 9, 8)), rng.dirichlet(np.ones(count + 1))[:count]
    state = PortfolioState.open(navs, count, 8, shares)
    target = np.tile(rng.dirichlet(np.ones(count + 1))[:count], (8, 1))
    done = rebalance(state, target, np.ones((8, count), dtype=bool), np.zeros(8), costs, limits).state
    change = target[0] - shares
    moved = np.maximum(-change, 0.0) * navs[:, None], np.maximum(change, 0.0) * navs[:, None]
    assert (np.diff(costs.charged(*moved) / navs) >= -1e-15).all()  # where all deposits are paid for
    assert (done.nav >= 0).all()
    assert (done.idle >= 0).all()
    assert (done.assets >= 0).all()
    assert np.isfinite(done.nav).all()
    assert (done.nav <= state.nav * (1 + 1e-12)).all() or (np.asarray(costs.haircut) > 0).all()


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_step__a_vault_without_impact_beside_others__bit_for_bit_as_without_any(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _walled(loss_budget=Budget(0.01, 0.001))
    costs = Costs(entry=rng.uniform(-0.001, 0.01, 3), exit=rng.uniform(0, 0.01, 3), haircut=rng.uniform(0, 0.01, 3))
    beside = replace(costs, impact=np.array([[0.0], [1e-9], [0.0], [1e-7]]))
    with_, without = (PortfolioState.open(10 ** np.arange(4.0, 8.0), 3, 4) for _ in range(2))
    for _ in range(4):
        weights, traded = rng.dirichlet(np.ones(4), 4)[:, :3], rng.random((4, 3)) < 0.8
        row = _market(rng.uniform(0.99, 1.02, (4, 3)), np.ones(4))
        with_, without = (
            step(state, weights, traded, row, limits, each).state for state, each in ((with_, beside), (without, costs))
        )
        for vault in (0, 2):
            assert np.array_equal(with_.assets[vault], without.assets[vault])
            assert with_.idle[vault] == without.idle[vault]
            assert with_.loss_used[vault] == without.loss_used[vault]
    assert not np.array_equal(with_.nav, without.nav)


def test_costs__of_leg__have_the_impact_in_their_shares() -> None:
    costs = Costs(entry=0.001, exit=np.array([0.002, 0.004]), impact=np.array([1e-9, 3e-9]))
    legs = costs.of_leg(1e6)
    assert np.asarray(legs.entry) == pytest.approx([0.002, 0.004])
    assert np.asarray(legs.exit) == pytest.approx([0.003, 0.007])
    assert legs.switch(2) == pytest.approx([0.008, 0.008])
    per_vault = costs.of_leg(np.array([[0.0], [1e6], [1e12]])).switch(3)
    assert per_vault == pytest.approx([0.004, 0.008, 2.0])


def test_replay__costs_with_impact__is_the_path_of_step(rng: np.random.Generator) -> None:
    count, length = 3, 40
    limits = Limits.uniform(count, 1.0, idle_floor=0.0, max_drawdown=1.0, max_growth_rate=1e300)
    prices = np.cumprod(rng.uniform(0.99, 1.02, (length, count)), axis=0)
    costs = [
        Costs(entry=rng.uniform(0, 0.002, count), exit=0.001, haircut=0.01, impact=10 ** rng.uniform(-10, -8, count))
        for _ in range(length)
    ]
    weights, traded = rng.dirichlet(np.ones(count + 1), length)[:, :count], rng.random((length, count)) < 0.7
    navs, state = [], PortfolioState.open(1e7, count)
    for row in range(length):
        navs.append(state.nav[0])
        growth = prices[[min(row + 1, length - 1)]] / prices[[row]]
        market = _market(growth, np.zeros(1), seconds=0.0)
        state = step(state, weights[[row]], traded[[row]], market, limits, costs[row]).state
    path = replay(prices, weights, traded, 1e7, costs=costs)
    assert path == pytest.approx(navs, rel=1e-12)
    flat = replay(prices, weights, traded, 1e7, costs=[replace(cost, impact=0.0) for cost in costs])
    assert flat[-1] > 1.01 * path[-1]
