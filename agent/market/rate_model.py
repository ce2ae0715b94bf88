"""A model of supply rates that behave like those of real lending markets.

The model, daily, for the vector `x` of log rates of `n` markets:

    x[t] = intercept + first x[t-1] + second x[t-2] + scale[s[t]] * factor e[t]

a vector autoregression of order two (how markets pull one another back, and how spikes die), with innovations `e` of
independent Student-t numbers made correlated by `factor`, and a two-state Markov chain `s` (calm, wild) that scales
them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.digest import digest_of
from agent.units import FloatArray

_SETTLE = 120  # rows simulated and thrown away, so that paths start anywhere
MIN_RATE, _CEILING = 1e-4, 0.5  # APR; simulated rates stay within


@dataclass(frozen=True)
class RateModel:
    """Parameters of the model above.

    Attributes
    ----------
    names
        Names of the `n` markets.
    intercept
        `(n,)`.
    first, second
        `(n, n)` coefficients of one and two days ago.
    factor
        `(n, n)` lower triangular factor of the innovations' covariance.
    scales
        `(2,)` of the calm and of the wild state.
    stay
        `(2,)` probability per day of staying in the state.
    dof
        Degrees of freedom of the Student-t innovations, above two.
    fitted_to
        Where the parameters come from: source, first and last day, digest.
    """

    names: tuple[str, ...]
    intercept: FloatArray
    first: FloatArray
    second: FloatArray
    factor: FloatArray
    scales: FloatArray
    stay: FloatArray
    dof: float
    fitted_to: dict[str, Any]

    @property
    def digest(self) -> str:
        """Digest of names and parameters."""
        return digest_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads."""
        data = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in vars(self).items()}
        return {**data, "names": list(self.names)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RateModel:
        """Return the model that `to_json` wrote."""
        arrays = ("intercept", "first", "second", "factor", "scales", "stay")
        return cls(**{**data, "names": tuple(data["names"]), **{key: np.array(data[key], float) for key in arrays}})

    def exchangeable(self, names: tuple[str, ...]) -> RateModel:
        """Return a model of other markets, any number, each like the average of these.

        For vaults whose strategies have no history: coefficients are averaged over the markets, those across
        markets are spread over the others.
        """
        count, old = len(names), len(self.names)

        def spread(matrix: FloatArray) -> FloatArray:
            own = float(np.trace(matrix)) / old
            others = (float(matrix.sum()) / old - own) / max(count - 1, 1)
            return np.asarray(others + np.eye(count) * (own - others))

        covariance = self.factor @ self.factor.T
        deviation = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(deviation, deviation)
        shared = float((correlation.sum() - old) / (old * (old - 1))) if old > 1 else 0.0
        pooled = np.full((count, count), shared) + np.eye(count) * (1.0 - shared)
        return RateModel(
            names=names,
            intercept=np.full(count, float(self.intercept.mean())),
            first=spread(self.first),
            second=spread(self.second),
            factor=np.linalg.cholesky(pooled) * float(deviation.mean()),
            scales=self.scales,
            stay=self.stay,
            dof=self.dof,
            fitted_to={**self.fitted_to, "averaged": True},
        )


def sample_rates(model: RateModel, rng: np.random.Generator, batch: int, length: int) -> FloatArray:
    """Draw rates `(B, T, n)`, APR, from the model's stationary behaviour."""
    count = len(model.names)
    rows = length + _SETTLE
    calm, wild = model.stay
    state = rng.random(batch) < (1.0 - calm) / (2.0 - calm - wild)
    mean = np.linalg.solve(np.eye(count) - model.first - model.second, model.intercept)
    before = last = np.tile(mean, (batch, 1))
    unit = rng.standard_t(model.dof, (rows, batch, count)) * np.sqrt((model.dof - 2.0) / model.dof)
    shocks = unit @ model.factor.T
    switch = rng.random((rows, batch))
    low, high = np.log(MIN_RATE), np.log(_CEILING)
    path = np.empty((length, batch, count))
    for row in range(rows):
        state = np.where(state, switch[row] < wild, switch[row] >= calm)
        pulled = model.intercept + last @ model.first.T + before @ model.second.T
        before, last = last, np.clip(pulled + model.scales[state.astype(int)][:, None] * shocks[row], low, high)
        if row >= _SETTLE:
            path[row - _SETTLE] = last
    return np.ascontiguousarray(np.exp(path).transpose(1, 0, 2))
