"""Fit `agent.market.rate_model` to history, by least squares and moments.

The parameters of Compound V2's DAI, USDC and USDT markets are shipped in `compound_v2.json`, made by

    python -m agent.market.calibrate_lending ../shared/data/compound_v2_daily.csv agent/market/compound_v2.json

which also prints how well simulated markets agree with the history.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from agent.errors import AgentError, MarketDataError, TooFewDaysError
from agent.market.history import RateHistory
from agent.market.lending_quality import fit_quality
from agent.market.rate_model import MIN_RATE, RateModel
from agent.market.replay import load_history
from agent.units import FloatArray, IntArray

MIN_FIT_DAYS = 180
"""Fewest days of history that a model is fitted to."""

_WINDOW = 10  # days over which the state of the volatility is judged
_WILD = 1.0  # mean squared standardised innovation above which a day is wild
_STABLE = 0.995  # largest allowed modulus of the autoregression's eigenvalues


def fit(history: RateHistory) -> RateModel:
    """Estimate the model from history.

    The autoregression by ordinary least squares (shrunk if it would not be stable); days are wild where the squared
    standardised innovations exceed their mean over ten days around them; the tail by the kurtosis within the states.

    Raises
    ------
    TooFewDaysError
        Under 180 days.
    """
    if len(history) < MIN_FIT_DAYS:
        raise TooFewDaysError(
            f"{history.source} has {len(history)} days up to {history.end}, but a fit needs {MIN_FIT_DAYS}: "
            "take a longer history"
        )
    logs = np.log(np.maximum(history.rates, MIN_RATE))
    count = logs.shape[1]
    lagged = np.column_stack([np.ones(len(logs) - 2), logs[1:-1], logs[:-2]])
    solution, *_ = np.linalg.lstsq(lagged, logs[2:], rcond=None)
    innovations = logs[2:] - lagged @ solution
    first, second = solution[1 : count + 1].T, solution[count + 1 :].T
    mean = logs.mean(0)
    shrink = min(1.0, _STABLE / _spectral_radius(first, second))
    first, second = first * shrink, second * shrink**2  # scales every eigenvalue by the same factor
    covariance = np.cov(innovations.T, bias=True)
    if not np.all(np.linalg.eigvalsh(covariance) > 1e-10):
        raise MarketDataError(f"{history.source}: a market's rate never moves, or two move as one: nothing to fit")
    states, scales = _volatility_states(innovations)
    standard = innovations / np.sqrt(np.diag(covariance)) / scales[states][:, None]
    kurtosis = float((standard**4).mean() / (standard**2).mean() ** 2)
    return RateModel(
        names=history.names,
        intercept=(np.eye(count) - first - second) @ mean,
        first=first,
        second=second,
        factor=np.linalg.cholesky(covariance),
        scales=scales,
        stay=_stay_probabilities(states),
        dof=float(np.clip(4.0 + 6.0 / max(kurtosis - 3.0, 0.1), 4.2, 30.0)),
        fitted_to={
            "source": history.source,
            "first_day": history.start.isoformat(),
            "last_day": history.end.isoformat(),
            "sha256": history.digest,
        },
    )


def _spectral_radius(first: FloatArray, second: FloatArray) -> float:
    count = len(first)
    companion = np.block([[first, second], [np.eye(count), np.zeros((count, count))]])
    return float(np.abs(np.linalg.eigvals(companion)).max())


def _volatility_states(innovations: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return `(T,)` states (0 calm, 1 wild) and their `(2,)` scales, which average to one in variance."""
    power = (innovations**2 / innovations.var(0)).mean(1)
    smooth = np.convolve(power, np.ones(_WINDOW) / _WINDOW, mode="same")
    states = (smooth > _WILD).astype(np.int64)
    scales = np.array([np.sqrt(power[states == state].mean()) if (states == state).any() else 1.0 for state in (0, 1)])
    return states, scales


def _stay_probabilities(states: IntArray) -> FloatArray:
    """Return the shares of days in each state that are followed by the same, with one day of either assumed."""
    now, then = states[:-1], states[1:]
    return np.array([(((now == s) & (then == s)).sum() + 1.0) / ((now == s).sum() + 2.0) for s in (0, 1)])


def main(arguments: list[str]) -> int:
    """Fit a history and write the parameters: `HISTORY.csv OUT.json`."""
    if len(arguments) != 2:
        print("usage: python -m agent.market.calibrate_lending HISTORY.csv OUT.json", file=sys.stderr)
        return 2
    try:
        history = load_history(arguments[0])
        model = fit(history)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    Path(arguments[1]).write_text(json.dumps(model.to_json(), indent=1) + "\n", encoding="utf-8")
    print(f"{len(history)} days of {', '.join(history.names)} from {history.start} to {history.end}\n")
    print(fit_quality(history, model, np.random.default_rng(0)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
