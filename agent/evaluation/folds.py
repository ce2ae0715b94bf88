"""Expanding walk-forward folds: train on the past, leave out a strip, test on what follows, then move on.

    |------------- train -------------|purge+embargo|---- test ----|
    |--------------------- train ---------------------|purge+embargo|---- test ----|

*Purge*: the last training rows whose outcome would reach into the test window are left out (Lopez de Prado, "Advances
in Financial Machine Learning", 2018, chapter 7). A decision is paid for in the next row, so one row is enough where
rewards are not summed further. *Embargo*: further rows are left out because the running means of the first test rows
remember the days before. Training always lies before its test, so nothing after a test window needs an embargo.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from agent.errors import TooFewDaysError


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
    length: int, folds: int, first_test: int, *, purge: int = 1, embargo: int = 5, least_train: int = 30
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
    least_train
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
    if train_end < least_train or decisions < 2 * folds:
        raise TooFewDaysError(
            f"{length} rows are too few for {folds} folds from row {first_test} on with {purge} + {embargo} rows left "
            f"out: training needs {least_train} rows and each test window two; take fewer folds or more history"
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
