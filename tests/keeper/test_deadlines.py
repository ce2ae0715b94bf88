"""Deadlines: a node that is slow, byte by byte or answer by answer, holds no cycle up, and a signal ends every wait."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from keeper.errors import CycleTimeoutError, RpcUnavailableError, StoppedError
from keeper.journal import State, read_journal
from tests.keeper.harness import CHAIN_ID, PATIENCE, ROOT, Shell, World, wait_for
from tests.keeper.proxy import Answer, Proxy
from tests.keeper.test_recovery import assert_applied_once, latest

pytestmark = pytest.mark.chain

PROMPT = 20.0  # seconds for what takes one when the machine is idle, and a minute and more where it does not end


def test_trickle__a_byte_at_a_time__holds_no_request_beyond_its_timeout(world: World, proxy: Proxy) -> None:
    proxy.pause = 0.2  # a hundred bytes and more: over twenty seconds
    keeper, began = world.keeper(rpc_url=proxy.url, rpc_timeout_seconds=0.4), time.monotonic()
    with pytest.raises(RpcUnavailableError, match="timed out"):
        keeper.cycle(live=True)
    assert time.monotonic() - began < PROMPT
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
    keeper = world.keeper(sleep=lambda _: keeper._watch.start(0.0), receipt_timeout_seconds=60.0)  # when it waits
    with pytest.raises(CycleTimeoutError):
        keeper.cycle(live=True)
    assert latest(keeper).state is State.SENT
    world.mine()
    keeper = world.keeper()
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


def test_stopped_while_waiting__signs_nothing_more_and_is_noted(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(sleep=lambda _: keeper._watch._stop.set())
    with pytest.raises(StoppedError):
        keeper.cycle(live=True)
    assert keeper.journal.recent_cycles(1)[0]["outcome"] == "stopped"
    assert len(latest(keeper).attempts) == 1
    with pytest.raises(StoppedError):
        keeper.cycle(live=True)
    world.mine()
    keeper = world.keeper()
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


def terminate(process: subprocess.Popen[str]) -> str:
    """Stop a keeper that waits for something that lasts; it must be quick."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < PROMPT, err
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
    config = str(world.config_file(receipt_timeout_seconds=60.0))
    process = shell.start("run", "--live", "--config", config)
    wait_for(lambda: world.rpc("txpool_status")["pending"] != "0x0", "nothing was sent")
    terminate(process)
    assert signed(world) == 1
    world.mine()
    keeper = world.keeper()
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


def test_sigterm__while_the_main_thread_waits_for_a_database__ends_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    program = f"""
import sqlite3
from keeper.cli import _stop_on_signals
_stop_on_signals()
print("waits", flush=True)
sqlite3.connect({str(path)!r}, timeout=60).execute("BEGIN IMMEDIATE")
"""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, text=True, stdout=-1, stderr=-1)
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        assert "Stopping" in terminate(process)
