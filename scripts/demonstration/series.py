"""The rates that the demo replays, and a policy trained on a market that never saw those days."""

import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.errors import MarketDataError
from agent.market.lending import MIN_FIT_DAYS, SyntheticMarket, fitted_market, shipped_market
from agent.market.replay import load_history
from agent.policies.network import NumpyPolicy
from agent.vault.limits_file import LimitsFile

SYNTHETIC_START = date(2026, 1, 1)
SHIPPED = "the shipped one"
PRESET = "demo"


@dataclass(frozen=True)
class DemoSeries:
    """A window of rates, and a market that knows only the days before it.

    Attributes
    ----------
    rates
        `(days + 1, n)` supply rates, APR; the last row closes the books.
    start
        First day, UTC.
    source
        Its name.
    market
        Market to train on.
    market_source
        Origin of that market's parameters.
    """

    rates: NDArray[np.float64]
    start: date
    source: str
    market: SyntheticMarket
    market_source: str


def load_series(path: Path | None, start: date | None, days: int, seed: int, names: tuple[str, ...]) -> DemoSeries:
    """Return the window of `days` days of a file, or of the built-in synthetic market.

    Parameters
    ----------
    path
        CSV of daily rates (see `agent.market.replay`); None takes the synthetic market.
    start
        First day; for a file the last possible one by default.
    days
        Number of the keeper's wakes; one more row is needed to close the books.
    seed
        Of the synthetic window.
    names
        Markets that will follow the series, in order.

    Raises
    ------
    MarketDataError
        When the file cannot be used; the message says where and what to do.
    """
    if path is None:
        market = shipped_market(names)
        window = market.sample(np.random.default_rng([seed, 1]), 1, days + 1)
        return DemoSeries(window.rates[0], start or SYNTHETIC_START, f"synthetic, seed {seed}", market, SHIPPED)
    history = load_history(path)
    if len(history.names) != len(names):
        raise MarketDataError(
            f"{history.source} has {len(history.names)} rate columns ({', '.join(history.names)}), but the demo has "
            f"{len(names)} markets: keep {len(names)} columns"
        )
    first = start or history.end - timedelta(days=days)
    chosen = history.window(max(first, history.start) if start is None else first, days + 1)
    before = history.before(chosen.start)
    return DemoSeries(
        chosen.rates[0],
        chosen.start,
        f"{history.source}: {', '.join(history.names)}",
        fitted_market(before, history.names),
        f"fitted to the {len(before)} days before {chosen.start}"
        if before is not None and len(before) >= MIN_FIT_DAYS
        else SHIPPED,
    )


@dataclass(frozen=True)
class Learned:
    """A trained policy, with the seconds and steps of its training."""

    policy: NumpyPolicy
    path: Path
    seconds: float
    steps: int


def learn(market: SyntheticMarket, limits: LimitsFile, seed: int, seconds: float, out: Path) -> Learned:
    """Train within `seconds`, with a progress bar on a terminal, and export to `out/policy.npz`."""
    # Torch takes seconds to import: a wrong option should fail before.
    from agent.training.preset import load_preset
    from agent.training.train import train

    preset = load_preset(PRESET, seed=seed, seconds=seconds)
    path, bar = out / "policy.npz", sys.stderr.isatty()
    result = train(preset, limits.limits(), path, market=market, names=limits.names, progress=bar)
    return Learned(result.policy, result.path, result.seconds, result.steps)
