"""Around the learning: checkpoints and resuming, early stop, warm start, memory, other environments."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sb3_contrib import RecurrentPPO

from agent.commands.train import train as train_command
from agent.envs.vec import VaultVecEnv
from agent.errors import CheckpointError, PresetError
from agent.market.lending import SyntheticMarket, shipped_market
from agent.observation.observe import CHAIN, DEFI, RWA
from agent.policies.actions import to_weights
from agent.policies.load import load_policy
from agent.policies.rules import BASELINES
from agent.training.imitate import actions_for, imitate
from agent.training.learner import draft, make_learner
from agent.training.preset import Preset, WarmStartTable, load_preset, typical_setting
from agent.training.train import Checkpoints, train
from agent.training.watch import CHECKPOINT, Watch, mean_reward
from agent.vault.limits import Limits

LIMITS = Limits.uniform(3)
STEP = 128 * 16  # transitions between two updates of the quick preset


def preset(**changes: Any) -> Preset:
    """The quick preset without its clock; tables are changed entry by entry."""
    base = {**load_preset("quick").model_dump(mode="json"), "seconds": 1e6}
    for key, value in changes.items():
        base[key] = {**(base[key] or {}), **value} if isinstance(value, dict) else value
    return Preset.model_validate(base)


# --- checkpoints -------------------------------------------------------------------------------------------------


class _KilledError(Exception):
    """As if the process had died."""


def _killed_run(folder: Path, monkeypatch: pytest.MonkeyPatch, run: Preset, after: int) -> None:
    """Train with a checkpoint after every update, and die right after checkpoint number `after`."""
    count, save = 0, Watch.save

    def save_and_die(self: Watch) -> None:
        nonlocal count
        save(self)
        count += 1
        if count == after:
            raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "save", save_and_die)
        with pytest.raises(_KilledError):
            train(run, LIMITS, folder / "policy.npz", checkpoints=Checkpoints(folder, 0.0))


def test_resume__killed_run__goes_on_from_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = preset(steps=8 * STEP, evaluation={"every_steps": STEP})
    _killed_run(tmp_path, monkeypatch, run, after=5)
    assert not (tmp_path / "policy.npz").exists()
    saved = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert saved["steps"] == 4 * STEP
    begun: list[dict[str, Any]] = []
    start = Watch._on_training_start

    def look(self: Watch) -> None:
        start(self)
        policy = self.model.policy
        begun.append(deepcopy({"optimizer": policy.optimizer.state_dict(), "policy": policy.state_dict()}))

    monkeypatch.setattr(Watch, "_on_training_start", look)
    results = [
        train(run, LIMITS, tmp_path / f"{i}.npz", checkpoints=Checkpoints(_copy(tmp_path, i), 1e9, resume=True))
        for i in range(2)
    ]
    for state in begun:
        for name, weights in saved["policy"].items():
            assert torch.equal(state["policy"][name], weights)
        for index, moments in saved["optimizer"]["state"].items():
            assert torch.equal(state["optimizer"]["state"][index]["exp_avg"], moments["exp_avg"])
            assert moments["exp_avg"].abs().max() > 0
    first, second = results
    assert first.steps >= 8 * STEP
    before = saved["progress"]["curve"]
    assert len(before) == 5
    assert first.curve[:5] == before
    assert [point["steps"] for point in first.curve][5:8] == [5 * STEP, 6 * STEP, 7 * STEP]
    assert first.seconds > saved["progress"]["elapsed"]
    best = json.loads((tmp_path / "0.json").read_text())["training"]["best_score"]
    assert best == max(point["score"] or -np.inf for point in first.curve) >= saved["progress"]["best_score"]
    for one, two in zip(first.policy.layers, second.policy.layers, strict=True):  # the same random numbers
        assert np.array_equal(one[0], two[0])


def test_resume__random_numbers__are_those_of_a_run_that_was_never_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = preset(steps=5 * STEP)
    drawn: list[dict[int, tuple[float, float]]] = [{}, {}]
    begin, which = Watch._on_rollout_start, 0

    def look(self: Watch) -> None:
        begin(self)
        drawn[which][self.num_timesteps] = float(torch.rand(1)), float(np.random.rand())  # noqa: NPY002

    monkeypatch.setattr(Watch, "_on_rollout_start", look)
    train(run, LIMITS, tmp_path / "whole.npz")
    which = 1
    _killed_run(tmp_path, monkeypatch, run, after=3)
    train(run, LIMITS, tmp_path / "policy.npz", checkpoints=Checkpoints(tmp_path, 1e9, resume=True))
    assert drawn[1] == drawn[0]
    assert len(set(drawn[0].values())) == 5


def _copy(folder: Path, number: int) -> Path:
    copy = folder / f"copy-{number}"
    copy.mkdir()
    (copy / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes())
    return copy


def test_resume__best_network_of_before__is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = preset(steps=4 * STEP, evaluation={"every_steps": STEP})
    _killed_run(tmp_path, monkeypatch, run, after=3)
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    content["progress"]["best_score"] = 1e9  # whatever comes is worse
    torch.save(content, tmp_path / CHECKPOINT)
    policy = train(run, LIMITS, tmp_path / "policy.npz", checkpoints=Checkpoints(tmp_path, resume=True)).policy
    kept = content["progress"]["best"]["action_net.weight"].numpy().T
    assert np.array_equal(policy.layers[-1][0], kept.astype(np.float64))


def test_resume__other_run_or_damaged_or_none__refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = preset(steps=4 * STEP)
    here = Checkpoints(tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="start the training anew"):
        train(run, LIMITS, tmp_path / "policy.npz", checkpoints=here)
    _killed_run(tmp_path, monkeypatch, run, after=1)
    with pytest.raises(CheckpointError, match="another preset"):
        train(preset(steps=4 * STEP, seed=9), LIMITS, tmp_path / "policy.npz", checkpoints=here)
    with pytest.raises(CheckpointError, match="another preset"):
        train(run, Limits.uniform(3, 0.5), tmp_path / "policy.npz", checkpoints=here)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot go on"):
        train(run, LIMITS, tmp_path / "policy.npz", checkpoints=here)


# --- early stop, logs, kinds -------------------------------------------------------------------------------------


def test_patience__no_better_score__ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.training.watch.mean_reward", lambda *_: 0.5)
    run = preset(steps=50 * STEP, evaluation={"every_steps": STEP, "patience": 3})
    result = train(run, LIMITS, tmp_path / "policy.npz")
    assert result.steps < 5 * STEP
    assert train(preset(steps=6 * STEP, evaluation={"every_steps": STEP}), LIMITS, tmp_path / "b.npz").steps == 6 * STEP


def test_tensorboard__folder_given__holds_the_score(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = preset(steps=3 * STEP, evaluation={"every_steps": STEP})
    train(run, LIMITS, tmp_path / "policy.npz", tensorboard=tmp_path / "logs")
    (folder,) = (tmp_path / "logs").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    assert {"evaluation/score", "train/value_loss", "rollout/ep_rew_mean"} <= set(events.Tags()["scalars"])


def test_recurrent__same_preset_file__exports_a_policy_with_memory(tmp_path: Path) -> None:
    run = preset(algorithm="recurrent-ppo", steps=4 * STEP, ppo={"lstm_units": 16, "hidden": [16]})
    result = train(run, LIMITS, tmp_path / "policy.npz")
    assert result.policy.memory_size == 32
    assert result.policy.step_seconds == 86_400
    model = RecurrentPPO.load(tmp_path / "policy.zip", device="cpu")
    memory, state = np.zeros((4, 32)), None
    for row in np.random.default_rng(0).uniform(-1, 1, (10, 4, 18)).astype(np.float32):
        outputs, memory = result.policy.outputs(row.astype(np.float64), memory)
        predicted, state = model.predict(row, state, deterministic=True)
        assert np.abs(np.clip(outputs, -1, 1) - predicted).max() < 1e-6


@pytest.mark.parametrize("name", ["defi", "rwa"])
def test_train__other_environments__own_market_limits_and_observation(name: str, tmp_path: Path) -> None:
    small: dict[str, Any] = {
        "env": {"preset": name, "episode_rows": 24, "warm_up_rows": 0},
        "market": {"bank_paths": 8},
        "evaluation": {"paths": 4, "test_paths": 4, "test_rows": 24},
    }
    result = train(preset(steps=2 * STEP, **small), None, tmp_path / "policy.npz")
    assert result.policy.version == {"defi": DEFI, "rwa": RWA}[name]
    assert load_policy(result.path, version=result.policy.version).digest == result.policy.digest


def test_preset__ranges__reach_the_environment_and_the_middle_is_tested() -> None:
    config = preset(env={"nav": [1e4, 1e8], "leg_cost": [1e-4, 4e-4], "gas_base": 1.0}).env_config(LIMITS)
    assert config.nav == (1e4, 1e8)
    assert config.costs.gas_base == 1.0
    setting = typical_setting(config)
    assert setting.nav == pytest.approx(1e6)
    assert np.asarray(setting.costs.entry) == pytest.approx(2e-4)
    with pytest.raises(PresetError, match="concentration_price"):
        preset(env={"reward": {"concentration": 1.0}}).env_config(LIMITS)
    with pytest.raises(PresetError, match="lending"):
        preset(env={"preset": "landing"}).env_config(LIMITS)


# --- warm start --------------------------------------------------------------------------------------------------


def test_actions_for__is_the_inverse_of_to_weights(rng: np.random.Generator) -> None:
    nav = np.full(200, 1e6)
    weights = LIMITS.project(2.0 + rng.normal(0, 0.5, (200, 3)), nav)  # all that may be deployed is
    again = LIMITS.project(to_weights(CHAIN, actions_for(CHAIN, weights, LIMITS, nav)), nav)
    assert np.abs(again - weights).max() < 1e-3
    five = Limits.uniform(5, 0.4)
    shares = five.project(rng.dirichlet(np.full(5, 0.5), 200), nav)
    assert np.abs(five.project(to_weights(DEFI, actions_for(DEFI, shares, five, nav)), nav) - shares).max() < 1e-6
    three = np.array([[0.4, 0.35, 0.25], [0.6, 0.2, 0.2], [0.3, 0.3, 0.4]])
    assert np.abs(to_weights(RWA, actions_for(RWA, three, LIMITS, nav[:3])) - three).max() < 1e-6


def test_imitate__rule__does_what_the_rule_does(market: SyntheticMarket) -> None:
    run = preset()
    config = run.env_config(LIMITS)
    env = VaultVecEnv(shipped_market(), config, 128, np.random.default_rng(0), bank_paths=64, bank_rows=100)
    bank = market.sample(np.random.default_rng(8), 32, config.path_rows)
    model = make_learner(run, env, 1)
    before = draft(model, config.version)
    imitate(model, env.engine, WarmStartTable(rule="greedy", rows=100, epochs=30))
    after = draft(model, config.version)
    seen = env.engine.observe()
    nav = env.engine.state.nav
    wanted = LIMITS.project(BASELINES["greedy"]().act(seen), nav)
    far, near = (np.abs(LIMITS.project(policy.act(seen), nav) - wanted).mean() for policy in (before, after))
    assert near < 0.07 < 0.15 < far
    assert mean_reward(after, bank, config) > mean_reward(before, bank, config) + 0.02


# --- the command -------------------------------------------------------------------------------------------------


def test_command__resume__goes_on_with_the_options_of_the_start(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    text = "name='tiny'\nseconds=600\nsteps={}\n[ppo]\nenvs=64\nn_steps=16\nbatch_size=1024\n[market]\nbank_paths=8\n"
    file.write_text(text.format(3072) + "[evaluation]\npaths=4\ntest_paths=4\ntest_rows=30\n")
    out, folder = tmp_path / "policy.npz", tmp_path / "run"
    options = ["--preset", str(file), "--out", str(out), "--seed", "7", "--checkpoints", str(folder), "--quiet"]
    done = CliRunner().invoke(train_command, [*options, "--checkpoint-every", "0", "--json"])
    assert done.exit_code == 0, done.output
    first = json.loads(done.stdout)
    assert first["steps"] == 3072
    file.write_text(text.format(6144) + "[evaluation]\npaths=4\ntest_paths=4\ntest_rows=30\n")  # a larger budget
    done = CliRunner().invoke(train_command, ["--resume", str(folder), "--quiet", "--json"])
    assert done.exit_code == 0, done.output
    second = json.loads(done.stdout)
    assert second["steps"] == 6144
    assert second["curve"][: len(first["curve"])] == first["curve"]
    assert json.loads(out.with_suffix(".json").read_text())["training"]["preset"]["seed"] == 7


def test_command__resume_without_a_run__says_what_to_give(tmp_path: Path) -> None:
    done = CliRunner().invoke(train_command, ["--resume", str(tmp_path)])
    assert isinstance(done.exception, CheckpointError)
    assert "--checkpoints" in str(done.exception)
