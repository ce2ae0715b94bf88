"""From what everybody did in the test windows to figures with intervals: the results of a walk-forward."""

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

CANDIDATE = "ppo"
SUMMARY = "summary.json"


def summarise(kept: Kept, about: Mapping[str, Any], stress: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of all scenarios, as plain data.

    Per scenario: figures of the learned policy (means over the seeds, and interquartile means with intervals of growth
    and of the share of headroom), of every baseline and of the ceiling; paired tests against every baseline; the
    deflated Sharpe ratio of the excess over the best one; and the gate's verdict. Then what the stress cases did.
    """
    evidence = {"kind": "walk-forward of the recipe", "study": about["study"]}
    return {
        "about": dict(about),
        "scenarios": [_scenario(each, about, evidence) for each in kept.scores],
        "stress": [_stress(each) for each in stress],
    }


def _stress(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stress case with one entry for the learned policy: the mean of its seeds, and the worst return."""
    outcomes: Mapping[str, Mapping[str, float]] = case["outcomes"]
    seeds = [figures for name, figures in outcomes.items() if name.startswith("seed ")]
    policy = {key: float(np.mean([each[key] for each in seeds])) for key in seeds[0]}
    policy["worst_log_return"] = min(each["log_return"] for each in seeds)
    rules = {name: figures for name, figures in outcomes.items() if not name.startswith("seed ")}
    return {**case, "outcomes": {"learned policy": policy, **rules}}


def results_of(folder: Path) -> tuple[dict[str, Any], Path]:
    """Return the figures of the walk-forward in a folder, and write them beside its scores.

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
    """Read the figures of a walk-forward.

    Raises
    ------
    ResultsError
        If there are none.
    """
    try:
        summary: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"no results lie in {folder} ({error}): run `agent walk-forward` first") from error
    return summary


def _scenario(scores: Scores, about: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, Any]:
    headroom = (scores.equal_weight, scores.ceiling)
    rng = np.random.default_rng(0)
    growth = np.array([float(growth_rate(each)[0]) for each in scores.seeds])
    shares = [headroom_captured(each, *headroom) for each in scores.seeds]
    comparison = compare_all(scores.seeds, scores.baselines)
    verdict = judge(CANDIDATE, scores.seeds, scores.baselines, scores.scenario, evidence, comparison)
    over_best = average_returns(scores.seeds) - scores.baseline(comparison.best).log_returns[0]
    # Every configuration on every seed was looked at, though no seed was ever chosen: rather too many than too few.
    deflated = deflated_sharpe(over_best, int(about["trials"]) * len(scores.seeds))
    return {
        "name": scores.scenario.name,
        "cost_bp": scores.scenario.cost_bp,
        "nav": scores.scenario.nav,
        "latency": scores.scenario.latency,
        "policy": {
            **_mean([_figures(each, headroom, scores.scenario.cost_bp) for each in scores.seeds]),
            "growth_by_seed": growth.tolist(),
            "growth_iqm": _interval(growth, rng),
            "headroom_by_seed": shares,
            "headroom_iqm": None if None in shares else _interval(np.array(shares, dtype=np.float64), rng),
        },
        "baselines": {
            each.policy: {
                **_figures(each, headroom, scores.scenario.cost_bp),
                "test": asdict(comparison.tests[each.policy]),
            }
            for each in scores.baselines
        },
        "hindsight": _figures(scores.ceiling, headroom, scores.scenario.cost_bp),
        "block": comparison.block,
        "deflated_sharpe": asdict(deflated),
        "verdict": verdict.to_json(),
    }


def _figures(result: Backtest, headroom: tuple[Backtest, Backtest], cost_bp: float) -> dict[str, float | None]:
    """Return the figures of one backtest, and what growth is made of, per year: interest less gas less legs."""
    worth = result.net_worth[0]
    scale = np.log(worth[-1] / worth[0]) / (worth[-1] - worth[0]) if worth[-1] != worth[0] else 1.0 / worth[0]
    gas, legs = float(result.gas.sum()), legs_paid(result, cost_bp)
    year = float(growth_rate(result)[0] / np.log(worth[-1] / worth[0])) if worth[-1] != worth[0] else 0.0
    return {
        **measure(result, headroom=headroom),
        "growth_from_gas": -gas * scale * year,
        "growth_from_legs": -float(legs.sum()) * scale * year,
        "growth_from_interest": float(growth_rate(result)[0]) + (gas + float(legs.sum())) * scale * year,
    }


def legs_paid(result: Backtest, cost_bp: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the `(T - 1,)` asset units that entering and leaving have cost in a backtest of one path.

    A rebalance withdraws what the weights fall and deposits what they rise; each is a leg of `cost_bp`. The weights
    before it are those after the last one, drifted; what drift makes of them is left out, a few parts in a hundred
    thousand of NAV.
    """
    weights = result.weights[0, :-1]
    before = np.vstack([np.zeros((1, weights.shape[1])), weights[:-1]])
    moved = np.where(result.traded[0], np.abs(weights - before), 0.0).sum(-1)
    return np.asarray(moved * result.nav[0, :-1] * cost_bp * BASIS_POINT)


def _interval(values: np.ndarray[Any, np.dtype[np.float64]], rng: np.random.Generator) -> dict[str, float]:
    """Return the interquartile mean with its interval; of a single seed without one."""
    found = iqm_interval(values, rng) if values.size > 1 else Interval(interquartile_mean(values), *values, *values)
    return asdict(found)


def _mean(figures: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each figure over the seeds; none where one has none. Falls and halts are the worst seed's."""
    merged: dict[str, float | None] = {}
    for key in figures[0]:
        values = [value for each in figures if (value := each[key]) is not None]
        if len(values) < len(figures):
            merged[key] = None
        else:
            merged[key] = float(max(values) if key in ("max_drawdown", "halts") else np.mean(values))
    return merged
