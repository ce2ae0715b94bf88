"""Market history: the one path that really happened, with its days and the file it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Self

import numpy as np

from agent.errors import GapError, TooFewDaysError, WindowError
from agent.market.path import MarketPath, gas_cost
from agent.units import DAY, FloatArray, IntArray

DEFAULT_GWEI = 1.0
DEFAULT_ETH_PRICE = 3000.0


@dataclass(frozen=True)
class RateHistory(MarketPath):
    """A market path with `B = 1`, at most one row per UTC day.

    Attributes
    ----------
    source
        Name of the file for messages.
    digest
        SHA-256 of the file, hex; identifies the data that a policy was trained on.
    has_gas
        Whether the gas cost is known for each day, or is 1 gwei at 3000 per ETH throughout.
    """

    source: str = ""
    digest: str = ""
    has_gas: bool = False

    @classmethod
    def of(
        cls,
        timestamps: IntArray,
        names: tuple[str, ...],
        rates: FloatArray,
        *,
        source: str,
        digest: str,
        earned: FloatArray | None = None,
        depth: FloatArray | None = None,
    ) -> Self:
        """Return a history of `(T, n)` rates, earnings and depth, at the default gas cost."""
        return cls(
            timestamps,
            np.ascontiguousarray(rates)[None],
            np.full((1, len(rates)), gas_cost(DEFAULT_GWEI, DEFAULT_ETH_PRICE)),
            names,
            earned=None if earned is None else np.ascontiguousarray(earned)[None],
            depth=None if depth is None else np.ascontiguousarray(depth)[None],
            source=source,
            digest=digest,
        )

    def __len__(self) -> int:
        return self.length

    @property
    def days(self) -> tuple[date, ...]:
        """`T` days of the rows, UTC."""
        return tuple(day_of(stamp) for stamp in self.timestamps)

    @property
    def start(self) -> date:
        """First day, UTC."""
        return day_of(self.timestamps[0])

    @property
    def end(self) -> date:
        """Last day, UTC."""
        return day_of(self.timestamps[-1])

    def window(self, start: date | None = None, days: int | None = None) -> Self:
        """Return `days` rows from the day `start` on; from the first row and to the last by default.

        Raises
        ------
        WindowError
            If the window starts outside the history.
        TooFewDaysError
            If it holds fewer days than asked for, or fewer than two.
        """
        first = self.start if start is None else start
        if not self.start <= first <= self.end:
            raise WindowError(
                f"{self.source} runs from {self.start} to {self.end}: choose a start in between, not {first}"
            )
        offset = sum(day < first for day in self.days)
        available = len(self) - offset
        wanted = available if days is None else days
        if not 1 <= wanted <= available:
            raise TooFewDaysError(
                f"{self.source} has {available} days from {first} to {self.end} but {wanted} are needed: "
                "choose an earlier start, fewer days or a longer history"
            )
        return self.part(offset, offset + wanted)

    def before(self, day: date) -> Self | None:
        """Return the history that ends the day before, for training without look-ahead; none under two days."""
        count = sum(known < day for known in self.days)
        return None if count < 2 else self.part(0, count)

    def with_gas(self, costs: Mapping[date, float], source: str) -> Self:
        """Return the history with the gas cost of each of its days.

        Parameters
        ----------
        costs
            Asset units per unit of gas by day, as `agent.market.replay.load_gas` reads them.
        source
            Name of their file for an error.

        Raises
        ------
        GapError
            If a day has none.
        """
        missing = [day for day in self.days if day not in costs]
        if missing:
            raise GapError(
                f"{source} has no gas price of {missing[0]}"
                + (f" and {len(missing) - 1} other days" if len(missing) > 1 else "")
                + f": it must cover {self.start} to {self.end} of {self.source}"
            )
        return replace(self, gas_cost=np.array([[costs[day] for day in self.days]]), has_gas=True)


def day_of(stamp: int) -> date:
    """Return the UTC day of a second."""
    return datetime.fromtimestamp(int(stamp), UTC).date()


def midnight(day: date) -> int:
    """Return the second at which a UTC day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def daily(start: date, count: int) -> IntArray:
    """Return the midnights `(count,)` of consecutive UTC days, seconds."""
    return midnight(start) + DAY * np.arange(count, dtype=np.int64)
