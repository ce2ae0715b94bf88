"""Market history in memory: what every file format is read into, and what fits, bootstraps and backtests start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from agent.errors import GapError, TooFewDaysError, WindowError
from agent.market.path import MarketPath, gas_cost
from agent.units import DAY, FloatArray, IntArray

DEFAULT_GWEI = 1.0
DEFAULT_ETH_PRICE = 3000.0

_PER_ROW = ("rates", "stamps", "earned", "depth", "gas")


@dataclass(frozen=True)
class RateHistory:
    """Supply rates of some strategies, one row per UTC day.

    Attributes
    ----------
    start
        First day, UTC.
    names
        Names of the `n` strategies.
    rates
        `(T, n)` APR, fractions per year.
    digest
        SHA-256 of the file the rates are from, hex; says what a policy was trained on.
    source
        What to call that file.
    stamps
        `(T,)` seconds of the rows, rising, no two in one day; midnight of `start` and the days after it by default.
    earned
        `(T, n)` APR that was paid over the time up to a row, where the file knows it; the rates by default.
    depth
        `(T, n)` what others supply to each pool, asset units; unknown by default, which counts as without end.
    gas
        `(T,)` asset units per unit of gas; 1 gwei at 3000 per ETH by default.
    """

    start: date
    names: tuple[str, ...]
    rates: FloatArray
    digest: str
    source: str
    stamps: IntArray | None = None
    earned: FloatArray | None = None
    depth: FloatArray | None = None
    gas: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.rates)

    @property
    def timestamps(self) -> IntArray:
        """`(T,)` seconds of the rows, UTC."""
        if self.stamps is not None:
            return self.stamps
        return midnight(self.start) + DAY * np.arange(len(self), dtype=np.int64)

    @property
    def days(self) -> tuple[date, ...]:
        """`T` days of the rows, UTC."""
        if self.stamps is None:
            return tuple(self.start + timedelta(days=index) for index in range(len(self)))
        return tuple(datetime.fromtimestamp(int(stamp), UTC).date() for stamp in self.stamps)

    @property
    def end(self) -> date:
        """Last day, UTC."""
        return self.days[-1]

    def part(self, first: int, last: int) -> RateHistory:
        """Return rows `first` to `last`, the latter not included."""
        kept = {name: values[first:last] for name in _PER_ROW if (values := getattr(self, name)) is not None}
        return replace(self, start=self.days[first], **kept)

    def window(self, start: date | None = None, days: int | None = None) -> RateHistory:
        """Return `days` rows from the day `start` on; from the first row and to the last by default.

        Raises
        ------
        WindowError
            If the window starts outside the history.
        TooFewDaysError
            If it holds fewer days than asked for.
        """
        first = self.start if start is None else start
        if not self.start <= first <= self.end:
            raise WindowError(
                f"{self.source} runs from {self.start} to {self.end}: choose a start in between, not {first}"
            )
        offset = next(index for index, day in enumerate(self.days) if day >= first)
        available = len(self) - offset
        wanted = available if days is None else days
        if not 1 <= wanted <= available:
            raise TooFewDaysError(
                f"{self.source} has {available} days from {first} to {self.end} but {wanted} are needed: "
                "choose an earlier start, fewer days or a longer history"
            )
        return self.part(offset, offset + wanted)

    def before(self, day: date) -> RateHistory | None:
        """Return the history that ends the day before, for training without look-ahead; none if there is none."""
        count = sum(1 for known in self.days if known < day)
        return None if count < 1 else self.part(0, count)

    def with_gas(self, costs: Mapping[date, float], source: str) -> RateHistory:
        """Return the history with the gas cost of each of its days.

        Parameters
        ----------
        costs
            Asset units per unit of gas by day, as `agent.market.replay.load_gas` reads them.
        source
            What to call their file in an error.

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
        return replace(self, gas=np.array([costs[day] for day in self.days]))

    def path(self, gas: FloatArray | float | None = None) -> MarketPath:
        """Return the history as one market path.

        Parameters
        ----------
        gas
            Asset units per unit of gas, constant or `(T,)`, instead of the history's own.
        """
        known = gas_cost(DEFAULT_GWEI, DEFAULT_ETH_PRICE) if self.gas is None else self.gas
        cost = np.asarray(known if gas is None else gas, dtype=np.float64)
        return MarketPath(
            timestamps=self.timestamps,
            rates=self.rates[None].copy(),
            gas_cost=np.array(np.broadcast_to(cost, (1, len(self)))),
            names=self.names,
            earned=None if self.earned is None else self.earned[None].copy(),
            depth=None if self.depth is None else self.depth[None].copy(),
        )


def midnight(day: date) -> int:
    """Return the second at which a UTC day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
