"""Fits the lending model to history, and shows how well simulated rates agree with real ones.

python -m tools.calibration.lending ../history/compound_v2_daily.csv agent/market/compound_v2.json
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agent.market.history import RateHistory
from agent.market.lending import MIN_RATE, RateModel, fit, sample_rates
from agent.market.replay import load_history
from agent.units import FloatArray
from tools.calibration.quality import lag, run, table


def describe_rates(rates: FloatArray) -> dict[str, float]:
    """Return statistics that characterise a lending market, of rates `(T, n)`, averaged over the markets."""
    logs = np.log(np.maximum(rates, MIN_RATE))
    change = np.diff(logs, axis=0)
    spread = rates - rates.mean(1, keepdims=True)
    pairs = np.triu_indices(rates.shape[1], 1)
    ordered = np.sort(rates, axis=1)

    def mean_lag(series: FloatArray) -> float:
        return float(np.mean([lag(each) for each in series.T]))

    return {
        "median rate": float(np.median(rates)),
        "95th percentile of rates": float(np.quantile(rates, 0.95)),
        "deviation of log rates": float(logs.std(0).mean()),
        "autocorrelation of log rates": mean_lag(logs),
        "daily deviation of log rates": float(change.std(0).mean()),
        "autocorrelation of daily changes": mean_lag(change),
        "autocorrelation of absolute changes": mean_lag(np.abs(change)),
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
    """Return the table of statistics of the history and of simulated ones."""
    simulated = [describe_rates(path) for path in sample_rates(model, rng, batch, len(history))]
    return table([(describe_rates(history.rates[0]), simulated)])


def calibrate(file: Path) -> tuple[dict[str, Any], str]:
    """Return the parameters fitted to a file of rates, and the report."""
    history = load_history(file)
    model = fit(history)
    days = f"{len(history)} days of {', '.join(history.names)} from {history.start} to {history.end}"
    return model.to_json(), f"{days}\n\n{fit_quality(history, model, np.random.default_rng(0))}"


main = partial(run, calibrate, "tools.calibration.lending")

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
