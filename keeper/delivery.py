"""Delivery of an intent: sign, send, wait, replace, take back, and after a crash find out what happened.

`Settlement` reads the chain and closes what the chain has decided; it never sends. `Courier` sends. Both may be
repeated at any time, in this process or the next: the raw bytes are in the journal before they leave, all attempts of
an intent share one nonce, and the vault applies an epoch once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from keeper.chain.rpc import UNREADABLE, Block, CallRevertedError, Receipt, Rpc
from keeper.chain.signer import Signer
from keeper.chain.transaction import Delivery, FeeRules, Fees, build, check_funds, deliver, gas_limit
from keeper.errors import FeeTooHighError, ForeignTransactionError, OddAnswerError, StaleBlockError, WrongKeyError
from keeper.journal import Attempt, Intent, Journal, Kind, State
from keeper.snapshot import check_age
from keeper.watch import Watch

FIRST_POLL, SLOWEST_POLL = 0.02, 2.0
LIKELY = 8  # attempts at a nonce, of the newest, that are looked for in the pool whatever the node says of it
NO_OP_SECONDS = 600  # after which a cancellation that is not mined is made anew

log = structlog.get_logger("keeper")


@dataclass(frozen=True)
class Settlement:
    """Brings the journal's state of an intent in line with the chain.

    Attributes
    ----------
    clock, max_block_age
        A newest block whose time is further than this from the clock's (seconds) tells nothing: its node lags.
    finality
        The tag of the block up to which no reorg reaches, or how many blocks that is behind the newest.
    """

    rpc: Rpc
    journal: Journal
    vault: str
    clock: Callable[[], float]
    max_block_age: float
    finality: str | int

    def settle(self, intent: Intent) -> Intent:
        """Return the intent as the chain has it.

        The epoch closes a heartbeat too: a rebalance since then was a sign of life itself.

        Raises
        ------
        StaleBlockError
            When the node lags: nothing may be concluded from what it does not know yet.
        """
        block = self._newest()
        if intent.block_number is not None and self._is_final(intent.block_number, block):
            return intent
        # Nonce and epoch before the receipts: a transaction that they count then has its receipt already.
        nonce, epoch = self.rpc.nonce(intent.sender, block), self._epoch(block)
        receipt = self.receipt(intent)
        if receipt is not None:
            return self._by_receipt(intent, receipt)
        if intent.block_number is not None and block.number < intent.block_number:
            raise StaleBlockError(
                f"The node is at block {block.number}, before block {intent.block_number}, which has the last "
                "transaction. Trying again later; if it persists, use another node."
            )
        if intent.state in (State.MINED, State.REVERTED):
            if nonce > intent.nonce:  # used, whoever has the receipt
                return intent
            log.warning("reorg: the block that held the transaction is gone", intent=intent.id)
            intent = self.journal.settle(intent, State.SENT, "reopened: a reorg took its block away")
        return self._unmined(intent, block, nonce, epoch) if intent.state.is_open else intent

    def receipt(self, intent: Intent) -> Receipt | None:
        """Return the receipt of whichever attempt was mined."""
        for attempt in reversed(intent.attempts):
            receipt = self.rpc.receipt(attempt.transaction_hash)
            if receipt is not None:
                return receipt
        return None

    def _is_final(self, number: int, newest: Block) -> bool:
        if isinstance(self.finality, int):
            return newest.number - number >= self.finality
        final = self.rpc.final(self.finality)
        return final is not None and number <= final

    def _unmined(self, intent: Intent, block: Block, nonce: int, epoch: int) -> Intent:
        """Close an open intent that can no longer be mined, or need not be."""
        if not intent.attempts:
            why = "nothing was signed for it; the next cycle decides afresh"
            return self.journal.settle(intent, State.SUPERSEDED, why)
        if nonce > intent.nonce:
            why = f"its nonce {intent.nonce} is used, and the node has no receipt of any of its transactions"
            return self.journal.settle(intent, State.SUPERSEDED, why)
        if epoch != intent.epoch and intent.kind is not Kind.NO_OP:
            why = f"the vault's epoch is {epoch}, it was for {intent.epoch}"
            return self.journal.settle(intent, State.SUPERSEDED, why)
        if block.timestamp > intent.deadline:
            late = "the vault refuses it" if intent.kind is Kind.REBALANCE else "it does no harm"
            why = f"not mined before its deadline; should it be mined yet, {late}"
            return self.journal.settle(intent, State.EXPIRED, why)
        return intent

    def _newest(self) -> Block:
        block = self.rpc.block("latest")
        check_age(block, self.clock(), self.max_block_age)
        return block

    def _epoch(self, block: Block) -> int:
        try:
            return int(self.rpc.read("Vault", self.vault, "epoch", block=block))
        except UNREADABLE as error:
            raise OddAnswerError(
                f"The node does not tell the epoch of the vault {self.vault} ({error}). Trying again later; if it "
                "persists, use another node."
            ) from error

    def _by_receipt(self, intent: Intent, receipt: Receipt) -> Intent:
        state = State.MINED if receipt.succeeded else State.REVERTED
        known = (intent.state, intent.transaction_hash, intent.block_number)
        if known == (state, receipt.transaction_hash, receipt.block_number):
            return intent
        applied = "its nonce is used up" if intent.kind is Kind.NO_OP else "applied by the vault"
        return self.journal.settle(
            intent,
            state,
            applied if receipt.succeeded else self._why_reverted(intent, receipt),
            transaction_hash=receipt.transaction_hash,
            block_number=receipt.block_number,
            gas_used=receipt.gas_used,
            gas_price=receipt.effective_gas_price,
        )

    def _why_reverted(self, intent: Intent, receipt: Receipt) -> str:
        """Name the vault's error by running the call again where it reverted."""
        block = self.rpc.block(receipt.block_number)
        try:
            self.rpc.call(self.vault, intent.call_data, block, sender=intent.sender, gas=intent.gas)
        except CallRevertedError as error:
            return f"reverted on chain: {error.revert}"
        out_of_gas = receipt.gas_used >= intent.gas
        return "reverted on chain: out of gas" if out_of_gas else "reverted on chain for a reason that has passed"


@dataclass(frozen=True)
class Courier:
    """Carries open intents to the chain, and takes back what is not wanted any more.

    Attributes
    ----------
    receipt_timeout
        Seconds to wait for a receipt before the fees are raised.
    replacements
        Number of times that fees are raised within one cycle; after that the intent stays open for the next.
    """

    settlement: Settlement
    signer: Signer
    chain_id: int
    fee_rules: FeeRules
    receipt_timeout: float
    watch: Watch
    replacements: int = 3

    @property
    def rpc(self) -> Rpc:
        """The node."""
        return self.settlement.rpc

    @property
    def journal(self) -> Journal:
        """The journal."""
        return self.settlement.journal

    def carry(self, intent: Intent) -> Intent:
        """Sign, send and wait; returns the intent closed, or still open where it was not mined.

        Raises
        ------
        ForeignTransactionError
            When a transaction that the journal does not know has the nonce.
        WrongKeyError
            When the intent is another key's.
        """
        if self.signer.address != intent.sender:
            raise WrongKeyError(
                f"A transaction of {intent.sender} is still under way, but the key is that of {self.signer.address}. "
                "Configure the former keystore until it is settled."
            )
        outbid = False
        for turn in range(self.replacements + 1):
            if not intent.attempts:
                intent = self._sign(intent, self.fees(intent.nonce, intent.kind))
            else:
                refusal = self._refusal(intent)
                if refusal is not None:
                    return self._take_back(intent, refusal)
                if turn:
                    try:
                        intent = self._improve(intent, outbid)
                    except FeeTooHighError as error:
                        log.warning(str(error), intent=intent.id)
                        break
            latest = intent.attempts[-1]
            delivery = deliver(self.rpc, latest.raw)
            log.info("sent", intent=intent.id, transaction=latest.transaction_hash, answer=delivery.name.lower())
            outbid = delivery is Delivery.OUTBID
            if delivery is Delivery.ACCEPTED:
                intent = self.journal.record_sent(intent, latest.transaction_hash)
                intent = self._wait(intent)
            elif delivery is Delivery.NONCE_USED:
                return self.settlement.settle(intent)
            if not intent.state.is_open:
                break
        return intent

    def clear(self, intent: Intent) -> Intent | None:
        """Take a closed intent's transaction out of the node's pool, by a no-op at its nonce.

        Returns the no-op's intent; `None` where nothing lingers, or where it cannot be replaced now.
        """
        if intent.state not in (State.EXPIRED, State.SUPERSEDED) or intent.sender != self.signer.address:
            return None
        block = self.rpc.block("latest")
        if self.rpc.nonce(intent.sender, block) != intent.nonce or self._pending(intent.nonce) is None:
            return None
        gas = gas_limit(self.rpc, to=intent.sender, data=b"", sender=intent.sender, most=block.gas_limit)
        try:
            check_funds(self.rpc, intent.sender, gas, self.fees(intent.nonce, Kind.NO_OP))
        except FeeTooHighError as error:
            log.warning(str(error), intent=intent.id)
            return None
        no_op = self.journal.plan(
            intent.cycle_id,
            kind=Kind.NO_OP,
            sender=intent.sender,
            nonce=intent.nonce,
            epoch=intent.epoch,
            deadline=block.timestamp + NO_OP_SECONDS,
            gas=gas,
            call_data=b"",
            reason=f"takes the place of what is left of intent {intent.id}: {intent.reason}",
        )
        log.info("cancelling", intent=intent.id, by=no_op.id, nonce=intent.nonce)
        return self.carry(no_op)

    def fees(self, nonce: int, kind: Kind = Kind.REBALANCE) -> Fees:
        """Return the fees to offer now: more than those of what is pending at this nonce, and fresh ones otherwise.

        Raises
        ------
        FeeTooHighError
            When the market or a valid replacement asks more than the rules allow.
        ForeignTransactionError
            When something is pending that the journal does not know.
        """
        market, pending = self.fee_rules.market(self.rpc), self._pending(nonce)
        if pending is not None:
            return self.fee_rules.replacement(Fees(pending.max_fee, pending.tip), market, last=kind is Kind.NO_OP)
        if self._pool_has(nonce) and self.rpc.nonce(self.signer.address) <= nonce:
            raise ForeignTransactionError(
                f"A transaction that the journal does not know is pending at nonce {nonce} of {self.signer.address}. "
                "It is not outbid; nothing is sent until it is mined or dropped. If it is not yours, change the "
                "keeper's key; if the journal is a new one, restore the old one, or wait."
            )
        return self.fee_rules.fresh(market)

    def _pending(self, nonce: int) -> Attempt | None:
        """Return the last transaction signed for a nonce that the node still has: what is forgotten binds nobody."""
        for count, attempt in enumerate(self.journal.attempts_at(self.signer.address, nonce)):
            if count == LIKELY and not self._pool_has(nonce):
                return None
            if self.rpc.knows(attempt.transaction_hash):
                return attempt
        return None

    def _pool_has(self, nonce: int) -> bool:
        return self.rpc.pending_nonce(self.signer.address) > nonce

    def _refusal(self, intent: Intent) -> str | None:
        """Return why the vault would refuse the intent now: what would revert is neither sent again nor raised."""
        if intent.kind is Kind.NO_OP:
            return None
        vault, block = self.settlement.vault, self.rpc.block("latest")
        try:
            self.rpc.call(vault, intent.call_data, block, intent.sender, gas=intent.gas)
        except CallRevertedError as error:
            return str(error.revert)
        return None

    def _take_back(self, intent: Intent, refusal: str) -> Intent:
        intent = self.settlement.settle(intent)  # it may have been mined meanwhile, and be refused for that
        if intent.state.is_open:
            why = f"taken back: the vault would refuse it now ({refusal})"
            intent = self.journal.settle(intent, State.SUPERSEDED, why)
            self.clear(intent)
        return intent

    def _improve(self, intent: Intent, outbid: bool) -> Intent:
        """Sign a better offer; where the node has forgotten a last one that is good enough, that is sent again.

        A node that calls an offer too low, and knows nothing at its nonce, hides what it has in its pool.
        """
        fees, last = self.fees(intent.nonce, intent.kind), intent.attempts[-1]
        if self._pending(intent.nonce) is None:
            market, offered = self.fee_rules.market(self.rpc), Fees(last.max_fee, last.tip)
            if outbid:
                fees = self.fee_rules.replacement(offered, market, last=intent.kind is Kind.NO_OP)
            elif market.takes(offered):
                return intent
        return self._sign(intent, fees)

    def _sign(self, intent: Intent, fees: Fees) -> Intent:
        # The same bytes twice would be one transaction of two intents.
        taken = {(each.max_fee, each.tip) for each in self.journal.attempts_at(intent.sender, intent.nonce)}
        while (fees.max_fee, fees.tip) in taken:
            fees = Fees(fees.max_fee + 1, fees.tip)
        check_funds(self.rpc, intent.sender, intent.gas, fees)
        transaction = build(
            chain_id=self.chain_id,
            to=intent.sender if intent.kind is Kind.NO_OP else self.settlement.vault,
            data=intent.call_data,
            nonce=intent.nonce,
            gas=intent.gas,
            fees=fees,
        )
        self.watch.check()
        raw, transaction_hash = self.signer.sign(transaction)
        return self.journal.record_signed(intent, transaction_hash, raw, fees.max_fee, fees.tip)

    def _wait(self, intent: Intent) -> Intent:
        """Poll until the chain has decided or the time of one attempt is over."""
        waited, pause = 0.0, FIRST_POLL
        while True:
            if self.settlement.receipt(intent) is not None or waited >= self.receipt_timeout:
                return self.settlement.settle(intent)
            self.watch.pause(pause)
            waited, pause = waited + pause, min(pause * 1.5, SLOWEST_POLL)
