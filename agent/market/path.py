"""A market path: what the world does, row by row.

At row `t` the agent sees `rates[t]`, decides, and earns `rates[t + 1]` over the time up to row `t + 1`. What it earns
is therefore never what it has already seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agent.errors import MarketDataError, TooFewDaysError
from agent.portfolio import MarketRow
from agent.units import GWEI, YEAR, FloatArray, IntArray


@dataclass(frozen=True)
class MarketPath:
    """A batch of `B` market paths of `T` rows for `n` strategies.

    Attributes
    ----------
    timestamps
        `(T,)` seconds, UTC, rising.
    rates
        `(B, T, n)` supply rates, APR.
    gas_cost
        `(B, T)` asset units per unit of gas.
    names
        `n` names of the strategies.
    losses
        `(B, T, n)` share of a position that is lost over the time up to a row, for instance to bad debt; none by
        default.
    """

    timestamps: IntArray
    rates: FloatArray
    gas_cost: FloatArray
    names: tuple[str, ...]
    losses: FloatArray | None = None

    def __post_init__(self) -> None:
        batch, length, count = self.rates.shape
        if length < 2:
            raise TooFewDaysError("a market path needs two rows at least: one to decide on and one to earn")
        if self.timestamps.shape != (length,) or self.gas_cost.shape != (batch, length) or len(self.names) != count:
            raise MarketDataError("timestamps, rates, gas costs and names of a market path do not belong together")
        if not (np.diff(self.timestamps) > 0).all():
            raise MarketDataError("the timestamps of a market path must rise")
        if not (np.isfinite(self.rates).all() and np.isfinite(self.gas_cost).all()):
            raise MarketDataError("the rates and gas costs of a market path must be finite")
        if (self.rates < 0).any() or (self.gas_cost < 0).any():
            raise MarketDataError("the rates and gas costs of a market path must not be below zero")
        if self.losses is not None and (
            self.losses.shape != self.rates.shape or not ((self.losses >= 0) & (self.losses <= 1)).all()
        ):
            raise MarketDataError("the losses of a market path must be shares between zero and one, one per rate")

    @property
    def batch(self) -> int:
        """Number of paths."""
        return int(self.rates.shape[0])

    @property
    def length(self) -> int:
        """Number of rows; one more than there are decisions to be paid for."""
        return int(self.rates.shape[1])

    @property
    def count(self) -> int:
        """Number of strategies."""
        return int(self.rates.shape[2])

    def growth(self) -> FloatArray:
        """Return `(B, T - 1, n)` factors by which positions grow after a decision at each row but the last.

        Interest is simple within a row, as in Aave's liquidity index.
        """
        seconds = np.diff(self.timestamps).astype(np.float64)[None, :, None]
        growth = 1.0 + self.rates[:, 1:] * (seconds / YEAR)
        return growth if self.losses is None else growth * (1.0 - self.losses[:, 1:])

    def row(self, index: int) -> MarketRow:
        """Return what follows a decision at row `index`: the gas price of that row, the interest of the next."""
        seconds = float(self.timestamps[index + 1] - self.timestamps[index])
        return MarketRow(self.rows(index, 2).growth()[:, 0], self.gas_cost[:, index], seconds)

    def rows(self, start: int, length: int) -> MarketPath:
        """Return rows `start` to `start + length` (not included) of every path."""
        part = slice(start, start + length)
        losses = None if self.losses is None else self.losses[:, part]
        return MarketPath(self.timestamps[part], self.rates[:, part], self.gas_cost[:, part], self.names, losses)


class Market(Protocol):
    """Anything that market paths can be drawn from."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the strategies."""

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        """Draw `batch` paths of `length` rows."""


def gas_cost(gwei: FloatArray | float, eth_price: FloatArray | float) -> FloatArray:
    """Return asset units per unit of gas, from a gas price in gwei and the price of ETH in asset units."""
    return np.asarray(np.asarray(gwei, dtype=np.float64) * GWEI * np.asarray(eth_price, dtype=np.float64))
