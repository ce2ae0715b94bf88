"""What the market does to a batch of vaults between one decision and the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.units import FloatArray


@dataclass(frozen=True)
class MarketRow:
    """What the market does to a batch between one decision and the next.

    Attributes
    ----------
    growth
        `(B, n)` factor by which interest lets a small position in each strategy grow **after** the decision.
    gas_cost
        `(B,)` price of one unit of gas at the decision, asset units.
    seconds
        Time until the next decision.
    factors
        `(B, n)` what positions are multiplied by besides; nothing by default.
    depth
        `(B, n)` what others supply to each pool after the decision, asset units; without end by default.
    liquidity
        `(B, n)` most that can be withdrawn at the decision, asset units; without end by default.
    surprises
        `(B, n)` what of the price changes nothing could foretell, where the market says so; see `MarketPath`.
    """

    growth: FloatArray
    gas_cost: FloatArray
    seconds: float
    factors: FloatArray | None = None
    depth: FloatArray | None = None
    liquidity: FloatArray | None = None
    surprises: FloatArray | None = None

    def gain(self, assets: FloatArray) -> FloatArray:
        """Return the `(B, n)` factors by which positions of these sizes grow until the next decision.

        A deposit of `own` beside the others' `depth` lowers the pool's utilisation by `depth / (depth + own)`. Under
        the kink of an Aave-like rate curve the borrowers' rate is proportional to the utilisation and the suppliers'
        is the borrowers' times the utilisation, so the interest falls by the square.
        """
        growth = self.growth
        if self.depth is not None:
            whole = self.depth + assets
            others = 1.0 - assets / np.where(whole > 0, whole, 1.0)
            growth = 1.0 + (growth - 1.0) * others**2
        return growth if self.factors is None else growth * self.factors
