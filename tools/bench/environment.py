"""How much faster 256 vaults at once are than one at a time, both through the same engine.

One at a time is a `VaultEnv` in a plain Python loop, as Gymnasium's users drive it. It pays numpy's cost per call for
one row. An environment written in scalars for one vault would be faster; there is none.
"""

from __future__ import annotations

import numpy as np

from agent.envs.presets import ENVS
from agent.envs.scalar import VaultEnv
from agent.envs.vec import VaultVecEnv
from tools.bench.figures import Figure, Plan, Say, of_ratio, steps_per_second
from tools.bench.measure import Work, ratio

COPIES = 256
TARGET = 70.0
_ONE, _BATCHES = 600, 250  # calls per turn


def environment(plan: Plan, say: Say) -> list[Figure]:
    """Step random actions through every environment."""
    figures: list[Figure] = []
    for name in ENVS:
        say(name)
        one, many = _one(name), _many(name)
        one(), many()
        measured = ratio(many, one, plan.turns)
        words = f"{name}: {COPIES} vaults at once against one at a time"
        figures += [
            of_ratio(f"environment_{name}", words, measured, target=TARGET),
            steps_per_second(f"environment_{name}_steps", f"{name}: steps of {COPIES} vaults at once", measured.fast),
        ]
    return figures


def _one(name: str) -> Work:
    kind, rng = ENVS[name], np.random.default_rng(0)
    env = VaultEnv(kind.market(), kind.config(None))
    env.reset(seed=0)
    actions = rng.uniform(-1, 1, (_ONE, *env.action_space.shape)).astype(np.float32)  # type: ignore[misc]

    def work() -> float:
        for action in actions:
            *_, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return float(len(actions))

    return work


def _many(name: str) -> Work:
    kind, rng = ENVS[name], np.random.default_rng(0)
    env = VaultVecEnv(kind.market(), kind.config(None), COPIES, rng)
    env.reset()
    actions = rng.uniform(-1, 1, (_BATCHES, COPIES, *env.action_space.shape)).astype(np.float32)  # type: ignore[misc]

    def work() -> float:
        for action in actions:
            env.step(action)
        return float(actions.shape[0] * COPIES)

    return work
