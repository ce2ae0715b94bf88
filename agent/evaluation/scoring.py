"""Policies that take over from one another, run over the test windows of all folds as over one path.

The windows follow one another, so the vault is carried over from one to the next and nothing is paid for starting
anew; the running means of the rates have seen some rows before the first one, as the keeper's have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.backtest import Backtest, Setting, simulate
from agent.errors import ShapeError
from agent.market.history import RateHistory
from agent.market.path import MarketPath
from agent.observation.observe import Observation
from agent.policies.load import Policy, act
from agent.policies.rules import BASELINES, RandomFeasible
from agent.units import FloatArray


@dataclass(frozen=True)
class Leg:
    """A policy and the number of rows that it decides."""

    policy: Policy
    rows: int


def score(name: str, legs: Sequence[Leg], path: MarketPath, setting: Setting, *, warm_up: int = 0) -> Backtest:
    """Run policies one after the other over one path.

    Parameters
    ----------
    name
        What to call them.
    legs
        The policies; together they decide all rows but the warm-up and the last.
    path
        One path: the warm-up, the test windows, and the row that closes the books.
    setting
        Limits, costs, assets and latency.
    warm_up
        Rows that only the running means see.
    """
    decisions = path.length - 1 - warm_up
    if sum(leg.rows for leg in legs) != decisions:
        raise ShapeError(f"policies for {sum(leg.rows for leg in legs)} rows cannot decide {decisions}")
    return simulate(name, relay(legs), path, setting, warm_up=warm_up)


def relay(legs: Sequence[Leg]) -> Callable[[int, Observation], FloatArray]:
    """Return what asks, at each row, the policy whose turn it is; each begins with an empty memory."""
    ends = np.cumsum([leg.rows for leg in legs])
    memory: FloatArray | None = None
    turn = -1

    def wanted(row: int, seen: Observation) -> FloatArray:
        nonlocal memory, turn
        index = int(np.searchsorted(ends, row, side="right"))
        if index != turn:
            turn, memory = index, None
        weights, memory = act(legs[index].policy, seen, memory)
        return weights

    return wanted


def rules(history: RateHistory, setting: Setting) -> dict[str, Policy]:
    """Return every baseline by its name, those with parameters fitted to the history (a training part) and setting."""
    from agent.evaluation.fitted import fitted_baselines

    plain: list[Policy] = [make() for make in BASELINES.values()]
    plain.append(RandomFeasible(np.random.default_rng(0)))
    return {policy.name: policy for policy in (*plain, *fitted_baselines(history, setting))}


def scored_rules(
    parts: Sequence[RateHistory], lengths: Sequence[int], tested: RateHistory, setting: Setting, warm_up: int
) -> list[Backtest]:
    """Run every baseline, fitted to each fold's training part, and the ceiling, which comes last.

    Parameters
    ----------
    parts
        Training part of each fold.
    lengths
        Rows that each fold tests.
    tested
        Rows of the warm-up and of all test windows.
    setting, warm_up
        See `score`.
    """
    from agent.evaluation.ceiling import hindsight

    fitted = [rules(part, setting) for part in parts]
    scored = [
        score(
            name,
            [Leg(fold[name], length) for fold, length in zip(fitted, lengths, strict=True)],
            tested,
            setting,
            warm_up=warm_up,
        )
        for name in fitted[0]
        if all(name in fold for fold in fitted)
    ]
    return [*scored, hindsight(tested, setting, warm_up=warm_up)]
