"""Made-up markets for the agent's tests."""

from __future__ import annotations

from datetime import date

import numpy as np

from agent.market.history import RateHistory, daily
from agent.market.path import MarketPath
from agent.units import DAY


def path_of(rates: object, gas: float = 0.0, **more: object) -> MarketPath:
    """Return a daily path of one batch row from `(T, n)` or of many from `(B, T, n)`; more fields likewise."""
    array = np.asarray(rates, dtype=np.float64)
    array = array[None] if array.ndim == 2 else array
    given = {name: np.broadcast_to(np.asarray(values, dtype=np.float64), array.shape) for name, values in more.items()}
    return MarketPath(
        DAY * np.arange(array.shape[1], dtype=np.int64),
        array,
        np.full(array.shape[:2], gas),
        tuple(f"pool-{index}" for index in range(array.shape[2])),
        **given,
    )


def autoregression(rng: np.random.Generator, rho: float, size: int) -> np.ndarray:
    """Return a stationary series of order one with innovations of variance one."""
    from scipy.signal import lfilter

    return lfilter([1.0], [1.0, -rho], rng.standard_normal(size + 200))[200:]


class OnePath:
    """A market of which every path is the same."""

    def __init__(self, path: MarketPath) -> None:
        self.path = path
        self.names = path.names

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        return self.path.part(0, length).take(np.zeros(batch, dtype=np.int64))


def history_of(
    rates: np.ndarray, start: date = date(2021, 1, 1), gas: float | None = None, **more: np.ndarray
) -> RateHistory:
    """Return a daily history of `(T, n)` rates; `more` is `earned` or `depth`."""
    names = tuple(f"pool-{i}" for i in range(rates.shape[1]))
    made = RateHistory.of(daily(start, len(rates)), names, rates, source="made-up.csv", digest="00" * 32, **more)
    return made if gas is None else made.with_gas(dict.fromkeys(made.days, gas), "made-up.csv")
