"""Backtests over the test windows of all folds, in which one policy takes over from another.

The windows follow one another and are run as one path: the vault is carried over, so no fold pays for starting anew.
The running means of the rates see some rows before the first window, as the keeper's have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.backtest import Backtest, Setting, simulate
from agent.errors import ShapeError
from agent.evaluation.ceiling import hindsight
from agent.evaluation.fitted import fitted_baselines
from agent.evaluation.study import Fold, Study
from agent.market.history import RateHistory
from agent.market.path import MarketPath
from agent.observation.observe import Observation
from agent.policies.files import load_policy_file
from agent.policies.load import Policy, act
from agent.policies.rules import BASELINES, RandomFeasible
from agent.units import FloatArray
from agent.vault.limits import Limits


@dataclass(frozen=True)
class Leg:
    """A policy and the number of rows that it decides."""

    policy: Policy
    rows: int


@dataclass(frozen=True)
class StudyInputs:
    """A study, and the history and the limits that it is carried out on."""

    study: Study
    history: RateHistory
    limits: Limits

    @property
    def folds(self) -> list[Fold]:
        """The study's folds of the history."""
        return self.study.cut(self.history)

    @property
    def warm_up(self) -> int:
        """Rows of `tested` before the first that is tested."""
        return min(self.study.warm_up, self.folds[0].test_start)

    @property
    def tested(self) -> RateHistory:
        """Rows of the warm-up and of all test windows."""
        folds = self.folds
        return self.history.part(folds[0].test_start - self.warm_up, folds[-1].test_end + 1)

    def legs(self, policies: Sequence[Policy]) -> list[Leg]:
        """Return one policy per fold as legs."""
        return [Leg(policy, fold.test_end - fold.test_start) for policy, fold in zip(policies, self.folds, strict=True)]

    def loaded(self, files: Sequence[Path]) -> list[Leg]:
        """Return one policy file per fold as legs."""
        return self.legs([load_policy_file(file) for file in files])


def score(name: str, legs: Sequence[Leg], path: MarketPath, setting: Setting, *, warm_up: int = 0) -> Backtest:
    """Run policies one after another over one path.

    Parameters
    ----------
    name
        Name of the backtest.
    legs
        The policies; together they decide all rows but the warm-up and the last.
    path
        One path: the warm-up, the test windows, and the row that closes the books.
    setting
        Limits, costs, assets and latency.
    warm_up
        Rows that only the running means see.

    Raises
    ------
    ShapeError
        If the legs do not have as many rows as there are decisions.
    """
    given, decisions = sum(leg.rows for leg in legs), path.length - 1 - warm_up
    if given != decisions:
        raise ShapeError(f"policies for {given} rows cannot decide {decisions}")
    return simulate(name, relay(legs), path, setting, warm_up=warm_up)


def relay(legs: Sequence[Leg]) -> Callable[[int, Observation], FloatArray]:
    """Return a function that asks the policy whose turn a row is; each policy begins with an empty memory."""
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
    """Return every baseline by its name; those with parameters are fitted to the history, a training part."""
    plain: list[Policy] = [make() for make in BASELINES.values()]
    plain.append(RandomFeasible(np.random.default_rng(0)))
    return {policy.name: policy for policy in (*plain, *fitted_baselines(history, setting))}


def scored_rules(
    parts: Sequence[RateHistory], lengths: Sequence[int], tested: RateHistory, setting: Setting, warm_up: int
) -> list[Backtest]:
    """Run every baseline, fitted anew for each fold, and the ceiling, which comes last.

    Parameters
    ----------
    parts
        Training part of each fold.
    lengths
        Number of rows that each fold tests.
    tested
        Rows of the warm-up and of all test windows.
    setting, warm_up
        As in `score`.
    """
    fitted, path = [rules(part, setting) for part in parts], tested
    names = [name for name in fitted[0] if all(name in fold for fold in fitted)]
    scored = [
        score(name, [Leg(fold[name], rows) for fold, rows in zip(fitted, lengths, strict=True)], path, setting,
              warm_up=warm_up)
        for name in names
    ]  # fmt: skip
    return [*scored, hindsight(path, setting, warm_up=warm_up)]
