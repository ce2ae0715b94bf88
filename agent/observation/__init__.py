"""The one definition of what a policy sees: observation version `chain-1`.

The environments and the keeper build the same `Observation` from the same numbers, all of which a contract could
read at that block or keep in storage: weights, idle, supply rates, two running means of the rates, the drawdown, and
the gas price. Nothing comes from after the block.

`Observation.vector()` is what a network is fed. Rates enter as *spreads in units of their own recent level*, so that
0.5 % against 0.4 % in a calm market looks like 15 % against 12 % in a wild one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.errors import NotFiniteError, ObservationError, ShapeError
from agent.portfolio import Costs, PortfolioState
from agent.units import DAY, YEAR, FloatArray, rows

VERSION = "chain-1"
"""Changes whenever a number of `Observation.vector()` changes its meaning; a policy file names the one it needs."""

FAST_SECONDS = 3.0 * DAY
SLOW_SECONDS = 21.0 * DAY
"""Time constants of the two exponential means of the rates."""

_LEAST_LEVEL = 0.001  # APR; below it spreads are noise and are not blown up
_BOUND = 3.0  # features are clipped here, in units of order one
_TYPICAL_RATE = 0.05


@dataclass(frozen=True)
class RateMemory:
    """Exponential means of the rates: the only state of an observation, `2 n + 1` numbers.

    The decay depends on the time between blocks, not on how often one looks.

    Attributes
    ----------
    fast, slow
        `(B, n)` means with time constants of 3 and 21 days, APR.
    timestamp
        Seconds; the block of the last rates that were taken in.
    """

    fast: FloatArray
    slow: FloatArray
    timestamp: int

    @classmethod
    def start(cls, rates: FloatArray, timestamp: int) -> RateMemory:
        """Begin with the `(B, n)` rates of one block as both means."""
        checked = _rates(rates)
        return cls(checked.copy(), checked.copy(), int(timestamp))

    def update(self, rates: FloatArray, timestamp: int) -> RateMemory:
        """Take in the `(B, n)` rates of a block; the same block again changes nothing.

        Raises
        ------
        ObservationError
            If the block is older than the last one, or has another number of strategies.
        """
        checked = _rates(rates)
        if checked.shape != self.fast.shape:
            raise ObservationError(
                f"the rate memory is for {self.fast.shape[1]} strategies but {checked.shape[1]} rates were read: "
                "start a new memory after strategies were added"
            )
        elapsed = int(timestamp) - self.timestamp
        if elapsed < 0:
            raise ObservationError(
                f"block time went backwards, from {self.timestamp} to {timestamp}: the memory belongs to another chain"
            )
        fast, slow = np.exp(-elapsed / FAST_SECONDS), np.exp(-elapsed / SLOW_SECONDS)
        return RateMemory(
            self.fast * fast + checked * (1.0 - fast), self.slow * slow + checked * (1.0 - slow), int(timestamp)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the memory of one vault (`B = 1`) as plain numbers, for the journal."""
        if len(self.fast) != 1:
            raise ObservationError("only the memory of a single vault is stored")
        return {"fast": self.fast[0].tolist(), "slow": self.slow[0].tolist(), "timestamp": self.timestamp}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RateMemory:
        """Return what `to_json` stored, bit for bit.

        Raises
        ------
        ObservationError
            If an entry is missing or is not what it must be.
        """
        try:
            fast, slow = _rates(np.array([data["fast"]], float)), _rates(np.array([data["slow"]], float))
            timestamp = int(data["timestamp"])
        except (KeyError, TypeError, ValueError) as error:
            raise ObservationError(f"stored rate memory is damaged ({error}): start a new one") from error
        if fast.shape != slow.shape:
            raise ObservationError("stored rate memory is damaged (means of different lengths): start a new one")
        return cls(fast, slow, timestamp)


@dataclass(frozen=True)
class Observation:
    """What is known at a block about a batch of vaults; `B` rows, `n` strategies.

    Attributes
    ----------
    weights
        `(B, n)` share of NAV in each strategy now.
    idle
        `(B,)` share of NAV that is idle.
    rates
        `(B, n)` supply rates now, APR.
    fast, slow
        `(B, n)` means of the rates, APR, the present ones included.
    drawdown
        `(B,)` fall of the share price under the high-water mark.
    gas_share
        `(B,)` gas of a rebalance that moves every strategy, as a share of NAV.
    """

    weights: FloatArray
    idle: FloatArray
    rates: FloatArray
    fast: FloatArray
    slow: FloatArray
    drawdown: FloatArray
    gas_share: FloatArray

    def __len__(self) -> int:
        return len(self.idle)

    @property
    def count(self) -> int:
        """Number of strategies."""
        return int(self.weights.shape[1])

    def vector(self) -> FloatArray:
        """Return the network's input, `(B, 4 n + 5)`, every number of order one and within [-3, 3].

        In order: weights `n`; idle; spread of each rate over their mean `n`; rate over its fast mean `n`; fast over
        slow mean `n`; mean rate over its slow mean; that slow level (5 % = 1); drawdown (10 % = 1); days of interest
        that one rebalance costs. Spreads and differences are in units of the slow level.
        """
        level = np.maximum(self.slow.mean(-1, keepdims=True), _LEAST_LEVEL)
        mean = self.rates.mean(-1, keepdims=True)
        parts = [
            self.weights,
            self.idle[:, None],
            (self.rates - mean) / level,
            (self.rates - self.fast) / level,
            (self.fast - self.slow) / level,
            mean / level - 1.0,
            level / _TYPICAL_RATE,
            10.0 * self.drawdown[:, None],
            self.gas_share[:, None] / (level * (DAY / YEAR)),
        ]
        return np.asarray(np.clip(np.concatenate(parts, axis=-1), -_BOUND, _BOUND))


def vector_size(count: int) -> int:
    """Return the length of `Observation.vector()` for `count` strategies."""
    return 4 * count + 5


def vector_names(strategies: Sequence[str]) -> tuple[str, ...]:
    """Return what each number of `Observation.vector()` is called, for manifests and reports."""
    return (
        *(f"weight {name}" for name in strategies),
        "idle",
        *(f"spread {name}" for name in strategies),
        *(f"over fast mean {name}" for name in strategies),
        *(f"trend {name}" for name in strategies),
        "level over slow mean",
        "slow level",
        "drawdown",
        "gas in days of interest",
    )


def observe(
    state: PortfolioState, rates: FloatArray, memory: RateMemory, gas_cost: FloatArray | float, costs: Costs
) -> Observation:
    """Build the observation of a batch of vaults from a state of the money math.

    Parameters
    ----------
    state
        Vaults at the block.
    rates
        `(B, n)` supply rates at the block, APR.
    memory
        Means that already hold these rates.
    gas_cost
        `(B,)` asset units per unit of gas.
    costs
        For the units of gas.
    """
    return observation(state.weights, state.idle_weight, state.nav, state.drawdown, rates, memory, gas_cost, costs)


def observation(
    weights: FloatArray,
    idle: FloatArray,
    nav: FloatArray,
    drawdown: FloatArray,
    rates: FloatArray,
    memory: RateMemory,
    gas_cost: FloatArray | float,
    costs: Costs,
) -> Observation:
    """Build an observation from plain arrays, as the keeper reads them: `(B, n)`, `(B,)`, `(B,)`, `(B,)`, `(B, n)`.

    Raises
    ------
    NotFiniteError
        If a number is missing: there is then no honest observation, and nothing may be decided.
    ShapeError
        If the arrays do not belong together.
    """
    checked = _rates(rates)
    if weights.shape != checked.shape or memory.fast.shape != checked.shape or idle.shape != (len(checked),):
        raise ShapeError("weights, rates and memory must be of the same vaults and strategies")
    price = rows(gas_cost, len(checked))
    every_move = costs.gas_base + costs.gas_per_move * checked.shape[1]
    gas_share = np.where(nav > 0, price * every_move / np.where(nav > 0, nav, 1.0), 1.0)
    made = Observation(weights, idle, checked, memory.fast, memory.slow, drawdown, gas_share)
    if not all(np.isfinite(field).all() for field in vars(made).values()):
        raise NotFiniteError("an observation must be of finite numbers only: a read failed or a price is missing")
    return made


def _rates(rates: FloatArray) -> FloatArray:
    checked = np.asarray(rates, dtype=np.float64)
    if checked.ndim != 2:
        raise ShapeError(f"rates must have the shape (vaults, strategies), not {checked.shape}")
    if not np.isfinite(checked).all():
        raise NotFiniteError("rates must be finite: a strategy whose rate cannot be read must not be traded on")
    return checked
