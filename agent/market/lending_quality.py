"""How well simulated lending rates agree with real ones: statistics of both, side by side."""

from __future__ import annotations

import numpy as np

from agent.market.history import RateHistory
from agent.market.rate_model import MIN_RATE, RateModel, sample_rates
from agent.units import FloatArray


def describe_rates(rates: FloatArray) -> dict[str, float]:
    """Return what makes a lending market: statistics of rates `(T, n)`, averaged over the markets."""
    logs = np.log(np.maximum(rates, MIN_RATE))
    change = np.diff(logs, axis=0)
    count = rates.shape[1]
    spread = rates - rates.mean(1, keepdims=True)
    pairs = np.triu_indices(count, 1)
    ordered = np.sort(rates, axis=1)

    def lag(series: FloatArray) -> float:
        return float(np.mean([np.corrcoef(series[1:, i], series[:-1, i])[0, 1] for i in range(count)]))

    return {
        "median rate": float(np.median(rates)),
        "95th percentile of rates": float(np.quantile(rates, 0.95)),
        "deviation of log rates": float(logs.std(0).mean()),
        "autocorrelation of log rates": lag(logs),
        "daily deviation of log rates": float(change.std(0).mean()),
        "autocorrelation of daily changes": lag(change),
        "autocorrelation of absolute changes": lag(np.abs(change)),
        "kurtosis of daily changes": float(
            np.mean(((change - change.mean(0)) ** 4).mean(0) / np.maximum(change.var(0) ** 2, 1e-30))
        ),
        "correlation of log rates": float(np.corrcoef(logs.T)[pairs].mean()),
        "mean spread over level": float((np.abs(spread).mean(1) / rates.mean(1)).mean()),
        "best market changes per year": float((np.diff(rates.argmax(1)) != 0).mean() * 365),
        "best over mean, of tomorrow's rates": float((ordered[1:, -1] - rates[1:].mean(1)).mean()),
        "today's best over mean, of tomorrow's": float(
            (rates[np.arange(1, len(rates)), rates[:-1].argmax(1)] - rates[1:].mean(1)).mean()
        ),
    }


def fit_quality(history: RateHistory, model: RateModel, rng: np.random.Generator, batch: int = 200) -> str:
    """Return a table: each statistic of the history and the 5 to 95 % range of it over simulated histories."""
    simulated = [describe_rates(path) for path in sample_rates(model, rng, batch, len(history))]
    lines = [f"{'':40s} {'history':>9s} {'simulated 5 %':>14s} {'50 %':>9s} {'95 %':>9s}"]
    for key, value in describe_rates(history.rates).items():
        low, middle, high = np.quantile([entry[key] for entry in simulated], [0.05, 0.5, 0.95])
        mark = "" if low <= value <= high else "  outside"
        lines.append(f"{key:40s} {value:9.4f} {low:14.4f} {middle:9.4f} {high:9.4f}{mark}")
    return "\n".join(lines)
