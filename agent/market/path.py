"""A market path: what the world does, row by row.

At row `t` the agent sees `rates[t]` and `features[t]`, decides, pays `gas_cost[t]` and may withdraw `liquidity[t]`.
Over the time up to row `t + 1` it earns `earned[t + 1]` in pools of `depth[t + 1]`, and its positions are multiplied by
`factors[t + 1]`. What it earns is therefore never what it has already seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from agent.errors import MarketDataError, TooFewDaysError
from agent.units import GWEI, YEAR, FloatArray, IntArray
from agent.vault.portfolio import MarketRow

_PER_STRATEGY = ("rates", "factors", "earned", "depth", "liquidity")
_OPTIONAL = ("factors", "earned", "depth", "liquidity", "features", "surprises")
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
        `(B, T, n)` what a position is multiplied by over the time up to a row, besides interest: a price that moves, a
        lost peg, impermanent loss, bad debt. None by default: nothing but interest.
    earned
        `(B, T, n)` APR that was paid over the time up to a row, where history knows it better than by the rate at the
        row (from an index of liquidity, say); `rates` by default.
    depth
        `(B, T, n)` what others supply to a pool, asset units: the vault's own deposit dilutes the interest. Without end
        by default.
    liquidity
        `(B, T, n)` most that can be withdrawn at a row, asset units. Without end by default.
    features
        `(B, T, k)` what else is seen at a row; `agent.observation.versions` says what each version needs.
    feature_names
        `k` names of the features.
    surprises
        `(B, T, n)` that part of each relative price change over the time up to a row whose expectation, whatever was
        seen before, is zero. A model of a market knows it and history does not, so none by default. Nobody sees it: it
        is for control variates (`agent.envs.risk_reward`).
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
        for name in ("gas_cost", *_PER_STRATEGY):
            values = getattr(self, name)
            if values is None:
                continue
            if name != "gas_cost" and values.shape != self.rates.shape:
                raise MarketDataError(
                    f"the {name} of a market path must have the shape of its rates {self.rates.shape}"
                )
            if np.isnan(values).any() or not (values >= 0).all():
                raise MarketDataError(f"the {name} of a market path must be numbers of zero or more")
            if name not in ("depth", "liquidity") and not np.isfinite(values).all():
                raise MarketDataError(f"the {name} of a market path must be finite")
        shape = (batch, length, len(self.feature_names))
        if (self.features is None) != (not self.feature_names):
            raise MarketDataError("the features of a market path need their names, and names need features")
        if self.features is not None and not (self.features.shape == shape and np.isfinite(self.features).all()):
            raise MarketDataError(f"the features of a market path must be finite and of the shape {shape}")
        unseen = self.surprises
        if unseen is not None and not (unseen.shape == self.rates.shape and np.isfinite(unseen).all()):
            raise MarketDataError(f"the surprises of a market path must be finite and of the shape {self.rates.shape}")

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

        Interest is simple within a row, as in Aave's liquidity index. Factors and dilution are `MarketRow.gain`'s.

        Parameters
        ----------
        decisions
            Which of the `T - 1` decisions; all by default.
        """
        paid = self.rates if self.earned is None else self.earned
        seconds = np.diff(self.timestamps)[decisions].astype(np.float64)[None, :, None]
        return np.asarray(1.0 + paid[:, 1:][:, decisions] * (seconds / YEAR))

    def row(self, index: int) -> MarketRow:
        """Return what follows a decision at row `index`: gas and liquidity of that row, the earnings of the next."""
        after = index + 1
        return MarketRow(
            growth=self.growth(slice(index, after))[:, 0],
            gas_cost=self.gas_cost[:, index],
            seconds=float(self.timestamps[after] - self.timestamps[index]),
            factors=None if self.factors is None else self.factors[:, after],
            depth=None if self.depth is None else self.depth[:, after],
            liquidity=None if self.liquidity is None else self.liquidity[:, index],
            surprises=None if self.surprises is None else self.surprises[:, after],
        )

    def rows(self, start: int, length: int) -> MarketPath:
        """Return rows `start` to `start + length` (not included) of every path."""
        part = slice(start, start + length)
        kept = {name: values[:, part] for name in _OPTIONAL if (values := getattr(self, name)) is not None}
        return replace(
            self,
            timestamps=self.timestamps[part],
            rates=self.rates[:, part],
            gas_cost=self.gas_cost[:, part],
            **kept,
        )

    def take(self, paths: IntArray) -> MarketPath:
        """Return the paths with these indices, `(B',)`, each as often as it is named."""
        kept = {name: values[paths] for name in _OPTIONAL if (values := getattr(self, name)) is not None}
        return replace(self, rates=self.rates[paths], gas_cost=self.gas_cost[paths], **kept)


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
