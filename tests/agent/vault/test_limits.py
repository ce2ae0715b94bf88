from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from agent.errors import LimitsError, LimitsFileError, NotFiniteError, ShapeError
from agent.units import DAY, WAD
from agent.vault.bucket import UNBOUNDED, Budget
from agent.vault.limits import MAX_GROUPS, NO_CAP, GroupCap, Limit, Limits, Tight, Unit
from agent.vault.limits_file import load_limits
from agent.vault.projection import project_between, project_capped
from tests.agent.vault.changed import LIMITS, changed

CONTRACTS = Path(__file__).parents[3] / "contracts"

GOOD = """
idle_floor = 0.02
max_drawdown = 0.10
max_growth_rate = 0.25
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
        {"max_growth_rate": -0.1},
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
    assert (limits.idle_floor, limits.max_drawdown, limits.max_growth_rate) == (0.02, 0.10, 0.25)


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

_TABLE = (CONTRACTS / "vault/LimitTable.sol").read_text()
_NAMES = re.findall(
    r"^\s*(\w+),? //",
    re.search(r"enum Limit \{(.*?)\n    \}", (CONTRACTS / "interfaces/IVaultTypes.sol").read_text(), re.S)[1],
    re.M,  # type: ignore[index]
)


def _solidity(limit: Limit) -> str:
    return limit.name.title().replace("_", "")


def _evaluated(text: str) -> int:
    """A Solidity expression such as `10 * WAD`, `30 days` or `0.3e18`."""
    value = 1.0
    for factor in re.sub(r" (days|hours)", r" * \1", text).split(" * "):
        value *= {"WAD": WAD, "days": DAY, "hours": 3600, "MAX_ASSETS": NO_CAP}.get(factor) or float(factor)
    return int(value) if value < NO_CAP else NO_CAP


def test_limit__order__is_the_contracts() -> None:
    assert [_solidity(limit) for limit in Limit] == _NAMES
    assert list(Limit) == list(range(len(_NAMES)))


@pytest.mark.parametrize("limit", Limit)
def test_limit__range__is_the_contracts(limit: Limit) -> None:
    setter = _TABLE[_TABLE.index("function _setLimit") :]
    before = f"limit_ == Limit.{_solidity(limit)})" if limit is not list(Limit)[-1] else "} else {"
    found = re.search(r"_within\(value, ([^,]+), ([^)]+)\)", setter[setter.index(before) :])
    assert found is not None
    ends = limit.to_chain(limit.least, 10**6), limit.to_chain(limit.most, 10**6)
    assert ends == (_evaluated(found[1]), _evaluated(found[2]))


def test_no_cap__is_the_contracts_largest_amount() -> None:
    storage = (CONTRACTS / "vault/VaultStorage.sol").read_text()
    assert "MAX_ASSETS = type(uint128).max;" in storage
    assert NO_CAP == 2**128 - 1
    assert re.search(r"MAX_GROUPS = (\d+);", storage)[1] == str(MAX_GROUPS)  # type: ignore[index]


def test_limit__tight_direction__is_the_contracts() -> None:
    tighter = _TABLE[_TABLE.index("function _isTighter(") :].splitlines()
    never, up = (re.findall(r"limit_ == Limit\.(\w+)", line) for line in tighter[1:3])
    assert up == [_solidity(limit) for limit in Limit if limit.tight is Tight.UP]
    assert never == [_solidity(limit) for limit in Limit if limit.tight is Tight.NEITHER]


@given(st.sampled_from(Limit), st.floats(0, 1))
def test_limit__chain_and_back__is_the_same_up_to_a_unit(limit: Limit, share: float) -> None:
    value = limit.least + share * (min(limit.most, 1e12) - limit.least)
    back = limit.from_chain(limit.to_chain(value, 10**6), 10**6)
    unit = {Unit.SECONDS: 1.0, Unit.SHARE_PER_DAY: DAY / WAD, Unit.ASSETS: 1e-6}.get(limit.unit, 1 / WAD)
    assert value - unit * 1.001 - 1e-15 * value <= back <= value + 1e-15 * value


@pytest.mark.parametrize(
    ("limit", "value", "chain", "words"),
    [
        (Limit.IDLE_FLOOR, 0.02, 2 * 10**16, "2 %"),
        (Limit.MAX_GROWTH_RATE, 0.25, 25 * 10**16, "25 % a year"),
        (Limit.COOLDOWN, 5400, 5400, "1 hour 30 minutes"),
        (Limit.LOSS_REFILL, 0.001, 10**15 // DAY, "0.1 % a day"),
        (Limit.TURNOVER_CAPACITY, np.inf, None, "no bound"),
        (Limit.PERFORMANCE_FEE, 0.1, 10**17, "10 %"),
        (Limit.UNWIND_LOSS, 0.01, 10**16, "1 %"),
        (Limit.DEPOSIT_CAP, 2_500_000.5, 2_500_000_500_000, "2,500,000.50"),
        (Limit.DEPOSIT_CAP, np.inf, NO_CAP, "no bound"),
        (Limit.DEPOSIT_CAP, 1e40, NO_CAP, None),
    ],
)
def test_limit__value__on_chain_and_in_words(limit: Limit, value: float, chain: int | None, words: str | None) -> None:
    if words is not None:
        assert limit.show(value) == words
    if chain is not None:
        assert limit.to_chain(value, 10**6) == chain


def test_limit__deposit_cap__counts_base_units_on_chain_and_nothing_else_does() -> None:
    cap = Limit.DEPOSIT_CAP
    assert cap.from_chain(2_500_000_500_000, unit=10**6) == 2_500_000.5
    assert cap.from_chain(NO_CAP, unit=10**6) == np.inf
    assert cap.from_chain(0, unit=10**18) == 0
    assert (cap.to_chain(7.0), cap.from_chain(7)) == (7, 7.0)
    assert Limit.COOLDOWN.to_chain(60.0, unit=10**6) == Limit.COOLDOWN.to_chain(60.0) == 60
    assert Limit.IDLE_FLOOR.from_chain(WAD, unit=10**6) == Limit.IDLE_FLOOR.from_chain(WAD) == 1.0


@pytest.mark.parametrize("limit", Limit)
def test_limits__out_of_the_vaults_range__refused_by_name(limit: Limit) -> None:
    wrong = [limit.least - 1e-3, np.nan]
    if limit not in (Limit.MAX_GROWTH_RATE, Limit.LOSS_CAPACITY, Limit.TURNOVER_CAPACITY, Limit.DEPOSIT_CAP):
        wrong.append(limit.most * 1.001)
    wrong += [] if limit.excluded is None else [limit.excluded]
    field, _, part = limit.path.partition(".")
    for value in wrong:
        with pytest.raises(LimitsError, match=part or field):
            replace(LIMITS, **{field: replace(getattr(LIMITS, field), **{part: value}) if part else value})


def test_limits__numbers_without_a_row_in_the_table__there_are_none() -> None:
    named = {limit.path.partition(".")[0] for limit in Limit}
    assert named | {"relative_caps", "absolute_caps", "groups"} == {field.name for field in fields(Limits)}


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
    tighter_down = not what.startswith(("idle_floor", "cooldown", "max_growth_rate"))
    assert found[0].looser is not tighter_down
    assert other.differences(LIMITS)[0].looser is (tighter_down or what == "max_growth_rate")


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
        ({"groups": [{"relative_cap": 0.5, "absolute_cap": None}]}, "damaged.*members"),
        ({"groups": [{"members": [0, 3], "relative_cap": 0.5, "absolute_cap": None}]}, "damaged.*groups"),
        ({"mark_growth_rate": 0.25}, "others were"),
    ],
)
def test_from_record__not_a_whole_record__refused(changes: dict[str, object], message: str) -> None:
    record = {key: value for key, value in {**LIMITS.record(), **changes}.items() if value is not ...}
    with pytest.raises(LimitsError, match=message):
        Limits.from_record(record)


def test_from_record__of_the_bound_on_the_mark__same_limits_with_the_defaults_of_today() -> None:
    old = {**LIMITS.record(), "mark_growth_rate": LIMITS.max_growth_rate}
    for name in ("max_growth_rate", "unwind_loss", "deposit_cap"):
        del old[name]
    read = Limits.from_record(old)
    assert not [each for each in LIMITS.differences(read) if each.in_backtests]
    assert (read.max_growth_rate, read.unwind_loss, read.deposit_cap) == (LIMITS.max_growth_rate, 0.01, np.inf)


# --- groups of shared risk ---------------------------------------------------------------------------------------


def _random_groups(rng: np.random.Generator, count: int, *, apart: bool = False) -> tuple[GroupCap, ...]:
    """Groups that overlap freely, or that share no member."""
    groups, free = [], list(rng.permutation(count))
    for _ in range(int(rng.integers(1, 5))):
        size = int(rng.integers(1, count + 1))
        chosen = free[:size] if apart else rng.choice(count, size, replace=False)
        free = free[size:]
        absolute = rng.choice([np.inf, rng.uniform(0, 1e7)])
        groups.append(GroupCap(tuple(int(i) for i in chosen), rng.uniform(0, 1), absolute))
    return tuple(groups)


def _grouped(rng: np.random.Generator, *, apart: bool = False) -> Limits:
    count = int(rng.integers(2, 13))
    floor = rng.choice([0.0, 0.02, 0.5])
    caps = rng.uniform(0.05, 1, count)
    return Limits(caps, np.full(count, np.inf), floor, groups=_random_groups(rng, count, apart=apart))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_project__overlapping_groups__within_every_cap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _grouped(rng)
    wanted, nav = rng.choice([0.1, 1, 1e3, 1e9]) * rng.normal(0, 1, (16, limits.count)), rng.uniform(1e5, 1e8, 16)
    wanted[rng.random(wanted.shape) < 0.05] = np.inf
    weights = limits.project(wanted, nav)
    assert (weights >= 0).all()
    assert (weights <= limits.caps(nav)).all()
    assert (weights.sum(-1) <= 1 - limits.idle_floor + 1e-12).all()
    assert (weights @ limits.members.T <= limits.group_caps(nav) + 1e-12).all()
    assert np.allclose(limits.project(weights, nav), weights, atol=1e-12)
    for row in range(16):
        assert np.array_equal(limits.project(wanted[row], nav[row]), weights[row])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_project__groups_without_a_common_member__nearest_of_all_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _grouped(rng, apart=True)
    wanted = rng.choice([0.1, 1]) * rng.normal(0.3, 1, limits.count)
    weights = limits.project(wanted, 1e7)
    # p is the projection of w onto a convex set if and only if (w - p) . (z - p) <= 0 for all z of the set.
    rows = np.vstack([np.ones(limits.count), limits.members])
    most = np.append(1 - limits.idle_floor, limits.group_caps(1e7))
    bounds = np.stack([np.zeros(limits.count), limits.caps(1e7)], axis=-1)
    best = linprog(-(wanted - weights), rows, most, bounds=bounds)
    assert best.status == 0
    assert (wanted - weights) @ (best.x - weights) <= 1e-9


def test_project__one_group_that_binds__takes_from_its_members_alone() -> None:
    limits = replace(Limits.uniform(3, 0.6), groups=(GroupCap((2, 0), 0.5),))
    assert limits.project(np.array([0.4, 0.3, 0.2]), 1.0) == pytest.approx([0.35, 0.3, 0.15])
    assert limits.project(np.array([0.2, 0.3, 0.2]), 1.0).tolist() == [0.2, 0.3, 0.2]
    rich = replace(limits, groups=(GroupCap((0, 2), 0.5, 1e6),))
    assert rich.project(np.array([0.4, 0.3, 0.2]), 1e7) == pytest.approx([0.1, 0.3, 0.0])


def test_record__groups__in_it_only_where_there_are_any() -> None:
    assert "groups" not in LIMITS.record()
    assert replace(LIMITS, groups=(GroupCap(()),)).digest == LIMITS.digest  # one without members binds nothing
    grouped = replace(LIMITS, groups=(GroupCap((2, 0), 0.5, 1e6), GroupCap((1, 2), 0.7)))
    assert grouped.record()["groups"] == [
        {"members": [0, 2], "relative_cap": 0.5, "absolute_cap": 1e6},
        {"members": [1, 2], "relative_cap": 0.7, "absolute_cap": None},
    ]
    again = Limits.from_record(json.loads(json.dumps(grouped.record(), allow_nan=False)))
    assert again.groups == grouped.groups
    assert again.digest == grouped.digest != LIMITS.digest


def test_differences__groups__by_their_members_whatever_their_order() -> None:
    one, two = GroupCap((0, 2), 0.5, 1e6), GroupCap((1, 2), 0.7)
    grouped = replace(LIMITS, groups=(one, two))
    assert not grouped.differences(replace(LIMITS, groups=(two, one)))
    found = grouped.differences(replace(LIMITS, groups=(replace(one, relative_cap=0.4),)), ["a", "b", "c"])
    assert [each.told("judged", "in the vault") for each in found] == [
        "the relative cap of a and c: 50 % judged, 40 % in the vault",
        "the relative cap of b and c: 70 % judged, 100 % in the vault",
    ]
    assert [each.looser for each in found] == [False, True]
    assert all(each.in_backtests for each in found)
    (money,) = grouped.differences(replace(LIMITS, groups=(replace(one, absolute_cap=2e6), two)), ["a", "b", "c"])
    assert money.told("judged", "now") == "the absolute cap of a and c: 1,000,000.00 judged, 2,000,000.00 now"


@pytest.mark.parametrize(
    "build",
    [
        lambda: GroupCap((0, 0)),
        lambda: GroupCap((-1, 0)),
        lambda: GroupCap((0, 1), 1.1),
        lambda: GroupCap((0, 1), -0.1),
        lambda: GroupCap((0, 1), 0.5, -1.0),
        lambda: GroupCap((0, 1), np.nan),
        lambda: replace(LIMITS, groups=(GroupCap((0, 3)),)),
        lambda: replace(LIMITS, groups=(GroupCap((0,)),) * 9),
    ],
)
def test_groups__impossible__refused(build: Callable[[], object]) -> None:
    with pytest.raises(LimitsError, match="group"):
        build()


GROUPS = """
[[groups]]
members = ["0x00000000000000000000000000000000000000AA", "aave-a"]
risk = "0x00000000000000000000000000000000000000bb"
relative_cap = 0.7
absolute_cap = 1_000_000
"""


def test_load_limits__groups_and_amounts__as_written(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("deposit_cap = 5_000_000\nunwind_loss = 0.02\n" + GOOD + GROUPS)
    loaded = load_limits(file)
    limits = loaded.limits()
    assert limits.groups == (GroupCap((0, 1), 0.7, 1e6),)
    assert loaded.groups[0].risk == "0x00000000000000000000000000000000000000bb"
    assert (limits.deposit_cap, limits.unwind_loss) == (5e6, 0.02)
    file.write_text(GOOD)
    assert load_limits(file).limits().groups == ()
    assert (load_limits(file).limits().deposit_cap, load_limits(file).limits().unwind_loss) == (np.inf, 0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + GROUPS.replace("aave-a", "aave-z"), "no strategies: aave-z"),
        (GOOD + GROUPS.replace("0x00000000000000000000000000000000000000AA", "AAVE-A"), "member twice"),
        (GOOD + GROUPS.replace("0.7", "1.7"), r"groups\.0\.relative_cap"),
        (GOOD + GROUPS * 9, "groups"),
        ("deposit_cap = -1\n" + GOOD, "deposit_cap"),
        ("deposit_cap = nan\n" + GOOD, "deposit_cap"),
        ("unwind_loss = 1.1\n" + GOOD, "unwind_loss"),
    ],
)
def test_load_limits__bad_group_or_amount__says_which_entry(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(LimitsFileError, match=message):
        load_limits(file)
