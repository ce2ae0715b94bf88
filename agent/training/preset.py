"""Training presets: one TOML file says everything about a training run but the market and the limits.

The presets that come with the project are known by name (`demo`, `quick`); anything else is the path of a file.
Unknown keys are errors, so that a misspelt one cannot silently do nothing.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.decision import DecisionRules
from agent.envs.engine import EnvConfig
from agent.envs.lending import lending_config
from agent.errors import PresetError
from agent.limits import Limits, describe
from agent.portfolio import Costs

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EnvTable(_Table):
    """`[env]`: what an episode is and what is rewarded."""

    nav: _Positive = 10_000_000.0
    episode_days: Annotated[int, Field(ge=2, le=3650)] = 90
    warm_up_days: Annotated[int, Field(ge=0, le=365)] = 30
    deployed_share: _Fraction = 0.5
    concentration_price: _NotNegative = 0.7
    gas_base: _NotNegative = 250_000.0
    gas_per_move: _NotNegative = 250_000.0
    min_trade: Annotated[float, Field(ge=0, lt=1)] = 0.01
    max_gas_share: Annotated[float, Field(ge=0, lt=1)] = 0.001


class PpoTable(_Table):
    """`[ppo]`: the learner, in stable-baselines3's words; `envs` vaults are stepped at once."""

    envs: _Count = 256
    n_steps: _Count = 32
    batch_size: Annotated[int, Field(ge=2)] = 2048
    n_epochs: _Count = 4
    learning_rate: _Positive = 1e-3
    gamma: _Fraction = 0.8
    gae_lambda: _Fraction = 0.9
    clip_range: _Positive = 0.2
    ent_coef: _NotNegative = 0.0
    log_std_init: Annotated[float, Field(ge=-5, le=1)] = -1.2
    hidden: Annotated[list[Annotated[int, Field(ge=1, le=256)]], Field(min_length=1, max_length=3)] = [64, 64]
    torch_threads: Annotated[int, Field(ge=1, le=64)] = 1

    @model_validator(mode="after")
    def _whole_minibatches(self) -> PpoTable:
        if (self.envs * self.n_steps) % self.batch_size:
            raise ValueError(f"batch_size must divide envs x n_steps, which is {self.envs * self.n_steps}")
        return self


class MarketTable(_Table):
    """`[market]`: how much of the market is drawn for training; `bank_days` long paths that episodes are cut from."""

    bank_paths: _Count = 512
    bank_days: _Count = 400


class EvaluationTable(_Table):
    """`[evaluation]`: other markets than the training ones, and how often they are looked at."""

    paths: _Count = 64
    every_seconds: _Positive = 5.0
    test_paths: _Count = 64
    test_days: Annotated[int, Field(ge=2, le=3650)] = 365


class Preset(_Table):
    """A whole preset. Training ends after `seconds` or `steps`, whichever comes first."""

    name: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)] = 1
    seconds: _Positive
    steps: _Count
    env: EnvTable = EnvTable()
    ppo: PpoTable = PpoTable()
    market: MarketTable = MarketTable()
    evaluation: EvaluationTable = EvaluationTable()

    def costs(self) -> Costs:
        """Return the costs of a rebalance."""
        return Costs(gas_base=self.env.gas_base, gas_per_move=self.env.gas_per_move)

    def rules(self) -> DecisionRules:
        """Return when a rebalance is worth it."""
        return DecisionRules(min_trade=self.env.min_trade, max_gas_share=self.env.max_gas_share)

    def env_config(self, limits: Limits) -> EnvConfig:
        """Return the environment's configuration under these limits."""
        return lending_config(
            limits,
            costs=self.costs(),
            rules=self.rules(),
            nav=self.env.nav,
            episode_rows=self.env.episode_days,
            warm_up=self.env.warm_up_days,
            deployed_share=self.env.deployed_share,
            concentration_price=self.env.concentration_price,
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
