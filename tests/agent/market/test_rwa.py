from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.market.path import MarketPath
from agent.market.rwa import ASSETS, PRICES, SERIES, Choices, RwaMarket
from agent.observation.observe import RWA_FEATURES
from agent.units import YEAR

RNG = np.random.default_rng
COLUMN = {name: index for index, name in enumerate(RWA_FEATURES)}
HOURS = YEAR / 3600


@pytest.fixture(scope="module")
def path() -> MarketPath:
    return RwaMarket().sample(RNG(0), 400, 721)


def seen(path: MarketPath, name: str) -> np.ndarray:
    assert path.features is not None
    return path.features[:, :, COLUMN[name]]


def test_sample__names_shapes_and_features(path: MarketPath) -> None:
    assert path.names == ASSETS
    assert path.feature_names == RWA_FEATURES
    assert (np.diff(path.timestamps) == 3600).all()
    assert np.array_equal(path.rates, RwaMarket().sample(RNG(0), 400, 721).rates)


@pytest.mark.parametrize("name", SERIES)
def test_series__mean_sigma_and_theta__as_given(path: MarketPath, name: str) -> None:
    mean, sigma, theta = SERIES[name]
    if name in ASSETS:
        values = path.rates[:, :, ASSETS.index(name)] * 100
    else:
        feature = "gas_gwei" if name == "gas" else name
        values = seen(path, feature) * (1 if name == "gas" else 100)
    change = values[:, 1:] - values[:, :-1]
    free = (values[:, :-1] > sigma) & (values[:, 1:] > 0)  # away from the floor of zero
    slope = np.polyfit(values[:, :-1][free], change[free], 1)[0]
    left = change[free] - theta * (mean - values[:, :-1][free])
    assert slope == pytest.approx(-theta, rel=0.15, abs=2e-4)
    assert left.std() == pytest.approx(sigma, rel=0.02)
    spread = sigma / np.sqrt(1 - (1 - theta) ** 2)
    assert values.mean() == pytest.approx(mean, abs=0.12 * spread)


@pytest.mark.parametrize("name", PRICES)
def test_prices__start_and_volatility__as_given(path: MarketPath, name: str) -> None:
    price = seen(path, f"{name}_price")
    start, volatility = PRICES[name]
    assert (price[:, 0] == start).all()
    assert np.diff(np.log(price)).std() * np.sqrt(HOURS) == pytest.approx(volatility, rel=0.01)


def test_prices__correlated(path: MarketPath) -> None:
    ether, bitcoin, mantle = (np.diff(np.log(seen(path, f"{name}_price"))).ravel() for name in PRICES)
    assert np.corrcoef([ether, bitcoin, mantle])[np.triu_indices(3, 1)] == pytest.approx([0.89, 0.7, 0.65], abs=0.01)


def test_mi4__price_of_its_own__not_its_rate(path: MarketPath) -> None:
    assert path.factors is not None
    price, rate = np.log(path.factors[:, 1:, 2]).ravel(), np.diff(path.rates[:, :, 2]).ravel()
    assert abs(np.corrcoef(price, rate)[0, 1]) < 0.01
    assert np.corrcoef(price, np.diff(np.log(seen(path, "btc_price"))).ravel())[0, 1] > 0.9
    assert price.std() * np.sqrt(HOURS) == pytest.approx(0.46, abs=0.03)


def test_prices__expected_gain__none(path: MarketPath) -> None:
    assert path.factors is not None
    total = path.factors.prod(1)
    for asset in (1, 2):
        assert abs(total[:, asset].mean() - 1) < 4 * total[:, asset].std() / np.sqrt(path.batch)
    assert total[:, 0].mean() == pytest.approx(1.0, abs=0.002)


def test_volatility__seen__is_that_of_the_prices(path: MarketPath) -> None:
    assert seen(path, "eth_volatility").mean() == pytest.approx(0.6, abs=0.02)
    calm = replace(RwaMarket(), choices=Choices(depegs_per_year=(0.0, 0.0))).sample(RNG(2), 100, 400)
    assert calm.factors is not None
    real = np.log(calm.factors[:, 1:, 0]).std() * np.sqrt(HOURS)
    assert seen(calm, "usdy_volatility").mean() == pytest.approx(real, rel=0.05)


def test_gas__priced_in_mnt(path: MarketPath) -> None:
    assert np.allclose(path.gas_cost, seen(path, "gas_gwei") * 1e-9 * seen(path, "mnt_price"))


def test_digest__names_choices() -> None:
    assert RwaMarket().digest == RwaMarket().digest != RwaMarket(Choices(collapse=5.0)).digest
