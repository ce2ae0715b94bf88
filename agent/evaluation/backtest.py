"""Run policies over market paths through the very code that decides and accounts live, and compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.decision import DecisionRules, Reason, decide
from agent.errors import ShapeError
from agent.limits import Limits
from agent.market.path import MarketPath
from agent.observation import RateMemory, observe
from agent.policy import Policy
from agent.portfolio import Costs, PortfolioState, step
from agent.units import YEAR, BoolArray, FloatArray


@dataclass(frozen=True)
class Setting:
    """What a backtest assumes besides the market.

    Attributes
    ----------
    limits
        The vault's walls.
    costs, rules
        What moving costs and when it is worth it.
    nav
        Assets at the start, all idle.
    """

    limits: Limits
    costs: Costs = field(default_factory=Costs)
    rules: DecisionRules = field(default_factory=DecisionRules)
    nav: float = 10_000_000.0


@dataclass(frozen=True)
class Backtest:
    """One policy on `B` paths of `T` rows; decisions are made at all rows but the last.

    Attributes
    ----------
    policy
        Name of the policy.
    nav, drawdown
        `(B, T)` NAV, and fall of the share price under the mark, at each row before its decision.
    weights
        `(B, T, n)` weights at each row after its decision; at the last row those that are left.
    traded
        `(B, T - 1, n)` strategies moved.
    gas
        `(B, T - 1)` gas paid, asset units.
    turnover
        `(B, T - 1)` share of NAV moved; from one strategy to another counts once.
    at_cap
        `(B, T - 1)` decisions in which a cap kept the policy from what it wanted.
    halted
        `(B,)` whether the drawdown limit was broken.
    reasons
        How often each reason was given, over all paths.
    seconds
        Time from the first row to the last.
    """

    policy: str
    nav: FloatArray
    drawdown: FloatArray
    weights: FloatArray
    traded: BoolArray
    gas: FloatArray
    turnover: FloatArray
    at_cap: BoolArray
    halted: BoolArray
    reasons: dict[Reason, int]
    seconds: float

    @property
    def net_worth(self) -> FloatArray:
        """NAV less the gas paid so far, `(B, T)`."""
        paid = np.concatenate([np.zeros((len(self.gas), 1)), np.cumsum(self.gas, axis=1)], axis=1)
        return np.asarray(self.nav - paid)

    @property
    def annual_return(self) -> FloatArray:
        """Compounded return per year of net worth, `(B,)`."""
        worth = self.net_worth
        return np.asarray(np.maximum(worth[:, -1] / worth[:, 0], 0.0) ** (YEAR / self.seconds) - 1.0)

    @property
    def rebalances(self) -> FloatArray:
        """Number of rebalances, `(B,)`."""
        return np.asarray(self.traded.any(-1).sum(-1), dtype=np.float64)

    def summary(self) -> dict[str, float | str]:
        """Return the figures of a comparison, averaged over the paths; drawdown is the worst of them."""
        decisions = self.gas.shape[1]
        years = self.seconds / YEAR
        return {
            "policy": self.policy,
            "annual_return": float(self.annual_return.mean()),
            "rebalances": float(self.rebalances.mean()),
            "rebalanced_share_of_days": float(self.rebalances.mean() / decisions),
            "turnover_per_year": float(self.turnover.sum(1).mean() / years),
            "gas_paid": float(self.gas.sum(1).mean()),
            "max_drawdown": float(self.drawdown.max()),
            "cap_hits": float(self.at_cap.sum(1).mean()),
            "concentration": float((self.weights[:, :-1] ** 2).sum(-1).mean()),
            "halted_share": float(self.halted.mean()),
        }


def run(policy: Policy, path: MarketPath, setting: Setting) -> Backtest:
    """Run a policy over every path of a batch, from all idle.

    Parameters
    ----------
    policy
        What decides; sees at row `t` nothing of later rows.
    path
        The market.
    setting
        Limits, costs, rules and the assets at the start.
    """
    if path.count != setting.limits.count:
        raise ShapeError(
            f"the market has {path.count} strategies but the limits are for {setting.limits.count}: give others"
        )
    batch, length, count = path.rates.shape
    state = PortfolioState.open(setting.nav, count, batch)
    memory = RateMemory.start(path.rates[:, 0], int(path.timestamps[0]))
    nav, drawdown, weights = np.empty((batch, length)), np.empty((batch, length)), np.empty(path.rates.shape)
    traded = np.empty((batch, length - 1, count), dtype=np.bool_)
    gas, turnover = np.empty((batch, length - 1)), np.empty((batch, length - 1))
    at_cap = np.empty((batch, length - 1), dtype=np.bool_)
    reasons = dict.fromkeys(Reason, 0)
    for row in range(length - 1):
        rates, price = path.rates[:, row], path.gas_cost[:, row]
        memory = memory.update(rates, int(path.timestamps[row]))
        wanted = policy.act(observe(state, rates, memory, price, setting.costs))
        decision = decide(
            wanted,
            state.weights,
            state.nav,
            price,
            setting.limits,
            setting.costs,
            setting.rules,
            state.halted,
            state.headroom(setting.limits),
        )
        for reason in decision.reason:
            reasons[reason] += 1
        nav[:, row], drawdown[:, row] = state.nav, state.drawdown
        weights[:, row], traded[:, row], at_cap[:, row] = decision.weights, decision.traded, decision.at_cap.any(-1)
        result = step(state, decision.weights, decision.traded, path.row(row), setting.limits, setting.costs)
        gas[:, row], turnover[:, row] = result.gas, result.turnover
        state = result.state
    nav[:, -1], drawdown[:, -1], weights[:, -1] = state.nav, state.drawdown, state.weights
    return Backtest(
        policy=policy.name,
        nav=nav,
        drawdown=drawdown,
        weights=weights,
        traded=traded,
        gas=gas,
        turnover=turnover,
        at_cap=at_cap,
        halted=state.halted,
        reasons=reasons,
        seconds=float(path.timestamps[-1] - path.timestamps[0]),
    )


def compare(policies: Sequence[Policy], path: MarketPath, setting: Setting) -> list[dict[str, float | str]]:
    """Return the summaries of several policies on the same paths, in the order given."""
    return [run(policy, path, setting).summary() for policy in policies]
