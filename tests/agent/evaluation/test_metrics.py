from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from agent.backtest import Backtest, Setting, run
from agent.evaluation.ceiling import hindsight
from agent.evaluation.metrics import (
    daily,
    drawdowns,
    growth_rate,
    headroom_captured,
    longest_under_water,
    measure,
    sharpe,
    tail_mean,
)
from agent.market.lending import SyntheticMarket
from agent.market.path import MarketPath
from agent.policies.rules import EqualWeight, Greedy
from agent.units import DAY
from agent.vault.portfolio import Costs
from tests.agent.made_up import autoregression, path_of


def with_worth(worth: list[float], spacing: int = DAY) -> Backtest:
    """Return a backtest whose net worth is this, without gas."""
    nav = np.array([worth])
    steps = nav.shape[1] - 1
    flags = np.zeros((1, steps), dtype=bool)
    return Backtest(
        policy="made up",
        nav=nav,
        drawdown=np.zeros_like(nav),
        weights=np.full((1, steps + 1, 2), 0.5),
        traded=np.zeros((1, steps, 2), dtype=bool),
        gas=np.zeros((1, steps)),
        turnover=np.zeros((1, steps)),
        refused=flags,
        at_cap=flags,
        halted=np.zeros(1, dtype=bool),
        reasons={},
        timestamps=spacing * np.arange(steps + 1, dtype=np.int64),
    )


def test_measure__a_known_path() -> None:
    figures = measure(with_worth([100.0, 110.0, 99.0, 104.5, 121.0]))
    assert figures["total_return"] == pytest.approx(0.21)
    assert figures["log_growth"] == pytest.approx(np.log(1.21) * 365 / 4)
    assert figures["annual_return"] == pytest.approx(1.21 ** (365 / 4) - 1)
    assert figures["max_drawdown"] == pytest.approx(0.1)
    assert figures["days_under_water"] == 3.0  # from day 1, back above it on day 4
    assert figures["share_under_water"] == pytest.approx(2 / 5)
    assert figures["win_rate"] == 0.75
    assert figures["cvar_5"] == pytest.approx(np.log(0.9))
    assert figures["gas_share"] == 0.0


def test_longest_under_water__never_below_and_never_back() -> None:
    days = DAY * np.arange(5, dtype=np.int64)
    assert longest_under_water(np.array([1.0, 2, 3, 4, 5]), days) == 0.0
    assert longest_under_water(np.array([1.0, 5, 4, 3, 4]), days) == 3 * DAY
    assert longest_under_water(np.array([1.0, 1, 1, 1, 1]), days) == 0.0


def test_drawdowns_and_tail_mean__by_hand() -> None:
    assert drawdowns(np.array([1.0, 2.0, 1.0, 3.0])).tolist() == [0.0, 0.0, 0.5, 0.0]
    assert tail_mean(np.arange(100.0)) == 2.0  # of 0 to 4
    assert tail_mean(np.array([3.0, -1.0])) == -1.0


def test_measure__gas_turnover_and_headroom__from_a_run(market: SyntheticMarket, setting: Setting) -> None:
    path = market.sample(np.random.default_rng(0), 2, 91)
    poor = replace(setting, nav=300_000.0)
    greedy, equal = run(Greedy(), path, poor), run(EqualWeight(), path, poor)
    best = hindsight(path, poor)
    figures = measure(greedy, benchmark=equal, headroom=(equal, best))
    json.dumps(figures, allow_nan=False)
    assert figures["gas_paid"] == pytest.approx(greedy.gas.sum(1).mean())
    gain = greedy.nav[:, -1] - greedy.nav[:, 0]
    assert figures["gas_share"] == pytest.approx(greedy.gas.sum(1).mean() / gain.mean())
    assert figures["turnover_per_year"] == pytest.approx(greedy.turnover.sum(1).mean() * 365 / 90)
    assert figures["trades"] == greedy.traded.any(-1).sum(1).mean()
    excess = growth_rate(greedy).mean() - growth_rate(equal).mean()
    assert figures["excess_log_growth"] == pytest.approx(excess)
    share = headroom_captured(greedy, equal, best)
    assert share == pytest.approx(excess / (growth_rate(best).mean() - growth_rate(equal).mean()))
    assert headroom_captured(best, equal, best) == pytest.approx(1.0)
    assert headroom_captured(equal, equal, best) == pytest.approx(0.0)
    assert headroom_captured(greedy, equal, equal) is None


def test_daily__five_minute_steps__are_added_up_by_day(setting: Setting) -> None:
    short = path_of(np.full((3 * 288 + 1, 3), 0.05))
    path = MarketPath(300 * np.arange(short.length, dtype=np.int64), short.rates, short.gas_cost, short.names)
    result = run(EqualWeight(), path, setting)
    days = daily(result)
    assert days.shape == (1, 3)
    assert days.sum() == pytest.approx(result.log_returns.sum())
    assert days[0, 1] == pytest.approx(result.log_returns[0, 288:576].sum())
    assert daily(run(EqualWeight(), short, setting)).shape == (1, 3 * 288)


def test_fault_11_sharpe__independent_returns__scales_with_the_root__and_lo_s_error(rng: np.random.Generator) -> None:
    returns = 0.05 + rng.standard_normal(20_000)
    found = sharpe(returns, 365.0)
    daily_ratio = returns.mean() / returns.std()
    assert found is not None
    assert found.ratio == pytest.approx(daily_ratio * np.sqrt(365), rel=0.06)
    assert found.error == pytest.approx(np.sqrt((1 + daily_ratio**2 / 2) / 20_000 * 365), rel=0.1)  # Lo, equation 8


def test_fault_11_sharpe__autocorrelated_returns__not_scaled_with_the_root(rng: np.random.Generator) -> None:
    returns = 0.2 + autoregression(rng, 0.8, 100_000)
    found = sharpe(returns, 365.0)
    assert found is not None
    root = returns.mean() / returns.std() * np.sqrt(365)
    true = 0.2 * np.sqrt(365) * (1 - 0.8)  # mean over the root of the long-run variance, 1 / (1 - rho)
    assert root > 2.5 * true
    assert found.ratio < 1.4 * true


def test_sharpe__error__is_the_spread_over_samples(rng: np.random.Generator) -> None:
    both = [sharpe(0.1 + autoregression(rng, 0.5, 1000), 365.0) for _ in range(200)]
    ratios = [each.ratio for each in both if each]
    errors = [each.error for each in both if each]
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.25)


def test_sharpe__returns_that_do_not_vary__none() -> None:
    assert sharpe(np.full(100, 1e-4), 365.0) is None


def test_measure__net_of_gas__falls_with_the_gas_price(market: SyntheticMarket, setting: Setting) -> None:
    path = market.sample(np.random.default_rng(1), 1, 91)
    poor = replace(setting, nav=1e5, costs=Costs())
    dear = replace(path, gas_cost=path.gas_cost * 5)
    assert (measure(run(EqualWeight(), dear, poor))["log_growth"] or 0) < (
        measure(run(EqualWeight(), path, poor))["log_growth"] or 0
    )
