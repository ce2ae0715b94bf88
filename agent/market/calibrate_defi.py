"""Estimate the parameters of the five-venue market from history, and show how well they fit.

    python -m agent.market.calibrate_defi ../shared/data agent/market/defi.json

reads, from the directory: `eth_btc_hourly_2022.csv` (volatility, regimes, correlation),
`uniswap_v3_polygon_usdc_weth_005_hourly.csv` (fees of a full-range position), `compound_v2_daily.csv` (lending rates
and utilisation since 2020-05-01), `stable_and_token_ratios_daily_2020_2023.csv` (pegs) and
`eth_price_gas_daily.csv` (gas since 2024). It prints each statistic of the history beside the 5, 50 and 95 %
quantiles of the same statistic over simulated histories of the same length and step; `outside` marks what the model
does not get right.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from agent.errors import AgentError
from agent.market.defi_history import HOURS, History, read
from agent.market.defi_quality import fit_quality, lag
from agent.units import FloatArray

_DEPEG = 0.02  # a daily close this far below the peg is an event, not a wobble

ASSUMED: dict[str, Any] = {
    "full": {"per_year": 2.0, "hours": 6.0, "rate": 0.2},
    "curve": {"level": float(np.log(0.015)), "deviation": 0.5, "days": 3.0},
    "yearn": {"share": 0.9, "days": 3.0},
    "depth_deviation": 0.3,
    "pegs": {"spread": 0.6, "collapse": 10.0, "priced": 0.25},
    "gas": {"congestion_days": 0.02, "daily": 0.2, "peak_hour": 15.0, "per_demand": 0.3, "wild": 0.8},
}
MEANING = {
    "prices": "USD price of ETH at the start; volatility of ETH and BTC per square root of a year; what it is "
    "multiplied by in the calm and the wild regime; mean hours in each; correlation of ETH and BTC",
    "uniswap": "logarithm of the fee APR of a full-range position at scale one; slope on the logarithm of the scale; "
    "deviation and time constant (days) of what is left",
    "lending": "DAI, USDT, USDC: mean, deviation and time constant (days) of the logarithm of the rate; correlation of "
    "the shocks; utilisation at the mean rate",
    "full": "times per year that a lending market is lent out in full, for how many hours, least APR then",
    "curve": "as uniswap, without the slope",
    "yearn": "share of the USDC rate that is passed on; days over which it is averaged",
    "pegs": "DAI, USDC, USDT: deviation and time constant (days) of the wobble; events per year of three kinds, which "
    "coin each hits how hard, median size and deviation of its logarithm, days of recovery, size of a collapse",
    "gas": "mean, deviation and time constant (days) of the logarithm of gwei; of congestion; daily swing, its peak "
    "hour, weight of demand in the logarithm, demand added by the wild regime",
    "depth": "what others supply to each venue, USD; depth_deviation is of its logarithm from path to path",
}


def fit(history: History) -> dict[str, Any]:
    """Return the parameters: moments of the history, and what is assumed."""
    moves = np.diff(np.log(history.prices), axis=0)
    scales, hours = _regimes(moves)
    share = hours[1] / hours.sum()
    logs, fees = np.log(history.rates), np.log(history.fees[:, 0])
    heights = np.abs(np.diff(np.log(history.fees[:, 2])))
    slope = _slope(np.log(_smooth(heights, 24)), fees[1:])
    from_regimes = slope**2 * share * (1.0 - share) * np.log(scales[1] / scales[0]) ** 2
    left = np.sqrt(max(fees.var() - from_regimes, 0.01))
    middle = slope * ((1.0 - share) * np.log(scales[0]) + share * np.log(scales[1]))
    # A week apart, so that what is noise from day to day does not shorten the memory.
    days = np.array([7.0 * _time(lag(series, 7)) for series in logs.T])
    # Levels of processes with unlike time constants are less correlated than their shocks.
    unlike = (days[:, None] + days) / (2.0 * np.sqrt(days[:, None] * days))
    correlation = np.minimum(np.corrcoef(logs.T) * unlike, 0.95)
    np.fill_diagonal(correlation, 1.0)
    pegs, gas = history.pegs - 1.0, np.log(history.gas[:, 0])
    wobble, wobble_days = _wobble(pegs)
    bottom, recovery = _recovery(pegs[:, 1])
    supplied = np.median(history.supplied[-365:], axis=0)
    depth = [float(np.median(history.fees[:, 1])), float(supplied[0]), float(supplied[1]), 2e8, 3e7]
    return {
        "prices": {
            "eth": float(history.gas[-1, 1]),
            "volatility": _plain(moves.std(0) * np.sqrt(HOURS)),
            "scales": _plain(scales),
            "hours": _plain(hours),
            "correlation": float(np.corrcoef(moves.T)[0, 1]),
        },
        "uniswap": {
            "level": float(fees.mean() - middle),
            "slope": float(slope),
            "deviation": float(left),
            "days": _time(lag(fees)) / 24.0,
        },
        "lending": {
            "level": _plain(logs.mean(0)),
            "deviation": _plain(logs.std(0)),
            "days": _plain(days),
            "correlation": correlation.tolist(),
            "utilisation": _plain(np.median(history.utilisation, axis=0)),
        },
        "full": ASSUMED["full"],
        "curve": ASSUMED["curve"],
        "yearn": ASSUMED["yearn"],
        "pegs": {
            "deviation": _plain(wobble),
            "days": _plain(wobble_days),
            # One event in the years at hand, which hit USDC and, through what backs it, DAI. USDT alone and DAI alone
            # are given half of that: none was seen, which does not make it impossible.
            "per_year": _plain(np.array([1.0, 0.5, 0.5]) / (len(pegs) / 365.0)),
            "hits": [[float(pegs[:, 0].min() / pegs[:, 1].min()), 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
            "size": bottom,
            "recovery_days": recovery,
            **ASSUMED["pegs"],
        },
        "gas": {
            "level": float(gas.mean()) - ASSUMED["gas"]["per_demand"] * ASSUMED["gas"]["wild"] * float(share),
            "deviation": float(gas.std()),
            "days": _time(lag(gas)),
            **ASSUMED["gas"],
        },
        "depth": depth,
        "depth_deviation": ASSUMED["depth_deviation"],
        "assumed": [f"{key}.{entry}" for key, part in ASSUMED.items() if isinstance(part, dict) for entry in part]
        + ["depth_deviation", "depth of Curve and Yearn", "pegs.per_year of the second and third kind"],
        "meaning": MEANING,
        "fitted_to": history.files,
    }


def _regimes(moves: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return `(2,)` scales of the volatility and mean hours of the calm and the wild regime.

    An hour is wild where the mean squared standardised move of the three days around it exceeds its mean of the year.
    """
    power = (moves**2 / moves.var(0)).mean(1)
    wild = _smooth(power, 72) > 1.0
    scales = np.sqrt([power[~wild].mean(), power[wild].mean()])
    changes = max(int((np.diff(wild.astype(int)) != 0).sum()), 1)
    return scales, np.array([(~wild).sum(), wild.sum()]) * 2.0 / (changes + 1)


def _wobble(deviation: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return deviations and time constants (days) of the wobble of DAI, USDC and USDT, `(3,)` each.

    What does not last until the next day is noise of the quotes, at which no vault trades: only the part that does is
    kept, from the autocorrelations at one and seven days. Ratios to USDT: either coin is given half of the variance.
    """
    quiet = deviation[np.abs(deviation[:, :2]).max(1) < 0.5 * _DEPEG][:, :2]
    whole = 1.4826 * np.median(np.abs(quiet - np.median(quiet, axis=0)), axis=0)
    near, far = (np.array([lag(series, rows) for series in quiet.T]) for rows in (1, 7))
    lasting, days = whole * np.sqrt(0.5 * near), 6.0 / np.log(near / far)
    return lasting[[0, 1, 1]], days[[0, 1, 1]]


def _recovery(deviation: FloatArray) -> tuple[float, float]:
    """Return the size of the deepest depeg and the days in which it recovers by a factor of e, from three closes."""
    low = int(deviation.argmin())
    after = np.log(-deviation[low : low + 3])
    return float(-deviation[low]), float(-1.0 / np.polyfit(np.arange(3.0), after, 1)[0])


def _smooth(values: FloatArray, width: int) -> FloatArray:
    return np.convolve(values, np.ones(width) / width, mode="same")


def _slope(x: FloatArray, y: FloatArray) -> float:
    return float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))


def _time(autocorrelation: float) -> float:
    """Return the time constant, in rows, of a process with this autocorrelation from row to row."""
    return float(-1.0 / np.log(autocorrelation))


def _plain(values: FloatArray) -> list[float]:
    return [float(value) for value in values]


def main(arguments: list[str]) -> int:
    """Fit the histories of a directory and write the parameters: `DATA_DIR OUT.json`."""
    if len(arguments) != 2:
        print("usage: python -m agent.market.calibrate_defi DATA_DIR OUT.json", file=sys.stderr)
        return 2
    try:
        history = read(Path(arguments[0]))
        parameters = fit(history)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    Path(arguments[1]).write_text(json.dumps(parameters, indent=1) + "\n", encoding="utf-8")
    print(fit_quality(history, parameters, np.random.default_rng(0)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
