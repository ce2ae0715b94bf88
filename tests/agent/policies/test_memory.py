"""Policies with memory: the file, the arithmetic, and what is carried from call to call."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from torch import nn

from agent.backtest import Setting, run, simulate
from agent.errors import ObservationError, PolicyDigestError, PolicyFileError, PolicyMemoryError, PolicyShapeError
from agent.market.lending import SyntheticMarket
from agent.observation.memory import RateMemory
from agent.observation.observe import Observation, observe, vector_size
from agent.policies.files import save_policy
from agent.policies.load import act, load_policy
from agent.policies.memory import Recall, act_and_recall
from agent.policies.network import Lstm, NumpyPolicy
from agent.training.learner import actor
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState
from tests.agent.training.drift import Drift

NAMES = ["a", "b", "c"]
MANIFEST = {"name": "remembers", "strategies": NAMES, "step_seconds": 86_400.0}
UNITS = 5


def make_lstm(rng: np.random.Generator, inputs: int, units: int = UNITS) -> Lstm:
    return Lstm(
        rng.normal(0, 0.5, (inputs, 4 * units)), rng.normal(0, 0.5, (units, 4 * units)), rng.normal(0, 1, 4 * units)
    )


@pytest.fixture
def policy(tmp_path: Path, rng: np.random.Generator) -> NumpyPolicy:
    layers = [(rng.normal(0, 0.5, (UNITS, 3)), rng.normal(0, 0.1, 3))]
    return save_policy(tmp_path / "policy.npz", layers, MANIFEST, lstm=make_lstm(rng, vector_size(3)))


def _seen(*rates: float) -> Observation:
    now = np.array([rates])
    return observe(PortfolioState.open(1e7, 3), now, RateMemory.start(now, 0), 3e-6, Costs())


A, B, C = _seen(0.01, 0.03, 0.02), _seen(0.05, 0.01, 0.02), _seen(0.02, 0.02, 0.09)


def test_export__lstm__numpy_equals_torch_over_many_steps() -> None:
    model = RecurrentPPO(
        "MlpLstmPolicy",
        Drift(),
        n_steps=4,
        device="cpu",
        seed=3,
        policy_kwargs={"net_arch": [16, 8], "activation_fn": nn.ReLU, "lstm_hidden_size": 12},
    )
    with torch.no_grad():  # the last layer begins near zero, which would hide differences
        for parameter in model.policy.parameters():
            parameter.mul_(3.0)
    layers, lstm = actor(model)
    assert lstm is not None
    exported = NumpyPolicy("x", "", layers, {}, lstm=lstm)
    memory, state = np.zeros((7, exported.memory_size)), None
    seen = np.random.default_rng(0).uniform(-3, 3, (50, 7, 6)).astype(np.float32)
    for row in seen:
        outputs, memory = exported.outputs(row.astype(np.float64), memory)
        predicted, state = model.predict(row, state, deterministic=True)
        assert np.abs(np.clip(outputs, -1, 1) - predicted).max() < 1e-6
    assert len(np.unique(predicted)) > 5


def test_act__carries_the_memory__and_what_was_seen_matters(policy: NumpyPolicy, tmp_path: Path) -> None:
    loaded = load_policy(tmp_path / "policy.npz", strategies=3)
    assert np.array_equal(act(loaded, A)[0], act(policy, A)[0])
    _, after_a = act(policy, A)
    _, after_b = act(policy, B)
    assert after_a is not None
    assert after_a.shape == (1, 2 * UNITS)
    assert np.abs(act(policy, C, after_a)[0] - act(policy, C, after_b)[0]).max() > 1e-3
    assert act(load_policy("greedy"), A)[1] is None


def test_act__without_or_with_a_wrong_memory__refused(policy: NumpyPolicy) -> None:
    with pytest.raises(PolicyMemoryError, match=r"agent\.policies\.load\.act"):
        policy.act(A)
    for wrong in (np.zeros((1, 3)), np.zeros((2, 2 * UNITS)), np.full((1, 2 * UNITS), np.nan)):
        with pytest.raises(PolicyMemoryError, match="10 numbers per vault"):
            act(policy, A, wrong)


def test_load__lstm_that_is_damaged__refused(policy: NumpyPolicy, tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "policy.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(PolicyDigestError, match="truncated"):
        load_policy(path)
    layers = [(np.zeros((UNITS, 3)), np.zeros(3))]
    good = make_lstm(rng, vector_size(3))
    cut = Lstm(good.inputs[:-1], good.hidden, good.bias)
    with pytest.raises(PolicyShapeError, match="LSTM"):
        save_policy(tmp_path / "other.npz", layers, MANIFEST, lstm=cut)
    with pytest.raises(PolicyFileError, match="diverged"):
        save_policy(tmp_path / "other.npz", layers, MANIFEST, lstm=Lstm(good.inputs, good.hidden * np.nan, good.bias))
    with pytest.raises(PolicyFileError, match="step_seconds"):
        save_policy(tmp_path / "other.npz", layers, {"name": "x", "strategies": NAMES}, lstm=good)
    assert not (tmp_path / "other.npz").exists()


def test_recall__moves_on_once_per_step__however_often_one_looks(policy: NumpyPolicy) -> None:
    day = 86_400
    first, kept = act_and_recall(policy, A, 1_000, None)
    assert np.array_equal(first, act(policy, A)[0])
    for hour in range(1, 20):  # looking again is not living through another day
        wanted, kept = act_and_recall(policy, B, 1_000 + 3_600 * hour, kept)
        assert np.array_equal(wanted, act(policy, B)[0])
    _, after_b = act(policy, B)
    wanted, kept = act_and_recall(policy, C, 1_000 + day - 12, kept)  # a block early
    assert np.array_equal(wanted, act(policy, C, after_b)[0])
    assert not np.array_equal(wanted, act(policy, C)[0])


def test_recall__stored_and_read__is_the_same(policy: NumpyPolicy) -> None:
    _, kept = act_and_recall(policy, A, 1_000, None)
    assert kept is not None
    again = Recall.from_json(json.loads(json.dumps(kept.to_json())))
    for timestamp in (1_000, 90_000):
        one, two = act_and_recall(policy, B, timestamp, kept), act_and_recall(policy, B, timestamp, again)
        assert np.array_equal(one[0], two[0])
    with pytest.raises(ObservationError, match="damaged"):
        Recall.from_json({**kept.to_json(), "after": [1.0]})


def test_recall__of_another_policy__forgotten(policy: NumpyPolicy) -> None:
    _, kept = act_and_recall(policy, A, 1_000, None)
    assert kept is not None
    other = Recall("0x" + "11" * 32, kept.before, kept.after, kept.started)
    assert np.array_equal(act_and_recall(policy, B, 90_000, other)[0], act(policy, B)[0])
    assert act_and_recall(load_policy("greedy"), B, 90_000, kept)[1] is None


def test_backtest__carries_the_memory_from_row_to_row(policy: NumpyPolicy, market: SyntheticMarket) -> None:
    path = market.sample(np.random.default_rng(5), 3, 30)
    setting = Setting(Limits.uniform(3))
    shown: list[Observation] = []

    def forget(_: int, seen: Observation) -> np.ndarray:
        shown.append(seen)
        return act(policy, seen)[0]

    remembering, forgetting = run(policy, path, setting), simulate("forgets", forget, path, setting)
    assert np.array_equal(remembering.weights[:, 0], forgetting.weights[:, 0])  # the first decision knows nothing yet
    assert np.abs(remembering.weights - forgetting.weights).max() > 0.01
