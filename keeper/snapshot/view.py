"""A snapshot in the agent's units: whole asset units, fractions and APR instead of the chain's integers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agent.units import FloatArray
from agent.vault.limits import Limit, Limits
from agent.vault.portfolio import Allowance
from keeper.errors import MissingRateError, VaultNotReadyError
from keeper.snapshot.snapshot import WAD, Snapshot

NO_CAP = 2**128 - 1  # an absolute cap at the top of its type is none
_BELOW_ONE = float(np.nextafter(1.0, 0.0))
ROUNDING = 2  # base units that moving a position may lose to rounding, at most


@dataclass(frozen=True)
class View:
    """A snapshot in the agent's units: `(1, n)` and `(1,)` arrays, whole asset units, fractions, APR."""

    weights: FloatArray
    idle: FloatArray
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
        silent = [s.name or s.target for s in strategies if s.live and not s.has_rate]
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
            idle=np.array([snapshot.idle / nav if nav else 1.0]),
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
