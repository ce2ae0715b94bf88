"""How good a network is: its mean reward on markets that training never sees, without exploration."""

from __future__ import annotations

import numpy as np

from agent.envs.engine import Engine, EnvConfig
from agent.market.path import MarketPath
from agent.network import NumpyPolicy


def mean_reward(policy: NumpyPolicy, bank: MarketPath, config: EnvConfig) -> float:
    """Return the mean reward per step, over as many episodes as the bank has paths.

    With the same bank these are the same episodes whatever the network. An episode that ends early earns nothing more.
    """
    engine = Engine(bank, config, bank.batch, np.random.default_rng(0))
    memory = np.zeros((bank.batch, policy.memory_size))
    going, total = np.ones(bank.batch, dtype=np.bool_), 0.0
    seen = engine.observe().vector()
    for _ in range(config.episode_rows):
        outputs, memory = policy.outputs(seen, memory)
        moved = engine.step(outputs)
        total += float(moved.reward[going].sum())
        going &= ~moved.terminated
        seen = moved.observation
        if not going.any():
            break
    return total / (bank.batch * config.episode_rows)
