"""Trades too small to send are dropped, and what is traded is fitted to the room that held positions leave."""

from __future__ import annotations

import numpy as np

from agent.columns import every, some, total
from agent.decision.rules import DecisionRules
from agent.limits import project_rows
from agent.units import BoolArray, FloatArray


def drop_small(
    wanted: FloatArray,
    projected: FloatArray,
    weights: FloatArray,
    caps: FloatArray,
    budget: FloatArray,
    rules: DecisionRules,
) -> tuple[FloatArray, BoolArray]:
    """Hold what changes by less than the smallest trade; return targets and traded flags, `(B, n)` each.

    `projected` are the `wanted` weights projected onto all of `caps` and `budget`: right as they are for the vaults
    that trade every strategy. Those that trade some are projected again onto what the held positions leave.
    """
    required = weights > caps  # the vault checks the caps of held positions too
    traded = _large(projected - weights, rules) | required
    target = np.where(traded, projected, weights)
    mixed = some(traded) & ~every(traded)
    if mixed.any():
        target[mixed], traded[mixed] = _settle(
            wanted[mixed], weights[mixed], caps[mixed], budget[mixed], traded[mixed], required[mixed], rules
        )
    traded &= some(_large(target - weights, rules))[:, None]  # a trim to a cap alone can wait
    return np.where(traded, target, weights), traded


def _settle(
    wanted: FloatArray,
    weights: FloatArray,
    caps: FloatArray,
    budget: FloatArray,
    traded: BoolArray,
    required: BoolArray,
    rules: DecisionRules,
) -> tuple[FloatArray, BoolArray]:
    """Project what is traded onto the room that is left, and drop what that made small, until nothing changes."""
    target = weights
    for _ in range(2 * weights.shape[1] + 2):  # every round but one drops at least one trade of a row
        held = total(np.where(traded, 0.0, weights))
        crowded = held > budget  # what is held breaks the idle floor: hold nothing
        if crowded.any():
            required = required | crowded[:, None]
            traded = traded | required
            held = np.where(crowded, 0.0, held)
        moved = project_rows(np.where(traded, wanted, 0.0), np.where(traded, caps, 0.0), budget - held)
        target = np.where(traded, moved, weights)
        small = traded & ~required & ~_large(target - weights, rules)
        if not small.any():
            break
        traded = traded & ~small
    return target, traded


def _large(change: FloatArray, rules: DecisionRules) -> BoolArray:
    return np.asarray((np.abs(change) >= rules.min_trade) & (change != 0))
