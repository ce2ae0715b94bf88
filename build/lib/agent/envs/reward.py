"""Rewards of the environments: growth of net worth, less a price for risk, over that of a passive vault.

A reward comes in named parts of order one and is their sum. Interest, prices, impermanent loss, gas and the costs of
moving are all in the log return of net worth (NAV less the gas paid), each exactly once. The return of a passive vault
may be taken off: it does not depend on the action, so it moves no optimum, and it removes noise common to both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agent.columns import mean, total
from agent.observation.observe import Observation
from agent.units import YEAR, BoolArray, FloatArray
from agent.vault.decision import Decision
from agent.vault.portfolio import MarketRow, PortfolioState

_MIN_LEVEL = 0.001  # APR; the unit of the lending reward is not taken below this
_MIN_WORTH = 1e-9


class Reward(Protocol):
    """Anything that values a step in named parts."""

    def parts(
        self, before: PortfolioState, after: PortfolioState, row: MarketRow, decision: Decision, seen: Observation
    ) -> dict[str, FloatArray]:
        """Return the parts of the reward, `(B,)` each.

        Parameters
        ----------
        before, after
            The vaults at the decision and at the next one.
        row
            The market in between.
        decision
            The decision.
        seen
            The observation it was made on; its `features` are those of the market row.
        """


@dataclass(frozen=True)
class LendingReward:
    """Reward of `Lending-v0`: log growth and concentration, both over those of an equally weighted vault.

    The unit is the market's interest (the slow mean of the rates, known before the step).

    Attributes
    ----------
    idle_floor
        Share that the equally weighted vault leaves idle.
    concentration_price
        Price per unit of the sum of squared weights. History has no failed strategy in it: a policy that learns from
        rates alone puts all that the caps allow into the best one.
    """

    idle_floor: float
    concentration_price: float = 0.7

    def parts(
        self, before: PortfolioState, after: PortfolioState, row: MarketRow, decision: Decision, seen: Observation
    ) -> dict[str, FloatArray]:
        """Return `growth` and `concentration`, `(B,)` each."""
        deployed = 1.0 - self.idle_floor
        passive = np.log1p(deployed * (mean(row.small_gain) - 1.0))
        worth = np.maximum(after.net_worth, _MIN_WORTH) / np.maximum(before.net_worth, _MIN_WORTH)
        unit = np.maximum(mean(seen.slow), _MIN_LEVEL) * (row.seconds / YEAR)
        concentration = total(decision.weights**2) - deployed**2 / seen.count
        return {
            "growth": np.asarray((np.log(worth) - passive) / unit),
            "concentration": -self.concentration_price * concentration,
        }


@dataclass(frozen=True)
class Peg:
    """A coin whose peg is watched.

    Attributes
    ----------
    feature
        Column of the market's features that holds its price over the peg.
    least
        Price below which the peg counts as lost.
    strategies
        Strategies that hold the coin.
    """

    feature: int
    least: float
    strategies: tuple[int, ...]


@dataclass(frozen=True)
class RiskReward:
    """Reward of `DefiYield-v0` and `RwaYield-v0`: log return of net worth over the risk-free rate, less risk.

    Of the log return, the part `cost` is the rebalance and `excess` the rest. No rolling deviation is divided by: a
    quiet hour cannot make rewards explode.

    Attributes
    ----------
    scale
        Rewards per unit of log return.
    benchmark
        `n` weights of the passive vault (part `passive`), the rest idle; none to take nothing off.
    risk_free
        Rate per year that excess is counted over.
    risk_aversion
        Weight of half the squared log return, as in mean and variance.
    drawdown_price
        Price per step and unit of drawdown.
    depeg_price
        Price per step and unit of weight in strategies whose coin was seen below its peg.
    pegs
        The pegs that are watched.
    control_variate
        Share of the unforeseeable gain (`MarketPath.surprises`) that is taken off as part `control`. Its expectation is
        zero whatever the policy, so at one the expected reward is the same and nearly all of its noise is gone: the
        return of ETH is some hundred times the interest. Zero, the default, rewards what was really earned. Nothing is
        taken off where the market does not tell it, as in replayed history.
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
        """Return the log return `(B,)` of the passive vault over the risk-free rate; zero if there is none."""
        if not self.benchmark:
            return np.zeros(len(row.growth))
        # Not a matrix product: its rounding depends on the size of the batch.
        return np.asarray(np.log1p(((row.small_gain - 1.0) * np.array(self.benchmark)).sum(-1)) - free)

    def lost(self, seen: Observation) -> BoolArray:
        """Return `(B, n)` which strategies are seen to hold a coin below its peg."""
        below = np.zeros(seen.weights.shape, dtype=np.bool_)
        if seen.features is not None:
            for peg in self.pegs:
                below[:, peg.strategies] |= (seen.features[:, peg.feature] < peg.least)[:, None]
        return below
