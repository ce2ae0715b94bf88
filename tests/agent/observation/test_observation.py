from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import NotFiniteError, ObservationError, ShapeError
from agent.observation.memory import RateMemory
from agent.observation.observe import (
    CHAIN,
    DEFI,
    DEFI_FEATURES,
    RWA,
    RWA_FEATURES,
    Observation,
    Vaults,
    observe,
    vector_names,
    vector_size,
)
from agent.units import DAY
from agent.vault.portfolio import Costs, PortfolioState

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


@pytest.mark.parametrize("count", [1, 3])
def test_rate_memory__after_many_rows_at_once__as_one_by_one(count: int, rng: np.random.Generator) -> None:
    rates, used = rng.uniform(0, 0.2, (9, 31, count)), rng.integers(0, 31, 9)
    used[:2] = 0, 30
    whole = RateMemory.after(rates, used, 300.0, 77)
    for i in range(9):
        memory = RateMemory.start(rates[i : i + 1, 30 - used[i]], 0)
        for row in range(31 - used[i], 31):
            memory = memory.update(rates[i : i + 1, row], memory.timestamp + 300)
        assert np.allclose(whole.fast[i], memory.fast[0], rtol=1e-13)
        assert np.allclose(whole.slow[i], memory.slow[0], rtol=1e-13)
    assert np.array_equal(whole.fast[0], rates[0, -1])
    alone = RateMemory.after(rates[3:4], used[3:4], 300.0, 77)
    assert np.array_equal(alone.fast[0], whole.fast[3])


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
    assert vector_size(3) <= 24  # a contract is to execute it later


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


def _vaults(**changes: np.ndarray) -> Vaults:
    """One idle vault that is no `PortfolioState`, as the keeper has it."""
    plain = {"weights": np.zeros((1, 3)), "idle_weight": np.ones(1), "nav": np.full(1, 1e6), "drawdown": np.zeros(1)}
    return SimpleNamespace(**{**plain, **changes})  # type: ignore[return-value]  # its attributes are given by name


def test_observe__numbers_missing_or_mixed_up__refused() -> None:
    memory = RateMemory.start(RATES, 0)
    with pytest.raises(NotFiniteError):
        observe(_vaults(), RATES * np.nan, memory, 0.0, COSTS)
    with pytest.raises(NotFiniteError):
        observe(_vaults(), RATES, memory, float("nan"), COSTS)
    with pytest.raises(ShapeError):
        observe(_vaults(weights=np.zeros((1, 2))), RATES, memory, 0.0, COSTS)


def test_observe__state_and_plain_arrays__same_observation() -> None:
    memory = RateMemory.start(RATES, 0)
    one = observe(PortfolioState.open(1e6, 3), RATES, memory, 2e-6, COSTS)
    other = observe(_vaults(), RATES, memory, 2e-6, COSTS)
    assert np.array_equal(one.vector(), other.vector())
    assert one.gas_share[0] == pytest.approx(2e-6 * 1_000_000 / 1e6)


def test_vector__chain__move_cost_in_months_of_interest() -> None:
    rates = np.full((2, 3), 0.0365)
    costs = Costs(entry=np.array([[0.0], [0.001]]), exit=np.array([[0.0], [0.002]]))
    memory = RateMemory.start(rates, 0)
    seen = observe(PortfolioState.open(1e7, 3, 2), rates, memory, 0.0, costs)
    assert seen.move_cost == pytest.approx([0.0, 0.003])
    assert seen.vector()[:, -1] == pytest.approx([0.0, 0.003 / (0.0365 / 365 * 30)])
    assert vector_names("abc")[-1] == "move cost in months of interest"


def test_observe__impact__move_cost_is_that_of_an_equal_share_of_nav() -> None:
    rates = np.full((3, 3), 0.0365)
    costs = Costs(entry=0.001, exit=0.002, impact=np.array([0.0, 0.0, 3e-9]))
    state = PortfolioState.open(np.array([3e3, 3e6, 3e9]), 3, 3)
    seen = observe(state, rates, RateMemory.start(rates, 0), 0.0, costs)
    assert seen.move_cost == pytest.approx([0.003 + 2e-6, 0.003 + 2e-3, 0.003 + (1.0 - 0.001 + 1.0 - 0.002) / 3])


def _market(version: str, **changes: float) -> Observation:
    """A quiet market of a version, everything at its typical value but for the changes."""
    quiet = {
        DEFI: dict.fromkeys(DEFI_FEATURES, 1.0) | {"gas_gwei": 19.0, "hour": 12.0, "congestion": 0.5},
        RWA: dict.fromkeys(RWA_FEATURES, 1.0)
        | {"eth_price": 3000.0, "btc_price": 60_000.0, "btc_dominance": 0.5, "fed_funds": 0.05, "gas_gwei": 0.02}
        | {"usdy_volatility": 0.05, "usdy_lending": 0.05, "meth_lending": 0.05, "mnt_price": 0.7},
    }[version]
    features = np.array([list((quiet | changes).values())])
    count = {DEFI: 5, RWA: 3}[version]
    rates = np.full((1, count), 0.05)
    return observe(
        PortfolioState.open(1e6, count), rates, RateMemory.start(rates, 0), 0.0, COSTS,
        version=version, features=features, elapsed=1.75 * DAY,
    )  # fmt: skip


def test_vector__defi__twenty_numbers_as_documented() -> None:
    names = vector_names("abcde", DEFI)
    assert len(names) == len(_market(DEFI).vector()[0]) == 20
    assert dict(zip(names, _market(DEFI).vector()[0], strict=True)) == pytest.approx(
        {f"weight {name}": 0.0 for name in "abcde"}
        | {f"rate {name}": 0.5 for name in "abcde"}
        | {"eth_to_mean": 0, "btc_to_mean": 0, "eth_volatility": 1, "dai_peg": 0, "usdc_peg": 0, "usdt_peg": 0}
        | {"gas_gwei": 1, "congestion": 0.5, "progress": 0.75, "hour": 0}
    )


def test_vector__rwa__eighteen_numbers_as_documented() -> None:
    names = vector_names("abc", RWA)
    assert names == (
        "rate a", "rate b", "rate c", "eth_price", "btc_price", "btc_dominance", "fed_funds", "usdy_peg", "meth_peg",
        "eth_volatility", "usdy_volatility", "usdy_lending", "meth_lending", "gas_gwei", "mnt_price",
        "weight a", "weight b", "weight c",
    )  # fmt: skip
    assert _market(RWA).vector()[0] == pytest.approx([1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(("version", "names"), [(DEFI, DEFI_FEATURES), (RWA, RWA_FEATURES)])
def test_vector__each_feature__moves_its_own_number_alone(version: str, names: tuple[str, ...]) -> None:
    called = vector_names(["s"] * {DEFI: 5, RWA: 3}[version], version)
    quiet = _market(version)
    for name in names:
        assert quiet.features is not None
        value = float(quiet.features[0, names.index(name)]) * 1.01
        changed = np.nonzero(_market(version, **{name: value}).vector()[0] != quiet.vector()[0])[0]
        assert [called[index] for index in changed] == [name]


def test_observation__version_without_what_it_needs__refused() -> None:
    rates, state = np.full((1, 5), 0.05), PortfolioState.open(1e6, 5)
    memory, features = RateMemory.start(rates, 0), np.ones((1, len(DEFI_FEATURES)))
    with pytest.raises(ObservationError, match="needs the features"):
        observe(state, rates, memory, 0.0, COSTS, version=DEFI, elapsed=0.0)
    with pytest.raises(ObservationError, match="needs the features"):
        observe(state, rates, memory, 0.0, COSTS, version=DEFI, features=features[:, 1:], elapsed=0.0)
    with pytest.raises(ObservationError, match="time"):
        observe(state, rates, memory, 0.0, COSTS, version=DEFI, features=features)
    with pytest.raises(ObservationError, match="3 strategies, not 5"):
        observe(state, rates, memory, 0.0, COSTS, version=RWA, features=features)
    with pytest.raises(ObservationError, match="chain-1"):
        observe(state, rates, memory, 0.0, COSTS, version="chain-1")
    with pytest.raises(NotFiniteError):
        observe(state, rates, memory, 0.0, COSTS, version=DEFI, features=features * np.nan, elapsed=0.0)
    assert observe(state, rates, memory, 0.0, COSTS, version=CHAIN, features=features).features is None
