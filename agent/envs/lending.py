"""`Lending-v0`: one vault over lending markets, one decision a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.columns import mean, total
from agent.envs.engine import EnvConfig
from agent.observation import Observation
from agent.units import YEAR, FloatArray
from agent.vault.decision import Decision
from agent.vault.limits import Limits
from agent.vault.portfolio import MarketRow, PortfolioState

_MIN_LEVEL = 0.001  # APR; rewards are in units of the market's level, which is not taken below this


@dataclass(frozen=True)
class LendingReward:
    """Log growth of net worth, and what concentration costs, over that of an equally weighted vault.

    In units of the market's interest (the slow mean of the rates, known before the step), so it is of order one. What
    is taken off for the equally weighted vault does not depend on the action: it removes noise and moves no optimum.

    Attributes
    ----------
    idle_floor
        What the equally weighted vault leaves idle.
    concentration_price
        What is taken off per unit of the sum of squared weights. History has no failed strategy in it; whoever learns
        from rates alone puts all that the caps allow into the best one.
    """

    idle_floor: float
    concentration_price: float = 0.7

    def parts(
        self, before: PortfolioState, after: PortfolioState, row: MarketRow, decision: Decision, seen: Observation
    ) -> dict[str, FloatArray]:
        """Return `growth` and `concentration`, `(B,)` each."""
        deployed = 1.0 - self.idle_floor
        small = row.growth if row.factors is None else row.growth * row.factors
        passive = np.log1p(deployed * (mean(small) - 1.0))
        worth = np.maximum(after.net_worth, 1e-9) / np.maximum(before.net_worth, 1e-9)
        unit = np.maximum(mean(seen.slow), _MIN_LEVEL) * (row.seconds / YEAR)
        concentration = total(decision.weights**2) - deployed**2 / seen.count
        return {
            "growth": np.asarray((np.log(worth) - passive) / unit),
            "concentration": -self.concentration_price * concentration,
        }


def lending_config(limits: Limits | None = None, *, concentration_price: float = 0.7, **changes: Any) -> EnvConfig:
    """Return what an episode of lending is.

    Parameters
    ----------
    limits
        The vault's walls; three strategies, caps of 60 % and an idle floor of 2 % by default.
    concentration_price
        See `LendingReward`.
    changes
        Other entries of `EnvConfig`.
    """
    walls = Limits.uniform(3) if limits is None else limits
    return EnvConfig(walls, LendingReward(walls.idle_floor, concentration_price), **changes)
