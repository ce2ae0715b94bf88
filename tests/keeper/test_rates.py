"""Rates: published ones, and what share prices grew by."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from agent.errors import ObservationError
from agent.observation.memory import RateMemory
from agent.units import WAD
from keeper.rates import SPACING, WINDOW, PriceMarks, read_rates
from keeper.snapshot import Snapshot
from tests.keeper.by_hand import BLOCK, snapshot, strategy

YEAR = 31_536_000


def _at(seconds: int, *prices: int, live: bool = True) -> Snapshot:
    pools = [strategy(price=price, has_rate=False, supply_rate=0, live=live) for price in prices]
    return snapshot(*pools, block=replace(BLOCK, timestamp=BLOCK.timestamp + seconds))


def test_growth__is_measured_over_a_day_and_at_least_an_hour() -> None:
    marks = PriceMarks()
    assert marks.growth(_at(0, 10**27)) == (None,)
    for hour in range(49):
        state = _at(hour * 3600, 10**27 + hour * 10**21)
        (grown,) = marks.growth(state)
        if hour:
            since = max(hour - 24, 0)
            base = 10**27 + since * 10**21
            expected = (hour - since) * 10**21 / base * YEAR / ((hour - since) * 3600)
            assert grown == pytest.approx(expected, rel=1e-12)
        marks = marks.update(state)
    assert len(marks.times) == WINDOW // SPACING + 1


def test_growth__frequent_looks__keep_few_marks_and_the_same_rate() -> None:
    marks = PriceMarks()
    for minute in range(0, 48 * 60, 5):
        marks = marks.update(_at(minute * 60, 10**27 + minute * 10**19))
    assert len(marks.times) <= WINDOW // SPACING + 2
    (grown,) = marks.growth(_at(48 * 3600, 10**27 + 48 * 60 * 10**19))
    assert grown == pytest.approx(1e19 / 1e27 * YEAR / 60, rel=1e-4)


def test_growth__rare_looks__are_measured_from_the_last() -> None:
    marks = PriceMarks().update(_at(0, 10**27)).update(_at(7 * 86_400, 10**27 + 7 * 10**23))
    (grown,) = marks.growth(_at(14 * 86_400, 10**27 + 21 * 10**23))
    assert grown == pytest.approx(14e23 / (1e27 + 7e23) * YEAR / (7 * 86_400), rel=1e-12)


def test_growth__a_loss__is_a_rate_below_zero() -> None:
    marks = PriceMarks().update(_at(0, 10**27))
    (grown,) = marks.growth(_at(86_400, 99 * 10**25))
    assert grown == pytest.approx(-3.65)


def test_growth__unread_price__is_passed_over() -> None:
    marks = PriceMarks().update(_at(0, 0, live=False)).update(_at(3600, 10**27))
    assert marks.growth(_at(5400, 10**27)) == (None,)
    (grown,) = marks.growth(_at(7200, 10**27 + 10**21))
    assert grown == pytest.approx(1e-6 * YEAR / 3600)


def test_marks__through_the_journal__are_the_same() -> None:
    marks = PriceMarks().update(_at(0, 10**27 + 1, 3)).update(_at(3600, 10**27 + 2, 4))
    assert PriceMarks.from_json(json.loads(json.dumps(marks.to_json())), 2) == marks


@pytest.mark.parametrize(
    "data", [{}, {"times": [1]}, {"times": [1], "prices": []}, {"times": [1], "prices": [["1"]]}, {"times": 3}]
)
def test_marks__damaged__are_refused(data: dict[str, object]) -> None:
    with pytest.raises(ObservationError, match="share prices are damaged"):
        PriceMarks.from_json(data, 2)


def test_rates__published_one__comes_before_growth() -> None:
    marks = PriceMarks().update(_at(0, 10**27))
    state = snapshot(
        strategy(supply_rate=WAD // 25, price=2 * 10**27), block=replace(BLOCK, timestamp=BLOCK.timestamp + 3600)
    )
    assert read_rates(state, marks, None, 2.0).values.tolist() == [0.04]


def test_rates__absurd__is_the_usual_one_and_marked() -> None:
    state = snapshot(strategy(supply_rate=3 * WAD), strategy(supply_rate=WAD))
    memory = RateMemory.start(np.array([[0.05, 0.06]]), BLOCK.timestamp)
    rates = read_rates(state, PriceMarks(), memory, 2.0)
    assert rates.values.tolist() == [0.05, 1.0]
    assert rates.absurd == (True, False)
    assert read_rates(state, PriceMarks(), None, 2.0).values.tolist() == [0.0, 1.0]


def test_rates__dead_strategy__needs_none() -> None:
    state = snapshot(strategy(live=False, has_rate=False, supply_rate=0), strategy())
    rates = read_rates(state, PriceMarks(), None, 2.0)
    assert (rates.unknown, rates.values.tolist()) == ((), [0.0, 0.05])
