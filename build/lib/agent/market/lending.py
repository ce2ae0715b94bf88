"""Lending markets: a model of supply rates that behave like real ones, its fit to history, and paths drawn from it.

The model, daily, for the vector `x` of log rates of `n` markets:

    x[t] = intercept + first x[t-1] + second x[t-2] + scale[s[t]] * factor e[t]

a vector autoregression of order two (how markets pull one another back, and how spikes die), with innovations `e` of
independent Student-t numbers made correlated by `factor`, and a two-state Markov chain `s` (calm, wild) that scales
them all. `fit` estimates it by least squares and moments. The parameters of Compound V2's DAI, USDC and USDT markets
are shipped in `compound_v2.json`, made by

    python -m tools.calibration.lending ../history/compound_v2_daily.csv agent/market/compound_v2.json

which also prints how well simulated markets agree with the history.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from agent.digest import digest_of
from agent.errors import MarketDataError, TooFewDaysError
from agent.market.history import DEFAULT_ETH_PRICE, DEFAULT_GWEI, RateHistory
from agent.market.path import MarketPath, gas_cost
from agent.units import DAY, FloatArray, IntArray

MIN_FIT_DAYS = 180
"""Fewest days of history that a model is fitted to."""

MIN_RATE, _MAX_RATE = 1e-4, 0.5  # APR; simulated rates stay within
_SETTLE = 120  # rows simulated and thrown away, so that paths start anywhere
_WINDOW = 10  # days over which the state of the volatility is judged
_WILD = 1.0  # mean squared standardised innovation above which a day is wild
_STABLE = 0.995  # largest allowed modulus of the autoregression's eigenvalues
_EPOCH = 1_577_836_800  # 2020-01-01, where synthetic timestamps begin


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
        Origin of the parameters: source, first and last day, digest.
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
    low, high = np.log(MIN_RATE), np.log(_MAX_RATE)
    path = np.empty((length, batch, count))
    for row in range(rows):
        state = np.where(state, switch[row] < wild, switch[row] >= calm)
        pulled = model.intercept + last @ model.first.T + before @ model.second.T
        before, last = last, np.clip(pulled + model.scales[state.astype(int)][:, None] * shocks[row], low, high)
        if row >= _SETTLE:
            path[row - _SETTLE] = last
    return np.ascontiguousarray(np.exp(path).transpose(1, 0, 2))


def fit(history: RateHistory) -> RateModel:
    """Estimate the model from history.

    The autoregression by ordinary least squares (shrunk if it would not be stable); days are wild where the squared
    standardised innovations exceed their mean over ten days around them; the tail by the kurtosis within the states.

    Raises
    ------
    TooFewDaysError
        Under 180 days.
    MarketDataError
        If a rate never moves, or two move as one.
    """
    if len(history) < MIN_FIT_DAYS:
        raise TooFewDaysError(
            f"{history.source} has {len(history)} days up to {history.end}, but a fit needs {MIN_FIT_DAYS}: "
            "take a longer history"
        )
    logs = np.log(np.maximum(history.rates[0], MIN_RATE))
    count = logs.shape[1]
    lagged = np.column_stack([np.ones(len(logs) - 2), logs[1:-1], logs[:-2]])
    solution, *_ = np.linalg.lstsq(lagged, logs[2:], rcond=None)
    innovations = logs[2:] - lagged @ solution
    first, second = solution[1 : count + 1].T, solution[count + 1 :].T
    mean = logs.mean(0)
    companion = np.block([[first, second], [np.eye(count), np.zeros((count, count))]])
    shrink = min(1.0, _STABLE / float(np.abs(np.linalg.eigvals(companion)).max()))
    first, second = first * shrink, second * shrink**2  # scales every eigenvalue by the same factor
    covariance = np.cov(innovations.T, bias=True)
    if not np.all(np.linalg.eigvalsh(covariance) > 1e-10):
        raise MarketDataError(f"{history.source}: a market's rate never moves, or two move as one: nothing to fit")
    states, scales = _volatility_states(innovations)
    standard = innovations / np.sqrt(np.diag(covariance)) / scales[states][:, None]
    kurtosis = float((standard**4).mean() / (standard**2).mean() ** 2)
    return RateModel(
        names=history.names,
        intercept=(np.eye(count) - first - second) @ mean,
        first=first,
        second=second,
        factor=np.linalg.cholesky(covariance),
        scales=scales,
        stay=_stay_probabilities(states),
        dof=float(np.clip(4.0 + 6.0 / max(kurtosis - 3.0, 0.1), 4.2, 30.0)),
        fitted_to={
            "source": history.source,
            "first_day": history.start.isoformat(),
            "last_day": history.end.isoformat(),
            "sha256": history.digest,
        },
    )


def _volatility_states(innovations: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return `(T,)` states (0 calm, 1 wild) and their `(2,)` scales, which average to one in variance."""
    power = (innovations**2 / innovations.var(0)).mean(1)
    smooth = np.convolve(power, np.ones(_WINDOW) / _WINDOW, mode="same")
    states = (smooth > _WILD).astype(np.int64)
    scales = np.array([np.sqrt(power[states == state].mean()) if (states == state).any() else 1.0 for state in (0, 1)])
    return states, scales


def _stay_probabilities(states: IntArray) -> FloatArray:
    """Return the shares of days in each state that are followed by the same, with one day of either assumed."""
    now, then = states[:-1], states[1:]
    return np.array([(((now == s) & (then == s)).sum() + 1.0) / ((now == s).sum() + 2.0) for s in (0, 1)])


@dataclass(frozen=True)
class SyntheticMarket:
    """A lending market to draw paths from: the rate model, and a gas price that wanders around its typical value.

    Attributes
    ----------
    model
        Rate model.
    gwei, eth_price
        Typical gas price and price of ETH in asset units.
    gas_volatility
        Standard deviation of the logarithm of the gas price, from day to day independent.
    """

    model: RateModel
    gwei: float = DEFAULT_GWEI
    eth_price: float = DEFAULT_ETH_PRICE
    gas_volatility: float = 0.4

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the strategies."""
        return self.model.names

    @property
    def digest(self) -> str:
        """Digest of everything that paths depend on but the random numbers."""
        gas = {"gwei": self.gwei, "eth_price": self.eth_price, "gas_volatility": self.gas_volatility}
        return digest_of({"model": self.model.to_json(), **gas})

    def sample(self, rng: np.random.Generator, batch: int, length: int) -> MarketPath:
        """Draw `batch` independent daily paths of `length` rows."""
        noise = rng.standard_normal((batch, length)) * self.gas_volatility
        return MarketPath(
            timestamps=_EPOCH + DAY * np.arange(length, dtype=np.int64),
            rates=sample_rates(self.model, rng, batch, length),
            gas_cost=gas_cost(self.gwei * np.exp(noise), self.eth_price),
            names=self.names,
        )


def shipped_market(names: tuple[str, ...] | None = None) -> SyntheticMarket:
    """Return the market of the shipped parameters.

    Parameters
    ----------
    names
        Names of the strategies: three keep the three fitted markets, another number gets the average of them.
    """
    data = json.loads(resources.files("agent.market").joinpath("compound_v2.json").read_text(encoding="utf-8"))
    model = RateModel.from_json(data)
    if names is not None and names != model.names:
        renamed = RateModel(**{**vars(model), "names": names})
        model = renamed if len(names) == len(model.names) else model.exchangeable(names)
    return SyntheticMarket(model)


def fitted_market(history: RateHistory | None, names: tuple[str, ...] | None = None) -> SyntheticMarket:
    """Return a market fitted to history, or the shipped one where the history is too short to fit (or is none).

    Parameters
    ----------
    history
        The days before those to be played, for instance `history.before(day)`.
    names
        Names for the shipped market; those of the history by default.
    """
    if history is not None and len(history) >= MIN_FIT_DAYS:
        return SyntheticMarket(fit(history))
    return shipped_market(names if history is None else history.names)
