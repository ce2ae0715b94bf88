"""What a rebalance takes out of the turnover and the loss budget, and how far towards a target they reach."""

from __future__ import annotations

import numpy as np

from agent.columns import total
from agent.limits import project_rows
from agent.portfolio import Costs
from agent.units import BoolArray, FloatArray


def spending(change: FloatArray, costs: Costs) -> tuple[FloatArray, FloatArray]:
    """Return what changes of weights `(B, n)` take out of the turnover and the loss budget, `(B,)` each."""
    deposited, withdrawn = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    turnover = np.maximum(total(deposited), total(withdrawn))
    return turnover, total(deposited * np.asarray(costs.entry) + withdrawn * np.asarray(costs.exit))


def part_way(
    target: FloatArray,
    traded: BoolArray,
    weights: FloatArray,
    caps: FloatArray,
    budget: FloatArray,
    most: tuple[FloatArray, FloatArray],
    costs: Costs,
) -> FloatArray:
    """Return targets `(B, n)` as far towards `target` as `most`, turnover and loss, can be sure to pay for.

    The way starts at the admissible portfolio nearest to the present one and ends at an admissible one, so all of it is
    admissible. What is spent along it is a convex function, so it lies under the straight line between its two ends.
    """
    room = budget - total(np.where(traded, 0.0, weights))
    nearest = project_rows(np.where(traded, weights, 0.0), np.where(traded, caps, 0.0), room)
    start = np.where(traded, nearest, weights)
    share = np.ones(len(weights))
    for first, last, bound in zip(
        spending(start - weights, costs), spending(target - weights, costs), most, strict=True
    ):
        part = (bound - first) / np.where(last > first, last - first, 1.0)
        share = np.minimum(share, np.where(last > bound, part, 1.0))
    share = np.maximum(share, 0.0) * (1.0 - 1e-9)  # rounding must not carry it over
    return np.asarray(start + share[:, None] * (target - start))
