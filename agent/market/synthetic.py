"""Markets to draw paths from: the fitted rate model, and a gas price that wanders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

import numpy as np

from agent.digest import digest_of
from agent.market.calibrate_lending import MIN_FIT_DAYS, fit
from agent.market.history import DEFAULT_ETH_PRICE, DEFAULT_GWEI, RateHistory
from agent.market.path import MarketPath, gas_cost
from agent.market.rate_model import RateModel, sample_rates
from agent.units import DAY

__all__ = ["MIN_FIT_DAYS", "SyntheticMarket", "fitted_market", "shipped_market"]

_SHIPPED = "compound_v2.json"
_EPOCH = 1_577_836_800  # 2020-01-01, where synthetic timestamps begin


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
    if history is not None and len(history) >= MIN_FIT_DAYS:
        return SyntheticMarket(fit(history))
    return shipped_market(names if history is None else history.names)
