"""The batched environment as stable-baselines3 knows it: one engine steps all vaults at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from agent.envs.engine import Engine, EnvConfig
from agent.envs.scalar import action_space, observation_space, step_info
from agent.market.path import Market


class VaultVecEnv(VecEnv):
    """`batch` copies of a `VaultEnv` on a bank of market paths, stepped together.

    Finished episodes start anew at once; the last observation of the old one is in `infos[i]["terminal_observation"]`
    and `infos[i]["TimeLimit.truncated"]` says whether it was cut at its length.

    Parameters
    ----------
    market
        Source of the bank, drawn at construction and again at every `reset` after `seed`.
    config
        Definition of an episode.
    batch
        Number of vaults.
    rng
        Source of all randomness.
    bank_paths, bank_rows
        Number and length of the paths of the bank; rows at least an episode with its warm-up.
    """

    def __init__(
        self,
        market: Market,
        config: EnvConfig,
        batch: int,
        rng: np.random.Generator,
        *,
        bank_paths: int = 256,
        bank_rows: int = 400,
    ) -> None:
        self.render_mode = None
        super().__init__(batch, observation_space(config), action_space(config))
        self.market, self.config = market, config
        self._rng = rng
        self._bank_shape = (bank_paths, max(bank_rows, config.path_rows))
        self._actions: NDArray[Any] = np.zeros((batch, config.limits.count))
        self._returns = np.zeros(batch)
        self._lengths = np.zeros(batch, dtype=np.int64)
        self.engine = self._new_engine()

    def _new_engine(self) -> Engine:
        return Engine(self.market.sample(self._rng, *self._bank_shape), self.config, self.num_envs, self._rng)

    def reset(self) -> NDArray[np.float32]:
        """Begin new episodes everywhere; after `seed`, on a new bank."""
        if self._seeds[0] is not None:
            self._rng = np.random.default_rng(self._seeds[0])
            self.engine = self._new_engine()
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0
        self._lengths[:] = 0
        return self.engine.reset().astype(np.float32)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Take the actions `(B, n)` for the next `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Step all vaults; start those anew whose episode ended."""
        moved = self.engine.step(np.asarray(self._actions, dtype=np.float64))
        observations = moved.observation.astype(np.float32)
        done = moved.terminated | moved.truncated
        self._returns += moved.reward
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for index in np.nonzero(done)[0]:
            infos[index] = {
                **step_info(moved, index),
                "terminal_observation": observations[index].copy(),
                "TimeLimit.truncated": bool(moved.truncated[index]),
                "episode": {"r": float(self._returns[index]), "l": int(self._lengths[index])},
            }
        if done.any():
            observations[done] = self.engine.reset(done)[done].astype(np.float32)
            self._returns[done] = 0
            self._lengths[done] = 0
        return observations, moved.reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of this object, once per vault."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: the vaults share one configuration."""
        raise NotImplementedError("the vaults of a VaultVecEnv share one configuration: make another one")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: there are no single environments behind this one."""
        raise NotImplementedError(f"a VaultVecEnv has no single environments to call {method_name} on")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Return false for every vault."""
        return [False] * len(list(self._get_indices(indices)))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Take the seed of the next `reset`, one for the whole batch."""
        self._seeds = [seed] * self.num_envs
        return self._seeds
