"""The gate: a learned policy serves only where it has beaten every simple rule out of sample. Fixed before any run.

A policy is promoted if and only if, on days that nothing was trained, tuned or fitted on,

1. the lower one-sided 95 % bound of its net excess log return over the best baseline is above zero, and
2. its drawdown of net worth is no worse than that baseline's.

The best baseline is the one with the highest net growth on these very days, which is as hard on the policy as it can
be. Where it fails, the gate says which baseline should serve: the best that can, which the keeper knows by name or
gets as a file (`agent.evaluation.serving`).

The verdict is written into the manifest of a *new* policy file, never into the old one: the manifest's digest is the
`policyHash` that governance commits on chain, so a commitment covers the verdict too, and a policy that never stood
before the gate cannot pass for one that did. A sidecar beside the file would need a signature, hence a key, and
no key belongs on a machine that trains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from agent.backtest import Backtest
from agent.errors import LookAheadError, PolicyError, ResultsError, UnknownMarketError
from agent.evaluation.folder import judged_limits
from agent.evaluation.metrics import drawdowns, growth_rate
from agent.evaluation.scores import Scores
from agent.evaluation.scoring import Leg, score, scored_rules
from agent.evaluation.statistics import Comparison, compare_paired
from agent.evaluation.study import Scenario
from agent.market.history import RateHistory
from agent.policies.files import save_integer, save_policy
from agent.policies.integer import IntegerPolicy
from agent.policies.load import load_policy
from agent.policies.network import NumpyPolicy
from agent.policies.rules import RandomFeasible
from agent.units import YEAR, FloatArray
from agent.vault.limits import Limits


@dataclass(frozen=True)
class Verdict:
    """The gate's finding.

    Attributes
    ----------
    promoted
        Whether the policy may serve.
    rule
        The rule in words.
    scenario
        Under which costs and assets.
    best
        The baseline with the highest net growth.
    excess, lower_bound
        Net log growth per year over it; lower one-sided 95 % bound.
    drawdown, best_drawdown
        Of net worth, as a share.
    serve
        Name of the policy, or else of the best baseline that can serve in its place.
    evidence
        Where these figures are from.
    limits
        Record of the limits that everybody was tested under (`agent.vault.limits.Limits.record`); the keeper compares
        them with the vault's. None in figures that no file of a policy carries.
    """

    promoted: bool
    rule: str
    scenario: str
    best: str
    excess: float
    lower_bound: float
    drawdown: float
    best_drawdown: float
    serve: str
    evidence: Mapping[str, Any]
    limits: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a manifest."""
        return {key: value for key, value in asdict(self).items() if key != "limits" or value is not None}

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        figures = (
            f"net excess over {self.best} {self.excess:+.2%} a year, lower bound {self.lower_bound:+.2%}; drawdown "
            f"{self.drawdown:.3%} against {self.best_drawdown:.3%}"
        )
        if self.promoted:
            return f"promoted at {self.scenario}: {figures}"
        return f"not promoted at {self.scenario}: {figures}. {self.serve} should serve"


Trained = NumpyPolicy | IntegerPolicy
"""A policy that the gate can judge: a network, in floats or in integers. A rule serves without it."""


def load_trained(source: Path | str) -> Trained:
    """Read a policy that can be judged.

    Raises
    ------
    PolicyError
        If it cannot be loaded, or is a rule.
    """
    policy = load_policy(source)
    if not isinstance(policy, Trained):
        raise PolicyError(f"{source} is a rule, and rules serve without the gate: give a file of `agent train`")
    return policy


def trained_until(policy: Trained) -> str | None:
    """Return the last day that a policy was trained on, as far as its manifest says."""
    market = policy.manifest.get("training", {}).get("market", {})
    day = market.get("last_day") or market.get("fitted_to", {}).get("last_day")
    return None if day is None else str(day)


def write_verdict(source: Path | str, verdict: Verdict, out: Path | str) -> Trained:
    """Write a policy anew with the verdict in its manifest, and so with a digest of its own; the old file stays.

    Parameters
    ----------
    source
        The policy that was judged.
    verdict
        The gate's.
    out
        Where the new file goes, `.npz`.
    """
    policy = load_trained(source)
    made = ("format", "observation", "layers", "lstm", "parameters_sha256", "digest")
    manifest = {key: value for key, value in policy.manifest.items() if key not in made}
    manifest["promotion"] = {**verdict.to_json(), "judged": policy.digest}
    if isinstance(policy, IntegerPolicy):
        return save_integer(out, replace(policy, manifest=manifest))
    return save_policy(out, policy.layers, manifest, policy.version, policy.lstm)


LEVEL = 0.95
RULE = "lower 95 % bound of the net excess over the best baseline above 0, drawdown no worse than its"

_SAME = 1e-9  # drawdowns of two ways to hold the same differ by rounding


def average_returns(results: Sequence[Backtest]) -> FloatArray:
    """Return the `(T - 1,)` mean of the log returns of several runs: the expectation of a seed drawn by lot."""
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
    limits: Limits | None = None,
) -> Verdict:
    """Apply the rule.

    Parameters
    ----------
    name
        Name of the policy.
    policy
        Its backtests, one per seed; the drawdown is the mean of the seeds'.
    baselines
        The backtest of each baseline on the same rows.
    scenario
        Costs and assets of these backtests.
    evidence
        Where this is from, for the manifest.
    comparison
        The paired test, if it is known already.
    limits
        Limits of these backtests; none only where the verdict goes into no policy file.
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
        limits=None if limits is None else limits.record(),
    )


def judge_walk_forward(
    policy: Trained, about: Mapping[str, Any], scores: Sequence[Scores], scenario: Scenario
) -> Verdict:
    """Judge a policy by the walk-forward that it comes from: its recipe, over all folds and seeds.

    An integer form sometimes decides otherwise, and no walk-forward tried it: it is judged on days of its own.

    Raises
    ------
    PolicyError
        If the policy does not come from that walk-forward.
    ResultsError
        If the scenario was not tried in it, or it does not record every limit.
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
    return judge(policy.name, found[0].seeds, found[0].baselines, scenario, evidence, limits=judged_limits(about))


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
    own = score(policy.name, [Leg(policy, rows)], tested, setting, warm_up=warm)
    others = scored_rules([known], [rows], tested, setting, warm)[:-1]
    evidence = {
        "kind": "history",
        "source": history.source,
        "sha256": history.digest,
        "test": [history.days[len(known)].isoformat(), history.end.isoformat()],
    }
    return judge(policy.name, [own], others, scenario, evidence, limits=limits)
