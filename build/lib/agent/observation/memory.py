"""Memory of an observation: running means of the rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.errors import NotFiniteError, ObservationError, ShapeError
from agent.units import DAY, FloatArray, IntArray

FAST_SECONDS = 3.0 * DAY
SLOW_SECONDS = 21.0 * DAY
"""Time constants of the two exponential means of the rates."""


@dataclass(frozen=True)
class RateMemory:
    """Exponential means of the rates: the only state of an observation, `2 n + 1` numbers.

    The decay depends on the time between blocks, not on how often one looks.

    Attributes
    ----------
    fast, slow
        `(B, n)` means with time constants of 3 and 21 days, APR.
    timestamp
        Seconds; the block of the last rates that were taken in.
    """

    fast: FloatArray
    slow: FloatArray
    timestamp: int

    @classmethod
    def start(cls, rates: FloatArray, timestamp: int) -> RateMemory:
        """Begin with the `(B, n)` rates of one block as both means."""
        checked = checked_rates(rates)
        return cls(checked.copy(), checked.copy(), int(timestamp))

    def update(self, rates: FloatArray, timestamp: int) -> RateMemory:
        """Take in the `(B, n)` rates of a block; the same block again changes nothing.

        Raises
        ------
        ObservationError
            If the block is older than the last one, or has another number of strategies.
        """
        checked = checked_rates(rates)
        if checked.shape != self.fast.shape:
            raise ObservationError(
                f"the rate memory is for {self.fast.shape[1]} strategies but {checked.shape[1]} rates were read: "
                "start a new memory after strategies were added"
            )
        elapsed = int(timestamp) - self.timestamp
        if elapsed < 0:
            raise ObservationError(
                f"block time went backwards, from {self.timestamp} to {timestamp}: the memory belongs to another chain"
            )
        fast, slow = np.exp(-elapsed / FAST_SECONDS), np.exp(-elapsed / SLOW_SECONDS)
        return RateMemory(
            self.fast * fast + checked * (1.0 - fast), self.slow * slow + checked * (1.0 - slow), int(timestamp)
        )

    @classmethod
    def after(cls, rates: FloatArray, used: IntArray, seconds: float, timestamp: int) -> RateMemory:
        """Return the memory after `start` and then `update` at every row, at once.

        Parameters
        ----------
        rates
            `(B, T, n)` rates of rows `seconds` apart.
        used
            `(B,)` number of rows before the last that count, up to `T - 1`.
        seconds
            Time between rows.
        timestamp
            That of the last row.
        """
        age = np.arange(rates.shape[1] - 1, -1, -1)
        means = []
        for constant in (FAST_SECONDS, SLOW_SECONDS):
            kept = np.exp(-seconds / constant) ** age
            share = np.where(age == used[:, None], kept, kept * (1.0 - np.exp(-seconds / constant)))
            share = np.where(age > used[:, None], 0.0, share)
            means.append((share[:, :, None] * rates).sum(1))
        return cls(means[0], means[1], int(timestamp))

    def to_json(self) -> dict[str, Any]:
        """Return the memory of one vault (`B = 1`) as plain numbers, for the journal."""
        if len(self.fast) != 1:
            raise ObservationError("only the memory of a single vault is stored")
        return {"fast": self.fast[0].tolist(), "slow": self.slow[0].tolist(), "timestamp": self.timestamp}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RateMemory:
        """Return the memory that `to_json` stored, bit for bit.

        Raises
        ------
        ObservationError
            If an entry is missing or malformed.
        """
        try:
            fast, slow = checked_rates(np.array([data["fast"]], float)), checked_rates(np.array([data["slow"]], float))
            timestamp = int(data["timestamp"])
        except (KeyError, TypeError, ValueError) as error:
            raise ObservationError(f"stored rate memory is damaged ({error}): start a new one") from error
        if fast.shape != slow.shape:
            raise ObservationError("stored rate memory is damaged (means of different lengths): start a new one")
        return cls(fast, slow, timestamp)


def checked_rates(rates: FloatArray) -> FloatArray:
    """Return `(B, n)` rates as float64; refuse other shapes and numbers that are not finite."""
    checked = np.asarray(rates, dtype=np.float64)
    if checked.ndim != 2:
        raise ShapeError(f"rates must have the shape (vaults, strategies), not {checked.shape}")
    if not np.isfinite(checked).all():
        raise NotFiniteError("rates must be finite: a strategy whose rate cannot be read must not be traded on")
    return checked
