"""Figures of one backtest: returns, risk and costs.

All are of net worth, that is after gas. Returns are log returns, so that they add up over time; annual returns are
compounded. A daily Sharpe ratio is not scaled to a year by the square root of 365: the returns of lending positions
are autocorrelated, and that would inflate it many times over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.backtest import Backtest
from agent.units import DAY, YEAR, FloatArray, IntArray

TAIL = 0.05
"""Share of the days in the conditional value at risk."""

_NOTHING = 1e-12  # deviations of log returns below this are rounding


@dataclass(frozen=True)
class Sharpe:
    """A Sharpe ratio of log returns and its standard error, per year, both robust to autocorrelation."""

    ratio: float
    error: float


def daily(result: Backtest, every: int = DAY) -> FloatArray:
    """Return net log returns per period of `every` seconds, `(B, D)`: steps that begin in the same one are added up.

    Periods begin at midnight UTC. Steps of a period or more stay as they are.
    """
    returns, starts = result.log_returns, result.timestamps[:-1]
    if (np.diff(result.timestamps) >= every / 2).all():
        return returns
    first = np.nonzero(np.diff(starts // every, prepend=-1))[0]
    return np.asarray(np.add.reduceat(returns, first, axis=1))


def growth_rate(result: Backtest) -> FloatArray:
    """Return the annualised net log return, `(B,)`."""
    return np.asarray(result.log_returns.sum(1) * (YEAR / result.seconds))


def sharpe(returns: FloatArray, per_year: float) -> Sharpe | None:
    """Return the Sharpe ratio per year of `(D,)` log returns or excess log returns; None if they do not vary.

    The ratio of a period is scaled by Lo's eta, `q / sqrt(q + 2 sum_k (q - k) rho_k)` with `q` periods `per_year`. The
    autocorrelations up to Newey and West's lag have their weights, so that the root exists. The error is that of the
    delta method for mean and second moment with a Newey-West covariance, scaled likewise; the scale itself is taken
    as known (Lo, "The statistics of Sharpe ratios", 2002, equations 20 and 9 to 12).
    """
    from statsmodels.stats.sandwich_covariance import S_hac_simple

    x = np.asarray(returns, dtype=np.float64)
    if x.size < 3 or float(x.std()) < _NOTHING:
        return None
    mean, deviation = float(x.mean()), float(x.std())
    ratio = mean / deviation
    lags = min(newey_west_lags(x.size), x.size - 2)
    z = (x - mean) / deviation  # scale-free: squares of returns of 1e-4 would be lost in rounding
    moments = np.stack([z, z**2 - 1.0], axis=1)
    gradient = np.array([1.0, -ratio / 2.0])
    variance = float(gradient @ (S_hac_simple(moments, nlags=lags) / x.size) @ gradient) / x.size
    weighted = sum(
        (1.0 - lag / (lags + 1.0)) * (per_year - lag) * float((z[lag:] * z[:-lag]).sum()) / x.size
        for lag in range(1, lags + 1)
    )
    scale = per_year / np.sqrt(per_year + 2.0 * weighted)
    return Sharpe(float(ratio * scale), float(np.sqrt(max(variance, 0.0)) * scale))


def newey_west_lags(size: int) -> int:
    """Return the usual number of lags for a sample of this size, `4 (T / 100)^(2/9)` rounded down."""
    return int(4.0 * (size / 100.0) ** (2.0 / 9.0))


def drawdowns(worth: FloatArray) -> FloatArray:
    """Return the fall of `(..., T)` net worth under its highest so far, as a share of that."""
    return np.asarray(1.0 - worth / np.maximum.accumulate(worth, axis=-1))


def longest_under_water(worth: FloatArray, timestamps: IntArray) -> float:
    """Return the longest time in seconds from a high of `(T,)` net worth until it is regained, or until the end."""
    high = np.maximum.accumulate(worth)
    at_high = worth >= high
    last_high = np.maximum.accumulate(np.where(at_high, np.arange(worth.size), 0))
    before = np.concatenate([[0], last_high[:-1]])
    below = ~at_high | ~np.concatenate([[True], at_high[:-1]])
    return float(np.where(below, timestamps - timestamps[before], 0.0).max())


def tail_mean(returns: FloatArray, share: float = TAIL) -> float:
    """Return the conditional value at risk: the mean of the worst `share` of `(D,)` returns, one of them at least."""
    count = max(1, int(np.ceil(share * returns.size - 1e-9)))
    return float(np.sort(returns)[:count].mean())


def headroom_captured(result: Backtest, equal_weight: Backtest, ceiling: Backtest) -> float | None:
    """Return `(policy - equal weight) / (hindsight - equal weight)` of annualised net log returns, means over paths.

    None where hindsight earns no more than equal weight.
    """
    low, high = float(growth_rate(equal_weight).mean()), float(growth_rate(ceiling).mean())
    return None if high - low <= _NOTHING else (float(growth_rate(result).mean()) - low) / (high - low)


def measure(
    result: Backtest,
    *,
    benchmark: Backtest | None = None,
    headroom: tuple[Backtest, Backtest] | None = None,
) -> dict[str, float | None]:
    """Return all figures of a backtest as plain data: means over the paths, of drawdowns and halts the worst.

    Parameters
    ----------
    result
        The backtest.
    benchmark
        Another policy on the same paths; adds figures of the excess over it.
    headroom
        Equal weight and hindsight on the same paths; adds the share of headroom captured.

    Returns
    -------
    dict
        Returns and rates are fractions; money is in asset units. None where a figure does not exist: the Sharpe ratio
        of returns that do not vary, the gas share of no gain.
    """
    worth, days = result.net_worth, daily(result)
    years = result.seconds / YEAR
    per_year = days.shape[1] / years
    under = drawdowns(worth)
    gas, gain = float(result.gas.sum(1).mean()), float((result.nav[:, -1] - result.nav[:, 0]).mean())
    own = [sharpe(path, per_year) for path in days]
    figures: dict[str, float | None] = {
        "total_return": float((worth[:, -1] / worth[:, 0] - 1.0).mean()),
        "annual_return": float(result.annual_return.mean()),
        "log_growth": float(growth_rate(result).mean()),
        "sharpe": _mean([each.ratio for each in own if each]),
        "sharpe_error": _mean([each.error for each in own if each]),
        "max_drawdown": float(under.max()),
        "days_under_water": max(longest_under_water(path, result.timestamps) for path in worth) / DAY,
        "share_under_water": float((under > 0).mean()),
        "cvar_5": float(np.mean([tail_mean(path) for path in days])),
        "win_rate": float((days > 0).mean()),
        "turnover_per_year": float(result.turnover.sum(1).mean() / years),
        "gas_paid": gas,
        "gas_share": 0.0 if gas == 0 else gas / gain if gain > 0 else None,
        "trades": float(result.rebalances.mean()),
        "refused": float(result.refused.sum(1).mean()),
        "cap_hits": float(result.at_cap.sum(1).mean()),
        "halts": float(result.halted.sum()),
        "concentration": float((result.weights[:, :-1] ** 2).sum(-1).mean()),
    }
    if benchmark is not None:
        over = days - daily(benchmark)
        excess = [sharpe(path, per_year) for path in over]
        figures["excess_log_growth"] = float(over.sum(1).mean() / years)
        figures["excess_sharpe"] = _mean([each.ratio for each in excess if each])
        figures["excess_sharpe_error"] = _mean([each.error for each in excess if each])
        figures["excess_win_rate"] = float((over > 0).mean())
    if headroom is not None:
        figures["headroom_captured"] = headroom_captured(result, *headroom)
    return figures


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
