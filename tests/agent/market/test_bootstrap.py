from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.errors import MarketDataError
from agent.market.bootstrap import BootstrapMarket, MixedMarket
from agent.market.history import RateHistory
from agent.market.lending import SyntheticMarket
from tests.agent.made_up import history_of


@pytest.fixture
def history(rng: np.random.Generator) -> RateHistory:
    """Days that can be told apart, two strategies that always move together."""
    rates = 0.001 * (1 + np.arange(200))[:, None] * [1.0, 2.0, 1.0]
    rates[:, 2] = rng.permutation(rates[:, 0])
    history = history_of(rates, depth=1e6 * rates, earned=rates * 1.1)
    return replace(history, gas_cost=np.arange(200.0)[None])


def test_bootstrap__rows__whole_days_of_history(history: RateHistory, rng: np.random.Generator) -> None:
    path = BootstrapMarket(history).sample(rng, 20, 300)
    day = np.round(path.rates[..., 0] / 0.001 - 1).astype(int)
    for drawn, known in ((path.rates, history.rates), (path.earned, history.earned), (path.depth, history.depth)):
        assert np.array_equal(drawn, known[0][day])
    assert np.array_equal(path.gas_cost, history.gas_cost[0][day])
    assert set(np.diff(path.timestamps)) == {86_400}
    assert len(np.unique(day)) == 200


@pytest.mark.parametrize("block", [1.0, 5.0, 40.0])
def test_bootstrap__blocks__have_the_mean_length(history: RateHistory, rng: np.random.Generator, block: float) -> None:
    path = BootstrapMarket(history, block).sample(rng, 200, 1000)
    day = np.round(path.rates[..., 0] / 0.001 - 1).astype(int)
    broken = (np.diff(day, axis=1) % 200 != 1).mean()
    assert 1.0 / max(broken, 1e-9) == pytest.approx(block / (1 - 1 / 200), rel=0.1)


def test_bootstrap__same_seed_same_paths(history: RateHistory) -> None:
    market = BootstrapMarket(history)
    one, same, other = (market.sample(np.random.default_rng(s), 4, 50).rates for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert market.digest != BootstrapMarket(history.part(0, 100)).digest
    with pytest.raises(MarketDataError, match="one day at least"):
        BootstrapMarket(history, 0.5)


def test_mixed__shares_of_the_paths__and_what_only_one_has(history: RateHistory, market: SyntheticMarket) -> None:
    renamed = replace(market, model=replace(market.model, names=history.names))
    path = MixedMarket((renamed, BootstrapMarket(history)), (0.25, 0.75)).sample(np.random.default_rng(0), 40, 60)
    resampled = np.isfinite(path.depth).all((1, 2))
    assert resampled.sum() == 30
    assert not resampled[:30].all()  # in random order
    assert np.array_equal(path.earned[~resampled], path.rates[~resampled])
    assert np.allclose(path.earned[resampled], 1.1 * path.rates[resampled])
    with pytest.raises(MarketDataError, match="same strategies"):
        MixedMarket((market, BootstrapMarket(history)), (0.5, 0.5))
    with pytest.raises(MarketDataError, match="sum to one"):
        MixedMarket((renamed, renamed), (0.5, 0.6))


def test_mixed__permuted__strategies_change_places_whole(history: RateHistory) -> None:
    path = MixedMarket((BootstrapMarket(history),), (1.0,), permute=True).sample(np.random.default_rng(0), 60, 30)
    assert np.allclose(path.depth, 1e6 * path.rates)
    double = np.isclose(path.rates[:, :, :, None], 2 * path.rates[:, :, None, :]).all(1)  # (60, i, j): i is twice j
    assert double.sum() == 60  # in every path just one is, from the first row to the last
    assert (double.any(2).sum(0) > 10).all()  # and each has been it
