"""From a stable-baselines3 PPO model to the layers that numpy runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from agent.errors import PolicyShapeError
from agent.units import FloatArray

if TYPE_CHECKING:
    from stable_baselines3 import PPO


def affine_layers(modules: Iterable[nn.Module]) -> list[nn.Linear]:
    """Return the affine layers of a network.

    Raises
    ------
    PolicyShapeError
        If it is anything but affine layers with ReLU between them.
    """
    layers: list[nn.Linear] = []
    for index, module in enumerate(modules):
        if isinstance(module, nn.Linear) and index % 2 == 0:
            layers.append(module)
        elif not (isinstance(module, nn.ReLU) and index % 2 == 1):
            raise PolicyShapeError(
                f"only affine layers with ReLU between them can be trained and exported, not {module}"
            )
    return layers


def actor_layers(model: PPO) -> list[tuple[FloatArray, FloatArray]]:
    """Return the actor as pairs of matrix `(inputs, outputs)` and bias `(outputs,)`, float64.

    The observation needs no normaliser: `Observation.vector()` is of order one by construction.
    """
    policy = model.policy
    return [
        (
            np.asarray(layer.weight.detach().cpu().numpy().T, dtype=np.float64),
            np.asarray(layer.bias.detach().cpu().numpy(), dtype=np.float64),
        )
        for layer in affine_layers([*policy.mlp_extractor.policy_net, policy.action_net])
    ]
