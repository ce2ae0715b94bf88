"""What a search tries, and how a trial becomes a preset again.

Each range or list is widened to hold the preset's own value, which is the first trial:

=================  ========================================================================================
learning_rate      1e-4 to 3e-3, logarithmic
n_steps            8, 16, 32, 64
minibatches        1 to 32 per rollout, powers of two that divide `envs`; sets `batch_size`
n_epochs           1 to 10
gamma              0.5 to 0.999, logarithmic in 1 - gamma
gae_lambda         0.8 to 1
ent_coef           0 to 0.01
clip_range         0.1 to 0.4
hidden             32x32, 64x64, 128x128, 256x128x64
=================  ========================================================================================
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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
