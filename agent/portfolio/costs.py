"""What a rebalance costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agent.columns import total
from agent.units import BoolArray, FloatArray, rows


@dataclass(frozen=True)
class Costs:
    """What a rebalance costs.

    Attributes
    ----------
    gas_base
        Units of gas of a rebalance that moves nothing.
    gas_per_move
        Further units for each strategy deposited to or withdrawn from. Calibrate both from receipts.
    entry, exit
        Share of a deposit or a withdrawal that is lost on the way: one for all, `(n,)` per strategy, or `(B, n)` or
        `(B, 1)` per vault of a batch; zero for lending pools.
    """

    gas_base: float = 250_000.0
    gas_per_move: float = 250_000.0
    entry: FloatArray | float = 0.0
    exit: FloatArray | float = 0.0

    def gas_units(self, moves: FloatArray | BoolArray) -> FloatArray:
        """Return the units of gas for `(..., n)` moved flags, `(...,)`; zero where nothing moves."""
        count = total(np.asarray(moves, dtype=np.float64))
        return np.where(count > 0, self.gas_base + self.gas_per_move * count, 0.0)

    def switch(self, batch: int) -> FloatArray:
        """Return `(B,)` what moving a unit from one strategy to another is expected to cost, as a share of it."""
        entry, leave = (np.asarray(cost, dtype=np.float64) for cost in (self.entry, self.exit))
        mean = (cost.mean(-1) if cost.ndim else cost for cost in (entry, leave))
        return rows(sum(mean), batch)

    def of(self, vaults: BoolArray) -> Costs:
        """Return the costs of some vaults of the batch, `(B,)` flags."""
        entry, leave = (
            cost[vaults] if isinstance(cost, np.ndarray) and cost.ndim == 2 else cost
            for cost in (self.entry, self.exit)
        )
        return self if entry is self.entry and leave is self.exit else replace(self, entry=entry, exit=leave)
