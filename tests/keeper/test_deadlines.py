"""Deadlines: a node that is slow, byte by byte or answer by answer, holds no cycle up, and a signal ends every wait."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from keeper.errors import CycleTimeoutError, RpcUnavailableError
from keeper.journal import State, read_journal
from tests.keeper.harness import CHAIN_ID, Shell, World, wait_for
from tests.keeper.proxy import Answer, Proxy
from tests.keeper.test_recovery import assert_applied_once, latest

pytestmark = pytest.mark.chain

PATIENCE = 6.0  # seconds for what takes one when the machine is idle


def test_trickle__a_byte_at_a_time__holds_no_request_beyond_its_timeout(world: World, proxy: Proxy) -> None:
    proxy.pause = 0.2  # a hundred bytes and more: over twenty seconds
    keeper, began = world.keeper(rpc_url=proxy.url, rpc_timeout_seconds=0.4), time.monotonic()
    with pytest.raises(RpcUnavailableError, match="timed out"):
        keeper.cycle(live=True)
    assert time.monotonic() - began < PATIENCE
    proxy.pause = 0.0
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


def test_slow_answers__each_in_time__hold_no_cycle_beyond_its_deadline(world: World, proxy: Proxy) -> None:
    def slow(_question: object, ask: Callable[[], Answer]) -> Answer:
        time.sleep(0.5)
        return ask()

    reads = ("eth_chainId", "eth_getBlockByNumber", "eth_call", "eth_getTransactionCount", "eth_feeHistory")
    proxy.rules = dict.fromkeys(reads, slow)
    keeper = world.keeper(rpc_url=proxy.url, cycle_timeout_seconds=0.8)
    with pytest.raises(CycleTimeoutError):
        keeper.cycle(live=True)
    assert keeper.journal.recent_cycles(1)[0]["outcome"] == "error"
    proxy.rules = {}
    keeper = world.keeper(rpc_url=proxy.url)
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


def test_slow_chain__the_cycles_deadline_cuts_the_wait_for_a_receipt(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(cycle_timeout_seconds=1.0, receipt_timeout_seconds=60.0)
    with pytest.raises(CycleTimeoutError):
        keeper.cycle(live=True)
    assert latest(keeper).state is State.SENT
    world.mine()
    keeper = world.keeper()
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


def terminate(process: subprocess.Popen[str]) -> str:
    """Stop a keeper that waits for something that lasts; it must be quick."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < PATIENCE, err
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return err


def signed(world: World) -> int:
    """Count what the journal holds of signed transactions."""
    journal = read_journal(f"sqlite:///{world.folder / 'journal.sqlite'}", CHAIN_ID, world.vault.address)
    intent = journal.latest_intent() if journal else None
    return len(intent.attempts) if intent else 0


def test_sigterm__while_an_answer_trickles__ends_it(world: World, shell: Shell, proxy: Proxy) -> None:
    proxy.pause = 1.0
    config = world.config_file(rpc_url=proxy.url, rpc_timeout_seconds=60.0)
    process = shell.start("run", "--live", "--config", str(config))
    wait_for(lambda: proxy.asked, "nothing was asked")
    terminate(process)
    assert signed(world) == world.nonce() == 0


def test_sigterm__while_waiting_for_a_receipt__ends_it_and_signs_nothing_more(world: World, shell: Shell) -> None:
    world.stop_mining()
    config = str(world.config_file(receipt_timeout_seconds=20.0))
    process = shell.start("run", "--live", "--config", config)
    wait_for(lambda: world.rpc("txpool_status")["pending"] != "0x0", "nothing was sent")
    terminate(process)
    assert signed(world) == 1
    world.mine()
    keeper = world.keeper()
    assert keeper.journal.recent_cycles(1)[0]["outcome"] == "stopped"
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


def test_sigterm__while_the_journal_is_locked__ends_it(world: World, shell: Shell) -> None:
    config = str(world.config_file(interval_seconds=0.1))
    process = shell.start("run", "--live", "--config", config)
    wait_for(lambda: world.epoch == 1, "no rebalance")
    with ExitStack() as held:
        other = held.enter_context(sqlite3.connect(world.folder / "journal.sqlite", isolation_level=None))
        other.execute("BEGIN IMMEDIATE")
        time.sleep(0.5)  # it comes to the lock within an interval
        terminate(process)
        other.execute("ROLLBACK")
    keeper = world.keeper()
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)
