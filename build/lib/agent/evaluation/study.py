"""The plan of a walk-forward, written down before it is run: folds, seeds, configurations, costs and sizes.

Folds are expanding: train on the past, leave out a strip, test on the days after it, then move on.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.backtest import Setting
from agent.digest import digest_of
from agent.errors import TooFewDaysError
from agent.market.history import RateHistory
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs


@dataclass(frozen=True)
class Fold:
    """One fold, in rows of the history; ends are not included.

    Attributes
    ----------
    index
        Which fold, from zero.
    train_end
        Training takes the rows before it.
    test_start, test_end
        Decisions that are tested are made at these rows, and paid for up to the row `test_end`.
    """

    index: int
    train_end: int
    test_start: int
    test_end: int


def expanding_folds(
    length: int, folds: int, first_test: int, *, purge: int = 1, embargo: int = 5, min_train: int = 30
) -> list[Fold]:
    """Cut rows `first_test` to `length - 1` into test windows of equal length, each with all the past to train on.

    Parameters
    ----------
    length
        Rows of the history. The last one is paid for but not decided on.
    folds
        Number of test windows; they follow one another without a gap, so that together they are one path.
    first_test
        First row that is tested.
    purge, embargo
        Rows left out between training and test.
    min_train
        Fewest rows to train on.

    Raises
    ------
    TooFewDaysError
        If a training part or a test window would be too short.
    """
    if min(purge, embargo) < 0 or purge < 1 or folds < 1:
        raise TooFewDaysError("a walk-forward needs one fold and a purge of one row at least, and no negative embargo")
    train_end = first_test - purge - embargo
    decisions = length - 1 - first_test
    if train_end < min_train or decisions < 2 * folds:
        raise TooFewDaysError(
            f"{length} rows are too few for {folds} folds from row {first_test} on with {purge} + {embargo} rows left "
            f"out: training needs {min_train} rows and each test window two; take fewer folds or more history"
        )
    edges = [first_test + round(decisions * index / folds) for index in range(folds + 1)]
    return [
        Fold(index, start - purge - embargo, start, end) for index, (start, end) in enumerate(itertools.pairwise(edges))
    ]


def inner_folds(fold: Fold, folds: int, *, purge: int = 1, embargo: int = 5) -> list[Fold]:
    """Return folds within the training part of a fold, for tuning: the last two fifths of it are tested.

    Nothing of the outer test window, nor of the strip before it, is in any of them.
    """
    first = max(3 * fold.train_end // 5, 30 + purge + embargo)
    return expanding_folds(fold.train_end, folds, first, purge=purge, embargo=embargo)


BASIS_POINT = 1e-4


@dataclass(frozen=True)
class Scenario:
    """Under which conditions policies are tested.

    Attributes
    ----------
    cost_bp
        Cost of each leg, basis points of the amount: a deposit is a leg, a withdrawal is a leg, a move is two.
    nav
        Assets at the start.
    latency
        Rows by which all that is seen of the rates is late.
    """

    cost_bp: float
    nav: float
    latency: int = 0

    @property
    def name(self) -> str:
        """Short name, a key of the results."""
        late = f", {self.latency} row late" if self.latency else ""
        return f"{self.cost_bp:g} bp, {_short(self.nav)}{late}"

    def setting(self, limits: Limits) -> Setting:
        """Return the setting of a backtest under these conditions."""
        leg = self.cost_bp * BASIS_POINT
        return Setting(limits, Costs(entry=leg, exit=leg), nav=self.nav, latency=self.latency)


HEADLINE = tuple(Scenario(cost, nav) for nav in (1e7, 1e5) for cost in (1.0, 5.0))
"""Costs and sizes that the verdict is about; the first is the reference of tables and pictures."""

SWEEP = (
    *(Scenario(cost, 1e7) for cost in (0.0, 10.0)),
    *(Scenario(1.0, nav) for nav in (1e4, 1e6)),
    Scenario(1.0, 1e7, latency=1),
)
"""Costs, sizes and latencies that are tested besides."""


@dataclass(frozen=True)
class Study:
    """A whole walk-forward.

    Attributes
    ----------
    name
        Name of the results.
    first_test
        Row of the history at which testing begins.
    folds
        Number of test windows.
    seeds
        Training runs per fold.
    seconds
        Most time of each of them. The published studies end by the preset's number of steps long before, so that what
        is learned does not depend on how busy the machine was.
    tune_seconds
        Time of each tuning run; every configuration gets one per inner fold.
    configurations
        Changes to the training preset, nested as the preset is, among which inner folds choose. All count as trials.
    inner
        Inner folds per fold.
    purge, embargo
        Rows left out between training and test.
    warm_up
        Rows before a test whose rates the running means have seen; nothing is traded in them.
    preset
        Training preset.
    scenarios
        Costs, sizes and latencies.
    """

    name: str
    first_test: int
    folds: int
    seeds: int = 10
    seconds: float = 90.0
    tune_seconds: float = 90.0
    configurations: tuple[Mapping[str, Any], ...] = ({},)
    inner: int = 1
    purge: int = 1
    embargo: int = 5
    warm_up: int = 30
    preset: str = "walk-forward"
    scenarios: tuple[Scenario, ...] = (*HEADLINE, *SWEEP)

    def cut(self, history: RateHistory) -> list[Fold]:
        """Return the folds of a history."""
        return expanding_folds(len(history), self.folds, self.first_test, purge=self.purge, embargo=self.embargo)

    def in_seconds(self, seconds: float) -> Study:
        """Return the study with other times: of training, and of tuning in proportion."""
        return replace(self, seconds=seconds, tune_seconds=self.tune_seconds * seconds / self.seconds)

    @property
    def trials(self) -> int:
        """Number of configurations that were tried on the data, for the deflated Sharpe ratio."""
        return len(self.configurations)

    def key(self, *parts: Any) -> str:
        """Return the digest of a run of this study with these parts; results with another digest are done anew."""
        return digest_of([self.name, self.purge, self.embargo, *parts])


CONFIGURATIONS: tuple[Mapping[str, Any], ...] = (
    {},
    {"ppo": {"gamma": 0.9}},
    {"ppo": {"gamma": 0.98}},
)
"""The one thing that is tuned: how far ahead to look. It depends on the cost of moving and on how long a rate leads."""

STUDIES = {
    "aave": Study("aave", first_test=100, folds=3, configurations=CONFIGURATIONS),
    "compound": Study("compound", first_test=365, folds=4, configurations=CONFIGURATIONS),
}
"""The published ones: Aave V3 on Ethereum, 220 rows; Compound V2, 1040 rows."""


def _short(nav: float) -> str:
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if nav >= unit:
            return f"{nav / unit:g}{letter}"
    return f"{nav:g}"
