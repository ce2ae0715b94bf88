"""Baselines fitted to history: the strategies of a careful manager without a neural network.

Single strategies, the best trailing one, fixed mixes, forecasts by autoregressions of order one, and a tuned band.
Mixes, horizons and bands are chosen by backtests of all candidates at once: the one that earned most, net of costs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import get_args

import numpy as np

from agent.backtest import Setting, simulate
from agent.evaluation.ceiling import admissible
from agent.evaluation.covariance import min_variance, risk_parity, shrunk_covariance, within
from agent.evaluation.metrics import growth_rate
from agent.market.path import MarketPath
from agent.observation.observe import Observation
from agent.policies.forecast import Forecast, Kind, best_move
from agent.policies.load import Policy
from agent.policies.rules import (
    BestTrailing,
    FixedMix,
    HoldBestTrailing,
    SingleAsset,
    Source,
    TunedBand,
    move_for_a_lead,
)
from agent.units import DAY, FloatArray, IntArray

BANDS = (0.0, 0.001, 0.0025, 0.005, 0.01, 0.02)
HORIZONS = (1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 120.0)
"""Candidates for the band (APR) and the horizon (days)."""

_STABLE = 0.995  # largest modulus of an eigenvalue: rates come back
_RIDGE = 0.05  # share of the mean variance that is added to the diagonal of the regression

Wanted = Callable[[Observation, IntArray], FloatArray]
"""From an observation, and the `(B,)` candidate that decides for each of its rows, to wanted weights `(B, n)`."""


def fitted_baselines(path: MarketPath, setting: Setting) -> list[Policy]:
    """Fit every baseline to history, under the limits and costs of a setting.

    Parameters
    ----------
    path
        The training part of a history, nothing later; or market paths, which have equal weight.
    setting
        Limits, costs, rules, assets, observation version and latency that the policies will be run with.

    Returns
    -------
    list of Policy
        In the order of the module's docstring; names are unique.
    """
    growth = path.growth() if path.factors is None else path.growth() * path.factors[:, 1:]
    earned = np.log(np.maximum(growth, 1e-12)).mean((0, 1))
    covariance = shrunk_covariance((growth - 1.0).reshape(-1, path.count))
    caps = setting.limits.caps(setting.nav)
    budget = 1.0 - setting.limits.idle_floor
    return [
        *(SingleAsset(index) for index in range(path.count)),
        HoldBestTrailing(_plain(earned)),
        BestTrailing(),
        FixedMix("fixed-mix", _plain(_best_mix(path, setting))),
        FixedMix("min-variance", _plain(min_variance(covariance, caps, budget))),
        FixedMix("risk-parity", _plain(within(budget * risk_parity(covariance), caps, budget))),
        *_fit_forecasts(path, setting),
        _tuned_band(path, setting),
    ]


def _best_mix(path: MarketPath, setting: Setting) -> FloatArray:
    mixes = admissible(setting)[1:]  # the first is all idle
    return np.asarray(mixes[_earnings(lambda _, which: mixes[which], len(mixes), path, setting).argmax()])


def _tuned_band(path: MarketPath, setting: Setting) -> TunedBand:
    sources = get_args(Source)
    tried = list(itertools.product(BANDS, HORIZONS, range(len(sources))))
    bands, days, places = np.array(tried).T

    def wanted(seen: Observation, which: IntArray) -> FloatArray:
        scores = np.stack([getattr(seen, source) for source in sources])[
            places[which].astype(np.int64), np.arange(len(seen))
        ]
        return move_for_a_lead(seen, bands[which], days[which], scores)

    band, horizon, place = tried[int(_earnings(wanted, len(tried), path, setting).argmax())]
    return TunedBand(band, horizon, sources[place])


def _fit_forecasts(path: MarketPath, setting: Setting) -> list[Forecast]:
    """Fit both regressions to equally spaced rows; choose for each the horizon that earned most there, net of costs."""
    deviation, mean = path.rates - path.rates.mean((0, 1)), path.rates.mean((0, 1))
    past = deviation[:, :-1].reshape(-1, path.count)
    next_ = deviation[:, 1:].reshape(-1, path.count)
    rows_per_day = DAY / float(np.median(np.diff(path.timestamps)))
    limits, count = setting.limits, path.count
    leg = setting.costs.of_leg(setting.nav / count)
    entry, leave = (
        np.array(np.broadcast_to(np.asarray(cost, dtype=np.float64), count)) for cost in (leg.entry, leg.exit)
    )
    caps, budget = limits.caps(setting.nav), 1.0 - limits.idle_floor
    days = np.array(HORIZONS)
    fitted = []
    regressions: tuple[tuple[Kind, FloatArray], ...] = (("ar1", _each(past, next_)), ("var1", _together(past, next_)))
    for kind, matrix in regressions:
        decay = np.stack([mean_power(matrix, max(1, round(each * rows_per_day))) for each in HORIZONS])

        def wanted(seen: Observation, which: IntArray, decay: FloatArray = decay) -> FloatArray:
            expected = mean + np.einsum("bij,bj->bi", decay[which], seen.rates - mean)
            return best_move(expected, days[which, None], seen, entry, leave, caps, budget)

        best = int(_earnings(wanted, len(HORIZONS), path, setting).argmax())
        fitted.append(
            Forecast(
                kind=kind,
                mean=_plain(mean),
                decay=tuple(_plain(row) for row in decay[best]),
                horizon_days=HORIZONS[best],
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


def _earnings(wanted: Wanted, count: int, path: MarketPath, setting: Setting) -> FloatArray:
    """Return the annualised net log return of each of `count` candidates, the mean over the paths, `(count,)`."""
    candidate = np.repeat(np.arange(count, dtype=np.int64), path.batch)
    copies = path.take(np.tile(np.arange(path.batch, dtype=np.int64), count))
    result = simulate("candidates", lambda _, seen: wanted(seen, candidate), copies, setting)
    return np.asarray(growth_rate(result).reshape(count, path.batch).mean(1))


def _plain(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
