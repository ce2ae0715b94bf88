from __future__ import annotations

import itertools

import pytest

from agent.errors import TooFewDaysError
from agent.evaluation.study import expanding_folds, inner_folds


@pytest.mark.parametrize(("length", "folds", "first"), [(220, 3, 100), (1040, 4, 365), (101, 1, 50), (97, 5, 60)])
def test_expanding__tests_follow_one_another__training_ends_before(length: int, folds: int, first: int) -> None:
    made = expanding_folds(length, folds, first, purge=2, embargo=4)
    assert [fold.index for fold in made] == list(range(folds))
    assert made[0].test_start == first
    assert made[-1].test_end == length - 1  # the last row is paid for, not decided on
    for before, after in itertools.pairwise(made):
        assert before.test_end == after.test_start
        assert after.train_end > before.train_end
    assert all(fold.test_start - fold.train_end == 6 for fold in made)
    sizes = [fold.test_end - fold.test_start for fold in made]
    assert max(sizes) - min(sizes) <= 1


def test_inner__nothing_of_the_outer_test_or_the_strip_before_it() -> None:
    for fold in expanding_folds(1040, 4, 365):
        inner = inner_folds(fold, 3)
        assert max(each.test_end for each in inner) < fold.train_end
        assert all(each.train_end < each.test_start for each in inner)
        assert inner[0].train_end >= 30


@pytest.mark.parametrize(
    ("length", "folds", "first", "purge", "embargo"),
    [(100, 3, 30, 1, 5), (100, 30, 50, 1, 5), (100, 3, 98, 1, 5), (100, 3, 60, 0, 5), (100, 0, 60, 1, 5)],
)
def test_expanding__too_little__refused(length: int, folds: int, first: int, purge: int, embargo: int) -> None:
    with pytest.raises(TooFewDaysError):
        expanding_folds(length, folds, first, purge=purge, embargo=embargo)
