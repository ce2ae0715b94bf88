"""Training: PPO, with or without memory, on the batched environment, within a budget of time or steps.

From time to time the exported form of the network is scored on markets that training never sees, and the best one is
kept. At the end it is compared with the baselines on a third set of markets. The manifest records all of this.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.backtest import compare
from agent.digest import digest_of
from agent.envs.vec import VaultVecEnv
from agent.errors import DivergedError, ShapeError
from agent.market.lending import SyntheticMarket, shipped_market
from agent.market.path import Market
from agent.observation.observe import vector_names
from agent.policies.files import save_policy
from agent.policies.network import NumpyPolicy
from agent.policies.rules import BASELINES
from agent.training.imitate import imitate
from agent.training.learner import actor, draft, make_learner
from agent.training.preset import Preset, typical_setting
from agent.training.watch import Progress, Watch, load_checkpoint
from agent.vault.limits import Limits


@dataclass(frozen=True)
class TrainingResult:
    """A finished training run.

    Attributes
    ----------
    policy
        The exported policy, as loaded back from its file.
    path
        Its parameters (`.npz`); the manifest (`.json`) and the model for `PPO.load` (`.zip`) lie beside it.
    curve
        Points of the run: `steps`, `seconds`, `train_reward` (per episode; none before the first has ended) and
        `score` (mean reward per step on the evaluation markets).
    evaluation
        Figures of the policy and of every baseline on the test markets; see `agent.backtest`.
    steps, seconds
        Steps of the environments, and time, that the run took.
    """

    policy: NumpyPolicy
    path: Path
    curve: list[dict[str, float | None]]
    evaluation: list[dict[str, float | str]]
    steps: int
    seconds: float


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often a run is saved, so that it can go on after it was killed.

    Attributes
    ----------
    folder
        Folder of the newest checkpoint.
    every_seconds
        Time between two checkpoints.
    resume
        Whether to go on from the checkpoint in the folder.
    """

    folder: Path
    every_seconds: float = 60.0
    resume: bool = False


def train(
    preset: Preset,
    limits: Limits | None,
    out: Path | str,
    *,
    market: Market | None = None,
    names: tuple[str, ...] | None = None,
    progress: bool = False,
    checkpoints: Checkpoints | None = None,
    tensorboard: Path | None = None,
    on_score: Callable[[float], None] | None = None,
    device: str = "cpu",
) -> TrainingResult:
    """Train, keep the best, export and evaluate.

    Parameters
    ----------
    preset
        Everything about the run except the limits and the market.
    limits
        The vault's limits: a policy is trained under those it will serve under. The environment's own if none.
    out
        File of the policy, `.npz`.
    market
        Market that paths are drawn from; the environment's own by default. To replay history afterwards, give
        `agent.market.lending.fitted_market(history.before(first_day))`.
    names
        The vault's names of its strategies, for the manifest; the market's names by default.
    progress
        Whether to draw a progress bar on standard error.
    checkpoints
        Where to save the run and resume it from; none by default.
    tensorboard
        Folder for TensorBoard's logs; none by default.
    on_score
        Called with every score on the evaluation markets as it is known; an error that it raises ends the run.
    device
        `cpu`, `cuda` or `auto`. It is no part of the run's identity: a run may go on on another device.

    Raises
    ------
    DivergedError
        If training diverged. Nothing is written then.
    CheckpointError
        If the run cannot go on from the checkpoint.
    DeviceError
        If torch cannot use the device.
    """
    source = _market(preset, names) if market is None else market
    labels = source.names if names is None else names
    config = preset.env_config(limits)
    if not len(labels) == len(source.names) == config.limits.count:
        raise ShapeError(
            f"the market has {len(source.names)} strategies, the limits are for {config.limits.count} and there are "
            f"{len(labels)} names: they must agree"
        )
    torch.set_num_threads(preset.ppo.torch_threads)
    train_seed, score_seed, test_seed, learner_seed = np.random.SeedSequence(preset.seed).spawn(4)
    rng, table, look = np.random.default_rng(train_seed), preset.market, preset.evaluation
    env = VaultVecEnv(source, config, preset.ppo.envs, rng, bank_paths=table.bank_paths, bank_rows=table.bank_rows)
    model = make_learner(preset, env, int(learner_seed.generate_state(1)[0]), tensorboard, device)
    key = run_key(preset, limits, source)
    if checkpoints is not None and checkpoints.resume:
        so_far = load_checkpoint(checkpoints.folder, key, model, rng)
    else:
        began = time.monotonic()
        if preset.warm_start is not None:
            imitate(model, env.engine, preset.warm_start)
        so_far = Progress(elapsed=time.monotonic() - began)
    score_bank = source.sample(np.random.default_rng(score_seed), look.paths, config.path_rows)
    watch = Watch(
        preset,
        config,
        score_bank,
        so_far,
        rng,
        bar=progress,
        checkpoints=None if checkpoints is None else checkpoints.folder,
        every=60.0 if checkpoints is None else checkpoints.every_seconds,
        key=key,
        on_score=on_score,
    )
    left = preset.steps - model.num_timesteps
    try:
        if left > 0:
            model.learn(left, callback=watch, reset_num_timesteps=False, tb_log_name=preset.name)
        else:
            watch.init_callback(model)
        watch.finish()
    except ValueError as error:
        if all(parameter.isfinite().all() for parameter in model.policy.parameters()):
            raise
        raise DivergedError("training diverged: lower the learning rate in the preset") from error

    test_path = source.sample(np.random.default_rng(test_seed), look.test_paths, look.test_rows + 1)
    rivals = [make() for make in BASELINES.values()]
    setting = typical_setting(config)
    leg = setting.costs.of_leg(setting.nav / len(labels))
    evaluation = compare([draft(model, config.version), *rivals], test_path, setting)
    manifest = {
        "name": preset.algorithm,
        "strategies": list(labels),
        "inputs": list(vector_names(labels, config.version)),
        "limits": config.limits.record(),
        "step_seconds": float(test_path.timestamps[1] - test_path.timestamps[0]),
        "training": {
            "market": _market_json(source),
            "preset": preset.model_dump(mode="json"),
            "steps": model.num_timesteps,
            "best_score": watch.progress.best_score,
        },
        "evaluation": {
            "markets": "test markets drawn from the training market's model",
            "nav": setting.nav,
            "cost_per_leg": float(np.mean(np.asarray(leg.entry) + np.asarray(leg.exit)) / 2.0),
            "policies": evaluation,
        },
    }
    path = Path(out).with_suffix(".npz")
    layers, lstm = actor(model)
    policy = save_policy(path, layers, manifest, config.version, lstm)
    model.save(path.with_suffix(".zip"))
    path.with_suffix(".curve.json").write_text(json.dumps(watch.curve, indent=1) + "\n", encoding="utf-8")
    return TrainingResult(policy, path, watch.curve, evaluation, model.num_timesteps, watch.elapsed)


def _market(preset: Preset, names: tuple[str, ...] | None) -> Market:
    """Return the environment's own market; lending's exists for any number of strategies."""
    return shipped_market(names) if preset.env.preset == "lending" else preset.env_preset.market()


def run_key(preset: Preset, limits: Limits | None, market: Market) -> str:
    """Return the digest of a run: preset without its budget, every limit, and market."""
    behind = preset.env_config(limits).limits.record()
    return digest_of({"preset": _identity(preset), "limits": behind, "market": _market_json(market)})


def _identity(preset: Preset) -> dict[str, Any]:
    """Return the part of a preset that may not change when a run goes on: all but its budget."""
    return preset.model_dump(mode="json", exclude={"seconds", "steps"})


def _market_json(market: Market) -> dict[str, Any]:
    if isinstance(market, SyntheticMarket):
        return {"kind": "synthetic", "digest": market.digest, "fitted_to": market.model.fitted_to}
    description: dict[str, Any] | None = getattr(market, "description", None)
    if description is not None:
        return description
    digest = getattr(market, "digest", None) or digest_of(list(market.names))
    return {"kind": type(market).__name__, "digest": digest}
