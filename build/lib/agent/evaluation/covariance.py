"""Covariance of few strategies from little data, and the constant portfolios built on it."""

from __future__ import annotations

import numpy as np

from agent.units import FloatArray
from agent.vault.projection import project_between

_ROUNDS = 5000
_CLOSE = 1e-12
_ROUNDING = 1e-12  # relative deviation up to which returns count as constant


def shrunk_covariance(returns: FloatArray) -> FloatArray:
    """Return the covariance of `(T, n)` returns, shrunk towards equal variances without correlation, `(n, n)`.

    The data determine the shrinkage (Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", 2004, section 3). Constant returns give the unit matrix.
    """
    x = np.asarray(returns, dtype=np.float64)
    x = x - x.mean(0)
    size, count = x.shape
    sample = x.T @ x / size
    level = float(np.trace(sample)) / count
    if level <= (_ROUNDING * float(np.abs(returns).max())) ** 2:
        return np.eye(count)
    apart = float(((sample - level * np.eye(count)) ** 2).sum())
    noise = (float(((x**2).sum(1) ** 2).sum()) / size - float((sample**2).sum())) / size
    shrink = 1.0 if apart <= 0 else min(max(noise, 0.0) / apart, 1.0)
    return np.asarray((1.0 - shrink) * sample + shrink * level * np.eye(count))


def min_variance(covariance: FloatArray, caps: FloatArray, budget: float) -> FloatArray:
    """Return the weights `(n,)` of least variance with `0 <= w <= caps` that sum to the budget, or to all caps.

    Projected gradient with Nesterov's momentum and the exact projection.
    """
    scale = covariance / np.linalg.eigvalsh(covariance)[-1]
    weights = ahead = within(np.full_like(caps, budget / caps.size), caps, budget)
    for index in range(1, _ROUNDS):
        new = within(ahead - scale @ ahead, caps, budget)
        moved = new - weights
        ahead, weights = new + index / (index + 3.0) * moved, new
        if float(np.abs(moved).max()) < _CLOSE:
            break
    return weights


def within(weights: FloatArray, caps: FloatArray, budget: float) -> FloatArray:
    """Return the nearest weights `(n,)` with `0 <= w <= caps` that sum to the budget, or to all caps if less."""
    total = min(budget, float(caps.sum()))
    return project_between(weights, np.zeros_like(caps), caps, np.asarray(total))


def risk_parity(covariance: FloatArray) -> FloatArray:
    """Return the weights `(n,)`, one in sum, that contribute equally to the variance.

    Cyclical coordinate descent on the convex form of the problem (Griveau-Billion, Richard and Roncalli, "A fast
    algorithm for computing high-dimensional risk parity portfolios", 2013).
    """
    scale = covariance / np.trace(covariance)
    count = len(scale)
    weights = 1.0 / np.sqrt(np.diag(scale))
    for _ in range(_ROUNDS):
        before = weights.copy()
        for index in range(count):
            own = scale[index, index]
            others = float(scale[index] @ weights) - own * weights[index]
            weights[index] = (-others + np.sqrt(others**2 + 4.0 * own / count)) / (2.0 * own)
        if float(np.abs(weights - before).max()) < _CLOSE * float(weights.max()):
            break
    return np.asarray(weights / weights.sum())
