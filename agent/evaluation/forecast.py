"""Forecast the rates, then move where the forecast pays for it: the classical rival of a learned policy.

Rates are taken for an autoregression of order one around their means, each for itself (AR) or all together (VAR). What
a position will earn over the horizon is then known up to noise, and the best portfolio is the solution of a linear
programme: earnings less the cost of every leg, within the caps and the idle floor. It is solved exactly by filling in
order of value, since a position up to its present size is worth its earnings and the exit cost it saves, beyond it its
earnings less the entry cost, and one budget binds them all. numpy alone is needed to act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from agent.evaluation.backtest import Setting, run
from agent.evaluation.baselines import Rule
from agent.evaluation.metrics import growth_rate
from agent.market.path import MarketPath
from agent.observation import Observation
from agent.units import DAY, YEAR, FloatArray

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
        value = expected * (self.horizon_days * DAY / YEAR)
        legs = np.array(self.entry), np.array(self.exit)
        return worthwhile(value, observation, *legs, np.array(self.caps), self.budget)


def worthwhile(
    value: FloatArray, observation: Observation, entry: FloatArray, leave: FloatArray, caps: FloatArray, budget: float
) -> FloatArray:
    """Return the best portfolio where it is better than the present one by more than the gas, else the present one.

    Parameters
    ----------
    value
        `(B, n)` expected earnings per unit over the horizon.
    observation
        For present weights and gas.
    entry, leave, caps, budget
        See `Forecast`.
    """
    now = observation.weights
    best = best_weights(value, now, entry, leave, caps, budget)
    change = best - now
    gain = (change * value - np.maximum(change, 0.0) * entry - np.maximum(-change, 0.0) * leave).sum(-1)
    return np.where((gain > observation.gas_share)[:, None], best, now)


def best_weights(
    value: FloatArray, now: FloatArray, entry: FloatArray, leave: FloatArray, caps: FloatArray, budget: float
) -> FloatArray:
    """Return the weights `(B, n)` that solve the linear programme of the module's docstring.

    Parameters
    ----------
    value
        `(B, n)` expected earnings per unit over the horizon.
    now
        `(B, n)` present weights.
    entry, leave
        `(n,)` costs of a leg.
    caps, budget
        `(n,)` most of each, and of all.
    """
    kept = np.minimum(now, caps)
    worth = np.concatenate([value + leave, value - entry], axis=-1)
    room = np.where(worth > 0, np.concatenate([kept, caps - kept], axis=-1), 0.0)
    order = np.argsort(-worth, axis=-1, kind="stable")
    sorted_room = np.take_along_axis(room, order, -1)
    before = np.cumsum(sorted_room, axis=-1) - sorted_room
    filled = np.empty_like(room)
    np.put_along_axis(filled, order, np.clip(budget - before, 0.0, sorted_room), -1)
    count = value.shape[-1]
    return np.asarray(filled[:, :count] + filled[:, count:])


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
    fitted = []
    regressions: tuple[tuple[Kind, FloatArray], ...] = (("ar1", _each(past, next_)), ("var1", _together(past, next_)))
    for kind, matrix in regressions:
        candidates = [
            Forecast(
                kind=kind,
                mean=_plain(mean),
                decay=tuple(_plain(row) for row in mean_power(matrix, max(1, round(days * rows_per_day)))),
                horizon_days=days,
                entry=_plain(np.broadcast_to(np.asarray(setting.costs.entry, dtype=np.float64), path.count)),
                exit=_plain(np.broadcast_to(np.asarray(setting.costs.exit, dtype=np.float64), path.count)),
                caps=_plain(setting.limits.caps(setting.nav)),
                budget=1.0 - setting.limits.idle_floor,
            )
            for days in horizons
        ]
        earned = [float(growth_rate(run(candidate, path, setting)).mean()) for candidate in candidates]
        fitted.append(candidates[int(np.argmax(earned))])
    return fitted


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
