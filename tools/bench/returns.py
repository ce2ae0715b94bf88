"""Evaluation returns: rewards of whole episodes on markets that neither training nor its choice of a network saw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.envs.engine import EnvConfig
from agent.envs.presets import env_preset
from agent.market.path import MarketPath
from agent.policies.network import NumpyPolicy
from agent.training.export import actor
from agent.training.watch import episode_rewards
from agent.units import FloatArray

_AT_ONCE = 512
_SEED = 20_301  # presets' seeds are spawned from other numbers


@dataclass(frozen=True)
class Estimate:
    """A mean over episodes and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


class HeldOut:
    """Markets to score policies on: the same episodes for all, so that differences are paired.

    Parameters
    ----------
    env
        Name of the environment.
    paths
        Least number of episodes. They are drawn anew, from the same seeds, for every policy: all of them at once take
        gigabytes.
    seed
        Added to that of the bench; other seeds are other markets.
    """

    def __init__(self, env: str, paths: int, seed: int = 0) -> None:
        kind = env_preset(env)
        self.config: EnvConfig = kind.config(None)
        self._market, self._size = kind.market(), min(paths, _AT_ONCE)
        self._seeds = [[_SEED, seed, index] for index in range(math.ceil(paths / self._size))]

    def returns(self, policy: NumpyPolicy) -> FloatArray:
        """Return the sum of rewards of every episode, `(P,)`."""
        return np.concatenate([episode_rewards(policy, self._bank(seed), self.config) for seed in self._seeds])

    def _bank(self, seed: list[int]) -> MarketPath:
        return self._market.sample(np.random.default_rng(seed), self._size, self.config.path_rows)

    def policy_of(self, model: Any) -> NumpyPolicy:
        """Return the actor of a model of stable-baselines3 as an exported policy."""
        layers, lstm = actor(model)
        return NumpyPolicy("ppo", "", layers, {}, self.config.version, lstm)


def estimate(values: FloatArray) -> Estimate:
    """Return the mean of independent episodes, and the normal 95 % interval of it."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / float(np.sqrt(values.size))
    return Estimate(mean, mean - 1.96 * error, mean + 1.96 * error)
