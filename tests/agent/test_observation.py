from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import NotFiniteError, ObservationError, ShapeError
from agent.observation import RateMemory, observation, observe, vector_names, vector_size
from agent.portfolio import Costs, PortfolioState
from agent.units import DAY

COSTS = Costs()
RATES = np.array([[0.01, 0.02, 0.06]])


def _observe(rates: np.ndarray, nav: float = 1e7, gas: float = 3e-6):  # type: ignore[no-untyped-def]
    memory = RateMemory.start(rates * 0.8, 0).update(rates, DAY)
    return observe(PortfolioState.open(nav, rates.shape[1]), rates, memory, gas, COSTS)


@given(st.integers(1, 5 * DAY), st.integers(1, 5 * DAY))
@settings(max_examples=50, deadline=None)
def test_rate_memory__same_rates__forgets_by_time_not_by_looks(first: int, second: int) -> None:
    start = RateMemory.start(RATES, 1000)
    later = RATES * 3
    twice = start.update(later, 1000 + first).update(later, 1000 + first + second)
    once = start.update(later, 1000 + first + second)
    assert np.allclose(twice.fast, once.fast, rtol=1e-12)
    assert np.allclose(twice.slow, once.slow, rtol=1e-12)
    assert (once.slow > RATES).all()
    assert (once.slow < once.fast).all()


def test_rate_memory__same_block_again__changes_nothing() -> None:
    memory = RateMemory.start(RATES, 0).update(RATES * 2, DAY)
    again = memory.update(RATES * 2, DAY)
    assert np.array_equal(again.fast, memory.fast)
    assert np.array_equal(again.slow, memory.slow)


def test_rate_memory__through_json__bit_for_bit() -> None:
    memory = RateMemory.start(RATES / 3, 5).update(RATES / 7, 90_001)
    back = RateMemory.from_json(json.loads(json.dumps(memory.to_json())))
    assert np.array_equal(back.fast, memory.fast)
    assert np.array_equal(back.slow, memory.slow)
    assert back.timestamp == memory.timestamp


@pytest.mark.parametrize(
    "data", [{}, {"fast": [1.0], "slow": [1.0, 2.0], "timestamp": 1}, {"fast": "x", "slow": [1.0], "timestamp": 1}]
)
def test_rate_memory__damaged_json__refused(data: dict[str, object]) -> None:
    with pytest.raises(ObservationError, match="damaged"):
        RateMemory.from_json(data)


def test_rate_memory__time_backwards_or_other_strategies__refused() -> None:
    memory = RateMemory.start(RATES, 100)
    with pytest.raises(ObservationError, match="backwards"):
        memory.update(RATES, 99)
    with pytest.raises(ObservationError, match="3 strategies but 2"):
        memory.update(RATES[:, :2], 200)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 16])
def test_vector__size_and_names__agree(count: int) -> None:
    vector = _observe(np.linspace(0.01, 0.05, count)[None]).vector()
    assert vector.shape == (1, vector_size(count))
    assert len(vector_names([f"s{i}" for i in range(count)])) == vector_size(count)
    assert vector_size(3) <= 24  # what a contract is to execute later


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_vector__anything__order_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vector = _observe(
        rng.choice([0, 1e-6, 1e-3, 1, 1e3], (1, 3)) * rng.random((1, 3)), nav=10 ** rng.uniform(-6, 12)
    ).vector()
    assert np.isfinite(vector).all()
    assert np.abs(vector).max() <= 3


def test_vector__calm_and_wild_market__same_spreads() -> None:
    calm, wild = _observe(RATES / 10).vector()[0], _observe(RATES).vector()[0]
    assert np.allclose(calm[4:14], wild[4:14], rtol=1e-12)
    assert calm[14] < wild[14]


def test_observation__numbers_missing_or_mixed_up__refused() -> None:
    memory = RateMemory.start(RATES, 0)
    good = {"weights": np.zeros((1, 3)), "idle": np.ones(1), "nav": np.ones(1), "drawdown": np.zeros(1)}
    with pytest.raises(NotFiniteError):
        observation(**good, rates=RATES * np.nan, memory=memory, gas_cost=0.0, costs=COSTS)
    with pytest.raises(NotFiniteError):
        observation(**good, rates=RATES, memory=memory, gas_cost=float("nan"), costs=COSTS)
    with pytest.raises(ShapeError):
        observation(**{**good, "weights": np.zeros((1, 2))}, rates=RATES, memory=memory, gas_cost=0.0, costs=COSTS)


def test_observe__state_and_plain_arrays__same_observation() -> None:
    state = PortfolioState.open(1e6, 3)
    memory = RateMemory.start(RATES, 0)
    one = observe(state, RATES, memory, 2e-6, COSTS)
    other = observation(state.weights, state.idle_weight, state.nav, state.drawdown, RATES, memory, 2e-6, COSTS)
    assert np.array_equal(one.vector(), other.vector())
    assert one.gas_share[0] == pytest.approx(2e-6 * 1_000_000 / 1e6)
