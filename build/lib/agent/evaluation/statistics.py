"""Tests of whether a difference is more than luck: intervals over seeds, paired tests over time, many trials.

- Over seeds: the interquartile mean and its stratified bootstrap interval (Agarwal et al., "Deep reinforcement
  learning at the edge of the statistical precipice", 2021).
- Over time: the difference of two policies' net log returns on the same days, resampled in blocks of random length,
  which keeps autocorrelation (Politis and Romano, "The stationary bootstrap", 1994; block length after Politis and
  White, 2004).
- Against many baselines: p-values by Romano and Wolf's stepdown (2005; the algorithm of their 2016 note). Baselines in
  one market are strongly correlated. Resampling the same days for all of them uses that; Holm's correction would treat
  them as independent.
- After many trials: the deflated Sharpe ratio (Bailey and Lopez de Prado, 2014).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agent.errors import ShapeError, TooFewDaysError
from agent.units import FloatArray


@dataclass(frozen=True)
class Interval:
    """A value and its interval; an unbounded end is infinite."""

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
    rng, repeats
        Source and number of the resamples.
    level
        Coverage of the interval.

    Raises
    ------
    ShapeError
        If there are fewer than two seeds, or a score is not finite.
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


MIN_DAYS = 20
"""Fewest returns of a test over time."""

_MIN_ERROR = 0.5  # of a resample, as a share of that of the sample


@dataclass(frozen=True)
class PairedTest:
    """A policy against one baseline: excess of net log return per year.

    Attributes
    ----------
    excess
        Mean.
    low, high
        Two-sided interval of the mean, for this baseline alone.
    p_value
        One-sided, of an excess of zero or less, for this baseline alone.
    p_adjusted
        The same, corrected for the number of baselines: all below 5 % may be claimed together.
    """

    excess: float
    low: float
    high: float
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class Comparison:
    """A policy against all baselines.

    Attributes
    ----------
    tests
        By the baseline's name.
    best
        Name of the baseline with the highest return on these days.
    excess_over_best
        Mean excess over it and its lower one-sided bound; the upper end is infinite. The bound is the least of the
        bounds against all baselines, since the best one is only known afterwards. A policy is above all of them if
        every single bound is above zero; that needs no correction (Berger's intersection-union test, 1982).
    block
        Mean length of the blocks, rows.
    """

    tests: dict[str, PairedTest]
    best: str
    excess_over_best: Interval
    block: float


def compare_paired(
    returns: FloatArray,
    baselines: Mapping[str, FloatArray],
    rng: np.random.Generator,
    *,
    per_year: float = 365.0,
    level: float = 0.95,
    repeats: int = 5000,
    block: float | None = None,
) -> Comparison:
    """Test a policy's net log returns against each baseline's on the same days.

    Intervals are those of the studentised bootstrap of the mean: the error of each resample is estimated from the
    spread of its own block sums, which keeps the coverage near the level for autocorrelated differences.

    Parameters
    ----------
    returns
        `(T,)` net log returns of the policy.
    baselines
        `(T,)` of each baseline, by name.
    rng, repeats
        Source and number of the resamples.
    per_year
        Periods per year.
    level
        Coverage of the intervals and of the one-sided bound.
    block
        Mean length of the blocks; by default the longest of the automatic lengths for the differences.

    Raises
    ------
    ShapeError
        If there are no baselines, or returns of other days.
    TooFewDaysError
        If there are fewer than `MIN_DAYS` returns.
    """
    own, names = np.asarray(returns, dtype=np.float64), list(baselines)
    if not names or any(np.shape(baselines[name]) != own.shape for name in names) or own.ndim != 1:
        raise ShapeError("a paired test needs returns of the same days for the policy and at least one baseline")
    if own.size < MIN_DAYS:
        raise TooFewDaysError(f"{own.size} returns are too few for a test: {MIN_DAYS} are needed")
    excess = np.stack([own - np.asarray(baselines[name], dtype=np.float64) for name in names], axis=1)
    if not np.isfinite(excess).all():
        raise ShapeError("returns must be finite for a paired test")
    length = automatic_block(excess) if block is None else float(block)
    mean, error, roots = _resample(excess, length, repeats, rng)
    t = mean / error
    single = (1.0 + (roots >= t).sum(0)) / (repeats + 1.0)
    adjusted = _stepdown(t, roots)
    tail = (1.0 - level) / 2.0
    low = mean - error * np.quantile(roots, 1.0 - tail, axis=0)
    high = mean - error * np.quantile(roots, tail, axis=0)
    bound = mean - error * np.quantile(roots, level, axis=0)
    columns = (mean * per_year, low * per_year, high * per_year, single, adjusted)
    tests = {name: PairedTest(*(float(column[i]) for column in columns)) for i, name in enumerate(names)}
    closest = int(np.argmin(mean))
    over_best = Interval(float(mean[closest] * per_year), float(bound.min() * per_year), np.inf)
    return Comparison(tests, names[closest], over_best, length)


def automatic_block(series: FloatArray) -> float:
    """Return the longest of the automatic block lengths of the columns of `(T, k)`, from 1 to a quarter of `T`."""
    from arch.bootstrap import optimal_block_length

    varying = series[:, series.std(0) > 0]
    if not varying.shape[1]:
        return 1.0
    scaled = (varying - varying.mean(0)) / varying.std(0)
    lengths = np.asarray(optimal_block_length(scaled)["stationary"], dtype=np.float64)
    return float(np.clip(np.nanmax(lengths), 1.0, len(series) / 4.0))


def _resample(
    excess: FloatArray, block: float, repeats: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return means `(k,)`, their errors `(k,)`, and `(repeats, k)` studentised means of centred resamples."""
    from arch.bootstrap import StationaryBootstrap

    size = len(excess)
    mean = excess.mean(0)
    centred = excess - mean
    error = _error(centred, block)
    bootstrap = StationaryBootstrap(max(1, round(block)), np.arange(size), seed=rng)
    roots = np.empty((repeats, excess.shape[1]))
    for index, ((rows,), _) in enumerate(bootstrap.bootstrap(repeats)):
        drawn = centred[rows]
        # Differences that are constant on all but a few days have resamples without those days, hence without a spread;
        # dividing by it would give an interval of any width.
        spread = np.maximum(_error(drawn - drawn.mean(0), block), _MIN_ERROR * error)
        roots[index] = drawn.mean(0) / spread
    return mean, error, roots


def _error(centred: FloatArray, block: float) -> FloatArray:
    """Return the standard errors of the means of `(T, k)` centred series, from overlapping sums over blocks."""
    size = len(centred)
    length = min(max(1, round(block)), size)
    sums = np.cumsum(np.concatenate([np.zeros((1, centred.shape[1])), centred, centred[: length - 1]]), axis=0)
    blocks = sums[length:] - sums[:-length]
    variance = (blocks**2).mean(0) / length
    return np.asarray(np.sqrt(np.maximum(variance, 1e-32) / size))


def _stepdown(t: FloatArray, roots: FloatArray) -> FloatArray:
    """Return Romano and Wolf's adjusted p-values `(k,)` for `t (k,)` and their `(repeats, k)` null distribution."""
    order = np.argsort(-t)
    adjusted = np.empty(t.size)
    largest = 0.0
    for place, index in enumerate(order):
        null = roots[:, order[place:]].max(1)
        largest = max(largest, float((1.0 + (null >= t[index]).sum()) / (len(roots) + 1.0)))
        adjusted[index] = largest
    return adjusted


_EULER = 0.5772156649015329


@dataclass(frozen=True)
class DeflatedSharpe:
    """A Sharpe ratio, and the ratio that the best of as many trials without skill would show.

    Attributes
    ----------
    sharpe, threshold
        Per period, not per year.
    probability
        Probability that the true ratio is above the threshold.
    """

    sharpe: float
    threshold: float
    probability: float


def deflated_sharpe(returns: FloatArray, trials: int, trial_variance: float | None = None) -> DeflatedSharpe:
    """Return the deflated Sharpe ratio of the trial that was chosen among many.

    Parameters
    ----------
    returns
        `(T,)` returns (or excess returns) of the chosen trial.
    trials
        Number of trials: all seeds, settings and versions; one or more.
    trial_variance
        Variance of the trials' Sharpe ratios per period; by default that of estimates whose true ratio is zero,
        `1 / (T - 1)`, the least possible.

    Raises
    ------
    ShapeError
        If no trial was counted.
    TooFewDaysError
        If there are fewer than `MIN_DAYS` returns.
    """
    from scipy.stats import kurtosis, skew

    x = np.asarray(returns, dtype=np.float64)
    if trials < 1:
        raise ShapeError(f"{trials} trials cannot be: count every one, the chosen one too")
    if x.size < MIN_DAYS:
        raise TooFewDaysError(f"{x.size} returns are too few for a Sharpe ratio: {MIN_DAYS} are needed")
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
