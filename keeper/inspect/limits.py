"""The vault's limits that are one number each: from a file, as the vault has them, in words, and what is unsafe."""

from dataclasses import astuple, dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Any, Self

from agent.units import DAY
from agent.vault.limits import WEEK
from agent.vault.limits_file import LimitsFile
from keeper.inspect.words import percent, span
from keeper.snapshot import WAD, LimitsSnapshot

MAX_SAFE_DRAWDOWN = 0.50
MAX_DAYS_TO_DEPLOY = 30


class Limit(IntEnum):
    """`IVault.Limit`."""

    IDLE_FLOOR = 0
    MAX_DRAWDOWN = 1
    MARK_GROWTH_RATE = 2
    COOLDOWN = 3
    MAX_SILENCE = 4
    LOSS_CAPACITY = 5
    LOSS_REFILL = 6
    TURNOVER_CAPACITY = 7
    TURNOVER_REFILL = 8
    PERFORMANCE_FEE = 9

    @property
    def words(self) -> str:
        """The limit in plain words."""
        return _WORDS[self]

    def show(self, value: int) -> str:
        """Return a value of this limit in plain words."""
        if self in (Limit.COOLDOWN, Limit.MAX_SILENCE):
            return span(value)
        if self in (Limit.LOSS_REFILL, Limit.TURNOVER_REFILL):
            return f"{percent(value * DAY)} a day"
        return percent(value) + (" a year" if self is Limit.MARK_GROWTH_RATE else "")


_WORDS = {
    Limit.IDLE_FLOOR: "the share of NAV that stays idle",
    Limit.MAX_DRAWDOWN: "the drawdown at which the vault halts",
    Limit.MARK_GROWTH_RATE: "the fastest growth of the high-water mark",
    Limit.COOLDOWN: "the time between rebalances",
    Limit.MAX_SILENCE: "the keeper's silence after which anybody may unwind",
    Limit.LOSS_CAPACITY: "the share of NAV that rebalancing may lose at once",
    Limit.LOSS_REFILL: "the rate at which the loss budget comes back",
    Limit.TURNOVER_CAPACITY: "the share of NAV that rebalancing may move at once",
    Limit.TURNOVER_REFILL: "the rate at which the turnover budget comes back",
    Limit.PERFORMANCE_FEE: "the performance fee",
}


@dataclass(frozen=True)
class LimitValues(LimitsSnapshot):
    """The limits that the keeper reads, as a deployment writes them."""

    @classmethod
    def from_file(cls, limits: LimitsFile) -> Self:
        """Return what a limits file asks for; what comes back per second is rounded down."""
        return cls(
            idle_floor=to_wad(limits.idle_floor),
            max_drawdown=to_wad(limits.max_drawdown),
            mark_growth_rate=to_wad(limits.mark_growth_rate),
            cooldown=limits.cooldown,
            max_silence=limits.max_silence,
            loss_capacity=to_wad(limits.loss_budget.capacity),
            loss_refill=to_wad(limits.loss_budget.refill_per_day) // DAY,
            turnover_capacity=to_wad(limits.turnover_budget.capacity),
            turnover_refill=to_wad(limits.turnover_budget.refill_per_day) // DAY,
            performance_fee=to_wad(limits.performance_fee),
        )

    @classmethod
    def from_chain(cls, limits: Any) -> Self:
        """Return the struct that `limits()` gave."""
        return cls(*(int(value) for value in limits))

    def struct(self) -> tuple[int, ...]:
        """Return the struct as the constructor takes it."""
        return astuple(self)

    def of(self, limit: Limit) -> int:
        """Return the value of one limit."""
        return self.struct()[limit]

    def worst_loss(self, seconds: int) -> int:
        """Return the share of NAV (WAD) that a thief of the keeper's key can destroy within `seconds`, at most all."""
        return min(self.loss_capacity + self.loss_refill * seconds, WAD)

    def lines(self) -> list[str]:
        """Return what these limits mean to a depositor, one sentence each."""
        told = [f"After every rebalance at least {percent(self.idle_floor)} stays idle."]
        if self.cooldown:
            told.append(f"At least {span(self.cooldown)} pass between rebalances.")
        told += [
            f"Rebalancing may move at most {percent(self.turnover_capacity)} of the vault at once; "
            f"{percent(self.turnover_refill * DAY)} a day come back.",
            f"Whoever has the keeper's key, a thief too, can make it lose at most {percent(self.worst_loss(DAY))} "
            f"in a day and {percent(self.worst_loss(WEEK))} in a week, whatever they do with it.",
            f"When the share price is more than {percent(self.max_drawdown)} under its high-water mark, anybody may "
            "halt the vault for good, and the next withdrawal does; then anybody may take its funds out of the "
            "strategies, to idle.",
            f"The high-water mark grows at most {percent(self.mark_growth_rate)} a year.",
            f"When the keeper has given no sign for {span(self.max_silence)}, anybody may take the funds out of the "
            "strategies, to idle.",
        ]
        return told


def check_limits(limits: LimitsFile) -> list[str]:
    """Return why these limits are dangerous or inconsistent; empty if they are not. Looks at no chain.

    `load_limits` has refused what no vault could have: a cap over 1, a drawdown of 0, no strategies, unknown keys.
    """
    return [*_check_drawdown(limits), *_check_caps(limits), *_check_budgets(limits), *_check_times(limits)]


def to_wad(fraction: float) -> int:
    """Return a fraction as WAD, exact in its decimal notation: 0.6 is 6e17."""
    return int(Decimal(repr(fraction)) * WAD)


def _check_drawdown(limits: LimitsFile) -> list[str]:
    reasons = []
    if limits.max_drawdown > MAX_SAFE_DRAWDOWN:
        reasons.append(
            f"max_drawdown is {limits.max_drawdown:.0%}: a kill-switch that waits for more than "
            f"{MAX_SAFE_DRAWDOWN:.0%} protects nobody; lower it"
        )
    if limits.mark_growth_rate == 0:
        reasons.append("mark_growth_rate is 0: the high-water mark would never follow a gain; give a rate per year")
    return reasons


def _check_caps(limits: LimitsFile) -> list[str]:
    reasons = []
    deployable = sum(Decimal(repr(entry.relative_cap)) for entry in limits.strategies)
    if deployable + Decimal(repr(limits.idle_floor)) < 1:
        reasons.append(
            f"the relative caps add up to {deployable:.0%} and the idle floor is {limits.idle_floor:.0%}: together "
            f"they cannot hold the NAV. Raise a cap, or raise idle_floor to {1 - deployable:.0%} if that much shall "
            "stay idle"
        )
    for entry in limits.strategies:
        if entry.relative_cap > 1 - limits.idle_floor + 1e-12:
            reasons.append(
                f"{entry.label}: a relative cap of {entry.relative_cap:.0%} can never be used beside an idle floor of "
                f"{limits.idle_floor:.0%}; lower one of them"
            )
    return reasons


def _check_budgets(limits: LimitsFile) -> list[str]:
    reasons = []
    loss, turnover = limits.loss_budget, limits.turnover_budget
    day = loss.capacity + loss.refill_per_day
    if day > limits.max_drawdown:
        reasons.append(
            f"loss_budget lets a thief of the keeper's key lose {day:.2%} in a day, more than the drawdown of "
            f"{limits.max_drawdown:.2%} that halts the vault; lower capacity or refill_per_day"
        )
    if loss.capacity == 0 or to_wad(loss.refill_per_day) // DAY == 0:
        reasons.append(
            "loss_budget has nothing or never gets anything back: entering a strategy may cost a unit of rounding, so "
            "rebalancing would stop for ever; 0.001 and 0.0001 are little enough"
        )
    if to_wad(turnover.refill_per_day) // DAY == 0 or turnover.capacity == 0:
        reasons.append("turnover_budget has nothing or never gets anything back: rebalancing would stop for ever")
        return reasons
    invested = 1 - limits.idle_floor
    per_day = turnover.refill_per_day
    if limits.cooldown:
        per_day = min(per_day, turnover.capacity * DAY / limits.cooldown)
    days = max(0.0, invested - turnover.capacity) / per_day
    if days > MAX_DAYS_TO_DEPLOY:
        reasons.append(
            f"turnover_budget is too small to deploy the NAV: moving {invested:.0%} of it would take {days:,.0f} days; "
            f"raise it until {MAX_DAYS_TO_DEPLOY} are enough"
        )
    return reasons


def _check_times(limits: LimitsFile) -> list[str]:
    if limits.max_silence <= limits.cooldown:
        return [
            f"max_silence ({span(limits.max_silence)}) is not longer than the cooldown ({span(limits.cooldown)}): "
            "anybody could unwind between two rebalances; raise max_silence"
        ]
    return []
