"""`FastRecurrentPPO` is sb3-contrib's RecurrentPPO: the same rollout, the same update, the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import ConvertCallback
from torch import nn

from agent.errors import PresetError
from agent.training.ppo import OPTIMIZER
from agent.training.recurrent_ppo import FastRecurrentPPO
from tests.agent.training.drift import ENVS, Drift

STEPS = 12


def _make(kind: type[RecurrentPPO], **changes: Any) -> Any:
    settings: dict[str, Any] = {"n_steps": STEPS, "batch_size": ENVS * STEPS, "n_epochs": 3, "ent_coef": 0.01}
    settings |= {"learning_rate": 3e-3, "gamma": 0.9, "gae_lambda": 0.8, "seed": 7, "device": "cpu"}
    policy = {"net_arch": [16], "activation_fn": nn.ReLU, "lstm_hidden_size": 12, "optimizer_kwargs": OPTIMIZER}
    return kind("MlpLstmPolicy", Drift(), policy_kwargs=policy, **{**settings, **changes})


@pytest.fixture
def both() -> tuple[Any, Any]:
    """Both learners with the same weights, after the same two rollouts: the second begins within episodes."""
    fast, plain = _make(FastRecurrentPPO), _make(RecurrentPPO)
    fast.generator = torch.default_generator
    plain.policy.load_state_dict(fast.policy.state_dict())
    for model in (fast, plain):
        _, callback = model._setup_learn(10_000, ConvertCallback(lambda *_: True))
        torch.manual_seed(1)
        for _ in range(2):
            assert model.collect_rollouts(model.env, callback, model.rollout_buffer, STEPS)
    return fast, plain


def test_collect__same_noise__same_rollout_values_and_advantages(both: tuple[Any, Any]) -> None:
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
    ]:
        assert np.abs(mine.numpy() - getattr(theirs, name)).max() < 1e-5, name
    assert (fast.first_states[0][0] - torch.as_tensor(theirs.hidden_states_pi[0, 0])).abs().max() < 1e-6
    assert fast.first_states[0][0].abs().max() > 0.01


def test_train__same_rollout__same_update(both: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    fast = both[0]
    before = nn.utils.parameters_to_vector(fast.policy.parameters()).clone()
    monkeypatch.setattr(np.random, "randint", lambda _: 0)  # theirs would cut a sequence in two there
    for model in both:
        model.train()
    after, expected = (nn.utils.parameters_to_vector(model.policy.parameters()) for model in both)
    assert (after - expected).abs().max() < 1e-5
    assert (expected - before).abs().max() > 5e-3


def test_save__loads_with_plain_recurrent_ppo_and_predicts_the_same(tmp_path: Path) -> None:
    fast = _make(FastRecurrentPPO, batch_size=4 * STEPS)
    fast.learn(2 * ENVS * STEPS)
    fast.save(tmp_path / "model.zip")
    loaded = RecurrentPPO.load(tmp_path / "model.zip", device="cpu")
    seen = np.random.default_rng(0).uniform(-3, 3, (5, 50, 6)).astype(np.float32)
    mine = theirs = None
    for row in seen:
        expected, mine = fast.predict(row, mine, deterministic=True)
        predicted, theirs = loaded.predict(row, theirs, deterministic=True)
        assert np.array_equal(predicted, expected)


def test_batch__no_whole_sequences__refused() -> None:
    with pytest.raises(PresetError, match="multiple of n_steps"):
        _make(FastRecurrentPPO, batch_size=STEPS + 1)
