"""What daily formats share: one value per day and strategy, and no day missing."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from agent.errors import DuplicateDateError, GapError, TooFewDaysError
from agent.market.formats.table import Table
from agent.units import FloatArray

Series = dict[date, tuple[int, tuple[float, ...]]]
"""A strategy's days: line, and the values read from it."""


def put(table: Table, series: Series, day: date, line: int, name: str, *values: float) -> None:
    """Add a strategy's day; refuse it if it is there already, or if the first value is no rate."""
    if day in series:
        raise DuplicateDateError(
            f"{table.source} line {line} ({day}, {name}): the same day is already on line {series[day][0]}: "
            "keep one of them"
        )
    table.check_rate(line, day, name, values[0])
    series[day] = (line, values)


def aligned(table: Table, series: dict[str, Series]) -> tuple[date, FloatArray]:
    """Return the first common day and `(T, n, values)` of all days in common; refuse a gap in any series."""
    for name, entries in series.items():
        for before, after in pairwise(sorted(entries)):
            missing = (after - before).days - 1
            if missing:
                raise GapError(
                    f"{table.source} line {entries[after][0]} ({after}, {name}): "
                    f"{'1 day is' if missing == 1 else f'{missing} days are'} missing after {before}: "
                    "fill the gap in the file or start after it"
                )
    start = max(min(entries) for entries in series.values())
    end = min(max(entries) for entries in series.values())
    if end <= start:
        raise TooFewDaysError(
            f"{table.source}: {', '.join(series)} have fewer than two days in common: choose other ones"
        )
    days = [start + timedelta(days=index) for index in range((end - start).days + 1)]
    return start, np.array([[entries[day][1] for entries in series.values()] for day in days])
