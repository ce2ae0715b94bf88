"""The pure decision: refusals, reasons, and integers that rounding can never carry over a limit."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.observation.memory import RateMemory
from agent.observation.observe import Observation
from agent.policies.rules import EqualWeight, Greedy
from agent.units import WAD, FloatArray
from agent.vault.decision import DecisionRules
from agent.vault.limits import NO_CAP
from keeper.chain.abi import encode_call
from keeper.conversion import HOLD, Leg, chain_turnover, chain_weights
from keeper.decide import Action, Settings, decide, decision_hash
from keeper.errors import StaleBlockError, VaultNotReadyError
from keeper.snapshot import Snapshot
from tests.keeper.by_hand import ADDRESS, BLOCK, LIMITS, UNIT, group, snapshot, strategy

SETTINGS = Settings(native_price=3000.0)


@dataclass(frozen=True)
class Wants:
    """A policy that always wants the same."""

    weights: tuple[float, ...]
    name: str = "wants"
    digest: str = EqualWeight().digest

    def act(self, observation: Observation) -> FloatArray:
        return np.array([self.weights], dtype=np.float64)


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"halted": True}, "halted"),
        ({"policy_hash": "0x" + "00" * 32}, "committed"),
        ({"share_price": 9 * WAD // 10 - 1}, "drawdown floor"),
        ({"valued": False}, "cannot be valued"),
        ({"keeper": "0x" + "00" * 20}, "no keeper"),
    ],
)
def test_decide__what_must_not_be_acted_on__is_refused(changes: dict[str, Any], why: str) -> None:
    plan = decide(snapshot(**changes), None, EqualWeight(), SETTINGS)
    assert plan.action is Action.REFUSE
    assert why in plan.reason
    assert plan.request is None


def test_decide__another_key__is_refused() -> None:
    plan = decide(snapshot(), None, EqualWeight(), SETTINGS, sender="0x" + "22" * 20)
    assert plan.action is Action.REFUSE
    assert decide(snapshot(), None, EqualWeight(), SETTINGS, sender=ADDRESS).action is Action.REBALANCE


@pytest.mark.parametrize("weights", [(np.nan, 0.1, 0.1), (0.5, 0.5)])
def test_decide__a_policy_that_says_nothing_usable__is_refused(weights: tuple[float, ...]) -> None:
    plan = decide(snapshot(), None, Wants(weights), SETTINGS)
    assert plan.action is Action.REFUSE
    assert plan.request is None


def test_decide__infinite_wishes__stay_within_the_caps() -> None:
    plan = decide(snapshot(), None, Wants((np.inf, -np.inf, 1e300)), SETTINGS)
    assert plan.request is not None
    assert max(weight for weight in plan.request.weights if weight != HOLD) <= 6 * WAD // 10


def test_decide__no_strategies__is_an_error() -> None:
    with pytest.raises(VaultNotReadyError):
        decide(snapshot(strategies=()), None, EqualWeight(), SETTINGS)


def test_decide__plain_vault__waits_for_a_rate_and_trades_on_what_its_price_grew_by() -> None:
    plain = strategy(name="plain", has_rate=False, supply_rate=0)
    first = decide(snapshot(plain, strategy()), None, EqualWeight(), SETTINGS)
    assert (first.action, first.memory, first.vector) == (Action.HOLD, None, ())
    assert "plain: no rate is published, and the share price has not been watched for 60 minutes" in first.reason

    later = replace(BLOCK, timestamp=BLOCK.timestamp + 3600)
    grown = replace(plain, price=plain.price + plain.price * 8 // (100 * 8760))  # 8 % a year
    state = snapshot(grown, strategy(), block=later, policy_hash=Greedy().digest)
    plan = decide(state, first.memory, Greedy(), SETTINGS, marks=first.marks)
    assert plan.action is Action.REBALANCE
    assert plan.memory is not None
    assert plan.memory.fast[0].tolist() == pytest.approx([0.08, 0.05], abs=1e-9)
    assert plan.target[0] > plan.target[1]  # it pays more


def test_decide__costly_leg__lowers_the_least_share_price_by_what_it_costs() -> None:
    cheap, dear = strategy(name="cheap"), strategy(name="dear")
    state = snapshot(cheap, dear)
    plain = decide(state, None, EqualWeight(), SETTINGS)
    costly = decide(state, None, EqualWeight(), replace(SETTINGS, legs={"dear": Leg(0.004, 0.0)}))
    assert plain.request is not None
    assert costly.request is not None
    assert plain.request.min_share_price == pytest.approx(WAD * 0.999, rel=1e-15)
    moved = costly.target[1]
    assert moved == pytest.approx(0.49, abs=1e-3)
    assert costly.request.min_share_price == pytest.approx(WAD * (0.999 - 0.004 * moved), rel=1e-12)


def test_decide__leg_with_impact__lowers_the_least_share_price_by_what_its_size_costs() -> None:
    for idle in (1_000_000, 2_000_000):
        state = snapshot(strategy(name="cheap"), strategy(name="dear"), idle=idle * UNIT)
        plan = decide(state, None, EqualWeight(), replace(SETTINGS, legs={"dear": Leg(0.001, 0.0, 1e-9)}))
        assert plan.request is not None
        moved = plan.target[1]
        lost = moved * (0.001 + 1e-9 * moved * idle)  # an impact counts in whole units of the asset
        assert plan.request.min_share_price == pytest.approx(WAD * (0.999 - lost), rel=1e-12)
        assert f"entering and leaving costs {lost:.4%} of NAV" in plan.reason


def test_decide__costs_that_a_strategy_shows__are_reckoned_with_until_measured_ones_are_named() -> None:
    swap = strategy(name="swap", entry_price=10**27 * 1000 // 995, exit_price=10**27 * 99 // 100)
    state = snapshot(strategy(), swap)
    shown = SETTINGS.costs_at(state)
    assert np.asarray(shown.entry).tolist() == pytest.approx([0.0, 0.005])
    assert np.asarray(shown.exit).tolist() == pytest.approx([0.0, 0.01])
    assert np.asarray(shown.haircut).tolist() == pytest.approx([0.0, 0.01])
    named = replace(SETTINGS, legs={"swap": Leg(0.001, 0.002)}).costs_at(state)
    assert np.asarray(named.entry).tolist() == [0.0, 0.001]
    assert np.asarray(named.exit).tolist() == [0.0, 0.002]
    assert np.asarray(named.haircut).tolist() == pytest.approx([0.0, 0.01])
    assert not shown.sized  # the most that it says is for legs of any size
    assert not named.sized

    plan = decide(state, None, EqualWeight(), SETTINGS)
    assert plan.request is not None
    lost = (1 - 0.995 * 0.99) * plan.target[1]
    assert plan.request.min_share_price == pytest.approx(WAD * (0.999 - lost), rel=1e-12)


def test_decide__prices_that_differ_by_rounding__cost_nothing() -> None:
    state = snapshot(
        strategy(entry_price=10**27 + 1, exit_price=10**27 - 1),
        strategy(live=False, price=0, entry_price=0, exit_price=0),
    )
    costs = SETTINGS.costs_at(state)
    assert np.concatenate([costs.entry, costs.exit, costs.haircut]).tolist() == [0.0] * 6


def test_decide__costs_that_the_loss_budget_has_no_room_for__are_cut() -> None:
    state = snapshot(strategy(name="dear"), loss_budget=WAD // 2000)
    plan = decide(state, None, EqualWeight(), replace(SETTINGS, legs={"dear": Leg(0.002, 0.0)}))
    assert "costs 0.0500% of NAV, of 0.0500% that the loss budget has left" in plan.reason
    assert plan.target[0] == pytest.approx(0.25, abs=1e-3)  # a quarter of NAV at 20 bp is all of it


def test_decide__absurd_rate__draws_nothing_in() -> None:
    mad = strategy(100_000 * UNIT, name="mad", supply_rate=10**6 * WAD)
    state = snapshot(mad, strategy(), idle=900_000 * UNIT, policy_hash=Greedy().digest)
    plan = decide(state, None, Greedy(), SETTINGS)
    assert plan.target[0] <= 0.1
    assert "beyond what is plausible: mad" in plan.reason
    believed = decide(state, None, Greedy(), replace(SETTINGS, max_rate=1e9))
    assert believed.target[0] > 0.5  # what the bound keeps away


def test_decide__venue_lent_out_in_full__keeps_what_it_cannot_pay_and_draws_nothing_in() -> None:
    full = {"has_cash": True, "cash": 50_000 * UNIT, "max_withdraw": 50_000 * UNIT}
    spiking = strategy(400_000 * UNIT, name="full", supply_rate=WAD // 2, **full)
    state = snapshot(spiking, strategy(400_000 * UNIT), strategy(), idle=200_000 * UNIT, policy_hash=Greedy().digest)
    plan = decide(state, None, Greedy(), SETTINGS)  # which wants all of 50 % a year
    assert plan.weights[0] == pytest.approx(0.4)
    assert plan.target[0] == pytest.approx(0.4, abs=1e-9)
    state = replace(state, policy_hash=EqualWeight().digest)
    away = decide(state, None, Wants((0.0, 0.5, 0.3)), SETTINGS)
    assert away.request is not None
    assert 0.35 <= away.target[0] < 0.3501  # what it cannot pay stays
    assert away.request.weights[0] * 10**6 // WAD >= 350_000
    silent = replace(spiking, has_cash=False, cash=0, max_withdraw=0)  # may be one that says nothing: it is tried
    tried = decide(replace(state, strategies=(silent, *state.strategies[1:])), None, Wants((0.0, 0.5, 0.3)), SETTINGS)
    assert tried.target[0] == 0.0


def test_decide__funds_in_a_strategy_that_cannot_be_read__are_not_spent_twice() -> None:
    dead = strategy(live=False, has_rate=False)
    state = snapshot(dead, strategy(), strategy(), idle=700_000 * UNIT, nav=1_000_000 * UNIT)
    plan = decide(state, None, Wants((1.0, 1.0, 1.0)), SETTINGS)
    assert plan.request is not None
    assert plan.request.weights[0] == HOLD
    assert sum(plan.target) == pytest.approx(1 - 0.3 - 0.02, abs=1e-4)
    assert sum(plan.request.weights[1:]) <= 68 * WAD // 100


def test_decide__older_block_than_remembered__is_an_error() -> None:
    memory = RateMemory.start(np.full((1, 3), 0.05), BLOCK.timestamp + 1)
    with pytest.raises(StaleBlockError):
        decide(snapshot(), memory, EqualWeight(), SETTINGS)


def test_decide__empty_vault__does_nothing_and_says_so() -> None:
    plan = decide(snapshot(idle=0, total_supply=0), None, EqualWeight(), SETTINGS)
    assert plan.action is Action.HOLD
    assert "holds nothing" in plan.reason


@pytest.mark.parametrize(("base_fee", "tip"), [(10**15, 0), (0, 10**15)])
def test_decide__gas_too_dear__does_nothing_and_says_so(base_fee: int, tip: int) -> None:
    dear = replace(BLOCK, base_fee=base_fee)
    plan = decide(snapshot(block=dear), None, EqualWeight(), replace(SETTINGS, tip=tip))
    assert plan.action is Action.HOLD
    assert "gas" in plan.reason


# --- cooldown, budgets, signs of life ----------------------------------------------------------------------------


@pytest.mark.parametrize(("ago", "action"), [(3599, Action.HOLD), (3600, Action.REBALANCE)])
def test_decide__cooldown__to_the_second(ago: int, action: Action) -> None:
    plan = decide(snapshot(last_rebalance=BLOCK.timestamp - ago), None, EqualWeight(), SETTINGS)
    assert plan.action is action
    assert ("cooldown after the last rebalance is running: 1 s to go" in plan.reason) == (action is Action.HOLD)


def test_decide__turnover_budget__cuts_the_trade_and_says_so() -> None:
    plan = decide(snapshot(turnover_budget=WAD // 2), None, EqualWeight(), SETTINGS)
    assert plan.action is Action.REBALANCE
    assert "cut down" in plan.reason
    assert "50.0000% of NAV left" in plan.reason
    assert plan.request is not None
    assert 0.499 * WAD < turnover_of(plan.request.weights, snapshot()) <= WAD // 2


def test_decide__turnover_budget_spent__no_trade_and_says_so() -> None:
    plan = decide(snapshot(turnover_budget=WAD // 200), None, EqualWeight(), SETTINGS)
    assert plan.action is Action.HOLD
    assert "turnover budget" in plan.reason
    assert "0.5000% of NAV left" in plan.reason
    assert plan.target == plan.weights


def test_decide__loss_budget_spent__rounding_alone_would_break_it() -> None:
    plan = decide(snapshot(loss_budget=0), None, EqualWeight(), SETTINGS)
    assert plan.action is Action.HOLD
    assert "loss budget" in plan.reason
    assert decide(snapshot(loss_budget=10**7), None, EqualWeight(), SETTINGS).action is Action.REBALANCE


def test_chain_turnover__is_the_vaults() -> None:
    state = snapshot(strategy(300_000), strategy(400_001), idle=299_999)
    for weights in [(0, HOLD), (WAD // 2, WAD // 10), (HOLD, HOLD), (WAD // 3, WAD // 3 + 1), (3, 0)]:
        assert chain_turnover(weights, state) == turnover_of(weights, state)


def test_decide__turnover_that_rounding_carries_over_the_budget__is_not_sent() -> None:
    # A quarter of ten base units is two and a half: the vault keeps two and withdraws three.
    state = snapshot(strategy(5), strategy(), idle=5, turnover_budget=WAD // 4, loss_budget=WAD)
    settings = replace(SETTINGS, rules=DecisionRules(drift_margin=0.0), native_price=1e-9)
    plan = decide(state, None, Wants((0.25, 0.0)), settings)
    assert plan.action is Action.HOLD
    assert "turnover budget" in plan.reason
    enough = replace(state, turnover_budget=3 * WAD // 10)
    assert decide(enough, None, Wants((0.25, 0.0)), settings).action is Action.REBALANCE


@pytest.mark.parametrize(("silence", "action"), [(302_399, Action.HOLD), (302_400, Action.HEARTBEAT)])
def test_decide__nothing_to_trade_for_half_the_silence__heartbeat(silence: int, action: Action) -> None:
    seen = BLOCK.timestamp - silence
    plan = decide(snapshot(last_seen=seen), None, Wants((0.0, 0.0, 0.0)), SETTINGS)
    assert plan.action is action
    assert plan.request is None
    assert (plan.call_data == keccak(text="heartbeat()")[:4]) == (action is Action.HEARTBEAT)
    assert ("a sign of life is due" in plan.reason) == (action is Action.HEARTBEAT)
    assert "smallest trade" in plan.reason


def test_decide__silence_and_a_trade__the_trade_is_the_sign_of_life() -> None:
    plan = decide(snapshot(last_seen=0), None, EqualWeight(), SETTINGS)
    assert plan.action is Action.REBALANCE


@pytest.mark.parametrize("changes", [{"halted": True}, {"valued": False}, {"policy_hash": "0x" + "00" * 32}])
def test_decide__a_keeper_that_refuses__gives_no_sign_of_life(changes: dict[str, Any]) -> None:
    plan = decide(snapshot(last_seen=0, **changes), None, EqualWeight(), SETTINGS)
    assert plan.action is Action.REFUSE
    assert plan.call_data is None


# --- the request -------------------------------------------------------------------------------------------------


def test_decide__request__carries_the_bounds() -> None:
    plan = decide(snapshot(), None, EqualWeight(), SETTINGS)
    request = plan.request
    assert request is not None
    assert request.epoch == 7
    assert request.deadline == BLOCK.timestamp + 5 + 600  # the later of block and clock
    assert request.min_share_price == int(WAD * (1 - Fraction(0.001)))
    assert request.policy_hash == EqualWeight().digest


def test_decide__decision_hash__is_that_of_what_was_seen_and_sent() -> None:
    plan = decide(snapshot(), None, EqualWeight(), SETTINGS)
    assert plan.request is not None
    content = {"observation": list(plan.vector), "weights": [str(weight) for weight in plan.request.weights]}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert plan.request.decision_hash == "0x" + keccak(text=text).hex()


def test_decide__same_input__same_plan() -> None:
    assert decide(snapshot(), None, EqualWeight(), SETTINGS) is not None
    first, second = (decide(snapshot(), None, EqualWeight(), SETTINGS).request for _ in range(2))
    assert first == second
    other = decide(snapshot(strategy(supply_rate=1), strategy(), strategy()), None, EqualWeight(), SETTINGS).request
    assert first is not None
    assert other is not None
    assert (first.weights, first.decision_hash != other.decision_hash) == (other.weights, True)


def test_request__call_data__is_the_vaults() -> None:
    plan = decide(snapshot(), None, EqualWeight(), SETTINGS)
    assert plan.request is not None
    data = plan.request.call_data
    assert data[:4] == keccak(text="rebalance((uint256,uint256,uint256,uint256[],bytes32,bytes32))")[:4]
    assert data == encode_call(
        "Vault",
        "rebalance",
        [
            (
                7,
                plan.request.deadline,
                plan.request.min_share_price,
                list(plan.request.weights),
                bytes.fromhex(plan.request.policy_hash[2:]),
                bytes.fromhex(plan.request.decision_hash[2:]),
            )
        ],
    )


# --- integers ----------------------------------------------------------------------------------------------------


def grown(state: Snapshot, growth: list[int] | None) -> list[int]:
    """Return the positions after interest (per 1e12) between read and block."""
    return [s.assets * (10**12 + (growth[i] if growth else 0)) // 10**12 for i, s in enumerate(state.strategies)]


def refused_by_the_vault(weights: tuple[int, ...], state: Snapshot, growth: list[int] | None = None) -> str | None:
    """Name the error of `Vault.rebalance`, in its integers; `growth` comes between read and block."""
    values = grown(state, growth)
    nav = state.idle + sum(values)
    targets = [value if weight == HOLD else nav * weight // WAD for weight, value in zip(weights, values, strict=True)]
    grew = [target > value for target, value in zip(targets, values, strict=True)]
    for target, more, s in zip(targets, grew, state.strategies, strict=True):
        if more and target > nav * s.relative_cap // WAD:
            return "RelativeCapExceeded"
        if more and target > s.absolute_cap:
            return "AbsoluteCapExceeded"
        if more and s.has_cash and target > s.cash:
            return "Illiquid"
    for each in state.groups:
        members = [index for index in range(len(targets)) if each.holds(index)]
        cap = min(nav * each.relative_cap // WAD, each.absolute_cap)
        if any(grew[index] for index in members) and sum(targets[index] for index in members) > cap:
            return "GroupCapExceeded"
    floor = min(state.idle, -(-nav * state.limits.idle_floor // WAD))
    return "IdleFloorBreached" if nav - sum(targets) < floor else None


def turnover_of(weights: tuple[int, ...], state: Snapshot, growth: list[int] | None = None) -> int:
    """Compute the turnover as `Rebalancing` does, in its integers."""
    values = grown(state, growth)
    nav = state.idle + sum(values)
    withdrawn = deposited = 0
    for weight, value in zip(weights, values, strict=True):
        target = value if weight == HOLD else nav * weight // WAD
        withdrawn += max(0, value - target)
        deposited += max(0, target - value)
    return -(-max(withdrawn, deposited) * WAD // max(min(nav, state.bid), 1))


amounts = st.integers(0, 10**14) | st.integers(0, 1000)
caps = st.integers(1, WAD) | st.sampled_from([WAD // 3, 6 * WAD // 10, WAD, 1])
absolute_caps = st.just(NO_CAP) | st.integers(0, 10**14)


@st.composite
def states(draw: st.DrawFn) -> Snapshot:
    count = draw(st.integers(1, 5))
    strategies = [
        strategy(draw(amounts), draw(caps), draw(absolute_caps), has_cash=draw(st.booleans()), cash=draw(amounts))
        for _ in range(count)
    ]
    shared = [
        group(*draw(st.sets(st.integers(0, count - 1))), cap=draw(caps), absolute=draw(absolute_caps))
        for _ in range(draw(st.integers(0, 2)))
    ]
    limits = replace(LIMITS, idle_floor=draw(st.integers(0, WAD // 2)))
    budget = draw(st.just(2 * WAD) | st.integers(0, WAD))
    made = snapshot(*strategies, idle=draw(amounts), limits=limits, turnover_budget=budget, groups=tuple(shared))
    return replace(made, bid=draw(st.just(made.nav) | st.integers(0, made.nav)))


wishes = st.lists(st.floats(-0.5, 1.5) | st.floats(allow_nan=False), min_size=5, max_size=5)
shares = st.lists(st.floats(0, 1), min_size=5, max_size=5)
flags = st.lists(st.booleans(), min_size=5, max_size=5)
growths = st.lists(st.integers(0, 10**6), min_size=5, max_size=5)  # up to one part in a million


@settings(max_examples=300, deadline=None)
@given(state=states(), wish=wishes, growth=growths)
def test_decide__whatever_is_wanted__the_vault_takes_the_weights(
    state: Snapshot, wish: list[float], growth: list[int]
) -> None:
    policy = Wants(tuple(wish[: len(state.strategies)]))
    rules = DecisionRules(max_gas_share=0.999)
    plan = decide(state, None, policy, replace(SETTINGS, rules=rules))
    if plan.request is None:
        return
    assert refused_by_the_vault(plan.request.weights, state) is None
    assert turnover_of(plan.request.weights, state) <= state.turnover_budget
    if state.nav > 10**9:  # a thousand units and more: below it a base unit is more than the room kept
        assert refused_by_the_vault(plan.request.weights, state, growth) is None
        assert turnover_of(plan.request.weights, state, growth) <= state.turnover_budget


@settings(max_examples=300, deadline=None)
@given(state=states(), targets=shares, moves=flags)
def test_chain_weights__any_fractions__never_break_a_limit(
    state: Snapshot, targets: list[float], moves: list[bool]
) -> None:
    """Even targets that the agent's projection has not seen: the boundary holds by itself."""
    if state.nav == 0:
        return
    count = len(state.strategies)
    weights = chain_weights(np.array(targets[:count]), np.array(moves[:count]), state)
    assert refused_by_the_vault(weights, state) is None
    for weight, target, move in zip(weights, targets, moves, strict=False):
        assert weight == HOLD or not move or weight <= Fraction(target) * WAD


def test_chain_weights__round_down() -> None:
    state = snapshot(strategy(cap=WAD), strategy(cap=WAD))
    assert chain_weights(np.array([1 / 3, 0.1]), np.array([True, False]), state) == (int(Fraction(1 / 3) * WAD), HOLD)


def test_chain_weights__over_its_cap__held_or_reduced_in_part__as_it_is() -> None:
    state = snapshot(strategy(800_000, cap=6 * WAD // 10), strategy(0), idle=200_000)
    wanted = int(Fraction(0.1) * WAD)
    assert chain_weights(np.array([0.8, 0.1]), np.array([False, True]), state) == (HOLD, wanted)
    assert chain_weights(np.array([0.7, 0.1]), np.array([True, True]), state) == (int(Fraction(0.7) * WAD), wanted)


def test_chain_weights__room_of_a_bound__to_the_unit() -> None:
    state = snapshot(strategy(300_001, has_cash=True, cash=400_007), strategy(200_000), idle=499_999)
    targets, moves = np.array([0.5, 0.4]), np.array([True, True])
    for changes, most in (
        ({}, (400_007, 400_000)),
        ({"groups": (group(0, 1, cap=7 * WAD // 10),)}, (300_001, 399_999)),
        ({"groups": (group(0, absolute=400_003),)}, (400_003, 400_000)),
        ({"limits": replace(LIMITS, idle_floor=WAD // 4)}, (350_000, 400_000)),
        ({"limits": replace(LIMITS, idle_floor=WAD // 2)}, (300_001, 200_000)),
        ({"groups": (group(0, 1, cap=WAD // 10),)}, (300_001, 200_000)),
    ):
        bound = replace(state, **changes)
        weights = chain_weights(targets, moves, bound)
        held = [s.assets for s in state.strategies]
        reached = [now if weight == HOLD else 10**6 * weight // WAD for now, weight in zip(held, weights, strict=True)]
        assert reached == list(most), changes
        assert refused_by_the_vault(weights, bound) is None


def test_decision_hash__changes_with_every_part() -> None:
    seen = decide(snapshot(), None, EqualWeight(), SETTINGS)
    assert seen.request is not None
    base = Observation(*(np.full(shape, 0.1) for shape in [(1, 2), (1,), (1, 2), (1, 2), (1, 2), *3 * [(1,)]]))
    hashes = {
        decision_hash(base, (1, 2)),
        decision_hash(base, (1, 3)),
        decision_hash(replace(base, drawdown=np.array([0.1 + 1e-12])), (1, 2)),
    }
    assert len(hashes) == 3
