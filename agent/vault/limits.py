"""What the vault enforces, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.units import DAY, FloatArray
from agent.vault.bucket import UNBOUNDED, Budget
from agent.vault.projection import project_capped

MAX_STRATEGIES = 16
"""Most strategies that the vault takes."""

WEEK = 7 * DAY


@dataclass(frozen=True)
class Limits:
    """What the vault enforces.

    Attributes
    ----------
    relative_caps
        `(n,)` largest share of NAV in each strategy, in (0, 1].
    absolute_caps
        `(n,)` largest amount in each strategy, whole asset units; `inf` where there is none.
    idle_floor
        Least share of NAV that stays idle, in [0, 1).
    max_drawdown
        Fall of the share price under the high-water mark at which the vault halts, in (0, 1].
    mark_growth_rate
        Fastest growth of the high-water mark per year, as a fraction of it.
    cooldown
        Least seconds between rebalances.
    max_silence
        Seconds without a sign of the keeper after which anyone may unwind.
    loss_budget, turnover_budget
        Shares of NAV that rebalancing may lose and move; no bound by default.
    performance_fee
        Share of the gain of the share price that the fee recipient gets, in [0, 0.3].
    """

    relative_caps: FloatArray
    absolute_caps: FloatArray
    idle_floor: float = 0.02
    max_drawdown: float = 0.10
    mark_growth_rate: float = 0.25
    cooldown: float = 0.0
    max_silence: float = WEEK
    loss_budget: Budget = UNBOUNDED
    turnover_budget: Budget = UNBOUNDED
    performance_fee: float = 0.0

    def __post_init__(self) -> None:
        relative = np.asarray(self.relative_caps, dtype=np.float64)
        absolute = np.asarray(self.absolute_caps, dtype=np.float64)
        object.__setattr__(self, "relative_caps", relative)
        object.__setattr__(self, "absolute_caps", absolute)
        if relative.ndim != 1 or relative.shape != absolute.shape or not 1 <= relative.size <= MAX_STRATEGIES:
            raise LimitsError(
                f"caps must be two lists of 1 to {MAX_STRATEGIES} numbers, one of each per strategy, "
                f"but have the shapes {relative.shape} and {absolute.shape}"
            )
        if not (np.all(relative > 0) and np.all(relative <= 1)):
            raise LimitsError(f"relative caps must be in (0, 1], but are {relative.tolist()}")
        if not np.all(absolute >= 0):
            raise LimitsError(f"absolute caps must be zero or more, but are {absolute.tolist()}")
        if not 0 <= self.idle_floor < 1:
            raise LimitsError(f"idle_floor must be in [0, 1), but is {self.idle_floor}")
        if not 0 < self.max_drawdown <= 1:
            raise LimitsError(f"max_drawdown must be in (0, 1], but is {self.max_drawdown}")
        if not 0 <= self.mark_growth_rate < np.inf:
            raise LimitsError(f"mark_growth_rate must be zero or more, but is {self.mark_growth_rate}")
        if not 0 <= self.cooldown < np.inf:
            raise LimitsError(f"cooldown must be zero seconds or more, but is {self.cooldown}")
        if not 0 < self.max_silence < np.inf:
            raise LimitsError(f"max_silence must be more than zero seconds, but is {self.max_silence}")
        if not 0 <= self.performance_fee <= 0.3:
            raise LimitsError(f"performance_fee must be in [0, 0.3], but is {self.performance_fee}")

    @classmethod
    def uniform(
        cls,
        count: int,
        relative_cap: float = 0.6,
        absolute_cap: float = np.inf,
        *,
        idle_floor: float = 0.02,
        max_drawdown: float = 0.10,
        mark_growth_rate: float = 0.25,
        cooldown: float = 0.0,
        loss_budget: Budget = UNBOUNDED,
        turnover_budget: Budget = UNBOUNDED,
    ) -> Limits:
        """Return the same caps for `count` strategies."""
        return cls(
            np.full(count, relative_cap),
            np.full(count, absolute_cap),
            idle_floor,
            max_drawdown,
            mark_growth_rate,
            cooldown=cooldown,
            loss_budget=loss_budget,
            turnover_budget=turnover_budget,
        )

    @property
    def count(self) -> int:
        """Number of strategies."""
        return int(self.relative_caps.size)

    def caps(self, nav: FloatArray | float) -> FloatArray:
        """Return the caps as shares of NAV.

        Parameters
        ----------
        nav
            `(...,)` NAV in asset units. At zero only the relative caps count.

        Returns
        -------
        FloatArray
            `(..., n)`.
        """
        value = np.asarray(nav, dtype=np.float64)[..., None]
        if np.isnan(value).any() or (value < 0).any():
            raise NotFiniteError("NAV must be a number of zero or more to know what the absolute caps allow")
        safe = np.where(value > 0, value, 1.0)
        absolute = np.where(value > 0, self.absolute_caps / safe, np.inf)
        return np.minimum(self.relative_caps, absolute)

    def project(self, weights: FloatArray, nav: FloatArray | float) -> FloatArray:
        """Return the admissible weights nearest to those wanted.

        Parameters
        ----------
        weights
            `(..., n)` wanted shares of NAV; any numbers, infinities too.
        nav
            `(...,)` NAV in asset units.

        Returns
        -------
        FloatArray
            `(..., n)` with `0 <= w <= caps(nav)` and `sum(w) <= 1 - idle_floor`.

        Raises
        ------
        NotFiniteError
            If a weight is NaN.
        ShapeError
            If there is not one weight per strategy.
        """
        wanted = np.asarray(weights, dtype=np.float64)
        if wanted.ndim < 1 or wanted.shape[-1] != self.count:
            raise ShapeError(f"{self.count} weights are needed, one per strategy, but the shape is {wanted.shape}")
        return project_capped(wanted, self.caps(nav), np.asarray(1.0 - self.idle_floor))
