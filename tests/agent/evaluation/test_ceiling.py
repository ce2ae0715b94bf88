from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from agent.backtest import Setting, run
from agent.errors import LimitsError
from agent.evaluation.ceiling import RESOLUTION, _legs, _of_one, admissible, hindsight
from agent.evaluation.fitted import fitted_baselines
from agent.evaluation.metrics import growth_rate
from agent.market.lending import SyntheticMarket
from agent.market.path import MarketPath
from agent.policies.rules import BASELINES, RandomFeasible
from agent.units import DAY, YEAR
from agent.vault.bucket import Budget
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState, rebalance
from tests.agent.made_up import path_of


def free(leg: float) -> Costs:
    return Costs(0.0, 0.0, entry=leg, exit=leg)


def linear_optimum(path: MarketPath, setting: Setting, leg: float) -> float:
    """Return the most that any plan earns per year, not compounded: a linear programme over all portfolios and days."""
    earned = (path.growth()[0] - 1.0).ravel()
    days, count = path.length - 1, path.count
    size = days * count
    unit = sparse.eye(size)
    moves = sparse.hstack([unit - sparse.eye(size, k=-count), -unit, unit])
    sums = sparse.hstack([sparse.kron(sparse.eye(days), np.ones((1, count))), sparse.csr_matrix((days, 2 * size))])
    budget = np.full(days, 1.0 - setting.limits.idle_floor)
    bounds = [(0.0, cap) for cap in np.tile(setting.limits.relative_caps, days)] + [(0.0, None)] * (2 * size)
    cost = np.concatenate([-earned, np.full(2 * size, leg)])
    solved = linprog(cost, A_ub=sums, b_ub=budget, A_eq=moves, b_eq=np.zeros(size), bounds=bounds, method="highs")
    return float(-solved.fun * YEAR / (DAY * days))


@pytest.mark.parametrize("leg", [0.0, 0.0001, 0.0005, 0.0010])
@pytest.mark.parametrize("count", [3, 5])
def test_hindsight__against_the_linear_programme_over_all_portfolios__within_the_resolution(
    market: SyntheticMarket, leg: float, count: int
) -> None:
    model = market.model if count == 3 else market.model.exchangeable(tuple("abcde"))
    path = replace(market, model=model).sample(np.random.default_rng(3), 1, 181)
    setting = Setting(Limits.uniform(count), costs=free(leg))
    found = float(growth_rate(hindsight(path, setting))[0])
    optimum = linear_optimum(path, setting, leg)
    compounding = optimum**2  # what interest on interest adds within the year, and more
    assert optimum - RESOLUTION - compounding / 10 < found < optimum + RESOLUTION + compounding


@pytest.mark.slow
@pytest.mark.parametrize("leg", [0.0, 0.0001, 0.0010])
@pytest.mark.parametrize("nav", [20_000.0, 1e7])
def test_hindsight__no_baseline_beats_it(market: SyntheticMarket, leg: float, nav: float) -> None:
    path = market.sample(np.random.default_rng(11), 4, 181)
    setting = Setting(Limits.uniform(3), costs=Costs(entry=leg, exit=leg), nav=nav)
    best = growth_rate(hindsight(path, setting))
    rules = [make() for make in BASELINES.values()]
    policies = [*rules, *fitted_baselines(path, setting), RandomFeasible(np.random.default_rng(0))]
    for policy in policies:  # even those that were fitted to this very path
        assert (growth_rate(run(policy, path, setting)) <= best + RESOLUTION).all(), policy.name


def test_hindsight__knows_the_future_but_keeps_the_walls(setting: Setting) -> None:
    rates = np.tile([0.01, 0.02, 0.03], (40, 1))
    rates[20:] = [0.4, 0.02, 0.03]  # seen at row 20, earned from row 19 on
    result = hindsight(path_of(rates), replace(setting, costs=free(0.0)))
    assert result.policy == "hindsight"
    assert result.weights[0, 18] == pytest.approx([0.0, 0.38, 0.6], abs=1e-3)
    assert result.weights[0, 19] == pytest.approx([0.6, 0.0, 0.38], abs=1e-3)
    assert (result.weights[0, :-1] <= 0.61).all()  # interest of 40 % a year carries it past
    assert (result.weights[0, :-1].sum(-1) <= 0.981).all()


def test_hindsight__a_loss_ahead__is_idle_for_it(setting: Setting) -> None:
    factors = np.ones((20, 3))
    factors[10] = 0.9
    result = hindsight(path_of(np.full((20, 3), 0.05), factors=factors), replace(setting, costs=free(0.0001)))
    assert result.weights[0, 9].sum() == pytest.approx(0.0, abs=1e-9)
    assert not result.halted.any()
    assert result.net_worth[0, -1] > setting.nav


def test_hindsight__money_that_cannot_leave__plans_around_it(setting: Setting) -> None:
    rates = np.tile([0.30, 0.05, 0.0], (60, 1))
    rates[20:] = [0.0, 0.05, 0.30]
    liquidity = np.full((60, 3), np.inf)
    liquidity[19:, 0] = 0.0  # whoever is in the first then stays for good
    result = hindsight(path_of(rates, liquidity=liquidity), replace(setting, costs=free(0.0)))
    assert not result.refused.any()
    assert result.weights[0, 17, 0] == pytest.approx(0.6, abs=1e-2)
    assert result.weights[0, 40, 0] == 0.0


def test_hindsight__impact__a_lead_pays_for_a_small_vault_and_not_for_a_large_one(setting: Setting) -> None:
    rates = np.tile([0.05, 0.05, 0.05], (40, 1))
    rates[10:, 1] = 0.10
    costs = replace(free(0.0), impact=1e-10)
    small, large = (
        hindsight(path_of(rates), replace(setting, costs=costs, nav=nav, start_weights=(0.6, 0.0, 0.38)))
        for nav in (1e4, 1e9)
    )
    assert small.weights[0, 20, 1] == pytest.approx(0.6, abs=1e-2)
    assert large.turnover.sum() == 0.0  # even of a twentieth the legs lose more than the lead earns


def test_hindsight__impact_and_haircut__are_those_of_the_money_math(setting: Setting) -> None:
    costs = replace(free(0.0), entry=0.001, exit=0.002, haircut=0.01, impact=1e-9)
    rng = np.random.default_rng(4)
    now, then = rng.dirichlet(np.ones(4), 20)[:, :3], rng.dirichlet(np.ones(4), 20)[:, :3] * 0.9
    state = PortfolioState.open(1e7, 3, 20, now)
    done = rebalance(state, then, np.ones((20, 3), dtype=bool), np.zeros(20), costs, Limits.uniform(3)).state
    paid_for = done.idle > 0  # no deposit has shrunk
    assert paid_for.sum() > 10
    found = _legs(then - now, _of_one(costs, 0, 3), 1e7)
    assert found[paid_for] == pytest.approx(np.log(done.nav / state.nav)[paid_for], rel=1e-9)


def test_hindsight__own_deposit_dilutes__spreads(setting: Setting) -> None:
    rates = np.tile([0.050, 0.049, 0.048], (30, 1))
    deep, shallow = (
        hindsight(path_of(rates, depth=np.full((30, 3), depth)), replace(setting, costs=free(0.0)))
        for depth in (1e12, 1e7)
    )
    assert deep.weights[0, 5] == pytest.approx([0.6, 0.38, 0.0], abs=1e-3)
    assert shallow.weights[0, 5] == pytest.approx([0.98 / 3] * 3, abs=0.03)


def test_hindsight__warm_up_latency_and_budgets__a_run_like_any_other(market: SyntheticMarket, limits: Limits) -> None:
    path = market.sample(np.random.default_rng(5), 2, 91)
    bound = replace(limits, turnover_budget=Budget(1.0, 0.01))
    late = hindsight(path, Setting(bound, costs=free(0.0), latency=3), warm_up=30)
    assert late.nav.shape == (2, 61)
    assert (late.turnover.sum(1) <= 1.0 + 0.01 * 60 + 1e-9).all()
    assert np.array_equal(late.nav, hindsight(path, Setting(bound, costs=free(0.0)), warm_up=30).nav)


def test_admissible__corners_and_grid__within_the_limits() -> None:
    for count, cap in ((1, 0.6), (3, 0.6), (5, 0.4), (16, 0.6)):
        limits = Limits.uniform(count, cap)
        found = admissible(Setting(limits))
        assert not found[0].any()
        assert (found <= cap).all()
        assert (found.sum(-1) <= 0.98 + 1e-12).all()
        assert len(np.unique(found.round(9), axis=0)) == len(found)
    corners = {tuple(row) for row in admissible(Setting(Limits.uniform(3))).round(3)}
    assert {(0.6, 0.38, 0.0), (0.0, 0.38, 0.6), (0.0, 0.6, 0.0)} <= corners
    with pytest.raises(LimitsError, match="corners"):
        admissible(Setting(Limits.uniform(16, 0.1)))
