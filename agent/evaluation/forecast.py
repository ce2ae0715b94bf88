"""Forecast the rates, then move where the forecast pays for it: the classical rival of a learned policy.

Rates are taken for an autoregression of order one around their means, each for itself (AR) or all together (VAR). What
a position will earn over the horizon is then known up to noise, and the best portfolio follows from a linear programme
(`agent.evaluation.rebalancing`): earnings less the cost of every leg, within the caps and the idle floor. numpy alone
is needed to act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from agent.evaluation.backtest import Setting
from agent.evaluation.baselines import Rule
from agent.evaluation.rebalancing import best_weights, pays
from agent.evaluation.tuning import earnings
from agent.market.path import MarketPath
from agent.observation import Observation
from agent.units import DAY, YEAR, FloatArray, IntArray

Kind = Literal["ar1", "var1"]

_STABLE = 0.995  # largest modulus of an eigenvalue: rates come back
_RIDGE = 0.05  # share of the mean variance that is added to the diagonal of the regression


@dataclass(frozen=True)
class Forecast(Rule):
    """Moves to the best portfolio under forecast rates where the gain over the horizon is more than costs and gas.

    Attributes
    ----------
    kind
        Which regression.
    mean
        `n` means of the rates, APR.
    decay
        `n x n`: what of a deviation from the means is left on average over the horizon.
    horizon_days
        How long a position is taken to be held.
    entry, exit
        `n` costs of a leg, shares of the amount.
    caps, budget
        `n` most shares of NAV, and the most in all.
    """

    rule: ClassVar[str] = (
        "maximise (mean + decay (rate - mean)) w horizon - entry (w - now)+ - exit (now - w)+ over 0 <= w <= caps, "
        "sum(w) <= budget; move there if that is better than now by more than the gas share"
    )

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
        """What tables call it."""
        return f"forecast-{self.kind}"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        mean = np.array(self.mean)
        expected = mean + (observation.rates - mean) @ np.array(self.decay).T
        entry, leave, caps = np.array(self.entry), np.array(self.exit), np.array(self.caps)
        return best_move(expected, self.horizon_days, observation, entry, leave, caps, self.budget)


def fit_forecasts(path: MarketPath, setting: Setting, horizons: Sequence[float]) -> list[Forecast]:
    """Fit both regressions to market paths and choose for each the horizon that earned most there, net of costs.

    Parameters
    ----------
    path
        The training part. Rows are taken for equally spaced.
    setting
        Limits and costs.
    horizons
        Days to try.
    """
    deviation, mean = path.rates - path.rates.mean((0, 1)), path.rates.mean((0, 1))
    past = deviation[:, :-1].reshape(-1, path.count)
    next_ = deviation[:, 1:].reshape(-1, path.count)
    rows_per_day = DAY / float(np.median(np.diff(path.timestamps)))
    limits, count = setting.limits, path.count
    entry, leave = (
        np.array(np.broadcast_to(np.asarray(cost, dtype=np.float64), count))
        for cost in (setting.costs.entry, setting.costs.exit)
    )
    caps, budget = limits.caps(setting.nav), 1.0 - limits.idle_floor
    days = np.array(horizons, dtype=np.float64)
    fitted = []
    regressions: tuple[tuple[Kind, FloatArray], ...] = (("ar1", _each(past, next_)), ("var1", _together(past, next_)))
    for kind, matrix in regressions:
        decay = np.stack([mean_power(matrix, max(1, round(each * rows_per_day))) for each in horizons])

        def wanted(seen: Observation, which: IntArray, decay: FloatArray = decay) -> FloatArray:
            expected = mean + np.einsum("bij,bj->bi", decay[which], seen.rates - mean)
            return best_move(expected, days[which, None], seen, entry, leave, caps, budget)

        best = int(earnings(wanted, len(horizons), path, setting).argmax())
        fitted.append(
            Forecast(
                kind=kind,
                mean=_plain(mean),
                decay=tuple(_plain(row) for row in decay[best]),
                horizon_days=float(horizons[best]),
                entry=_plain(entry),
                exit=_plain(leave),
                caps=_plain(caps),
                budget=budget,
            )
        )
    return fitted


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


def mean_power(matrix: FloatArray, count: int) -> FloatArray:
    """Return the mean of `matrix^1` to `matrix^count`, `(n, n)`; its eigenvalues must be inside the unit circle."""
    one = np.eye(len(matrix))
    return np.asarray(
        matrix @ (one - np.linalg.matrix_power(matrix, count)) @ np.linalg.inv(one - matrix) / count, dtype=np.float64
    )


def _each(past: FloatArray, following: FloatArray) -> FloatArray:
    """Return the diagonal matrix of each rate's own autoregression, between zero and almost one."""
    variance = (past**2).sum(0)
    own = np.where(variance > 0, (past * following).sum(0) / np.where(variance > 0, variance, 1.0), 0.0)
    return np.asarray(np.diag(np.clip(own, 0.0, _STABLE)))


def _together(past: FloatArray, following: FloatArray) -> FloatArray:
    """Return the matrix of the joint autoregression: least squares with a ridge, scaled back if it explodes."""
    gram = past.T @ past
    ridge = _RIDGE * float(np.trace(gram)) / len(gram) / max(np.sqrt(len(past)), 1.0)
    if ridge <= 0:
        return np.zeros_like(gram)
    matrix = np.linalg.solve(gram + ridge * np.eye(len(gram)), past.T @ following).T
    largest = float(np.abs(np.linalg.eigvals(matrix)).max())
    return np.asarray(matrix * min(1.0, _STABLE / largest if largest > 0 else 1.0))


def _plain(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
