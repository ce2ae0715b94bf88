"""Over seeds: the interquartile mean and its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.errors import ShapeError
from agent.units import FloatArray


@dataclass(frozen=True)
class Interval:
    """A value and its interval; an end that is not bounded is infinite."""

    value: float
    low: float
    high: float


def interquartile_mean(scores: FloatArray) -> float:
    """Return the mean of the middle half of all scores."""
    from scipy.stats import trim_mean

    return float(trim_mean(np.asarray(scores, dtype=np.float64), 0.25, axis=None))


def iqm_interval(scores: FloatArray, rng: np.random.Generator, *, level: float = 0.95, repeats: int = 2000) -> Interval:
    """Return the interquartile mean of scores and its stratified bootstrap interval.

    Parameters
    ----------
    scores
        `(S,)` one per seed, or `(S, F)` with a column per fold: seeds are resampled within each fold.
    rng
        Source of the resamples.
    level
        Coverage of the interval.
    repeats
        Resamples.
    """
    from scipy.stats import trim_mean

    table = np.asarray(scores, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) < 2 or not np.isfinite(table).all():
        raise ShapeError(f"scores must be finite, of two seeds or more, by fold, but have the shape {table.shape}")
    chosen = rng.integers(0, len(table), (repeats, *table.shape))
    resampled = np.take_along_axis(table[None], chosen, axis=1).reshape(repeats, -1)
    values = trim_mean(resampled, 0.25, axis=1)
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(interquartile_mean(table), float(low), float(high))
