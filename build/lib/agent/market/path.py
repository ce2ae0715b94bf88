"""A market path: the world outside the vault, row by row.

At row `t` the agent sees `rates[t]` and `features[t]`, decides, pays `gas_cost[t]` and may withdraw `liquidity[t]`.
Over the time up to row `t + 1` it earns `earned[t + 1]` in pools of `depth[t + 1]`, and its positions are multiplied by
`factors[t + 1]`. It is therefore never paid what it has already seen. Drawn paths and real history
(`agent.market.history`) are both market paths; `agent.vault.portfolio.MarketRow` is one row of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from agent.errors import MarketDataError, TooFewDaysError
from agent.units import GWEI, YEAR, FloatArray, IntArray
from agent.vault.portfolio import MarketRow

_PER_STRATEGY = ("rates", "factors", "earned", "depth", "liquidity")
_PER_ROW = (*_PER_STRATEGY, "gas_cost", "features", "surprises")
_ALL_ROWS = slice(None)


@dataclass(frozen=True)
class MarketPath:
    """A batch of `B` market paths of `T` rows for `n` strategies.

    Attributes
    ----------
    timestamps
        `(T,)` seconds, UTC, rising.
    rates
        `(B, T, n)` supply rates that are seen, APR.
    gas_cost
        `(B, T)` asset units per unit of gas.
    names
        `n` names of the strategies.
    factors
        `(B, T, n)` factors by which positions change over the time up to a row, besides interest: a price that moves, a
        lost peg, impermanent loss, bad debt. Interest only by default.
    earned
        `(B, T, n)` APR that was paid over the time up to a row, where history knows it better than by the rate at the
        row (from an index of liquidity, say); `rates` by default.
    depth
        `(B, T, n)` assets that others supply to a pool: the vault's own deposit dilutes the interest. Unlimited by
        default.
    liquidity
        `(B, T, n)` most that can be withdrawn at a row, asset units. Unlimited by default.
    features
        `(B, T, k)` further numbers that are seen; `agent.observation.observe` says which each version needs.
    feature_names
        `k` names of the features.
    surprises
        `(B, T, n)` the part of each relative price change over the time up to a row that has zero expectation given
        all that was seen before. A model of a market knows it and history does not, so none by default. No policy sees
        it: it serves as a control variate (`agent.envs.reward`).
    """

    timestamps: IntArray
    rates: FloatArray
    gas_cost: FloatArray
    names: tuple[str, ...]
    factors: FloatArray | None = None
    earned: FloatArray | None = None
    depth: FloatArray | None = None
    liquidity: FloatArray | None = None
    features: FloatArray | None = None
    feature_names: tuple[str, ...] = ()
    surprises: FloatArray | None = None

    def __post_init__(self) -> None:
        batch, length, count = self.rates.shape
        if length < 2:
            raise TooFewDaysError("a market path needs two rows at least: one to decide on and one to earn")
        if self.timestamps.shape != (length,) or self.gas_cost.shape != (batch, length) or len(self.names) != count:
            raise MarketDataError("timestamps, rates, gas costs and names of a market path do not belong together")
        if not (np.diff(self.timestamps) > 0).all():
            raise MarketDataError("the timestamps of a market path must rise")
        if (self.features is None) != (not self.feature_names):
            raise MarketDataError("the features of a market path need their names, and names need features")
        for name, values in self._arrays().items():
            shape = {"gas_cost": (batch, length), "features": (batch, length, len(self.feature_names))}
            if values.shape != shape.get(name, self.rates.shape):
                raise MarketDataError(
                    f"the {name} of a market path must have the shape {shape.get(name, self.rates.shape)}"
                )
            endless = name in ("depth", "liquidity")
            if not np.isfinite(values).all() and not (endless and not np.isnan(values).any()):
                raise MarketDataError(
                    f"the {name} of a market path must be {'numbers' if endless else 'finite numbers'}"
                )
            if name not in ("features", "surprises") and not (values >= 0).all():
                raise MarketDataError(f"the {name} of a market path must be zero or more")

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

    def growth(self, decisions: slice = _ALL_ROWS) -> FloatArray:
        """Return `(B, T - 1, n)` factors by which interest lets small positions grow after each row but the last.

        Interest is simple within a row, as in Aave's liquidity index. `MarketRow.gain` adds factors and dilution.

        Parameters
        ----------
        decisions
            Slice of the `T - 1` decisions; all by default.
        """
        paid = self.rates if self.earned is None else self.earned
        seconds = np.diff(self.timestamps)[decisions].astype(np.float64)[None, :, None]
        return np.asarray(1.0 + paid[:, 1:][:, decisions] * (seconds / YEAR))

    def row(self, index: int) -> MarketRow:
        """Return the market at a row, from 0 to `T - 2`, and up to the next one."""

        def at(values: FloatArray | None, where: int) -> FloatArray | None:
            return None if values is None else values[:, where]

        after = index + 1
        return MarketRow(
            rates=self.rates[:, index],
            gas_cost=self.gas_cost[:, index],
            growth=self.growth(slice(index, after))[:, 0],
            seconds=float(self.timestamps[after] - self.timestamps[index]),
            factors=at(self.factors, after),
            depth=at(self.depth, after),
            liquidity=at(self.liquidity, index),
            features=at(self.features, index),
            surprises=at(self.surprises, after),
        )

    def part(self, first: int, last: int) -> Self:
        """Return rows `first` to `last`, the latter not included, of every path."""
        kept: dict[str, Any] = {name: values[:, first:last] for name, values in self._arrays().items()}
        return replace(self, timestamps=self.timestamps[first:last], **kept)

    def take(self, paths: IntArray) -> Self:
        """Return the paths with these indices, `(B',)`, each as often as it is named."""
        kept: dict[str, Any] = {name: values[paths] for name, values in self._arrays().items()}
        return replace(self, **kept)

    def _arrays(self) -> dict[str, FloatArray]:
        """Return the arrays `(B, T, ...)` that this path has, by name."""
        return {name: values for name in _PER_ROW if (values := getattr(self, name)) is not None}


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
