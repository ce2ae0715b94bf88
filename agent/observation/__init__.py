"""The one definition of what a policy sees.

The environments, the backtest and the keeper build the same `Observation` from the same numbers. Those of version
`chain-2` a contract could read at that block or keep in storage: weights, idle, supply rates, two running means of the
rates, the drawdown, the gas price, and what moving is configured to cost. Nothing comes from after the block.

`Observation.vector()` is what a network is fed; `agent.observation.versions` defines it for every version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.errors import NotFiniteError, ShapeError
from agent.observation.memory import FAST_SECONDS, SLOW_SECONDS, RateMemory, checked_rates
from agent.observation.versions import CHAIN, DEFI, DEFI_FEATURES, RWA, RWA_FEATURES, Version, version_of
from agent.units import FloatArray, rows
from agent.vault.portfolio import Costs, PortfolioState

__all__ = [
    "CHAIN",
    "DEFI",
    "DEFI_FEATURES",
    "FAST_SECONDS",
    "RWA",
    "RWA_FEATURES",
    "SLOW_SECONDS",
    "Observation",
    "RateMemory",
    "Version",
    "observation",
    "observe",
    "vector_names",
    "vector_size",
    "version_of",
]


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
    move_cost
        `(B,)` what moving a unit from one strategy to another is expected to cost, as a share of it.
    features
        `(B, k)` what else is known of the market, in the order and the units of the version; none for `chain-2`.
    elapsed
        `(B,)` seconds since the run or the episode began; only `defi-1` needs it.
    version
        Which vector this is seen as, and how a network's outputs are understood.
    """

    weights: FloatArray
    idle: FloatArray
    rates: FloatArray
    fast: FloatArray
    slow: FloatArray
    drawdown: FloatArray
    gas_share: FloatArray
    move_cost: FloatArray
    features: FloatArray | None = None
    elapsed: FloatArray | None = None
    version: str = CHAIN

    def __len__(self) -> int:
        return len(self.idle)

    @property
    def count(self) -> int:
        """Number of strategies."""
        return int(self.weights.shape[1])

    def vector(self) -> FloatArray:
        """Return the network's input, `(B, m)`, every number of order one and within [-3, 3]."""
        return version_of(self.version).vector(self)


def vector_size(count: int, version: str = CHAIN) -> int:
    """Return the length of `Observation.vector()` for `count` strategies."""
    return len(vector_names([""] * count, version))


def vector_names(strategies: Sequence[str], version: str = CHAIN) -> tuple[str, ...]:
    """Return what each number of `Observation.vector()` is called, for manifests and reports."""
    kind = version_of(version)
    kind.check_market(len(strategies))
    return kind.names(strategies)


def observe(
    state: PortfolioState,
    rates: FloatArray,
    memory: RateMemory,
    gas_cost: FloatArray | float,
    costs: Costs,
    *,
    version: str = CHAIN,
    features: FloatArray | None = None,
    elapsed: FloatArray | float | None = None,
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
        For the units of gas and what moving costs.
    version
        Observation version.
    features
        `(B, k)` features of the market row, for the versions that have any; left out of the others.
    elapsed
        `(B,)` seconds since the run or the episode began, for the versions that need it.
    """
    return observation(
        state.weights,
        state.idle_weight,
        state.nav,
        state.drawdown,
        rates,
        memory,
        gas_cost,
        costs,
        version=version,
        features=features,
        elapsed=elapsed,
    )


def observation(
    weights: FloatArray,
    idle: FloatArray,
    nav: FloatArray,
    drawdown: FloatArray,
    rates: FloatArray,
    memory: RateMemory,
    gas_cost: FloatArray | float,
    costs: Costs,
    *,
    version: str = CHAIN,
    features: FloatArray | None = None,
    elapsed: FloatArray | float | None = None,
) -> Observation:
    """Build an observation from plain arrays, as the keeper reads them: `(B, n)`, `(B,)`, `(B,)`, `(B,)`, `(B, n)`.

    Raises
    ------
    NotFiniteError
        If a number is missing: there is then no honest observation, and nothing may be decided.
    ShapeError
        If the arrays do not belong together.
    ObservationError
        If the version is unknown, or lacks features or time.
    """
    checked = checked_rates(rates)
    batch, count = checked.shape
    if weights.shape != checked.shape or memory.fast.shape != checked.shape or idle.shape != (batch,):
        raise ShapeError("weights, rates and memory must be of the same vaults and strategies")
    kind = version_of(version)
    price = rows(gas_cost, batch)
    every_move = costs.gas_base + costs.gas_per_move * count
    made = Observation(
        weights,
        idle,
        checked,
        memory.fast,
        memory.slow,
        drawdown,
        gas_share=np.divide(price * every_move, nav, out=np.ones(batch), where=nav > 0),
        move_cost=costs.switch(batch),
        features=features if kind.features else None,
        elapsed=rows(elapsed, batch) if kind.timed and elapsed is not None else None,
        version=version,
    )
    kind.check(made)
    numbers = [field.ravel() for field in vars(made).values() if isinstance(field, np.ndarray)]
    if not np.isfinite(np.concatenate(numbers)).all():
        raise NotFiniteError("an observation must be of finite numbers only: a read failed or a price is missing")
    return made
