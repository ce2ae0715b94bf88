"""From a model of stable-baselines3 or sb3-contrib to the arrays that numpy runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from agent.errors import PolicyShapeError
from agent.policies.network import Layers, Lstm
from agent.units import FloatArray

if TYPE_CHECKING:
    from sb3_contrib import RecurrentPPO
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


def actor(model: PPO | RecurrentPPO) -> tuple[Layers, Lstm | None]:
    """Return the actor as layers and, if it has one, the LSTM before them, float64.

    The observation needs no normaliser: `Observation.vector()` is of order one by construction.
    """
    policy: Any = model.policy
    layers = [
        (_numbers(layer.weight).T, _numbers(layer.bias))
        for layer in affine_layers([*policy.mlp_extractor.policy_net, policy.action_net])
    ]
    memory = getattr(policy, "lstm_actor", None)
    if memory is None:
        return layers, None
    if memory.num_layers != 1 or memory.bidirectional or memory.proj_size:
        raise PolicyShapeError("only an LSTM of one layer can be exported")
    bias = _numbers(memory.bias_ih_l0) + _numbers(memory.bias_hh_l0)
    return layers, Lstm(_numbers(memory.weight_ih_l0).T, _numbers(memory.weight_hh_l0).T, bias)


def _numbers(parameter: Tensor) -> FloatArray:
    return np.asarray(parameter.detach().cpu().numpy(), dtype=np.float64)
