"""A bank of market paths that many vaults read at once, each at a row of its own: one look-up per step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.errors import MarketDataError
from agent.market.path import MarketPath
from agent.units import FloatArray, IntArray
from agent.vault.portfolio import MarketRow


@dataclass(frozen=True)
class BankRow:
    """What a batch of vaults finds at their rows; see `MarketPath` and `MarketRow`."""

    rates: FloatArray
    gas_cost: FloatArray
    growth: FloatArray
    seconds: float
    factors: FloatArray | None
    depth: FloatArray | None
    liquidity: FloatArray | None
    features: FloatArray | None
    surprises: FloatArray | None

    def market_row(self) -> MarketRow:
        """Return what follows a decision here."""
        return MarketRow(
            self.growth, self.gas_cost, self.seconds, self.factors, self.depth, self.liquidity, self.surprises
        )


class Bank:
    """Market paths as one table: a line per path and row, with what is seen there and what is earned after it.

    Parameters
    ----------
    path
        The paths; equally spaced rows.
    """

    def __init__(self, path: MarketPath) -> None:
        spacing = np.diff(path.timestamps)
        if not (spacing == spacing[0]).all():
            raise MarketDataError("training needs market paths with equally spaced rows")
        self.paths, self.length, self.seconds = path.batch, path.length, float(spacing[0])
        columns: dict[str, FloatArray] = {"rates": path.rates, "gas_cost": path.gas_cost[..., None]}
        columns["growth"] = _ahead(path.growth())
        for name in ("factors", "depth", "surprises"):
            values = getattr(path, name)
            if values is not None:
                columns[name] = _ahead(values[:, 1:])
        for name in ("liquidity", "features"):
            values = getattr(path, name)
            if values is not None:
                columns[name] = values
        self._parts: dict[str, slice] = {}
        end = 0
        for name, values in columns.items():
            self._parts[name] = slice(end, end + values.shape[-1])
            end += values.shape[-1]
        self._table = np.concatenate(list(columns.values()), axis=-1).reshape(-1, end)

    def at(self, path: IntArray, row: IntArray) -> BankRow:
        """Return what is at these rows of these paths, `(B,)` indices each."""
        line = self._table.take(path * self.length + row, axis=0)
        found = {name: line[:, part] for name, part in self._parts.items()}
        return BankRow(
            rates=found["rates"],
            gas_cost=found["gas_cost"][:, 0],
            growth=found["growth"],
            seconds=self.seconds,
            factors=found.get("factors"),
            depth=found.get("depth"),
            liquidity=found.get("liquidity"),
            features=found.get("features"),
            surprises=found.get("surprises"),
        )

    def rates_before(self, path: IntArray, row: IntArray, rows: int) -> FloatArray:
        """Return the rates of these rows and of `rows` before, `(B, rows + 1, n)`; before the first row, the first."""
        back = np.maximum(row[:, None] - np.arange(rows, -1, -1), 0)
        lines = self._table.take(path[:, None] * self.length + back, axis=0)
        return np.asarray(lines[..., self._parts["rates"]])


def _ahead(values: FloatArray) -> FloatArray:
    """Return `(B, T, n)` from what follows the first `T - 1` rows; the last row, which nothing follows, repeats."""
    return np.concatenate([values, values[:, -1:]], axis=1)
