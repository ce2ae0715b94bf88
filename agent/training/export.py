"""From a stable-baselines3 PPO model to the layers that numpy runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from agent.errors import PolicyShapeError
from agent.units import FloatArray

if TYPE_CHECKING:
    from stable_baselines3 import PPO


def actor_layers(model: PPO) -> list[tuple[FloatArray, FloatArray]]:
    """Return the actor as pairs of matrix `(inputs, outputs)` and bias `(outputs,)`, float64.

    The observation needs no normaliser: `Observation.vector()` is of order one by construction.

    Raises
    ------
    PolicyShapeError
        If the actor is anything but affine layers with ReLU between them.
    """
    policy = model.policy
    layers: list[nn.Linear] = []
    for index, module in enumerate([*policy.mlp_extractor.policy_net, policy.action_net]):
        if isinstance(module, nn.Linear) and index % 2 == 0:
            layers.append(module)
        elif not (isinstance(module, nn.ReLU) and index % 2 == 1):
            raise PolicyShapeError(f"only affine layers with ReLU between them can be exported, not {module}")
    return [
        (
            np.asarray(layer.weight.detach().cpu().numpy().T, dtype=np.float64),
            np.asarray(layer.bias.detach().cpu().numpy(), dtype=np.float64),
        )
        for layer in layers
    ]
