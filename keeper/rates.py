"""Rates of the strategies at a block: those that they publish, or else the growth of their share prices.

Most ERC-4626 vaults publish no rate, and need none: their share price is read at every block that the keeper decides
at, and a few of those prices are remembered. A rate beyond what is plausible is no rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from agent.errors import ObservationError
from agent.observation.memory import RateMemory
from agent.units import DAY, WAD, YEAR, FloatArray
from keeper.snapshot import Snapshot

WINDOW = int(DAY)
"""Seconds over which the growth of a share price is measured, where prices are known for so long."""
SPACING = WINDOW // 24
"""Seconds between two prices that are remembered, and the least over which growth is measured."""


@dataclass(frozen=True)
class PriceMarks:
    """Share prices of a vault's strategies at a few past blocks, the oldest first.

    Attributes
    ----------
    times
        Timestamps of the blocks.
    prices
        One tuple per block, one price per strategy in the lens's integers; 0 where it could not be read.
    """

    times: tuple[int, ...] = ()
    prices: tuple[tuple[int, ...], ...] = ()

    def update(self, snapshot: Snapshot) -> PriceMarks:
        """Take in the prices of a block, and forget those that no rate needs any more."""
        now = snapshot.block.timestamp
        times, prices = self.times, self.prices
        if not times or now - times[-1] >= SPACING:
            times = (*times, now)
            prices = (*prices, tuple(s.price if s.live else 0 for s in snapshot.strategies))
        old = sum(time <= now - WINDOW for time in times)
        kept = max(old - 1, 0)  # of the old ones the newest: the growth since is over a whole window
        return PriceMarks(times[kept:], prices[kept:])

    def growth(self, snapshot: Snapshot) -> tuple[float | None, ...]:
        """Return each strategy's growth up to a block, APR; None where no price is old enough."""
        now = snapshot.block.timestamp
        return tuple(self._grown(index, s.price, now) for index, s in enumerate(snapshot.strategies))

    def _grown(self, index: int, price: int, now: int) -> float | None:
        """Return the growth since the newest price that is a window old or, before there is one, since the oldest."""
        pairs = zip(self.times, self.prices, strict=True)
        known = [(now - time, row[index]) for time, row in pairs if row[index] and now - time >= SPACING]
        if not known:
            return None
        age, old = next((each for each in reversed(known) if each[0] >= WINDOW), known[0])
        return (price - old) / old * (YEAR / age)

    def to_json(self) -> dict[str, Any]:
        """Return the marks as plain data, for the journal; JSON readers would round the prices, so they are strings."""
        return {"times": list(self.times), "prices": [[str(price) for price in row] for row in self.prices]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], count: int) -> Self:
        """Return the marks of `count` strategies that `to_json` stored.

        Raises
        ------
        ObservationError
            If an entry is missing or malformed.
        """
        try:
            times = tuple(int(time) for time in data["times"])
            prices = tuple(tuple(int(price) for price in row) for row in data["prices"])
        except (KeyError, TypeError, ValueError) as error:
            raise ObservationError(f"stored share prices are damaged ({error}): start a new journal") from error
        if len(times) != len(prices) or any(len(row) != count for row in prices):
            raise ObservationError("stored share prices are damaged (of other lengths): start a new journal")
        return cls(times, prices)


@dataclass(frozen=True)
class Rates:
    """The rates at a block.

    Attributes
    ----------
    values
        `(n,)` APR. Where there is no plausible rate, the strategy's usual one, so that it draws nothing in or out.
    unknown
        Names of strategies that publish none and have not been watched for long enough.
    absurd
        `(n,)` whether what a strategy shows is beyond what is plausible: nothing more may be put into it.
    """

    values: FloatArray
    unknown: tuple[str, ...]
    absurd: tuple[bool, ...]


def read_rates(
    snapshot: Snapshot,
    marks: PriceMarks,
    memory: RateMemory | None,
    most: float,
    told: Mapping[str, float] | None = None,
) -> Rates:
    """Return the rates at a block.

    Parameters
    ----------
    most
        The largest plausible rate, APR, up or down.
    told
        By a strategy's name or address, its rate where the operator has a better source: the share price of one that
        holds a volatile token grows and falls with the token.
    """
    known = {} if told is None else told
    usual = np.zeros(len(snapshot.strategies)) if memory is None else memory.slow[0]
    values, unknown, absurd = [], [], []
    for index, (s, grown) in enumerate(zip(snapshot.strategies, marks.growth(snapshot), strict=True)):
        shown = s.supply_rate / WAD if s.has_rate else grown
        rate = known.get(s.target, known.get(s.label, shown))
        if rate is None and s.live:
            unknown.append(s.label)
        absurd.append(rate is not None and abs(rate) > most)
        values.append((0.0 if rate is None else rate) if not absurd[-1] else float(usual[index]))
    return Rates(np.array(values), tuple(unknown), tuple(absurd))
