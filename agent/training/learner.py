"""Learners: stable-baselines3's PPO or sb3-contrib's RecurrentPPO, made from a preset and exported to numpy.

Both are used as they are. On the batched environment they learn nearly as fast as loops written for it by hand did
(1.0 to 1.4 times; `make bench` compares them with PPO on one environment), and their files load with plain `PPO.load`.
The one addition is `price_means`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from torch import Tensor, nn

from agent.envs.vec import VaultVecEnv
from agent.errors import DeviceError, PolicyShapeError
from agent.policies.network import Layers, Lstm, NumpyPolicy
from agent.training.preset import Preset
from agent.units import FloatArray

Learner = PPO | RecurrentPPO

OPTIMIZER: dict[str, Any] = {"fused": True, "eps": 1e-5}
"""For `policy_kwargs["optimizer_kwargs"]`: stable-baselines3's epsilon, and one kernel for all parameters."""


def make_learner(
    preset: Preset, env: VaultVecEnv, seed: int, tensorboard: Path | None = None, device: str = "cpu"
) -> Learner:
    """Make a new learner.

    Parameters
    ----------
    preset
        Algorithm, networks and hyper-parameters.
    env
        The environment that it learns in.
    seed
        Seed of its weights and of everything it draws.
    tensorboard
        Folder for TensorBoard's logs; none by default.
    device
        `cpu`, `cuda`, or `auto` for CUDA where there is one. Networks as small as the presets' are fastest on the CPU.

    Raises
    ------
    DeviceError
        If torch finds no CUDA device but is asked for one.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(
            f"no CUDA device that torch {torch.__version__} can use: train with --device cpu (or auto), or install a "
            "torch built for CUDA and check the driver with nvidia-smi"
        )
    ppo = preset.ppo
    networks: dict[str, Any] = {
        "net_arch": list(ppo.hidden),
        "activation_fn": nn.ReLU,
        "log_std_init": ppo.log_std_init,
        "optimizer_kwargs": OPTIMIZER,
    }
    settings: dict[str, Any] = {
        "n_steps": ppo.n_steps,
        "batch_size": ppo.batch_size,
        "n_epochs": ppo.n_epochs,
        "learning_rate": ppo.learning_rate,
        "gamma": ppo.gamma,
        "gae_lambda": ppo.gae_lambda,
        "clip_range": ppo.clip_range,
        "ent_coef": ppo.ent_coef,
        "vf_coef": ppo.vf_coef,
        "max_grad_norm": ppo.max_grad_norm,
        "tensorboard_log": None if tensorboard is None else str(tensorboard),
        "seed": seed,
        "device": device,
    }
    model: Learner
    if preset.algorithm == "ppo":
        model = PPO("MlpPolicy", env, policy_kwargs=networks, **settings)
        if ppo.bound_coef:
            price_means(model, ppo.bound_coef)
    else:
        networks["lstm_hidden_size"] = ppo.lstm_units
        model = RecurrentPPO("MlpLstmPolicy", env, policy_kwargs=networks, **settings)
    env.seed(None)  # stable-baselines3 has seeded it too, but it has random numbers of its own
    if tensorboard is None:
        model.set_logger(Logger(None, []))  # its own would leave an empty folder under the temporary ones
    return model


def price_means(model: PPO, coef: float) -> None:
    """Add `coef` to the loss for every unit squared by which the mean of an action is below -1 or above 1.

    Actions are clipped to [-1, 1], so a mean far outside has no gradient that would bring it back. PPO's loss has no
    place for another term (the entropy's vanishes with `ent_coef`), so a hook on the actor's last layer adds the term's
    gradient to that of the means. The hook is not part of the saved model.
    """

    def add_gradient(_: nn.Module, __: Any, means: Tensor) -> None:
        if means.requires_grad:
            outside = (means - means.clamp(-1.0, 1.0)).detach()
            means.register_hook(lambda slope: slope + 2.0 * coef / len(outside) * outside)  # type: ignore[no-untyped-call]

    model.policy.action_net.register_forward_hook(add_gradient)


def draft(model: Learner, version: str) -> NumpyPolicy:
    """Return the policy that the learner would export now, without a file and a digest."""
    layers, lstm = actor(model)
    return NumpyPolicy("ppo", "", layers, {}, version, lstm)


def actor(model: Learner) -> tuple[Layers, Lstm | None]:
    """Return the actor as float64 layers and, if it has one, the LSTM before them.

    The observation needs no normaliser: `Observation.vector()` is of order one by construction.

    Raises
    ------
    PolicyShapeError
        If the actor is anything but affine layers with ReLU between them after an LSTM of at most one layer.
    """
    policy: Any = model.policy
    layers = [
        (_numbers(layer.weight).T, _numbers(layer.bias))
        for layer in _affine_layers([*policy.mlp_extractor.policy_net, policy.action_net])
    ]
    memory = getattr(policy, "lstm_actor", None)
    if memory is None:
        return layers, None
    if memory.num_layers != 1 or memory.bidirectional or memory.proj_size:
        raise PolicyShapeError("only an LSTM of one layer can be exported")
    bias = _numbers(memory.bias_ih_l0) + _numbers(memory.bias_hh_l0)
    return layers, Lstm(_numbers(memory.weight_ih_l0).T, _numbers(memory.weight_hh_l0).T, bias)


def _affine_layers(modules: Iterable[nn.Module]) -> list[nn.Linear]:
    layers: list[nn.Linear] = []
    for index, module in enumerate(modules):
        if isinstance(module, nn.Linear) and index % 2 == 0:
            layers.append(module)
        elif not (isinstance(module, nn.ReLU) and index % 2 == 1):
            raise PolicyShapeError(f"only affine layers with ReLU between them can be exported, not {module}")
    return layers


def _numbers(parameter: Tensor) -> FloatArray:
    return np.asarray(parameter.detach().cpu().numpy(), dtype=np.float64)
