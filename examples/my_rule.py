"""A rule in twenty lines: rates in proportion, replayed on a history. Its parameters are part of its digest.

python examples/my_rule.py
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from agent.backtest import Setting, compare
from agent.market.replay import load_history
from agent.observation.observe import Observation
from agent.policies.rules import BASELINES, Rule
from agent.units import FloatArray
from agent.vault.limits import Limits


@dataclass(frozen=True)
class Proportional(Rule):
    """Weights in proportion to a power of the slow mean rate: 0 is equal weight, a high power the best alone."""

    name: ClassVar[str] = "proportional"
    version: ClassVar[int] = 1  # another one whenever the rule decides otherwise

    power: float = 2.0

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        score = observation.slow**self.power
        return np.asarray(score / score.sum(-1, keepdims=True))


if __name__ == "__main__":
    history = load_history(Path(__file__).with_name("history.csv"))
    policies = [Proportional(power=4.0), *(baseline() for baseline in BASELINES.values())]
    for result in compare(policies, history, Setting(Limits.uniform(len(history.names)))):
        print(f"{result['policy']:14s} {result['annual_return']:7.3%} a year, {result['rebalances']:5.1f} rebalances")
