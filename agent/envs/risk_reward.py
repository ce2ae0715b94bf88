"""What `DefiYield-v0` and `RwaYield-v0` reward: the log return of net worth, less what its risks are held to cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.observation import Observation
from agent.units import YEAR, BoolArray, FloatArray
from agent.vault.decision import Decision
from agent.vault.portfolio import MarketRow, PortfolioState

_MIN_WORTH = 1e-9


@dataclass(frozen=True)
class Peg:
    """A coin whose peg is watched.

    Attributes
    ----------
    feature
        Column of the market's features that holds its price over the peg.
    least
        What it is lost below.
    strategies
        Strategies that hold the coin.
    """

    feature: int
    least: float
    strategies: tuple[int, ...]


@dataclass(frozen=True)
class RiskReward:
    """Log return of net worth over the risk-free rate, penalties for risk, all of order one.

    Interest, prices, impermanent loss, gas, and what moving costs are all in the log return of net worth (NAV less the
    gas paid), each exactly once. Of that, `cost` shows what the rebalance took, `excess` the rest; the sum is what
    counts. What a passive vault would have earned may be taken off as `passive`: it does not depend on the action, so
    it moves no optimum, and it removes the noise that is common to both. No rolling deviation is divided by: a quiet
    hour cannot make rewards explode.

    Attributes
    ----------
    scale
        Rewards per unit of log return.
    benchmark
        `n` weights of the passive vault, the rest idle; none to take nothing off.
    risk_free
        Rate per year that excess is counted over.
    risk_aversion
        Weight of half the squared log return, as in mean and variance.
    drawdown_price
        What is taken off per step and unit of drawdown.
    depeg_price
        What is taken off per step and unit of weight in strategies whose coin was seen below its peg.
    pegs
        Which those are.
    control_variate
        Share of the gain that nothing could foretell (`MarketPath.surprises`) that is taken off as `control`. Whatever
        the policy, its expectation is zero, so at one the expected reward is the same and nearly all of its noise is
        gone: the return of ETH is some hundred times the interest. Zero, the default, rewards what was really earned.
        Nothing is taken off where the market does not say, as in replayed history.
    """

    scale: float
    benchmark: tuple[float, ...] = ()
    risk_free: float = 0.0
    risk_aversion: float = 0.0
    drawdown_price: float = 0.1
    depeg_price: float = 0.5
    pegs: tuple[Peg, ...] = ()
    control_variate: float = 0.0

    def parts(
        self, before: PortfolioState, after: PortfolioState, row: MarketRow, decision: Decision, seen: Observation
    ) -> dict[str, FloatArray]:
        """Return `excess`, `passive`, `cost`, `risk`, `drawdown` and `depeg`, `(B,)` each; `control` where wanted."""
        worth = np.maximum(before.net_worth, _MIN_WORTH)
        grown = np.log(np.maximum(after.net_worth, _MIN_WORTH) / worth)
        rebalanced = after.rested == row.seconds
        lost = np.where(rebalanced, decision.loss * before.nav, 0.0) + after.gas_paid - before.gas_paid
        cost = np.log(np.maximum(1.0 - lost / worth, _MIN_WORTH))
        free = self.risk_free * row.seconds / YEAR
        held = np.where(self.lost(seen), decision.weights, 0.0).sum(-1)
        control: dict[str, FloatArray] = {}
        if self.control_variate and row.surprises is not None:
            active = np.where(rebalanced[:, None], decision.weights, before.weights) - np.array(self.benchmark or 0.0)
            control["control"] = -self.control_variate * self.scale * (active * row.surprises).sum(-1)
        return {
            "excess": self.scale * (grown - cost - free),
            "passive": -self.scale * self._passive(row, free),
            "cost": self.scale * cost,
            "risk": -0.5 * self.scale * self.risk_aversion * grown**2,
            "drawdown": -self.drawdown_price * after.drawdown,
            "depeg": -self.depeg_price * held,
            **control,
        }

    def _passive(self, row: MarketRow, free: float) -> FloatArray:
        """Return `(B,)` the log return of the passive vault over the risk-free rate; zero if there is none."""
        if not self.benchmark:
            return np.zeros(len(row.growth))
        small = row.growth if row.factors is None else row.growth * row.factors
        # Not a matrix product: its rounding depends on the size of the batch.
        return np.asarray(np.log1p(((small - 1.0) * np.array(self.benchmark)).sum(-1)) - free)

    def lost(self, seen: Observation) -> BoolArray:
        """Return `(B, n)` which strategies are seen to hold a coin below its peg."""
        below = np.zeros(seen.weights.shape, dtype=np.bool_)
        if seen.features is not None:
            for peg in self.pegs:
                below[:, peg.strategies] |= (seen.features[:, peg.feature] < peg.least)[:, None]
        return below
