"""Training presets: one TOML file describes a training run, except for the limits and a market fitted to history.

The presets that come with the project are known by name (`agent train --help` lists them); anything else is the path of
a file. Unknown keys are errors, so that a misspelt one cannot silently do nothing.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.backtest import Setting
from agent.envs.engine import EnvConfig
from agent.envs.presets import EnvPreset, env_preset
from agent.errors import PresetError
from agent.vault.limits import Limits
from agent.vault.limits_file import describe

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]
_Range = tuple[_Positive, _Positive]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EnvTable(_Table):
    """`[env]`: the environment, and how episodes differ from its usual ones; see `agent.envs.engine.EnvConfig`.

    `nav` and `leg_cost` may be ranges `[low, high]` that every episode draws from. `reward` changes numbers of the
    environment's reward, for instance `reward.concentration_price`.
    """

    preset: str = "lending"
    nav: _Positive | _Range | None = None
    leg_cost: _Range | None = None
    episode_rows: Annotated[int, Field(ge=2, le=100_000)] | None = None
    warm_up_rows: Annotated[int, Field(ge=0, le=10_000)] | None = None
    deployed_share: _Fraction | None = None
    gas_base: _NotNegative | None = None
    gas_per_move: _NotNegative | None = None
    min_trade: Annotated[float, Field(ge=0, lt=1)] | None = None
    max_gas_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    reward: dict[str, float] = {}


class PpoTable(_Table):
    """`[ppo]`: the learner, in stable-baselines3's words; `envs` vaults are stepped at once.

    The learning rate falls in a straight line to the fraction `last_learning_rate` of itself. `lstm_units` is for
    `recurrent-ppo` only, `bound_coef` (see `agent.training.learner.price_means`) for `ppo` only.
    """

    envs: _Count = 256
    n_steps: _Count = 32
    batch_size: Annotated[int, Field(ge=2)] = 2048
    n_epochs: _Count = 4
    learning_rate: _Positive = 1e-3
    last_learning_rate: _Fraction = 0.1
    gamma: _Fraction = 0.8
    gae_lambda: _Fraction = 0.9
    clip_range: _Positive = 0.2
    ent_coef: _NotNegative = 0.0
    vf_coef: _NotNegative = 0.5
    max_grad_norm: _Positive = 0.5
    bound_coef: _NotNegative = 0.0
    log_std_init: Annotated[float, Field(ge=-5, le=1)] = -1.2
    hidden: Annotated[list[Annotated[int, Field(ge=1, le=1024)]], Field(min_length=1, max_length=4)] = [64, 64]
    lstm_units: Annotated[int, Field(ge=1, le=512)] = 64
    torch_threads: Annotated[int, Field(ge=1, le=64)] = 1

    @model_validator(mode="after")
    def _whole_minibatches(self) -> PpoTable:
        if (self.envs * self.n_steps) % self.batch_size:
            raise ValueError(f"batch_size must divide envs x n_steps, which is {self.envs * self.n_steps}")
        return self


class WarmStartTable(_Table):
    """`[warm_start]`: imitate a rule before learning, so that learning starts from the best simple policy known.

    The rule `mix` holds `weights`, one per strategy; `"hold"` leaves a strategy as it is, and the others share the room
    that is left. With `leave_lost_pegs` it leaves strategies whose coin is seen below its peg.
    """

    rule: Literal["equal-weight", "hold", "greedy", "greedy-band", "mix"]
    weights: list[_Fraction | Literal["hold"]] = []
    leave_lost_pegs: bool = False
    rows: _Count = 200
    epochs: _Count = 30
    learning_rate: _Positive = 1e-3

    @model_validator(mode="after")
    def _weights_for_a_mix(self) -> WarmStartTable:
        if (self.rule == "mix") != bool(self.weights):
            raise ValueError("the rule mix, and no other, needs weights, one number or 'hold' per strategy")
        return self


class MarketTable(_Table):
    """`[market]`: the bank of training paths, each of `bank_rows` rows, that episodes are cut from."""

    bank_paths: _Count = 512
    bank_rows: _Count = 400


class EvaluationTable(_Table):
    """`[evaluation]`: markets that training never sees, and how often the network is scored on them.

    It is scored every `every_steps` steps if given, else every `every_seconds`. Training ends after `patience` scores
    without a better one; zero means never.
    """

    paths: _Count = 64
    every_seconds: _Positive = 5.0
    every_steps: _Count | None = None
    patience: Annotated[int, Field(ge=0)] = 0
    test_paths: _Count = 64
    test_rows: Annotated[int, Field(ge=2, le=100_000)] = 365


class Preset(_Table):
    """A whole preset. Training ends after `seconds` or `steps`, whichever comes first."""

    name: Annotated[str, Field(min_length=1)]
    algorithm: Literal["ppo", "recurrent-ppo"] = "ppo"
    seed: Annotated[int, Field(ge=0)] = 1
    seconds: _Positive
    steps: _Count
    env: EnvTable = EnvTable()
    ppo: PpoTable = PpoTable()
    warm_start: WarmStartTable | None = None
    market: MarketTable = MarketTable()
    evaluation: EvaluationTable = EvaluationTable()

    @model_validator(mode="after")
    def _bound_coef_without_memory(self) -> Preset:
        if self.algorithm == "recurrent-ppo" and self.ppo.bound_coef:
            raise ValueError("ppo.bound_coef is for ppo alone: leave it out for recurrent-ppo")
        return self

    @property
    def env_preset(self) -> EnvPreset:
        """The environment that `env.preset` names."""
        return env_preset(self.env.preset)

    def env_config(self, limits: Limits | None = None) -> EnvConfig:
        """Return the environment's configuration under these limits, or under its own.

        Raises
        ------
        PresetError
            If there is no such environment, or its reward has no such number.
        """
        env, usual = self.env, self.env_preset.config(limits)
        costs = replace(usual.costs, **_given(env, gas_base="gas_base", gas_per_move="gas_per_move"))
        rules = replace(usual.rules, **_given(env, min_trade="min_trade", max_gas_share="max_gas_share"))
        unknown = sorted(set(env.reward) - set(vars(usual.reward)))
        if unknown:
            known = ", ".join(key for key, value in vars(usual.reward).items() if isinstance(value, float))
            raise PresetError(f"env.reward.{unknown[0]}: the reward of {env.preset!r} has {known}")
        reward = replace(usual.reward, **env.reward) if env.reward else usual.reward  # type: ignore[type-var]
        changes = _given(
            env,
            nav="nav",
            leg_cost="leg_cost",
            episode_rows="episode_rows",
            warm_up_rows="warm_up",
            deployed_share="deployed_share",
        )
        return replace(usual, costs=costs, rules=rules, reward=reward, **changes)


def _given(table: EnvTable, **names: str) -> dict[str, Any]:
    """Return the entries of a table that are given, under the names that `EnvConfig` and its parts use."""
    return {there: getattr(table, here) for here, there in names.items() if getattr(table, here) is not None}


def typical_setting(config: EnvConfig) -> Setting:
    """Return the setting to test a policy in that is trained under `config`: the geometric mean of what it draws."""
    leg = 0.0 if config.leg_cost is None else float(np.sqrt(np.prod(config.leg_cost)))
    nav = config.nav if isinstance(config.nav, float | int) else float(np.sqrt(np.prod(config.nav)))
    entry, leave = (np.asarray(cost) + leg for cost in (config.costs.entry, config.costs.exit))
    costs = replace(config.costs, entry=entry, exit=leave) if leg else config.costs
    return Setting(
        config.limits,
        costs,
        config.rules,
        float(nav),
        config.version,
        start_weights=config.start_weights,
        unwind_halted=not config.halt_ends,
    )


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets that come with the project."""
    folder = resources.files("agent.training").joinpath("presets")
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_preset(name_or_path: str | Path, **instead: float | None) -> Preset:
    """Return a preset by name or from a TOML file.

    Parameters
    ----------
    name_or_path
        A shipped preset's name, or a file.
    instead
        Entries (`seconds`, `steps`, `seed`) to use instead of the file's; none are left alone.

    Raises
    ------
    PresetError
        If there is no such preset, or it holds an unknown, missing or impossible entry; the message names it.
    """
    text = str(name_or_path)
    try:
        if text in preset_names():
            content = resources.files("agent.training").joinpath("presets", f"{text}.toml").read_text(encoding="utf-8")
        else:
            content = Path(text).read_text(encoding="utf-8")
        data: dict[str, Any] = tomllib.loads(content)
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(preset_names())
        raise PresetError(f"no preset {text!r}: give a TOML file that can be read, or one of {known}") from error
    except tomllib.TOMLDecodeError as error:
        raise PresetError(f"preset {text} is not valid TOML: {error}") from error
    try:
        return Preset.model_validate({**data, **{key: value for key, value in instead.items() if value is not None}})
    except ValidationError as error:
        raise PresetError(f"preset {text}: {describe(error)}") from error


def preset_toml(preset: Preset) -> str:
    """Return a preset as the TOML that `load_preset` reads."""
    return "\n".join(_toml(preset.model_dump(mode="json", exclude_none=True), ())) + "\n"


def _toml(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"[{'.'.join(path)}]"] if path else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", *_toml(value, (*path, key))]
    return lines
