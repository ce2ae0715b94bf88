"""The gate: who passes, who does not, and what is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from agent.backtest import Backtest, Setting, run
from agent.errors import LookAheadError, PolicyDigestError, PolicyError, ResultsError, UnknownMarketError
from agent.evaluation.promotion import judge, judge_on_history, judge_walk_forward, write_verdict
from agent.evaluation.scores import Scores
from agent.evaluation.study import Scenario
from agent.observation.observe import vector_size
from agent.policies.files import load_policy_file, save_integer, save_policy
from agent.policies.integer import IntegerPolicy
from agent.policies.load import load_policy
from agent.policies.network import NumpyPolicy
from agent.policies.quantise import quantise
from agent.policies.rules import EqualWeight, Greedy, GreedyBand, Hold, RandomFeasible
from agent.vault.limits import Limits
from tests.agent.made_up import history_of, path_of

SCENARIO = Scenario(1.0, 1e7)


def _backtests(rng: np.random.Generator) -> dict[str, Backtest]:
    """Baselines on 200 days on which the second pool is by far the best."""
    rates = rng.uniform(0.02, 0.03, (200, 3)) + np.array([0.0, 0.05, 0.0])
    path, setting = path_of(rates), Setting(Limits.uniform(3))
    return {each.name: run(each, path, setting) for each in (EqualWeight(), Hold(), Greedy(), GreedyBand())}


def _richer(result: Backtest, daily: float, noise: float = 0.0, name: str = "policy") -> Backtest:
    """The same backtest with `daily` more log return every day, and some noise of mean zero."""
    steps = result.nav.shape[1]
    wave = noise * np.where(np.arange(steps) % 2 == 0, 1.0, -1.0)
    return replace(result, policy=name, nav=result.nav * np.exp(daily * np.arange(steps) + wave))


def test_judge__better_every_day__promoted(rng: np.random.Generator) -> None:
    rules = _backtests(rng)
    best = max(rules.values(), key=lambda each: each.net_worth[0, -1])
    verdict = judge("ppo", [_richer(best, 1e-5)], list(rules.values()), SCENARIO, {})
    assert verdict.promoted
    assert verdict.serve == "ppo"
    assert verdict.best == best.policy
    assert verdict.excess == pytest.approx(365e-5, rel=1e-6)
    assert 0.9 * 365e-5 < verdict.lower_bound < 365e-5 * 1.001


@pytest.mark.parametrize("daily", [0.0, -1e-5])
def test_judge__no_better__the_best_rule_serves(rng: np.random.Generator, daily: float) -> None:
    rules = _backtests(rng)
    verdict = judge("ppo", [_richer(rules["greedy"], daily, 1e-7)], list(rules.values()), SCENARIO, {})
    assert not verdict.promoted
    assert verdict.serve == verdict.best in ("greedy", "greedy-band")
    assert f"{verdict.serve} should serve" in verdict.sentence


def test_judge__best_is_a_rule_that_cannot_be_loaded__the_best_that_can_serves(rng: np.random.Generator) -> None:
    rules = _backtests(rng)
    lucky = _richer(_best(rules), 1e-5, name=RandomFeasible.name)
    verdict = judge("ppo", [_richer(_best(rules), 0.0, 1e-7)], [*rules.values(), lucky], SCENARIO, {})
    assert not verdict.promoted
    assert verdict.best == "random-feasible"  # the bar is as high as anybody put it
    assert verdict.serve == _best(rules).policy


def _noisy(result: Backtest, rng: np.random.Generator, daily: float) -> Backtest:
    """The same backtest with daily more log return of this mean, give or take 3e-5, and never a day of loss."""
    steps = np.clip(rng.normal(0.0, 3e-5, result.nav.shape[1] - 1), -6e-5, 6e-5)
    steps += daily - steps.mean()
    return replace(result, nav=result.nav * np.exp(np.concatenate([[0.0], np.cumsum(steps)])))


def _best(rules: dict[str, Backtest]) -> Backtest:
    return max(rules.values(), key=lambda each: float(each.net_worth[0, -1]))


def test_judge__better_on_average_but_not_surely__refused(rng: np.random.Generator) -> None:
    rules = _backtests(rng)
    verdict = judge("ppo", [_noisy(_best(rules), rng, 2e-6)], list(rules.values()), SCENARIO, {})
    assert verdict.excess > 0
    assert verdict.drawdown <= verdict.best_drawdown
    assert verdict.lower_bound < 0
    assert not verdict.promoted


def test_judge__surely_better_but_a_deeper_fall__refused(rng: np.random.Generator) -> None:
    rules = _backtests(rng)
    better = _noisy(_best(rules), rng, 4e-5)
    assert judge("ppo", [better], list(rules.values()), SCENARIO, {}).promoted
    nav = better.nav.copy()
    nav[0, 50:] *= 1.0 - 3e-4
    verdict = judge("ppo", [replace(better, nav=nav)], list(rules.values()), SCENARIO, {})
    assert verdict.lower_bound > 0
    assert verdict.drawdown > verdict.best_drawdown
    assert not verdict.promoted


@pytest.fixture
def policy(tmp_path: Path, rng: np.random.Generator) -> NumpyPolicy:
    layers = [(rng.normal(0, 0.1, (vector_size(3), 3)), np.zeros(3))]
    market = {"kind": "mixed", "last_day": "2021-06-01"}
    manifest = {"name": "ppo", "strategies": ["pool-0", "pool-1", "pool-2"], "training": {"market": market}}
    return save_policy(tmp_path / "policy.npz", layers, manifest)


def test_write_verdict__a_new_file_with_a_digest_of_its_own(policy: NumpyPolicy, tmp_path: Path) -> None:
    rules = _backtests(np.random.default_rng(0))
    verdict = judge("ppo", [_richer(rules["hold"], 0.0)], list(rules.values()), SCENARIO, {"study": "made up"})
    written = write_verdict(tmp_path / "policy.npz", verdict, tmp_path / "judged.npz")
    assert load_policy_file(tmp_path / "policy.npz").digest == policy.digest
    assert written.digest != policy.digest
    assert written.manifest["promotion"]["judged"] == policy.digest
    assert written.manifest["promotion"]["promoted"] is False
    assert np.array_equal(written.layers[0][0], policy.layers[0][0])
    text = (tmp_path / "judged.json").read_text()
    (tmp_path / "judged.json").write_text(text.replace('"promoted": false', '"promoted": true'))
    with pytest.raises(PolicyDigestError):
        load_policy_file(tmp_path / "judged.npz")


def test_judge_walk_forward__another_policy_or_scenario__refused(policy: NumpyPolicy) -> None:
    rules = list(_backtests(np.random.default_rng(0)).values())
    scores = [Scores(SCENARIO, (rules[0],), tuple(rules), rules[2])]
    limits = Limits.uniform(3)
    about = {"study": "made up", "policies": {"seed 1": ["0x12"]}, "data": {}, "seeds": 1, "trials": 1,
             "folds": [{"test": ["2021-01-01", "2021-02-01"]}], "limits": limits.record()}  # fmt: skip
    with pytest.raises(PolicyError, match="none of those of the walk-forward"):
        judge_walk_forward(policy, about, scores, SCENARIO)
    about["policies"] = {"seed 1": [policy.digest]}
    with pytest.raises(ResultsError, match=r"2 bp, 10M was not tried.*1 bp, 10M"):
        judge_walk_forward(policy, about, scores, Scenario(2.0, 1e7))
    verdict = judge_walk_forward(policy, about, scores, SCENARIO)
    assert not verdict.promoted
    assert verdict.limits == limits.record()
    about["limits"] = {"relative_caps": [0.6, 0.6, 0.6], "idle_floor": 0.02}
    with pytest.raises(ResultsError, match="run `agent walk-forward` again"):
        judge_walk_forward(policy, about, scores, SCENARIO)


@pytest.mark.slow
def test_judge_on_history__days_it_was_trained_on__refused(policy: NumpyPolicy, rng: np.random.Generator) -> None:
    history = history_of(rng.uniform(0.02, 0.05, (300, 3)))
    limits = Limits.uniform(3)
    with pytest.raises(LookAheadError, match="trained on days up to 2021-06-01"):
        judge_on_history(policy, history, date(2021, 6, 1), SCENARIO, limits)
    with pytest.raises(UnknownMarketError, match="--parts"):
        judge_on_history(policy, replace(history, names=("a", "b", "c")), date(2021, 7, 1), SCENARIO, limits)
    verdict = judge_on_history(policy, history, date(2021, 7, 1), SCENARIO, limits)
    assert verdict.evidence["test"] == ["2021-07-01", history.end.isoformat()]
    assert verdict.limits == limits.record()
    assert not verdict.promoted


def test_write_verdict__integer_form__a_new_integer_file(policy: NumpyPolicy, tmp_path: Path) -> None:
    rng, rules = np.random.default_rng(0), _backtests(np.random.default_rng(0))
    integer = save_integer(tmp_path / "int.npz", quantise(policy, rng.uniform(-1, 1, (50, vector_size(3)))))
    verdict = judge("ppo", [_richer(rules["hold"], 0.0)], list(rules.values()), SCENARIO, {"study": "made up"})
    written = write_verdict(tmp_path / "int.npz", verdict, tmp_path / "judged.npz")
    loaded = load_policy(tmp_path / "judged.npz")
    assert isinstance(loaded, IntegerPolicy)
    assert loaded.digest == written.digest != integer.digest
    assert loaded.manifest["promotion"]["judged"] == integer.digest
    assert loaded.manifest["promotion"]["promoted"] is False
    assert loaded.network.code() == integer.network.code()
    assert loaded.name == integer.name
    text = (tmp_path / "judged.json").read_text()
    (tmp_path / "judged.json").write_text(text.replace('"promoted": false', '"promoted": true'))
    with pytest.raises(PolicyDigestError):
        load_policy(tmp_path / "judged.npz")


def test_quantise__verdict_of_the_float_form__only_a_refusal_is_kept(policy: NumpyPolicy) -> None:
    shown = np.random.default_rng(0).uniform(-1, 1, (50, vector_size(3)))
    for promoted in (True, False):
        judged = replace(policy, manifest={**policy.manifest, "promotion": {"promoted": promoted}})
        assert ("promotion" in quantise(judged, shown).manifest) is not promoted


@pytest.mark.slow
def test_judge__integer_form__on_days_of_its_own_only(policy: NumpyPolicy, rng: np.random.Generator) -> None:
    integer = replace(quantise(policy, rng.uniform(-1, 1, (50, vector_size(3)))), digest="0x34")
    about = {"study": "made up", "policies": {"seed 1": [policy.digest]}}
    with pytest.raises(PolicyError, match="with --data and --start"):
        judge_walk_forward(integer, about, [], SCENARIO)
    history = history_of(rng.uniform(0.02, 0.05, (300, 3)))
    with pytest.raises(LookAheadError):
        judge_on_history(integer, history, date(2021, 6, 1), SCENARIO, Limits.uniform(3))
    assert (
        judge_on_history(integer, history, date(2021, 7, 1), SCENARIO, Limits.uniform(3)).evidence["kind"] == "history"
    )
