from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agent.errors import LimitsError, LimitsFileError, NotFiniteError, ShapeError
from agent.units import DAY, WAD
from agent.vault.bucket import UNBOUNDED, Budget
from agent.vault.limits import Limit, Limits, Tight, Unit
from agent.vault.limits_file import load_limits
from agent.vault.projection import project_between, project_capped
from tests.agent.vault.changed import LIMITS, changed

CONTRACTS = Path(__file__).parents[3] / "contracts"

GOOD = """
idle_floor = 0.02
max_drawdown = 0.10
mark_growth_rate = 0.25
[[strategies]]
name = "aave-a"
relative_cap = 0.60
absolute_cap = 50_000_000
[[strategies]]
address = "0x00000000000000000000000000000000000000aa"
relative_cap = 0.5
"""

_number = st.one_of(
    st.floats(-3, 3), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, -1.0, np.inf, -np.inf, 1e300, -1e300, 5e-324])
)


@st.composite
def _problems(draw: st.DrawFn) -> tuple[np.ndarray, Limits, float]:
    count = draw(st.integers(1, 16))
    wanted = draw(arrays(np.float64, count, elements=_number))
    caps = draw(arrays(np.float64, count, elements=st.floats(1e-3, 1.0)))
    absolute = draw(arrays(np.float64, count, elements=st.sampled_from([np.inf, 0.0, 1e5, 3e6])))
    return wanted, Limits(caps, absolute, idle_floor=draw(st.floats(0, 0.99))), draw(st.sampled_from([1e3, 1e7]))


def _best_linear(gain: np.ndarray, caps: np.ndarray, budget: float) -> np.ndarray:
    """Maximise `gain . z` over the feasible set: a fractional knapsack, filled in order of gain."""
    best, left = np.zeros_like(gain), budget
    for index in np.argsort(-gain):
        if gain[index] > 0:
            best[index] = min(caps[index], max(left, 0.0))
            left -= best[index]
    return best


@given(_problems())
@settings(max_examples=400, deadline=None)
def test_project__anything__is_feasible_and_nearest(problem: tuple[np.ndarray, Limits, float]) -> None:
    wanted, limits, nav = problem
    caps, budget = limits.caps(nav), 1 - limits.idle_floor
    weights = limits.project(wanted, nav)
    assert (weights >= 0).all()
    assert (weights <= caps).all()
    assert weights.sum() <= budget + 1e-12
    # p is the projection of w onto a convex set if and only if (w - p) . (z - p) <= 0 for all z of the set.
    inside = np.clip(wanted, -1e6, 1e6)
    gain = inside - weights
    slack = gain @ (_best_linear(gain, caps, budget) - weights)
    assert slack <= 1e-9 * max(1.0, np.abs(gain).max())


@given(_problems())
@settings(max_examples=100, deadline=None)
def test_project__twice__changes_nothing(problem: tuple[np.ndarray, Limits, float]) -> None:
    wanted, limits, nav = problem
    once = limits.project(wanted, nav)
    assert np.allclose(limits.project(once, nav), once, atol=1e-12)


def test_project__batch__equals_row_by_row(limits: Limits, rng: np.random.Generator) -> None:
    wanted = rng.normal(0, 2, (50, 3))
    nav = rng.uniform(1, 1e8, 50)
    batched = limits.project(wanted, nav)
    assert all(np.array_equal(batched[i], limits.project(wanted[i], nav[i])) for i in range(50))


def test_fault_2_clip_then_renormalise__caps_hold(rng: np.random.Generator) -> None:
    three, five = Limits.uniform(3, 0.6, idle_floor=0.0), Limits.uniform(5, 0.4, idle_floor=0.0)
    assert three.project(np.array([1.0, -1.0, -1.0]), 1.0).tolist() == [0.6, 0.0, 0.0]
    assert five.project(np.array([1.0, 0.0, 0.0, 0.0, 0.0]), 1.0)[0] == 0.4
    assert (five.project(rng.uniform(-1, 1, (10_000, 5)), np.ones(10_000)) <= 0.4).all()


def test_project__nan__refused(limits: Limits) -> None:
    with pytest.raises(NotFiniteError):
        limits.project(np.array([0.1, np.nan, 0.1]), 1.0)
    with pytest.raises(NotFiniteError):
        limits.project(np.zeros(3), float("nan"))


def test_project__wrong_count__refused(limits: Limits) -> None:
    with pytest.raises(ShapeError, match="3 weights"):
        limits.project(np.zeros(4), 1.0)


def test_project_capped__no_budget__all_zero() -> None:
    assert project_capped(np.ones((2, 3)), np.ones((2, 3)), np.array([0.0, -0.5])).tolist() == [[0.0] * 3] * 2


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_project_between__anything__is_feasible_and_nearest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 17))
    low = rng.uniform(-0.2, 0.3, count)
    high = low + rng.uniform(0, 0.8, count) * (rng.random(count) < 0.9)
    total = low.sum() + rng.choice([0.0, rng.random(), 1.0]) * (high - low).sum()
    wanted = rng.choice([0.01, 1, 30]) * rng.normal(0, 1, count)
    weights = project_between(wanted, low, high, np.asarray(total))
    assert (weights >= low).all()
    assert (weights <= high).all()
    assert weights.sum() == pytest.approx(total, abs=1e-12)
    # Nearest on a plane with bounds: no move from one weight to another brings it nearer.
    gain = wanted - weights
    can_rise, can_fall = weights < high - 1e-9, weights > low + 1e-9
    if can_rise.any() and can_fall.any():
        assert gain[can_rise].max() - gain[can_fall].min() <= 1e-9


def test_project_between__batch_equals_row_by_row_and_the_impossible_is_refused(rng: np.random.Generator) -> None:
    wanted = rng.normal(0, 1, (50, 3))
    whole = project_between(wanted, np.asarray(0.05), np.asarray(0.6), np.asarray(1.0))
    for row, one in zip(whole, wanted, strict=True):
        assert np.array_equal(project_between(one, np.asarray(0.05), np.asarray(0.6), np.asarray(1.0)), row)
    for low, high, total in ((0.4, 0.6, 1.0), (0.05, 0.3, 1.0), (0.6, 0.4, 1.0)):
        with pytest.raises(LimitsError, match="sum to"):
            project_between(wanted, np.asarray(low), np.asarray(high), np.asarray(total))
    with pytest.raises(NotFiniteError):
        project_between(wanted * np.nan, np.asarray(0.05), np.asarray(0.6), np.asarray(1.0))


@pytest.mark.parametrize(
    "changes",
    [
        {"relative_caps": np.array([1.1, 0.5])},
        {"relative_caps": np.array([-0.1, 0.5])},
        {"relative_caps": np.array([np.nan, 0.5])},
        {"absolute_caps": np.array([-1.0, 0.5])},
        {"absolute_caps": np.array([1.0])},
        {"idle_floor": 1.0},
        {"max_drawdown": 0.0},
        {"mark_growth_rate": -0.1},
        {"cooldown": -1.0},
        {"max_silence": 0.0},
        {"performance_fee": 0.31},
    ],
)
def test_limits__impossible__refused(changes: dict[str, object]) -> None:
    good: dict[str, object] = {"relative_caps": np.array([0.5, 0.5]), "absolute_caps": np.array([1.0, 1.0])}
    with pytest.raises(LimitsError):
        Limits(**{**good, **changes})  # type: ignore[arg-type]


def test_load_limits__good_file__as_written(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(GOOD)
    loaded = load_limits(file)
    assert loaded.names == ("aave-a", "0x00000000000000000000000000000000000000aa")
    limits = loaded.limits()
    assert limits.relative_caps.tolist() == [0.6, 0.5]
    assert limits.absolute_caps.tolist() == [5e7, np.inf]
    assert (limits.idle_floor, limits.max_drawdown, limits.mark_growth_rate) == (0.02, 0.10, 0.25)


WALLS = """
cooldown = 600
max_silence = 86_400
performance_fee = 0.1
[loss_budget]
capacity = 0.01
refill_per_day = 0.002
[turnover_budget]
capacity = 1.5
refill_per_day = 0.5
[[strategies]]
"""


def test_load_limits__every_wall__as_written(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(GOOD.replace("[[strategies]]\n", WALLS.lstrip(), 1))
    limits = load_limits(file).limits()
    assert (limits.cooldown, limits.max_silence, limits.performance_fee) == (600, 86_400, 0.1)
    assert (limits.loss_budget, limits.turnover_budget) == (Budget(0.01, 0.002), Budget(1.5, 0.5))


def test_load_limits__file_of_before_the_budgets__has_sane_ones(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(GOOD)
    limits = load_limits(file).limits()
    assert (limits.cooldown, limits.max_silence, limits.performance_fee) == (3600, 604_800, 0.0)
    assert (limits.loss_budget, limits.turnover_budget) == (Budget(0.005, 0.001), Budget(2.0, 1.0))


def test_limits__made_in_code__are_unbounded_where_nothing_is_said(limits: Limits) -> None:
    assert (limits.cooldown, limits.loss_budget, limits.turnover_budget) == (0.0, UNBOUNDED, UNBOUNDED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cooldown = 2592001\n" + GOOD, "cooldown"),
        ("cooldown = -1\n" + GOOD, "cooldown"),
        ("cooldown = 0.5\n" + GOOD, "cooldown"),
        ("max_silence = 3599\n" + GOOD, "max_silence"),
        ("max_silence = 31536001\n" + GOOD, "max_silence"),
        ("performance_fee = 0.31\n" + GOOD, "performance_fee"),
        ("performance_fee = 0.12345\n" + GOOD, "whole basis points"),
        ("loss_budget = 0.1\n" + GOOD, "loss_budget"),
        (GOOD + "[loss_budget]\ncapacity = 1.01\n", r"loss_budget\.capacity"),
        (GOOD + "[loss_budget]\ncapacity = 0.01\nrefil = 1\n", r"loss_budget\.refil: unknown key"),
        (GOOD + "[turnover_budget]\ncapacity = 10.1\n", r"turnover_budget\.capacity"),
        (GOOD + "[turnover_budget]\nrefill_per_day = -1\n", r"turnover_budget\.refill_per_day"),
        (GOOD.replace("idle_floor", "idle_flor"), "idle_flor: unknown key"),
        (GOOD.replace("relative_cap = 0.5\n", "relative_cap = 0.5\nmin = 1\n"), r"strategies\.1\.min: unknown key"),
        (GOOD.replace("relative_cap = 0.60", "relative_cap = 60"), r"strategies\.0\.relative_cap"),
        (GOOD.replace("max_drawdown = 0.10", "max_drawdown = nan"), "max_drawdown"),
        (GOOD.replace('name = "aave-a"', ""), "needs a name"),
        (GOOD.replace("00aa", "zz"), "address"),
        (GOOD.split("[[")[0], "strategies"),
        (GOOD + '[[strategies]]\nname = "AAVE-A"\nrelative_cap = 0.1\n', "twice"),
        ("idle_floor = ", "not valid TOML"),
    ],
)
def test_load_limits__bad_file__says_which_entry(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(LimitsFileError, match=message):
        load_limits(file)


def test_load_limits__no_file__named(tmp_path: Path) -> None:
    with pytest.raises(LimitsFileError, match="nowhere"):
        load_limits(tmp_path / "nowhere.toml")


# --- the table ---------------------------------------------------------------------------------------------------

_VAULT = (CONTRACTS / "Vault.sol").read_text()
_NAMES = re.findall(
    r"^\s*(\w+),? //",
    re.search(r"enum Limit \{(.*?)\n    \}", (CONTRACTS / "interfaces/IVault.sol").read_text(), re.S)[1],
    re.M,  # type: ignore[index]
)


def _solidity(limit: Limit) -> str:
    return limit.name.title().replace("_", "")


def _evaluated(text: str) -> int:
    """A Solidity expression such as `10 * WAD`, `30 days` or `0.3e18`."""
    value = 1.0
    for factor in re.sub(r" (days|hours)", r" * \1", text).split(" * "):
        value *= {"WAD": WAD, "days": DAY, "hours": 3600}.get(factor) or float(factor)
    return int(value)


def test_limit__order__is_the_contracts() -> None:
    assert [_solidity(limit) for limit in Limit] == _NAMES
    assert list(Limit) == list(range(len(_NAMES)))


@pytest.mark.parametrize("limit", Limit)
def test_limit__range__is_the_contracts(limit: Limit) -> None:
    setter = _VAULT[_VAULT.index("function _setLimit") :]
    before = f"limit_ == Limit.{_solidity(limit)})" if limit is not Limit.PERFORMANCE_FEE else "        else _hot"
    found = re.search(r"_within\(value, ([^,]+), ([^)]+)\)", setter[setter.index(before) :])
    assert found is not None
    assert (limit.to_chain(limit.least), limit.to_chain(limit.most)) == (_evaluated(found[1]), _evaluated(found[2]))


def test_limit__tight_direction__is_the_contracts() -> None:
    tighten = _VAULT[_VAULT.index("function tighten(") :].split("function", 2)[1]
    up, never = (re.findall(r"limit_ (?:==|!=) Limit\.(\w+)", line) for line in tighten.splitlines()[2:4])
    assert up == [_solidity(limit) for limit in Limit if limit.tight is Tight.UP]
    assert never == [_solidity(limit) for limit in Limit if limit.tight is Tight.NEITHER]


@given(st.sampled_from(Limit), st.floats(0, 1))
def test_limit__chain_and_back__is_the_same_up_to_a_unit(limit: Limit, share: float) -> None:
    value = limit.least + share * (limit.most - limit.least)
    back = limit.from_chain(limit.to_chain(value))
    unit = {Unit.SECONDS: 1.0, Unit.SHARE_PER_DAY: DAY / WAD}.get(limit.unit, 1 / WAD)
    assert value - unit * 1.001 - 1e-15 * value <= back <= value + 1e-15 * value


@pytest.mark.parametrize(
    ("limit", "value", "chain", "words"),
    [
        (Limit.IDLE_FLOOR, 0.02, 2 * 10**16, "2 %"),
        (Limit.MARK_GROWTH_RATE, 0.25, 25 * 10**16, "25 % a year"),
        (Limit.COOLDOWN, 5400, 5400, "1 hour 30 minutes"),
        (Limit.LOSS_REFILL, 0.001, 10**15 // DAY, "0.1 % a day"),
        (Limit.TURNOVER_CAPACITY, np.inf, None, "no bound"),
        (Limit.PERFORMANCE_FEE, 0.1, 10**17, "10 %"),
    ],
)
def test_limit__value__on_chain_and_in_words(limit: Limit, value: float, chain: int | None, words: str) -> None:
    assert limit.show(value) == words
    if chain is not None:
        assert limit.to_chain(value) == chain


@pytest.mark.parametrize("limit", Limit)
def test_limits__out_of_the_vaults_range__refused_by_name(limit: Limit) -> None:
    wrong = [limit.least - 1e-3, np.nan]
    if limit not in (Limit.MARK_GROWTH_RATE, Limit.LOSS_CAPACITY, Limit.TURNOVER_CAPACITY):
        wrong.append(limit.most * 1.001)
    wrong += [] if limit.excluded is None else [limit.excluded]
    field, _, part = limit.path.partition(".")
    for value in wrong:
        with pytest.raises(LimitsError, match=part or field):
            replace(LIMITS, **{field: replace(getattr(LIMITS, field), **{part: value}) if part else value})


def test_limits__numbers_without_a_row_in_the_table__there_are_none() -> None:
    named = {limit.path.partition(".")[0] for limit in Limit}
    assert named | {"relative_caps", "absolute_caps"} == {field.name for field in fields(Limits)}


# --- the record --------------------------------------------------------------------------------------------------


def test_record__through_json__gives_the_same_limits() -> None:
    for limits in (LIMITS, Limits.uniform(3), *changed().values()):
        stored = json.loads(json.dumps(limits.record(), allow_nan=False))
        again = Limits.from_record(stored)
        assert again.digest == limits.digest
        assert not limits.differences(again)
    assert replace(LIMITS, cooldown=3600).digest == LIMITS.digest  # an int from a file, a float from the chain


@pytest.mark.parametrize("what", changed())
def test_record__one_number_changed__another_digest_and_one_difference(what: str) -> None:
    other = changed()[what]
    assert other.digest != LIMITS.digest
    found = LIMITS.differences(other, ["a", "b", "c"])
    assert len(found) == 1
    tighter_down = not what.startswith(("idle_floor", "cooldown", "mark_growth_rate"))
    assert found[0].looser is not tighter_down
    assert other.differences(LIMITS)[0].looser is (tighter_down or what == "mark_growth_rate")


def test_differences__in_words__name_the_limit_the_strategy_and_both_values() -> None:
    other = replace(LIMITS, relative_caps=np.array([0.6, 0.55, 0.4]), absolute_caps=np.array([np.inf, np.inf, 1e6]))
    other = replace(other, turnover_budget=UNBOUNDED)
    assert [each.told("judged", "in the vault") for each in LIMITS.differences(other, ["a", "b", "c"])] == [
        "the relative cap of b: 50 % judged, 55 % in the vault",
        "the absolute cap of a: 50,000,000.00 judged, no bound in the vault",
        "the share of NAV that rebalancing may move at once: 200 % judged, no bound in the vault",
    ]
    (back,) = replace(LIMITS, turnover_budget=UNBOUNDED).differences(LIMITS)  # a refill where nothing was bounded
    assert not back.looser
    with pytest.raises(ShapeError, match="for 3 and for 2 strategies"):
        LIMITS.differences(Limits.uniform(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cooldown": ...}, "missing: cooldown"),
        ({"more": 1.0}, "others were"),
        ({"loss_budget": 0.1}, "damaged"),
        ({"loss_budget": {"capacity": 0.1, "refill": 0.1}}, "damaged"),
        ({"relative_caps": [None, 0.5, 0.5]}, "damaged.*relative caps"),
        ({"idle_floor": "much"}, "damaged"),
        ({"idle_floor": None}, "damaged.*idle_floor"),
    ],
)
def test_from_record__not_a_whole_record__refused(changes: dict[str, object], message: str) -> None:
    record = {key: value for key, value in {**LIMITS.record(), **changes}.items() if value is not ...}
    with pytest.raises(LimitsError, match=message):
        Limits.from_record(record)
