"""The training callback: ends a run in time, scores the network, keeps the best one, writes checkpoints.

The score is the mean reward on markets that training never sees, without exploration.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import FloatSchedule
from tqdm import tqdm

from agent.envs.engine import Engine, EnvConfig
from agent.errors import PolicyFileError
from agent.market.path import MarketPath
from agent.policies.network import NumpyPolicy
from agent.training.checkpoint import Progress, save_checkpoint
from agent.training.learner import Learner, draft
from agent.training.preset import Preset
from agent.units import FloatArray


def mean_reward(policy: NumpyPolicy, bank: MarketPath, config: EnvConfig) -> float:
    """Return the mean reward per step, over as many episodes as the bank has paths."""
    return float(episode_rewards(policy, bank, config).mean()) / config.episode_rows


def episode_rewards(policy: NumpyPolicy, bank: MarketPath, config: EnvConfig) -> FloatArray:
    """Return the sum of the rewards of each of as many episodes as the bank has paths, `(P,)`.

    With the same bank these are the same episodes whatever the network. An episode that ends early earns nothing more.
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


_BAR = "{desc} {percentage:3.0f}%|{bar:30}| {elapsed}{postfix}"


class Watch(BaseCallback):
    """Watches over one run.

    Parameters
    ----------
    preset, config
        What the run is.
    bank
        Evaluation markets.
    progress
        How far the run is already, if it is resumed.
    bar
        Whether to draw a progress bar on standard error.
    checkpoints, every, key, rng
        Folder for checkpoints (none for none), seconds between them, digest of what the run is, and the environment's
        random numbers, which they hold.
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
        """Look between an update and the next rollout: what is scored and saved is one whole state."""
        look = self._preset.evaluation
        if look.every_steps is None:
            due = time.monotonic() - self._scored >= look.every_seconds
        else:
            due = self.num_timesteps - self._scored_steps >= look.every_steps
        if due:
            self._score()
        if self._folder is not None and time.monotonic() - self._saved >= self._every:
            self.save()
        best = f", best score {self.progress.best_score:.4f}" if self.curve else ""
        self._bar.set_postfix_str(f"{self.num_timesteps / 1e6:.2f}M steps{best}", refresh=False)
        self._bar.update(int(100 * self.done) - self._bar.n)

    def save(self) -> None:
        """Write a checkpoint, if there is a folder for it."""
        if self._folder is not None:
            self.progress.elapsed = self.elapsed
            save_checkpoint(self._folder, self._key, self.model, self._rng, self.progress)
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
        PolicyFileError
            If no network had a score.
        """
        if self.num_timesteps > self._scored_steps:
            self._score()
        self._bar.update(100 - self._bar.n)
        self._bar.close()
        self.save()
        if self.progress.best is None:
            raise PolicyFileError("training diverged: no network had a score; lower the learning rate in the preset")
        self.model.policy.load_state_dict(self.progress.best)
        self.model.lr_schedule = FloatSchedule(self._preset.ppo.learning_rate)
