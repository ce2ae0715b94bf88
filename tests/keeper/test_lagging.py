"""A node that lags: nothing is concluded from what it does not know yet, and nothing is sent through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keeper.errors import StaleBlockError
from keeper.journal import State
from tests.keeper.harness import World
from tests.keeper.proxy import Answer, Proxy
from tests.keeper.test_recovery import assert_applied_once, latest

pytestmark = pytest.mark.chain

HOURS = 7200


def lag(world: World, proxy: Proxy) -> None:
    """From now on the node knows nothing of what comes after the present block."""
    block = world.rpc("eth_getBlockByNumber", "latest", False)

    def newest(question: dict[str, Any], ask: Callable[[], Answer]) -> Answer:
        return {"result": block} if question["params"][0] in ("latest", "finalized") else ask()

    def nothing(_question: object, _ask: object) -> Answer:
        return {"result": None}

    proxy.rules = {
        "eth_getBlockByNumber": newest,
        "eth_getTransactionReceipt": nothing,
        "eth_getTransactionByHash": nothing,
    }


def see_to_it(world: World, proxy: Proxy, age: float, why: str, state: State) -> None:
    """Let a keeper try four times through the node that lags, then once through one that does not."""
    world.pass_time(HOURS)
    now = float(world.w3.eth.get_block("latest")["timestamp"])
    signed = latest(world.keepers[-1]).attempts
    keeper = world.keeper(rpc_url=proxy.url, max_block_age_seconds=age)
    keeper._clock = lambda: now
    for _ in range(4):
        with pytest.raises(StaleBlockError, match=why):
            keeper.cycle(live=True)
    assert "eth_sendRawTransaction" not in proxy.asked
    assert latest(keeper).attempts == signed
    assert latest(keeper).state is state
    keeper = world.keeper(max_block_age_seconds=120.0)
    keeper._clock = lambda: now
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


@pytest.mark.parametrize(("age", "why"), [(120.0, "s old"), (1e9, "before block")])
def test_node_hours_behind__after_a_trade__gets_nothing_to_send(
    world: World, proxy: Proxy, age: float, why: str
) -> None:
    lag(world, proxy)
    assert world.keeper().cycle(live=True).outcome == "mined"
    see_to_it(world, proxy, age, why, State.MINED)


def test_node_hours_behind__with_a_trade_under_way__gets_nothing_to_send(world: World, proxy: Proxy) -> None:
    lag(world, proxy)
    world.stop_mining()
    assert world.keeper().cycle(live=True).outcome == "pending"
    world.mine()
    world.start_mining()
    see_to_it(world, proxy, 120.0, "s old", State.SENT)


def test_receipt_gone__and_nonce_used__is_no_reorg(world: World, proxy: Proxy) -> None:
    keeper = world.keeper(rpc_url=proxy.url)
    assert keeper.cycle(live=True).outcome == "mined"
    proxy.rules["eth_getTransactionReceipt"] = lambda _question, _ask: {"result": None}
    asked = len(proxy.asked)
    assert keeper.cycle(live=True).outcome == "no-trade"
    assert "eth_sendRawTransaction" not in proxy.asked[asked:]
    assert latest(keeper).state is State.MINED


def test_finality__of_so_many_blocks__is_not_looked_at_again(world: World, proxy: Proxy) -> None:
    keeper = world.keeper(rpc_url=proxy.url, finality=2)
    assert keeper.cycle(live=True).outcome == "mined"
    for blocks, asked in ((1, True), (1, False)):
        for _ in range(blocks):
            world.mine()
        before = len(proxy.asked)
        keeper.cycle(live=True)
        assert ("eth_getTransactionReceipt" in proxy.asked[before:]) is asked


@pytest.mark.parametrize("tag", ["finalized", "safe"])
def test_finality__by_the_chains_tag(world: World, proxy: Proxy, tag: str) -> None:
    final = {"number": 0}

    def block(question: dict[str, Any], ask: Callable[[], Answer]) -> Answer:
        if question["params"][0] != tag:
            return ask()
        return {"result": world.rpc("eth_getBlockByNumber", hex(final["number"]), False)}

    proxy.rules["eth_getBlockByNumber"] = block
    keeper = world.keeper(rpc_url=proxy.url, finality=tag)
    result = keeper.cycle(live=True)
    for final["number"], asked in ((result.block_number, True), (result.block_number + 1, False)):
        before = len(proxy.asked)
        keeper.cycle(live=True)
        assert ("eth_getTransactionReceipt" in proxy.asked[before:]) is asked


def test_finality__unknown_to_the_node__is_never_final(world: World, proxy: Proxy) -> None:
    def refuse(question: dict[str, Any], ask: Callable[[], Answer]) -> Answer:
        no = {"error": {"code": -32602, "message": "unknown block tag"}}
        return no if question["params"][0] == "finalized" else ask()

    proxy.rules["eth_getBlockByNumber"] = refuse
    keeper = world.keeper(rpc_url=proxy.url)
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)
