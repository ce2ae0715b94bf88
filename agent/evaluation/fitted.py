"""Baselines with parameters from history: what a careful person without a neural network would run.

All of them look at the observation alone and have their fitted numbers in their digest. What is tuned is tuned by
backtests on the history that is given, net of all costs; give the training part.

- `single-i`: each strategy alone;
- `hold-best-trailing`: those that earned most over the history, in that order, for ever;
- `best-trailing`: the same re-chosen from the slow running mean, as soon as a month of its lead pays for the move (a
  rule without memory has no calendar);
- `fixed-mix`: the constant portfolio that earned most, of all corners of the limits and a grid between them;
- `min-variance`, `risk-parity`: constant portfolios from the covariance of daily earnings, shrunk;
- `forecast-ar1`, `forecast-var1`: autoregressive forecasts of the rates and an optimiser that pays for its moves
  (`agent.evaluation.forecast`);
- `greedy-band-tuned`: greedy with the band, the horizon and the rates to go by that earned most.
"""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np

from agent.evaluation.backtest import Setting
from agent.evaluation.baselines import SingleAsset, Source, move_for_a_lead
from agent.evaluation.ceiling import admissible
from agent.evaluation.covariance import min_variance, risk_parity, shrunk_covariance, within
from agent.evaluation.fitted_rules import BestTrailing, FixedMix, HoldBestTrailing, TunedBand
from agent.evaluation.regression import fit_forecasts
from agent.evaluation.tuning import earnings
from agent.market.history import RateHistory
from agent.market.path import MarketPath
from agent.observation import Observation
from agent.policy import Policy
from agent.units import FloatArray, IntArray

BANDS = (0.0, 0.001, 0.0025, 0.005, 0.01, 0.02)
HORIZONS = (1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 120.0)
"""What is tried for band (APR) and horizon (days)."""


def fitted_baselines(history: RateHistory | MarketPath, setting: Setting) -> list[Policy]:
    """Fit every baseline to history, under the limits and costs of a setting.

    Parameters
    ----------
    history
        The training part, nothing later; or market paths, all of which count alike.
    setting
        Limits, costs, rules, assets, observation version and latency that they will be run with.

    Returns
    -------
    list of Policy
        In the order of the module's docstring; names are unique.
    """
    path = history.path() if isinstance(history, RateHistory) else history
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
        *fit_forecasts(path, setting, HORIZONS),
        _tuned_band(path, setting),
    ]


def _best_mix(path: MarketPath, setting: Setting) -> FloatArray:
    mixes = admissible(setting)[1:]  # the first is all idle
    return np.asarray(mixes[earnings(lambda _, which: mixes[which], len(mixes), path, setting).argmax()])


def _tuned_band(path: MarketPath, setting: Setting) -> TunedBand:
    sources = get_args(Source)
    tried = list(itertools.product(BANDS, HORIZONS, range(len(sources))))
    bands, days, places = np.array(tried).T

    def wanted(seen: Observation, which: IntArray) -> FloatArray:
        scores = np.stack([getattr(seen, source) for source in sources])[
            places[which].astype(np.int64), np.arange(len(seen))
        ]
        return move_for_a_lead(seen, bands[which], days[which], scores)

    band, horizon, place = tried[int(earnings(wanted, len(tried), path, setting).argmax())]
    return TunedBand(band, horizon, sources[place])


def _plain(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
