"""A snapshot as the agent sees it: whole asset units, fractions and APR instead of the chain's integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.units import DAY, FloatArray
from agent.vault.bucket import Budget
from agent.vault.limits import Limits
from agent.vault.portfolio import Allowance
from keeper.errors import MissingRateError, VaultNotReadyError
from keeper.snapshot.snapshot import WAD, Snapshot

NO_CAP = 2**128 - 1  # an absolute cap at the top of its type is none
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
        """Return a snapshot in the agent's units, as a batch of one.

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
                f"No supply rate from {', '.join(silent)}: the policy cannot see what it pays. "
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
            limits=_limits(snapshot, unit),
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


def _limits(snapshot: Snapshot, unit: int) -> Limits:
    # A strategy that is dead or closed (cap 0) may hold nothing more: an absolute cap of zero says so.
    closed = [not s.live or s.relative_cap == 0 for s in snapshot.strategies]
    pairs = list(zip(snapshot.strategies, closed, strict=True))
    walls = snapshot.limits
    unread = snapshot.unread_assets / snapshot.total_assets if snapshot.total_assets else 0.0
    return Limits(
        relative_caps=np.array([1.0 if shut else s.relative_cap / WAD for s, shut in pairs]),
        absolute_caps=np.array(
            [0.0 if shut else np.inf if s.absolute_cap >= NO_CAP else s.absolute_cap / unit for s, shut in pairs]
        ),
        # What sits in strategies that cannot be read is as little to be spent as the floor.
        idle_floor=min(walls.idle_floor / WAD + unread, np.nextafter(1.0, 0.0)),
        max_drawdown=max(walls.max_drawdown / WAD, float(np.finfo(float).tiny)),
        mark_growth_rate=walls.mark_growth_rate / WAD,
        cooldown=float(walls.cooldown),
        max_silence=float(walls.max_silence),
        loss_budget=Budget(walls.loss_capacity / WAD, walls.loss_refill / WAD * DAY),
        turnover_budget=Budget(walls.turnover_capacity / WAD, walls.turnover_refill / WAD * DAY),
        performance_fee=walls.performance_fee / WAD,
    )
