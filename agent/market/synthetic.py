"""Supply rates that behave like those of real lending markets, from a model fitted to history.

The model, daily, for the vector `x` of log rates of `n` markets:

    x[t] = intercept + first x[t-1] + second x[t-2] + scale[s[t]] * factor e[t]

a vector autoregression of order two (how markets pull one another back, and how spikes die), with innovations `e` of
independent Student-t numbers made correlated by `factor`, and a two-state Markov chain `s` (calm, wild) that scales
them all. `fit` estimates it by least squares and moments; the parameters of Compound V2's DAI, USDC and USDT markets
are shipped in `compound_v2.json`, made by

    python -m agent.market.synthetic ../shared/data/compound_v2_daily.csv agent/market/compound_v2.json

which also prints how well simulated markets agree with the history.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from agent.digest import digest_of
from agent.errors import AgentError, MarketDataError, TooFewDaysError
from agent.market.history import DEFAULT_ETH_PRICE, DEFAULT_GWEI, RateHistory
from agent.market.path import MarketPath, gas_cost
from agent.market.replay import load_history
from agent.units import DAY, FloatArray, IntArray

LEAST_FIT_DAYS = 180
"""Fewest days of history that a model is fitted to."""

_SHIPPED = "compound_v2.json"
_EPOCH = 1_577_836_800  # 2020-01-01, where synthetic timestamps begin
_SETTLE = 120  # rows simulated and thrown away, so that paths start anywhere
_FLOOR, _CEILING = 1e-4, 0.5  # APR; simulated rates stay within
_WINDOW = 10  # days over which the state of the volatility is judged
_WILD = 1.0  # mean squared standardised innovation above which a day is wild
_STABLE = 0.995  # largest allowed modulus of the autoregression's eigenvalues


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


@dataclass(frozen=True)
class SyntheticMarket:
    """A market to draw paths from: the rate model, and a gas price that wanders around its typical value.

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
    data = json.loads(resources.files("agent.market").joinpath(_SHIPPED).read_text(encoding="utf-8"))
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
        What is known before the days that are to be played, for instance `history.before(day)`.
    names
        Names for the shipped market; those of the history by default.
    """
    if history is not None and len(history) >= LEAST_FIT_DAYS:
        return SyntheticMarket(fit(history))
    return shipped_market(names if history is None else history.names)


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
    low, high = np.log(_FLOOR), np.log(_CEILING)
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
    """
    if len(history) < LEAST_FIT_DAYS:
        raise TooFewDaysError(
            f"{history.source} has {len(history)} days up to {history.end}, but a fit needs {LEAST_FIT_DAYS}: "
            "take a longer history"
        )
    logs = np.log(np.maximum(history.rates, _FLOOR))
    count = logs.shape[1]
    lagged = np.column_stack([np.ones(len(logs) - 2), logs[1:-1], logs[:-2]])
    solution, *_ = np.linalg.lstsq(lagged, logs[2:], rcond=None)
    innovations = logs[2:] - lagged @ solution
    first, second = solution[1 : count + 1].T, solution[count + 1 :].T
    mean = logs.mean(0)
    shrink = min(1.0, _STABLE / _spectral_radius(first, second))
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


def _spectral_radius(first: FloatArray, second: FloatArray) -> float:
    count = len(first)
    companion = np.block([[first, second], [np.eye(count), np.zeros((count, count))]])
    return float(np.abs(np.linalg.eigvals(companion)).max())


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


def describe_rates(rates: FloatArray) -> dict[str, float]:
    """Return what makes a lending market: statistics of rates `(T, n)`, averaged over the markets."""
    logs = np.log(np.maximum(rates, _FLOOR))
    change = np.diff(logs, axis=0)
    count = rates.shape[1]
    spread = rates - rates.mean(1, keepdims=True)
    pairs = np.triu_indices(count, 1)
    ordered = np.sort(rates, axis=1)

    def lag(series: FloatArray) -> float:
        return float(np.mean([np.corrcoef(series[1:, i], series[:-1, i])[0, 1] for i in range(count)]))

    return {
        "median rate": float(np.median(rates)),
        "95th percentile of rates": float(np.quantile(rates, 0.95)),
        "deviation of log rates": float(logs.std(0).mean()),
        "autocorrelation of log rates": lag(logs),
        "daily deviation of log rates": float(change.std(0).mean()),
        "autocorrelation of daily changes": lag(change),
        "autocorrelation of absolute changes": lag(np.abs(change)),
        "kurtosis of daily changes": float(
            np.mean(((change - change.mean(0)) ** 4).mean(0) / np.maximum(change.var(0) ** 2, 1e-30))
        ),
        "correlation of log rates": float(np.corrcoef(logs.T)[pairs].mean()),
        "mean spread over level": float((np.abs(spread).mean(1) / rates.mean(1)).mean()),
        "best market changes per year": float((np.diff(rates.argmax(1)) != 0).mean() * 365),
        "best over mean, of tomorrow's rates": float((ordered[1:, -1] - rates[1:].mean(1)).mean()),
        "today's best over mean, of tomorrow's": float(
            (rates[np.arange(1, len(rates)), rates[:-1].argmax(1)] - rates[1:].mean(1)).mean()
        ),
    }


def fit_quality(history: RateHistory, model: RateModel, rng: np.random.Generator, batch: int = 200) -> str:
    """Return a table: each statistic of the history and the 5 to 95 % range of it over simulated histories."""
    simulated = [describe_rates(path) for path in sample_rates(model, rng, batch, len(history))]
    lines = [f"{'':40s} {'history':>9s} {'simulated 5 %':>14s} {'50 %':>9s} {'95 %':>9s}"]
    for key, value in describe_rates(history.rates).items():
        low, middle, high = np.quantile([entry[key] for entry in simulated], [0.05, 0.5, 0.95])
        mark = "" if low <= value <= high else "  outside"
        lines.append(f"{key:40s} {value:9.4f} {low:14.4f} {middle:9.4f} {high:9.4f}{mark}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Fit a history and write the parameters: `HISTORY.csv OUT.json`."""
    if len(arguments) != 2:
        print("usage: python -m agent.market.synthetic HISTORY.csv OUT.json", file=sys.stderr)
        return 2
    try:
        history = load_history(arguments[0])
        model = fit(history)
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    Path(arguments[1]).write_text(json.dumps(model.to_json(), indent=1) + "\n", encoding="utf-8")
    print(f"{len(history)} days of {', '.join(history.names)} from {history.start} to {history.end}\n")
    print(fit_quality(history, model, np.random.default_rng(0)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
