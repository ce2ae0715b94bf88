"""The limits file (TOML): the one input of training, backtest and deployment."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.errors import LimitsFileError
from agent.units import DAY
from agent.vault.bucket import Budget
from agent.vault.limits import MAX_STRATEGIES, WEEK, Limits

_Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
_Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class StrategyLimits(BaseModel):
    """One `[[strategies]]` table: which strategy, and how much of it the vault may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(default=None, min_length=1)
    address: str | None = Field(default=None, pattern=r"^0x[0-9a-fA-F]{40}$")
    relative_cap: _Share
    absolute_cap: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_of_name_and_address(self) -> StrategyLimits:
        if self.name is None and self.address is None:
            raise ValueError("needs a name (of the address book) or an address (0x and 40 hex digits)")
        return self

    @property
    def label(self) -> str:
        """Name, or else the address."""
        return self.name or str(self.address)


class LossBudget(BaseModel):
    """The `[loss_budget]` table: shares of NAV that rebalancing may lose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.005
    refill_per_day: Annotated[float, Field(ge=0, le=DAY, allow_inf_nan=False)] = 0.001


class TurnoverBudget(BaseModel):
    """The `[turnover_budget]` table: shares of NAV that rebalancing may move."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 2.0
    refill_per_day: Annotated[float, Field(ge=0, le=10 * DAY, allow_inf_nan=False)] = 1.0


class LimitsFile(BaseModel):
    """A limits file as written; the one input of training, backtest and deployment. Ranges are the vault's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    idle_floor: _Fraction
    max_drawdown: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    mark_growth_rate: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
    cooldown: Annotated[int, Field(ge=0, le=30 * DAY)] = 3600
    max_silence: Annotated[int, Field(ge=3600, le=365 * DAY)] = WEEK
    performance_fee: Annotated[float, Field(ge=0, le=0.3, allow_inf_nan=False)] = 0.0
    loss_budget: LossBudget = LossBudget()
    turnover_budget: TurnoverBudget = TurnoverBudget()
    strategies: Annotated[list[StrategyLimits], Field(min_length=1, max_length=MAX_STRATEGIES)]

    @model_validator(mode="after")
    def _distinct(self) -> LimitsFile:
        labels = [entry.label.lower() for entry in self.strategies]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"strategies named twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _fee_in_basis_points(self) -> LimitsFile:
        if abs(self.performance_fee * 1e4 - round(self.performance_fee * 1e4)) > 1e-9:
            raise ValueError(f"performance_fee must be whole basis points, but is {self.performance_fee}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the strategies, in the vault's order."""
        return tuple(entry.label for entry in self.strategies)

    def limits(self) -> Limits:
        """Return the limits as arrays."""
        return Limits(
            relative_caps=np.array([entry.relative_cap for entry in self.strategies]),
            absolute_caps=np.array(
                [np.inf if entry.absolute_cap is None else entry.absolute_cap for entry in self.strategies]
            ),
            idle_floor=self.idle_floor,
            max_drawdown=self.max_drawdown,
            mark_growth_rate=self.mark_growth_rate,
            cooldown=self.cooldown,
            max_silence=self.max_silence,
            loss_budget=Budget(self.loss_budget.capacity, self.loss_budget.refill_per_day),
            turnover_budget=Budget(self.turnover_budget.capacity, self.turnover_budget.refill_per_day),
            performance_fee=self.performance_fee,
        )


def load_limits(path: Path | str) -> LimitsFile:
    """Read and check a limits file (TOML).

    Raises
    ------
    LimitsFileError
        If it cannot be read, is not TOML, or holds an unknown, missing or impossible entry; the message names it.
    """
    try:
        data: dict[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LimitsFileError(f"cannot read the limits file {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise LimitsFileError(f"{path} is not valid TOML: {error}") from error
    try:
        return LimitsFile.model_validate(data)
    except ValidationError as error:
        raise LimitsFileError(f"{path}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """Return pydantic's findings as one line: `key: what is wrong; ...`."""
    findings = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "file"
        what = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        findings.append(f"{where}: {what}")
    return "; ".join(findings)
