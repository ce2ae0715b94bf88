"""Comparison of a policy's integer form with its float form: how often decisions differ, by how much, at what cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from agent.backtest import Backtest, Setting, run, simulate
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
    """An integer policy against the float policy that it was made from, on the same markets.

    Attributes
    ----------
    decisions
        Number of decisions compared: all of the float policy's run, each from its state, without budgets and cooldown.
    differ
        Share of them that differ, see `NOTICED`.
    other_trades
        Share of them in which other strategies are traded: a change just below or above the smallest trade.
    largest_difference, mean_difference
        Of a decided weight, share of NAV; over all decisions and strategies.
    float_return, integer_return
        Annualised net log returns of a run of each.
    headroom
        Annualised net log return of hindsight over equal weight.
    float_captured, integer_captured
        Share of the headroom that each captures; None where there is no headroom.
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


def vectors(policy: Policy, path: MarketPath, setting: Setting) -> FloatArray:
    """Return the observation vectors `(N, m)` of a policy's run on a path, to calibrate its integer form."""
    return np.concatenate([seen.vector() for seen in _observed(policy, path, setting)[1]])


def integer_report(policy: NumpyPolicy, integer: IntegerPolicy, path: MarketPath, setting: Setting) -> IntegerReport:
    """Compare the two forms of a policy on markets that neither training nor calibration has seen.

    Parameters
    ----------
    policy, integer
        The two forms.
    path
        Test markets. Hindsight plans every path, a second for a year of days.
    setting
        Limits, costs, rules and assets; its latency is ignored.
    """
    setting = replace(setting, latency=0)
    exact, seen = _observed(policy, path, setting)
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


def _observed(policy: Policy, path: MarketPath, setting: Setting) -> tuple[Backtest, list[Observation]]:
    """Return the backtest of a policy and its observations, row by row."""
    seen: list[Observation] = []

    def act(_: int, observation: Observation) -> FloatArray:
        seen.append(observation)
        return policy.act(observation)

    return simulate(policy.name, act, path, setting), seen
