"""The gate's rule, applied: to a walk-forward's results, or to one policy on days of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from agent.errors import LookAheadError, PolicyError, ResultsError, UnknownMarketError
from agent.evaluation.backtest import Backtest
from agent.evaluation.baselines import RandomFeasible
from agent.evaluation.metrics import drawdowns, growth_rate
from agent.evaluation.promotion.candidate import Trained, trained_until
from agent.evaluation.promotion.verdict import Verdict
from agent.evaluation.scores import Scores
from agent.evaluation.scoring import Leg, score, scored_rules
from agent.evaluation.statistics import Comparison, compare_paired
from agent.evaluation.study import Scenario
from agent.limits import Limits
from agent.market.history import RateHistory
from agent.units import YEAR, FloatArray

LEVEL = 0.95
RULE = "lower 95 % bound of the net excess over the best baseline above 0, drawdown no worse than its"

_SAME = 1e-9  # drawdowns of two ways to hold the same differ by rounding


def average_returns(results: Sequence[Backtest]) -> FloatArray:
    """Return the `(T - 1,)` mean of the log returns of several runs: what a seed drawn by lot is expected to earn."""
    return np.asarray(np.mean([each.log_returns[0] for each in results], axis=0))


def compare_all(policy: Sequence[Backtest], baselines: Sequence[Backtest], seed: int = 0) -> Comparison:
    """Return the paired test of a policy (the mean of its seeds) against every baseline on the same rows."""
    rows = policy[0].timestamps.size - 1
    return compare_paired(
        average_returns(policy),
        {each.policy: each.log_returns[0] for each in baselines},
        np.random.default_rng(seed),
        per_year=rows * YEAR / policy[0].seconds,
        level=LEVEL,
    )


def judge(
    name: str,
    policy: Sequence[Backtest],
    baselines: Sequence[Backtest],
    scenario: Scenario,
    evidence: Mapping[str, Any],
    comparison: Comparison | None = None,
) -> Verdict:
    """Apply the rule.

    Parameters
    ----------
    name
        Name of the policy.
    policy
        What it did, once per seed; the drawdown is the mean of the seeds'.
    baselines
        What each baseline did on the same rows.
    scenario
        Under which conditions.
    evidence
        Where this is from, for the manifest.
    comparison
        The paired test, if it is known already.
    """
    tested = compare_all(policy, baselines) if comparison is None else comparison
    growth = {each.policy: float(growth_rate(each)[0]) for each in baselines}
    best = next(each for each in baselines if each.policy == tested.best)
    drawdown = float(np.mean([drawdowns(each.net_worth).max() for each in policy]))
    worst = float(drawdowns(best.net_worth).max())
    passed = tested.excess_over_best.low > 0 and drawdown <= worst + _SAME
    able = [each for each in growth if each != RandomFeasible.name]  # which nobody could check after the fact
    return Verdict(
        promoted=bool(passed),
        rule=RULE,
        scenario=scenario.name,
        best=tested.best,
        excess=tested.excess_over_best.value,
        lower_bound=tested.excess_over_best.low,
        drawdown=drawdown,
        best_drawdown=worst,
        serve=name if passed else max(able, key=lambda each: growth[each]),
        evidence=evidence,
    )


def judge_walk_forward(
    policy: Trained, about: Mapping[str, Any], scores: Sequence[Scores], scenario: Scenario
) -> Verdict:
    """Judge a policy by the walk-forward that it comes from: its recipe, over all folds and seeds.

    An integer form decides otherwise now and then, and no walk-forward tried it: it is judged on days of its own.

    Raises
    ------
    PolicyError
        If the policy does not come from that walk-forward.
    ResultsError
        If the scenario was not tried in it.
    """
    if policy.digest not in [digest for each in about["policies"].values() for digest in each]:
        raise PolicyError(
            f"policy {policy.digest} is none of those of the walk-forward {about['study']}: promote its candidate, "
            "or judge this one on days of its own with --data and --start"
        )
    found = [each for each in scores if each.scenario == scenario]
    if not found:
        tried = "; ".join(each.scenario.name for each in scores)
        raise ResultsError(f"{scenario.name} was not tried in this walk-forward: choose among {tried}")
    evidence = {
        "kind": "walk-forward of the recipe",
        "study": about["study"],
        "data": about["data"],
        "test": [about["folds"][0]["test"][0], about["folds"][-1]["test"][1]],
        "seeds": about["seeds"],
        "trials": about["trials"],
    }
    return judge(policy.name, found[0].seeds, found[0].baselines, scenario, evidence)


def judge_on_history(
    policy: Trained, history: RateHistory, start: date, scenario: Scenario, limits: Limits, warm_up: int = 30
) -> Verdict:
    """Judge one policy on the days of a history from `start` on, against baselines fitted to the days before.

    Raises
    ------
    LookAheadError
        If the policy was trained on days of the test.
    UnknownMarketError
        If it is for other strategies.
    """
    if tuple(policy.manifest["strategies"]) != history.names:
        raise UnknownMarketError(
            f"the policy is for {', '.join(policy.manifest['strategies'])}, but the history has "
            f"{', '.join(history.names)}: choose the same with --parts"
        )
    last = trained_until(policy)
    if last is not None and last >= start.isoformat():
        raise LookAheadError(f"the policy was trained on days up to {last}: begin the test after that")
    known = history.before(start)
    if known is None:
        raise LookAheadError(f"no day lies before {start} to fit the baselines to: begin later, or give more history")
    first = len(known) - min(warm_up, len(known))
    tested, warm = history.part(first, len(history)), len(known) - first
    rows = len(tested) - 1 - warm
    setting = scenario.setting(limits)
    own = score(policy.name, [Leg(policy, rows)], tested.path(), setting, warm_up=warm)
    others = scored_rules([known], [rows], tested, setting, warm)[:-1]
    evidence = {
        "kind": "history",
        "source": history.source,
        "sha256": history.digest,
        "test": [history.days[len(known)].isoformat(), history.end.isoformat()],
    }
    return judge(policy.name, [own], others, scenario, evidence)
