"""The vault at the chain boundary: the lens's fields, the limits in one order, and what the agent is given of them."""

from __future__ import annotations

from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.units import WAD
from agent.vault.limits import NO_CAP, GroupCap, Limit
from agent.vault.limits_file import load_limits
from keeper.chain.abi import load
from keeper.conversion import HOLD, chain_turnover, chain_weights, enforced_limits
from keeper.snapshot import GroupSnapshot, LimitsSnapshot, Snapshot, StrategySnapshot
from tests.keeper.by_hand import LIMITS, UNIT, group, snapshot, strategy, view

ROOT = Path(__file__).parents[2]


def test_limits_snapshot__fields__are_those_of_the_contract_and_the_table() -> None:
    function = next(entry for entry in load("Vault") if entry.get("name") == "limits")
    struct = [part["name"].lower() for part in function["outputs"][0]["components"]]
    lens = next(entry for entry in load("VaultLens") if entry.get("name") == "snapshot")
    inner = next(part for part in lens["outputs"][0]["components"] if part["name"] == "limits")
    names = [field.name for field in fields(LimitsSnapshot)]
    assert [part["name"].lower() for part in inner["components"]] == struct
    assert [name.replace("_", "") for name in names] == struct
    assert [limit.name.lower() for limit in Limit] == names
    assert [LIMITS.of(limit) for limit in Limit] == list(astuple(LIMITS)) == list(LIMITS.struct())


@pytest.mark.parametrize(
    ("kind", "path"), [(Snapshot, ()), (StrategySnapshot, ("strategies",)), (GroupSnapshot, ("groups",))]
)
def test_snapshot__fields__are_those_of_the_lens(kind: type, path: tuple[str, ...]) -> None:
    lens = next(entry for entry in load("VaultLens") if entry.get("name") == "snapshot")
    parts = lens["outputs"][0]["components"]
    for name in path:
        parts = next(part["components"] for part in parts if part["name"] == name)
    ours = {field.name.replace("_", "") for field in fields(kind)}
    theirs = {part["name"].lower() for part in parts}
    header = {"blocknumber", "parenthash", "timestamp", "basefee"}  # of the block that the call is pinned to
    assert ours == ((theirs - header) | {"block", "readat"} if kind is Snapshot else theirs)


def test_vault__parameters__all_have_names() -> None:
    functions = [entry for entry in load("Vault") if entry["type"] == "function"]
    assert all(part["name"] for entry in functions for part in entry["inputs"])


def test_view__budgets__are_shares_of_the_bid_where_that_is_less_than_nav() -> None:
    state = snapshot(strategy(500_000 * UNIT), idle=500_000 * UNIT, turnover_budget=WAD // 2, loss_budget=WAD // 100)
    whole, half = view(state).allowance, view(replace(state, bid=state.nav // 2)).allowance
    assert (whole.turnover[0], half.turnover[0]) == (0.5, 0.25)
    assert (whole.loss[0], half.loss[0]) == (pytest.approx(0.01), pytest.approx(0.005))
    assert view(replace(state, bid=2 * state.nav)).allowance.turnover[0] == 0.5
    assert chain_turnover((WAD // 4,), replace(state, bid=state.nav // 2)) == WAD // 2


def test_view__sides__weights_are_of_nav_and_the_drawdown_is_of_the_bid() -> None:
    state = snapshot(
        strategy(500_000 * UNIT), idle=500_000 * UNIT, bid=900_000 * UNIT, share_price=95 * WAD // 100, nav_price=WAD
    )
    seen = view(state)
    assert (seen.nav[0], seen.weights[0, 0], seen.idle_weight[0]) == (1_000_000, 0.5, 0.5)
    assert seen.drawdown[0] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("changes", "room"),
    [
        ({}, np.inf),
        ({"max_withdraw": 299_999}, np.inf),  # a unit or two are rounding
        ({"max_withdraw": 200_000}, 0.2),  # less than it holds: no inflow
        ({"max_withdraw": 0}, np.inf),  # it says nothing: the vault tries it
        ({"has_cash": True, "cash": 700_000}, 0.7),
        ({"has_cash": True, "cash": 0}, 0.0),
        ({"has_cash": False, "cash": 700_000}, np.inf),
    ],
)
def test_view__room__is_what_could_be_paid_back(changes: dict[str, Any], room: float) -> None:
    assert view(snapshot(strategy(300_000, **changes), idle=700_000)).room[0, 0] == room


@pytest.mark.parametrize(
    ("changes", "paid"),
    [
        ({}, np.inf),
        ({"max_withdraw": 299_999}, np.inf),  # all but rounding
        ({"max_withdraw": 200_000}, 0.199_998),  # less what rounding may take
        ({"max_withdraw": 1, "has_cash": True}, 0.0),
        ({"max_withdraw": 0}, np.inf),  # it says nothing: leaving it is tried
        ({"max_withdraw": 0, "has_cash": True, "cash": 0}, 0.0),
    ],
)
def test_view__payable__is_what_leaving_pays_now(changes: dict[str, Any], paid: float) -> None:
    assert view(snapshot(strategy(300_000, **changes), idle=700_000)).payable[0, 0] == pytest.approx(paid, rel=1e-12)


def test_view__strategy_that_cannot_be_read__what_it_may_hold_counts_in_its_groups() -> None:
    dead, unit = strategy(live=False, has_rate=False), UNIT
    shared = (group(0, 1, cap=WAD // 2), group(1, 2, cap=WAD // 2), group(0, absolute=400_000 * unit))
    state = snapshot(dead, strategy(), strategy(), idle=700_000 * unit, nav=1_000_000 * unit, groups=shared)
    first, second, third = view(state).limits.groups
    assert (first.relative_cap, second.relative_cap) == (pytest.approx(0.2), 0.5)
    assert third.absolute_cap == pytest.approx(100_000)
    weights = chain_weights(np.array([0.0, 0.4, 0.3]), np.array([False, True, True]), state)
    assert weights[0] == HOLD
    assert weights[1] == WAD // 5


def test_enforced_limits__of_a_file_that_was_deployed__are_the_files() -> None:
    file = load_limits(ROOT / "scripts" / "limits.toml")
    pools = [
        strategy(cap=int(entry.relative_cap * 100) * 10**16, absolute=int(entry.absolute_cap or NO_CAP) * UNIT)
        for entry in file.strategies
    ]
    deployed = enforced_limits(snapshot(*pools, limits=LimitsSnapshot.from_file(file, 6)))
    assert not file.limits().differences(deployed, tolerance=1e-9)


def test_enforced_limits__groups_and_deposit_cap__are_in_whole_units() -> None:
    limits = replace(LIMITS, deposit_cap=5 * UNIT)
    shared = (group(2, 0, cap=WAD // 4, absolute=3 * UNIT), group(), group(1))
    seen = enforced_limits(snapshot(limits=limits, groups=shared))
    assert seen.deposit_cap == 5
    assert seen.groups == (GroupCap((0, 2), 0.25, 3.0), GroupCap((1,), 1.0, np.inf))
    assert enforced_limits(snapshot()).deposit_cap == np.inf


def test_enforced_limits__dead_strategy_and_unread_assets__do_not_change_them() -> None:
    state = snapshot(strategy(live=False), strategy(), strategy(), nav=2_000_000 * UNIT)
    assert enforced_limits(state).digest == enforced_limits(snapshot()).digest
