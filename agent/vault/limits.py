"""The vault's limits: one table of their meanings, and the limits of a vault as arrays.

`Limit` is the table. Whatever else must know the unit, the range, the tight direction or the words of a limit derives
it from there: the limits file, the checks of `Limits`, the conversion to and from the chain's integers, and reports.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import Enum, IntEnum
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from agent.digest import digest_of
from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.units import DAY, HOUR, WAD, WEEK, BoolArray, FloatArray, span
from agent.vault.bucket import UNBOUNDED, Budget
from agent.vault.projection import caps_in_groups, project_capped

MAX_STRATEGIES = 16
"""Most strategies that the vault takes."""

MAX_GROUPS = 8
"""Most groups of shared risk that the vault takes."""

NO_CAP = 2**128 - 1
"""Amount on chain, base units, that stands for no cap: the top of its type."""


class Unit(Enum):
    """Unit of a limit here; on chain a share is WAD, a rate per day is WAD per second, assets are base units."""

    SHARE = "share"
    BASIS_POINTS = "share, whole basis points"
    SHARE_PER_YEAR = "share per year"
    SHARE_PER_DAY = "share per day"
    SECONDS = "seconds"
    ASSETS = "whole asset units"


class Tight(Enum):
    """Direction in which a limit is tightened; a limit with neither is loosened by every change."""

    UP = "up"
    DOWN = "down"
    NEITHER = "neither"


class Limit(IntEnum):
    """The limits that are one number each, in the order and with the ranges of `IVaultTypes.Limit`.

    Caps are not among them: they are two numbers per strategy.

    Attributes
    ----------
    path
        Where `Limits` and the limits file have it.
    words
        The limit in plain words.
    unit
        Unit of `least`, `most` and all values here.
    least, most
        Range that the vault takes, both ends included.
    tight
        Direction in which it is tightened.
    excluded
        An end of the range that the vault takes but cannot work with: `Limits` and the file refuse it.
    in_backtests
        Whether a backtest depends on it. The others protect depositors from the keeper and pay its operator.
    """

    path: str
    words: str
    unit: Unit
    least: float
    most: float
    tight: Tight
    excluded: float | None
    in_backtests: bool

    IDLE_FLOOR = (0, "idle_floor", "the share of NAV that stays idle", Unit.SHARE, (0.0, 1.0), Tight.UP, 1.0)
    MAX_DRAWDOWN = (1, "max_drawdown", "the drawdown at which the vault halts", Unit.SHARE, (0.0, 1.0), Tight.DOWN, 0.0)
    MAX_GROWTH_RATE = (
        2,
        "max_growth_rate",
        "the fastest growth of what leaving is paid from",
        Unit.SHARE_PER_YEAR,
        (0.0, 1000.0),
        Tight.NEITHER,  # a slow bid keeps gains from those who leave, a fast one believes more
    )
    COOLDOWN = (3, "cooldown", "the time between rebalances", Unit.SECONDS, (0.0, 30.0 * DAY), Tight.UP)
    MAX_SILENCE = (
        4,
        "max_silence",
        "the keeper's silence after which anybody may unwind",
        Unit.SECONDS,
        (float(HOUR), 365.0 * DAY),
        Tight.DOWN,
        None,
        False,
    )
    LOSS_CAPACITY = (
        5,
        "loss_budget.capacity",
        "the share of NAV that rebalancing may lose at once",
        Unit.SHARE,
        (0.0, 1.0),
        Tight.DOWN,
    )
    LOSS_REFILL = (
        6,
        "loss_budget.refill_per_day",
        "the rate at which the loss budget comes back",
        Unit.SHARE_PER_DAY,
        (0.0, 1.0 * DAY),
        Tight.DOWN,
    )
    TURNOVER_CAPACITY = (
        7,
        "turnover_budget.capacity",
        "the share of NAV that rebalancing may move at once",
        Unit.SHARE,
        (0.0, 10.0),
        Tight.DOWN,
    )
    TURNOVER_REFILL = (
        8,
        "turnover_budget.refill_per_day",
        "the rate at which the turnover budget comes back",
        Unit.SHARE_PER_DAY,
        (0.0, 10.0 * DAY),
        Tight.DOWN,
    )
    PERFORMANCE_FEE = (
        9,
        "performance_fee",
        "the performance fee",
        Unit.BASIS_POINTS,
        (0.0, 0.3),
        Tight.DOWN,
        None,
        False,
    )
    UNWIND_LOSS = (
        10,
        "unwind_loss",
        "the share of an unwound amount that may be lost on the way",
        Unit.SHARE,
        (0.0, 1.0),
        Tight.DOWN,
        None,
        False,
    )
    DEPOSIT_CAP = (
        11,
        "deposit_cap",
        "the assets beyond which no deposit lifts the vault",
        Unit.ASSETS,
        (0.0, math.inf),
        Tight.DOWN,
        None,
        False,
    )

    def __new__(
        cls,
        code: int,
        path: str = "",  # no row goes without: type checkers take `Limit(3)`, which finds a row, for a call of this
        words: str = "",
        unit: Unit = Unit.SHARE,
        ends: tuple[float, float] = (0.0, 1.0),
        tight: Tight = Tight.NEITHER,
        excluded: float | None = None,
        in_backtests: bool = True,
    ) -> Limit:
        """Make a row of the table; its value is the contract's number of the limit."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.path, made.words, made.unit, made.tight = path, words, unit, tight
        (made.least, made.most), made.excluded, made.in_backtests = ends, excluded, in_backtests
        return made

    def of(self, limits: object) -> float:
        """Return this limit's value in `Limits` or in a limits file."""
        return float(attrgetter(self.path)(limits))

    def looser(self, before: float, now: float) -> bool:
        """Return whether going from one value to another gives up some of the protection."""
        if self.tight is Tight.NEITHER:
            return before != now
        return now < before if self.tight is Tight.UP else now > before

    def show(self, value: float) -> str:
        """Return a value in plain words."""
        if not math.isfinite(value):
            return "no bound"
        if self.unit is Unit.SECONDS:
            return span(round(value))
        if self.unit is Unit.ASSETS:
            return _money(value)
        per = {Unit.SHARE_PER_YEAR: " a year", Unit.SHARE_PER_DAY: " a day"}
        return percent(value) + per.get(self.unit, "")

    def to_chain(self, value: float, unit: int = 1) -> int:
        """Return a value as the vault stores it; a refill per second is rounded down.

        Parameters
        ----------
        value
            In the unit of this limit.
        unit
            Base units of one whole asset, `10**decimals`; only a limit in assets needs it.
        """
        if self.unit is Unit.SECONDS:
            return int(value)
        if self.unit is Unit.ASSETS:
            return min(int(Decimal(repr(float(value))) * unit), NO_CAP) if math.isfinite(value) else NO_CAP
        return to_wad(value) // (DAY if self.unit is Unit.SHARE_PER_DAY else 1)

    def from_chain(self, value: int, unit: int = 1) -> float:
        """Return a value that the vault stores; `unit` as for `to_chain`."""
        if self.unit is Unit.SECONDS:
            return float(value)
        if self.unit is Unit.ASSETS:
            return value / unit if value < NO_CAP else math.inf
        return value / WAD * (DAY if self.unit is Unit.SHARE_PER_DAY else 1)


def to_wad(fraction: float) -> int:
    """Return a fraction as WAD, exact in its decimal notation: 0.6 is 6e17."""
    return int(Decimal(repr(float(fraction))) * WAD)


def percent(share: float) -> str:
    """Return a share as `2.5 %`."""
    return f"{share * 100:.6g} %"


_BEYOND: Mapping[Limit, float] = {
    Limit.MAX_GROWTH_RATE: sys.float_info.max,
    Limit.LOSS_CAPACITY: math.inf,
    Limit.TURNOVER_CAPACITY: math.inf,
}
"""Limits that a simulated vault may go without, and how far they reach then."""

_CAPACITY = {Limit.LOSS_REFILL: Limit.LOSS_CAPACITY, Limit.TURNOVER_REFILL: Limit.TURNOVER_CAPACITY}


@dataclass(frozen=True)
class GroupCap:
    """Caps on the sum of strategies that share a risk: a market, a collateral, an oracle, a curator.

    Attributes
    ----------
    members
        Numbers of the strategies, from zero; kept in ascending order.
    relative_cap
        Largest share of NAV in them together, in [0, 1].
    absolute_cap
        Largest amount in them together, whole asset units; `inf` where there is none.
    """

    members: tuple[int, ...]
    relative_cap: float = 1.0
    absolute_cap: float = math.inf

    def __post_init__(self) -> None:
        members = tuple(sorted(int(member) for member in self.members))
        object.__setattr__(self, "members", members)
        if len(set(members)) != len(members) or (members and members[0] < 0):
            raise LimitsError(f"a group's members must be numbers of strategies, each once, but are {list(members)}")
        if not 0 <= self.relative_cap <= 1:
            raise LimitsError(f"a group's relative cap must be in [0, 1], but is {self.relative_cap}")
        if not self.absolute_cap >= 0:
            raise LimitsError(f"a group's absolute cap must be zero or more, but is {self.absolute_cap}")


@dataclass(frozen=True)
class Difference:
    """A limit that is one thing here and another there.

    Attributes
    ----------
    words
        Which limit.
    before, now
        Both values in words.
    looser
        Whether it gives up some of the protection.
    in_backtests
        Whether a backtest depends on it.
    """

    words: str
    before: str
    now: str
    looser: bool
    in_backtests: bool = True

    def told(self, before: str, now: str) -> str:
        """Return the difference in one line; `before` and `now` say whose the two values are."""
        return f"{self.words}: {self.before} {before}, {self.now} {now}"


@dataclass(frozen=True)
class Limits:
    """The limits of one vault, real or simulated.

    The numbers keep to the vault's ranges (`Limit`), except that a simulated vault may do without a bound on growth and
    without budgets.

    Attributes
    ----------
    relative_caps
        `(n,)` largest share of NAV in each strategy, in [0, 1]; a zero closes the strategy.
    absolute_caps
        `(n,)` largest amount in each strategy, whole asset units; `inf` where there is none.
    idle_floor
        Least share of NAV that stays idle.
    max_drawdown
        Fall of the share price under the high-water mark at which the vault halts.
    max_growth_rate
        Fastest growth per year of what leaving is paid from (the bid), as a fraction of it. Any rate beyond the vault's
        range is no bound.
    cooldown
        Least seconds between rebalances.
    max_silence
        Seconds without a sign of the keeper after which anyone may unwind.
    loss_budget, turnover_budget
        Shares of NAV that rebalancing may lose and move; no bound by default.
    performance_fee
        Share of the gain of the share price that the fee recipient gets.
    unwind_loss
        Share of what is unwound that may be lost on the way.
    deposit_cap
        Assets beyond which no deposit lifts the vault, whole asset units; `inf` where there is no cap.
    groups
        Caps on strategies that share a risk; those without members are left out.

    Raises
    ------
    LimitsError
        If no vault could have such limits.
    """

    relative_caps: FloatArray
    absolute_caps: FloatArray
    idle_floor: float = 0.02
    max_drawdown: float = 0.10
    max_growth_rate: float = 0.25
    cooldown: float = 0.0
    max_silence: float = WEEK
    loss_budget: Budget = UNBOUNDED
    turnover_budget: Budget = UNBOUNDED
    performance_fee: float = 0.0
    unwind_loss: float = 0.01
    deposit_cap: float = math.inf
    groups: tuple[GroupCap, ...] = ()

    def __post_init__(self) -> None:
        relative = np.asarray(self.relative_caps, dtype=np.float64)
        absolute = np.asarray(self.absolute_caps, dtype=np.float64)
        object.__setattr__(self, "relative_caps", relative)
        object.__setattr__(self, "absolute_caps", absolute)
        if relative.ndim != 1 or relative.shape != absolute.shape or not 1 <= relative.size <= MAX_STRATEGIES:
            raise LimitsError(
                f"caps must be two lists of 1 to {MAX_STRATEGIES} numbers, one of each per strategy, "
                f"but have the shapes {relative.shape} and {absolute.shape}"
            )
        if not (np.all(relative >= 0) and np.all(relative <= 1)):
            raise LimitsError(f"relative caps must be in [0, 1], but are {relative.tolist()}")
        if not np.all(absolute >= 0):
            raise LimitsError(f"absolute caps must be zero or more, but are {absolute.tolist()}")
        object.__setattr__(self, "groups", tuple(group for group in self.groups if group.members))
        if len(self.groups) > MAX_GROUPS or any(group.members[-1] >= relative.size for group in self.groups):
            raise LimitsError(
                f"there may be {MAX_GROUPS} groups of the {relative.size} strategies, but they are "
                f"{[list(group.members) for group in self.groups]}"
            )
        for limit in Limit:
            value, most = limit.of(self), _BEYOND.get(limit, limit.most)
            if not limit.least <= value <= most or value == limit.excluded:
                ends = f"{limit.least:g} to {most:g}" + ("" if limit.excluded is None else f", not {limit.excluded:g}")
                raise LimitsError(f"{limit.path} must be {ends} ({limit.unit.value}), but is {value}")

    @classmethod
    def uniform(
        cls,
        count: int,
        relative_cap: float = 0.6,
        absolute_cap: float = np.inf,
        *,
        idle_floor: float = 0.02,
        max_drawdown: float = 0.10,
        max_growth_rate: float = 0.25,
        cooldown: float = 0.0,
        loss_budget: Budget = UNBOUNDED,
        turnover_budget: Budget = UNBOUNDED,
    ) -> Limits:
        """Return the same caps for `count` strategies."""
        return cls(
            np.full(count, relative_cap),
            np.full(count, absolute_cap),
            idle_floor,
            max_drawdown,
            max_growth_rate,
            cooldown=cooldown,
            loss_budget=loss_budget,
            turnover_budget=turnover_budget,
        )

    @classmethod
    def made_of(
        cls,
        relative_caps: FloatArray,
        absolute_caps: FloatArray,
        numbers: Mapping[Limit, float],
        groups: tuple[GroupCap, ...] = (),
    ) -> Limits:
        """Return the limits that these caps, a number for every `Limit`, and groups make."""
        parts: dict[str, Any] = {}
        for limit in Limit:
            name, _, part = limit.path.partition(".")
            if part:
                parts.setdefault(name, {})[part] = numbers[limit]
            else:
                parts[name] = numbers[limit]
        made: dict[str, Any] = {
            name: Budget(**part) if isinstance(part, dict) else part for name, part in parts.items()
        }
        return cls(relative_caps, absolute_caps, **made, groups=groups)

    @property
    def count(self) -> int:
        """Number of strategies."""
        return int(self.relative_caps.size)

    @property
    def bounds_growth(self) -> bool:
        """Whether there is a bound on growth: a rate beyond the vault's range is none."""
        return self.max_growth_rate <= Limit.MAX_GROWTH_RATE.most

    @cached_property
    def members(self) -> BoolArray:
        """Which strategies each group holds, `(g, n)`."""
        return np.array([[i in group.members for i in range(self.count)] for group in self.groups], dtype=np.bool_)

    def record(self) -> dict[str, Any]:
        """Return every limit as plain JSON: a null is no bound, equal limits have equal records.

        This is the one form in which limits stand in keys, results, manifests and verdicts. Groups stand in it only
        where there are any.
        """
        record = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        if not self.groups:
            del record["groups"]
        return record

    @property
    def digest(self) -> str:
        """SHA-256 of the record, `0x` and 64 hex digits."""
        return digest_of(self.record())

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Limits:
        """Return the limits of a record, also of one that bounded the growth of the mark and not of the bid.

        Raises
        ------
        LimitsError
            If it is not the whole record of a vault's limits.
        """
        names = {field.name for field in fields(cls)} - {"groups"}
        given = _renamed(record) if isinstance(record, Mapping) else {}
        if set(given) - {"groups"} != names:
            missing = sorted(names - set(given))
            raise LimitsError(f"not every limit was recorded, or others were (missing: {', '.join(missing) or 'none'})")
        try:
            groups = tuple(
                GroupCap(**{**{name: _parsed(value) for name, value in group.items()}, "members": group["members"]})
                for group in given.pop("groups", ())
            )
            return cls(**{name: _parsed(value) for name, value in given.items()}, groups=groups)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise LimitsError(f"the record of the limits is damaged: {error}") from error

    def differences(
        self, now: Limits, names: Sequence[str] | None = None, tolerance: float = 0.0
    ) -> tuple[Difference, ...]:
        """Compare with other limits of as many strategies; return the differences, caps first.

        Parameters
        ----------
        now
            The other limits; `looser` says that these are looser.
        names
            Names of the strategies; numbers from zero by default.
        tolerance
            Relative differences up to it do not count.

        Raises
        ------
        ShapeError
            If they are for another number of strategies.
        """
        if now.count != self.count:
            raise ShapeError(f"limits for {self.count} and for {now.count} strategies cannot be compared")
        before, after = self._caps_by_members(), now._caps_by_members()
        labels = [f"strategy {index}" for index in range(self.count)] if names is None else names
        found = [
            Difference(f"the {kind} of {' and '.join(labels[i] for i in members)}", show(old), show(new), new > old)
            for at, (kind, show) in enumerate((("relative cap", percent), ("absolute cap", _money)))
            for members in sorted(before.keys() | after.keys(), key=lambda each: (len(each) > 1, each))
            for old, new in ((before.get(members, _UNCAPPED)[at], after.get(members, _UNCAPPED)[at]),)
            if not math.isclose(old, new, rel_tol=tolerance)
        ]
        for limit in Limit:
            capacity = _CAPACITY.get(limit)
            if capacity is not None and math.inf in (capacity.of(self), capacity.of(now)):
                continue  # a budget without a bound needs no refill
            old, new = limit.of(self), limit.of(now)
            if not math.isclose(old, new, rel_tol=tolerance):
                found.append(
                    Difference(
                        limit.words, limit.show(old), limit.show(new), limit.looser(old, new), limit.in_backtests
                    )
                )
        return tuple(found)

    def _caps_by_members(self) -> dict[tuple[int, ...], tuple[float, float]]:
        """Return relative and absolute caps by what they bind: single strategies, and groups."""
        pairs = zip(self.relative_caps.tolist(), self.absolute_caps.tolist(), strict=True)
        caps: dict[tuple[int, ...], tuple[float, float]] = {(index,): pair for index, pair in enumerate(pairs)}
        for group in self.groups:
            relative, absolute = caps.get(group.members, _UNCAPPED)
            caps[group.members] = min(relative, group.relative_cap), min(absolute, group.absolute_cap)
        return caps

    def caps(self, nav: FloatArray | float) -> FloatArray:
        """Return the caps as shares of NAV.

        Parameters
        ----------
        nav
            `(...,)` NAV in asset units. At zero only the relative caps count.

        Returns
        -------
        FloatArray
            `(..., n)`.
        """
        return _as_shares(self.relative_caps, self.absolute_caps, nav)

    def group_caps(self, nav: FloatArray | float) -> FloatArray:
        """Return the groups' caps as shares of NAV, `(..., g)`; otherwise as `caps`."""
        relative, absolute = (
            [getattr(each, kind) for each in self.groups] for kind in ("relative_cap", "absolute_cap")
        )
        return _as_shares(np.array(relative), np.array(absolute), nav)

    def project(self, weights: FloatArray, nav: FloatArray | float) -> FloatArray:
        """Return the admissible weights nearest to those wanted; only near them where groups overlap.

        Parameters
        ----------
        weights
            `(..., n)` wanted shares of NAV; any numbers, infinities too.
        nav
            `(...,)` NAV in asset units.

        Returns
        -------
        FloatArray
            `(..., n)` with `0 <= w <= caps(nav)`, `sum(w) <= 1 - idle_floor`, and every group within `group_caps(nav)`.

        Raises
        ------
        NotFiniteError
            If a weight is NaN.
        ShapeError
            If there is not one weight per strategy.
        """
        wanted = np.asarray(weights, dtype=np.float64)
        if wanted.ndim < 1 or wanted.shape[-1] != self.count:
            raise ShapeError(f"{self.count} weights are needed, one per strategy, but the shape is {wanted.shape}")
        caps = self.caps(nav)
        if self.groups:
            caps = caps_in_groups(wanted, caps, self.members, self.group_caps(nav))
        return project_capped(wanted, caps, np.asarray(1.0 - self.idle_floor))


_UNCAPPED = (1.0, math.inf)


def _as_shares(relative: FloatArray, absolute: FloatArray, nav: FloatArray | float) -> FloatArray:
    value = np.asarray(nav, dtype=np.float64)[..., None]
    if np.isnan(value).any() or (value < 0).any():
        raise NotFiniteError("NAV must be a number of zero or more to know what the absolute caps allow")
    safe = np.where(value > 0, value, 1.0)
    return np.minimum(relative, np.where(value > 0, absolute / safe, np.inf))


def _renamed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose rate bounded the growth of the mark under the names and with the defaults of today."""
    given = dict(record)
    if "mark_growth_rate" not in given or "max_growth_rate" in given:
        return given
    added: dict[str, Any] = {"unwind_loss": Limits.unwind_loss, "deposit_cap": None}
    return {**added, "max_growth_rate": given.pop("mark_growth_rate"), **given}


def _plain(value: Any) -> Any:
    """Return a limit as JSON has it: numbers are floats, so that 3600 and 3600.0 have one digest."""
    if isinstance(value, Budget):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, GroupCap):
        caps = {name: _plain(getattr(value, name)) for name in ("relative_cap", "absolute_cap")}
        return {"members": list(value.members), **caps}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return [_plain(entry) for entry in value]
    number = float(value) + 0.0  # no minus zero
    return number if math.isfinite(number) else None


def _parsed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Budget(**{name: _parsed(entry) for name, entry in value.items()})
    if isinstance(value, list):
        return np.array([_parsed(entry) for entry in value], dtype=np.float64)
    return math.inf if value is None else float(value)


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if math.isfinite(amount) else "no bound"
