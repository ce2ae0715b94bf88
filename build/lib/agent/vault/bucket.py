"""Token buckets in shares of NAV: how much rebalancing may lose or move at once, and how fast it comes back.

The arithmetic of `contracts/libraries/Bucket.sol`, batched and in fractions. A bucket stores the share *used*, so a
full bucket is a zero and a lower capacity binds at once. Within any `t` seconds at most `capacity + refill x t` can be
spent, in whatever order and in however many parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.errors import LimitsError
from agent.units import DAY, BoolArray, FloatArray


@dataclass(frozen=True)
class Budget:
    """The two limits of a bucket.

    Attributes
    ----------
    capacity
        Share of NAV that can be spent at once; no bound by default.
    refill_per_day
        Share of NAV that comes back per day.
    """

    capacity: float = np.inf
    refill_per_day: float = 0.0

    def __post_init__(self) -> None:
        if not self.capacity >= 0:
            raise LimitsError(f"a budget's capacity must be zero or more, but is {self.capacity}")
        if not 0 <= self.refill_per_day < np.inf:
            raise LimitsError(f"a budget's refill_per_day must be zero or more, but is {self.refill_per_day}")

    def available(self, used: FloatArray) -> FloatArray:
        """Return the share that can be spent now, `(B,)`, of a bucket of which `(B,)` is used."""
        return np.asarray(np.maximum(self.capacity - used, 0.0))

    def refill(self, used: FloatArray, seconds: float) -> FloatArray:
        """Return the share used, `(B,)`, after some time in which nothing was spent."""
        return np.asarray(np.maximum(used - self.refill_per_day / DAY * seconds, 0.0))

    def spend(self, used: FloatArray, amount: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Spend `(B,)` amounts where the bucket has them; return the share used then, and where it had them."""
        fits = amount <= self.available(used)
        return np.where(fits, used + amount, used), np.asarray(fits)


UNBOUNDED = Budget()
"""A budget that bounds nothing."""
