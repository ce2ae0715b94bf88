"""Five venues of `DefiYield-v0`: rates, prices, pegs, gas and liquidity, calibrated to real history.

Everything is in US dollars, and idle money is dollars at par.

- **Prices.** ETH and BTC are correlated geometric Brownian motions without drift, both in the same calm or wild regime.
- **Pegs.** DAI, USDC and USDT wobble around one and now and then lose their peg (`agent.market.processes.Depegs`).
- **Lending** (Compound DAI, Aave USDT; USDC behind the Yearn vault): the logarithms of the rates are correlated
  Ornstein-Uhlenbeck processes. Utilisation goes with the square root of the rate, as under the kink of a linear rate
  curve. Now and then a market is lent out in full: it pays a high rate and nothing can be withdrawn.
- **Uniswap ETH/USDC**, a full-range position: fees rise with the volatility. With price `P` of ETH in USDC the pool
  holds `x = L / sqrt(P)` ETH and `y = L sqrt(P)` USDC (Adams et al., "Uniswap v2 Core", 2020), worth `2 L sqrt(P)`
  USDC, in dollars `2 L sqrt(ETH x USDC)`: the position is multiplied by the root of the product of both price ratios.
  Against having held the two halves, `(1 + p) / 2` for a price ratio `p`, that is the impermanent loss
  `2 sqrt(p) / (1 + p)`: it is inside of the factor, and nowhere else.
- **Curve 3pool**: as its amplification makes it nearly a constant-sum pool, arbitrage leaves it with the coin that has
  lost its peg (Egorov, "StableSwap", 2019): it follows the weakest of the three.
- **Yearn**: most of a trailing mean of the USDC rate.

The parameters lie in `defi.json`, made by

    python -m tools.calibration.defi ../history agent/market/defi.json

which also prints how well simulated markets agree with the history. Parameters that no history at hand tells are
listed under `assumed` in that file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np

from agent.digest import digest_of
from agent.market.path import MarketPath, gas_cost
from agent.market.processes import (
    Depegs,
    mean_reverting,
    over_mean,
    recurse,
    returns,
    trailing_volatility,
    two_state,
)
from agent.observation.observe import DEFI_FEATURES
from agent.units import DAY, HOUR, YEAR, BoolArray, FloatArray

VENUES = ("uniswap_eth_usdc", "compound_dai", "aave_usdt", "curve_3pool", "yearn_usdc")
COINS = ("dai", "usdc", "usdt")
LENDING = ("dai", "usdt", "usdc")

_EPOCH = 1_767_225_600  # 2026-01-01, where synthetic timestamps begin
_FLOOR, _CEILING = 1e-4, 1.0  # APR; simulated rates stay within
_MAX_USED = 0.98  # utilisation of a market that is not lent out in full


def shipped_parameters() -> dict[str, Any]:
    """Return the parameters of `defi.json`."""
    text = resources.files("agent.market").joinpath("defi.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@dataclass(frozen=True)
class DefiMarket:
    """A market of the five venues to draw paths from.

    Attributes
    ----------
    parameters
        As in `defi.json`, whose `meaning` explains each.
    seconds
        Length of a row.
    """

    parameters: dict[str, Any] = field(default_factory=shipped_parameters)
    seconds: int = 300

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the five venues."""
        return VENUES

    @property
    def digest(self) -> str:
        """Digest of everything that paths depend on but the random numbers."""
        return digest_of({"market": "defi", "parameters": self.parameters, "seconds": self.seconds})

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        """Draw `batch` independent paths of `length` rows; all begin at the same, random hour of a day."""
        shape, step, given = (length, batch), float(self.seconds), self.parameters
        timestamps = _EPOCH + HOUR * int(rng.integers(24)) + self.seconds * np.arange(length, dtype=np.int64)
        hour = (timestamps % DAY) / HOUR
        states = self._states(rng, shape)
        wild, full = states[:, :, 0], states[:, :, 1:]
        prices, seen = self._prices(rng, shape, wild)
        wobble, lending, fees, curve, gas, fast = np.split(self._wander(rng, shape), [3, 6, 7, 8, 9], axis=-1)
        below = depegs(given["pegs"]).sample(rng, shape, step)
        pegs = (1.0 + wobble) * (1.0 - below)
        eth = given["prices"]["eth"] * np.exp(np.cumsum(prices[:, :, 0], axis=0) - prices[0, :, 0])

        rates, used = self._lending(lending, full)
        volatile = np.log(np.array(given["prices"]["scales"]))[wild.astype(np.int64)]
        pool, three, vault = given["uniswap"], given["curve"], given["yearn"]
        keep = np.exp(-step / (vault["days"] * DAY))
        lagged = recurse((1.0 - keep) * rates[:, :, 2:], keep, rates[0, :, 2:])
        apr = [
            np.exp(pool["level"] + pool["slope"] * volatile + fees[:, :, 0]),
            rates[:, :, 0],
            rates[:, :, 1],
            np.exp(three["level"] + curve[:, :, 0]),
            vault["share"] * lagged[:, :, 0],
        ]
        weakest = (1.0 + wobble.mean(-1)) * (1.0 - below.max(-1))
        values = [np.sqrt(eth * pegs[:, :, 1]), pegs[:, :, 0], pegs[:, :, 2], weakest, pegs[:, :, 1]]
        value = _paths(values)
        factors = np.ones_like(value)
        factors[:, 1:] = value[:, 1:] / value[:, :-1]
        surprises = _surprises(prices[:, :, 0], wobble, step / (np.array(given["pegs"]["days"]) * DAY), pegs)
        size = np.exp(given["depth_deviation"] * rng.standard_normal((batch, 1, len(VENUES))))
        depth = np.broadcast_to(size * np.array(given["depth"]), value.shape)
        unlent = _paths([np.zeros_like(eth), used[:, :, 0], used[:, :, 1], np.zeros_like(eth), used[:, :, 2]])
        gwei, congestion = self._gas(gas[:, :, 0], fast[:, :, 0], wild, hour)
        hours = np.broadcast_to(hour[:, None], shape)
        return MarketPath(
            timestamps=timestamps,
            rates=np.clip(_paths(apr), _FLOOR, _CEILING),
            gas_cost=gas_cost(gwei.T, eth.T),
            names=VENUES,
            factors=factors,
            depth=depth,
            liquidity=depth * (1.0 - unlent),
            features=_paths([*seen, pegs[:, :, 0], pegs[:, :, 1], pegs[:, :, 2], gwei, congestion, hours]),
            feature_names=DEFI_FEATURES,
            surprises=surprises,
        )

    def _states(self, rng: np.random.Generator, shape: tuple[int, int]) -> BoolArray:
        """Return `(T, B, 4)`: whether prices are wild, and whether each lending market is lent out in full."""
        calm, wild = (hours * HOUR for hours in self.parameters["prices"]["hours"])
        full = self.parameters["full"]
        between = YEAR / full["per_year"]
        low = np.array([calm] + [between] * len(LENDING))
        high = np.array([wild] + [full["hours"] * HOUR] * len(LENDING))
        return two_state(rng, shape, float(self.seconds), low, high)

    def _prices(
        self, rng: np.random.Generator, shape: tuple[int, int], wild: BoolArray
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Return log returns of ETH and BTC `(T, B, 2)`, and the three features of them, `(T, B)` each."""
        given, step = self.parameters["prices"], float(self.seconds)
        both = np.array([[1.0, given["correlation"]], [given["correlation"], 1.0]])
        noise = rng.standard_normal((*shape, 2)) @ np.linalg.cholesky(both).T
        scale = np.array(given["scales"])[wild.astype(np.int64)][:, :, None]
        volatility = scale * np.array(given["volatility"])
        moves = returns(noise, volatility, step)
        start = rng.standard_normal((shape[1], 2))
        over = np.exp(over_mean(moves, volatility[0], DAY, step, start))
        seen = trailing_volatility(moves[:, :, :1], volatility[0, :, :1], DAY, step)
        return moves, [over[:, :, 0], over[:, :, 1], seen[:, :, 0]]

    def _wander(self, rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
        """Return the mean-reverting series `(T, B, 10)`: pegs, lending rates, fees, Curve, gas, congestion."""
        given = self.parameters
        lending, pegs, gas = given["lending"], given["pegs"], given["gas"]
        few = [given["uniswap"], given["curve"]]
        deviation = np.array(
            [*pegs["deviation"], *lending["deviation"], *(p["deviation"] for p in few), gas["deviation"], 1.0]
        )
        days = np.array(
            [*pegs["days"], *lending["days"], *(p["days"] for p in few), gas["days"], gas["congestion_days"]]
        )
        correlation = np.eye(len(days))
        correlation[3:6, 3:6] = lending["correlation"]
        return mean_reverting(rng, shape, float(self.seconds), deviation, days * float(DAY), correlation)

    def _lending(self, wander: FloatArray, full: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return rates and utilisation of the lending markets, `(T, B, 3)` each."""
        given, most = self.parameters["lending"], self.parameters["full"]["rate"]
        rates = np.exp(np.array(given["level"]) + wander)
        used = np.minimum(np.array(given["utilisation"]) * np.exp(0.5 * wander), _MAX_USED)
        return np.where(full, np.maximum(rates, most), rates), np.where(full, 1.0, used)

    def _gas(
        self, slow: FloatArray, fast: FloatArray, wild: BoolArray, hour: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the gas price in gwei and the congestion, `(T, B)` each."""
        given = self.parameters["gas"]
        demand = fast + given["wild"] * wild
        day = given["daily"] * np.cos(2.0 * np.pi * (hour - given["peak_hour"]) / 24.0)[:, None]
        gwei = np.exp(given["level"] + slow + day + given["per_demand"] * demand)
        return gwei, 1.0 / (1.0 + np.exp(-demand))


def _surprises(eth: FloatArray, wobble: FloatArray, pull: FloatArray, pegs: FloatArray) -> FloatArray:
    """Return the unforeseeable part of the venues' price changes, to first order, `(B, T, 5)`.

    Half of the liquidity is ETH, a martingale. A wobble is pulled back to zero, which is foreseen, and pushed, which is
    not. Lost pegs are left out: their recovery is foreseen.

    Parameters
    ----------
    eth
        `(T, B)` log returns over the time up to each row.
    wobble, pegs
        `(T, B, 3)` of DAI, USDC and USDT: deviation from the peg that holds, and price.
    pull
        `(3,)` length of a row over the time constants of the wobbles.
    """
    pushed = np.zeros_like(wobble)
    pushed[1:] = (wobble[1:] - np.exp(-pull) * wobble[:-1]) / pegs[:-1]
    dai, usdc, usdt = pushed[:, :, 0], pushed[:, :, 1], pushed[:, :, 2]
    return _paths([0.5 * (np.expm1(eth) + usdc), dai, usdt, (dai + usdc + usdt) / 3.0, usdc])


def depegs(given: dict[str, Any]) -> Depegs:
    """Return how coins lose their pegs, from the `pegs` of `defi.json`."""
    return Depegs(
        per_year=np.array(given["per_year"]),
        hits=np.array(given["hits"]),
        size=given["size"],
        spread=given["spread"],
        time=np.full(len(COINS), given["recovery_days"] * DAY),
        collapse=given["collapse"],
        priced=given["priced"],
    )


def _paths(series: list[FloatArray]) -> FloatArray:
    """Return `k` series `(T, B)` as `(B, T, k)`."""
    return np.ascontiguousarray(np.stack([entry.T for entry in series], axis=-1))
