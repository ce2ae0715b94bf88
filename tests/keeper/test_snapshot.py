"""The vault's limits at the chain boundary: one struct, one order, one conversion."""

from __future__ import annotations

from dataclasses import astuple, fields
from pathlib import Path

from agent.vault.limits import Limit
from agent.vault.limits_file import load_limits
from keeper.chain.abi import load
from keeper.conversion import enforced_limits
from keeper.snapshot import NO_CAP, LimitsSnapshot
from tests.keeper.by_hand import LIMITS, UNIT, snapshot, strategy

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


def test_enforced_limits__of_a_file_that_was_deployed__are_the_files() -> None:
    file = load_limits(ROOT / "scripts" / "limits.toml")
    pools = [
        strategy(cap=int(entry.relative_cap * 100) * 10**16, absolute=int(entry.absolute_cap or NO_CAP) * UNIT)
        for entry in file.strategies
    ]
    deployed = enforced_limits(snapshot(*pools, limits=LimitsSnapshot.from_file(file)))
    assert not file.limits().differences(deployed, tolerance=1e-9)


def test_enforced_limits__dead_strategy_and_unread_assets__do_not_change_them() -> None:
    state = snapshot(strategy(live=False), strategy(), strategy(), total_assets=2_000_000 * UNIT)
    assert enforced_limits(state).digest == enforced_limits(snapshot()).digest
