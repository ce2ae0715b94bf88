"""Constants and array types that every module of the agent shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

DAY = 86_400
"""Seconds in a day."""

YEAR = 365 * DAY
"""Seconds in the year that rates are quoted for: 365 days, as in Aave's and the vault's arithmetic."""

GWEI = 1e-9
"""ETH per gwei."""


def rows(value: Any, batch: int) -> FloatArray:
    """Return a scalar or a `(B,)` array as float64 `(batch,)`."""
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (batch,)))
