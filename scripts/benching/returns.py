"""Evaluation returns: rewards of whole episodes on markets that neither training nor its choice of a network saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.envs.engine import EnvConfig
from agent.envs.presets import env_preset
from agent.market.path import MarketPath
from agent.network import NumpyPolicy
from agent.training.export import actor
from agent.training.score import episode_rewards
from agent.units import FloatArray

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
        Number of episodes.
    seed
        Added to that of the bench; other seeds are other markets.
    """

    def __init__(self, env: str, paths: int, seed: int = 0) -> None:
        kind = env_preset(env)
        self.config: EnvConfig = kind.config(None)
        rng = np.random.default_rng([_SEED, seed])
        self.bank: MarketPath = kind.market().sample(rng, paths, self.config.path_rows)

    def returns(self, policy: NumpyPolicy) -> FloatArray:
        """Return the sum of rewards of every episode, `(P,)`."""
        return episode_rewards(policy, self.bank, self.config)

    def policy_of(self, model: Any) -> NumpyPolicy:
        """Return the actor of a model of stable-baselines3 as an exported policy."""
        layers, lstm = actor(model)
        return NumpyPolicy("ppo", "", layers, {}, self.config.version, lstm)


def estimate(values: FloatArray) -> Estimate:
    """Return the mean of independent episodes, and the normal 95 % interval of it."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / float(np.sqrt(values.size))
    return Estimate(mean, mean - 1.96 * error, mean + 1.96 * error)
