"""Observations: the one definition of the numbers that a policy sees.

Environments, backtest and keeper build the same `Observation` from the same numbers; `Observation.vector()` is the
input of a network. Nothing comes from after the block.

The observation version names the numbers of the vector, their order and their scaling. A policy file names the version
it was trained with, and is refused with any other.

- `chain-2`, any number of strategies: only what a contract could read at that block or keep in storage, that is
  weights, idle, supply rates, two running means of the rates, the drawdown, the gas price and the cost of moving.
- `defi-1`, five venues, 20 numbers: of `DefiYield-v0`.
- `rwa-1`, three assets, 18 numbers: of `RwaYield-v0`.

The last two need features of the market row besides its rates: a `MarketPath` for them has `feature_names` equal to
`DEFI_FEATURES` or `RWA_FEATURES`, and `features (B, T, k)` in that order and in the units written here. Scaling to
order one is this module's business, not the market's. All numbers are clipped to [-3, 3].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agent.columns import mean
from agent.errors import NotFiniteError, ObservationError, ShapeError
from agent.observation.memory import RateMemory, checked_rates
from agent.units import DAY, YEAR, FloatArray, rows
from agent.vault.portfolio import Costs

CHAIN = "chain-2"
DEFI = "defi-1"
RWA = "rwa-1"

DEFI_VENUES = 5
RWA_ASSETS = 3

DEFI_FEATURES: tuple[str, ...] = (
    "eth_to_mean",  # price of ETH over its trailing mean; 1 is at the mean
    "btc_to_mean",  # price of BTC over its trailing mean
    "eth_volatility",  # of log returns, per square root of a year: 0.6 is 60 %
    "dai_peg",  # price of DAI, USD
    "usdc_peg",  # price of USDC, USD
    "usdt_peg",  # price of USDT, USD
    "gas_gwei",  # gas price, gwei
    "congestion",  # how full blocks are, 0 to 1
    "hour",  # hour of the day, UTC, 0 to 24
)
"""Features of a market for `defi-1`, in this order. The engine adds the progress through the episode."""

RWA_FEATURES: tuple[str, ...] = (
    "eth_price",  # USD
    "btc_price",  # USD
    "btc_dominance",  # share of the market's capitalisation: 0.5 is 50 %
    "fed_funds",  # fraction per year: 0.0525 is 5.25 %
    "usdy_peg",  # price of USDY over its redemption value; 1 is at the peg
    "meth_peg",  # price of mETH over the ETH it can be redeemed for; 1 is at the peg
    "eth_volatility",  # of log returns, per square root of a year
    "usdy_volatility",  # likewise
    "usdy_lending",  # rate for lending out USDY, APR
    "meth_lending",  # rate for lending out mETH, APR
    "gas_gwei",  # gas price, gwei
    "mnt_price",  # USD
)
"""Features of a market for `rwa-1`, in this order."""

BOUND = 3.0
"""Largest absolute value in a vector; beyond it numbers are clipped."""

_MIN_LEVEL = 0.001  # APR; below it spreads are noise and are not blown up
_TYPICAL_RATE = 0.05
_DEFI_RATE = 0.1  # fees of liquidity positions are larger
_MONTH = 30.0  # days
_PEG = 50.0  # 2 % off the peg is one


@dataclass(frozen=True)
class Observation:
    """Knowledge at a block about a batch of `B` vaults over `n` strategies.

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
        `(B,)` expected cost of moving an equal share of NAV from one strategy to another, as a share of what is moved.
    features
        `(B, k)` further features of the market, in the order and the units of the version; none for `chain-2`.
    elapsed
        `(B,)` seconds since the run or the episode began; only `defi-1` needs it.
    version
        Observation version: the layout of the vector and the meaning of a network's outputs.
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


class Vaults(Protocol):
    """Anything that tells of a batch of vaults at a block: a `PortfolioState`, or the keeper's view of a chain."""

    @property
    def weights(self) -> FloatArray:
        """Share of NAV in each strategy, `(B, n)`."""

    @property
    def idle_weight(self) -> FloatArray:
        """Share of NAV that is idle, `(B,)`."""

    @property
    def nav(self) -> FloatArray:
        """Net asset value, `(B,)`."""

    @property
    def drawdown(self) -> FloatArray:
        """Fall of the share price under the high-water mark, as a share of the mark, `(B,)`."""


def observe(
    vaults: Vaults,
    rates: FloatArray,
    memory: RateMemory,
    gas_cost: FloatArray | float,
    costs: Costs,
    *,
    version: str = CHAIN,
    features: FloatArray | None = None,
    elapsed: FloatArray | float | None = None,
) -> Observation:
    """Build the observation of a batch of vaults.

    Parameters
    ----------
    vaults
        Vaults at the block.
    rates
        `(B, n)` supply rates at the block, APR.
    memory
        Means that already hold these rates.
    gas_cost
        `(B,)` asset units per unit of gas.
    costs
        Units of gas, and costs of moving.
    version
        Observation version.
    features
        `(B, k)` features of the market row, for the versions that have any; left out of the others.
    elapsed
        `(B,)` seconds since the run or the episode began, for the versions that need it.

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
    weights, idle, nav = vaults.weights, vaults.idle_weight, vaults.nav
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
        vaults.drawdown,
        gas_share=np.divide(price * every_move, nav, out=np.ones(batch), where=nav > 0),
        move_cost=costs.of_leg(np.maximum(nav, 0.0)[:, None] / count).switch(batch),
        features=features if kind.features else None,
        elapsed=rows(elapsed, batch) if kind.timed and elapsed is not None else None,
        version=version,
    )
    kind.check(made)
    numbers = [field.ravel() for field in vars(made).values() if isinstance(field, np.ndarray)]
    if not np.isfinite(np.concatenate(numbers)).all():
        raise NotFiniteError("an observation must be of finite numbers only: a read failed or a price is missing")
    return made


@dataclass(frozen=True)
class Version:
    """Layout of an observation's vector.

    Attributes
    ----------
    name
        Its name in policy files; another one whenever a number changes its meaning.
    features
        Names of the market features that it needs, in order.
    vector
        From an observation to `(B, m)` numbers within [-3, 3].
    names
        From the strategies' names to `m` names of these numbers.
    count
        Number of strategies; any if none.
    timed
        Whether it needs the time since the run began.
    """

    name: str
    features: tuple[str, ...]
    vector: Callable[[Observation], FloatArray]
    names: Callable[[Sequence[str]], tuple[str, ...]]
    count: int | None = None
    timed: bool = False

    def check(self, seen: Observation) -> None:
        """Raise an `ObservationError` unless strategies, features and time are those that the version needs."""
        self.check_market(seen.count)
        if self.features and (seen.features is None or seen.features.shape != (len(seen), len(self.features))):
            raise ObservationError(f"observation {self.name} needs the features {', '.join(self.features)} per vault")
        if self.timed and seen.elapsed is None:
            raise ObservationError(f"observation {self.name} needs the time since the run began")

    def check_market(self, count: int, features: tuple[str, ...] | None = None) -> None:
        """Raise an `ObservationError` unless `count` and features of a market are those that the version needs."""
        if self.count not in (None, count):
            raise ObservationError(f"observation {self.name} is of {self.count} strategies, not {count}")
        if self.features and features not in (None, self.features):
            raise ObservationError(
                f"observation {self.name} needs a market with the features {', '.join(self.features)}, in this order"
            )


def version_of(name: str) -> Version:
    """Return an observation version by its name.

    Raises
    ------
    ObservationError
        If there is none of this name.
    """
    if name not in VERSIONS:
        raise ObservationError(f"no observation version {name!r}: choose one of {', '.join(VERSIONS)}")
    return VERSIONS[name]


def vector_size(count: int, version: str = CHAIN) -> int:
    """Return the length of `Observation.vector()` for `count` strategies."""
    return len(vector_names([""] * count, version))


def vector_names(strategies: Sequence[str], version: str = CHAIN) -> tuple[str, ...]:
    """Return the name of each number of `Observation.vector()`, for manifests and reports."""
    kind = version_of(version)
    kind.check_market(len(strategies))
    return kind.names(strategies)


def _chain(seen: Observation) -> FloatArray:
    """Return `(B, 4 n + 6)`: see `_chain_names`.

    Rates enter as *spreads in units of their own recent level*, so that 0.5 % against 0.4 % in a calm market looks like
    15 % against 12 % in a wild one: spread of each rate over their mean, rate over its fast mean, fast over slow mean,
    mean rate over its slow mean, all in units of the slow level; that level (5 % = 1); drawdown (10 % = 1); days of
    interest that the gas of one rebalance costs; months of interest that moving costs.
    """
    level = np.maximum(mean(seen.slow), _MIN_LEVEL)[:, None]
    average = mean(seen.rates)[:, None]
    daily = level * (DAY / YEAR)
    return _bounded(
        seen.weights,
        seen.idle[:, None],
        (seen.rates - average) / level,
        (seen.rates - seen.fast) / level,
        (seen.fast - seen.slow) / level,
        average / level - 1.0,
        level / _TYPICAL_RATE,
        10.0 * seen.drawdown[:, None],
        seen.gas_share[:, None] / daily,
        seen.move_cost[:, None] / (daily * _MONTH),
    )


def _chain_names(strategies: Sequence[str]) -> tuple[str, ...]:
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
        "move cost in months of interest",
    )


def _defi(seen: Observation) -> FloatArray:
    """Return `(B, 20)`: weights, rates, then prices, network and time; see `_defi_names`.

    Rates: 10 % = 1. Prices: 10 % off the trailing mean = 1. Volatility: 100 % a year = 1. Pegs: 2 % off = 1. Gas: the
    natural logarithm, 19 gwei = 1. The episode is taken to be a day long: progress runs from 0 to 1 and starts anew.
    """
    eth, btc, volatility, dai, usdc, usdt, gas, congestion, hour = _columns(seen)
    elapsed = np.zeros((len(seen), 1)) if seen.elapsed is None else seen.elapsed[:, None]
    return _bounded(
        seen.weights,
        seen.rates / _DEFI_RATE,
        10.0 * (eth - 1.0),
        10.0 * (btc - 1.0),
        volatility,
        _PEG * (dai - 1.0),
        _PEG * (usdc - 1.0),
        _PEG * (usdt - 1.0),
        np.log1p(gas) / np.log1p(19.0),
        congestion,
        elapsed % DAY / DAY,
        hour / 12.0 - 1.0,
    )


def _defi_names(strategies: Sequence[str]) -> tuple[str, ...]:
    before_hour, hour = DEFI_FEATURES[:-1], DEFI_FEATURES[-1]
    return (
        *(f"weight {name}" for name in strategies),
        *(f"rate {name}" for name in strategies),
        *before_hour,
        "progress",
        hour,
    )


def _rwa(seen: Observation) -> FloatArray:
    """Return `(B, 18)`: rates, the market's features, then weights; see `_rwa_names`.

    Rates: 5 % = 1. Prices: natural logarithm over 3000 (ETH), 60,000 (BTC) and 0.7 (MNT). Dominance: 20 points over
    50 % = 1. Pegs: 2 % off = 1. Volatility: 100 % a year = 1 (ETH), 5 % a year = 1 (USDY). Gas: 0.02 gwei = 1.
    """
    eth, btc, dominance, fed, usdy, meth, eth_vol, usdy_vol, usdy_lending, meth_lending, gas, mnt = _columns(seen)
    return _bounded(
        seen.rates / _TYPICAL_RATE,
        np.log(np.maximum(eth, 1e-9) / 3000.0),
        np.log(np.maximum(btc, 1e-9) / 60_000.0),
        5.0 * (dominance - 0.5),
        fed / _TYPICAL_RATE,
        _PEG * (usdy - 1.0),
        _PEG * (meth - 1.0),
        eth_vol,
        20.0 * usdy_vol,
        usdy_lending / _TYPICAL_RATE,
        meth_lending / _TYPICAL_RATE,
        gas / 0.02,
        np.log(np.maximum(mnt, 1e-9) / 0.7),
        seen.weights,
    )


def _rwa_names(strategies: Sequence[str]) -> tuple[str, ...]:
    return (*(f"rate {name}" for name in strategies), *RWA_FEATURES, *(f"weight {name}" for name in strategies))


def _columns(seen: Observation) -> list[FloatArray]:
    """Return the features one by one, `(B, 1)` each."""
    features = np.zeros((len(seen), 0)) if seen.features is None else seen.features
    return [features[:, index : index + 1] for index in range(features.shape[1])]


def _bounded(*parts: FloatArray) -> FloatArray:
    joined = np.concatenate(parts, axis=-1)
    return np.asarray(np.minimum(np.maximum(joined, -BOUND, out=joined), BOUND, out=joined))


VERSIONS: dict[str, Version] = {
    entry.name: entry
    for entry in (
        Version(CHAIN, (), _chain, _chain_names),
        Version(DEFI, DEFI_FEATURES, _defi, _defi_names, DEFI_VENUES, timed=True),
        Version(RWA, RWA_FEATURES, _rwa, _rwa_names, RWA_ASSETS),
    )
}
"""Every observation version by its name."""
