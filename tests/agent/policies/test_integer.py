from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agent.backtest import Setting, run
from agent.errors import (
    IntegerFormError,
    NotFiniteError,
    PolicyDigestError,
    PolicyFileError,
    PolicyShapeError,
    PolicyVersionError,
)
from agent.evaluation.integer_report import integer_report, vectors
from agent.market.lending import SyntheticMarket
from agent.observation.memory import RateMemory
from agent.observation.observe import CHAIN, Observation, observe, vector_size
from agent.policies.files import load_integer, save_integer
from agent.policies.integer import INPUT_SHIFT, MAX_ACTIVATION, OUTPUT_ONE, IntegerPolicy, Layer, Network, as_inputs
from agent.policies.load import load_policy
from agent.policies.network import Lstm, NumpyPolicy, forward
from agent.policies.quantise import quantise
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState

LANE = 0xFFFFFFFF
LANES = sum(0xFF << 32 * lane for lane in range(8))


def executed(code: bytes, inputs: list[int]) -> list[int]:
    """Run the code of a network as a contract would: 256-bit words, eight lanes at a time, whole numbers only."""
    read = [int.from_bytes(code[at : at + 32], "big") for at in range(0, len(code), 32)]
    header, at = code[:32], 1
    assert header[0] == 0
    assert header[2] == len(inputs)
    active = inputs
    for layer in range(header[3]):
        outputs, shift = header[4 + 2 * layer], header[5 + 2 * layer]
        active = active + [0] * (-len(active) % 4)
        groups = -(-outputs // 8)
        total, sums = sum(active), []
        for _ in range(groups):
            lanes = 0
            for value_at in range(0, len(active), 4):
                word = read[at]
                at += 1
                for k in range(4):
                    lanes += active[value_at + k] * ((word >> 8 * k) & LANES)
            assert lanes < 1 << 256
            sums += [((lanes >> 32 * lane) & LANE) - 128 * total for lane in range(8)]
        biases = [(read[at + index // 8] >> 32 * (index % 8)) & LANE for index in range(8 * groups)]
        at += groups
        sums = [z + (b - (1 << 32) if b >> 31 else b) for z, b in zip(sums, biases, strict=True)][:outputs]
        if layer < header[3] - 1:
            active = [min(max(z, 0) >> shift, (1 << 18) - 1) for z in sums]
            continue
        multipliers = [(read[at + index // 8] >> 32 * (index % 8)) & LANE for index in range(outputs)]
        assert at + groups == len(read)
        return [max(-65536, min(65536, (z * m) >> shift)) for z, m in zip(sums, multipliers, strict=True)]
    raise AssertionError("no layers")


def random_network(rng: np.random.Generator, sizes: list[int], extreme: bool = False) -> Network:
    layers = []
    for inputs, outputs in pairwise(sizes):
        weights = rng.choice([-127, 127], (inputs, outputs)) if extreme else rng.integers(-127, 128, (inputs, outputs))
        bias = rng.integers(-(1 << 31), 1 << 31, outputs) if extreme else rng.integers(-(10**6), 10**6, outputs)
        layers.append(Layer(weights, bias, int(rng.integers(0, 16))))
    return Network(tuple(layers), rng.integers(0, 1 << 16, sizes[-1]))


def float_policy(rng: np.random.Generator, count: int = 3, hidden: tuple[int, ...] = (64, 64)) -> NumpyPolicy:
    sizes = [vector_size(count, CHAIN), *hidden, count]
    layers = [(rng.normal(0, 1.2 / np.sqrt(i), (i, o)), rng.normal(0, 0.1, o)) for i, o in pairwise(sizes)]
    names = [f"s{index}" for index in range(count)]
    return NumpyPolicy("net", "0x00", layers, {"strategies": names, "name": "net", "digest": "0x00"})


def seen_by(policy: NumpyPolicy, market: SyntheticMarket, seed: int = 0) -> np.ndarray:
    path = market.sample(np.random.default_rng(seed), 8, 120)
    return vectors(policy, path, Setting(Limits.uniform(3)))


@pytest.mark.parametrize(
    "sizes", [[24, 64, 64, 16], [18, 64, 64, 3], [18, 7, 3], [5, 2], [1, 1, 1, 1], [23, 33, 9, 11]]
)
@pytest.mark.parametrize("extreme", [False, True])
def test_code__executed_in_lanes__equals_numpy_to_the_bit(
    rng: np.random.Generator, sizes: list[int], extreme: bool
) -> None:
    network = random_network(rng, sizes, extreme)
    inputs = rng.integers(0, 2 * INPUT_SHIFT + 1, (20, sizes[0]))
    inputs[0], inputs[1] = 0, 2 * INPUT_SHIFT
    code = network.code()
    assert network.run(inputs).tolist() == [executed(code, row) for row in inputs.tolist()]
    assert Network.from_code(code).code() == code
    assert len(code) % 32 == 0
    if sizes == [24, 64, 64, 16]:
        assert len(code) == 7328


def test_code__damaged__refused(rng: np.random.Generator) -> None:
    code = random_network(rng, [18, 8, 3]).code()
    for damaged in (b"", code[:-1], code[:-32], code + b"\0" * 32, b"\1" + code[1:], code[:2] + b"\7" + code[3:]):
        with pytest.raises(IntegerFormError):
            Network.from_code(damaged)


def test_network__a_sum_that_could_overflow_its_lane__refused() -> None:
    # The format's own bounds leave room: 64 inputs of 2^18 - 1 at the largest weight, 64 * 255 * (2^18 - 1) < 2^32.
    assert 64 * 255 * MAX_ACTIVATION < 1 << 32
    with pytest.raises(IntegerFormError, match="127"):
        Network((Layer(np.full((2, 1), 128), np.zeros(1, np.int64), 0),), np.ones(1, np.int64))
    for bias in (1 << 31, -(1 << 31) - 1):
        with pytest.raises(IntegerFormError, match="bias"):
            Network((Layer(np.ones((2, 1), np.int64), np.array([bias]), 0),), np.ones(1, np.int64))
    for multiplier in (-1, 1 << 16):
        with pytest.raises(IntegerFormError, match="multipliers"):
            Network((Layer(np.ones((2, 1), np.int64), np.zeros(1, np.int64), 0),), np.array([multiplier]))


def test_run__saturates_and_never_goes_below_zero() -> None:
    first = Layer(np.array([[127, -127]]), np.zeros(2, np.int64), 2)
    last = Layer(np.array([[1, 0], [0, 1]]), np.zeros(2, np.int64), 0)
    network = Network((first, last), np.array([1, 1]))
    largest = 2 * INPUT_SHIFT
    assert (127 * largest) >> 2 > MAX_ACTIVATION
    assert network.run(np.array([[largest]])).tolist() == [[OUTPUT_ONE, 0]]
    plain = Network((first, last), np.array([0, 1]))
    assert plain.run(np.array([[largest]])).tolist() == [[0, 0]]
    # 2^18 - 1 saturated, then a quarter of it
    quarter = Network((first, Layer(last.weights, last.bias, 3)), np.array([1, 1]))
    assert quarter.run(np.array([[largest]])).tolist() == [[MAX_ACTIVATION >> 3, 0]]


def test_as_inputs__rounded_clipped_and_unsigned() -> None:
    step = 1.0 / 32768
    given = np.array([[-9.0, -3.0, -step, -0.51 * step, -0.5 * step, 0.0, 0.49 * step, 0.5 * step, 3.0, np.inf]])
    expected = [0, 0, -1, -1, 0, 0, 0, 1, 98304, 98304]
    assert as_inputs(given)[0].tolist() == [0, 0, *(98304 + value for value in expected[2:])]
    with pytest.raises(NotFiniteError):
        as_inputs(np.array([[np.nan]]))


@pytest.mark.parametrize("hidden", [(64, 64), (16,), ()])
def test_quantise__outputs_near_to_the_float_ones(
    rng: np.random.Generator, market: SyntheticMarket, hidden: tuple[int, ...]
) -> None:
    policy = float_policy(rng, hidden=hidden)
    integer = quantise(policy, seen_by(policy, market))
    fresh = seen_by(policy, market, seed=1)
    exact = np.clip(forward(policy.layers, fresh), -1, 1)
    error = np.abs(integer.network.run(as_inputs(fresh)) / OUTPUT_ONE - exact)
    assert error.mean() < 0.01
    assert error.max() < 0.1
    assert exact.std() > 0.05  # there was something to get right


def test_quantise__units_of_very_different_size__still_near(rng: np.random.Generator, market: SyntheticMarket) -> None:
    policy = float_policy(rng)
    layers = [(matrix.copy(), bias.copy()) for matrix, bias in policy.layers]
    factor = 10.0 ** rng.uniform(-4, 4, 64)  # the same function: what one layer takes, the next gives
    layers[0] = (layers[0][0] * factor, layers[0][1] * factor)
    layers[1] = (layers[1][0] / factor[:, None], layers[1][1])
    layers[0][0][:, 5] = 0.0  # a unit that is its bias only
    layers[1][0][7] = 0.0  # one that nobody listens to
    odd = NumpyPolicy("odd", "0x00", layers, policy.manifest)
    shown = seen_by(odd, market)
    integer = quantise(odd, shown)
    exact = np.clip(forward(odd.layers, shown), -1, 1)
    assert np.abs(integer.network.run(as_inputs(shown)) / OUTPUT_ONE - exact).mean() < 0.01


def test_quantise__twice__same_integers(rng: np.random.Generator, market: SyntheticMarket) -> None:
    policy = float_policy(rng)
    shown = seen_by(policy, market)
    assert quantise(policy, shown).network.code() == quantise(policy, shown).network.code()


def test_quantise__what_has_no_integer_form__refused(rng: np.random.Generator) -> None:
    shown = rng.uniform(-3, 3, (50, 18))
    with pytest.raises(IntegerFormError, match="64"):
        quantise(float_policy(rng, hidden=(65, 64)), shown)
    with pytest.raises(IntegerFormError, match="2 hidden"):
        quantise(float_policy(rng, hidden=(8, 8, 8)), shown)
    with pytest.raises(IntegerFormError, match="24 inputs"):
        quantise(float_policy(rng, count=5), rng.uniform(-3, 3, (50, 26)))
    good = float_policy(rng)
    remembers = Lstm(np.zeros((18, 8)), np.zeros((2, 8)), np.zeros(8))
    with pytest.raises(IntegerFormError, match="memory"):
        quantise(NumpyPolicy("lstm", "0x00", good.layers, good.manifest, lstm=remembers), shown)
    for bad in (np.nan, np.inf):
        layers = [(matrix.copy(), bias.copy()) for matrix, bias in good.layers]
        layers[1][1][3] = bad
        with pytest.raises(IntegerFormError, match="NaN"):
            quantise(NumpyPolicy("nan", "0x00", layers, good.manifest), shown)
        with pytest.raises(IntegerFormError, match="finite"):
            quantise(good, np.where(np.arange(18) == 3, bad, shown))
    for wrong in (shown[:, :-1], shown[:1], shown[0]):
        with pytest.raises(IntegerFormError, match="calibration"):
            quantise(good, wrong)


@pytest.fixture
def saved(tmp_path: Path, rng: np.random.Generator, market: SyntheticMarket) -> Path:
    policy = float_policy(rng)
    save_integer(tmp_path / "net.npz", quantise(policy, seen_by(policy, market)))
    return tmp_path / "net.npz"


def _observation(count: int, version: str = CHAIN) -> Observation:
    rates = np.linspace(0.01, 0.05, count)[None]
    made = observe(PortfolioState.open(1e7, count), rates, RateMemory.start(rates, 0), 3e-6, Costs())
    return Observation(**{**vars(made), "version": version})


def test_save__loads_like_any_policy_and_acts_the_same(saved: Path, tmp_path: Path) -> None:
    first, second = load_integer(saved), load_policy(saved.with_suffix(".json"), strategies=3, version=CHAIN)
    assert isinstance(second, IntegerPolicy)
    assert first.network.code() == second.network.code()
    assert first.digest == second.digest == json.loads(saved.with_suffix(".json").read_text())["digest"]
    shown = _observation(3)
    assert np.array_equal(first.act(shown), second.act(shown))
    assert first.act(shown).tolist() == [[2 + y / 65536 for y in executed(first.network.code(), row)]
                                         for row in as_inputs(shown.vector()).tolist()]  # fmt: skip
    assert save_integer(tmp_path / "again.npz", first).digest == first.digest


def test_load__altered_or_for_another_vault__refused(saved: Path) -> None:
    with pytest.raises(PolicyShapeError, match="3 strategies but the vault has 4"):
        load_policy(saved, strategies=4)
    with pytest.raises(PolicyVersionError):
        load_policy(saved, version="rwa-1")
    with pytest.raises(PolicyShapeError):
        load_integer(saved).act(_observation(4))
    with pytest.raises(PolicyVersionError):
        load_integer(saved).act(_observation(3, "rwa-1"))
    whole = saved.read_bytes()
    saved.write_bytes(whole[:-1])
    with pytest.raises(PolicyDigestError, match="truncated"):
        load_policy(saved)
    saved.write_bytes(whole)
    manifest = saved.with_suffix(".json")
    manifest.write_text(manifest.read_text().replace('"net-integer"', '"new-integer"'))
    with pytest.raises(PolicyDigestError, match="changed"):
        load_policy(saved)
    manifest.write_text("{}")
    with pytest.raises(PolicyFileError):
        load_policy(saved)


def test_report__same_policy_twice_is_no_different_and_another_is(
    rng: np.random.Generator, market: SyntheticMarket
) -> None:
    policy = float_policy(rng)
    integer = quantise(policy, seen_by(policy, market))
    path, setting = market.sample(np.random.default_rng(5), 2, 60), Setting(Limits.uniform(3))
    report = integer_report(policy, integer, path, setting)
    assert report.decisions == 2 * 59
    assert 0.0 <= report.other_trades <= report.differ <= 1.0
    assert report.mean_difference < 0.01
    assert report.integer_captured is not None
    assert report.cost == pytest.approx((report.float_return - report.integer_return) / report.headroom)
    assert run(integer, path, setting).policy == "net-integer"

    turned = [(matrix.copy(), bias.copy()) for matrix, bias in policy.layers]
    turned[-1] = (-turned[-1][0], -turned[-1][1])
    against = integer_report(NumpyPolicy("turned", "0x00", turned, {}), integer, path, setting)
    assert against.differ > 0.9
    assert against.mean_difference > 10 * report.mean_difference
