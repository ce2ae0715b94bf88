from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from agent.backtest import Setting, run
from agent.evaluation.covariance import min_variance, risk_parity, shrunk_covariance, within
from agent.evaluation.fitted import fitted_baselines, mean_power
from agent.evaluation.metrics import growth_rate
from agent.market.lending import SyntheticMarket
from agent.observation.memory import RateMemory
from agent.observation.observe import observe
from agent.policies.forecast import Forecast
from agent.policies.load import Policy
from agent.policies.rules import FixedMix, GreedyBand, best_weights
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState
from tests.agent.made_up import history_of, path_of

NAMES = [
    "single-0",
    "single-1",
    "single-2",
    "hold-best-trailing",
    "best-trailing",
    "fixed-mix",
    "min-variance",
    "risk-parity",
    "forecast-ar1",
    "forecast-var1",
    "greedy-band-tuned",
]


@pytest.fixture(scope="module")
def fitted() -> dict[str, Policy]:
    rates = np.random.default_rng(0).uniform(0.01, 0.05, (120, 3)) + np.array([0.0, 0.02, 0.0])
    return {policy.name: policy for policy in fitted_baselines(history_of(rates), Setting(Limits.uniform(3)))}


def test_fitted__names_and_digests__all_there_and_all_different(fitted: dict[str, Policy]) -> None:
    assert list(fitted) == NAMES
    digests = {policy.digest for policy in fitted.values()}
    assert len(digests) == len(NAMES)
    assert all(re.fullmatch("0x[0-9a-f]{64}", digest) for digest in digests)


def test_fitted__digest__another_history_another_digest_the_same_again_the_same(fitted: dict[str, Policy]) -> None:
    again = {}
    for seed in (0, 1):
        rates = np.random.default_rng(seed).uniform(0.01, 0.05, (120, 3)) + np.array([0.0, 0.02, 0.0])
        again[seed] = fitted_baselines(history_of(rates), Setting(Limits.uniform(3)))
    assert [policy.digest for policy in again[0]] == [policy.digest for policy in fitted.values()]
    changed = [one.name for one, two in zip(again[0], again[1], strict=True) if one.digest != two.digest]
    constants = {"hold-best-trailing", "min-variance", "risk-parity", "forecast-ar1", "forecast-var1"}
    assert constants <= set(changed)  # those hold numbers of the history itself
    assert not {"single-0", "best-trailing"} & set(changed)  # these have none


def test_fitted__the_best_pool_of_the_training_part__is_held_whatever_comes(fitted: dict[str, Policy]) -> None:
    path = path_of(np.tile([0.09, 0.0, 0.05], (10, 1)))
    for name in ("hold-best-trailing", "fixed-mix"):
        assert run(fitted[name], path, Setting(Limits.uniform(3))).weights[0, 5, 1] == pytest.approx(0.6, abs=1e-3)


def test_fitted__best_trailing__moves_when_the_slow_mean_says_so(setting: Setting) -> None:
    rates = np.tile([0.05, 0.03, 0.02], (120, 1))
    rates[30:] = [0.01, 0.03, 0.02]
    policy = next(p for p in fitted_baselines(history_of(rates), setting) if p.name == "best-trailing")
    weights = run(policy, path_of(rates), replace(setting, costs=Costs(entry=1e-4, exit=1e-4))).weights[0]
    assert weights[35, 0] == pytest.approx(0.6, abs=1e-2)  # a spike does not impress it yet
    assert weights[-2, 1] == pytest.approx(0.6, abs=1e-2)


@pytest.mark.slow
def test_fitted__tuned_band__is_no_worse_on_its_history_than_the_untuned(
    market: SyntheticMarket, setting: Setting
) -> None:
    path = market.sample(np.random.default_rng(4), 1, 181)
    for leg in (0.0, 5e-4):
        here = replace(setting, costs=Costs(entry=leg, exit=leg))
        policies = {policy.name: policy for policy in fitted_baselines(path, here)}
        tuned, mix = policies["greedy-band-tuned"], policies["fixed-mix"]
        grown = {p.name: float(growth_rate(run(p, path, here))[0]) for p in (tuned, GreedyBand(), mix)}
        assert grown["greedy-band-tuned"] >= grown["greedy-band"] - 1e-12
        others = [FixedMix("other", (0.3, 0.3, 0.38)), FixedMix("other", (0.6, 0.38, 0.0))]
        assert all(grown["fixed-mix"] >= float(growth_rate(run(p, path, here))[0]) - 1e-5 for p in others)


def test_fitted__a_decision__takes_less_than_5_ms(fitted: dict[str, Policy]) -> None:
    rates = np.array([[0.03, 0.04, 0.05]])
    seen = observe(PortfolioState.open(1e6, 3), rates, RateMemory.start(rates, 0), 3e-6, Costs())
    for policy in fitted.values():
        times = []
        for _ in range(20):
            start = perf_counter()
            policy.act(seen)
            times.append(perf_counter() - start)
        assert min(times) < 0.005, policy.name


def test_best_weights__random_problems__as_good_as_the_linear_programme(rng: np.random.Generator) -> None:
    count, budget = 5, 0.9
    for _ in range(50):
        now = rng.dirichlet(np.ones(count)) * rng.uniform(0.0, 0.9)
        value, caps = rng.normal(0.0, 0.002, count), rng.uniform(0.1, 0.7, count)
        entry, leave = rng.uniform(0, 0.001, count), rng.uniform(0, 0.001, count)
        found = best_weights(value[None], now[None], entry, leave, caps, budget)[0]
        assert (found <= caps + 1e-12).all()
        assert (found >= 0).all()
        assert found.sum() <= budget + 1e-12
        eye = np.eye(count)
        solved = linprog(  # weights, bought, sold
            np.concatenate([-value, entry, leave]),
            A_ub=np.concatenate([np.ones(count), np.zeros(2 * count)])[None],
            b_ub=[budget],
            A_eq=np.concatenate([eye, -eye, eye], axis=1),
            b_eq=now,
            bounds=[(0.0, cap) for cap in caps] + [(0.0, None)] * (2 * count),
        )
        gained = found @ value - np.maximum(found - now, 0) @ entry - np.maximum(now - found, 0) @ leave
        assert gained == pytest.approx(-solved.fun, abs=1e-12)


@pytest.mark.slow
def test_forecast__a_rate_that_reverts__is_not_chased_if_the_move_costs(rng: np.random.Generator) -> None:
    rates = np.empty((600, 2))
    rates[0] = 0.04
    for row in range(1, 600):
        rates[row] = 0.04 + 0.3 * (rates[row - 1] - 0.04) + rng.normal(0, 0.004, 2)
    rates = np.maximum(rates, 0.0)
    setting = Setting(Limits.uniform(2), costs=Costs(0.0, 0.0, entry=2e-4, exit=2e-4))
    policies = {p.name: p for p in fitted_baselines(history_of(rates), setting)}
    forecast = policies["forecast-ar1"]
    assert isinstance(forecast, Forecast)
    days = forecast.horizon_days
    assert forecast.decay[0][0] == pytest.approx((1 - 0.3**days) / (0.7 * days) * 0.3, abs=0.08 / days)
    assert run(forecast, path_of(rates), setting).turnover.sum() < 1.5


def test_forecast__costs_with_impact__are_those_of_an_equal_share_of_nav() -> None:
    rates = np.random.default_rng(0).uniform(0.01, 0.05, (120, 3))
    costs = Costs(0.0, 0.0, entry=1e-4, exit=np.array([0.0, 1e-4, 2e-4]), impact=np.array([3e-11, 0.0, 3e-11]))
    policies = {p.name: p for p in fitted_baselines(history_of(rates), Setting(Limits.uniform(3), costs, nav=1e7))}
    forecast = policies["forecast-ar1"]
    assert isinstance(forecast, Forecast)
    assert forecast.entry == pytest.approx((2e-4, 1e-4, 2e-4))
    assert forecast.exit == pytest.approx((1e-4, 1e-4, 3e-4))


@pytest.mark.slow
def test_forecast__joint__sees_that_one_rate_leads_another(rng: np.random.Generator) -> None:
    lead = np.maximum(0.04 + 0.01 * rng.standard_normal(400), 0.02)
    rates = np.stack([np.full(400, 0.04), np.concatenate([[0.04], lead[:-1]]), lead - 0.02], axis=1)
    setting = Setting(Limits.uniform(3, 1.0), costs=Costs(0.0, 0.0))
    policies = {p.name: p for p in fitted_baselines(history_of(rates), setting)}
    grown = {name: float(growth_rate(run(policies[name], path_of(rates), setting))[0]) for name in NAMES}
    known = 0.98 * 0.01 * np.sqrt(0.5 / np.pi)  # mean of what is above the mean, of normal numbers
    for rival in ("forecast-ar1", "greedy-band-tuned", "fixed-mix"):
        assert grown["forecast-var1"] - grown[rival] > 0.7 * known


def test_mean_power__is_the_mean_of_the_powers(rng: np.random.Generator) -> None:
    matrix = rng.uniform(-0.3, 0.3, (4, 4))
    powers = [np.linalg.matrix_power(matrix, k) for k in range(1, 8)]
    assert mean_power(matrix, 7) == pytest.approx(np.mean(powers, axis=0))


def test_shrunk_covariance__much_little_or_no_variation__as_the_sample_well_conditioned_or_the_unit(
    rng: np.random.Generator,
) -> None:
    many = rng.standard_normal((200_000, 3)) * np.array([1.0, 2.0, 3.0])
    assert shrunk_covariance(many) == pytest.approx(np.cov(many.T), abs=0.01)
    few = shrunk_covariance(rng.standard_normal((4, 12)))
    assert np.linalg.eigvalsh(few)[0] > 0.01  # the sample's smallest eigenvalues are zero
    assert np.array_equal(shrunk_covariance(np.full((9, 2), 0.1)), np.eye(2))


GOLDEN = json.loads(Path(__file__).with_name("golden_covariance.json").read_text())["cases"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{len(case['returns'])} days")
def test_covariance_and_portfolios__as_scikit_learn_and_riskfolio_compute_them(case: dict[str, Any]) -> None:
    covariance, cap = np.array(case["covariance"]), case["cap"]
    assert shrunk_covariance(np.array(case["returns"])) == pytest.approx(covariance, rel=1e-8)
    # Riskfolio's solver is an interior-point method: its weights are good to seven digits, ours to twelve.
    assert risk_parity(covariance) == pytest.approx(np.array(case["risk_parity"]), abs=1e-7)
    least = min_variance(covariance, np.full(len(covariance), cap), 1.0)
    assert least == pytest.approx(np.array(case["min_variance"]), abs=1e-7)
    assert least.max() == pytest.approx(cap, abs=1e-9)  # caps bind


def test_within__a_cap_in_the_way__leaves_nothing_idle() -> None:
    assert within(np.array([0.95, 0.02, 0.01]), np.full(3, 0.6), 0.98).sum() == pytest.approx(0.98)
    assert within(np.array([0.95, 0.02, 0.01]), np.full(3, 0.2), 0.98) == pytest.approx([0.2, 0.2, 0.2])
