"""After many trials: the deflated Sharpe ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.errors import ShapeError, TooFewDaysError
from agent.evaluation.statistics.paired import LEAST_DAYS
from agent.units import FloatArray

_EULER = 0.5772156649015329


@dataclass(frozen=True)
class DeflatedSharpe:
    """Sharpe ratio per period, the one that the best of that many trials without skill would show, and the verdict.

    Attributes
    ----------
    sharpe, threshold
        Per period, not per year.
    probability
        That the true ratio is above the threshold.
    """

    sharpe: float
    threshold: float
    probability: float


def deflated_sharpe(returns: FloatArray, trials: int, trial_variance: float | None = None) -> DeflatedSharpe:
    """Return how likely the Sharpe ratio of the chosen one of many trials is above what luck alone would choose.

    Parameters
    ----------
    returns
        `(T,)` returns (or excess returns) of the one that was chosen.
    trials
        How many were tried, all seeds, settings and versions; one or more.
    trial_variance
        Variance of the trials' Sharpe ratios per period; by default that of estimates whose true ratio is zero,
        `1 / (T - 1)`, which is the least it can be.

    Raises
    ------
    ShapeError
        If no trial was counted.
    TooFewDaysError
        If there are fewer than `LEAST_DAYS` returns.
    """
    from scipy.stats import kurtosis, skew

    x = np.asarray(returns, dtype=np.float64)
    if trials < 1:
        raise ShapeError("at least one trial was made: count them")
    if x.size < LEAST_DAYS:
        raise TooFewDaysError(f"{x.size} returns are too few for a Sharpe ratio: {LEAST_DAYS} are needed")
    deviation = float(x.std(ddof=1))
    ratio = 0.0 if deviation == 0 else float(x.mean()) / deviation
    variance = 1.0 / (x.size - 1) if trial_variance is None else trial_variance
    skewness, tails = (0.0, 3.0) if deviation == 0 else (float(skew(x)), float(kurtosis(x, fisher=False)))
    return deflate(ratio, x.size, skewness, tails, trials, variance)


def deflate(ratio: float, size: int, skewness: float, kurtosis: float, trials: int, variance: float) -> DeflatedSharpe:
    """Apply equations 1 and 2 of Bailey and Lopez de Prado (2014) to the moments of a sample."""
    from scipy.stats import norm

    threshold = 0.0
    if trials > 1:
        first, second = norm.ppf(1.0 - 1.0 / trials), norm.ppf(1.0 - 1.0 / (trials * np.e))
        threshold = float(np.sqrt(variance) * ((1.0 - _EULER) * first + _EULER * second))
    spread = max(1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2, 1e-12)
    probability = float(norm.cdf((ratio - threshold) * np.sqrt(size - 1) / np.sqrt(spread)))
    return DeflatedSharpe(ratio, threshold, probability)
