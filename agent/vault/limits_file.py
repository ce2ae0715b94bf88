"""The limits file (TOML): the one input of training, backtest and deployment."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.errors import LimitsFileError
from agent.units import WEEK
from agent.vault.limits import MAX_GROUPS, MAX_STRATEGIES, GroupCap, Limit, Limits


def _range(limit: Limit) -> Any:
    """Return the range of a limit as pydantic checks it."""
    low, high = limit.least, limit.most
    return Field(
        ge=low, le=high, gt=low if low == limit.excluded else None, lt=high if high == limit.excluded else None
    )


class StrategyLimits(BaseModel):
    """One `[[strategies]]` table: which strategy, and how much of it the vault may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(default=None, min_length=1)
    address: str | None = Field(default=None, pattern=r"^0x[0-9a-fA-F]{40}$")
    relative_cap: Annotated[float, Field(gt=0, le=1)]
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


class GroupLimits(BaseModel):
    """One `[[groups]]` table: strategies that share a risk, and how much of them together the vault may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: Annotated[list[str], Field(min_length=1, max_length=MAX_STRATEGIES)]
    risk: str | None = Field(default=None, pattern=r"^0x[0-9a-fA-F]{40}$")
    relative_cap: Annotated[float, Field(gt=0, le=1)] = 1.0
    absolute_cap: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class LossBudget(BaseModel):
    """The `[loss_budget]` table: shares of NAV that rebalancing may lose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity: Annotated[float, _range(Limit.LOSS_CAPACITY)] = 0.005
    refill_per_day: Annotated[float, _range(Limit.LOSS_REFILL)] = 0.001


class TurnoverBudget(BaseModel):
    """The `[turnover_budget]` table: shares of NAV that rebalancing may move."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity: Annotated[float, _range(Limit.TURNOVER_CAPACITY)] = 2.0
    refill_per_day: Annotated[float, _range(Limit.TURNOVER_REFILL)] = 1.0


class LimitsFile(BaseModel):
    """A limits file as written. Ranges are those of `Limit`, and a drawdown of 100 %, which never halts, is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    idle_floor: Annotated[float, _range(Limit.IDLE_FLOOR)]
    max_drawdown: Annotated[float, _range(Limit.MAX_DRAWDOWN), Field(lt=1)]
    max_growth_rate: Annotated[float, _range(Limit.MAX_GROWTH_RATE)]
    cooldown: Annotated[int, _range(Limit.COOLDOWN)] = 3600
    max_silence: Annotated[int, _range(Limit.MAX_SILENCE)] = WEEK
    performance_fee: Annotated[float, _range(Limit.PERFORMANCE_FEE)] = 0.0
    unwind_loss: Annotated[float, _range(Limit.UNWIND_LOSS)] = 0.01
    deposit_cap: Annotated[float, _range(Limit.DEPOSIT_CAP)] = math.inf
    loss_budget: LossBudget = LossBudget()
    turnover_budget: TurnoverBudget = TurnoverBudget()
    strategies: Annotated[list[StrategyLimits], Field(min_length=1, max_length=MAX_STRATEGIES)]
    groups: Annotated[list[GroupLimits], Field(max_length=MAX_GROUPS)] = []

    @model_validator(mode="after")
    def _distinct(self) -> LimitsFile:
        labels = [entry.label.lower() for entry in self.strategies]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"strategies named twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _members_known(self) -> LimitsFile:
        labels = [entry.label.lower() for entry in self.strategies]
        for group in self.groups:
            members = [member.lower() for member in group.members]
            unknown = sorted(set(members) - set(labels))
            if unknown:
                raise ValueError(f"a group has members that are no strategies: {', '.join(unknown)}")
            if len(set(members)) != len(members):
                raise ValueError(f"a group names a member twice: {', '.join(group.members)}")
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
        return Limits.made_of(
            np.array([entry.relative_cap for entry in self.strategies]),
            np.array([np.inf if entry.absolute_cap is None else entry.absolute_cap for entry in self.strategies]),
            {limit: limit.of(self) for limit in Limit},
            self.group_caps(),
        )

    def group_caps(self) -> tuple[GroupCap, ...]:
        """Return the groups by the numbers of their strategies."""
        labels = [entry.label.lower() for entry in self.strategies]
        return tuple(
            GroupCap(
                tuple(labels.index(member.lower()) for member in group.members),
                group.relative_cap,
                math.inf if group.absolute_cap is None else group.absolute_cap,
            )
            for group in self.groups
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
    """Return the findings of pydantic as one line: `key: message; ...`."""
    findings = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "file"
        what = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        findings.append(f"{where}: {what}")
    return "; ".join(findings)
