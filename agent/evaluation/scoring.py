"""Policies that take over from one another, run over the test windows of all folds as over one path.

The windows follow one another, so the vault is carried over from one to the next and nothing is paid for starting
anew; the running means of the rates have seen some rows before the first one, as the keeper's have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.errors import ShapeError
from agent.evaluation.backtest import Backtest, Setting, run
from agent.evaluation.baselines import BASELINES
from agent.evaluation.study import Scenario
from agent.limits import Limits
from agent.market.history import RateHistory
from agent.observation import Observation
from agent.policy import Policy, act
from agent.units import YEAR, BoolArray, FloatArray, IntArray


class Relay:
    """Policies that decide one after the other, each for a number of rows; before the first nothing is wanted.

    It counts its calls, so it serves one backtest.

    Parameters
    ----------
    legs
        Each policy and the number of rows that it decides.
    warm_up
        Rows before the first one in which all stays idle.
    """

    def __init__(self, legs: Sequence[tuple[Policy, int]], warm_up: int) -> None:
        self._legs = [(policy, rows) for policy, rows in legs if rows > 0]
        self._idle = warm_up
        self._row = 0
        self._memory: FloatArray | None = None
        self.name = self._legs[-1][0].name
        self.digest = self._legs[-1][0].digest

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)` of the policy whose turn it is."""
        row = self._row - self._idle
        self._row += 1
        if row < 0:
            return np.zeros_like(observation.weights)
        for policy, rows in self._legs:
            if row < rows:
                wanted, self._memory = act(policy, observation, self._memory if row else None)
                return wanted
            row -= rows
        raise ShapeError("a relay has been asked for more decisions than it has rows")


@dataclass(frozen=True)
class Score:
    """What one policy, or relay of policies, did in the test windows of one market.

    Attributes
    ----------
    policy
        Its name.
    timestamps
        `(T,)` seconds of the rows, the closing one included.
    net_worth
        `(T,)` NAV less gas paid.
    drawdown
        `(T,)` of the share price.
    weights
        `(T, n)` after each decision.
    gas, turnover
        `(T - 1,)` asset units; share of NAV.
    trades
        `(T - 1,)` whether anything was moved.
    cap_hits
        `(T - 1,)` whether a cap kept the policy from what it wanted.
    halted
        Whether the drawdown limit was broken.
    """

    policy: str
    timestamps: IntArray
    net_worth: FloatArray
    drawdown: FloatArray
    weights: FloatArray
    gas: FloatArray
    turnover: FloatArray
    trades: BoolArray
    cap_hits: BoolArray
    halted: bool

    @property
    def seconds(self) -> float:
        """Time from the first row to the last."""
        return float(self.timestamps[-1] - self.timestamps[0])

    @property
    def log_returns(self) -> FloatArray:
        """`(T - 1,)` log returns of net worth from row to row."""
        return np.diff(np.log(np.maximum(self.net_worth, 1e-9)))


def score(
    legs: Sequence[tuple[Policy, int]],
    history: RateHistory,
    warm_up: int,
    scenario: Scenario,
    limits: Limits,
    name: str = "policy",
) -> Score:
    """Run a relay of policies over history.

    Parameters
    ----------
    legs
        Each policy and the number of rows that it decides; together all rows but the warm-up and the last.
    history
        Rows of the warm-up, of the test windows, and the one that closes the books.
    warm_up
        Rows in which nothing is decided.
    scenario
        Costs, assets and latency.
    limits
        The vault's walls.
    name
        What to call it.
    """
    rows = sum(count for _, count in legs)
    if rows != len(history) - 1 - warm_up:
        raise ShapeError(f"policies for {rows} rows cannot decide {len(history) - 1 - warm_up}")
    result = run(Relay(legs, warm_up), scenario.seen(history.path()), scenario.setting(limits))
    return _score(name, result, history, warm_up)


def rules(history: RateHistory, setting: Setting) -> dict[str, Policy]:
    """Return every baseline by its name, those with parameters fitted to the history (a training part) and setting."""
    from agent.evaluation.fitted import fitted_baselines

    made: dict[str, Policy] = {name: make() for name, make in BASELINES.items()}
    for policy in fitted_baselines(history, setting):
        made[policy.name if policy.name not in made else f"{policy.name}, fitted"] = policy
    return made


def ceiling(history: RateHistory, warm_up: int, scenario: Scenario, limits: Limits) -> Score:
    """Return what a vault with hindsight would have earned in the test windows, which is not told of the warm-up.

    It sees rates in time whatever the scenario's latency.
    """
    from agent.evaluation.ceiling import hindsight

    tested = history.part(warm_up, len(history))
    return _score("hindsight", hindsight(tested.path(), scenario.setting(limits)), tested, 0)


def _score(name: str, result: Backtest, history: RateHistory, warm_up: int) -> Score:
    kept = slice(warm_up, None)
    return Score(
        policy=name,
        timestamps=history.timestamps[kept],
        net_worth=result.net_worth[0, kept],
        drawdown=result.drawdown[0, kept],
        weights=result.weights[0, kept],
        gas=result.gas[0, kept],
        turnover=result.turnover[0, kept],
        trades=result.traded[0, kept].any(-1),
        cap_hits=result.at_cap[0, kept],
        halted=bool(result.halted[0]),
    )


def annual_growth(log_returns: FloatArray, seconds: float) -> float:
    """Return the sum of log returns, per year."""
    return float(np.sum(log_returns) * YEAR / seconds)
