from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import path_of

from agent.bucket import Budget
from agent.decision import Reason
from agent.errors import ShapeError
from agent.evaluation.backtest import Setting, compare, run
from agent.limits import Limits
from agent.market.synthetic import SyntheticMarket
from agent.policy import load_policy
from agent.portfolio import Costs, replay

FREE = Costs(0.0, 0.0)


def test_fault_11_annual_return__compounds(setting: Setting) -> None:
    result = run(load_policy("equal-weight"), path_of(np.full((731, 3), 0.5)), replace(setting, costs=FREE))
    grown = 0.98 * (1 + 0.5 / 365) ** 730 + 0.02  # over two years; what is idle earns nothing
    assert result.annual_return[0] == pytest.approx(np.sqrt(grown) - 1, rel=1e-4)  # 0.64, not the linear 0.49


def test_run__greedy_on_two_steady_rates__known_nav(setting: Setting) -> None:
    path = path_of(np.tile([0.0, 0.365, 0.0365], (11, 1)))
    result = run(load_policy("greedy"), path, replace(setting, costs=FREE))
    first = result.weights[0, 0]
    assert first == pytest.approx([0.0, 0.6, 0.38], abs=2e-5)
    assert result.nav[0, 1] == pytest.approx(1e7 * (1 + 0.6 * 0.001 + 0.38 * 0.0001), rel=1e-7)
    assert result.rebalances[0] == 1
    assert result.reasons[Reason.SMALL] == 9
    assert result.at_cap.all()


def test_run__accounts__nav_worth_gas_turnover(market: SyntheticMarket, setting: Setting) -> None:
    result = run(load_policy("greedy"), market.sample(np.random.default_rng(0), 4, 91), setting)
    assert np.allclose(result.net_worth[:, -1], result.nav[:, -1] - result.gas.sum(1))
    assert ((result.gas > 0) == result.traded.any(-1)).all()
    assert ((result.turnover > 0) == result.traded.any(-1)).all()
    assert sum(result.reasons.values()) == 4 * 90
    assert (result.weights.sum(-1)[:, :-1] <= 0.98 + 1e-4).all()
    summary = result.summary()
    assert summary["gas_paid"] == pytest.approx(result.gas.sum(1).mean())


def test_run__its_share_prices_and_weights__replay_gives_its_nav(market: SyntheticMarket, setting: Setting) -> None:
    path = market.sample(np.random.default_rng(1), 1, 91)
    result = run(load_policy("greedy"), path, setting)
    prices = np.cumprod(np.concatenate([np.ones((1, 3)), path.growth()[0]]), axis=0)
    none = np.zeros((1, 3), dtype=bool)
    nav = replay(prices, result.weights[0], np.concatenate([result.traded[0], none]), setting.nav)
    assert np.abs(nav / result.nav[0] - 1).max() < 1e-12


def test_run__a_strategy_fails__vault_halts_and_trades_no_more(setting: Setting) -> None:
    factors = np.ones((30, 3))
    factors[10, 1] = 0.6
    rates = np.tile([0.01, 0.05, 0.02], (30, 1))
    rates[10:] = [0.05, 0.01, 0.02]
    result = run(load_policy("greedy"), path_of(rates, factors=factors), setting)
    assert result.halted.all()
    assert not result.traded[0, 10:].any()
    assert result.reasons[Reason.HALTED] == 19
    assert result.drawdown.max() == pytest.approx(0.24, abs=0.01)


def test_run__turnover_budget__bounds_every_window(market: SyntheticMarket, setting: Setting) -> None:
    budget = Budget(1.0, 0.02)
    path = market.sample(np.random.default_rng(5), 4, 181)
    free = run(load_policy("greedy"), path, setting)
    bound = run(load_policy("greedy"), path, replace(setting, limits=replace(setting.limits, turnover_budget=budget)))
    assert free.turnover.sum(1).max() > 1.0 + 0.02 * 180
    for first in range(0, 180, 20):
        spent = np.cumsum(bound.turnover[:, first:], axis=1)
        assert (spent <= 1.0 + 0.02 * np.arange(spent.shape[1]) + 1e-12).all()
    assert bound.reasons[Reason.CUT] > 0


def test_compare__dear_gas_and_small_nav__hold_beats_greedy(market: SyntheticMarket, limits: Limits) -> None:
    path = market.sample(np.random.default_rng(2), 8, 366)
    dear = Setting(limits, nav=20_000.0)
    results = {str(r["policy"]): r for r in compare([load_policy(n) for n in ("hold", "greedy")], path, dear)}
    rich = {
        str(r["policy"]): r for r in compare([load_policy(n) for n in ("hold", "greedy")], path, replace(dear, nav=1e7))
    }
    assert rich["greedy"]["annual_return"] > rich["hold"]["annual_return"]
    assert results["greedy"]["annual_return"] < results["hold"]["annual_return"]


def test_run__limits_for_another_number__refused(market: SyntheticMarket) -> None:
    with pytest.raises(ShapeError, match="4"):
        run(load_policy("hold"), market.sample(np.random.default_rng(0), 1, 10), Setting(Limits.uniform(4)))
