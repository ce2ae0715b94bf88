"""Environments over the money math: a Gymnasium env and the batched stable-baselines3 VecEnv.

Importing this package registers `Lending-v0` with Gymnasium.
"""

from __future__ import annotations

import gymnasium

from agent.envs.engine import EnvConfig

ENV_ID = "Lending-v0"

if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="agent.envs.lending:LendingEnv")

__all__ = ["ENV_ID", "EnvConfig"]
