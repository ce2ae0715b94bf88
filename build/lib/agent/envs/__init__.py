"""Environments over the money math: Gymnasium envs and the batched stable-baselines3 VecEnv, thin over one engine.

Importing this package registers all of `agent.envs.presets.ENVS` with Gymnasium.
"""

from __future__ import annotations

import gymnasium

from agent.envs.engine import EnvConfig
from agent.envs.presets import ENVS, make_env

for _preset in ENVS.values():
    if _preset.env_id not in gymnasium.registry:
        gymnasium.register(_preset.env_id, entry_point="agent.envs.presets:make_env", kwargs={"name": _preset.name})

__all__ = ["ENVS", "EnvConfig", "make_env"]
