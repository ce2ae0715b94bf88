"""A policy in thirty lines: half each in the two markets that paid best lately, compared with the baselines.

python examples/my_policy.py
"""

import numpy as np

from agent.backtest import Setting, compare
from agent.digest import digest_of
from agent.market.lending import shipped_market
from agent.observation.observe import Observation
from agent.policies.rules import BASELINES
from agent.units import FloatArray
from agent.vault.limits import Limits


class BestTwo:
    """Half in each of the two strategies with the highest recent mean rate."""

    name = "best-two"
    digest = digest_of({"policy": name, "version": 1})  # another version whenever it decides otherwise

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`; the vault's limits are applied to them afterwards."""
        rank = np.argsort(np.argsort(-observation.fast, axis=1), axis=1)
        return np.where(rank < 2, 0.5, 0.0)


if __name__ == "__main__":
    path = shipped_market().sample(np.random.default_rng(1), batch=32, length=366)
    policies = [BestTwo(), *(baseline() for baseline in BASELINES.values())]
    for result in compare(policies, path, Setting(Limits.uniform(path.count))):
        print(f"{result['policy']:14s} {result['annual_return']:7.3%} a year, {result['rebalances']:5.1f} rebalances")
