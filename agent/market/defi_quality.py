"""How well the five-venue market agrees with the history that it was fitted to; `calibrate_defi` prints it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agent.market.defi import HOUR, DefiMarket
from agent.market.defi_history import HOURS, History
from agent.units import DAY, FloatArray


def lag(values: FloatArray, rows: int = 1) -> float:
    """Return the autocorrelation of a series at a distance of so many rows."""
    return float(np.corrcoef(values[rows:], values[:-rows])[0, 1])


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
    """Statistics of the ratio USDC / USDT, daily."""
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
    """Return a table: each statistic of the history and the 5, 50 and 95 % quantiles over simulated histories."""
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
    lines = [f"{'':42s} {'history':>9s} {'simulated 5 %':>14s} {'50 %':>9s} {'95 %':>9s}"]
    for describe, real, made in parts:
        simulated = [describe(series) for series in made]
        for key, value in describe(real).items():
            low, middle, high = np.quantile([entry[key] for entry in simulated], [0.05, 0.5, 0.95])
            mark = "" if low <= value <= high else "  outside"
            lines.append(f"{key:42s} {value:9.4f} {low:14.4f} {middle:9.4f} {high:9.4f}{mark}")
    return "\n".join(lines)
