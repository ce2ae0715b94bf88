"""Limits that a vault takes but nobody should deploy: dangerous ones, and some that contradict each other."""

import math
from decimal import Decimal

import numpy as np

from agent.units import DAY, span
from agent.vault.limits import to_wad
from agent.vault.limits_file import LimitsFile

MAX_SAFE_DRAWDOWN = 0.50
MAX_DAYS_TO_DEPLOY = 30


def check_limits(limits: LimitsFile) -> list[str]:
    """Return the reasons not to deploy these limits: dangers and contradictions, one a line. Looks at no chain.

    `load_limits` has refused the impossible: a cap over 1, a drawdown of 0, no strategies, unknown keys.
    """
    return [*_check_drawdown(limits), *_check_caps(limits), *_check_budgets(limits), *_check_times(limits)]


def _check_drawdown(limits: LimitsFile) -> list[str]:
    reasons = []
    if limits.max_drawdown > MAX_SAFE_DRAWDOWN:
        reasons.append(
            f"max_drawdown is {limits.max_drawdown:.0%}: a kill-switch that waits for more than "
            f"{MAX_SAFE_DRAWDOWN:.0%} protects nobody; lower it"
        )
    if limits.max_growth_rate == 0:
        reasons.append("max_growth_rate is 0: who leaves would never be paid a gain; give a rate per year")
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
    for group in limits.group_caps():
        together = sum(limits.strategies[member].relative_cap for member in group.members)
        if group.relative_cap >= min(together, 1.0) and math.isinf(group.absolute_cap):
            names = ", ".join(limits.names[member] for member in group.members)
            reasons.append(f"the group of {names} binds nothing: its members' own caps are no wider; lower its cap")
    if not reasons and _largest(limits) + limits.idle_floor < 1 - 1e-9:
        reasons.append(
            f"the caps and the groups' caps leave {_largest(limits):.0%} to invest and the idle floor is "
            f"{limits.idle_floor:.0%}: together they cannot hold the NAV. Raise a cap, or raise idle_floor"
        )
    for entry in limits.strategies:
        if entry.relative_cap > 1 - limits.idle_floor + 1e-12:
            reasons.append(
                f"{entry.label}: a relative cap of {entry.relative_cap:.0%} can never be used beside an idle floor of "
                f"{limits.idle_floor:.0%}; lower one of them"
            )
    return reasons


def _largest(limits: LimitsFile) -> float:
    """Return the largest share of NAV that relative caps and groups let strategies hold; 1 where groups overlap."""
    arrays = limits.limits()
    if (arrays.members.sum(0) > 1).any():
        return 1.0
    return float(arrays.project(np.full(arrays.count, 2.0), 0.0).sum())


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
