"""The breaker: what reverts on the chain, although its simulation passes, burns gas three times and no more."""

from __future__ import annotations

import sqlite3

import pytest

from keeper.cycle import BREAKER, FIRST_HOLD
from tests.keeper.harness import Shell, World, stop

pytestmark = pytest.mark.chain

TRAP = "0x" + 20 * "11"
SPRUNG = "0x3a600557005bfe"  # burns all gas where gas has a price; in a simulation it has none


def set_trap(world: World) -> None:
    world.rpc("anvil_setCode", TRAP, SPRUNG)
    world.do(world.strategies[0].functions.setCallback(TRAP, b""))


def grow_older(world: World, seconds: int) -> None:
    """Let time pass for the journal's intents."""
    with sqlite3.connect(world.folder / "journal.sqlite") as journal:
        journal.execute("UPDATE intents SET created_at = created_at - ?", (seconds,))
    journal.close()


def test_reverts_each_time__a_running_keeper_stops_sending(world: World, shell: Shell) -> None:
    set_trap(world)
    process = shell.start("run", "--live", "--config", str(world.config_file(interval_seconds=0.05)))
    assert process.stderr is not None
    refusals = (line for line in process.stderr if "nothing is sent for another" in line)
    for _ in range(5):
        assert next(refusals, None) is not None
    assert f"the last {BREAKER} transactions reverted" in next(refusals)
    stop(process)
    assert (world.epoch, world.nonce()) == (0, BREAKER)


def test_reverts_each_time__one_is_tried_after_each_hold_and_a_success_ends_it(world: World) -> None:
    set_trap(world)
    keeper = world.keeper()
    for _ in range(BREAKER):
        assert keeper.cycle(live=True).outcome == "reverted"
    assert world.keeper().cycle(live=True).outcome == "refused"  # after a restart too
    world.close()
    grow_older(world, FIRST_HOLD)
    keeper = world.keeper()
    assert [keeper.cycle(live=True).outcome for _ in range(2)] == ["reverted", "refused"]
    world.close()
    grow_older(world, FIRST_HOLD)
    assert world.keeper().cycle(live=True).outcome == "refused"  # it doubles
    world.close()
    grow_older(world, FIRST_HOLD)
    world.rpc("anvil_setCode", TRAP, "0x00")
    keeper = world.keeper()
    assert keeper.cycle(live=True).outcome == "mined"
    assert keeper.journal.reverted_in_a_row() == (0, 0)
    assert world.nonce() == BREAKER + 2


def test_dry_run__is_not_held(world: World) -> None:
    set_trap(world)
    keeper = world.keeper()
    for _ in range(BREAKER):
        keeper.cycle(live=True)
    assert keeper.cycle().outcome == "simulated"
