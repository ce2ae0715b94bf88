"""The chain boundary: a snapshot into the agent's units, and the agent's weights back into the vault's integers.

Nothing else in the keeper converts between the two. Inwards: whole asset units, fractions of NAV, APR, float64.
Outwards: WAD, rounded so that no weight is ever carried over a limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from agent.units import WAD, BoolArray, FloatArray
from agent.vault.limits import Limit, Limits
from agent.vault.portfolio import Allowance
from keeper.errors import MissingRateError, VaultNotReadyError
from keeper.snapshot import NO_CAP, Snapshot

HOLD = 2**256 - 1
"""Weight that tells the vault to leave a position as it is."""
_BELOW_ONE = float(np.nextafter(1.0, 0.0))
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

    @classmethod
    def of(cls, snapshot: Snapshot) -> View:
        """Convert a snapshot, as a batch of one.

        Raises
        ------
        VaultNotReadyError
            When there is no strategy.
        MissingRateError
            When a live strategy publishes no rate.
        """
        strategies = snapshot.strategies
        if not strategies:
            raise VaultNotReadyError("The vault has no strategies yet. Have governance add some (ape run deploy does).")
        silent = [s.label for s in strategies if s.live and not s.has_rate]
        if silent:
            raise MissingRateError(
                f"No supply rate from {', '.join(silent)}: the policy needs it. "
                "Wrap the venue in a strategy with supplyRate(), or remove it from the vault."
            )
        unit = 10**snapshot.asset_decimals
        nav = snapshot.total_assets
        shares = [s.assets / nav if nav else 0.0 for s in strategies]
        return cls(
            weights=np.array([shares]),
            idle_weight=np.array([snapshot.idle / nav if nav else 1.0]),
            nav=np.array([nav / unit]),
            drawdown=np.array([snapshot.drawdown]),
            rates=np.array([[s.supply_rate / WAD for s in strategies]]),
            limits=_usable_limits(snapshot),
            allowance=_allowance(snapshot),
        )


def _allowance(snapshot: Snapshot) -> Allowance:
    nav = snapshot.total_assets
    rounding = ROUNDING * len(snapshot.strategies) / nav if nav else 0.0
    return Allowance(
        wait=np.array([float(snapshot.cooldown_left)]),
        turnover=np.array([snapshot.turnover_budget / WAD]),
        loss=np.array([snapshot.loss_budget / WAD - rounding]),
    )


def enforced_limits(snapshot: Snapshot) -> Limits:
    """Return the limits that the vault enforces, in the agent's units."""
    unit, strategies = 10**snapshot.asset_decimals, snapshot.strategies
    numbers = {limit: limit.from_chain(snapshot.limits.of(limit)) for limit in Limit}
    # At the end of their range these two mean that nothing may be invested, and that any fall halts.
    numbers[Limit.IDLE_FLOOR] = min(numbers[Limit.IDLE_FLOOR], _BELOW_ONE)
    numbers[Limit.MAX_DRAWDOWN] = max(numbers[Limit.MAX_DRAWDOWN], float(np.finfo(float).tiny))
    return Limits.made_of(
        np.array([s.relative_cap / WAD for s in strategies]),
        np.array([np.inf if s.absolute_cap >= NO_CAP else s.absolute_cap / unit for s in strategies]),
        numbers,
    )


def _usable_limits(snapshot: Snapshot) -> Limits:
    """Return the enforced limits, tightened where a strategy cannot be read.

    A dead strategy may hold nothing more, and its present holdings are as little to be spent as the idle floor.
    """
    limits = enforced_limits(snapshot)
    dead = [not s.live for s in snapshot.strategies]
    unread = snapshot.unread_assets / snapshot.total_assets if snapshot.total_assets else 0.0
    return replace(
        limits,
        relative_caps=np.where(dead, 0.0, limits.relative_caps),
        idle_floor=min(limits.idle_floor + unread, _BELOW_ONE),
    )


# --- outwards --------------------------------------------------------------------------------------------------------


def chain_weights(target: FloatArray, traded: BoolArray, snapshot: Snapshot) -> tuple[int, ...]:
    """Turn fractions into the vault's integer weights, never over a cap or into the idle floor.

    Every weight is rounded down and bounded by both caps in exact integers. The few units in 1e18 by which a float sum
    may still exceed what is free are taken off the largest traded weight. A held position that is over its cap in
    exact integers is brought down to it, since the vault would refuse the whole.

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
    nav, strategies = snapshot.total_assets, snapshot.strategies
    limits = [min(s.relative_cap, _wad_share(s.absolute_cap, nav)) for s in strategies]
    moves = [
        bool(move) or (s.live and s.assets > nav * cap // WAD)
        for move, s, cap in zip(traded, strategies, limits, strict=True)
    ]
    weights = [
        min(int(Fraction(float(share)) * WAD), cap) if move else HOLD
        for share, move, cap in zip(target, moves, limits, strict=True)
    ]
    held = sum(s.assets for s, move in zip(strategies, moves, strict=True) if not move)
    room = WAD - snapshot.limits.idle_floor - -(-(held + snapshot.unread_assets) * WAD // nav)
    excess = sum(weight for weight, move in zip(weights, moves, strict=True) if move) - room
    while excess > 0 and any(weight not in (0, HOLD) for weight in weights):
        largest = max((weight, index) for index, weight in enumerate(weights) if weight != HOLD)[1]
        cut = min(excess, weights[largest])
        weights[largest] -= cut
        excess -= cut
    return tuple(weights)


def chain_turnover(weights: tuple[int, ...], snapshot: Snapshot) -> int:
    """Return the turnover (WAD) that the vault will count for these weights, in its own integers."""
    nav = snapshot.total_assets
    changes = [
        nav * weight // WAD - s.assets for weight, s in zip(weights, snapshot.strategies, strict=True) if weight != HOLD
    ]
    moved = max(sum(-min(change, 0) for change in changes), sum(max(change, 0) for change in changes))
    return -(-moved * WAD // max(nav, 1))


def _wad_share(assets: int, nav: int) -> int:
    """Return the largest weight whose `nav * weight / WAD`, rounded down, is at most `assets`."""
    return ((assets + 1) * WAD - 1) // nav
