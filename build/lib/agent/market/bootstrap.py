"""Markets resampled from history: whatever shape rates have, without a model of it.

`BootstrapMarket` is the stationary bootstrap of Politis and Romano ("The stationary bootstrap", JASA 1994): days are
copied in blocks of geometric length, all strategies at once, so that their correlation stays, and with it the gas cost
and the depth of those days. `MixedMarket` draws some paths from one market and some from another, as the walk-forward
does for training: the fitted model knows more states than a short history, the bootstrap no false ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agent.digest import digest_of
from agent.errors import MarketDataError
from agent.market.history import RateHistory, daily
from agent.market.lending import SyntheticMarket
from agent.market.path import Market, MarketPath
from agent.units import FloatArray, IntArray

DEFAULT_BLOCK = 30.0
"""Mean days of a block: over the three weeks of an observation's slow mean, so that most means are of real days."""


@dataclass(frozen=True)
class BootstrapMarket:
    """Daily paths made of blocks of history.

    Attributes
    ----------
    history
        The history to resample. Each row counts as a day, whatever its stamp, and its earnings stay a rate.
    block
        Mean length of a block, days, at least one.
    """

    history: RateHistory
    block: float = DEFAULT_BLOCK

    def __post_init__(self) -> None:
        if not 1 <= self.block < np.inf:
            raise MarketDataError(f"the mean block of a bootstrap must be one day at least, not {self.block}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the strategies."""
        return self.history.names

    @property
    def digest(self) -> str:
        """Digest of everything that paths depend on but the random numbers."""
        known = self.history
        return digest_of(
            {"file": known.digest, "days": [known.start.isoformat(), known.end.isoformat()], "block": self.block}
        )

    @property
    def description(self) -> dict[str, Any]:
        """Entry in a manifest."""
        known = self.history
        return {
            "kind": "bootstrap",
            "digest": self.digest,
            "source": known.source,
            "sha256": known.digest,
            "first_day": known.start.isoformat(),
            "last_day": known.end.isoformat(),
            "block": self.block,
        }

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        """Draw `batch` independent daily paths of `length` rows; the history wraps around at its end."""
        known, rows = self.history, self._rows(rng, batch, length)
        return MarketPath(
            timestamps=daily(known.start, length),
            rates=known.rates[0][rows],
            gas_cost=known.gas_cost[0][rows],
            names=self.names,
            earned=None if known.earned is None else known.earned[0][rows],
            depth=None if known.depth is None else known.depth[0][rows],
        )

    def _rows(self, rng: np.random.Generator, batch: int, length: int) -> IntArray:
        """Return `(batch, length)` rows of the history: each the one after the last, or the first of a new block."""
        fresh = rng.random((batch, length)) < 1.0 / self.block
        fresh[:, 0] = True
        start = rng.integers(0, len(self.history), (batch, length))
        last = np.maximum.accumulate(np.where(fresh, np.arange(length), 0), axis=1)  # where the present block began
        row: IntArray = (np.take_along_axis(start, last, 1) + np.arange(length) - last) % len(self.history)
        return row


@dataclass(frozen=True)
class MixedMarket:
    """Paths from several markets of the same strategies.

    Attributes
    ----------
    markets
        The markets that paths are drawn from.
    shares
        Share of the paths from each market; they sum to one.
    permute
        Whether each path's strategies are put in a random order, so that nothing can be learned about one by its name:
        in a short history, the name of the best pool says less about the future than traits that all pools share.
    """

    markets: tuple[Market, ...]
    shares: tuple[float, ...]
    permute: bool = False

    def __post_init__(self) -> None:
        if not self.markets or len({market.names for market in self.markets}) != 1:
            raise MarketDataError("markets that are mixed must have the same strategies")
        if len(self.shares) != len(self.markets) or min(self.shares) < 0 or abs(sum(self.shares) - 1.0) > 1e-9:
            raise MarketDataError("each of the markets that are mixed needs its share, and the shares must sum to one")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the strategies."""
        return self.markets[0].names

    @property
    def digest(self) -> str:
        """Digest of everything that paths depend on but the random numbers."""
        parts = [getattr(market, "digest", type(market).__name__) for market in self.markets]
        return digest_of({"markets": parts, "shares": list(self.shares), "permute": self.permute})

    @property
    def description(self) -> dict[str, Any]:
        """Entry in a manifest; the last day is the last of any of the markets."""
        parts: list[dict[str, Any]] = []
        for market in self.markets:
            if isinstance(market, SyntheticMarket):
                parts.append({"kind": "synthetic", "digest": market.digest, **market.model.fitted_to})
            else:
                parts.append(getattr(market, "description", {"kind": type(market).__name__}))
        days = [str(part["last_day"]) for part in parts if "last_day" in part]
        return {
            "kind": "mixed",
            "digest": self.digest,
            "last_day": max(days, default=None),
            "shares": list(self.shares),
            "permute": self.permute,
            "parts": parts,
        }

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        """Draw `batch` paths of `length` rows, as many from each market as its share says, in random order."""
        bounds = np.round(np.cumsum((0.0, *self.shares)) * batch).astype(int)
        drawn = [
            market.sample(rng, int(count), length)
            for market, count in zip(self.markets, np.diff(bounds), strict=True)
            if count
        ]
        path = _joined(drawn).take(rng.permutation(batch))
        return _permuted(path, rng) if self.permute else path


def _joined(paths: Sequence[MarketPath]) -> MarketPath:
    """Return the paths of several markets as one batch, on the clock of the first."""
    first = paths[0]
    if any(path.features is not None or path.liquidity is not None or path.factors is not None for path in paths):
        raise MarketDataError("only lending markets without features and factors can be mixed")

    def stacked(name: str, default: Callable[[MarketPath], FloatArray]) -> FloatArray | None:
        known = [getattr(path, name) for path in paths]
        if all(values is None for values in known):
            return None
        pairs = zip(paths, known, strict=True)
        return np.asarray(np.concatenate([default(path) if values is None else values for path, values in pairs]))

    return replace(
        first,
        rates=np.concatenate([path.rates for path in paths]),
        gas_cost=np.concatenate([path.gas_cost for path in paths]),
        earned=stacked("earned", lambda path: path.rates),
        depth=stacked("depth", lambda path: np.full(path.rates.shape, np.inf)),
    )


def _permuted(path: MarketPath, rng: np.random.Generator) -> MarketPath:
    """Return the paths, the strategies of each in a random order."""
    order = rng.permuted(np.tile(np.arange(path.count), (path.batch, 1)), axis=1)[:, None, :]
    changed: dict[str, Any] = {
        name: np.take_along_axis(values, order, axis=2)
        for name in ("rates", "earned", "depth")
        if (values := getattr(path, name)) is not None
    }
    return replace(path, **changed)
