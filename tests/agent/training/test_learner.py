"""Stock learners with one addition: the price on means, the device, and files that need none of our code."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import ConvertCallback
from torch import nn

from agent.commands.train import train as train_command
from agent.envs.vec import VaultVecEnv
from agent.errors import DeviceError
from agent.market.lending import shipped_market
from agent.training.learner import Learner, make_learner, price_means
from agent.training.preset import Preset
from tests.agent.training.drift import ENVS, Drift

STEPS = 12


def _biased(coef: float) -> PPO:
    """Return a learner whose means are far outside of the action space."""
    policy = {"net_arch": [32, 16], "activation_fn": nn.ReLU, "log_std_init": -0.3}
    model = PPO("MlpPolicy", Drift(), 1e-2, STEPS, 96, 20, seed=7, device="cpu", policy_kwargs=policy)
    with torch.no_grad():
        model.policy.action_net.bias[:] = torch.linspace(-3.0, 3.0, 3)
    price_means(model, coef)
    return model


def _means(model: PPO, seen: torch.Tensor) -> torch.Tensor:
    means: torch.Tensor = model.policy.get_distribution(seen).distribution.mean  # type: ignore[union-attr]
    return means


def test_price_means__brings_means_back_into_the_action_space() -> None:
    outside = {}
    for coef in (0.0, 1.0):
        model = _biased(coef)
        _, callback = model._setup_learn(10_000, ConvertCallback(lambda *_: True))
        assert model.collect_rollouts(model.env, callback, model.rollout_buffer, STEPS)  # type: ignore[arg-type]
        model.rollout_buffer.advantages[:] = 0.0  # nothing else to learn
        model.train()
        means = _means(model, torch.as_tensor(model.rollout_buffer.observations[:ENVS]))
        outside[coef] = float((means.abs() - 1.0).max().detach())
    assert outside[0.0] > 1.5
    assert outside[1.0] < 0.5


def test_price_means__gradient__is_that_of_the_squared_excess() -> None:
    priced, plain = _biased(0.7), _biased(0.0)
    seen = torch.as_tensor(np.random.default_rng(0).uniform(-1, 1, (32, 6)).astype(np.float32))
    actor = [*priced.policy.mlp_extractor.policy_net.parameters(), *priced.policy.action_net.parameters()]
    same = [*plain.policy.mlp_extractor.policy_net.parameters(), *plain.policy.action_net.parameters()]
    means = _means(plain, seen)
    loss = means.sum() + 0.7 * (means - means.clamp(-1.0, 1.0)).square().sum(-1).mean()
    wanted = torch.autograd.grad(loss, same)
    for got, expected in zip(torch.autograd.grad(_means(priced, seen).sum(), actor), wanted, strict=True):
        assert torch.allclose(got, expected, atol=1e-5)


def _learner(device: str = "cpu", **ppo: Any) -> Learner:
    table = {"envs": 8, "n_steps": 4, "batch_size": 16, "hidden": [8], **ppo}
    preset = Preset.model_validate({"name": "x", "seconds": 1, "steps": 1, "ppo": table})
    env = VaultVecEnv(shipped_market(), preset.env_config(), 8, np.random.default_rng(0), bank_paths=2)
    return make_learner(preset, env, 1, device=device)


def test_make_learner__bound_coef__is_a_price_on_means() -> None:
    assert len(_learner(bound_coef=0.3).policy.action_net._forward_hooks) == 1  # type: ignore[operator]
    assert not _learner().policy.action_net._forward_hooks


def test_save__file__holds_nothing_of_ours(tmp_path: Path) -> None:
    _learner(bound_coef=0.3).save(tmp_path / "model.zip")
    content = json.loads(ZipFile(tmp_path / "model.zip").read("data"))
    entries = [entry[":serialized:"] for entry in content.values() if ":serialized:" in str(entry)]
    pickled = [base64.b64decode(entry) for entry in entries]
    assert any(b"stable_baselines3" in each for each in pickled)
    assert not any(b"agent." in each for each in pickled)


def test_device__cuda_is_missing__refused_and_auto_is_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert _learner("auto").device.type == "cpu"
    with pytest.raises(DeviceError, match="--device cpu"):
        _learner("cuda")
    out, run = str(tmp_path / "policy.npz"), str(tmp_path / "run")
    options = ["--preset", "quick", "--out", out, "--quiet", "--device", "cuda", "--checkpoints", run]
    assert isinstance(CliRunner().invoke(train_command, options).exception, DeviceError)
    resumed = CliRunner().invoke(train_command, ["--resume", run, "--quiet"])
    assert isinstance(resumed.exception, DeviceError)  # the option of the start counts
