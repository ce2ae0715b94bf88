"""The chain boundary: a snapshot into the agent's units, and the agent's weights back into the vault's integers.

Nothing else in the keeper converts between the two. Inwards: whole asset units, fractions of NAV, APR, float64.
Outwards: WAD, rounded so that no weight is ever carried over a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from agent.units import WAD, BoolArray, FloatArray
from agent.vault.limits import NO_CAP, GroupCap, Limit, Limits
from agent.vault.portfolio import Allowance
from keeper.errors import VaultNotReadyError
from keeper.rates import Rates
from keeper.snapshot import Snapshot, StrategySnapshot

HOLD = 2**256 - 1
"""Weight that tells the vault to leave a position as it is."""
_BELOW_ONE = float(np.nextafter(1.0, 0.0))
DUST = 1e-12
"""Share of a price by which rounding may set another apart from it."""
ROUNDING = 2  # base units that moving a position may lose to rounding, at most


@dataclass(frozen=True)
class View:
    """A snapshot in the agent's units: `(1, n)` and `(1,)` arrays, whole asset units, fractions, APR."""

    weights: FloatArray
    idle_weight: FloatArray
    nav: FloatArray
    drawdown: FloatArray
    rates: FloatArray
    limits: Limits
    allowance: Allowance
    room: FloatArray
    believed: FloatArray
    payable: FloatArray

    @classmethod
    def of(cls, snapshot: Snapshot, rates: Rates) -> View:
        """Convert a snapshot and the rates at its block, as a batch of one.

        Raises
        ------
        VaultNotReadyError
            When there is no strategy.
        """
        strategies = snapshot.strategies
        if not strategies:
            raise VaultNotReadyError("The vault has no strategies yet. Have governance add some (ape run deploy does).")
        unit = 10**snapshot.asset_decimals
        nav = snapshot.nav
        shares = [s.assets / nav if nav else 0.0 for s in strategies]
        return cls(
            weights=np.array([shares]),
            idle_weight=np.array([snapshot.idle / nav if nav else 1.0]),
            nav=np.array([nav / unit]),
            drawdown=np.array([snapshot.drawdown]),
            rates=rates.values[None],
            limits=_usable_limits(snapshot),
            allowance=_allowance(snapshot),
            room=_room(snapshot, rates),
            believed=np.array([_believed(snapshot)]),
            payable=_payable(snapshot),
        )


def _allowance(snapshot: Snapshot) -> Allowance:
    nav = snapshot.nav
    rounding = ROUNDING * len(snapshot.strategies) / nav if nav else 0.0
    return Allowance(
        wait=np.array([float(snapshot.cooldown_left)]),
        turnover=np.array([share_of_nav(snapshot.turnover_budget, snapshot)]),
        loss=np.array([share_of_nav(snapshot.loss_budget, snapshot) - rounding]),
    )


def share_of_nav(budget: int, snapshot: Snapshot) -> float:
    """Return the rest of a budget as a share of NAV: the vault counts it in the bid where that is less."""
    return budget / WAD * _believed(snapshot)


def _believed(snapshot: Snapshot) -> float:
    return snapshot.wall_base / snapshot.nav if snapshot.nav else 1.0


def _room(snapshot: Snapshot, rates: Rates) -> FloatArray:
    """Return `(1, n)` the largest share of NAV that each strategy may be raised to: the liquidity wall.

    A strategy that tells its cash takes no more than the cash would cover; one that does not, nothing while it could
    not pay back what it holds. One that says nothing of what it can pay is tried by the vault: the simulation tells.
    One that shows an absurd rate takes nothing.
    """
    if not snapshot.nav:
        return np.full((1, len(snapshot.strategies)), np.inf)
    pairs = zip(snapshot.strategies, rates.absurd, strict=True)
    return np.array([[0.0 if absurd else _most_payable(s) / snapshot.nav for s, absurd in pairs]])


def _most_payable(strategy: StrategySnapshot) -> float:
    """Return the largest position, base units, that the strategy could pay back at once; `inf` where nobody knows."""
    return strategy.cash if strategy.has_cash else _most_out(strategy)


def _payable(snapshot: Snapshot) -> FloatArray:
    """Return `(1, n)` the most that each strategy pays out now, as a share of NAV: what it cannot pay is left in it."""
    paid = [max(_most_out(s) - ROUNDING, 0) for s in snapshot.strategies]
    return np.array([[most / snapshot.nav if snapshot.nav else np.inf for most in paid]])


def _most_out(strategy: StrategySnapshot) -> float:
    """Return what the strategy pays of the vault's position, base units; `inf` for all of it.

    One that tells no cash and says 0 may be one that says nothing: leaving it is tried, and the simulation tells.
    """
    short = strategy.max_withdraw + ROUNDING < strategy.assets
    told = strategy.has_cash or strategy.max_withdraw > 0
    return strategy.max_withdraw if short and told else np.inf


class Leg(NamedTuple):
    """Costs of moving into and out of a strategy, as in `agent.vault.portfolio.Costs`."""

    entry: float
    exit: float
    impact: float = 0.0


def leg_costs(snapshot: Snapshot, named: Mapping[str, Leg]) -> dict[str, Any]:
    """Return what entering and leaving each strategy costs, their impact, and its haircut, `(n,)` each, by name.

    Haircuts are those that the strategies show. So are the costs, at their most, where the operator names none: that is
    a bound for legs of any size, so no impact comes on top.
    """
    legs, haircuts = [], []
    for s in snapshot.strategies:
        haircut = _discount(s.exit_price, s.price)
        most = Leg(_discount(s.price, s.entry_price), haircut)
        legs.append(named.get(s.target, named.get(s.label, most)))
        haircuts.append(haircut)
    columns = zip(Leg._fields, np.array(legs).T, strict=True)
    return {**dict(columns), "haircut": np.array(haircuts)}


def _discount(less: int, more: int) -> float:
    """Return by which share one price is under another; 0 for what is no more than rounding."""
    discount = 1.0 - less / more if more else 0.0
    return min(discount, _BELOW_ONE) if discount > DUST else 0.0


def enforced_limits(snapshot: Snapshot) -> Limits:
    """Return the limits that the vault enforces, in the agent's units."""
    unit, strategies = 10**snapshot.asset_decimals, snapshot.strategies
    numbers = {limit: limit.from_chain(snapshot.limits.of(limit), unit) for limit in Limit}
    # At the end of their range these two mean that nothing may be invested, and that any fall halts.
    numbers[Limit.IDLE_FLOOR] = min(numbers[Limit.IDLE_FLOOR], _BELOW_ONE)
    numbers[Limit.MAX_DRAWDOWN] = max(numbers[Limit.MAX_DRAWDOWN], float(np.finfo(float).tiny))
    return Limits.made_of(
        np.array([s.relative_cap / WAD for s in strategies]),
        np.array([_whole(s.absolute_cap, unit) for s in strategies]),
        numbers,
        tuple(
            GroupCap(
                tuple(index for index in range(len(strategies)) if group.holds(index)),
                group.relative_cap / WAD,
                _whole(group.absolute_cap, unit),
            )
            for group in snapshot.groups
        ),
    )


def _whole(cap: int, unit: int) -> float:
    """Return a cap in whole asset units; `inf` for none."""
    return np.inf if cap >= NO_CAP else cap / unit


def _usable_limits(snapshot: Snapshot) -> Limits:
    """Return the enforced limits, tightened where a strategy cannot be read.

    A dead strategy may hold nothing more, and its present holdings are as little to be spent as the idle floor. They
    may be all in one group, so they count in every group that has a dead member.
    """
    limits = enforced_limits(snapshot)
    dead = [not s.live for s in snapshot.strategies]
    unread = snapshot.unread_assets / snapshot.nav if snapshot.nav else 0.0
    return replace(
        limits,
        relative_caps=np.where(dead, 0.0, limits.relative_caps),
        idle_floor=min(limits.idle_floor + unread, _BELOW_ONE),
        groups=tuple(
            replace(
                group,
                relative_cap=max(0.0, group.relative_cap - unread),
                absolute_cap=max(0.0, group.absolute_cap - snapshot.unread_assets / 10**snapshot.asset_decimals),
            )
            if any(dead[member] for member in group.members)
            else group
            for group in limits.groups
        ),
    )


# --- outwards --------------------------------------------------------------------------------------------------------


def chain_weights(target: FloatArray, traded: BoolArray, snapshot: Snapshot) -> tuple[int, ...]:
    """Turn fractions into the vault's integer weights, never over a cap or into the idle floor.

    Every weight is rounded down. What is deposited into is bounded in exact integers by its own caps, by its liquidity,
    by the caps of its groups and by the idle floor; the few units by which a float sum may exceed those are taken off
    the largest of the growing positions. What a bound leaves no room to grow is held.

    Parameters
    ----------
    target
        `(n,)` admissible shares of NAV.
    traded
        `(n,)` false where the position stays as it is.
    snapshot
        NAV, caps and holdings, in base units.

    Returns
    -------
    tuple of int
        WAD, or `HOLD`.
    """
    nav, base, strategies = snapshot.nav, snapshot.wall_base, snapshot.strategies
    moves = [bool(move) and s.live for move, s in zip(traded, strategies, strict=True)]
    wanted = [int(Fraction(float(share)) * WAD) for share in target]
    amounts = [
        _bounded(s, nav * weight // WAD, base) if move else s.assets
        for s, weight, move in zip(strategies, wanted, moves, strict=True)
    ]
    for group in snapshot.groups:
        members = [index for index in range(len(strategies)) if group.holds(index)]
        unread = snapshot.unread_assets if any(not strategies[index].live for index in members) else 0
        most = min(base * group.relative_cap // WAD, group.absolute_cap) - unread
        _cut(amounts, members, most, strategies)
    floor = min(snapshot.idle, -(-nav * snapshot.limits.idle_floor // WAD))
    _cut(amounts, range(len(strategies)), nav - snapshot.unread_assets - floor, strategies)
    return tuple(
        _weight(s, amount, weight, nav) if move else HOLD
        for s, amount, weight, move in zip(strategies, amounts, wanted, moves, strict=True)
    )


def _bounded(strategy: StrategySnapshot, amount: int, base: int) -> int:
    """Return the amount within what binds a strategy that is deposited into; one that is not has no bounds."""
    most = min(base * strategy.relative_cap // WAD, strategy.absolute_cap)
    if strategy.has_cash:
        most = min(most, strategy.cash)
    return amount if amount <= strategy.assets else max(strategy.assets, min(amount, most))


def _cut(amounts: list[int], members: Iterable[int], most: int, strategies: Sequence[StrategySnapshot]) -> None:
    """Take what the members' sum has over `most` off those that grow, the largest first, down to what they hold."""
    excess = sum(amounts[index] for index in members) - most
    for index in sorted(members, key=lambda index: -amounts[index]):
        cut = max(0, min(excess, amounts[index] - strategies[index].assets))
        amounts[index] -= cut
        excess -= cut


def _weight(strategy: StrategySnapshot, amount: int, wanted: int, nav: int) -> int:
    """Return the weight for an amount, rounded down: the one that was wanted where nothing was taken off."""
    if amount == nav * wanted // WAD:
        return wanted
    return HOLD if amount == strategy.assets else amount * WAD // nav


def chain_turnover(weights: tuple[int, ...], snapshot: Snapshot) -> int:
    """Return the turnover (WAD) that the vault will count for these weights, in its own integers."""
    nav = snapshot.nav
    changes = [
        nav * weight // WAD - s.assets for weight, s in zip(weights, snapshot.strategies, strict=True) if weight != HOLD
    ]
    moved = max(sum(-min(change, 0) for change in changes), sum(max(change, 0) for change in changes))
    return -(-moved * WAD // max(snapshot.wall_base, 1))
