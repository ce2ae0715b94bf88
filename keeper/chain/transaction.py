"""EIP-1559 transactions: fees within a ceiling, replacement by rule, delivery that may be repeated.

Nonces are not counted here: the caller pins one from the chain and keeps it in the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from statistics import median
from typing import Any

from keeper.chain.rpc import Rpc
from keeper.errors import FeeTooHighError, InsufficientFundsError, RpcRejectedError, TransactionRefusedError

GWEI = 10**9
GAS_MARGIN = 1.25  # the estimate is of now; interest accrual and storage warmth shift it a little
MIN_TIP = GWEI // 100
TIP_GROWTH = 4  # times the market's tip: what the replacements of a trade offer at most
MAX_TRANSACTION_GAS = 2**24  # the most that Ethereum's protocol lets one transaction use (EIP-7825)


@dataclass(frozen=True)
class Fees:
    """The offer per unit of gas, in wei."""

    max_fee: int
    tip: int


@dataclass(frozen=True)
class Market:
    """The next block's base fee and the median tip of the last ones, in wei."""

    base_fee: int
    tip: int

    @property
    def price(self) -> int:
        """Wei per unit of gas, now."""
        return self.base_fee + self.tip

    def takes(self, fees: Fees) -> bool:
        """Return whether an offer pays for the next block."""
        return fees.max_fee >= self.price and fees.tip >= self.tip


@dataclass(frozen=True)
class FeeRules:
    """The operator's ceiling, and the percentage by which a replacement exceeds what it replaces.

    A trade offers at most what leaves room under the ceiling for one replacement: the no-op that takes it back.
    """

    ceiling: int
    bump_percent: float = 15.0

    @property
    def reach(self) -> int:
        """The most that a trade offers, in wei."""
        return self.ceiling * 10_000 // self._factor

    def market(self, rpc: Rpc) -> Market:
        """Ask the node for the market."""
        base_fee, tips = rpc.fee_history()
        return Market(base_fee, max(MIN_TIP, int(median(tips)) if tips else 0))

    def fresh(self, market: Market) -> Fees:
        """Return fees for the next blocks: the market's tip, and room for the base fee to double.

        Raises
        ------
        FeeTooHighError
            When the market exceeds what a trade may offer already.
        """
        if market.price > self.reach:
            raise FeeTooHighError(
                f"Gas costs {market.price / GWEI:.2f} gwei now, more than {self.reach / GWEI:.4g}: max_fee_gwei = "
                f"{self.ceiling / GWEI:g}, less the room for a replacement. Waiting for it to fall; raise max_fee_gwei "
                "if this price is acceptable."
            )
        return Fees(min(2 * market.base_fee + market.tip, self.reach), market.tip)

    def replacement(self, pending: Fees, market: Market, *, last: bool = False) -> Fees:
        """Return fees that nodes accept in place of what is pending: both raised by the rule, or more for the market.

        Parameters
        ----------
        last
            Whether it is the no-op, which may go up to the ceiling and offer any tip.

        Raises
        ------
        FeeTooHighError
            When ceiling or market leave no room for a valid replacement.
        """
        most = self.ceiling if last else self.reach
        asked = min(2 * market.base_fee + market.tip, most)
        fees = Fees(max(asked, self._bumped(pending.max_fee)), max(market.tip, self._bumped(pending.tip)))
        if fees.max_fee > most:
            raise FeeTooHighError(
                f"Replacing the pending transaction takes {fees.max_fee / GWEI:.2f} gwei, more than {most / GWEI:.4g} "
                f"(max_fee_gwei = {self.ceiling / GWEI:g}). It stays as it is; raise max_fee_gwei to speed it up."
            )
        if fees.tip > TIP_GROWTH * market.tip and not last:
            raise FeeTooHighError(
                f"Replacing the pending transaction takes a tip of {fees.tip / GWEI:.2f} gwei, more than {TIP_GROWTH} "
                f"times what others pay. It stays as it is: its price is not what keeps it from being mined."
            )
        return Fees(max(fees.max_fee, fees.tip), fees.tip)

    @property
    def _factor(self) -> int:
        return 10_000 + round(100 * self.bump_percent)  # in hundredths of a percent

    def _bumped(self, wei: int) -> int:
        return -(-wei * self._factor // 10_000)  # rounded up: a wei too little and the node refuses


def build(*, chain_id: int, to: str, data: bytes, nonce: int, gas: int, fees: Fees) -> dict[str, Any]:
    """Return an unsigned type-2 transaction."""
    return {
        "type": 2,
        "chainId": chain_id,
        "to": to,
        "data": data,
        "value": 0,
        "nonce": nonce,
        "gas": gas,
        "maxFeePerGas": fees.max_fee,
        "maxPriorityFeePerGas": fees.tip,
    }


def gas_limit(rpc: Rpc, *, to: str, data: bytes, sender: str, most: int) -> int:
    """Return the estimate with a margin, at most `most`; raises `CallRevertedError` where the call would revert now."""
    return min(int(rpc.estimate_gas(to, data, sender, most) * GAS_MARGIN), most)


def check_funds(rpc: Rpc, sender: str, gas: int, fees: Fees) -> None:
    """Raise `InsufficientFundsError` unless the sender can pay for the gas at the highest price offered."""
    balance, need = rpc.balance(sender), gas * fees.max_fee
    if balance < need:
        raise InsufficientFundsError(
            f"{sender} holds {balance / 1e18:.6f} of the native coin but may need {need / 1e18:.6f} for gas. Top it up."
        )


class Delivery(Enum):
    """A node's answer to a signed transaction."""

    ACCEPTED = auto()
    """It is in the node's pool, now or already before."""
    NONCE_USED = auto()
    """A transaction with this nonce is mined: look for receipts."""
    OUTBID = auto()
    """The offer is too low, for the pool or for the next block: replace it."""


# The words of the clients: geth, Anvil and Reth, Nethermind, Erigon, Besu.
_ACCEPTED = ("already known", "known transaction", "already imported", "alreadyknown", "already in mempool")
_NONCE_USED = ("nonce too low", "nonce is too low", "old nonce", "oldnonce")
_OUTBID = (
    "underpriced",
    "less than block base fee",
    "feetoolow",
    "fee too low",
    "gas price is too low",
    "below base fee",
)


def deliver(rpc: Rpc, raw: bytes) -> Delivery:
    """Hand a signed transaction to the node; may be repeated, since the same bytes are the same transaction.

    Raises
    ------
    RpcUnavailableError
        When no answer came back; the transaction may or may not have arrived.
    TransactionRefusedError
        When the node refuses it.
    """
    try:
        rpc.send_raw(raw)
    except RpcRejectedError as error:
        said = error.reason.lower()
        for words, outcome in (
            (_ACCEPTED, Delivery.ACCEPTED),
            (_NONCE_USED, Delivery.NONCE_USED),
            (_OUTBID, Delivery.OUTBID),
        ):
            if any(word in said for word in words):
                return outcome
        raise TransactionRefusedError(
            f"The node refused the signed transaction: {error.reason}. It stays in the journal and is offered again "
            "next cycle, until its deadline."
        ) from error
    return Delivery.ACCEPTED
