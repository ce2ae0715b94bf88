from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner

import agent.training.sweep as module
from agent.cli import cli
from agent.errors import PolicyFileError, SweepError
from agent.market.lending import SyntheticMarket
from agent.parallel.tasks import TaskResult
from agent.policies.files import load_integer
from agent.training.preset import Preset, load_preset, preset_names, preset_toml
from agent.training.sweep import Search, own_parameters, run_trial, sweep, with_parameters
from agent.vault.limits import Limits


def _preset(**changes: Any) -> Preset:
    """The quick preset, smaller still, and without its clock."""
    preset = load_preset("quick")
    look = preset.evaluation.model_copy(update={"every_steps": 2_000, "paths": 4})
    return preset.model_copy(update={"seconds": 1e6, "steps": 6_000, "evaluation": look, **changes})


@pytest.fixture
def search(tmp_path: Path, market: SyntheticMarket) -> Search:
    return Search(_preset(), Limits.uniform(3), market, None, f"sqlite:///{tmp_path}/sweep.db", "first", 3, seed=5)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the tasks in this process, where training can be replaced."""

    def run_tasks(function: Callable[[Any], Any], items: Sequence[Any], **_: Any) -> list[TaskResult[Any]]:
        return [TaskResult(index, "", function(item)) for index, item in enumerate(items)]

    monkeypatch.setattr(module, "run_tasks", run_tasks)


def _training(monkeypatch: pytest.MonkeyPatch, score: Callable[[Preset, int], float], looks: int = 6) -> list[Preset]:
    """Replace training by something that is only scored, and return the presets it will have been called with."""
    called: list[Preset] = []

    def train(preset: Preset, *_: Any, on_score: Callable[[float], None], **__: Any) -> None:
        called.append(preset)
        for look in range(looks):
            on_score(score(preset, look))

    monkeypatch.setattr(module, "train", train)
    return called


@pytest.mark.slow
def test_sweep__workers_share_a_study__that_goes_on_and_ends_in_a_preset(search: Search, tmp_path: Path) -> None:
    first = sweep(search, workers=2)
    assert [trial["number"] for trial in first.trials] == [0, 1, 2]
    assert {trial["state"] for trial in first.trials} == {"complete"}
    assert first.score == max(trial["score"] for trial in first.trials)
    own = first.trials[0]
    assert first.own_score == own["score"]
    assert (own["learning_rate"], own["n_steps"], own["hidden"], own["minibatches"]) == (1e-3, 16, "64x64", 2)
    assert len({trial["learning_rate"] for trial in first.trials}) == 3
    assert sweep(search).trials == first.trials  # nothing is missing
    assert len(sweep(replace(search, trials=4), workers=1).trials) == 4

    file = tmp_path / "best.toml"
    file.write_text(preset_toml(first.preset))
    best = load_preset(file)
    assert best == first.preset
    chosen = first.trials[first.number]
    assert best.ppo.learning_rate == chosen["learning_rate"]
    assert best.ppo.batch_size * chosen["minibatches"] == best.ppo.envs * chosen["n_steps"]
    assert best.steps == search.preset.steps
    with pytest.raises(SweepError, match="another preset"):
        sweep(replace(search, preset=_preset(seed=9)))


@pytest.mark.slow
def test_run_trial__same_seed_same_trials_other_seed_others(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: None
) -> None:
    called = _training(monkeypatch, lambda preset, look: -abs(preset.ppo.learning_rate - 0.002))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sweep(replace(search, storage=f"sqlite:///{tmp_path}/{name}.db", trials=4, seed=seed))
    assert called[:4] == called[4:8]
    assert called[0] == called[8]  # the preset itself
    assert all(one != other for one, other in zip(called[1:4], called[9:], strict=True))


def test_sweep__runs_behind_the_median__are_given_up(
    search: Search, monkeypatch: pytest.MonkeyPatch, here: None
) -> None:
    seen = iter(range(100))
    quality = {}

    def score(preset: Preset, look: int) -> float:
        key = preset.ppo.learning_rate, preset.ppo.clip_range
        return look + quality.setdefault(key, -float(next(seen)))  # each trial is worse than those before it

    called = _training(monkeypatch, score)
    result = sweep(replace(search, trials=8))
    assert [trial["state"] for trial in result.trials] == ["complete"] * 5 + ["pruned"] * 3
    assert len(called) == 8
    assert result.number == 0
    assert [trial["score"] for trial in result.trials][5:] == [None] * 3


def test_sweep__training_fails__says_why(search: Search, monkeypatch: pytest.MonkeyPatch, here: None) -> None:
    def diverge(preset: Preset, look: int) -> float:
        raise PolicyFileError("training diverged")

    _training(monkeypatch, diverge)
    with pytest.raises(SweepError, match="training diverged"):
        sweep(search)
    study = optuna.load_study(study_name="first", storage=search.storage)
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 3
    _training(monkeypatch, lambda preset, look: 1.0)
    assert sweep(search).score == 1.0  # the failed ones are tried again
    assert run_trial(search) is None  # enough have been finished


@pytest.mark.parametrize("storage", ["nonsense", "postgresql://nowhere/x", "sqlite:////proc/none/x.db"])
def test_sweep__storage_that_cannot_be_used__refused(search: Search, storage: str) -> None:
    with pytest.raises(SweepError, match="storage"):
        sweep(replace(search, storage=storage))


@pytest.mark.parametrize("name", preset_names())
def test_preset_toml__reads_back_as_the_same_preset(name: str, tmp_path: Path) -> None:
    preset = load_preset(name)
    file = tmp_path / "same.toml"
    file.write_text(preset_toml(preset))
    assert load_preset(file) == preset
    assert tomllib.loads(file.read_text())["ppo"]["envs"] == preset.ppo.envs
    own = own_parameters(preset)
    again = with_parameters(preset, own, preset.name)
    assert again.ppo.hidden == preset.ppo.hidden
    assert again.ppo.gamma == pytest.approx(preset.ppo.gamma)


@pytest.mark.slow
def test_cli__sweep_then_train_then_export_integers(tmp_path: Path) -> None:
    small = tmp_path / "small.toml"
    small.write_text(preset_toml(_preset(steps=4_000)))
    run = CliRunner().invoke
    options = ["--trials", "1", "--workers", "1", "--quiet", "--json", "--out", str(tmp_path / "best.toml")]
    done = run(cli, ["sweep", "--preset", str(small), "--storage", f"sqlite:///{tmp_path}/x/sweep.db", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    said = json.loads(done.stdout)
    assert len(said["trials"]) == 1
    assert said["score"] == said["own_score"]

    policy, integer = tmp_path / "policy.npz", tmp_path / "integer.npz"
    done = run(cli, ["train", "--preset", said["preset"], "--quiet", "--out", str(policy)])
    assert done.exit_code == 0, (done.output, done.exception)
    command = ["export", str(policy), "--integer", "--paths", "2", "--rows", "60", "--out", str(integer)]
    assert run(cli, [*command[:-1], str(policy)]).exception is not None  # would overwrite the float policy
    done = run(cli, [*command, "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    said = json.loads(done.stdout)
    loaded = load_integer(integer)
    assert said["digest"] == loaded.digest
    assert said["code_bytes"] == len(loaded.network.code())
    assert said["report"]["decisions"] == 2 * 60
    assert said["report"]["cost"] == loaded.manifest["integer_report"]["cost"]
    assert abs(said["report"]["cost"]) < 0.01
    done = run(cli, command)
    assert "share of the headroom" in done.stdout
