"""Delivery of an intent: sign, send, wait, replace, and after a crash find out what happened.

`settle` reads the chain and closes what the chain has decided; it never sends. `Courier.carry` sends. Both may be
repeated at any time, in this process or the next: the raw bytes are in the journal before they leave, all attempts of
an intent share one nonce, and the vault applies an epoch once.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from keeper.chain.rpc import UNREADABLE, CallRevertedError, Receipt, Rpc
from keeper.chain.signer import Signer
from keeper.chain.transaction import Delivery, FeeRules, Fees, build, check_funds, deliver
from keeper.errors import FeeTooHighError, OddAnswerError, WrongKeyError
from keeper.journal import Intent, Journal, Kind, State
from keeper.watch import Watch

FINAL_DEPTH = 64  # blocks after which a mined intent is not looked at again
FIRST_POLL, SLOWEST_POLL = 0.02, 2.0

log = structlog.get_logger("keeper")


def settle(rpc: Rpc, journal: Journal, intent: Intent, vault: str) -> Intent:
    """Bring the journal's state of an intent in line with the chain.

    Nonce and epoch are read before the receipts: a transaction that they count then has its receipt already. The epoch
    closes a heartbeat too: a rebalance since then was a sign of life itself.
    """
    block = rpc.block("latest")
    final = intent.block_number is not None and block.number - intent.block_number > FINAL_DEPTH
    if intent.state is State.MINED and final:
        return intent
    nonce, epoch = rpc.nonce(intent.sender), _epoch(rpc, vault)
    receipt = _receipt(rpc, intent)
    if receipt is not None:
        return _settle_by_receipt(rpc, journal, intent, vault, receipt)
    if intent.state in (State.MINED, State.REVERTED):
        log.warning("reorg: the block that held the transaction is gone", intent=intent.id)
        intent = journal.settle(intent, State.SENT, "reopened: a reorg took its block away")
    if not intent.state.is_open:
        return intent
    if not intent.attempts:
        return journal.settle(intent, State.SUPERSEDED, "nothing was signed for it; the next cycle decides afresh")
    if nonce > intent.nonce:
        return journal.settle(intent, State.SUPERSEDED, f"another transaction used its nonce {intent.nonce}")
    if epoch != intent.epoch:
        return journal.settle(intent, State.SUPERSEDED, f"the vault's epoch is {epoch}, it was for {intent.epoch}")
    if block.timestamp > intent.deadline:
        late = "the vault refuses it" if intent.kind is Kind.REBALANCE else "it does no harm"
        return journal.settle(intent, State.EXPIRED, f"not mined before its deadline; should it be mined yet, {late}")
    return intent


@dataclass(frozen=True)
class Courier:
    """Carries open intents to the chain.

    Attributes
    ----------
    receipt_timeout
        Seconds to wait for a receipt before the fees are raised.
    replacements
        Number of times that fees are raised within one cycle; after that the intent stays open for the next.
    """

    rpc: Rpc
    journal: Journal
    signer: Signer
    chain_id: int
    vault: str
    fee_rules: FeeRules
    receipt_timeout: float
    watch: Watch
    replacements: int = 3

    def carry(self, intent: Intent) -> Intent:
        """Sign, send and wait; returns the intent closed, or still open where it was not mined."""
        if not intent.attempts:
            intent = self._sign(intent)
        for remaining in range(self.replacements, -1, -1):
            latest = intent.attempts[-1]
            delivery = deliver(self.rpc, latest.raw)
            log.info("sent", intent=intent.id, transaction=latest.transaction_hash, answer=delivery.name.lower())
            if delivery is Delivery.ACCEPTED:
                intent = self.journal.record_sent(intent, latest.transaction_hash)
                intent = self._wait(intent)
            elif delivery is Delivery.NONCE_USED:
                return settle(self.rpc, self.journal, intent, self.vault)
            if not intent.state.is_open or not remaining:
                break
            try:
                intent = self._sign(intent)
            except FeeTooHighError as error:
                log.warning(str(error), intent=intent.id)
                break
        return intent

    def fees(self, nonce: int) -> Fees:
        """Return the fees to offer now: more than any signed for this nonce before, which may still be pending."""
        fresh = self.fee_rules.fresh(self.rpc)
        before = self.journal.highest_fees(self.signer.address, nonce)
        return fresh if before is None else self.fee_rules.replacement(Fees(*before), fresh)

    def _sign(self, intent: Intent) -> Intent:
        if self.signer.address != intent.sender:
            raise WrongKeyError(
                f"A transaction of {intent.sender} is still under way, but the key is that of {self.signer.address}. "
                "Configure the former keystore until it is settled."
            )
        fees = self.fees(intent.nonce)
        check_funds(self.rpc, intent.sender, intent.gas, fees)
        transaction = build(
            chain_id=self.chain_id, to=self.vault, data=intent.call_data, nonce=intent.nonce, gas=intent.gas, fees=fees
        )
        self.watch.check()
        raw, transaction_hash = self.signer.sign(transaction)
        return self.journal.record_signed(intent, transaction_hash, raw, fees.max_fee, fees.tip)

    def _wait(self, intent: Intent) -> Intent:
        """Poll until the chain has decided or the time of one attempt is over."""
        waited, pause = 0.0, FIRST_POLL
        while True:
            if _receipt(self.rpc, intent) is not None or waited >= self.receipt_timeout:
                return settle(self.rpc, self.journal, intent, self.vault)
            self.watch.pause(pause)
            waited, pause = waited + pause, min(pause * 1.5, SLOWEST_POLL)


def _epoch(rpc: Rpc, vault: str) -> int:
    try:
        return int(rpc.read("Vault", vault, "epoch"))
    except UNREADABLE as error:
        raise OddAnswerError(
            f"The node does not tell the epoch of the vault {vault} ({error}). Trying again later; if it persists, use "
            "another node."
        ) from error


def _receipt(rpc: Rpc, intent: Intent) -> Receipt | None:
    for attempt in reversed(intent.attempts):
        receipt = rpc.receipt(attempt.transaction_hash)
        if receipt is not None:
            return receipt
    return None


def _settle_by_receipt(rpc: Rpc, journal: Journal, intent: Intent, vault: str, receipt: Receipt) -> Intent:
    state = State.MINED if receipt.succeeded else State.REVERTED
    known = (intent.state, intent.transaction_hash, intent.block_number)
    if known == (state, receipt.transaction_hash, receipt.block_number):
        return intent
    reason = "applied by the vault" if receipt.succeeded else _why_reverted(rpc, intent, vault, receipt)
    return journal.settle(
        intent,
        state,
        reason,
        transaction_hash=receipt.transaction_hash,
        block_number=receipt.block_number,
        gas_used=receipt.gas_used,
        gas_price=receipt.effective_gas_price,
    )


def _why_reverted(rpc: Rpc, intent: Intent, vault: str, receipt: Receipt) -> str:
    """Name the vault's error by running the call again where it reverted."""
    try:
        rpc.call(vault, intent.call_data, rpc.block(receipt.block_number), sender=intent.sender, gas=intent.gas)
    except CallRevertedError as error:
        return f"reverted on chain: {error.revert}"
    out_of_gas = receipt.gas_used >= intent.gas
    return "reverted on chain: out of gas" if out_of_gas else "reverted on chain for a reason that has passed"
