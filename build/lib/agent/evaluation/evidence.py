"""The results of a walk-forward: figures, intervals and verdicts, computed from the backtests of the test windows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agent.backtest import Backtest
from agent.errors import ResultsError
from agent.evaluation.folder import load_about, load_stress
from agent.evaluation.metrics import growth_rate, headroom_captured, measure
from agent.evaluation.promotion import average_returns, compare_all, judge
from agent.evaluation.scores import Kept, Scores, load_scores
from agent.evaluation.statistics import Interval, deflated_sharpe, interquartile_mean, iqm_interval
from agent.evaluation.study import BASIS_POINT
from agent.units import FloatArray

CANDIDATE = "ppo"
SUMMARY = "summary.json"


def results_of(folder: Path) -> tuple[dict[str, Any], Path]:
    """Summarise the walk-forward in a folder, write the summary beside its scores, and return both summary and file.

    Raises
    ------
    ResultsError
        If the walk-forward is missing or incomplete.
    """
    summary = summarise(load_scores(folder), load_about(folder), load_stress(folder))
    path = folder / SUMMARY
    path.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return summary, path


def load_summary(folder: Path) -> dict[str, Any]:
    """Read the summary of a walk-forward.

    Raises
    ------
    ResultsError
        If there is none.
    """
    try:
        summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"no results lie in {folder} ({error}): run `agent walk-forward` first") from error
    return summary


def summarise(kept: Kept, about: Mapping[str, Any], stress: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all figures of a walk-forward, as plain data.

    For each scenario: figures of the learned policy (means over the seeds; interquartile means with intervals for
    growth and share of headroom), of every baseline and of the ceiling; paired tests against every baseline; the
    deflated Sharpe ratio of the excess over the best one; and the gate's verdict. Then the stress cases.
    """
    return {
        "about": dict(about),
        "scenarios": [_scenario(each, about) for each in kept.scores],
        "stress": [_stress(each) for each in stress],
    }


def _scenario(scores: Scores, about: Mapping[str, Any]) -> dict[str, Any]:
    scenario, headroom = scores.scenario, (scores.equal_weight, scores.ceiling)
    rng = np.random.default_rng(0)
    growth = np.array([float(growth_rate(each)[0]) for each in scores.seeds])
    shares = [headroom_captured(each, *headroom) for each in scores.seeds]
    comparison = compare_all(scores.seeds, scores.baselines)
    evidence = {"kind": "walk-forward of the recipe", "study": about["study"]}
    verdict = judge(CANDIDATE, scores.seeds, scores.baselines, scenario, evidence, comparison)
    over_best = average_returns(scores.seeds) - scores.baseline(comparison.best).log_returns[0]
    # Every configuration on every seed was looked at, though no seed was ever chosen: rather too many than too few.
    deflated = deflated_sharpe(over_best, int(about["trials"]) * len(scores.seeds))
    return {
        "name": scenario.name,
        "cost_bp": scenario.cost_bp,
        "nav": scenario.nav,
        "latency": scenario.latency,
        "policy": {
            **_mean([_figures(each, headroom, scenario.cost_bp) for each in scores.seeds]),
            "growth_by_seed": growth.tolist(),
            "growth_iqm": _interval(growth, rng),
            "headroom_by_seed": shares,
            "headroom_iqm": None if None in shares else _interval(np.array(shares, dtype=np.float64), rng),
        },
        "baselines": {
            each.policy: {
                **_figures(each, headroom, scenario.cost_bp),
                "test": asdict(comparison.tests[each.policy]),
            }
            for each in scores.baselines
        },
        "hindsight": _figures(scores.ceiling, headroom, scenario.cost_bp),
        "block": comparison.block,
        "deflated_sharpe": asdict(deflated),
        "verdict": verdict.to_json(),
    }


def _figures(result: Backtest, headroom: tuple[Backtest, Backtest], cost_bp: float) -> dict[str, float | None]:
    """Return the figures of one backtest, and the parts of its growth, per year: interest, less gas, less legs."""
    worth, growth = result.net_worth[0], float(growth_rate(result)[0])
    gained = float(worth[-1] - worth[0])
    per_unit = growth / gained if gained else 0.0  # growth that an asset unit stands for
    gas, legs = float(result.gas.sum()), float(legs_paid(result, cost_bp).sum())
    return {
        **measure(result, headroom=headroom),
        "growth_from_gas": -gas * per_unit,
        "growth_from_legs": -legs * per_unit,
        "growth_from_interest": growth + (gas + legs) * per_unit,
    }


def legs_paid(result: Backtest, cost_bp: float) -> FloatArray:
    """Return the cost of entering and leaving in a backtest of one path, `(T - 1,)` asset units.

    A rebalance withdraws where weights fall and deposits where they rise; each is a leg of `cost_bp`. Weights are
    compared with those after the last rebalance: their drift since, a few parts in a hundred thousand of NAV, is left
    out.
    """
    weights = result.weights[0, :-1]
    before = np.vstack([np.zeros((1, weights.shape[1])), weights[:-1]])
    moved = np.where(result.traded[0], np.abs(weights - before), 0.0).sum(-1)
    return np.asarray(moved * result.nav[0, :-1] * cost_bp * BASIS_POINT)


def _interval(values: FloatArray, rng: np.random.Generator) -> dict[str, float]:
    """Return the interquartile mean with its interval, which is empty for a single seed."""
    found = iqm_interval(values, rng) if values.size > 1 else Interval(interquartile_mean(values), *values, *values)
    return asdict(found)


def _mean(figures: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each figure over the seeds, None where a seed has none; the worst drawdown and halts."""
    merged: dict[str, float | None] = {}
    for key in figures[0]:
        values = [value for each in figures if (value := each[key]) is not None]
        if len(values) < len(figures):
            merged[key] = None
        else:
            merged[key] = float(max(values) if key in ("max_drawdown", "halts") else np.mean(values))
    return merged


def _stress(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stress case with one entry for the learned policy: the mean of its seeds, and the worst return."""
    outcomes: Mapping[str, Mapping[str, float]] = case["outcomes"]
    seeds = [figures for name, figures in outcomes.items() if name.startswith("seed ")]
    policy = {key: float(np.mean([each[key] for each in seeds])) for key in seeds[0]}
    policy["worst_log_return"] = min(each["log_return"] for each in seeds)
    rules = {name: figures for name, figures in outcomes.items() if not name.startswith("seed ")}
    return {**case, "outcomes": {"learned policy": policy, **rules}}
