"""What the integer form of a policy changes: how often it decides otherwise, by how much, and what that costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from agent.backtest import Backtest, Setting, run
from agent.evaluation.ceiling import hindsight
from agent.evaluation.metrics import growth_rate, headroom_captured
from agent.market.path import MarketPath
from agent.observation.observe import Observation
from agent.policies.integer import IntegerPolicy
from agent.policies.load import Policy
from agent.policies.network import NumpyPolicy
from agent.policies.rules import EqualWeight
from agent.units import FloatArray
from agent.vault.decision import decide

NOTICED = 0.001
"""A decision differs if other strategies are traded, or a weight differs by more than this share of NAV."""


@dataclass(frozen=True)
class IntegerReport:
    """How an integer policy compares with the float policy that it was made of, on the same markets.

    Attributes
    ----------
    decisions
        How many were compared: all of the float policy's run, each from the very state that it was in, with neither
        budgets nor cooldown.
    differ
        Share of them that differ, see `NOTICED`.
    other_trades
        Share of them in which other strategies are traded; a change that is just below or above the smallest trade.
    largest_difference, mean_difference
        Of a decided weight, share of NAV; over all decisions and strategies.
    float_return, integer_return
        Annualised net log returns of whole runs of their own.
    headroom
        Annualised net log return of hindsight over equal weight.
    float_captured, integer_captured
        Share of the headroom that each captures; none where there is no headroom.
    cost
        Share of the headroom that the integer form gives away; negative where it happens to earn more.
    """

    decisions: int
    differ: float
    other_trades: float
    largest_difference: float
    mean_difference: float
    float_return: float
    integer_return: float
    headroom: float
    float_captured: float | None
    integer_captured: float | None
    cost: float | None

    def to_json(self) -> dict[str, float | int | None]:
        """Return plain data."""
        return asdict(self)


def observed(policy: Policy, path: MarketPath, setting: Setting) -> tuple[Backtest, list[Observation]]:
    """Return the backtest of a policy and what it was shown at every row, for calibration and comparison."""
    recorder = _Recorder(policy)
    return run(recorder, path, setting), recorder.seen


def vectors(policy: Policy, path: MarketPath, setting: Setting) -> FloatArray:
    """Return the `(N, m)` vectors that a policy is shown on a path."""
    return np.concatenate([seen.vector() for seen in observed(policy, path, setting)[1]])


def integer_report(policy: NumpyPolicy, integer: IntegerPolicy, path: MarketPath, setting: Setting) -> IntegerReport:
    """Compare the two forms of a policy on markets that neither training nor calibration has seen.

    Parameters
    ----------
    policy, integer
        The two forms.
    path
        Test markets; hindsight plans every path of it, which takes a second for a year of days.
    setting
        Limits, costs, rules and assets; its latency does not matter.
    """
    setting = replace(setting, latency=0)
    exact, seen = observed(policy, path, setting)
    differences, other = [], []
    for row, shown in enumerate(seen):
        state = (shown.weights, exact.nav[:, row], path.gas_cost[:, row], setting.limits, setting.costs, setting.rules)
        first, second = decide(policy.act(shown), *state), decide(integer.act(shown), *state)
        differences.append(np.abs(first.weights - second.weights))
        other.append((first.traded != second.traded).any(-1))
    difference, others = np.concatenate(differences), np.concatenate(other)
    own, equal, ceiling = run(integer, path, setting), run(EqualWeight(), path, setting), hindsight(path, setting)
    captured = [headroom_captured(result, equal, ceiling) for result in (exact, own)]
    low, high, float_return, integer_return = (
        float(growth_rate(result).mean()) for result in (equal, ceiling, exact, own)
    )
    return IntegerReport(
        decisions=len(difference),
        differ=float((others | (difference.max(-1) > NOTICED)).mean()),
        other_trades=float(others.mean()),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        float_return=float_return,
        integer_return=integer_return,
        headroom=high - low,
        float_captured=captured[0],
        integer_captured=captured[1],
        cost=None if captured[0] is None or captured[1] is None else captured[0] - captured[1],
    )


class _Recorder:
    """A policy that keeps what it is shown."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.seen: list[Observation] = []

    @property
    def name(self) -> str:
        return self._policy.name

    @property
    def digest(self) -> str:
        return self._policy.digest

    def act(self, observation: Observation) -> FloatArray:
        self.seen.append(observation)
        return self._policy.act(observation)
