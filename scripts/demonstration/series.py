"""The series that a demonstration follows, and a policy trained on a market that never saw them."""

import math
import sys
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from agent.envs.presets import env_preset
from agent.errors import MarketDataError
from agent.market.history import daily, day_of
from agent.market.lending import MIN_FIT_DAYS, fitted_market, shipped_market
from agent.market.path import Market, MarketPath
from agent.market.replay import load_history
from agent.policies.network import NumpyPolicy
from agent.vault.limits_file import LimitsFile

SYNTHETIC_START = date(2026, 1, 1)
SHIPPED = "the shipped one"


@dataclass(frozen=True)
class Series:
    """A window of a market, and a market to train on that knows only what was before it.

    Attributes
    ----------
    path
        One path of `steps + 1` rows; the last row closes the books. Its names are the venues'.
    source
        Its name.
    market
        Market to train on.
    market_source
        Origin of that market's parameters.
    """

    path: MarketPath
    source: str
    market: Market
    market_source: str

    @property
    def steps(self) -> int:
        """Number of the keeper's wakes."""
        return self.path.length - 1

    @property
    def start(self) -> date:
        """First day, UTC."""
        return day_of(self.path.timestamps[0])

    @property
    def end(self) -> date:
        """Last day, UTC."""
        return day_of(self.path.timestamps[-1])


def load_rates(path: Path | None, start: date | None, days: int, seed: int, names: tuple[str, ...]) -> Series:
    """Return the window of `days` days of a file of lending rates, or of the built-in synthetic market.

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
        dated = replace(window, timestamps=daily(start or SYNTHETIC_START, days + 1))
        return Series(dated, f"synthetic, seed {seed}", market, SHIPPED)
    history = load_history(path)
    if len(history.names) != len(names):
        raise MarketDataError(
            f"{history.source} has {len(history.names)} rate columns ({', '.join(history.names)}), but the demo has "
            f"{len(names)} markets: keep {len(names)} columns"
        )
    first = start or history.end - timedelta(days=days)
    chosen = history.window(max(first, history.start) if start is None else first, days + 1)
    before = history.before(chosen.start)
    return Series(
        replace(chosen, names=names),
        f"{history.source}: {', '.join(history.names)}",
        fitted_market(before, history.names),
        f"fitted to the {len(before)} days before {chosen.start}"
        if before is not None and len(before) >= MIN_FIT_DAYS
        else SHIPPED,
    )


def draw(env: str, steps: int, seed: int) -> Series:
    """Return a window of `steps` steps of an environment's own market, drawn by a seed that training does not use."""
    market = env_preset(env).market()
    path = market.sample(np.random.default_rng([seed, 1]), 1, steps + 1)
    return Series(path, f"synthetic, seed {seed}", market, SHIPPED)


@dataclass(frozen=True)
class Learned:
    """A trained policy, with the seconds and steps of its training."""

    policy: NumpyPolicy
    path: Path
    seconds: float
    steps: int


def learn(preset: str, series: Series, limits: LimitsFile, seed: int, seconds: float, out: Path) -> Learned:
    """Train a preset within `seconds`, with a progress bar on a terminal, and export to `out/policy.npz`.

    A warm start gets the part of its epochs that `seconds` are of the preset's own time.
    """
    # Torch takes seconds to import: a wrong option should fail before.
    from agent.training.preset import load_preset
    from agent.training.train import train

    usual, chosen = load_preset(preset), load_preset(preset, seed=seed, seconds=seconds)
    if chosen.warm_start is not None:
        epochs = math.ceil(chosen.warm_start.epochs * min(1.0, seconds / usual.seconds))
        chosen = chosen.model_copy(update={"warm_start": chosen.warm_start.model_copy(update={"epochs": epochs})})
    path, bar = out / "policy.npz", sys.stderr.isatty()
    result = train(chosen, limits.limits(), path, market=series.market, names=limits.names, progress=bar)
    return Learned(result.policy, result.path, result.seconds, result.steps)
