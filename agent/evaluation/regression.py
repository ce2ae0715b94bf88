"""Fit the forecasts of `agent.evaluation.forecast`: autoregressions of order one, and the horizon that earned most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.evaluation.backtest import Setting
from agent.evaluation.forecast import Forecast, Kind, best_move
from agent.evaluation.tuning import earnings
from agent.market.path import MarketPath
from agent.observation import Observation
from agent.units import DAY, FloatArray, IntArray

_STABLE = 0.995  # largest modulus of an eigenvalue: rates come back
_RIDGE = 0.05  # share of the mean variance that is added to the diagonal of the regression


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
