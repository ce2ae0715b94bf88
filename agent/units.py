"""Constants and array types that every module of the agent shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

WAD = 10**18
"""The chain's 1.0."""

HOUR, DAY, WEEK = 3_600, 86_400, 7 * 86_400
"""Seconds in an hour, a day, a week."""

YEAR = 365 * DAY
"""Seconds in the year that rates are quoted for: 365 days, as in Aave's and the vault's arithmetic."""

GWEI = 1e-9
"""ETH per gwei."""


def rows(value: Any, batch: int) -> FloatArray:
    """Return a scalar or a `(B,)` array as float64 `(batch,)`."""
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (batch,)))


def span(seconds: int) -> str:
    """Return a number of seconds as `2 days`, `1 hour 30 minutes`: the two largest units that it fills."""
    parts = []
    for name, length in (("day", DAY), ("hour", HOUR), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count:,} {name}{'' if count == 1 else 's'}")
    return " ".join(parts[:2]) or "no time"
