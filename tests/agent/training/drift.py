"""A made-up task for the learners' tests, in which nothing is random."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

ENVS = 24


class Drift(VecEnv):
    """Episodes of five to nine steps; two thirds of the environments are cut by their time limit, one third ends."""

    def __init__(self) -> None:
        self.render_mode = None
        super().__init__(ENVS, spaces.Box(-3, 3, (6,), np.float32), spaces.Box(-1, 1, (3,), np.float32))
        self.reset()

    def reset(self) -> NDArray[np.float32]:
        self.state = np.linspace(-2, 2, ENVS * 6).reshape(ENVS, 6)
        self.age = np.zeros(ENVS, dtype=int)
        return self.state.astype(np.float32)

    def step_async(self, actions: NDArray[Any]) -> None:
        assert np.abs(actions).max() <= 1.0
        self.actions = actions

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        self.state = np.sin(self.state + np.tile(self.actions, 2) + 0.3)
        reward = self.state.sum(1) - (self.actions**2).sum(1)
        self.age += 1
        dones = self.age >= 5 + np.arange(ENVS) % 5
        infos: list[dict[str, Any]] = [{} for _ in range(ENVS)]
        for index in np.flatnonzero(dones):
            infos[index] = {
                "terminal_observation": self.state[index].astype(np.float32),
                "TimeLimit.truncated": bool(index % 3),
                "episode": {"r": 1.0, "l": int(self.age[index])},
            }
            self.state[index], self.age[index] = 0.1 * index, 0
        return self.state.astype(np.float32), reward.astype(np.float32), dones, infos

    def close(self) -> None: ...
    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * ENVS

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None: ...
    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return []

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * ENVS
