"""Transactions that are swallowed, lost, expired, stuck or somebody else's: the keeper always comes to its trade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from keeper.chain.transaction import GWEI, TIP_GROWTH
from keeper.cycle import Keeper
from keeper.errors import ForeignTransactionError
from keeper.journal import Attempt, Kind
from tests.keeper.harness import CHAIN_ID, KEEPER, THIEF, Killed, World
from tests.keeper.proxy import Answer, Proxy
from tests.keeper.test_recovery import CRASHES, assert_applied_once, latest

pytestmark = pytest.mark.chain

CEILING = 4.6  # gwei; 4.0 for a trade
LIMITS = {"max_fee_gwei": CEILING, "receipt_timeout_seconds": 0.05}


def swallow(question: dict[str, Any], _ask: object) -> Answer:
    """Take a transaction and do nothing with it."""
    return {"result": "0x" + keccak(hexstr=question["params"][0]).hex()}


@contextmanager
def crowded(world: World) -> Iterator[None]:
    """While it lasts, what is mined has no room for more than a transfer: the vault's transactions stay in the pool."""
    usual = world.w3.eth.get_block("latest")["gasLimit"]
    world.rpc("evm_setBlockGasLimit", hex(100_000))
    yield
    world.rpc("evm_setBlockGasLimit", hex(usual))


def expire(world: World) -> None:
    """Let the deadline of what is under way pass, and leave it in the pool."""
    with crowded(world):
        world.pass_time(3600)


def send_elsewhere(world: World, max_fee: int) -> None:
    """Send a transfer from the keeper's key that its journal does not know."""
    transfer = {"to": THIEF.address, "value": 1, "gas": 21_000, "nonce": 0, "chainId": CHAIN_ID, "type": 2}
    fees = {"maxFeePerGas": max_fee, "maxPriorityFeePerGas": max_fee // 10}
    world.w3.eth.send_raw_transaction(Account.sign_transaction({**transfer, **fees}, KEEPER.key).raw_transaction)


def attempts(keeper: Keeper, nonce: int = 0) -> tuple[Attempt, ...]:
    return keeper.journal.attempts_at(KEEPER.address, nonce)


def in_pool(world: World) -> int:
    return int(world.rpc("txpool_status")["pending"], 16)


def test_swallowed__for_longer_than_deadlines__is_sent_when_the_node_recovers(world: World, proxy: Proxy) -> None:
    proxy.rules["eth_sendRawTransaction"] = swallow
    for _ in range(3):
        keeper = world.keeper(rpc_url=proxy.url, **LIMITS)  # each time as after a restart
        for _ in range(2):
            assert keeper.cycle(live=True).outcome == "pending"
        assert len(latest(keeper).attempts) == 1  # the same bytes: raising what nobody has is of no use
        world.pass_time(3600)
        world.set_base_fee(1)
        world.mine()
    assert max(each.max_fee for each in attempts(keeper)) <= 4 * GWEI
    proxy.rules.clear()
    keeper = world.keeper(rpc_url=proxy.url, **LIMITS)
    assert keeper.cycle(live=True).outcome == "mined"
    assert_applied_once(world, keeper)


def test_signed_as_high_as_it_may_be__and_lost__fees_begin_afresh(world: World) -> None:
    world.stop_mining()
    world.set_base_fee(3)
    world.mine()
    keeper = world.keeper(**LIMITS)
    assert keeper.cycle(live=True).outcome == "pending"
    assert attempts(keeper)[0].max_fee == pytest.approx(4 * GWEI)
    world.rpc("anvil_dropAllTransactions")
    world.rpc("evm_increaseTime", 3600)
    world.set_base_fee(1)
    world.mine()
    keeper = world.keeper(sleep=world.mine, **LIMITS)
    assert keeper.cycle(live=True).outcome == "mined"
    assert attempts(keeper)[0].max_fee < attempts(keeper)[-1].max_fee
    assert_applied_once(world, keeper)


def test_expired__and_still_in_the_pool__is_cancelled_by_a_no_op(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(**LIMITS)
    for _ in range(3):
        assert keeper.cycle(live=True).outcome == "pending"  # as high as it may go
    expire(world)
    assert in_pool(world) == 1
    keeper = world.keeper(**LIMITS)
    assert keeper.cycle(live=True).outcome == "pending"
    no_op = latest(keeper)
    assert no_op.kind is Kind.NO_OP
    assert in_pool(world) == 1
    sent = world.w3.eth.get_transaction(no_op.attempts[-1].transaction_hash)
    assert (sent["to"], sent["nonce"], sent["value"], sent["input"]) == (KEEPER.address, 0, 0, b"")
    assert 4 * GWEI < sent["maxFeePerGas"] <= CEILING * GWEI
    world.mine()
    keeper = world.keeper(sleep=world.mine, **LIMITS)
    assert keeper.cycle(live=True).outcome == "mined"
    assert len(world.rebalances()) == 1
    assert (world.epoch, world.nonce()) == (1, 2)
    assert keeper.journal.count_intents() == {"expired": 1, "mined": 2}
    assert keeper.cycle(live=True).outcome == "no-trade"


def test_expired__and_forgotten_by_the_node__is_not_cancelled(world: World) -> None:
    world.stop_mining()
    world.keeper(**LIMITS).cycle(live=True)
    world.rpc("anvil_dropAllTransactions")
    world.pass_time(3600)
    keeper = world.keeper(sleep=world.mine, **LIMITS)
    assert keeper.cycle(live=True).outcome == "mined"
    assert_applied_once(world, keeper)


def test_cancelled__and_the_old_one_is_mined_all_the_same__nothing_is_lost(world: World, proxy: Proxy) -> None:
    world.stop_mining()
    world.keeper(**LIMITS).cycle(live=True)
    expire(world)
    proxy.rules["eth_sendRawTransaction"] = swallow  # the no-op comes nowhere
    keeper = world.keeper(rpc_url=proxy.url, **LIMITS)
    assert keeper.cycle(live=True).outcome == "pending"
    assert latest(keeper).kind is Kind.NO_OP
    world.mine()  # the expired one reverts
    assert (world.epoch, world.nonce()) == (0, 1)
    keeper = world.keeper(sleep=world.mine, **LIMITS)
    assert keeper.cycle(live=True).outcome == "mined"
    assert keeper.journal.count_intents() == {"expired": 1, "superseded": 1, "mined": 1}
    assert (world.epoch, world.nonce()) == (1, 2)


def test_halted__while_it_is_under_way__is_taken_back_and_not_raised(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(**LIMITS)
    assert keeper.cycle(live=True).outcome == "pending"
    before = latest(keeper)
    with crowded(world):
        halt = world.vault.functions.halt().build_transaction({"from": world.governance, "gas": 90_000})
        world.w3.eth.send_transaction(halt)
        world.mine()
    assert world.vault.functions.halted().call()
    assert in_pool(world) == 1
    result = world.keeper(sleep=world.mine, **LIMITS).cycle(live=True)
    assert (result.outcome, world.nonce()) == ("refused", 1)
    keeper = world.keepers[-1]
    assert keeper.journal.count_intents() == {"superseded": 1, "mined": 1}
    assert attempts(keeper)[1:] == before.attempts[::-1]
    assert latest(keeper).kind is Kind.NO_OP
    assert world.w3.eth.get_transaction_receipt(latest(keeper).transaction_hash)["gasUsed"] == 21_000


def test_pool_that_hides_what_it_has__is_outbid_within_the_bounds(world: World, proxy: Proxy) -> None:
    world.stop_mining()
    world.keeper(**LIMITS).cycle(live=True)
    proxy.rules["eth_getTransactionByHash"] = lambda _question, _ask: {"result": None}
    proxy.rules["eth_getTransactionCount"] = lambda question, ask: (
        {"result": "0x0"} if question["params"][1] == "pending" else ask()
    )
    limits = {"max_fee_gwei": 20.0, "journal": str(world.folder / "new.sqlite")}
    keeper = world.keeper(rpc_url=proxy.url, **LIMITS | limits)
    assert keeper.cycle(live=True).outcome == "pending"
    assert 1 < len(attempts(keeper)) <= 4
    world.mine()
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


@pytest.mark.parametrize(("owner", "method", "before"), CRASHES[1:])
def test_crash__in_a_cancellation__applies_exactly_once(
    world: World, crash: Callable[..., None], owner: type, method: str, before: bool
) -> None:
    world.stop_mining()
    world.keeper(**LIMITS).cycle(live=True)
    expired = latest(world.keepers[-1])
    expire(world)
    with pytest.MonkeyPatch.context() as patch:
        crash(patch, owner, method, before=before)
        with pytest.raises(Killed):
            world.keeper(sleep=world.mine, **LIMITS).cycle(live=True)
    if before and world.nonce() == 0:  # the expired one is mined all the same
        world.rpc("anvil_dropAllTransactions")
        world.w3.eth.send_raw_transaction(expired.attempts[-1].raw)
        world.mine()
        assert world.nonce() == 1
    keeper = world.keeper(sleep=world.mine, **LIMITS)
    keeper.cycle(live=True)
    assert len(world.rebalances()) == 1
    assert (world.epoch, world.nonce()) == (1, 2)
    assert keeper.cycle(live=True).outcome == "no-trade"


def test_never_mined__tips_grow_within_a_bound(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(receipt_timeout_seconds=0.01, max_fee_gwei=1000.0)
    for _ in range(8):
        assert keeper.cycle(live=True).outcome == "pending"
    tips = [each.tip for each in attempts(keeper)]
    assert len(tips) > 4
    assert max(tips) <= TIP_GROWTH * tips[-1]


def test_somebody_elses_transaction_at_the_nonce__is_not_outbid(world: World) -> None:
    world.stop_mining()
    send_elsewhere(world, max_fee=3 * GWEI)
    keeper = world.keeper(**LIMITS)
    for _ in range(3):
        with pytest.raises(ForeignTransactionError, match="pending at nonce 0"):
            keeper.cycle(live=True)
    assert attempts(keeper) == ()
    world.mine()
    keeper = world.keeper(sleep=world.mine, **LIMITS)
    assert keeper.cycle(live=True).outcome == "mined"
    assert (world.epoch, world.nonce()) == (1, 2)


def test_somebody_else_takes_the_nonce_of_what_was_lost__is_not_outbid(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(**LIMITS)
    keeper.cycle(live=True)
    before = attempts(keeper)
    world.rpc("anvil_dropAllTransactions")
    send_elsewhere(world, max_fee=40 * GWEI)
    for _ in range(3):
        with pytest.raises(ForeignTransactionError, match="pending at nonce 0"):
            keeper.cycle(live=True)
    assert attempts(keeper) == before
    world.mine()
    keeper = world.keeper(sleep=world.mine, **LIMITS)
    assert keeper.cycle(live=True).outcome == "mined"
    assert (world.epoch, world.nonce()) == (1, 2)
