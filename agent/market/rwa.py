"""Three tokenised assets of `RwaYield-v0`: USDY, mETH and MI4 on Mantle.

`SERIES` and `PRICES` are given with the environment, not fitted: mean-reverting rates (from hour to hour `x += theta
(mean - x) + sigma noise`) and geometric Brownian prices. The rest was left to choose: see `Choices`, with the source of
each number. Everything is in US dollars, and idle money is dollars at par.

- **USDY** pays its rate; its price is its peg, which wobbles and now and then is lost.
- **mETH** pays its staking rate and is redeemable for ETH: its price is that of ETH times its own peg, so that its beta
  to ETH is one.
- **MI4** is an index fund: its price moves with its holdings of BTC, ETH and cash, and by something of its own. It
  pays its rate besides; a change of this *rate* moves no price.

No price drifts: an expected gain would be ours by assumption.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from agent.digest import digest_of
from agent.market.path import MarketPath, gas_cost
from agent.market.processes import Depegs, mean_reverting, returns, trailing_volatility
from agent.observation.observe import RWA_FEATURES
from agent.units import DAY, HOUR, YEAR, FloatArray

ASSETS = ("usdy", "meth", "mi4")

_EPOCH = 1_767_225_600  # 2026-01-01, where synthetic timestamps begin

SERIES: dict[str, tuple[float, float, float]] = {
    "usdy": (4.25, 0.05, 0.01),
    "meth": (3.8, 0.15, 0.005),
    "mi4": (5.0, 0.2, 0.003),
    "fed_funds": (5.25, 0.1, 0.02),
    "btc_dominance": (50.0, 2.0, 0.01),
    "usdy_lending": (2.0, 0.1, 0.01),
    "meth_lending": (1.5, 0.15, 0.01),
    "gas": (0.02, 0.005, 0.1),
}
"""Mean, sigma and theta, per hour; all in percent but the gas price in gwei."""

PRICES: dict[str, tuple[float, float]] = {"eth": (3000.0, 0.6), "btc": (60_000.0, 0.5), "mnt": (0.7, 0.8)}
"""USD at the start, and volatility per square root of a year."""


@dataclass(frozen=True)
class Choices:
    """Parameters that the environment's description leaves open.

    Attributes
    ----------
    eth_btc, eth_mnt, btc_mnt
        Correlations: the first as measured on hourly prices of 2022, the others as is usual for a network's token.
    fund_eth, fund_btc, fund_volatility
        MI4's shares in ETH and in BTC, the rest being cash; volatility of its own per square root of
        a year.
    wobble, wobble_days
        Standard deviation and time constant of the pegs of USDY and mETH while they hold.
    depegs_per_year, depeg_size, depeg_spread
        Frequency of a lost peg, of each; median size, and deviation of its logarithm: near those of USDC on 2023-03-11.
    recovery_days
        Time constants of the recovery: days for USDY, which is redeemed in days; weeks for mETH, as staked ETH took
        them in 2022.
    collapse, priced
        Factor of the loss in a collapse, and the share of the recovery that this risk takes back; see `Depegs`.
    volatility_days
        Time constant of the volatilities that are observed.
    """

    eth_btc: float = 0.89
    eth_mnt: float = 0.7
    btc_mnt: float = 0.65
    fund_eth: float = 0.35
    fund_btc: float = 0.5
    fund_volatility: float = 0.1
    wobble: tuple[float, float] = (0.0003, 0.0005)
    wobble_days: float = 5.0
    depegs_per_year: tuple[float, float] = (0.3, 0.3)
    depeg_size: float = 0.03
    depeg_spread: float = 0.6
    recovery_days: tuple[float, float] = (3.0, 20.0)
    collapse: float = 10.0
    priced: float = 0.25
    volatility_days: float = 1.0


@dataclass(frozen=True)
class RwaMarket:
    """A market of the three assets to draw paths from.

    Attributes
    ----------
    choices
        Parameters that were chosen.
    seconds
        Length of a row.
    """

    choices: Choices = field(default_factory=Choices)
    seconds: int = HOUR

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the three assets."""
        return ASSETS

    @property
    def digest(self) -> str:
        """Digest of everything that paths depend on but the random numbers."""
        given = {"series": SERIES, "prices": PRICES, "seconds": self.seconds}
        return digest_of({"market": "rwa", **given, "choices": asdict(self.choices)})

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        """Draw `batch` independent paths of `length` rows."""
        shape, step, chosen = (length, batch), float(self.seconds), self.choices
        rates, fed, dominance, lending, gas = np.split(_series(rng, shape, step), [3, 4, 5, 7], axis=-1)
        moves = self._moves(rng, shape)
        pegs, peg_moves = self._pegs(rng, shape)
        start = np.array([price for price, _ in PRICES.values()])
        prices = start * np.exp(np.cumsum(moves, axis=0) - moves[0])
        own = returns(rng.standard_normal(shape), np.asarray(chosen.fund_volatility), step)
        cash = 1.0 - chosen.fund_eth - chosen.fund_btc
        fund = chosen.fund_eth * np.exp(moves[:, :, 0]) + chosen.fund_btc * np.exp(moves[:, :, 1]) + cash
        factors = np.stack(
            [np.exp(peg_moves[:, :, 0]), np.exp(moves[:, :, 0] + peg_moves[:, :, 1]), fund * np.exp(own)], axis=-1
        )
        # ETH and the holdings of the fund are martingales; pegs are not, they come back.
        surprises = np.stack([np.zeros(shape), np.expm1(moves[:, :, 0]), factors[:, :, 2] - 1.0], axis=-1)
        usual = np.array([PRICES["eth"][1], chosen.wobble[0] * np.sqrt(2.0 * YEAR / (chosen.wobble_days * DAY))])
        watched = np.stack([moves[:, :, 0], peg_moves[:, :, 0]], axis=-1)
        volatility = trailing_volatility(watched, np.tile(usual, (batch, 1)), chosen.volatility_days * DAY, step)
        features = [
            prices[:, :, :2],
            dominance / 100.0,
            fed / 100.0,
            pegs,
            volatility,
            lending / 100.0,
            gas,
            prices[:, :, 2:],
        ]
        return MarketPath(
            timestamps=_EPOCH + self.seconds * np.arange(length, dtype=np.int64),
            rates=_by_path(rates / 100.0),
            gas_cost=gas_cost(gas[:, :, 0].T, prices[:, :, 2].T),
            names=ASSETS,
            factors=_by_path(factors),
            features=_by_path(np.concatenate(features, axis=-1)),
            feature_names=RWA_FEATURES,
            surprises=_by_path(surprises),
        )

    def _moves(self, rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
        """Return log returns of ETH, BTC and MNT over the time up to each row, `(T, B, 3)`."""
        chosen = self.choices
        correlation = np.eye(3)
        for (one, other), value in (((0, 1), chosen.eth_btc), ((0, 2), chosen.eth_mnt), ((1, 2), chosen.btc_mnt)):
            correlation[one, other] = correlation[other, one] = value
        noise = rng.standard_normal((*shape, 3)) @ np.linalg.cholesky(correlation).T
        return returns(noise, np.array([volatility for _, volatility in PRICES.values()]), float(self.seconds))

    def _pegs(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        """Return the pegs of USDY and mETH, and their log returns over the time up to each row, `(T, B, 2)` each."""
        chosen, step = self.choices, float(self.seconds)
        time = np.full(2, chosen.wobble_days * DAY)
        wobble = mean_reverting(rng, shape, step, np.array(chosen.wobble), time)
        lost = Depegs(
            per_year=np.array(chosen.depegs_per_year),
            hits=np.eye(2),
            size=chosen.depeg_size,
            spread=chosen.depeg_spread,
            time=np.array(chosen.recovery_days) * float(DAY),
            collapse=chosen.collapse,
            priced=chosen.priced,
        ).sample(rng, shape, step)
        pegs = (1.0 + wobble) * (1.0 - lost)
        return pegs, np.diff(np.log(pegs), axis=0, prepend=np.log(pegs[:1]))


def _series(rng: np.random.Generator, shape: tuple[int, int], seconds: float) -> FloatArray:
    """Return the mean-reverting series `(T, B, 8)` of `SERIES`, none below zero."""
    mean, sigma, theta = np.array(list(SERIES.values())).T
    keep = 1.0 - theta
    wander = mean_reverting(rng, shape, seconds, sigma / np.sqrt(1.0 - keep**2), -HOUR / np.log(keep))
    return np.asarray(np.maximum(mean + wander, 0.0))


def _by_path(series: FloatArray) -> FloatArray:
    """Return `(T, B, k)` as `(B, T, k)`."""
    return np.ascontiguousarray(series.transpose(1, 0, 2))
