"""Crashes, reorgs, dropped and outbid transactions: whatever happens, a decision is applied exactly once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from keeper.chain.rpc import Rpc
from keeper.chain.signer import LocalSigner
from keeper.cycle import Keeper
from keeper.delivery import Courier
from keeper.errors import (
    ForeignTransactionError,
    InsufficientFundsError,
    JournalError,
    JournalHeldError,
    RpcUnavailableError,
    WrongKeyError,
)
from keeper.journal import Intent, Journal, State
from tests.keeper.harness import KEEPER, THIEF, WAD, Killed, Shell, World, write_keystore
from tests.keeper.test_journal import kill_sessions_with_locks

pytestmark = pytest.mark.chain

NO_REPLACEMENT = {"bump_percent": 300.0, "max_fee_gwei": 16.0}  # a trade offers 4 gwei at most, and 2 at first

CRASHES = [
    (Keeper, "_note_plan", False),
    (Journal, "plan", True),
    (Journal, "plan", False),
    (LocalSigner, "sign", True),
    (LocalSigner, "sign", False),
    (Journal, "record_signed", True),
    (Journal, "record_signed", False),
    (Rpc, "send_raw", True),
    (Rpc, "send_raw", False),
    (Journal, "record_sent", True),
    (Journal, "record_sent", False),
    (Journal, "settle", True),
    (Journal, "settle", False),
]


def latest(keeper: Keeper) -> Intent:
    intent = keeper.journal.latest_intent()
    assert intent is not None
    return intent


def assert_applied_once(world: World, keeper: Keeper) -> None:
    assert len(world.rebalances()) == 1
    assert (world.epoch, world.nonce()) == (1, 1)
    intent = latest(keeper)
    assert intent.state is State.MINED
    assert intent.transaction_hash == "0x" + world.rebalances()[0]["transactionHash"].hex()
    assert keeper.cycle(live=True).outcome == "no-trade"
    assert (world.epoch, world.nonce()) == (1, 1)


# --- crashes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("owner", "method", "before"), CRASHES)
@pytest.mark.parametrize("mined", ["at once", "before the restart", "after the restart"])
def test_crash__and_restart__applies_exactly_once(
    world: World, crash: Callable[..., None], mined: str, owner: type, method: str, before: bool
) -> None:
    if mined != "at once":
        world.stop_mining()
    with pytest.MonkeyPatch.context() as patch:
        crash(patch, owner, method, before=before)
        # With nobody mining, the wait is cut short where settling is the point of the crash.
        keeper = world.keeper(sleep=world.mine if method == "settle" else time.sleep, receipt_timeout_seconds=0.05)
        with pytest.raises(Killed):
            keeper.cycle(live=True)
    if mined == "before the restart":
        world.mine()
    restarted = world.keeper(sleep=world.mine)
    restarted.cycle(live=True)
    assert_applied_once(world, restarted)


@pytest.mark.parametrize(("owner", "method", "before"), [(Journal, "record_signed", False), (Rpc, "send_raw", False)])
def test_crash__journal_in_postgresql__applies_exactly_once(
    world: World, crash: Callable[..., None], postgresql_url: str, owner: type, method: str, before: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        crash(patch, owner, method, before=before)
        with pytest.raises(Killed):
            world.keeper(journal=postgresql_url).cycle(live=True)
    restarted = world.keeper(journal=postgresql_url)
    restarted.cycle(live=True)
    assert_applied_once(world, restarted)


def test_crash__twice_in_the_recovery__still_applies_once(world: World, crash: Callable[..., None]) -> None:
    world.stop_mining()
    for owner, method, before in [(Rpc, "send_raw", True), (Rpc, "send_raw", True), (Journal, "record_sent", True)]:
        with pytest.MonkeyPatch.context() as patch:
            crash(patch, owner, method, before=before)
            with pytest.raises(Killed):
                world.keeper().cycle(live=True)
    restarted = world.keeper(sleep=world.mine)
    restarted.cycle(live=True)
    assert len(latest(restarted).attempts) == 1
    assert_applied_once(world, restarted)


def test_kill_9__while_waiting_for_the_receipt__and_restart(world: World, shell: Shell) -> None:
    config = world.config_file(receipt_timeout_seconds=60.0)
    world.stop_mining()
    process = shell.start("once", "--live", "--config", str(config))
    give_up = time.monotonic() + 30
    while world.rpc("txpool_status")["pending"] == "0x0":
        assert time.monotonic() < give_up
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    world.mine()
    world.start_mining()
    done = shell.process("once", "--live", "--config", str(config))
    assert done.returncode == 0, done.stderr
    assert "no-trade" in done.stdout
    assert len(world.rebalances()) == 1
    assert world.nonce() == 1


def test_answer_lost__after_sending__is_found_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Rpc.send_raw

    def lose(self: Rpc, raw: bytes) -> str:
        real(self, raw)
        raise RpcUnavailableError("the connection broke")

    with monkeypatch.context() as patch:
        patch.setattr(Rpc, "send_raw", lose)
        with pytest.raises(RpcUnavailableError):
            world.keeper().cycle(live=True)
    assert latest(world.keepers[0]).state is State.SIGNED
    assert_applied_once(world, _cycled(world.keeper()))


def test_journal_lost__the_chain_still_applies_once(world: World) -> None:
    world.stop_mining()
    assert world.keeper().cycle(live=True).outcome == "pending"
    keeper = world.keeper(journal=str(world.folder / "new.sqlite"))
    with pytest.raises(ForeignTransactionError):
        keeper.cycle(live=True)
    world.mine()
    assert keeper.cycle(live=True).outcome == "no-trade"
    assert len(world.rebalances()) == 1
    assert (world.epoch, world.nonce()) == (1, 1)


# --- waiting, replacing ------------------------------------------------------------------------------------------


def test_not_mined__fees_are_raised_by_the_rule(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(bump_percent=12.5)
    assert keeper.cycle(live=True).outcome == "pending"
    intent = latest(keeper)
    assert len(intent.attempts) == 4
    for lower, higher in zip(intent.attempts, intent.attempts[1:], strict=False):
        assert higher.max_fee >= lower.max_fee * 1.125
        assert higher.tip >= lower.tip * 1.125
    assert {world.w3.eth.get_transaction(intent.attempts[-1].transaction_hash)["nonce"]} == {0}
    assert world.rpc("txpool_status")["pending"] == "0x1"  # replaced, not added
    world.mine()
    assert_applied_once(world, _cycled(keeper))


def test_not_mined__and_no_money_for_a_replacement__is_told_so(world: World) -> None:
    world.stop_mining()
    world.keeper(**NO_REPLACEMENT).cycle(live=True)
    (attempt,) = latest(world.keepers[0]).attempts
    world.rpc("anvil_setBalance", KEEPER.address, hex(attempt.max_fee * latest(world.keepers[0]).gas))
    keeper = world.keeper()
    with pytest.raises(InsufficientFundsError, match="Top it up"):
        keeper.cycle(live=True)
    assert latest(keeper).attempts == (attempt,)
    world.mine()
    assert_applied_once(world, _cycled(keeper))


def test_base_fee_spikes__transaction_is_replaced_at_the_new_price(world: World) -> None:
    world.stop_mining()
    waits = [0]

    def spike(_seconds: float) -> None:
        waits[0] += 1
        if waits[0] == 1:
            world.set_base_fee(30)
        world.mine()

    keeper = world.keeper(sleep=spike, receipt_timeout_seconds=0.05)
    assert keeper.cycle(live=True).outcome == "mined"
    attempts = latest(keeper).attempts
    assert len(attempts) > 1
    assert attempts[0].max_fee < 20 * 10**9 < attempts[-1].max_fee
    assert_applied_once(world, keeper)


def test_base_fee_spikes__over_the_ceiling__waits_for_the_next_cycle(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(max_fee_gwei=4.0, sleep=lambda _: None)
    world.set_base_fee(1)
    world.mine()
    assert keeper.cycle(live=True).outcome == "pending"
    world.set_base_fee(30)
    world.mine()
    assert keeper.cycle(live=True).outcome == "pending"
    assert all(attempt.max_fee <= 4 * 10**9 for attempt in latest(keeper).attempts)
    world.set_base_fee(1)
    world.mine()
    keeper = world.keeper(max_fee_gwei=4.0, sleep=world.mine)
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


def test_dropped_from_the_pool__the_same_bytes_are_sent_again(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper(**NO_REPLACEMENT)
    assert keeper.cycle(live=True).outcome == "pending"
    (attempt,) = latest(keeper).attempts
    world.rpc("anvil_dropTransaction", attempt.transaction_hash)
    assert world.rpc("txpool_status")["pending"] == "0x0"
    keeper = world.keeper(**NO_REPLACEMENT, sleep=world.mine)
    keeper.cycle(live=True)
    assert latest(keeper).transaction_hash == attempt.transaction_hash
    assert_applied_once(world, keeper)


def test_dry_run__with_a_transaction_under_way__sends_nothing(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.rpc("anvil_dropAllTransactions")
    assert keeper.cycle(live=False).outcome == "pending"
    assert world.rpc("txpool_status")["pending"] == "0x0"


# --- reorgs ------------------------------------------------------------------------------------------------------


def test_reorg__takes_the_block_away__it_is_sent_again(world: World) -> None:
    keeper = world.keeper()
    first = keeper.cycle(live=True)
    world.rpc("anvil_reorg", 1, [])
    assert world.epoch == 0
    keeper.cycle(live=True)
    assert latest(keeper).transaction_hash == first.transaction_hash
    assert_applied_once(world, keeper)


def test_reorg__and_the_deadline_is_over__decides_afresh(world: World) -> None:
    keeper = world.keeper()
    first = keeper.cycle(live=True)
    world.rpc("anvil_reorg", 1, [])
    world.rpc("evm_increaseTime", 3600)
    world.mine()
    second = keeper.cycle(live=True)
    assert second.outcome == "mined"
    assert second.transaction_hash != first.transaction_hash
    assert_applied_once(world, keeper)


def test_reorg__takes_two_rebalances_away__decides_afresh_from_the_first_nonce(world: World) -> None:
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.do(world.strategies[0].functions.gain(90_000 * 10**6))
    keeper.cycle(live=True)
    assert (world.epoch, world.nonce()) == (2, 2)
    world.rpc("anvil_reorg", 3, [])
    assert (world.epoch, world.nonce()) == (0, 0)
    world.rpc("evm_increaseTime", 5)  # Anvil may date the new blocks before those the keeper has seen
    world.mine()
    keeper.cycle(live=True)
    assert_applied_once(world, keeper)


# --- intents that are not applied --------------------------------------------------------------------------------


def _rebalance_as(world: World, sender: str) -> None:
    world.rpc("anvil_impersonateAccount", sender)
    policy = world.vault.functions.policyHash().call()
    weights = [WAD // 10] * 3
    world.do(world.vault.functions.rebalance((world.epoch, 2**40, 0, weights, policy, policy)), sender)
    world.rpc("anvil_stopImpersonatingAccount", sender)


def test_nonce_used_by_a_transfer__is_superseded(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.rpc("anvil_dropAllTransactions")
    world.start_mining()
    world.rpc("anvil_impersonateAccount", KEEPER.address)
    world.rpc("eth_sendTransaction", {"from": KEEPER.address, "to": THIEF.address, "value": "0x1"})
    world.rpc("anvil_stopImpersonatingAccount", KEEPER.address)
    assert keeper.cycle(live=True).outcome == "mined"
    assert keeper.journal.count_intents() == {"superseded": 1, "mined": 1}
    assert (world.epoch, world.nonce()) == (1, 2)


def test_nonce_used_elsewhere__is_superseded(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.rpc("anvil_dropAllTransactions")
    world.start_mining()
    _rebalance_as(world, KEEPER.address)
    keeper.cycle(live=True)
    assert keeper.journal.count_intents() == {"superseded": 1, "mined": 1}
    assert (world.epoch, world.nonce()) == (2, 2)


def test_epoch_moved_on__is_superseded(world: World) -> None:
    world.stop_mining()
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.rpc("anvil_dropAllTransactions")
    world.start_mining()
    world.do(world.vault.functions.setKeeper(THIEF.address))
    _rebalance_as(world, THIEF.address)
    world.do(world.vault.functions.setKeeper(KEEPER.address))
    keeper.cycle(live=True)
    assert keeper.journal.count_intents() == {"superseded": 1, "mined": 1}
    assert (world.epoch, world.nonce()) == (2, 1)


def test_reverts_on_chain__is_named_and_not_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, real = world.keeper(), Courier.carry

    def after_governance(self: Courier, intent: Intent) -> Intent:
        world.do(world.vault.functions.loosenCaps(world.strategies[0].address, WAD // 10, 2**128 - 1))
        return real(self, intent)

    monkeypatch.setattr(Courier, "carry", after_governance)
    result = keeper.cycle(live=True)
    assert result.outcome == "reverted"
    assert "RelativeCapExceeded(strategy=" in result.reason
    assert (world.epoch, world.nonce()) == (0, 1)
    monkeypatch.undo()
    assert keeper.cycle(live=True).outcome == "mined"
    assert world.epoch == 1


def test_key_changed__while_a_transaction_is_under_way__is_told_so(world: World) -> None:
    world.stop_mining()
    world.keeper().cycle(live=True)
    write_keystore(world.folder / "keystore.json", THIEF.key)
    with pytest.raises(WrongKeyError, match="still under way"):
        world.keeper().cycle(live=True)


# --- two keepers -------------------------------------------------------------------------------------------------


def test_two_keepers__one_journal__the_second_refuses(world: World) -> None:
    first = Keeper(world.config())
    try:
        with pytest.raises(JournalError, match="Another keeper"):
            Keeper(world.config())
    finally:
        first.close()
    Keeper(world.config()).close()


def test_two_keepers__two_journals__apply_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = Keeper(world.config(journal=str(world.folder / "twin.sqlite")))
    keeper, real = world.keeper(), Journal.plan

    def twin_first(self: Journal, *arguments: Any, **options: Any) -> Intent:
        monkeypatch.setattr(Journal, "plan", real)
        assert twin.cycle(live=True).outcome == "mined"
        return real(self, *arguments, **options)

    monkeypatch.setattr(Journal, "plan", twin_first)
    try:
        assert keeper.cycle(live=True).outcome == "superseded"
        assert len(world.rebalances()) == 1
        assert keeper.cycle(live=True).outcome == twin.cycle(live=True).outcome == "no-trade"
    finally:
        twin.close()


def test_two_keepers__the_first_loses_its_lock_in_mid_cycle__apply_once(
    world: World, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, real = Keeper(world.config(journal=postgresql_url)), Journal.record_signed

    def taken_over(self: Journal, *arguments: Any) -> Intent:
        monkeypatch.setattr(Journal, "record_signed", real)
        kill_sessions_with_locks(postgresql_url)
        assert world.keeper(journal=postgresql_url).cycle(live=True).outcome == "mined"
        return real(self, *arguments)

    monkeypatch.setattr(Journal, "record_signed", taken_over)
    try:
        with pytest.raises(JournalHeldError, match="taken the journal over"):
            first.cycle(live=True)
    finally:
        first.close()
    assert_applied_once(world, world.keepers[-1])


def _cycled(keeper: Keeper) -> Keeper:
    keeper.cycle(live=True)
    return keeper
