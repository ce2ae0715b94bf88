"""Run policies over market paths through the very code that decides and accounts live, and compare them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.errors import LimitsError, ShapeError, TooFewDaysError
from agent.market.path import MarketPath
from agent.observation.memory import RateMemory
from agent.observation.observe import CHAIN, Observation, observe
from agent.policies.load import Policy
from agent.policies.load import act as ask
from agent.units import YEAR, BoolArray, FloatArray, IntArray
from agent.vault.decision import DecisionRules, Reason, decide
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState, step, unwind


@dataclass(frozen=True)
class Setting:
    """Assumptions of a backtest besides the market.

    Attributes
    ----------
    limits
        The vault's limits.
    costs, rules
        Costs of moving, and when it is worth them.
    nav
        Assets at the start.
    version
        Observation version that policies are shown.
    latency
        Rows by which observations are late: at row `t` a policy sees that of row `t - latency`. Before there is one,
        nothing is traded.
    start_weights
        `n` shares of NAV that are held at the start; all idle by default.
    unwind_halted
        Whether a vault that halts is unwound at the next row, as far as its strategies can pay out; otherwise it keeps
        its positions, since nobody has to come.
    """

    limits: Limits
    costs: Costs = field(default_factory=Costs)
    rules: DecisionRules = field(default_factory=DecisionRules)
    nav: float = 10_000_000.0
    version: str = CHAIN
    latency: int = 0
    start_weights: tuple[float, ...] | None = None
    unwind_halted: bool = False

    def __post_init__(self) -> None:
        if self.latency < 0:
            raise LimitsError(f"latency must be zero rows or more, but is {self.latency}: nobody sees the future")
        if self.start_weights is not None and len(self.start_weights) != self.limits.count:
            raise ShapeError(f"start_weights must be {self.limits.count} numbers, one per strategy")

    def open(self, batch: int) -> PortfolioState:
        """Return `batch` vaults at the start."""
        weights = None if self.start_weights is None else np.asarray(self.start_weights, dtype=np.float64)
        return PortfolioState.open(self.nav, self.limits.count, batch, weights)


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
        `(B, T, n)` weights decided on at each row, before costs and drift; at the last row the present ones.
    traded
        `(B, T - 1, n)` strategies that were moved.
    gas
        `(B, T - 1)` gas paid, asset units.
    turnover
        `(B, T - 1)` share of NAV moved; a unit from one strategy to another counts once.
    refused
        `(B, T - 1)` rebalances that the vault turned away, also for want of liquidity in a strategy.
    at_cap
        `(B, T - 1)` decisions in which the policy wanted more than a cap allows.
    halted
        `(B,)` whether the drawdown limit was broken.
    reasons
        Count of each reason, over all paths.
    timestamps
        `(T,)` seconds of the rows, UTC.
    """

    policy: str
    nav: FloatArray
    drawdown: FloatArray
    weights: FloatArray
    traded: BoolArray
    gas: FloatArray
    turnover: FloatArray
    refused: BoolArray
    at_cap: BoolArray
    halted: BoolArray
    reasons: dict[Reason, int]
    timestamps: IntArray

    @property
    def seconds(self) -> float:
        """Time from the first row to the last."""
        return float(self.timestamps[-1] - self.timestamps[0])

    @property
    def net_worth(self) -> FloatArray:
        """NAV less the gas paid so far, `(B, T)`."""
        paid = np.concatenate([np.zeros((len(self.gas), 1)), np.cumsum(self.gas, axis=1)], axis=1)
        return np.asarray(self.nav - paid)

    @property
    def log_returns(self) -> FloatArray:
        """Log growth of net worth from each row to the next, `(B, T - 1)`; a total loss counts as 1e-12."""
        worth = self.net_worth
        return np.asarray(np.diff(np.log(np.maximum(worth / worth[:, :1], 1e-12)), axis=1))

    @property
    def annual_return(self) -> FloatArray:
        """Compounded return per year of net worth, `(B,)`."""
        worth = self.net_worth
        return np.asarray(np.maximum(worth[:, -1] / worth[:, 0], 0.0) ** (YEAR / self.seconds) - 1.0)

    @property
    def rebalances(self) -> FloatArray:
        """Number of rebalances, `(B,)`."""
        return np.asarray(self.traded.any(-1).sum(-1), dtype=np.float64)

    def _typical_return(self) -> float:
        """Return the geometric mean over the paths: a mean of compounded returns is that of the luckiest short path."""
        worth = self.net_worth
        ratio = np.maximum(worth[:, -1] / worth[:, 0], 0.0)
        if not (ratio > 0).all():
            return -1.0
        return float(np.expm1((np.log(ratio) * (YEAR / self.seconds)).mean()))

    def summary(self) -> dict[str, float | str]:
        """Return the figures of a comparison, averaged over the paths; the return geometrically, drawdown the worst."""
        decisions = self.gas.shape[1]
        years = self.seconds / YEAR
        return {
            "policy": self.policy,
            "annual_return": self._typical_return(),
            "rebalances": float(self.rebalances.mean()),
            "rebalanced_share_of_days": float(self.rebalances.mean() / decisions),
            "turnover_per_year": float(self.turnover.sum(1).mean() / years),
            "gas_paid": float(self.gas.sum(1).mean()),
            "max_drawdown": float(self.drawdown.max()),
            "cap_hits": float(self.at_cap.sum(1).mean()),
            "concentration": float((self.weights[:, :-1] ** 2).sum(-1).mean()),
            "halted_share": float(self.halted.mean()),
        }


def run(policy: Policy, path: MarketPath, setting: Setting, *, warm_up: int = 0) -> Backtest:
    """Run a policy over every path of a batch.

    Parameters
    ----------
    policy
        The policy; it sees at row `t` nothing of later rows.
    path
        The market.
    setting
        Limits, costs, rules and the assets at the start.
    warm_up
        First rows that only the running means of the rates see; the backtest begins after them.

    Raises
    ------
    ShapeError, TooFewDaysError
        See `simulate`.
    """
    remembered: FloatArray | None = None

    def act(_: int, seen: Observation) -> FloatArray:
        nonlocal remembered
        wanted, remembered = ask(policy, seen, remembered)
        return wanted

    return simulate(policy.name, act, path, setting, warm_up=warm_up)


def simulate(
    name: str,
    act: Callable[[int, Observation], FloatArray],
    path: MarketPath,
    setting: Setting,
    *,
    warm_up: int = 0,
) -> Backtest:
    """Run any function that returns wanted weights at each row: `run` for policies, a plan for the ceiling.

    Parameters
    ----------
    name
        Name of the result.
    act
        From the number of the row, counted from the first decision, and its observation to wanted weights `(B, n)`.
    path, setting, warm_up
        See `run`.

    Raises
    ------
    ShapeError
        If market and limits differ in the number of strategies.
    TooFewDaysError
        If fewer than two rows are left after the warm-up.
    """
    if path.count != setting.limits.count:
        raise ShapeError(
            f"the market has {path.count} strategies but the limits are for {setting.limits.count}: give others"
        )
    if warm_up < 0 or path.length - warm_up < 2:
        raise TooFewDaysError(f"{path.length} rows leave no two after a warm-up of {warm_up}: give a longer history")
    memory = RateMemory.start(path.rates[:, 0], int(path.timestamps[0]))
    for row in range(1, warm_up):
        memory = memory.update(path.rates[:, row], int(path.timestamps[row]))
    path = path.part(warm_up, path.length)
    batch, length, count = path.rates.shape
    state = setting.open(batch)
    nav, drawdown, weights = np.empty((batch, length)), np.empty((batch, length)), np.empty(path.rates.shape)
    traded = np.empty((batch, length - 1, count), dtype=np.bool_)
    gas, turnover = np.empty((batch, length - 1)), np.empty((batch, length - 1))
    at_cap, refused = np.empty((batch, length - 1), dtype=np.bool_), np.empty((batch, length - 1), dtype=np.bool_)
    reasons = dict.fromkeys(Reason, 0)
    recent: deque[Observation] = deque(maxlen=setting.latency + 1)
    for row in range(length - 1):
        now = path.row(row)
        memory = memory.update(now.rates, int(path.timestamps[row]))
        recent.append(
            observe(
                state,
                now.rates,
                memory,
                now.gas_cost,
                setting.costs,
                version=setting.version,
                features=now.features,
                elapsed=float(path.timestamps[row] - path.timestamps[0]),
            )
        )
        payable = now.payable(state.nav)
        decision = decide(
            act(row, recent[0]) if row >= setting.latency else state.weights,
            state.weights,
            state.nav,
            now.gas_cost,
            setting.limits,
            setting.costs,
            setting.rules,
            state.halted,
            state.allowance(setting.limits),
            room=payable,
            believed=state.believed,
            payable=payable,
        )
        for reason in decision.reason:
            reasons[reason] += 1
        nav[:, row], drawdown[:, row] = state.nav, state.drawdown
        result = step(state, decision.weights, decision.traded, now, setting.limits, setting.costs)
        weights[:, row] = np.where(result.refused[:, None], state.weights, decision.weights)
        traded[:, row] = decision.traded & ~result.refused[:, None]
        refused[:, row], at_cap[:, row] = result.refused, decision.at_cap.any(-1)
        gas[:, row], turnover[:, row] = result.gas, result.turnover
        state = result.state
        if setting.unwind_halted and state.halted.any():
            liquidity = None if path.liquidity is None else path.liquidity[:, row + 1]
            state = unwind(state, state.halted, setting.costs, liquidity)
    nav[:, -1], drawdown[:, -1], weights[:, -1] = state.nav, state.drawdown, state.weights
    return Backtest(
        policy=name,
        nav=nav,
        drawdown=drawdown,
        weights=weights,
        traded=traded,
        gas=gas,
        turnover=turnover,
        refused=refused,
        at_cap=at_cap,
        halted=state.halted,
        reasons=reasons,
        timestamps=path.timestamps,
    )


def compare(
    policies: Sequence[Policy], path: MarketPath, setting: Setting, *, warm_up: int = 0
) -> list[dict[str, float | str]]:
    """Return the summaries of several policies on the same paths, in the order given."""
    return [run(policy, path, setting, warm_up=warm_up).summary() for policy in policies]
