"""The learners that are compared: the set-up to beat, and ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO

from agent.envs.presets import env_preset
from agent.envs.scalar import VaultEnv
from agent.envs.vec import VaultVecEnv
from agent.training.learner import Learner, make_learner
from agent.training.ppo import OPTIMIZER, FastPPO
from agent.training.preset import Preset
from tools.bench.measure import Work

HIDDEN = [256, 128, 64]
EPOCHS = 10
_NUMBERS: dict[str, Any] = {  # of the published set-up
    "n_epochs": EPOCHS,
    "learning_rate": 3e-4,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "ent_coef": 0.01,
    "seed": 1,
    "device": "cpu",
}
REFERENCE_STEPS = 2048


def reference(env: str) -> PPO:
    """Return the set-up to beat: stable-baselines3's own PPO, one environment, batch 64, 2,048 steps, 10 epochs.

    Its network has ReLU, like ours, so that its policy can be exported and scored in the same way.
    """
    kind = env_preset(env)
    policy = {"net_arch": HIDDEN, "activation_fn": torch.nn.ReLU}
    face = VaultEnv(kind.market(), kind.config(None))
    return PPO("MlpPolicy", face, n_steps=REFERENCE_STEPS, batch_size=64, policy_kwargs=policy, **_NUMBERS)


def batched(env: str) -> FastPPO:
    """Return ours with the same network, epochs and numbers, on 512 vaults at once in minibatches of 8,192."""
    kind = env_preset(env)
    policy = {"net_arch": HIDDEN, "activation_fn": torch.nn.ReLU, "optimizer_kwargs": OPTIMIZER}
    face = VaultVecEnv(kind.market(), kind.config(None), 512, np.random.default_rng(1))
    return FastPPO("MlpPolicy", face, n_steps=32, batch_size=8192, policy_kwargs=policy, **_NUMBERS)


def of_preset(preset: Preset) -> Learner:
    """Return a preset's learner in its environment, without a warm start: its speed is the same."""
    kind, ppo, table = preset.env_preset, preset.ppo, preset.market
    sizes = {"bank_paths": table.bank_paths, "bank_rows": table.bank_rows}
    face = VaultVecEnv(kind.market(), preset.env_config(), ppo.envs, np.random.default_rng(1), **sizes)
    return make_learner(preset, face, 1)


def variant(preset: Preset, algorithm: str, **ppo: Any) -> Preset:
    """Return a preset with another algorithm or other numbers of its `[ppo]` table."""
    return preset.model_copy(update={"algorithm": algorithm, "ppo": preset.ppo.model_copy(update=ppo)})


def learning(model: PPO | Learner, rollouts: int = 1, threads: int = 1) -> Work:
    """Return work that gathers so many rollouts and learns from each, counting steps. One is done at once."""
    steps = model.n_steps * model.n_envs * rollouts
    model.learn(model.n_steps * model.n_envs)

    def work() -> float:
        with torch_threads(threads):
            model.learn(steps, reset_num_timesteps=False)
        return float(steps)

    return work


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
