from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.vault.bucket import Budget
from agent.vault.decision import DecisionRules, Reason, decide
from agent.vault.limits import GroupCap, Limits
from agent.vault.portfolio import Allowance, Costs, PortfolioState, rebalance

COSTS = Costs()
RULES = DecisionRules()
NAV = np.array([1e7])


def _one(wanted: list[float], weights: list[float], limits: Limits, **given: object):  # type: ignore[no-untyped-def]
    nav = np.array([float(given.pop("nav", 1e7))])  # type: ignore[arg-type]
    gas = float(given.pop("gas", 0.0))  # type: ignore[arg-type]
    rules = given.pop("rules", RULES)
    return decide(np.array([wanted]), np.array([weights]), nav, gas, limits, COSTS, rules, **given)  # type: ignore[arg-type]


def _random_limits(rng: np.random.Generator) -> Limits:
    count = int(rng.integers(1, 17))
    groups = [rng.choice(count, int(rng.integers(1, count + 1)), replace=False) for _ in range(rng.integers(0, 4))]
    return Limits(
        rng.uniform(0.05, 1.0, count),
        np.where(rng.random(count) < 0.5, np.inf, rng.uniform(0, 1e7, count)),
        idle_floor=rng.choice([0.0, 0.02, 0.3]),
        groups=tuple(
            GroupCap(tuple(members.tolist()), rng.uniform(0, 1), rng.choice([np.inf, 1e6])) for members in groups
        ),
    )


def _in_groups(weights: np.ndarray, limits: Limits, nav: float) -> bool:
    return all(
        weights[list(group.members)].sum() <= min(group.relative_cap, group.absolute_cap / nav) + 1e-15
        for group in limits.groups
    )


def _in_full_groups(weights: np.ndarray, limits: Limits, nav: float) -> np.ndarray:
    """Members of groups that are over their caps, or at the margin to them."""
    flags = np.zeros(limits.count, dtype=bool)
    for group in limits.groups:
        most = min(group.relative_cap, group.absolute_cap / nav) * (1 - 2e-5)
        flags[list(group.members)] |= weights[list(group.members)].sum() > most
    return flags


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_decide__anything__admissible_after_the_rebalance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _random_limits(rng)
    count = limits.count
    rules = DecisionRules(min_trade=rng.choice([0.0, 0.01, 0.2]))
    wanted = rng.choice([0.01, 1, 1e3, 1e12]) * rng.normal(0, 1, (16, count))
    wanted[rng.random((16, count)) < 0.05] = np.inf
    # Present weights anywhere, over the caps and under the idle floor too, as after drift or tightened limits.
    weights = rng.dirichlet(np.ones(count), 16) * rng.uniform(0, 1, (16, 1))
    nav = rng.uniform(1e4, 1e8, 16)
    decision = decide(wanted, weights, nav, rng.uniform(0, 1e-6), limits, COSTS, rules)
    for row, reason in enumerate(decision.reason):
        after, moved = decision.weights[row], decision.traded[row]
        assert np.array_equal(after[~moved], weights[row][~moved])
        assert moved.any() == (reason is Reason.TRADE)
        if reason is Reason.TRADE:
            assert (after >= 0).all()
            assert (after <= limits.caps(nav[row])).all()
            assert after.sum() <= 1 - limits.idle_floor
            assert _in_groups(after, limits, nav[row])
            assert (np.abs(after - weights[row]) >= rules.min_trade).any()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_decide__small_changes__held_unless_over_cap_or_crowded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = Limits.uniform(4, 0.5)
    weights = limits.project(rng.uniform(0, 1, (32, 4)), np.ones(32)) * 0.97
    decision = decide(weights + rng.normal(0, 0.02, (32, 4)), weights, np.full(32, 1e7), 0.0, limits, COSTS, RULES)
    change = np.abs(decision.weights - weights)
    assert (change[decision.traded] >= RULES.min_trade).all()
    assert (change[~decision.traded] == 0).all()


@pytest.mark.parametrize("count", [2, 3, 8, 9, 16])
def test_decide__batch__equals_one_at_a_time_bit_for_bit(count: int, rng: np.random.Generator) -> None:
    limits = Limits.uniform(count, 0.4)
    wanted, weights = rng.normal(0, 1, (64, count)), rng.dirichlet(np.ones(count), 64) * 0.95
    nav, gas = rng.uniform(1e5, 1e8, 64), rng.uniform(0, 1e-3, 64)
    whole = decide(wanted, weights, nav, gas, limits, COSTS, RULES)
    for i in range(64):
        part = slice(i, i + 1)
        one = decide(wanted[part], weights[part], nav[part], gas[part], limits, COSTS, RULES)
        assert np.array_equal(one.weights[0], whole.weights[i])
        assert np.array_equal(one.traded[0], whole.traded[i])
        assert one.reason[0] is whole.reason[i]


def test_decide__from_idle__all_that_may_be_deployed(limits: Limits) -> None:
    decision = _one([1 / 3] * 3, [0.0] * 3, limits)
    assert decision.reason == (Reason.TRADE,)
    assert decision.weights.sum() == pytest.approx(0.98, abs=2e-5)


def test_decide__nothing_new__too_small(limits: Limits) -> None:
    decision = _one([0.305, 0.3, 0.3], [0.3, 0.3, 0.3], limits)
    assert decision.reason == (Reason.SMALL,)
    assert not decision.traded.any()
    assert decision.weights.tolist() == [[0.3, 0.3, 0.3]]


def test_decide__one_small_change_among_large__held_and_the_rest_fits(limits: Limits) -> None:
    decision = _one([0.1, 0.5, 0.385], [0.5, 0.1, 0.38], limits)
    assert decision.traded.tolist() == [[True, True, False]]
    assert decision.weights[0, 2] == 0.38
    assert decision.weights.sum() <= 0.98


def test_decide__over_cap_by_drift__trimmed_with_another_trade_but_not_alone(limits: Limits) -> None:
    alone = _one([1.0, 0.2, 0.1], [0.6004, 0.2, 0.1], limits)
    assert alone.reason == (Reason.SMALL,)
    together = _one([1.0, 0.1, 0.2], [0.6004, 0.2, 0.1], limits)
    assert together.traded.tolist() == [[True, True, True]]
    assert 0.5999 < together.weights[0, 0] <= 0.6


def test_decide__group_over_its_cap_by_drift__trimmed_with_another_trade_but_not_alone(limits: Limits) -> None:
    grouped = replace(limits, groups=(GroupCap((0, 1), 0.5),))
    alone = _one([0.3, 0.2, 0.3], [0.302, 0.2, 0.3], grouped)
    assert alone.reason == (Reason.SMALL,)
    together = _one([0.302, 0.2, 0.1], [0.302, 0.2, 0.3], grouped)
    assert together.traded.tolist() == [[True, True, True]]
    assert 0.4999 < together.weights[0, :2].sum() <= 0.5


def test_decide__held_member_of_a_group__leaves_the_others_the_rest(limits: Limits) -> None:
    grouped = replace(limits, groups=(GroupCap((0, 1), 0.7),))
    decision = _one([0.28, 0.6, 0.1], [0.3, 0.1, 0.3], grouped, rules=DecisionRules(min_trade=0.15))
    assert decision.projected[0] == pytest.approx([0.19, 0.51, 0.1], abs=1e-4)
    assert decision.weights[0] == pytest.approx([0.3, 0.4, 0.1], abs=1e-4)
    assert decision.traded.tolist() == [[False, True, True]]
    assert _one([0.4, 0.6, 0.1], [0.0] * 3, grouped).at_cap.tolist() == [[True, True, False]]


def test_decide__room__bounds_what_is_put_in_and_forces_nobody_out(limits: Limits) -> None:
    room = np.array([[0.1, 0.25, 0.0]])
    decision = _one([0.5, 0.5, 0.3], [0.3, 0.1, 0.0], limits, room=room)
    assert decision.weights[0].tolist() == [0.3, 0.25, 0.0]
    assert decision.traded.tolist() == [[False, True, False]]
    assert decision.at_cap.tolist() == [[True, True, True]]
    assert _one([0.5, 0.1, 0.3], [0.3, 0.1, 0.0], limits, room=room).reason == (Reason.SMALL,)
    down = _one([0.2, 0.1, 0.0], [0.3, 0.1, 0.0], limits, room=room)  # it may fall, also to above its room
    assert down.weights[0] == pytest.approx([0.2, 0.1, 0.0])
    over = _one([1.0, 0.3, 0.0], [0.7, 0.1, 0.0], limits, room=room)  # but not stay over its cap
    assert 0.5999 < over.weights[0, 0] <= 0.6


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_decide__any_room__nothing_is_put_in_beyond_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _random_limits(rng)
    count = limits.count
    wanted, weights = rng.normal(0, 1, (16, count)), rng.dirichlet(np.ones(count), 16) * rng.uniform(0, 1, (16, 1))
    room = np.where(rng.random((16, count)) < 0.3, np.inf, rng.uniform(0, 0.5, (16, count)))
    nav, left = np.full(16, 1e7), _random_allowance(rng, 16)
    decision = decide(wanted, weights, nav, 0.0, limits, COSTS, RULES, allowance=left, room=room)
    grew = decision.weights > weights
    assert (decision.weights[grew] <= room[grew]).all()
    for row, reason in enumerate(decision.reason):
        if reason.trades:
            assert (decision.weights[row] <= limits.caps(1e7)).all()
            assert _in_groups(decision.weights[row], limits, 1e7)
    wide = decide(wanted, weights, nav, 0.0, limits, COSTS, RULES, allowance=left, room=np.full((16, count), np.inf))
    free = decide(wanted, weights, nav, 0.0, limits, COSTS, RULES, allowance=left)
    assert np.array_equal(wide.weights, free.weights)


def test_decide__payable__what_cannot_be_paid_stays_and_the_rest_is_arranged_around_it(limits: Limits) -> None:
    frozen = np.array([[0.0, np.inf, np.inf]])
    decision = _one([0.0, 0.5, 0.3], [0.3, 0.1, 0.0], limits, payable=frozen)
    assert decision.weights[0] == pytest.approx([0.3, 0.44, 0.24], abs=1e-4)  # the others, shifted alike
    assert decision.traded.tolist() == [[False, True, True]]
    part = np.array([[0.1, np.inf, np.inf]])
    decision = _one([0.0, 0.5, 0.0], [0.3, 0.1, 0.0], limits, payable=part)
    assert decision.weights[0, 0] == pytest.approx(0.2, abs=1e-5)
    assert decision.weights[0, 0] >= 0.2
    over = _one([0.0, 0.5, 0.3], [0.7, 0.1, 0.0], limits, payable=frozen)  # over its cap, and cannot help it
    assert over.weights[0, 0] == 0.7
    assert 0.9799 < over.weights.sum() <= 0.98
    exactly = _one([0.0, 0.5, 0.0], [0.3, 0.1, 0.0], limits, payable=np.array([[0.3, 1.0, 0.0]]))
    assert exactly.weights[0, 0] == 0.0  # all of it, to the last unit


def test_decide__payable__group_that_cannot_come_under_its_cap__does_not_grow(limits: Limits) -> None:
    grouped = replace(limits, groups=(GroupCap((0, 1), 0.5),))
    frozen = np.array([[0.0, np.inf, np.inf]])
    decision = _one([0.3, 0.3, 0.3], [0.4, 0.15, 0.0], grouped, payable=frozen)
    assert decision.weights[0] == pytest.approx([0.4, 0.1, 0.3], abs=1e-4)
    stuck = _one([0.3, 0.3, 0.3], [0.55, 0.15, 0.0], replace(grouped, relative_caps=np.full(3, 0.6)), payable=frozen)
    assert stuck.weights[0] == pytest.approx([0.55, 0.0, 0.3], abs=1e-4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_decide__any_liquidity__no_rebalance_asks_for_more_than_can_be_paid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _random_limits(rng)
    count, nav = limits.count, np.full(16, 1e7)
    wanted, weights = rng.normal(0, 1, (16, count)), rng.dirichlet(np.ones(count), 16) * rng.uniform(0, 1, (16, 1))
    kinds = rng.random((16, count))
    payable = np.where(kinds < 0.3, np.inf, np.where(kinds < 0.5, 0.0, rng.uniform(0, 0.5, (16, count))))
    left = _random_allowance(rng, 16)
    decision = decide(wanted, weights, nav, 0.0, limits, COSTS, RULES, allowance=left, room=payable, payable=payable)
    assert (weights - decision.weights <= payable + 1e-15).all()
    grew = decision.weights > weights
    assert (decision.weights[grew] <= payable[grew]).all()
    stays = np.maximum(weights - payable, 0.0)
    for row, reason in enumerate(decision.reason):
        if reason.trades:
            assert (decision.weights[row] <= np.maximum(limits.caps(1e7), stays[row]) + 1e-5).all()
    endless = np.full((16, count), np.inf)
    wide = decide(wanted, weights, nav, 0.0, limits, COSTS, RULES, allowance=left, payable=endless)
    assert np.array_equal(wide.weights, decide(wanted, weights, nav, 0.0, limits, COSTS, RULES, allowance=left).weights)


def test_decide__half_of_nav_believed__relative_caps_count_in_that(limits: Limits) -> None:
    half = np.array([0.5])
    decision = _one([0.5, 0.5, 0.3], [0.0] * 3, limits, believed=half)
    assert decision.weights[0] == pytest.approx(limits.relative_caps / 2, abs=1e-4)
    assert (decision.weights[0] <= limits.relative_caps / 2).all()
    held = _one([0.5, 0.1, 0.0], [0.4, 0.1, 0.0], limits, believed=half)  # over it, and may stay
    assert held.weights[0].tolist() == [0.4, 0.1, 0.0]
    grouped = replace(limits, groups=(GroupCap((0, 1), 0.4),))
    together = _one([0.3, 0.3, 0.0], [0.0] * 3, grouped, believed=half)
    assert 0.1999 < together.weights[0].sum() <= 0.2
    stays = _one([0.3, 0.3, 0.2], [0.2, 0.1, 0.0], grouped, believed=half)
    assert stays.weights[0, :2].tolist() == [0.2, 0.1]
    assert 0.19 < stays.weights[0, 2] <= 0.2


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_decide__part_of_nav_believed__what_is_raised_is_within_its_caps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _random_limits(rng)
    count, nav = limits.count, np.full(16, 1e7)
    wanted, weights = rng.normal(0, 1, (16, count)), rng.dirichlet(np.ones(count), 16) * rng.uniform(0, 1, (16, 1))
    share = np.where(rng.random(16) < 0.3, 1.0, rng.uniform(0, 1, 16))
    decision = decide(wanted, weights, nav, 0.0, limits, COSTS, RULES, believed=share)
    grew = decision.weights > weights
    assert (decision.weights <= limits.relative_caps * share[:, None])[grew].all()
    for row in range(16):
        for group in limits.groups:
            members = list(group.members)
            if grew[row, members].any():
                assert decision.weights[row, members].sum() <= group.relative_cap * share[row] + 1e-12
    whole = decide(wanted, weights, nav, 0.0, limits, COSTS, RULES, believed=np.ones(16))
    assert np.array_equal(whole.weights, decide(wanted, weights, nav, 0.0, limits, COSTS, RULES).weights)


def test_decide__room_of_another_shape_or_nan__refused(limits: Limits) -> None:
    for room in (np.ones((1, 2)), np.ones(3), np.array([[0.1, np.nan, 0.1]])):
        with pytest.raises(ShapeError, match="room"):
            _one([0.1] * 3, [0.0] * 3, limits, room=room)
        with pytest.raises(ShapeError, match="payable"):
            _one([0.1] * 3, [0.0] * 3, limits, payable=room)


def test_decide__gas__weighed_against_the_amount_moved(limits: Limits) -> None:
    cheap = _one([0.3, 0.3, 0.3], [0.0] * 3, limits, nav=1e4, gas=0.9 * 1e4 * 0.9 * 1e-3 / 1e6)
    dear = _one([0.3, 0.3, 0.3], [0.0] * 3, limits, nav=1e4, gas=1.1 * 1e4 * 0.9 * 1e-3 / 1e6)
    assert cheap.reason == (Reason.TRADE,)
    assert dear.reason == (Reason.GAS,)
    assert not dear.traded.any()
    assert dear.gas[0] == pytest.approx(1.1 * 9e-0)


def test_decide__halted_or_empty__nothing(limits: Limits) -> None:
    assert _one([0.3] * 3, [0.0] * 3, limits, halted=np.array([True])).reason == (Reason.HALTED,)
    assert _one([0.3] * 3, [0.0] * 3, limits, nav=0.0).reason == (Reason.EMPTY,)


def test_fault_12_all_zero__is_all_idle_and_valid(limits: Limits) -> None:
    decision = _one([0.0] * 3, [0.4, 0.3, 0.2], limits)
    assert decision.reason == (Reason.TRADE,)
    assert decision.weights.tolist() == [[0.0] * 3]


def test_decide__nan__refused_wherever_it_is(limits: Limits) -> None:
    with pytest.raises(NotFiniteError):
        _one([np.nan, 0, 0], [0.0] * 3, limits)
    with pytest.raises(NotFiniteError):
        _one([0, 0, 0], [np.nan, 0, 0], limits)
    with pytest.raises(NotFiniteError):
        _one([0, 0, 0], [0.0] * 3, limits, nav=np.nan)


def test_decide__wrong_shapes_and_rules__refused(limits: Limits) -> None:
    with pytest.raises(ShapeError):
        _one([0.1] * 4, [0.0] * 4, limits)
    with pytest.raises(LimitsError, match="min_trade"):
        DecisionRules(min_trade=1.5)


# --- cooldown and budgets ----------------------------------------------------------------------------------------


def _left(turnover: float = np.inf, loss: float = np.inf, wait: float = 0.0) -> Allowance:
    return Allowance(wait=np.array([wait]), turnover=np.array([turnover]), loss=np.array([loss]))


def _random_allowance(rng: np.random.Generator, batch: int) -> Allowance:
    def some(high: float) -> np.ndarray:
        return np.where(rng.random(batch) < 0.3, np.inf, rng.uniform(0, high, batch))

    return Allowance(rng.choice([-5.0, 0.0, 5.0], batch, p=[0.4, 0.4, 0.2]), some(1.0), some(0.004) - 1e-4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_decide__any_budget__what_is_sent_fits_and_is_admissible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    limits = _random_limits(rng)
    count = limits.count
    costs = Costs(0.0, 0.0, entry=rng.choice([0.0, 0.002]), exit=rng.uniform(0, 0.003, count))
    rules = DecisionRules(min_trade=rng.choice([0.0, 0.01, 0.2]), drift_margin=rng.choice([0.0, 1e-5]))
    wanted = rng.normal(0, 1, (16, count))
    weights = rng.dirichlet(np.ones(count), 16) * rng.uniform(0, 1, (16, 1))
    left = _random_allowance(rng, 16)
    free = decide(wanted, weights, np.full(16, 1e7), 0.0, limits, costs, rules)
    decision = decide(wanted, weights, np.full(16, 1e7), 0.0, limits, costs, rules, allowance=left)
    for row, reason in enumerate(decision.reason):
        after, moved = decision.weights[row], decision.traded[row]
        change = after - weights[row]
        assert np.array_equal(after[~moved], weights[row][~moved])
        assert moved.any() == reason.trades
        if not reason.trades:
            continue
        assert left.wait[row] <= 0
        assert max(np.maximum(change, 0).sum(), np.maximum(-change, 0).sum()) <= left.turnover[row]
        lost = np.maximum(change, 0) * costs.entry + np.maximum(-change, 0) * costs.exit
        assert lost.sum() <= left.loss[row]
        assert (after >= 0).all()
        assert (after <= limits.caps(1e7)).all()
        assert after.sum() <= 1 - limits.idle_floor + 1e-15
        assert _in_groups(after, limits, 1e7)
        over_cap = weights[row] > limits.caps(1e7) * (1 - rules.drift_margin)
        over_cap |= _in_full_groups(weights[row], limits, 1e7)
        crowded = weights[row].sum() > 1 - limits.idle_floor - rules.drift_margin
        if not crowded:
            assert (np.abs(change[moved & ~over_cap]) >= rules.min_trade).all()
        if reason is Reason.TRADE:
            assert np.array_equal(after, free.weights[row])


@pytest.mark.parametrize("count", [2, 3, 8, 9, 16])
def test_decide__batch_with_walls__equals_one_at_a_time_bit_for_bit(count: int, rng: np.random.Generator) -> None:
    limits, costs = Limits.uniform(count, 0.4), Costs(entry=0.001, exit=0.002)
    groups = (GroupCap(tuple(range(count)), 0.9), GroupCap(tuple(range(0, count, 2)), 0.5))
    limits = replace(limits, groups=groups)
    wanted, weights = rng.normal(0, 1, (64, count)), rng.dirichlet(np.ones(count), 64) * 0.95
    left, nav = _random_allowance(rng, 64), np.full(64, 1e7)
    whole = decide(wanted, weights, nav, 0.0, limits, costs, RULES, allowance=left)
    assert {Reason.TRADE, Reason.CUT, Reason.COOLDOWN} <= set(whole.reason)
    for i in range(64):
        part = slice(i, i + 1)
        alone = Allowance(left.wait[part], left.turnover[part], left.loss[part])
        one = decide(wanted[part], weights[part], nav[part], 0.0, limits, costs, RULES, allowance=alone)
        assert np.array_equal(one.weights[0], whole.weights[i])
        assert one.reason[0] is whole.reason[i]


def test_decide__within_the_cooldown__no_trade_with_the_reason(limits: Limits) -> None:
    decision = _one([0.3] * 3, [0.0] * 3, limits, allowance=_left(wait=1.0))
    assert decision.reason == (Reason.COOLDOWN,)
    assert not decision.traded.any()
    assert _one([0.3] * 3, [0.0] * 3, limits, allowance=_left(wait=0.0)).reason == (Reason.TRADE,)
    assert _one([0.3] * 3, [0.3] * 3, limits, allowance=_left(wait=1.0)).reason == (Reason.SMALL,)


def test_decide__turnover_budget_half_used__goes_part_of_the_way(limits: Limits) -> None:
    decision = _one([0.0, 0.5, 0.3], [0.5, 0.0, 0.3], limits, allowance=_left(turnover=0.25))
    assert decision.reason == (Reason.CUT,)
    assert decision.weights[0] == pytest.approx([0.25, 0.25, 0.3], abs=2e-5)
    assert decision.turnover[0] <= 0.25
    assert decision.traded.tolist() == [[True, True, False]]


def test_decide__turnover_budget_all_but_used__waits(limits: Limits) -> None:
    decision = _one([0.0, 0.5, 0.3], [0.5, 0.0, 0.3], limits, allowance=_left(turnover=0.009))
    assert decision.reason == (Reason.TURNOVER,)
    assert not decision.traded.any()


def test_decide__cut_down__what_becomes_small_is_held(limits: Limits) -> None:
    decision = _one([0.1, 0.41, 0.32], [0.5, 0.0, 0.3], limits, allowance=_left(turnover=0.2))
    assert decision.reason == (Reason.CUT,)
    assert decision.traded.tolist() == [[True, True, False]]  # half of 0.02 and a little less is under 0.01


def test_decide__over_its_cap_and_no_turnover_left_to_come_back__waits(limits: Limits) -> None:
    assert _one([0.3, 0.3, 0.3], [0.9, 0, 0], limits, allowance=_left(turnover=0.2)).reason == (Reason.TURNOVER,)
    enough = _one([0.3, 0.3, 0.3], [0.9, 0, 0], limits, allowance=_left(turnover=0.4))
    assert enough.reason == (Reason.CUT,)
    assert enough.weights[0, 0] <= 0.6


def test_decide__under_the_idle_floor__comes_back_first_and_goes_as_far_as_it_can(limits: Limits) -> None:
    decision = _one([0.0, 0.4, 0.6], [0.5, 0.5, 0.0], limits, allowance=_left(turnover=0.05))
    assert decision.reason == (Reason.CUT,)
    assert decision.weights.sum() <= 0.98
    assert decision.turnover[0] == pytest.approx(0.05, abs=2e-5)


def test_decide__budget_that_is_used_to_the_last_bit__rounding_stops_no_trade(rng: np.random.Generator) -> None:
    limits, rules = Limits.uniform(3, 1.0, idle_floor=0.0), DecisionRules(drift_margin=0.0)
    weights, wanted = rng.dirichlet(np.ones(3), 500) * [0.2, 0.2, 0.2], rng.dirichlet(np.ones(3), 500)
    left = Allowance(np.zeros(500), rng.uniform(0.1, 0.3, 500), np.full(500, np.inf))
    decision = decide(wanted, weights, np.full(500, 1e7), 0.0, limits, COSTS, rules, allowance=left)
    assert set(decision.reason) == {Reason.CUT}


def test_decide__loss_budget__expected_costs_must_fit(limits: Limits) -> None:
    costs = Costs(entry=0.001, exit=0.001)

    def reason(loss: float) -> Reason:
        present, wanted = np.array([[0.5, 0.0, 0.0]]), np.array([[0.0, 0.5, 0.0]])
        return decide(wanted, present, NAV, 0.0, limits, costs, RULES, allowance=_left(loss=loss)).reason[0]

    assert reason(0.0011) is Reason.TRADE
    assert reason(0.0005) is Reason.CUT
    assert reason(0.00001) is Reason.LOSS
    assert reason(-0.00001) is Reason.LOSS  # the keeper takes off what rounding loses


def test_decide__costs_per_vault__each_cut_by_its_own(rng: np.random.Generator) -> None:
    limits, entry = Limits.uniform(3, 0.6), rng.choice([0.0, 0.001, 0.003], (64, 1))
    wanted, weights = rng.normal(0, 1, (64, 3)), rng.dirichlet(np.ones(3), 64) * 0.95
    left, nav = _random_allowance(rng, 64), np.full(64, 1e7)
    whole = decide(wanted, weights, nav, 0.0, limits, Costs(entry=entry, exit=entry / 2), RULES, allowance=left)
    assert {Reason.TRADE, Reason.CUT} <= set(whole.reason)
    assert len(np.unique(whole.loss)) > 3
    for i in range(64):
        part, cost = slice(i, i + 1), float(entry[i, 0])
        alone = Allowance(left.wait[part], left.turnover[part], left.loss[part])
        costs = Costs(entry=cost, exit=cost / 2)
        one = decide(wanted[part], weights[part], nav[part], 0.0, limits, costs, RULES, allowance=alone)
        assert np.array_equal(one.weights[0], whole.weights[i])
        assert one.reason[0] is whole.reason[i]
        assert one.loss[0] == whole.loss[i]


# --- costs that grow with the size of a leg ---------------------------------------------------------------------------


def test_decide__impact__the_budget_is_spent_to_what_the_quadratic_allows(limits: Limits) -> None:
    costs = Costs(0.0, 0.0, entry=0.001, impact=1e-8)
    for nav in (1e6, 1e8):
        decision = decide(
            np.array([[0.5, 0.0, 0.0]]),
            np.zeros((1, 3)),
            np.array([nav]),
            0.0,
            limits,
            costs,
            RULES,
            allowance=_left(loss=0.0004),
        )
        per_nav = 1e-8 * nav
        largest = (-0.001 + np.sqrt(0.001**2 + 4 * per_nav * 0.0004)) / (2 * per_nav)  # e w + k w^2 = budget
        assert decision.reason == (Reason.CUT,)
        assert decision.weights[0, 0] == pytest.approx(largest, rel=1e-8)
        assert decision.loss[0] == pytest.approx(0.0004, rel=1e-8)
        assert decision.loss[0] <= 0.0004


def test_decide__impact__expected_loss_by_hand_and_grown_with_nav(limits: Limits) -> None:
    costs = Costs(0.0, 0.0, entry=0.001, exit=0.002, haircut=0.01, impact=np.array([1e-9, 2e-9, 0.0]))
    wanted, present = np.array([[0.1, 0.3, 0.3]]), np.array([[0.5, 0.0, 0.3]])
    losses = [decide(wanted, present, np.array([nav]), 0.0, limits, costs, RULES).loss[0] for nav in (0.0, 1e6, 1e8)]
    worth = 0.4 / 0.99
    for nav, loss in zip((0.0, 1e6, 1e8), losses, strict=True):
        leaving = max(worth * (0.002 + 1e-9 * nav * worth) - 0.01 * worth, 0.0)
        entering = 0.3 * (1 - (1 - 0.001 - 2e-9 * nav * 0.3) * 0.99)
        assert loss == pytest.approx(leaving + entering, rel=1e-12)
    assert losses[0] < losses[1] < losses[2]


def test_decide__seeded_costs_with_impact__no_plan_loses_more_than_its_budget() -> None:
    rng, rules, tight = np.random.default_rng(31), DecisionRules(min_trade=0.0), []
    for case in range(400):
        limits = _random_limits(rng)
        count = limits.count
        budget = Budget(rng.uniform(0, 0.02), 0.0)
        limits = replace(limits, loss_budget=budget)
        shape = ((), (count,), (16, count), (16, 1))[case % 4]
        costs = Costs(
            0.0,
            0.0,
            entry=rng.uniform(0, 0.003),
            exit=rng.uniform(0, 0.003, count),
            haircut=rng.choice([0.0, 0.005]),
            impact=10 ** rng.uniform(-12, -5, shape),
        )
        weights = rng.dirichlet(np.ones(count), 16) * rng.uniform(0, 1, (16, 1))
        state = PortfolioState.open(10 ** rng.uniform(5, 9, 16), count, 16, weights)
        state = replace(state, loss_used=budget.capacity * rng.uniform(0, 1, 16))
        left, wanted = state.allowance(limits), rng.normal(0, 1, (16, count))
        decision = decide(wanted, state.weights, state.nav, 0.0, limits, costs, rules, allowance=left)
        done = rebalance(state, decision.weights, decision.traded, np.zeros(16), costs, limits)
        assert not done.refused.any()
        sent = decision.traded.any(-1)
        assert (decision.loss[sent] <= left.loss[sent]).all()
        spent = done.state.loss_used - state.loss_used
        assert (spent[sent] <= decision.loss[sent] * (1 + 1e-9) + 1e-15).all()  # deposits may shrink, never grow
        for row, reason in enumerate(decision.reason):
            if reason is Reason.CUT and _is_inside(state.weights[row], limits, state.nav[row]):
                tight.append(decision.loss[row] >= left.loss[row] * (1 - 1e-6))
    assert len(tight) > 300
    assert all(tight), "more could have been moved"


def _is_inside(weights: np.ndarray, limits: Limits, nav: float) -> bool:
    """Whether weights keep more than the margin to all limits, so that the way to better ones starts at them."""
    kept = 1 - 2 * RULES.drift_margin
    inside = (weights <= limits.caps(np.array([nav]))[0] * kept).all() and weights.sum() <= (
        1 - limits.idle_floor
    ) * kept
    return bool(inside and not _in_full_groups(weights, limits, nav).any())


@pytest.mark.parametrize("count", [2, 3, 8, 9])
def test_decide__impact_per_vault__equals_one_at_a_time_bit_for_bit(count: int, rng: np.random.Generator) -> None:
    limits = Limits.uniform(count, 0.5)
    entry, impact = rng.uniform(0, 0.003, (64, 1)), 10 ** rng.uniform(-11, -8, (64, count))
    impact[::3] = 0.0
    wanted, weights = rng.normal(0, 1, (64, count)), rng.dirichlet(np.ones(count), 64) * 0.95
    left, nav = _random_allowance(rng, 64), 10 ** rng.uniform(5, 8, 64)
    costs = Costs(entry=entry, exit=0.001, haircut=0.001, impact=impact)
    whole = decide(wanted, weights, nav, 0.0, limits, costs, RULES, allowance=left)
    assert {Reason.TRADE, Reason.CUT} <= set(whole.reason)
    plain = decide(wanted, weights, nav, 0.0, limits, replace(costs, impact=0.0), RULES, allowance=left)
    for i in range(64):
        part = slice(i, i + 1)
        alone = Allowance(left.wait[part], left.turnover[part], left.loss[part])
        own = Costs(entry=float(entry[i, 0]), exit=0.001, haircut=0.001, impact=impact[i])
        one = decide(wanted[part], weights[part], nav[part], 0.0, limits, own, RULES, allowance=alone)
        assert np.array_equal(one.weights[0], whole.weights[i])
        assert one.reason[0] is whole.reason[i]
        assert one.loss[0] == whole.loss[i]
        if i % 3 == 0:
            assert np.array_equal(plain.weights[i], whole.weights[i])
