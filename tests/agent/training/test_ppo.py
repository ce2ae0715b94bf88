"""`FastPPO` is stable-baselines3's PPO: the same rollout, the same update, the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from torch import nn

from agent.errors import PolicyShapeError, PresetError
from agent.training.ppo import OPTIMIZER, FastPPO
from tests.agent.training.drift import ENVS, Drift

STEPS = 12


def _make(kind: type[PPO], **changes: Any) -> PPO:
    settings: dict[str, Any] = {
        "n_steps": STEPS,
        "batch_size": 96,
        "n_epochs": 3,
        "ent_coef": 0.01,
        "learning_rate": 3e-3,
        "gamma": 0.9,
        "gae_lambda": 0.8,
        "seed": 7,
        "device": "cpu",
    }
    policy = {"net_arch": [32, 16], "activation_fn": nn.ReLU, "log_std_init": -0.3, "optimizer_kwargs": OPTIMIZER}
    return kind("MlpPolicy", Drift(), policy_kwargs=policy, **{**settings, **changes})


def _gather(model: PPO) -> None:
    """Gather one rollout with `ENVS * STEPS` normal numbers from the seed 1."""
    _, callback = model._setup_learn(10_000, ConvertCallback(lambda *_: True))
    torch.manual_seed(1)
    assert model.collect_rollouts(model.env, callback, model.rollout_buffer, STEPS)


@pytest.fixture
def both() -> tuple[FastPPO, PPO]:
    """Both learners with the same weights, after the same rollout."""
    fast, plain = _make(FastPPO), _make(PPO)
    assert isinstance(fast, FastPPO)
    fast.generator = torch.default_generator
    plain.policy.load_state_dict(fast.policy.state_dict())
    _gather(fast)
    _gather(plain)
    return fast, plain


def test_collect__same_noise__same_rollout_values_and_advantages(both: tuple[FastPPO, PPO]) -> None:
    fast, plain = both
    theirs, ours = plain.rollout_buffer, fast.rollout
    for name, mine in [
        ("observations", ours.observations),
        ("actions", ours.actions),
        ("rewards", ours.rewards),
        ("values", ours.values),
        ("log_probs", ours.log_probs),
        ("episode_starts", ours.starts[:-1]),
        ("advantages", fast.advantages),
        ("returns", fast.advantages + ours.values),
    ]:
        assert np.abs(mine.numpy() - getattr(theirs, name)).max() < 1e-5, name
    assert ours.starts.sum() > ENVS  # episodes ended on the way, some of them cut: the bootstrap was used
    assert fast.num_timesteps == plain.num_timesteps == ENVS * STEPS
    assert [episode["l"] for episode in fast.ep_info_buffer or []] == [e["l"] for e in plain.ep_info_buffer or []]


@pytest.mark.parametrize("chunk", [1024, 40])  # a minibatch at once, and in parts
@pytest.mark.parametrize("clip", [0.2, 0.01])  # the second binds for most
def test_train__same_rollout_and_order__same_update(
    both: tuple[FastPPO, PPO], monkeypatch: pytest.MonkeyPatch, chunk: int, clip: float
) -> None:
    fast, plain = both
    before = nn.utils.parameters_to_vector(fast.policy.parameters()).clone()
    monkeypatch.setattr("agent.training.ppo._CHUNK", chunk)
    for model in both:
        model.clip_range = lambda _: clip
    orders = [np.random.default_rng(epoch).permutation(ENVS * STEPS) for epoch in range(fast.n_epochs)]
    theirs, ours = iter(orders), iter(orders)
    monkeypatch.setattr(np.random, "permutation", lambda _: next(theirs))  # env by env
    monkeypatch.setattr(  # step by step
        fast, "permutation", lambda _: torch.as_tensor([i % STEPS * ENVS + i // STEPS for i in next(ours)])
    )
    for model in both:
        model.train()
    after, expected = (nn.utils.parameters_to_vector(model.policy.parameters()) for model in both)
    assert (after - expected).abs().max() < 1e-5
    assert (expected - before).abs().max() > 1e-2
    for name, value in plain.logger.name_to_value.items():
        if name in ("train/loss", "train/approx_kl", "train/entropy_loss"):
            continue  # theirs are of the last minibatch, of the last epoch, and from before the last update
        if name.startswith("train/"):
            assert fast.logger.name_to_value[name] == pytest.approx(value, abs=1e-4), name


def test_save__loads_with_plain_ppo_and_predicts_the_same(tmp_path: Path) -> None:
    fast = _make(FastPPO)
    fast.learn(2 * ENVS * STEPS)
    fast.save(tmp_path / "model.zip")
    seen = np.random.default_rng(0).uniform(-3, 3, (50, 6)).astype(np.float32)
    expected, _ = fast.predict(seen, deterministic=True)
    for kind in (PPO, FastPPO):
        loaded = kind.load(tmp_path / "model.zip", device="cpu")
        assert np.array_equal(loaded.predict(seen, deterministic=True)[0], expected)
        assert loaded.num_timesteps == 2 * ENVS * STEPS


def test_learn__same_seed_same_weights_other_seed_others() -> None:
    weights = []
    for seed in (3, 3, 4):
        model = _make(FastPPO, seed=seed)
        model.learn(2 * ENVS * STEPS)
        weights.append(nn.utils.parameters_to_vector(model.policy.parameters()))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


class _Stop(BaseCallback):
    def _on_step(self) -> bool:
        return self.n_calls < 5


def test_learn__callback_says_stop__stops_at_once() -> None:
    model = _make(FastPPO)
    model.learn(10_000, callback=_Stop())
    assert model.num_timesteps == 5 * ENVS


def test_fast_ppo__what_it_does_not_do__refused() -> None:
    with pytest.raises(PresetError, match="target_kl"):
        _make(FastPPO, target_kl=0.1)
    with pytest.raises(PolicyShapeError, match="Tanh"):
        FastPPO("MlpPolicy", Drift(), device="cpu")


def _biased(coef: float) -> FastPPO:
    """Return a learner whose means are far outside of the action space."""
    model = _make(FastPPO, learning_rate=1e-2, n_epochs=20)
    assert isinstance(model, FastPPO)
    model.bound_coef = coef
    with torch.no_grad():
        model.actor.layers[-1].bias[:] = torch.linspace(-3.0, 3.0, model.actor.outputs)
    return model


@torch.no_grad()
def test_bound_coef__brings_means_back_into_the_action_space() -> None:
    outside = {}
    for coef in (0.0, 1.0):
        model = _biased(coef)
        _gather(model)
        model.advantages.zero_()  # nothing else to learn
        model.train()
        means = model.actor.forward(model.rollout.observations[0])
        outside[coef] = float((means.abs() - 1.0).max())
    assert outside[0.0] > 1.5
    assert outside[1.0] < 0.5


def test_bound_coef__same_gradient_as_by_torch() -> None:
    model = _biased(0.7)
    parameters = [parameter for layer in model.actor.layers for parameter in layer.parameters()]
    seen = torch.as_tensor(np.random.default_rng(0).uniform(-1, 1, (32, model.actor.inputs)).astype(np.float32))
    means = model.outputs(seen, torch.zeros(32))[0]
    loss = 0.7 * (means - means.clamp(-1.0, 1.0)).square().sum(-1).mean()
    expected = torch.autograd.grad(loss, parameters)
    for parameter in model.policy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    none = torch.zeros(32)
    with torch.no_grad():
        model._add_gradients([seen, means.detach(), none, none, none], 0.2, 1.0 / 32)
    for parameter, wanted in zip(parameters, expected, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, wanted, atol=1e-6)
        assert wanted.abs().max() > 0
