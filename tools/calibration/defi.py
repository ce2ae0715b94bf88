"""Fits the five-venue market to history, and shows how well it fits.

    python -m tools.calibration.defi ../history agent/market/defi.json

reads, from the folder: `eth_btc_hourly_2022.csv` (volatility, regimes, correlation),
`uniswap_v3_polygon_usdc_weth_005_hourly.csv` (fees of a full-range position), `compound_v2_daily.csv` (lending rates
and utilisation since 2020-05-01), `stable_and_token_ratios_daily_2020_2023.csv` (pegs) and
`eth_price_gas_daily.csv` (gas since 2024). It prints each statistic of the history beside the 5, 50 and 95 %
quantiles of the same statistic over simulated histories of the same length and step; `outside` marks where the model
is off.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.digest import sha256_hex
from agent.errors import BadValueError, DataFileError
from agent.market.defi import DefiMarket
from agent.units import DAY, HOUR, FloatArray
from tools.calibration.quality import lag, run, table

HOURS = 365.0 * 24.0
"""Hours in a year."""

_HOURLY, _FEES = "eth_btc_hourly_2022.csv", "uniswap_v3_polygon_usdc_weth_005_hourly.csv"
_RATES, _PEGS, _GAS = (
    "compound_v2_daily.csv",
    "stable_and_token_ratios_daily_2020_2023.csv",
    "eth_price_gas_daily.csv",
)
_RATES_SINCE, _PEGS_SINCE, _GAS_SINCE = "2020-05-01", "2020-01-01", "2024-01-01"


@dataclass(frozen=True)
class History:
    """Hourly prices and fees, daily rates, pegs and gas; a column per series."""

    prices: FloatArray
    fees: FloatArray
    rates: FloatArray
    utilisation: FloatArray
    supplied: FloatArray
    pegs: FloatArray
    gas: FloatArray
    files: dict[str, str]


def read(folder: Path) -> History:
    """Read the files of `tools.calibration.defi` from a folder.

    Raises
    ------
    DataFileError
        If one cannot be read.
    BadValueError
        If a column is missing, or a cell is not a number.
    """
    columns: dict[str, dict[str, NDArray[np.str_]]] = {}
    files = {}
    for name in (_HOURLY, _FEES, _RATES, _PEGS, _GAS):
        try:
            raw = (folder / name).read_bytes()
        except OSError as error:
            raise DataFileError(f"cannot read {folder / name}: {error}") from error
        files[name] = sha256_hex(raw)
        lines = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
        columns[name] = {key: np.array([line[key] or "" for line in lines], dtype=np.str_) for key in lines[0]}

    def numbers(name: str, keys: list[str], since: str = "", part: str = "") -> FloatArray:
        table = columns[name]
        kept = np.ones(len(next(iter(table.values()))), dtype=np.bool_)
        if since:
            kept &= np.array([day >= since for day in table["date"].tolist()])
        if part:
            kept &= table["part"] == part
        try:
            return np.column_stack([table[key][kept].astype(np.float64) for key in keys])
        except (KeyError, ValueError) as error:
            raise BadValueError(f"{folder / name}: {error}") from error

    lending = [
        numbers(_RATES, ["supply_apr_pct", "total_borrow_usd", "tvl_usd"], _RATES_SINCE, part)
        for part in ("dai_1.csv", "usdt.csv", "usdc.csv")
    ]
    pool = numbers(_FEES, ["close", "liquidity", "fees_usd"])
    # Raw liquidity is the root of the product of the amounts in 1e-6 USDC and 1e-18 ETH.
    whole = 2.0 * pool[:, 1] * np.sqrt(pool[:, 0]) * 1e-12
    return History(
        prices=numbers(_HOURLY, ["eth_usdt_open", "btc_usdt_open"]),
        fees=np.column_stack([pool[:, 2] / whole * HOURS, whole, pool[:, 0]]),
        rates=np.column_stack([market[:, 0] / 100.0 for market in lending]),
        utilisation=np.column_stack([market[:, 1] / market[:, 2] for market in lending]),
        supplied=np.column_stack([market[:, 2] for market in lending]),
        pegs=numbers(_PEGS, ["dai_usdt", "usdc_usdt", "busd_usdt"], _PEGS_SINCE),
        gas=numbers(_GAS, ["avg_gas_gwei", "eth_usd"], _GAS_SINCE),
        files=files,
    )


def _features(market: DefiMarket, rng: np.random.Generator, batch: int, length: int) -> FloatArray:
    return np.asarray(market.sample(rng, batch, length).features, dtype=np.float64)


def _prices(features: FloatArray) -> FloatArray:
    """Return the prices `(T, 2)` of ETH and BTC, at any scale, that lie behind their ratios to the trailing mean."""
    over, keep = np.log(features[:, :2]), np.exp(-HOUR / DAY)
    return np.asarray(np.exp(np.cumsum(over[1:] / keep - over[:-1], axis=0)))


def _describe_prices(prices: FloatArray) -> dict[str, float]:
    moves = np.diff(np.log(prices), axis=0)
    eth = moves[:, 0]
    return {
        "ETH volatility per year": float(eth.std() * np.sqrt(HOURS)),
        "BTC volatility per year": float(moves[:, 1].std() * np.sqrt(HOURS)),
        "ETH-BTC correlation": float(np.corrcoef(moves.T)[0, 1]),
        "kurtosis of hourly moves": float(((eth - eth.mean()) ** 4).mean() / eth.var() ** 2),
        "autocorrelation of absolute moves, 1 h": lag(np.abs(eth)),
        "autocorrelation of absolute moves, 24 h": lag(np.abs(eth), 24),
    }


def _describe_fees(fees: FloatArray) -> dict[str, float]:
    return {
        "Uniswap fee APR, mean": float(fees.mean()),
        "Uniswap fee APR, 5th percentile": float(np.quantile(fees, 0.05)),
        "Uniswap fee APR, 95th percentile": float(np.quantile(fees, 0.95)),
        "autocorrelation of log fees, 1 h": lag(np.log(fees)),
        "autocorrelation of log fees, 24 h": lag(np.log(fees), 24),
    }


def _describe_lending(rates: FloatArray) -> dict[str, float]:
    logs = np.log(rates)
    return {
        "lending rate, median": float(np.median(rates)),
        "lending rate, 95th percentile": float(np.quantile(rates, 0.95)),
        "deviation of log rates": float(logs.std(0).mean()),
        "daily deviation of log rates": float(np.diff(logs, axis=0).std(0).mean()),
        "correlation of log rates": float(np.corrcoef(logs.T)[np.triu_indices(rates.shape[1], 1)].mean()),
    }


def _describe_pegs(pegs: FloatArray) -> dict[str, float]:
    """Return statistics of the ratio USDC / USDT, daily."""
    return {
        "USDC/USDT, 1st percentile": float(np.quantile(pegs, 0.01)),
        "USDC/USDT, 99th percentile": float(np.quantile(pegs, 0.99)),
        "USDC/USDT, lowest": float(pegs.min()),
    }


def _describe_gas(gwei: FloatArray) -> dict[str, float]:
    logs = np.log(gwei)
    return {
        "gas price, median gwei": float(np.median(gwei)),
        "deviation of log gas": float(logs.std()),
        "daily deviation of log gas": float(np.diff(logs).std()),
        "autocorrelation of log gas": lag(logs),
    }


def fit_quality(history: History, parameters: dict[str, Any], rng: np.random.Generator, batch: int = 100) -> str:
    """Return the table of statistics of the history and of simulated ones."""
    hourly, daily = DefiMarket(parameters, HOUR), DefiMarket(parameters, DAY)
    year = _features(hourly, rng, batch, len(history.prices))
    month = hourly.sample(rng, batch, len(history.fees))
    rates = daily.sample(rng, batch, len(history.rates))
    pegs = _features(daily, rng, batch, len(history.pegs))
    # A daily mean of gas is that of its hours; the mean of the logarithms is near enough.
    gas = _features(hourly, rng, batch // 4, 24 * len(history.gas))
    parts: list[tuple[Callable[[FloatArray], dict[str, float]], FloatArray, list[FloatArray]]] = [
        (_describe_prices, history.prices, [_prices(path) for path in year]),
        (_describe_fees, history.fees[:, 0], list(month.rates[:, :, 0])),
        (_describe_lending, history.rates[:, :2], list(rates.rates[:, :, 1:3])),
        (_describe_pegs, history.pegs[:, 1], list(pegs[:, :, 4] / pegs[:, :, 5])),
        (_describe_gas, history.gas[:, 0], [g.reshape(-1, 24).mean(1) for g in gas[:, :, 6]]),
    ]
    return table([(describe(real), [describe(series) for series in made]) for describe, real, made in parts])


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
    """Return the parameters: moments of the history, and assumptions."""
    moves = np.diff(np.log(history.prices), axis=0)
    scales, hours = _regimes(moves)
    share = hours[1] / hours.sum()
    logs, fees = np.log(history.rates), np.log(history.fees[:, 0])
    heights = np.abs(np.diff(np.log(history.fees[:, 2])))
    slope = _slope(np.log(_smooth(heights, 24)), fees[1:])
    from_regimes = slope**2 * share * (1.0 - share) * np.log(scales[1] / scales[0]) ** 2
    left = np.sqrt(max(fees.var() - from_regimes, 0.01))
    middle = slope * ((1.0 - share) * np.log(scales[0]) + share * np.log(scales[1]))
    # A week apart, so that noise from day to day does not shorten the memory.
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

    A deviation that is gone the next day is noise of the quotes, at which no vault trades: only the lasting part is
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


def calibrate(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the parameters fitted to the files of a folder, and the report."""
    history = read(folder)
    parameters = fit(history)
    return parameters, fit_quality(history, parameters, np.random.default_rng(0))


main = partial(run, calibrate, "tools.calibration.defi")

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
