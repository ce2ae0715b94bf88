"""Random processes: the parts of the synthetic markets.

All are drawn row by row for a whole batch at once and come as `(T, B, k)`: rows, paths, series. Parameters are in
continuous time (per year, mean times in seconds), so that a market behaves the same whatever the length of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.units import YEAR, BoolArray, FloatArray

_MAX_LOSS = 0.95  # of a coin


def recurse(inputs: FloatArray, keep: FloatArray | float, start: FloatArray) -> FloatArray:
    """Return `y` of `y[t] = keep y[t - 1] + inputs[t]`, `(T, B, k)`, from `y[-1] = start (B, k)`."""
    series = np.empty_like(inputs)
    last = start
    for row in range(len(inputs)):
        last = np.multiply(last, keep, out=series[row])
        last += inputs[row]
    return series


def mean_reverting(
    rng: np.random.Generator,
    shape: tuple[int, int],
    seconds: float,
    deviation: FloatArray,
    time: FloatArray,
    correlation: FloatArray | None = None,
) -> FloatArray:
    """Draw Ornstein-Uhlenbeck processes around zero, `(T, B, k)`, from their stationary behaviour.

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        Rows and paths.
    seconds
        Length of a row.
    deviation
        `(k,)` stationary standard deviations.
    time
        `(k,)` time constants, seconds.
    correlation
        `(k, k)` of the shocks; independent by default.
    """
    noise = rng.standard_normal((*shape, len(deviation)))
    if correlation is not None:
        noise = noise @ np.linalg.cholesky(correlation).T
    keep = np.exp(-seconds / time)
    noise[1:] *= deviation * np.sqrt(1.0 - keep**2)
    noise[0] *= deviation
    return recurse(noise, keep, np.zeros(noise.shape[1:]))


def two_state(
    rng: np.random.Generator, shape: tuple[int, int], seconds: float, low: FloatArray, high: FloatArray
) -> BoolArray:
    """Draw chains that are in a low or in a high state, `(T, B, k)`; true is high.

    Parameters
    ----------
    rng, shape, seconds
        As of `mean_reverting`.
    low, high
        `(k,)` mean time spent in each state before it is left, seconds.
    """
    leave_low, leave_high = 1.0 - np.exp(-seconds / low), 1.0 - np.exp(-seconds / high)
    draws = rng.random((*shape, len(low)))
    states = np.empty(draws.shape, dtype=np.bool_)
    states[0] = draws[0] < leave_low / (leave_low + leave_high)
    for row in range(1, len(draws)):
        states[row] = draws[row] < np.where(states[row - 1], 1.0 - leave_high, leave_low)
    return states


@dataclass(frozen=True)
class Depegs:
    """Events in which coins lose their peg, and find back to it or not.

    An event takes a log-normal share off the price of the coins it hits. From then on a coin recovers exponentially,
    as USDC did after 2023-03-11, or, with a small hazard, collapses for good to `collapse` times the loss. That hazard
    takes back the share `priced` of the expected recovery: at one the price is a martingale, as in a market that is
    never wrong; at zero every coin recovers for certain, as in a history of survivors. The expected loss for good of an
    event is `priced` times its size.

    Attributes
    ----------
    per_year
        `(g,)` rate of events of each kind.
    hits
        `(g, k)` share of an event's size by which it hits each coin.
    size, spread
        Median size of an event, and the standard deviation of its logarithm.
    time
        `(k,)` time constants of the recovery, seconds.
    collapse
        Factor of the loss in a collapse; the loss stays below 95 %.
    priced
        Share of the expected recovery that the risk of a collapse takes back.
    """

    per_year: FloatArray
    hits: FloatArray
    size: float
    spread: float
    time: FloatArray
    collapse: float
    priced: float

    def sample(self, rng: np.random.Generator, shape: tuple[int, int], seconds: float) -> FloatArray:
        """Draw the share by which each coin is below its peg, `(T, B, k)`; all begin at the peg."""
        rows, batch = shape
        events = rng.random((rows, batch, len(self.per_year))) < 1.0 - np.exp(-self.per_year * seconds / YEAR)
        below = np.zeros((rows, batch, self.hits.shape[1]))
        struck = np.flatnonzero(events.any((1, 2)))
        if not struck.size:
            return below
        recover = np.exp(-seconds / self.time)
        hazard = self.priced * (1.0 - recover) / (self.collapse - recover)
        last, gone = np.zeros(below.shape[1:]), np.zeros(below.shape[1:], dtype=np.bool_)
        for row in range(int(struck[0]), rows):
            falls = (rng.random(last.shape) < hazard) & ~gone & (last > 0)
            last = np.where(gone, last, np.where(falls, np.minimum(self.collapse * last, _MAX_LOSS), recover * last))
            gone = gone | falls
            if events[row].any():
                sizes = np.minimum(self.size * np.exp(self.spread * rng.standard_normal(events[row].shape)), _MAX_LOSS)
                left = 1.0 - (events[row] * sizes)[:, :, None] * self.hits
                last = 1.0 - (1.0 - last) * left.prod(1)
            below[row] = last
        return below


def returns(noise: FloatArray, volatility: FloatArray, seconds: float) -> FloatArray:
    """Return log returns of prices whose expected growth is zero: `volatility` per square root of a year.

    There is no drift to be harvested: an expected gain of holding ETH would be ours by assumption.
    """
    deviation = volatility * np.sqrt(seconds / YEAR)
    return np.asarray(deviation * noise - 0.5 * deviation**2)


def over_mean(
    log_returns: FloatArray, volatility: FloatArray, time: float, seconds: float, start: FloatArray
) -> FloatArray:
    """Return the logarithm of prices over their trailing exponential mean (of logarithms), `(T, B, k)`.

    Parameters
    ----------
    log_returns
        `(T, B, k)`.
    volatility
        `(B, k)` at the first row, per square root of a year.
    time, seconds
        Time constant of the mean and length of a row, seconds.
    start
        `(B, k)` standard normal numbers; they become the stationary state from which the series begins.
    """
    keep = np.exp(-seconds / time)
    begin = start * volatility * np.sqrt(0.5 * time / YEAR)
    return recurse(keep * log_returns, keep, begin)


def trailing_volatility(log_returns: FloatArray, start: FloatArray, time: float, seconds: float) -> FloatArray:
    """Return the exponentially weighted standard deviation of log returns, per square root of a year, `(T, B, k)`.

    Parameters
    ----------
    log_returns
        `(T, B, k)`.
    start
        `(B, k)` volatility before the first row.
    time, seconds
        Time constant of the mean and length of a row, seconds.
    """
    keep = np.exp(-seconds / time)
    power = (1.0 - keep) * log_returns**2 * (YEAR / seconds)
    return np.sqrt(recurse(power, keep, start**2))
