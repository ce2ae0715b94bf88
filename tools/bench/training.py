"""How many steps per second PPO learns from when many vaults are stepped at once, with and without memory.

The reference is PPO as people usually set it up: one environment, minibatches of 64 and 2,048 steps between updates.
The rows "stock, batched" are the same stable-baselines3 on 512 vaults at once, in minibatches of 8,192; network (256,
128 and 64 units), ten epochs and environment are the same, so that the ratio is the gain of batching alone. Both run on
one thread of torch, its fastest for the reference, unless a row says otherwise.
"""

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
from agent.training.preset import Preset, load_preset
from tools.bench.figures import Figure, Plan, Say, of_ratio, steps_per_second
from tools.bench.measure import WALL, Work, cores, ratio

TARGET = 15.0
RECURRENT_TARGET = 2000.0 / 500.0
"""2,000 steps/s where the reference makes 500, as it did where the target was set."""
HIDDEN = [256, 128, 64]
EPOCHS = 10
_LARGE: dict[str, Any] = {"hidden": HIDDEN, "n_epochs": EPOCHS, "n_steps": 32, "batch_size": 8192}
_ENV = "rwa"


def reference(env: str) -> PPO:
    """Return the usual set-up: one environment, batch 64, 2,048 steps, 10 epochs, stable-baselines3's other numbers.

    Its network has ReLU, so that its policy can be exported and scored like ours.
    """
    kind = env_preset(env)
    policy = {"net_arch": HIDDEN, "activation_fn": torch.nn.ReLU}
    face = VaultEnv(kind.market(), kind.config(None))
    return PPO("MlpPolicy", face, ent_coef=0.01, n_epochs=EPOCHS, policy_kwargs=policy, seed=1, device="cpu")


def of_preset(preset: Preset) -> Learner:
    """Return a preset's learner in its environment, without a warm start: its speed is the same."""
    kind, ppo, table = preset.env_preset, preset.ppo, preset.market
    sizes = {"bank_paths": table.bank_paths, "bank_rows": table.bank_rows}
    face = VaultVecEnv(kind.market(), preset.env_config(), ppo.envs, np.random.default_rng(1), **sizes)
    return make_learner(preset, face, 1)


def variant(preset: Preset, algorithm: str, **ppo: Any) -> Preset:
    """Return a preset with another algorithm or other numbers of its `[ppo]` table, and no price on means."""
    table = preset.ppo.model_copy(update={"bound_coef": 0.0, **ppo})
    return preset.model_copy(update={"algorithm": algorithm, "ppo": table})


def learning(model: Learner, rollouts: int = 1, threads: int = 1) -> Work:
    """Return work that gathers so many rollouts and learns from each, counting steps. One is done at once."""
    steps = model.n_steps * model.n_envs * rollouts
    model.learn(model.n_steps * model.n_envs)

    def work() -> float:
        with _torch_threads(threads):
            model.learn(steps, reset_num_timesteps=False)
        return float(steps)

    return work


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def ppo(plan: Plan, say: Say) -> list[Figure]:
    """Compare batched PPO with the reference: on one core, and on all cores by the wall clock."""
    say("one core")
    batched, slow = of_preset(variant(load_preset(_ENV), "ppo", **_LARGE)), learning(reference(_ENV))
    one = ratio(learning(batched), slow, plan.turns)
    say(f"{cores()} cores")
    every = ratio(learning(batched, 2, cores()), slow, plan.turns, WALL)
    words = "PPO 256/128/64, 10 epochs: stock, batched, against 1 environment and batch 64"
    busy = "wall clock: true on an idle machine only"
    return [
        of_ratio("ppo", f"{words}, one core", one, target=TARGET),
        of_ratio("ppo_all_cores", f"{words}, {cores()} cores", every, clock=WALL, note=busy),
        steps_per_second("ppo_steps", "stock, batched, one core", one.fast),
        steps_per_second("ppo_all_cores_steps", f"stock, batched, {cores()} cores", every.fast, clock=WALL),
        steps_per_second("ppo_reference_steps", "1 environment, batch 64", one.slow),
    ]


def recurrent(plan: Plan, say: Say) -> list[Figure]:
    """Compare batched recurrent PPO with the reference, which has no memory, and with the same learner without LSTM."""
    figures: list[Figure] = []
    turns = max(3, plan.turns // 2)  # they take long, and vary little
    slow = learning(reference(_ENV))
    preset = load_preset(_ENV)
    sizes: dict[str, dict[str, Any]] = {"256/128/64, 10 epochs": _LARGE, "preset": {}}
    for name, (label, numbers) in zip(("recurrent", "recurrent_preset"), sizes.items(), strict=True):
        say(label)
        memory = learning(of_preset(variant(preset, "recurrent-ppo", **numbers)))
        plain = learning(of_preset(variant(preset, "ppo", **numbers)))
        words = f"RecurrentPPO (LSTM 64, {label})"
        against = ratio(memory, slow, turns)
        figures += [
            of_ratio(
                name,
                f"{words}: stock, batched, against MLP PPO, 1 environment, batch 64",
                against,
                target=RECURRENT_TARGET,
            ),
            of_ratio(f"{name}_mlp", f"{words} against the same without LSTM", ratio(memory, plain, turns)),
            steps_per_second(f"{name}_steps", words, against.fast),
        ]
    return figures
