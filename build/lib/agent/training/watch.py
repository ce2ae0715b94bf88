"""Watching a training run: end it in time, score the network, keep the best one, and write checkpoints.

The score is the mean reward on markets that training never sees, without exploration.

A checkpoint is one file, written whole or not at all, from which a killed run goes on. It holds no code: reading it
runs none (`torch.load(weights_only=True)`). Weights, optimiser, steps, time spent, the best network, the curve and the
environment's random numbers go on from where they were; episodes that were under way begin anew. The learner's random
numbers need no place in it, since every rollout is seeded from the run's seed and the steps before it.
"""

from __future__ import annotations

import copy
import json
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import FloatSchedule, set_random_seed
from tqdm import tqdm

from agent.envs.engine import Engine, EnvConfig
from agent.errors import CheckpointError, DivergedError
from agent.market.path import MarketPath
from agent.policies.network import NumpyPolicy
from agent.training.learner import Learner, draft
from agent.training.preset import Preset
from agent.units import FloatArray

CHECKPOINT = "checkpoint.pt"
_BAR = "{desc} {percentage:3.0f}%|{bar:30}| {elapsed}{postfix}"


def mean_reward(policy: NumpyPolicy, bank: MarketPath, config: EnvConfig) -> float:
    """Return the mean reward per step, over as many episodes as the bank has paths."""
    return float(episode_rewards(policy, bank, config).mean()) / config.episode_rows


def episode_rewards(policy: NumpyPolicy, bank: MarketPath, config: EnvConfig) -> FloatArray:
    """Return the sum of rewards of one episode per path of the bank, `(P,)`.

    The same bank gives every network the same episodes. An episode that ends early earns nothing more.
    """
    engine = Engine(bank, config, bank.batch, np.random.default_rng(0))
    memory = np.zeros((bank.batch, policy.memory_size))
    going, total = np.ones(bank.batch, dtype=np.bool_), np.zeros(bank.batch)
    seen = engine.observe().vector()
    for _ in range(config.episode_rows):
        outputs, memory = policy.outputs(seen, memory)
        moved = engine.step(outputs)
        total += np.where(going, moved.reward, 0.0)
        going &= ~moved.terminated
        seen = moved.observation
        if not going.any():
            break
    return total


@dataclass
class Progress:
    """How far a run has come, besides the learner itself.

    Attributes
    ----------
    elapsed
        Seconds spent so far.
    best_score, best
        Best mean reward on the evaluation markets, and the network that earned it.
    stale
        Number of scores since then.
    curve
        See `agent.training.train.TrainingResult`.
    """

    elapsed: float = 0.0
    best_score: float = -np.inf
    best: dict[str, torch.Tensor] | None = None
    stale: int = 0
    curve: list[dict[str, float | None]] | None = None


def save_checkpoint(folder: Path, key: str, model: Learner, rng: np.random.Generator, progress: Progress) -> None:
    """Write the state of a run.

    Parameters
    ----------
    folder
        Folder of the checkpoint; made if it is missing.
    key
        Digest that identifies the run (preset, limits, market): only the same run may go on from it.
    model, rng, progress
        The learner, the environment's random numbers, and the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "key": key,
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "rng": json.dumps(rng.bit_generator.state),
        "steps": model.num_timesteps,
        "updates": model._n_updates,
        "progress": {**vars(progress), "best_score": float(progress.best_score)},
    }
    part = folder / (CHECKPOINT + ".part")
    torch.save(content, part)
    part.replace(folder / CHECKPOINT)


def load_checkpoint(folder: Path, key: str, model: Learner, rng: np.random.Generator) -> Progress:
    """Put the state of a run into a new learner and random number generator, and return how far it had come.

    Raises
    ------
    CheckpointError
        If the checkpoint is missing, damaged, or of another run.
    """
    path = folder / CHECKPOINT
    try:
        content = torch.load(path, weights_only=True, map_location=model.device)
        if content["key"] != key:
            raise CheckpointError(
                f"{path} is of a run with another preset, other limits or another market: give those it began with"
            )
        model.policy.load_state_dict(content["policy"])
        model.policy.optimizer.load_state_dict(content["optimizer"])
        rng.bit_generator.state = json.loads(content["rng"])
        model.num_timesteps, model._n_updates = int(content["steps"]), int(content["updates"])
        return Progress(**content["progress"])
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"cannot go on from {path} ({error}): start the training anew") from error


class Watch(BaseCallback):
    """The callback that watches one run.

    Parameters
    ----------
    preset, config
        Preset and environment of the run.
    bank
        Evaluation markets.
    progress
        How far the run has come already, if it is resumed.
    rng
        The environment's random numbers, which checkpoints hold.
    bar
        Whether to draw a progress bar on standard error.
    checkpoints, every, key
        Folder of checkpoints (none for none), seconds between two, and the digest that identifies the run.
    on_score
        Called with every score.
    """

    def __init__(
        self,
        preset: Preset,
        config: EnvConfig,
        bank: MarketPath,
        progress: Progress,
        rng: np.random.Generator,
        *,
        bar: bool,
        checkpoints: Path | None = None,
        every: float = 60.0,
        key: str = "",
        on_score: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__()
        self._preset, self._config, self._bank = preset, config, bank
        self._bar = tqdm(total=100, desc="training", unit="%", disable=not bar, bar_format=_BAR)
        self._on_score = on_score
        self._folder, self._every, self._key, self._rng = checkpoints, every, key, rng
        self._began = time.monotonic() - progress.elapsed
        self._scored = self._saved = time.monotonic()
        self._scored_steps = int((progress.curve or [{}])[-1].get("steps") or 0)
        self._stopped = False
        self.progress = progress
        self.curve = progress.curve = progress.curve or []

    @property
    def elapsed(self) -> float:
        """Seconds since the start, those before a checkpoint included."""
        return time.monotonic() - self._began

    @property
    def done(self) -> float:
        """Share of the budget that is spent, time or steps."""
        return min(1.0, max(self.elapsed / self._preset.seconds, self.num_timesteps / self._preset.steps))

    def _on_training_start(self) -> None:
        if not self.curve:
            self._score()  # an untrained network, or the rule that it imitates: nothing worse is ever kept

    def _on_step(self) -> bool:
        return self.done < 1.0 and not self._stopped

    def _on_rollout_end(self) -> None:
        ppo = self._preset.ppo
        rate = ppo.learning_rate * (1.0 - (1.0 - ppo.last_learning_rate) * self.done)
        self.model.lr_schedule = FloatSchedule(rate)

    def _on_rollout_start(self) -> None:
        """Score, save and seed between an update and the next rollout, where the run is one whole state."""
        look = self._preset.evaluation
        if look.every_steps is None:
            due = time.monotonic() - self._scored >= look.every_seconds
        else:
            due = self.num_timesteps - self._scored_steps >= look.every_steps
        if due:
            self._score()
        if self._folder is not None and time.monotonic() - self._saved >= self._every:
            self.save()
        # stable-baselines3 draws from the global generators: a resumed run must draw as if it had never stopped.
        rollout_seed = np.random.SeedSequence([self.model.seed or 0, self.num_timesteps]).generate_state(1)[0]
        set_random_seed(int(rollout_seed), using_cuda=self.model.device.type == "cuda")
        best = f", best score {self.progress.best_score:.4f}" if self.curve else ""
        self._bar.set_postfix_str(f"{self.num_timesteps / 1e6:.2f}M steps{best}", refresh=False)
        self._bar.update(int(100 * self.done) - self._bar.n)

    def save(self) -> None:
        """Write a checkpoint, if there is a folder for it."""
        if self._folder is not None:
            self.progress.elapsed = self.elapsed
            save_checkpoint(self._folder, self._key, self._learner, self._rng, self.progress)
        self._saved = time.monotonic()

    def _score(self) -> None:
        model, progress = self._learner, self.progress
        score = mean_reward(draft(model, self._config.version), self._bank, self._config)
        episodes = [episode["r"] for episode in (model.ep_info_buffer or [])]
        reward = float(np.mean(episodes)) if episodes else None
        self.curve.append(
            {
                "steps": float(model.num_timesteps),
                "seconds": round(self.elapsed, 2),
                "train_reward": reward,
                "score": score,
            }
        )
        progress.stale += 1
        if score > progress.best_score:
            progress.best_score, progress.stale = score, 0
            progress.best = copy.deepcopy(model.policy.state_dict())
        patience = self._preset.evaluation.patience
        self._stopped = bool(patience) and progress.stale >= patience
        self.logger.record("evaluation/score", score)
        self.logger.record("evaluation/best_score", progress.best_score)
        self._scored, self._scored_steps = time.monotonic(), model.num_timesteps
        if self._on_score is not None:
            self._on_score(score)

    @property
    def _learner(self) -> Learner:
        model: Learner = self.model  # type: ignore[assignment]
        return model

    def finish(self) -> None:
        """Score the last network too, and put the best one back into the model.

        Raises
        ------
        DivergedError
            If no network had a score.
        """
        if self.num_timesteps > self._scored_steps:
            self._score()
        self._bar.update(100 - self._bar.n)
        self._bar.close()
        self.save()
        if self.progress.best is None:
            raise DivergedError("training diverged: no network had a score; lower the learning rate in the preset")
        self.model.policy.load_state_dict(self.progress.best)
        self.model.lr_schedule = FloatSchedule(self._preset.ppo.learning_rate)
