"""What PPO gathers between two updates, and the advantages (GAE) it learns from; shared by both learners."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agent.units import BoolArray, IntArray

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Rollout:
    """`T` steps of `B` environments, allocated once and written in place; float32.

    Attributes
    ----------
    observations, actions
        `(T, B, m)` and `(T, B, k)`; actions before they are clipped to the action space.
    rewards
        `(T, B)`; where an episode was cut by its time limit they hold the discounted value of its last state too.
    starts
        `(T + 1, B)` one where an episode begins with that observation; the last row is for the one after the rollout.
    values, log_probs
        `(T, B)` of the network that gathered.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    starts: Tensor
    values: Tensor
    log_probs: Tensor

    @classmethod
    def empty(cls, steps: int, envs: int, inputs: int, outputs: int) -> Rollout:
        """Return storage for `steps` of `envs` environments."""
        row = (steps, envs)
        return cls(
            torch.zeros(*row, inputs),
            torch.zeros(*row, outputs),
            torch.zeros(row),
            torch.zeros(steps + 1, envs),
            torch.zeros(row),
            torch.zeros(row),
        )

    def advantages(self, last_values: Tensor, gamma: float, gae_lambda: float) -> Tensor:
        """Return generalised advantage estimates `(T, B)` (Schulman et al., "High-dimensional control", 2016).

        Parameters
        ----------
        last_values
            `(B,)` value of the observation after the last step.
        gamma, gae_lambda
            Discount, and how far to trust rewards over values.
        """
        advantages = torch.empty_like(self.rewards)
        following, value = torch.zeros_like(last_values), last_values
        for step in range(len(self.rewards) - 1, -1, -1):
            goes_on = 1.0 - self.starts[step + 1]
            error = self.rewards[step] + gamma * value * goes_on - self.values[step]
            following = error + gamma * gae_lambda * goes_on * following
            advantages[step], value = following, self.values[step]
        return advantages


@dataclass(frozen=True)
class Ended:
    """The environments whose episode ended in a step.

    Attributes
    ----------
    episodes
        What the environment says of each (`r`, `l`), where it does.
    cut
        Indices `(c,)` of those that only their time limit ended.
    observations
        `(c, m)` last observations of those.
    """

    episodes: list[dict[str, Any]]
    cut: IntArray
    observations: Tensor

    @classmethod
    def of(cls, dones: BoolArray, infos: Sequence[dict[str, Any]]) -> Ended | None:
        """Read the infos of those that ended, and only those; none if there are none."""
        indices = np.flatnonzero(dones)
        if not indices.size:
            return None
        cut = [int(index) for index in indices if infos[index].get("TimeLimit.truncated", False)]
        last = [infos[index]["terminal_observation"] for index in cut]
        return cls(
            [infos[index]["episode"] for index in indices if "episode" in infos[index]],
            np.array(cut, dtype=np.int64),
            torch.as_tensor(np.array(last, dtype=np.float32)),
        )


def log_prob(noise: Tensor, log_std: Tensor) -> Tensor:
    """Return the log density `(...)` of the normal actions `mean + noise x std`, `noise` being `(..., k)`."""
    return -0.5 * noise.square().sum(-1) - (log_std.sum() + _HALF_LOG_TWO_PI * noise.shape[-1])


def entropy(log_std: Tensor) -> Tensor:
    """Return the entropy of normal actions, which no observation changes."""
    return (log_std + 0.5 + _HALF_LOG_TWO_PI).sum()
