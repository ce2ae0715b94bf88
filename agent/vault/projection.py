"""Exact projections onto the admissible weights, by sorted breakpoints."""

from __future__ import annotations

import numpy as np

from agent.columns import total as total_of
from agent.errors import LimitsError, NotFiniteError
from agent.units import BoolArray, FloatArray

_REACH = 1e6  # wanted weights beyond this differ in nothing but order; keeps differences near one exact enough


def project_capped(wanted: FloatArray, caps: FloatArray, budget: FloatArray) -> FloatArray:
    """Project onto the capped simplex `{0 <= w <= caps, sum(w) <= budget}`, exactly.

    The solution is `clip(wanted - tau, 0, caps)` with the least `tau >= 0` that fits the budget. The sum after
    clipping falls with `tau` along straight lines between the breakpoints `wanted` and `wanted - caps`, so bisection
    over the sorted breakpoints finds the line and one division finds the point on it (Condat, "Fast projection onto
    the simplex and the l1 ball", 2016, has the history of the idea).

    Parameters
    ----------
    wanted
        `(..., n)`; clipped to +-1e6.
    caps
        `(..., n)`, zero or more.
    budget
        `(...,)`; below zero counts as zero.

    Returns
    -------
    FloatArray
        `(..., n)`.
    """
    if np.isnan(wanted).any() or np.isnan(caps).any() or np.isnan(budget).any():
        raise NotFiniteError("weights, caps and budget must not be NaN: refuse the policy that produced them")
    shape = np.broadcast_shapes(wanted.shape, caps.shape)
    count = shape[-1]
    top = np.maximum(np.broadcast_to(caps, shape).reshape(-1, count), 0.0)
    raw = np.broadcast_to(wanted, shape).reshape(-1, count)
    return project_rows(raw, top, np.broadcast_to(budget, shape[:-1]).reshape(-1)).reshape(shape)


def project_rows(wanted: FloatArray, caps: FloatArray, budget: FloatArray) -> FloatArray:
    """Project like `project_capped`, without its checks: `(B, n)`, caps `(B, n)` of zero or more, `(B,)`, no NaN."""
    budgets = np.maximum(budget, 0.0)
    raw = _clip(wanted, -_REACH, _REACH)
    clipped = _clip(raw, 0.0, caps)
    over = total_of(clipped) > budgets
    if over.all():
        return _project_over(raw, caps, budgets)
    if over.any():
        clipped[over] = _project_over(raw[over], caps[over], budgets[over])
    return clipped


def caps_in_groups(wanted: FloatArray, caps: FloatArray, members: BoolArray, most: FloatArray) -> FloatArray:
    """Lower the caps of every group's members to the group's nearest point to the wanted weights.

    A projection onto these caps keeps every group within its `most`. Where no groups overlap it is the projection onto
    caps, groups and budget: a group that binds there has its own nearest point, and one that does not lies under it.
    Where some overlap, the caps are lowered group after group: admissible, but not always nearest.

    Parameters
    ----------
    wanted
        `(..., n)`.
    caps
        `(..., n)`, zero or more.
    members
        `(g, n)` strategies of each group.
    most
        `(..., g)` largest sum of each group; below zero counts as zero.

    Returns
    -------
    FloatArray
        `(..., n)`, no higher than `caps`.
    """
    lowered = np.array(np.broadcast_to(caps, np.broadcast_shapes(wanted.shape, caps.shape)))
    asked = np.broadcast_to(wanted, lowered.shape)
    for index, part in enumerate(members):
        lowered[..., part] = project_capped(
            np.compress(part, asked, -1), np.compress(part, lowered, -1), most[..., index]
        )
    return lowered


def _clip(values: FloatArray, low: FloatArray | float, high: FloatArray | float) -> FloatArray:
    """Clip like `np.clip`, in a third of its time for small arrays."""
    return np.asarray(np.minimum(np.maximum(values, low), high))


def project_between(wanted: FloatArray, low: FloatArray, high: FloatArray, total: FloatArray) -> FloatArray:
    """Project onto `{low <= w <= high, sum(w) = total}`, exactly.

    The solution is `clip(wanted - tau, low, high)` with the one `tau`, of either sign, that meets the total. A constant
    added to all of `wanted` changes only `tau`; with one that is large enough this is the projection onto a capped
    simplex.

    Parameters
    ----------
    wanted
        `(..., n)`; clipped to +-1e6.
    low, high
        `(..., n)` bounds, or one for all.
    total
        `(...,)`; between the sums of the bounds.

    Returns
    -------
    FloatArray
        `(..., n)`.

    Raises
    ------
    NotFiniteError
        If anything is NaN.
    LimitsError
        If nothing lies between the bounds and sums to the total.
    """
    asked = np.clip(np.asarray(wanted, dtype=np.float64), -_REACH, _REACH)
    least, most = np.broadcast_to(low, asked.shape), np.broadcast_to(high, asked.shape)
    room = most - least
    budget = total - least.sum(-1)
    if (room < 0).any() or (budget < 0).any() or (budget > room.sum(-1) + 1e-12).any():
        raise LimitsError(f"no weights between {low} and {high} sum to {total}")
    above = asked - least
    lifted = above + np.maximum((room - above).max(-1, keepdims=True), 0.0)
    return np.asarray(np.minimum(least + project_capped(lifted, room, budget), most))


def _project_over(raw: FloatArray, caps: FloatArray, budgets: FloatArray) -> FloatArray:
    """Project rows that exceed their budget: `(B, n)`, `(B, n)`, `(B,)` to `(B, n)`."""
    points = np.sort(np.concatenate([np.zeros((len(raw), 1)), np.maximum(raw, 0), np.maximum(raw - caps, 0)], -1), -1)
    row = np.arange(len(raw))
    low = np.zeros(len(raw), dtype=np.int64)  # the sum is above the budget at points[low] ...
    high = np.full(len(raw), points.shape[-1] - 1)  # ... and within it at points[high]
    while (high - low > 1).any():
        middle = (low + high) // 2
        above = total_of(_clip(raw - points[row, middle, None], 0.0, caps)) > budgets
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    start, end = points[row, low, None], points[row, high, None]
    left = _clip(raw - start, 0.0, caps)
    free = (raw - caps <= start) & (raw >= end) & (caps > 0)
    excess = total_of(left) - budgets
    fall = np.minimum(excess / np.maximum(total_of(free.astype(np.float64)), 1.0), (end - start)[:, 0])
    weights = _clip(raw - start - fall[:, None], 0.0, caps)
    # Breakpoints of large wanted weights are rounded: take the rest over the budget off the weights between.
    between = (weights > 0) & (weights < caps)
    rest = np.maximum(total_of(weights) - budgets, 0.0) / np.maximum(total_of(between.astype(np.float64)), 1.0)
    return _clip(weights - rest[:, None] * between, 0.0, caps)
