"""PPO (Schulman et al., 2017; stable-baselines3) on the batched environment, within a time budget.

Every few seconds the exported form of the network is scored on markets that training never sees; the best one is
kept. At the end it is compared with the baselines on a third set of markets, and all of that goes into the manifest.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import FloatSchedule
from tqdm import tqdm

from agent.digest import digest_of
from agent.envs.engine import Engine, EnvConfig
from agent.envs.vec import VaultVecEnv
from agent.errors import PolicyFileError, ShapeError
from agent.evaluation.backtest import Setting, compare
from agent.evaluation.baselines import BASELINES
from agent.limits import Limits
from agent.market.path import Market, MarketPath
from agent.market.synthetic import SyntheticMarket, shipped_market
from agent.observation import vector_names
from agent.policy import NumpyPolicy, forward, save_policy
from agent.training.export import actor
from agent.training.preset import Preset
from agent.units import FloatArray

_LAST_RATE = 0.1  # the learning rate falls to this share of itself


@dataclass(frozen=True)
class TrainingResult:
    """What a training run leaves behind.

    Attributes
    ----------
    policy
        The exported policy, as loaded back from its file.
    path
        Its parameters (`.npz`); the manifest (`.json`) and the model for `PPO.load` (`.zip`) lie beside it.
    curve
        Points of the run: `steps`, `seconds`, `train_reward` (per episode; none before the first has ended) and
        `score` (mean reward per day on the evaluation markets).
    evaluation
        Figures of the policy and of every baseline on the test markets; see `agent.evaluation.backtest`.
    steps, seconds
        What it took.
    """

    policy: NumpyPolicy
    path: Path
    curve: list[dict[str, float | None]]
    evaluation: list[dict[str, float | str]]
    steps: int
    seconds: float


def train(
    preset: Preset,
    limits: Limits,
    out: Path | str,
    *,
    market: Market | None = None,
    names: tuple[str, ...] | None = None,
    progress: bool = False,
) -> TrainingResult:
    """Train, keep the best, export and evaluate.

    Parameters
    ----------
    preset
        Everything about the run but the next two.
    limits
        The vault's walls; a policy is trained behind those it will serve behind.
    out
        Where the policy goes, `.npz`.
    market
        Where paths are drawn from; the shipped synthetic market by default. To replay history afterwards, give
        `agent.market.synthetic.fitted_market(history.before(first_day))`.
    names
        What the vault calls its strategies, for the manifest; the market's names by default.
    progress
        Whether to draw a progress bar on standard error.

    Raises
    ------
    PolicyError
        If training diverged. Nothing is written then.
    """
    source: Market = shipped_market(names) if market is None else market
    labels = source.names if names is None else names
    if not len(labels) == len(source.names) == limits.count:
        raise ShapeError(
            f"the market has {len(source.names)} strategies, the limits are for {limits.count} and there are "
            f"{len(labels)} names: they must agree"
        )
    torch.set_num_threads(preset.ppo.torch_threads)
    config = preset.env_config(limits)
    train_seed, score_seed, test_seed, learner_seed = np.random.SeedSequence(preset.seed).spawn(4)
    env = VaultVecEnv(
        source,
        config,
        preset.ppo.envs,
        np.random.default_rng(train_seed),
        bank_paths=preset.market.bank_paths,
        bank_rows=preset.market.bank_days,
    )
    model = _model(preset, env, seed=int(learner_seed.generate_state(1)[0]))
    score_bank = source.sample(np.random.default_rng(score_seed), preset.evaluation.paths, config.path_rows)
    keeper = _KeepBest(preset, config, score_bank, progress)
    model.learn(preset.steps, callback=keeper)
    keeper.finish(model)

    layers = actor(model)[0]
    setting = Setting(limits, preset.costs(), preset.rules(), preset.env.nav)
    test_path = source.sample(
        np.random.default_rng(test_seed), preset.evaluation.test_paths, preset.evaluation.test_days + 1
    )
    draft = NumpyPolicy("ppo", "", tuple(layers), {})
    evaluation = compare([draft, *(make() for make in BASELINES.values())], test_path, setting)
    manifest = {
        "name": "ppo",
        "strategies": list(labels),
        "inputs": list(vector_names(labels)),
        "limits": _limits_json(limits),
        "training": {
            "market": _market_json(source),
            "preset": preset.model_dump(mode="json"),
            "steps": model.num_timesteps,
            "best_score": keeper.best_score,
        },
        "evaluation": {"markets": "test markets drawn from the training market's model", "policies": evaluation},
    }
    path = Path(out).with_suffix(".npz")
    policy = save_policy(path, layers, manifest)
    model.save(path.with_suffix(".zip"))
    path.with_suffix(".curve.json").write_text(json.dumps(keeper.curve, indent=1) + "\n", encoding="utf-8")
    return TrainingResult(policy, path, keeper.curve, evaluation, model.num_timesteps, keeper.elapsed)


def _model(preset: Preset, env: VaultVecEnv, seed: int) -> PPO:
    ppo = preset.ppo
    return PPO(
        "MlpPolicy",
        env,
        n_steps=ppo.n_steps,
        batch_size=ppo.batch_size,
        n_epochs=ppo.n_epochs,
        learning_rate=ppo.learning_rate,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        clip_range=ppo.clip_range,
        ent_coef=ppo.ent_coef,
        policy_kwargs={
            "net_arch": list(ppo.hidden),
            "activation_fn": torch.nn.ReLU,
            "log_std_init": ppo.log_std_init,
        },
        seed=seed,
        device="cpu",
    )


class _KeepBest(BaseCallback):
    """Ends training in time, lowers the learning rate, scores the network now and then, and keeps the best."""

    def __init__(self, preset: Preset, config: EnvConfig, bank: MarketPath, progress: bool) -> None:
        super().__init__()
        self._preset, self._config, self._bank = preset, config, bank
        self._bar = tqdm(total=100, desc="training", unit="%", disable=not progress, bar_format=_BAR)
        self._best: dict[str, Any] | None = None
        self._started = self._scored = time.monotonic()
        self.best_score = -np.inf
        self.curve: list[dict[str, float | None]] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def done(self) -> float:
        """Share of the budget that is spent, time or steps."""
        return min(1.0, max(self.elapsed / self._preset.seconds, self.num_timesteps / self._preset.steps))

    def _on_step(self) -> bool:
        return self.done < 1.0

    def _on_rollout_end(self) -> None:
        rate = self._preset.ppo.learning_rate * (1.0 - (1.0 - _LAST_RATE) * self.done)
        self.model.lr_schedule = FloatSchedule(rate)
        if time.monotonic() - self._scored >= self._preset.evaluation.every_seconds:
            self._score(self.model)
        self._show()

    def _score(self, model: Any) -> None:
        layers = actor(model)[0]
        score = mean_reward(layers, self._bank, self._config)
        episodes = [episode["r"] for episode in (model.ep_info_buffer or [])]
        self.curve.append(
            {
                "steps": float(model.num_timesteps),
                "seconds": round(self.elapsed, 2),
                "train_reward": float(np.mean(episodes)) if episodes else None,
                "score": score,
            }
        )
        if score > self.best_score:
            self.best_score, self._best = score, copy.deepcopy(model.policy.state_dict())
        self._scored = time.monotonic()

    def finish(self, model: PPO) -> None:
        """Score the last network too, and put the best one back into the model."""
        self._score(model)
        self._bar.update(100 - self._bar.n)
        self._show()
        self._bar.close()
        if self._best is None:
            raise PolicyFileError("training diverged: no network had a score; lower the learning rate in the preset")
        model.policy.load_state_dict(self._best)
        model.lr_schedule = FloatSchedule(self._preset.ppo.learning_rate)

    def _show(self) -> None:
        best = f", best score {self.best_score:.4f}" if self.curve else ""
        self._bar.set_postfix_str(f"{self.num_timesteps / 1e6:.2f}M steps{best}", refresh=False)
        self._bar.update(int(100 * self.done) - self._bar.n)


_BAR = "{desc} {percentage:3.0f}%|{bar:30}| {elapsed}{postfix}"


def mean_reward(layers: list[tuple[FloatArray, FloatArray]], bank: MarketPath, config: EnvConfig) -> float:
    """Return the mean reward per day of a network without exploration, over as many episodes as the bank has paths.

    With the same bank these are the same episodes whatever the network.
    """
    engine = Engine(bank, config, bank.batch, np.random.default_rng(0))
    rewards = [engine.step(forward(layers, engine.observe().vector())).reward for _ in range(config.episode_rows)]
    return float(np.mean(rewards))


def _market_json(market: Market) -> dict[str, Any]:
    if isinstance(market, SyntheticMarket):
        return {"kind": "synthetic", "digest": market.digest, "fitted_to": market.model.fitted_to}
    return {"kind": type(market).__name__, "digest": digest_of(list(market.names))}


def _limits_json(limits: Limits) -> dict[str, Any]:
    return {
        "relative_caps": limits.relative_caps.tolist(),
        "absolute_caps": [cap if np.isfinite(cap) else None for cap in limits.absolute_caps.tolist()],
        "idle_floor": limits.idle_floor,
        "max_drawdown": limits.max_drawdown,
        "mark_growth_rate": limits.mark_growth_rate,
    }
