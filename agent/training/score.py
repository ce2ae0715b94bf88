"""How good a network is: its mean reward on markets that training never sees, without exploration."""

from __future__ import annotations

import numpy as np

from agent.envs.engine import Engine, EnvConfig
from agent.market.path import MarketPath
from agent.network import NumpyPolicy
from agent.units import FloatArray


def mean_reward(policy: NumpyPolicy, bank: MarketPath, config: EnvConfig) -> float:
    """Return the mean reward per step, over as many episodes as the bank has paths."""
    return float(episode_rewards(policy, bank, config).mean()) / config.episode_rows


def episode_rewards(policy: NumpyPolicy, bank: MarketPath, config: EnvConfig) -> FloatArray:
    """Return the sum of the rewards of each of as many episodes as the bank has paths, `(P,)`.

    With the same bank these are the same episodes whatever the network. An episode that ends early earns nothing more.
    """
    engine = Engine(bank, config, bank.batch, np.random.default_rng(0))
    memory = np.zeros((bank.batch, policy.memory_size))
    going, total = np.ones(bank.batch, dtype=np.bool_), np.zeros(bank.batch)
    seen = engine.observe().vector()
    for _ in range(config.episode_rows):
        outputs, memory = policy.outputs(seen, memory)
        moved = engine.step(outputs)
        total += np.where(going, moved.reward, 0.0)
        going &= ~moved.terminated
        seen = moved.observation
        if not going.any():
            break
    return total
