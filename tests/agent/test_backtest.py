from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.backtest import Setting, compare, run
from agent.errors import LimitsError, ShapeError, TooFewDaysError
from agent.market.lending import SyntheticMarket
from agent.market.rwa import RwaMarket
from agent.observation.memory import RateMemory
from agent.observation.observe import RWA, Observation
from agent.policies.load import load_policy
from agent.policies.rules import fill_in_order
from agent.vault.bucket import Budget
from agent.vault.decision import Reason
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs
from agent.vault.replay import replay
from tests.agent.made_up import path_of

FREE = Costs(0.0, 0.0)


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


class Remembers:
    """Follows the best rate it is shown, and keeps all it saw."""

    name, digest = "remembers", ""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def act(self, observation: Observation) -> np.ndarray:
        self.seen.append(observation)
        return fill_in_order(observation.rates)


def test_run__log_returns__add_up_to_the_growth_of_net_worth(market: SyntheticMarket, setting: Setting) -> None:
    result = run(load_policy("greedy"), market.sample(np.random.default_rng(0), 2, 61), replace(setting, nav=1e6))
    assert result.gas.sum() > 0
    assert result.log_returns.shape == (2, 60)
    assert np.exp(result.log_returns.sum(1)) == pytest.approx(result.net_worth[:, -1] / 1e6)


def test_run__latency__decides_on_what_was_seen_rows_ago(setting: Setting) -> None:
    rates = np.tile([0.01, 0.05, 0.02], (20, 1))
    rates[10:] = [0.05, 0.01, 0.02]
    now, late = (run(load_policy("greedy"), path_of(rates), replace(setting, costs=FREE, latency=k)) for k in (0, 3))
    assert now.weights[0, 9:12, 0] == pytest.approx([0.0, 0.6, 0.6], abs=1e-3)
    assert late.weights[0, 12:15, 0] == pytest.approx([0.0, 0.6, 0.6], abs=1e-3)
    assert not late.weights[0, :3].any()  # nothing is known yet
    assert late.net_worth[0, -1] < now.net_worth[0, -1]
    with pytest.raises(LimitsError, match="latency"):
        replace(setting, latency=-1)


def test_run__warm_up__same_rows_with_means_that_have_seen_more(market: SyntheticMarket, setting: Setting) -> None:
    path = market.sample(np.random.default_rng(3), 2, 91)
    warm, cold = Remembers(), Remembers()
    result, other = run(warm, path, setting, warm_up=60), run(cold, path.part(60, 91), setting)
    assert np.array_equal(result.nav, other.nav)
    assert np.array_equal(result.timestamps, path.timestamps[60:])
    assert np.array_equal(warm.seen[0].rates, path.rates[:, 60])
    assert np.array_equal(cold.seen[0].slow, path.rates[:, 60])
    by_hand = RateMemory.start(path.rates[:, 0], int(path.timestamps[0]))
    for row in range(61):
        by_hand = by_hand.update(path.rates[:, row], int(path.timestamps[row]))
    assert warm.seen[0].slow == pytest.approx(by_hand.slow, rel=1e-12)
    with pytest.raises(TooFewDaysError, match="warm-up of 90"):
        run(warm, path, setting, warm_up=90)


def test_run__later_rows_changed__what_was_decided_before_is_the_same(
    market: SyntheticMarket, setting: Setting
) -> None:
    path = market.sample(np.random.default_rng(6), 1, 61)
    other = path.rates.copy()
    other[:, 41:] = other[:, 41:][:, ::-1] * 3.0
    runs = [run(load_policy("greedy-band"), replace(path, rates=rates), setting) for rates in (path.rates, other)]
    assert np.array_equal(runs[0].weights[:, :41], runs[1].weights[:, :41])
    assert not np.array_equal(runs[0].nav[:, 41:], runs[1].nav[:, 41:])


def test_run__costs_of_legs__are_paid_on_entry_and_exit(setting: Setting) -> None:
    rates = np.zeros((10, 3))
    rates[0], rates[1:] = [0.0, 1e-9, 0.0], [1e-9, 0.0, 0.0]
    legs = Costs(0.0, 0.0, entry=0.001, exit=0.002)
    path = path_of(rates)
    result = run(load_policy("greedy"), path, replace(setting, costs=legs))
    moved = 0.001 * 0.98 + (0.6 - 0.19) * 0.003  # 0.19, 0.6, 0.19 first: equal rates share; then the first is best
    assert result.turnover[0, :2] == pytest.approx([0.98, 0.41], abs=2e-3)
    assert 1.0 - result.net_worth[0, -1] / setting.nav == pytest.approx(moved, rel=5e-3)


def test_run__start_weights_and_unwinding(setting: Setting) -> None:
    factors = np.ones((12, 3))
    factors[5, 0] = 0.7
    rates = np.full((12, 3), 0.05)
    held = replace(setting, costs=FREE, start_weights=(0.5, 0.3, 0.1))
    kept = run(load_policy("hold"), path_of(rates, factors=factors), held)
    assert kept.weights[0, 0] == pytest.approx([0.5, 0.3, 0.1])
    assert kept.rebalances[0] == 0
    assert kept.halted[0]
    assert kept.weights[0, -1].sum() > 0.8
    left = run(load_policy("hold"), path_of(rates, factors=factors), replace(held, unwind_halted=True))
    assert not left.weights[0, 5:].any()
    assert left.nav[0, 5] == pytest.approx(kept.nav[0, 5])
    assert (left.nav[0, 5:] == left.nav[0, 5]).all()
    frozen = np.full((12, 3), 1e6)
    some = run(
        load_policy("hold"), path_of(rates, factors=factors, liquidity=frozen), replace(held, unwind_halted=True)
    )
    assert some.weights[0, 6].sum() > some.weights[0, 7].sum() > 0
    with pytest.raises(ShapeError, match="start_weights"):
        replace(setting, start_weights=(0.5, 0.5))


def test_run__venue_in_distress__keeps_what_it_cannot_pay_and_gets_nothing_more(setting: Setting) -> None:
    rates = np.tile([0.01, 0.05, 0.02], (6, 1))
    rates[2:] = [0.05, 0.01, 0.02]
    liquidity = np.full((6, 3), np.inf)
    liquidity[2:4, 1] = 0.0
    result = run(load_policy("greedy"), path_of(rates, gas=1e-6, liquidity=liquidity), setting)
    assert not result.refused.any()
    assert result.traded[0, 2].tolist() == [True, False, True]  # what is free goes where it pays
    assert result.weights[0, 3, 1] == pytest.approx(0.6, abs=1e-3)
    assert result.weights[0, 4, 0] == pytest.approx(0.6, abs=1e-3)
    rates[2:, 1] = 0.5  # a spike, since all of it is lent
    spike = run(load_policy("greedy"), path_of(rates, gas=1e-6, liquidity=np.where(liquidity < 2, 0.0, 1e9)), setting)
    assert spike.weights[0, 3, 1] == pytest.approx(0.6, abs=1e-3)
    assert not spike.refused.any()


def test_run__version_with_features__is_what_policies_are_shown() -> None:
    path = RwaMarket().sample(np.random.default_rng(0), 2, 30)
    shown = Remembers()
    run(shown, path, Setting(Limits.uniform(3), version=RWA))
    assert shown.seen[0].version == RWA
    assert path.features is not None
    assert shown.seen[7].features is not None
    assert np.array_equal(shown.seen[7].features, path.features[:, 7])
    assert shown.seen[0].vector().shape == (2, 18)
