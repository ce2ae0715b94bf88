"""Odd answers of a node or a database, to a keeper that runs: one ends nothing, the same again and again does."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

from keeper.chain.abi import selector
from keeper.cycle import CONFIRMATIONS, CycleResult, repeat
from keeper.errors import WrongChainError
from tests.keeper.harness import PATIENCE, Shell, World, wait_for
from tests.keeper.proxy import Answer, Proxy

pytestmark = pytest.mark.chain

NOTHING: Answer = {"result": "0x"}


@pytest.fixture
def running(world: World, shell: Shell, proxy: Proxy) -> subprocess.Popen[str]:
    """A live keeper behind the proxy that has rebalanced once."""
    process = shell.start("run", "--live", "--config", str(world.config_file(rpc_url=proxy.url, interval_seconds=0.1)))
    wait_for(lambda: world.epoch == 1, "no rebalance")
    return process


def calls(function: str) -> Callable[[dict[str, Any]], bool]:
    wanted = "0x" + selector("Vault" if function == "epoch" else "VaultLens", function).hex()
    return lambda question: question["params"][0]["data"].startswith(wanted)


def go_on(world: World, process: subprocess.Popen[str]) -> None:
    """See the keeper do its work still."""
    epoch = world.epoch
    world.do(world.strategies[0].functions.gain(90_000 * 10**6))
    wait_for(lambda: world.epoch == epoch + 1 or process.poll() is not None, "no further rebalance")
    assert process.poll() is None, process.stderr.read() if process.stderr else ""


ODD: list[tuple[str, Answer, Callable[[dict[str, Any]], bool]]] = [
    ("eth_chainId", {"result": "0x1"}, lambda _: True),
    ("eth_call", NOTHING, calls("epoch")),
    ("eth_call", NOTHING, calls("snapshot")),
    ("eth_call", {"error": {"code": 3, "message": "execution reverted", "data": "0x"}}, calls("epoch")),
    ("eth_getBlockByNumber", {"result": {"number": hex(2**70), "timestamp": hex(2**70)}}, lambda _: True),
]


def test_odd_answer__once__ends_nothing(world: World, proxy: Proxy, running: subprocess.Popen[str]) -> None:
    for method, answer, where in ODD:
        told = proxy.once(method, answer, where)
        wait_for(lambda: told or running.poll() is not None, "not asked")  # noqa: B023
        go_on(world, running)
    assert len(world.rebalances()) == 1 + len(ODD)


def test_wrong_chain__again_and_again__ends_the_process(
    world: World, proxy: Proxy, running: subprocess.Popen[str]
) -> None:
    proxy.rules["eth_chainId"] = lambda _question, _ask: {"result": "0x1"}
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 78
    assert "serves chain 1, but the configuration says" in err
    assert f"1 of {CONFIRMATIONS} times" in err


def test_journal__locked_for_longer_than_it_waits__ends_nothing(world: World, running: subprocess.Popen[str]) -> None:
    with sqlite3.connect(world.folder / "journal.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert running.stderr is not None
        line = next((line for line in running.stderr if "database is locked" in line), "")
        assert "JournalBusyError" in line
        other.execute("COMMIT")
    go_on(world, running)


def test_repeat__answers_that_do_not_agree__are_not_believed() -> None:
    told = threading.Event()
    said = [*(WrongChainError(f"chain {number % 2}") for number in range(3 * CONFIRMATIONS)), None]

    def cycle() -> CycleResult:
        error = said.pop(0)
        if error is None:
            told.set()
            return CycleResult("no-trade", "nothing", 1, False)
        raise error

    repeat(cycle, 0.001, told)
    assert said == []
