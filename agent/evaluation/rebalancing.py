"""The best move under linear costs, for rules with forecasts and bands; numpy only, since the keeper runs them."""

from __future__ import annotations

import numpy as np

from agent.units import BoolArray, FloatArray


def best_weights(
    value: FloatArray,
    now: FloatArray,
    entry: FloatArray,
    leave: FloatArray,
    caps: FloatArray,
    budget: FloatArray | float,
) -> FloatArray:
    """Return the weights `(B, n)` that maximise `value w - entry (w - now)+ - leave (now - w)+` within the limits.

    A linear programme, solved exactly by filling in order of value: a position up to its present size is worth its
    value and the cost of leaving that it saves, beyond it its value less the cost of entering, and one budget binds
    them all. What is worth less than nothing stays idle.

    Parameters
    ----------
    value
        `(B, n)` expected earnings per unit over the horizon.
    now
        `(B, n)` present weights.
    entry, leave
        Costs of a leg per unit; anything that broadcasts to `(B, n)`.
    caps
        Most of each strategy, likewise.
    budget
        `(B,)` most in all, or one number.
    """
    kept = np.minimum(now, caps)
    worth = np.concatenate([value + leave, value - entry], axis=-1)
    room = np.where(worth > 0, np.concatenate([kept, caps - kept], axis=-1), 0.0)
    order = np.argsort(-worth, axis=-1, kind="stable")
    sorted_room = np.take_along_axis(room, order, -1)
    before = np.cumsum(sorted_room, axis=-1) - sorted_room
    filled = np.empty_like(room)
    np.put_along_axis(filled, order, np.clip(np.asarray(budget)[..., None] - before, 0.0, sorted_room), -1)
    count = value.shape[-1]
    return np.asarray(filled[:, :count] + filled[:, count:])


def pays(
    best: FloatArray, now: FloatArray, value: FloatArray, entry: FloatArray, leave: FloatArray, gas: FloatArray
) -> BoolArray:
    """Return whether moving from `now` to `best` gains more than its legs and the `(B,)` gas cost, `(B,)`."""
    change = best - now
    gain = (change * value - np.maximum(change, 0.0) * entry - np.maximum(-change, 0.0) * leave).sum(-1)
    return np.asarray(gain > gas)
