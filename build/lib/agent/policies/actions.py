"""From a network's outputs to wanted weights: the one mapping, for training, backtest and keeper."""

from __future__ import annotations

import numpy as np

from agent.observation.observe import CHAIN, DEFI, RWA, version_of
from agent.units import FloatArray
from agent.vault.projection import project_between

RWA_MIN, RWA_MAX = 0.05, 0.60
"""Bounds of every asset's share in `rwa-1`."""


def to_weights(version: str, actions: FloatArray) -> FloatArray:
    """Return the wanted weights `(B, n)` that outputs `(B, n)` of a network of this observation version stand for.

    Outputs are clipped to [-1, 1], as the action space of the environments is.

    Raises
    ------
    ObservationError
        If there is no such version.
    """
    version_of(version)
    return _MAPS[version](np.clip(np.asarray(actions, dtype=np.float64), -1.0, 1.0))


def _shifted(actions: FloatArray) -> FloatArray:
    """Shift to [1, 3]: projected onto the limits that is a sparsemax.

    Only differences matter, a difference of one is enough to fill a strategy before another gets anything, and it takes
    no exponential on chain (Martins and Astudillo, "From softmax to sparsemax", 2016). All that the limits allow is
    deployed: lending rates are not negative, and leaving is for the walls.
    """
    return np.asarray(2.0 + actions)


def _shares(actions: FloatArray) -> FloatArray:
    """Read the outputs as shares of NAV, none below zero; the rest is idle, so all zeros is all idle."""
    return np.maximum(actions, 0.0)


def _softmax(actions: FloatArray) -> FloatArray:
    """Softmax, then the nearest weights of at least 5 % and at most 60 % each that sum to one."""
    raised = np.exp(actions)
    shares = raised / raised.sum(-1, keepdims=True)
    return project_between(shares, np.asarray(RWA_MIN), np.asarray(RWA_MAX), np.asarray(1.0))


_MAPS = {CHAIN: _shifted, DEFI: _shares, RWA: _softmax}
