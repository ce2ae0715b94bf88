from __future__ import annotations

import json

import numpy as np
import pytest

from agent.errors import NotFiniteError, ObservationError
from agent.market.defi import DefiMarket
from agent.market.path import MarketPath
from agent.market.processes import over_mean, trailing_volatility
from agent.market.rwa import RwaMarket
from agent.observation.observe import CHAIN, DEFI, DEFI_FEATURES, RWA, RWA_FEATURES, VERSIONS
from agent.observation.quotes import QUOTES, USUAL_VOLATILITY, BlockFacts, QuoteMemory, features_of
from agent.units import DAY, HOUR, FloatArray

BLOCK = BlockFacts(timestamp=1_767_225_600 + 6 * HOUR, gas_gwei=12.0, congestion=0.4)
DEFI_QUOTES = {"eth": 2000.0, "btc": 60_000.0, "dai": 1.001, "usdc": 0.999, "usdt": 1.0}
RWA_QUOTES = {
    **{"eth": 3000.0, "btc": 60_000.0, "btc_dominance": 0.5, "fed_funds": 0.0525, "usdy_peg": 1.001},
    **{"meth_peg": 0.999, "usdy_lending": 0.02, "meth_lending": 0.015, "mnt": 0.7},
}


def test_quotes__every_version__has_its_own() -> None:
    assert QUOTES.keys() == VERSIONS.keys()
    assert QUOTES[CHAIN] == ()


def test_features__first_block__as_quoted_at_the_mean_with_usual_volatility() -> None:
    memory = QuoteMemory.start(DEFI_QUOTES, BLOCK.timestamp)
    seen = dict(zip(DEFI_FEATURES, features_of(DEFI, DEFI_QUOTES, memory, BLOCK)[0], strict=True))
    assert seen == {
        **{"eth_to_mean": 1.0, "btc_to_mean": 1.0, "eth_volatility": 0.6, "dai_peg": 1.001, "usdc_peg": 0.999},
        **{"usdt_peg": 1.0, "gas_gwei": 12.0, "congestion": 0.4, "hour": 6.0},
    }
    memory = QuoteMemory.start(RWA_QUOTES, BLOCK.timestamp)
    seen = dict(zip(RWA_FEATURES, features_of(RWA, RWA_QUOTES, memory, BLOCK)[0], strict=True))
    assert (seen["eth_price"], seen["mnt_price"], seen["usdy_peg"], seen["gas_gwei"]) == (3000.0, 0.7, 1.001, 12.0)
    assert seen["usdy_volatility"] == pytest.approx(USUAL_VOLATILITY["usdy_peg"])


def test_memory__same_series_as_a_market_of_training__same_mean_and_volatility() -> None:
    """The recursion of `agent.market.processes`, from the same start."""
    rng, seconds = np.random.default_rng(5), 300.0
    usual = USUAL_VOLATILITY["eth"]
    moves = rng.normal(0.0, 0.002, (500, 1, 1))
    moves[0] = 0.0
    over = over_mean(moves, np.full((1, 1), usual), DAY, seconds, np.zeros((1, 1)))
    seen = trailing_volatility(moves[1:], np.full((1, 1), usual), DAY, seconds)
    prices = 2000.0 * np.exp(np.cumsum(moves[:, 0, 0]))
    memory = QuoteMemory.start({"eth": prices[0]}, 0)
    for row in range(1, len(prices)):
        memory = memory.update({"eth": float(prices[row])}, int(row * seconds))
        assert memory.trails["eth"].over == pytest.approx(over[row, 0, 0], abs=1e-12)
        assert memory.trails["eth"].volatility == pytest.approx(seen[row - 1, 0, 0], rel=1e-9)


def test_features__quotes_of_a_market_of_training__its_own_once_the_start_is_forgotten() -> None:
    """What the market shows is what a keeper would build from its prices."""
    path = DefiMarket().sample(np.random.default_rng(3), 1, 4000)
    built = _replayed(DEFI, path, lambda row: _defi_quotes(path, row))
    for name in ("eth_to_mean", "eth_volatility", "dai_peg", "usdc_peg", "usdt_peg", "gas_gwei", "hour"):
        at = DEFI_FEATURES.index(name)
        assert built[:, at] == pytest.approx(path.features[0, -len(built) :, at], rel=1e-5), name

    path = RwaMarket().sample(np.random.default_rng(3), 1, 400)
    built = _replayed(RWA, path, lambda row: _rwa_quotes(path, row))
    assert built == pytest.approx(path.features[0, -len(built) :], rel=1e-4)


def _replayed(version: str, path: MarketPath, quotes: object) -> FloatArray:
    """Return the features of the last rows as a keeper builds them that has run since the first."""
    rows, memory = [], None
    gwei = path.features[0, :, path.feature_names.index("gas_gwei")]
    for row, timestamp in enumerate(path.timestamps):
        now = quotes(row)  # type: ignore[operator]
        memory = QuoteMemory.start(now, int(timestamp)) if memory is None else memory.update(now, int(timestamp))
        rows.append(features_of(version, now, memory, BlockFacts(int(timestamp), float(gwei[row]), 0.5))[0])
    return np.array(rows[-20:])


def _defi_quotes(path: MarketPath, row: int) -> dict[str, float]:
    seen = dict(zip(DEFI_FEATURES, path.features[0, row], strict=True))
    eth = path.gas_cost[0, row] / (seen["gas_gwei"] * 1e-9)
    pegs = {coin: seen[f"{coin}_peg"] for coin in ("dai", "usdc", "usdt")}
    return {"eth": float(eth), "btc": 60_000.0, **pegs}


def _rwa_quotes(path: MarketPath, row: int) -> dict[str, float]:
    seen = dict(zip(RWA_FEATURES, path.features[0, row].tolist(), strict=True))
    return {name: seen.get(name, seen.get(f"{name}_price", 0.0)) for name in QUOTES[RWA]}


def test_memory__looked_at_more_often__same_mean() -> None:
    """The mean depends on time, not on how often one looks."""
    rare, often = (QuoteMemory.start({"eth": 2000.0}, 0) for _ in range(2))
    often = often.update({"eth": 2100.0}, 1).update({"eth": 2100.0}, 3600).update({"eth": 2100.0}, 7200)
    rare = rare.update({"eth": 2100.0}, 1).update({"eth": 2100.0}, 7200)
    assert often.trails["eth"].over == pytest.approx(rare.trails["eth"].over, rel=1e-12)
    assert often.update({"eth": 9999.0}, 7200) == often, "the same block again changes nothing"


def test_memory__stored_and_read__is_the_same_bit_for_bit() -> None:
    memory = QuoteMemory.start(RWA_QUOTES, 100).update({**RWA_QUOTES, "eth": 3123.4}, 400)
    assert QuoteMemory.from_json(json.loads(json.dumps(memory.to_json()))) == memory
    for damaged in ({}, {"trails": [], "timestamp": 1}, {"trails": {"eth": [1.0]}, "timestamp": 1}):
        with pytest.raises(ObservationError, match="damaged"):
            QuoteMemory.from_json(damaged)
    with pytest.raises(ObservationError, match="damaged"):
        QuoteMemory.from_json({"trails": {"eth": [float("nan"), 0.0, 1.0]}, "timestamp": 1})


def test_quotes__missing_or_none__refused() -> None:
    memory = QuoteMemory.start(DEFI_QUOTES, 0)
    with pytest.raises(ObservationError, match="needs quotes of btc, dai, usdc, usdt"):
        features_of(DEFI, {"eth": 2000.0}, memory, BLOCK)
    for wrong in (float("nan"), float("inf"), 0.0, -1.0):
        with pytest.raises(NotFiniteError, match="eth"):
            memory.update({**DEFI_QUOTES, "eth": wrong}, 1)
    with pytest.raises(ObservationError, match="backwards"):
        memory.update(DEFI_QUOTES, -1)


def test_memory__quote_that_is_new__begins_anew() -> None:
    memory = QuoteMemory.start({"eth": 2000.0}, 0).update({"eth": 2000.0, "btc": 60_000.0}, 60)
    assert memory.trails["btc"].to_mean == 1.0
    assert memory.trails["btc"].volatility == USUAL_VOLATILITY["btc"]
