"""The search space of a sweep: how trials are drawn, by seed and number, and how a trial becomes a preset again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import BaseSampler, TPESampler

from agent.training.preset import Preset

if TYPE_CHECKING:
    from optuna.trial import Trial


def with_parameters(preset: Preset, parameters: dict[str, Any], name: str) -> Preset:
    """Return a preset with the parameters of a trial."""
    given = dict(parameters)
    given["batch_size"] = preset.ppo.envs * given["n_steps"] // given.pop("minibatches")
    given["gamma"] = 1.0 - given.pop("one_minus_gamma")
    given["hidden"] = [int(width) for width in given["hidden"].split("x")]
    content = preset.model_dump(mode="json")
    return Preset.model_validate({**content, "name": name, "ppo": {**content["ppo"], **given}})


def preset_toml(preset: Preset) -> str:
    """Return a preset as the TOML that `agent.training.preset.load_preset` reads."""
    return "\n".join(_toml(preset.model_dump(mode="json", exclude_none=True), ())) + "\n"


def _toml(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"[{'.'.join(path)}]"] if path else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", *_toml(value, (*path, key))]
    return lines


def suggest(preset: Preset, trial: Trial) -> dict[str, Any]:
    """Draw the parameters of a trial."""
    ppo, own = preset.ppo, own_parameters(preset)

    def within(name: str, low: float, high: float, log: bool = False) -> float:
        return trial.suggest_float(name, min(low, own[name]), max(high, own[name]), log=log)

    def one_of(name: str, *choices: Any) -> Any:
        return trial.suggest_categorical(name, [*choices, *({own[name]} - set(choices))])

    return {
        "learning_rate": within("learning_rate", 1e-4, 3e-3, log=True),
        "n_steps": one_of("n_steps", 8, 16, 32, 64),
        "minibatches": one_of("minibatches", *_divisors(ppo.envs)),
        "n_epochs": trial.suggest_int("n_epochs", 1, max(10, ppo.n_epochs)),
        "one_minus_gamma": within("one_minus_gamma", 0.001, 0.5, log=True),
        "gae_lambda": within("gae_lambda", 0.8, 1.0),
        "ent_coef": within("ent_coef", 0.0, 0.01),
        "clip_range": within("clip_range", 0.1, 0.4),
        "hidden": one_of("hidden", "32x32", "64x64", "128x128", "256x128x64"),
    }


def own_parameters(preset: Preset) -> dict[str, Any]:
    """Return the preset's own values as parameters; its minibatches as near as divide any rollout."""
    ppo = preset.ppo
    count = ppo.envs * ppo.n_steps // ppo.batch_size
    return {
        "learning_rate": ppo.learning_rate,
        "n_steps": ppo.n_steps,
        "minibatches": count if ppo.envs % count == 0 else max(k for k in _divisors(ppo.envs) if k <= count),
        "n_epochs": ppo.n_epochs,
        "one_minus_gamma": max(1.0 - ppo.gamma, 1e-6),
        "gae_lambda": ppo.gae_lambda,
        "ent_coef": ppo.ent_coef,
        "clip_range": ppo.clip_range,
        "hidden": "x".join(str(width) for width in ppo.hidden),
    }


def _divisors(envs: int) -> list[int]:
    return [count for count in (1, 2, 4, 8, 16, 32) if envs % count == 0 and (envs // count) >= 2] or [1]


if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial


class NumberedSampler(BaseSampler):
    """A tree-structured Parzen estimator (Bergstra et al., 2011) that draws by seed and trial number.

    Workers that share a study would try the same points if each began with the same seed. Trial 0 gets the given point:
    one that is put into Optuna's queue can be taken by two workers at once.
    """

    def __init__(self, seed: int, first: dict[str, Any]) -> None:
        self._seed, self._first = seed, first
        self._inner = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin a trial with a generator of its own."""
        state = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]
        self._inner = TPESampler(seed=int(state))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what is drawn together: nothing of the first trial."""
        return self._inner.infer_relative_search_space(study, trial) if trial.number else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw what is drawn together."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw what is drawn by itself; in the first trial, return the given point."""
        if trial.number == 0:
            return self._first[param_name]
        return self._inner.sample_independent(study, trial, param_name, param_distribution)
