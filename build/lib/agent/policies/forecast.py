"""Forecast the rates, then move where the forecast pays for it: the classical rival of a learned policy.

Rates are modelled as an autoregression of order one around their means, each for itself (AR) or all together (VAR).
The earnings of a position over the horizon are then known up to noise, and the best portfolio follows from a linear
programme (`agent.policies.rules`): earnings less the cost of every leg, within the caps and the idle floor.
`agent.evaluation.fitted` fits the numbers; numpy alone is needed to act.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from agent.observation.observe import Observation
from agent.policies.rules import Rule, best_weights, pays
from agent.units import DAY, YEAR, FloatArray

Kind = Literal["ar1", "var1"]


@dataclass(frozen=True)
class Forecast(Rule):
    """Moves to the best portfolio under forecast rates where the gain over the horizon is more than costs and gas.

    The forecast is `mean + decay (rate - mean)`, and the best portfolio maximises `forecast w horizon` less the legs
    over `0 <= w <= caps`, `sum(w) <= budget`.

    Attributes
    ----------
    kind
        Which regression.
    mean
        `n` means of the rates, APR.
    decay
        `n x n`: the part of a deviation from the means that is left on average over the horizon.
    horizon_days
        Days that a position is taken to be held.
    entry, exit
        `n` costs of a leg, shares of the amount.
    caps, budget
        `n` most shares of NAV, and the most in all.
    """

    kind: Kind
    mean: tuple[float, ...]
    decay: tuple[tuple[float, ...], ...]
    horizon_days: float
    entry: tuple[float, ...]
    exit: tuple[float, ...]
    caps: tuple[float, ...]
    budget: float

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"forecast-{self.kind}"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        mean = np.array(self.mean)
        expected = mean + (observation.rates - mean) @ np.array(self.decay).T
        entry, leave, caps = np.array(self.entry), np.array(self.exit), np.array(self.caps)
        return best_move(expected, self.horizon_days, observation, entry, leave, caps, self.budget)


def best_move(
    expected: FloatArray,
    days: FloatArray | float,
    observation: Observation,
    entry: FloatArray,
    leave: FloatArray,
    caps: FloatArray,
    budget: float,
) -> FloatArray:
    """Return the best weights `(B, n)` under `(B, n)` expected rates where moving there pays, else the present ones."""
    value, now = expected * (days * (DAY / YEAR)), observation.weights
    best = best_weights(value, now, entry, leave, caps, budget)
    return np.where(pays(best, now, value, entry, leave, observation.gas_share)[:, None], best, now)
