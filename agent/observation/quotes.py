"""From quotes of the world outside of the vaults to the features of an observation, live.

`defi-1` and `rwa-1` need prices that no contract of the vault knows, and of some of them the recent past: a trailing
mean and a volatility. `QuoteMemory` holds that past in a few numbers, by the recursions that the synthetic markets use
(`agent.market.processes`), for quotes that come at any times: a policy sees live what it was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.errors import NotFiniteError, ObservationError
from agent.observation.observe import CHAIN, DEFI, DEFI_FEATURES, RWA, RWA_FEATURES
from agent.units import DAY, HOUR, YEAR, FloatArray

QUOTES: dict[str, tuple[str, ...]] = {
    CHAIN: (),
    DEFI: ("eth", "btc", "dai", "usdc", "usdt"),
    RWA: (
        "eth",
        "btc",
        "btc_dominance",
        "fed_funds",
        "usdy_peg",
        "meth_peg",
        "usdy_lending",
        "meth_lending",
        "mnt",
    ),
}
"""Quotes that each observation version needs: prices in USD, the rest in the units of its features."""

USUAL_VOLATILITY: dict[str, float] = {"eth": 0.6, "btc": 0.5, "usdy_peg": 0.0036}
"""Quotes of which the past counts, and the volatility that they begin with, per square root of a year.

That of the synthetic markets: prices as `agent.market.rwa.PRICES`, the peg as it wobbles while it holds.
"""

_MEMORY = float(DAY)  # time constant of mean and volatility, as in the synthetic markets


@dataclass(frozen=True)
class BlockFacts:
    """The state of the network, by a block's header.

    Attributes
    ----------
    timestamp
        Seconds.
    gas_gwei
        Base fee, gwei.
    congestion
        Gas used, as a share of the block's limit.
    """

    timestamp: int
    gas_gwei: float
    congestion: float


@dataclass(frozen=True)
class Trail:
    """The past of one quote.

    Attributes
    ----------
    last
        Logarithm of the last quote.
    over
        Logarithm of it over the trailing exponential mean (of logarithms).
    power
        Exponentially weighted mean square of the log returns, per year.
    """

    last: float
    over: float
    power: float

    @classmethod
    def start(cls, quote: float, volatility: float) -> Trail:
        """Begin at the mean, with a usual volatility per square root of a year."""
        return cls(math.log(quote), 0.0, volatility**2)

    def update(self, quote: float, seconds: float) -> Trail:
        """Take in a quote that came some seconds after the last one; more than none."""
        move, keep = math.log(quote) - self.last, math.exp(-seconds / _MEMORY)
        power = keep * self.power + (1.0 - keep) * move**2 * (YEAR / seconds)
        return Trail(math.log(quote), keep * (self.over + move), power)

    @property
    def to_mean(self) -> float:
        """The quote over its trailing mean."""
        return math.exp(self.over)

    @property
    def volatility(self) -> float:
        """Of log returns, per square root of a year."""
        return math.sqrt(self.power)


@dataclass(frozen=True)
class QuoteMemory:
    """The past of the quotes of which it counts.

    Attributes
    ----------
    trails
        By the quote's name.
    timestamp
        Seconds; the block of the last quotes that were taken in.
    """

    trails: Mapping[str, Trail]
    timestamp: int

    @classmethod
    def start(cls, quotes: Mapping[str, float], timestamp: int) -> QuoteMemory:
        """Begin with the quotes of one block."""
        checked = _checked(quotes)
        usual = {name: volatility for name, volatility in USUAL_VOLATILITY.items() if name in checked}
        return cls({name: Trail.start(checked[name], volatility) for name, volatility in usual.items()}, timestamp)

    def update(self, quotes: Mapping[str, float], timestamp: int) -> QuoteMemory:
        """Take in the quotes of a block; the same block again changes nothing. A quote that is new begins anew.

        Raises
        ------
        ObservationError
            If the block is older than the last one.
        """
        seconds = timestamp - self.timestamp
        if seconds < 0:
            raise ObservationError(
                f"block time went backwards, from {self.timestamp} to {timestamp}: the memory belongs to another chain"
            )
        if seconds == 0:
            return self
        begun, checked = QuoteMemory.start(quotes, timestamp).trails, _checked(quotes)
        known = {name: trail.update(checked[name], seconds) for name, trail in self.trails.items() if name in checked}
        return QuoteMemory({**begun, **known}, timestamp)

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, for the journal."""
        trails = {name: [trail.last, trail.over, trail.power] for name, trail in self.trails.items()}
        return {"trails": trails, "timestamp": self.timestamp}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QuoteMemory:
        """Return the memory that `to_json` stored, bit for bit.

        Raises
        ------
        ObservationError
            If an entry is missing or malformed.
        """
        try:
            trails = {str(name): Trail(*(float(number) for number in kept)) for name, kept in data["trails"].items()}
            timestamp = int(data["timestamp"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ObservationError(f"stored memory of quotes is damaged ({error}): start a new journal") from error
        if not all(math.isfinite(number) for trail in trails.values() for number in vars(trail).values()):
            raise ObservationError("stored memory of quotes is damaged (numbers that are none): start a new journal")
        return cls(trails, timestamp)


def features_of(version: str, quotes: Mapping[str, float], memory: QuoteMemory, block: BlockFacts) -> FloatArray:
    """Return the features `(1, k)` of an observation version at a block, in its order and units.

    Parameters
    ----------
    version
        An observation version that has features.
    quotes
        The quotes that it needs, see `QUOTES`.
    memory
        Their past, these quotes included.
    block
        The block.

    Raises
    ------
    ObservationError
        If a quote is missing.
    """
    lacking = [name for name in QUOTES[version] if name not in quotes]
    if lacking:
        raise ObservationError(f"observation {version} needs quotes of {', '.join(lacking)}")
    known, trails = _checked(quotes), memory.trails
    if version == DEFI:
        values = {
            "eth_to_mean": trails["eth"].to_mean,
            "btc_to_mean": trails["btc"].to_mean,
            "eth_volatility": trails["eth"].volatility,
            **{f"{coin}_peg": known[coin] for coin in ("dai", "usdc", "usdt")},
            "gas_gwei": block.gas_gwei,
            "congestion": block.congestion,
            "hour": block.timestamp % DAY / HOUR,
        }
        return _in_order(values, DEFI_FEATURES)
    values = {
        **{name: known[name] for name in QUOTES[RWA]},
        **{f"{coin}_price": known[coin] for coin in ("eth", "btc", "mnt")},
        "eth_volatility": trails["eth"].volatility,
        "usdy_volatility": trails["usdy_peg"].volatility,
        "gas_gwei": block.gas_gwei,
    }
    return _in_order(values, RWA_FEATURES)


def _in_order(values: Mapping[str, float], names: tuple[str, ...]) -> FloatArray:
    return np.array([[values[name] for name in names]])


def _checked(quotes: Mapping[str, float]) -> Mapping[str, float]:
    """Return the quotes; refuse numbers that are not finite, and prices that are none."""
    for name, quote in quotes.items():
        if not math.isfinite(quote) or (name in USUAL_VOLATILITY and quote <= 0):
            raise NotFiniteError(f"the quote of {name} is {quote}: nothing may be decided on it")
    return quotes
