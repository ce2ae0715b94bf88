from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from agent.backtest import Setting, run
from agent.envs.presets import defi_config
from agent.errors import DivergedError, PolicyShapeError, PresetError, ShapeError
from agent.market.lending import SyntheticMarket, shipped_market
from agent.market.path import MarketPath
from agent.policies.load import load_policy
from agent.policies.network import forward
from agent.training.learner import actor
from agent.training.preset import Preset, load_preset, preset_names
from agent.training.train import TrainingResult, train
from agent.vault.limits import Limits


def _preset(**changes: object) -> Preset:
    """The quick preset without its clock, so that runs end at the same step everywhere."""
    return load_preset("quick").model_copy(update={"seconds": 1e6, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return train(_preset(), Limits.uniform(3), tmp_path_factory.mktemp("policy") / "policy.npz", names=("x", "y", "z"))


@pytest.mark.slow
def test_train__beats_equal_weight_on_markets_it_never_saw(trained: TrainingResult, market: SyntheticMarket) -> None:
    path = market.sample(np.random.default_rng(31_337), 32, 181)
    setting = Setting(Limits.uniform(3))
    learned = run(load_policy(trained.path), path, setting).annual_return
    equal = run(load_policy("equal-weight"), path, setting).annual_return
    assert (learned - equal).mean() > 0.002
    assert (learned > equal).mean() > 0.9


def test_export__numpy_equals_torch(trained: TrainingResult) -> None:
    model = PPO.load(trained.path.with_suffix(".zip"), device="cpu")  # plain, without our environment
    seen = np.random.default_rng(0).uniform(-3, 3, (500, trained.policy.layers[0][0].shape[0])).astype(np.float32)
    exported = forward(trained.policy.layers, seen.astype(np.float64))
    predicted, _ = model.predict(seen, deterministic=True)
    assert np.abs(np.clip(exported, -1, 1) - predicted).max() < 1e-6
    assert len(np.unique(predicted)) > 500  # not all at the bounds
    with torch.no_grad():
        latent = model.policy.double().mlp_extractor.policy_net(torch.as_tensor(seen.astype(np.float64)))
        assert np.abs(exported - model.policy.action_net(latent).numpy()).max() < 1e-12


def test_train__manifest__says_where_the_policy_comes_from(trained: TrainingResult) -> None:
    manifest = json.loads(trained.path.with_suffix(".json").read_text())
    assert manifest["strategies"] == ["x", "y", "z"]
    assert manifest["observation"] == "chain-2"
    assert manifest["layers"] == [[18, 64], [64, 64], [64, 3]]
    assert manifest["limits"]["relative_caps"] == [0.6] * 3
    assert manifest["training"]["preset"]["seed"] == 1
    assert manifest["training"]["market"]["digest"] == shipped_market(("x", "y", "z")).digest
    names = [entry["policy"] for entry in manifest["evaluation"]["policies"]]
    assert names == ["ppo", "equal-weight", "hold", "greedy", "greedy-band"]
    assert manifest["digest"] == trained.policy.digest == load_policy(trained.path).digest


def test_train__manifest__cost_of_a_leg_of_an_equal_share_of_nav(tmp_path: Path) -> None:
    quick = _preset(steps=600).model_dump() | {"warm_start": None}
    quick["env"] = load_preset("defi").env.model_dump()
    preset = Preset.model_validate(quick)
    trained = train(preset, preset.env_config().limits, tmp_path / "policy.npz")
    costs = defi_config().costs
    expected = np.mean(np.asarray(costs.entry) + np.asarray(costs.impact) * 1e7 / 5)
    assert json.loads(trained.path.with_suffix(".json").read_text())["evaluation"]["cost_per_leg"] == pytest.approx(
        expected
    )


def test_train__curve__keeps_the_best(trained: TrainingResult) -> None:
    manifest = json.loads(trained.path.with_suffix(".json").read_text())
    scores = [point["score"] for point in trained.curve]
    assert manifest["training"]["best_score"] == max(scores)  # type: ignore[type-var]
    assert json.loads(trained.path.with_suffix(".curve.json").read_text()) == trained.curve
    assert [point["steps"] for point in trained.curve] == sorted(point["steps"] for point in trained.curve)  # type: ignore[type-var]


def test_train__same_seed_same_policy_other_seed_another(tmp_path: Path) -> None:
    short = {"steps": 5_000}
    layers = [
        train(_preset(**short, seed=seed), Limits.uniform(3), tmp_path / f"{i}.npz").policy.layers
        for i, seed in enumerate((4, 4, 5))
    ]
    assert all(
        np.array_equal(a, b)
        for one, two in zip(layers[0], layers[1], strict=True)
        for a, b in zip(one, two, strict=True)
    )
    assert not np.array_equal(layers[0][0][0], layers[2][0][0])


class _Recording:
    """A market that notes what is drawn from it."""

    def __init__(self, market: SyntheticMarket) -> None:
        self.market, self.names, self.states = market, market.names, list[int]()

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        self.states.append(rng.bit_generator.state["state"]["state"])  # type: ignore[index]
        return self.market.sample(rng, batch, length)


def test_train__leaves_no_logs_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    train(_preset(steps=2_000), Limits.uniform(3), tmp_path / "policy.npz")
    assert list(elsewhere.glob("SB3-*")) == []  # torch caches what it compiles there


def test_fault_8_training__uses_the_market_it_is_given_and_is_scored_on_other_paths(tmp_path: Path) -> None:
    market = _Recording(shipped_market())
    train(_preset(steps=2_000), Limits.uniform(3), tmp_path / "policy.npz", market=market)
    assert len(market.states) >= 3  # to train on, to choose the best by, to test
    assert len(set(market.states)) == len(market.states)


@pytest.mark.slow
def test_train__seconds__ends_in_time(tmp_path: Path) -> None:
    result = train(_preset(seconds=2.0, steps=10**9), Limits.uniform(3), tmp_path / "policy.npz")
    assert 2.0 <= result.seconds < 8.0


def test_train__numbers_that_disagree__refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="limits are for 4"):
        train(_preset(), Limits.uniform(4), tmp_path / "policy.npz")


def test_fault_10_diverged_training__writes_no_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(self: PPO, *_: object, **__: object) -> None:
        with torch.no_grad():
            self.policy.action_net.weight.fill_(float("nan"))

    monkeypatch.setattr(PPO, "train", diverge)
    with pytest.raises(DivergedError, match="lower the learning rate"):
        train(_preset(steps=5_000), Limits.uniform(3), tmp_path / "policy.npz")
    assert not list(tmp_path.iterdir())


def test_actor_layers__other_activation__refused(market: SyntheticMarket) -> None:
    model = PPO("MlpPolicy", "Pendulum-v1", policy_kwargs={"activation_fn": torch.nn.Tanh}, device="cpu")
    with pytest.raises(PolicyShapeError, match="Tanh"):
        actor(model)[0]


def test_presets__all_that_are_shipped__load() -> None:
    assert set(preset_names()) >= {"demo", "quick"}
    for name in preset_names():
        assert load_preset(name).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name='x'\nseconds=1\nsteps=1\nlearning_rate=1", "learning_rate: unknown key"),
        ("name='x'\nseconds=1\nsteps=1\n[ppo]\nbatchsize=1", "ppo.batchsize: unknown key"),
        ("name='x'\nseconds=1\nsteps=1\n[ppo]\nbatch_size=1000", "batch_size must divide"),
        ("name='x'\nseconds=-1\nsteps=1", "seconds"),
        ("name='x'\nsteps=1", "seconds: Field required"),
        ("name=", "not valid TOML"),
    ],
)
def test_load_preset__bad__says_which_entry(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "preset.toml"
    file.write_text(text)
    with pytest.raises(PresetError, match=message):
        load_preset(file)


def test_load_preset__unknown__names_what_there_is() -> None:
    with pytest.raises(PresetError, match="demo"):
        load_preset("dmeo")
