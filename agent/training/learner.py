"""From a preset to the learner, and from a learner to what it would export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from agent.envs.vec import VaultVecEnv
from agent.policies.network import NumpyPolicy
from agent.training.export import actor
from agent.training.ppo import OPTIMIZER, FastPPO
from agent.training.preset import Preset
from agent.training.recurrent_ppo import FastRecurrentPPO

Learner = FastPPO | FastRecurrentPPO


def make_learner(preset: Preset, env: VaultVecEnv, seed: int, tensorboard: Path | None = None) -> Learner:
    """Return a new learner.

    Parameters
    ----------
    preset
        Algorithm, networks and numbers.
    env
        What it learns in.
    seed
        Of its weights and of all that it draws.
    tensorboard
        Folder for TensorBoard's logs; none by default.
    """
    ppo = preset.ppo
    networks: dict[str, Any] = {
        "net_arch": list(ppo.hidden),
        "activation_fn": torch.nn.ReLU,
        "log_std_init": ppo.log_std_init,
        "optimizer_kwargs": OPTIMIZER,
    }
    settings: dict[str, Any] = {
        "n_steps": ppo.n_steps,
        "batch_size": ppo.batch_size,
        "n_epochs": ppo.n_epochs,
        "learning_rate": ppo.learning_rate,
        "gamma": ppo.gamma,
        "gae_lambda": ppo.gae_lambda,
        "clip_range": ppo.clip_range,
        "ent_coef": ppo.ent_coef,
        "vf_coef": ppo.vf_coef,
        "max_grad_norm": ppo.max_grad_norm,
        "tensorboard_log": None if tensorboard is None else str(tensorboard),
        "seed": seed,
        "device": "cpu",
    }
    model: Learner
    if preset.algorithm == "ppo":
        model = FastPPO("MlpPolicy", env, policy_kwargs=networks, **settings)
        model.bound_coef = ppo.bound_coef
    else:
        networks["lstm_hidden_size"] = ppo.lstm_units
        model = FastRecurrentPPO("MlpLstmPolicy", env, policy_kwargs=networks, **settings)
    env.seed(None)  # stable-baselines3 has seeded it too, but it has random numbers of its own
    return model


def draft(model: Learner, version: str) -> NumpyPolicy:
    """Return what the learner would export now, without a file and a digest."""
    layers, lstm = actor(model)
    return NumpyPolicy("ppo", "", layers, {}, version, lstm)
