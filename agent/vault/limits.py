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
from operator import attrgetter
from typing import Any

import numpy as np

from agent.digest import digest_of
from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.units import DAY, HOUR, WAD, WEEK, FloatArray, span
from agent.vault.bucket import UNBOUNDED, Budget
from agent.vault.projection import project_capped

MAX_STRATEGIES = 16
"""Most strategies that the vault takes."""


class Unit(Enum):
    """Unit of a limit here; on chain a share is WAD, a rate per day is WAD per second."""

    SHARE = "share"
    BASIS_POINTS = "share, whole basis points"
    SHARE_PER_YEAR = "share per year"
    SHARE_PER_DAY = "share per day"
    SECONDS = "seconds"


class Tight(Enum):
    """Direction in which a limit is tightened; a limit with neither is loosened by every change."""

    UP = "up"
    DOWN = "down"
    NEITHER = "neither"


class Limit(IntEnum):
    """The limits that are one number each, in the order and with the ranges of `IVault.Limit`.

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
    MARK_GROWTH_RATE = (
        2,
        "mark_growth_rate",
        "the fastest growth of the high-water mark",
        Unit.SHARE_PER_YEAR,
        (0.0, 10.0),
        Tight.NEITHER,  # a slow mark forgets gains, a fast one can be lifted by a gift
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
        per = {Unit.SHARE_PER_YEAR: " a year", Unit.SHARE_PER_DAY: " a day"}
        return percent(value) + per.get(self.unit, "")

    def to_chain(self, value: float) -> int:
        """Return a value as the vault stores it; a refill per second is rounded down."""
        if self.unit is Unit.SECONDS:
            return int(value)
        return to_wad(value) // (DAY if self.unit is Unit.SHARE_PER_DAY else 1)

    def from_chain(self, value: int) -> float:
        """Return a value that the vault stores."""
        if self.unit is Unit.SECONDS:
            return float(value)
        return value / WAD * (DAY if self.unit is Unit.SHARE_PER_DAY else 1)


def to_wad(fraction: float) -> int:
    """Return a fraction as WAD, exact in its decimal notation: 0.6 is 6e17."""
    return int(Decimal(repr(float(fraction))) * WAD)


def percent(share: float) -> str:
    """Return a share as `2.5 %`."""
    return f"{share * 100:.6g} %"


_BEYOND: Mapping[Limit, float] = {
    Limit.MARK_GROWTH_RATE: sys.float_info.max,
    Limit.LOSS_CAPACITY: math.inf,
    Limit.TURNOVER_CAPACITY: math.inf,
}
"""Limits that a simulated vault may go without, and how far they reach then."""

_CAPACITY = {Limit.LOSS_REFILL: Limit.LOSS_CAPACITY, Limit.TURNOVER_REFILL: Limit.TURNOVER_CAPACITY}


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

    The numbers keep to the vault's ranges (`Limit`), except that a simulated vault may do without a bound on the mark's
    growth and without budgets.

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
    mark_growth_rate
        Fastest growth of the high-water mark per year, as a fraction of it.
    cooldown
        Least seconds between rebalances.
    max_silence
        Seconds without a sign of the keeper after which anyone may unwind.
    loss_budget, turnover_budget
        Shares of NAV that rebalancing may lose and move; no bound by default.
    performance_fee
        Share of the gain of the share price that the fee recipient gets.

    Raises
    ------
    LimitsError
        If no vault could have such limits.
    """

    relative_caps: FloatArray
    absolute_caps: FloatArray
    idle_floor: float = 0.02
    max_drawdown: float = 0.10
    mark_growth_rate: float = 0.25
    cooldown: float = 0.0
    max_silence: float = WEEK
    loss_budget: Budget = UNBOUNDED
    turnover_budget: Budget = UNBOUNDED
    performance_fee: float = 0.0

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
        mark_growth_rate: float = 0.25,
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
            mark_growth_rate,
            cooldown=cooldown,
            loss_budget=loss_budget,
            turnover_budget=turnover_budget,
        )

    @classmethod
    def made_of(cls, relative_caps: FloatArray, absolute_caps: FloatArray, numbers: Mapping[Limit, float]) -> Limits:
        """Return the limits that these caps and a number for every `Limit` make."""
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
        return cls(relative_caps, absolute_caps, **made)

    @property
    def count(self) -> int:
        """Number of strategies."""
        return int(self.relative_caps.size)

    def record(self) -> dict[str, Any]:
        """Return every limit as plain JSON: a null is no bound, equal limits have equal records.

        This is the one form in which limits stand in keys, results, manifests and verdicts.
        """
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @property
    def digest(self) -> str:
        """SHA-256 of the record, `0x` and 64 hex digits."""
        return digest_of(self.record())

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Limits:
        """Return the limits of a record.

        Raises
        ------
        LimitsError
            If it is not the whole record of a vault's limits, as a version before this one may have written.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(record, Mapping) or set(record) != names:
            missing = sorted(names - set(record)) if isinstance(record, Mapping) else sorted(names)
            raise LimitsError(f"not every limit was recorded, or others were (missing: {', '.join(missing) or 'none'})")
        try:
            return cls(**{name: _parsed(value) for name, value in record.items()})
        except (AttributeError, TypeError, ValueError) as error:
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
        labels = [f"strategy {index}" for index in range(self.count)] if names is None else names
        found = [
            Difference(f"the {kind} of {label}", show(old), show(new), new > old)
            for kind, show, pairs in (
                ("relative cap", percent, zip(self.relative_caps.tolist(), now.relative_caps.tolist(), strict=True)),
                ("absolute cap", _money, zip(self.absolute_caps.tolist(), now.absolute_caps.tolist(), strict=True)),
            )
            for label, (old, new) in zip(labels, pairs, strict=True)
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
        value = np.asarray(nav, dtype=np.float64)[..., None]
        if np.isnan(value).any() or (value < 0).any():
            raise NotFiniteError("NAV must be a number of zero or more to know what the absolute caps allow")
        safe = np.where(value > 0, value, 1.0)
        absolute = np.where(value > 0, self.absolute_caps / safe, np.inf)
        return np.minimum(self.relative_caps, absolute)

    def project(self, weights: FloatArray, nav: FloatArray | float) -> FloatArray:
        """Return the admissible weights nearest to those wanted.

        Parameters
        ----------
        weights
            `(..., n)` wanted shares of NAV; any numbers, infinities too.
        nav
            `(...,)` NAV in asset units.

        Returns
        -------
        FloatArray
            `(..., n)` with `0 <= w <= caps(nav)` and `sum(w) <= 1 - idle_floor`.

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
        return project_capped(wanted, self.caps(nav), np.asarray(1.0 - self.idle_floor))


def _plain(value: Any) -> Any:
    """Return a limit as JSON has it: numbers are floats, so that 3600 and 3600.0 have one digest."""
    if isinstance(value, Budget):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
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
