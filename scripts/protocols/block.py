"""Many transactions in one block of an Anvil, at a time, a base fee and a fullness of choice."""

from collections.abc import Sequence
from dataclasses import dataclass

from hexbytes import HexBytes
from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

from keeper.chain.abi import decode_revert
from keeper.chain.transaction import GWEI, MAX_TRANSACTION_GAS
from scripts.errors import TransactionFailedError
from scripts.protocols.anvil import rpc
from scripts.protocols.chain import Sender

BLOCK_GAS = 30_000_000
"""Anvil's own limit of a block."""
FULLEST = 0.99
LEAST_GAS = 21_000
"""Of any transaction."""
NOBODY = Web3.to_checksum_address("0x" + "fe" * 20)
"""Has a code that uses up all gas that it is given."""
_BURN = "0xfe"  # the instruction INVALID


@dataclass(frozen=True)
class Order:
    """A call to be sent by an account that the node has unlocked."""

    call: ContractFunction
    sender: Sender

    @property
    def what(self) -> str:
        """Words for messages."""
        return f"{self.call.fn_name} by {self.sender.address}"

    @property
    def transaction(self) -> dict[str, str]:
        """Sender, receiver and data."""
        data = self.call._encode_transaction_data()
        return {"from": self.sender.address, "to": self.call.address, "data": data}


def mine_together(
    w3: Web3, orders: Sequence[Order], timestamp: int, base_fee: int | None = None, fullness: float | None = None
) -> list[TxReceipt]:
    """Mine one block with these orders in their order, and return their receipts.

    For a node that mines at once, as it does again afterwards: what else is pending is dropped.

    Parameters
    ----------
    timestamp
        Of the block, seconds; later than the newest one's.
    base_fee
        Of the block, wei; as the chain has it where it is left out.
    fullness
        Gas used as a share of the block's limit, up to `FULLEST`: transactions that do nothing fill it up, from the
        sender of the first order.

    Raises
    ------
    TransactionFailedError
        When an order would revert: then nothing is mined.
    """
    used = _simulate(w3, orders, timestamp)
    gas = [each + each // 2 + 30_000 for each in used]  # what is refunded has to be there first
    if base_fee is not None:  # before anything is sent: the node compares what an order offers with it
        rpc(w3, "anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    fee = w3.eth.gas_price if base_fee is None else base_fee
    rest = 0 if fullness is None else round(min(fullness, FULLEST) * BLOCK_GAS) - sum(used)
    if rest >= LEAST_GAS:
        rpc(w3, "anvil_setCode", NOBODY, _BURN)
    rpc(w3, "evm_setAutomine", False)
    try:
        # Equal tips, so that the block keeps the order.
        price = {"maxFeePerGas": hex(2 * fee + GWEI), "maxPriorityFeePerGas": hex(0)}
        sent = [
            HexBytes(rpc(w3, "eth_sendTransaction", {**order.transaction, "gas": hex(most), **price}))
            for order, most in zip(orders, gas, strict=True)
        ]
        for burnt in _parts(rest):
            filler = {"from": orders[0].sender.address, "to": NOBODY, "gas": hex(burnt)}
            rpc(w3, "eth_sendTransaction", {**filler, **price})
        rpc(w3, "evm_setNextBlockTimestamp", timestamp)
        rpc(w3, "evm_mine")
    finally:
        rpc(w3, "anvil_dropAllTransactions")
        rpc(w3, "evm_setAutomine", True)
    found = {receipt["transactionHash"]: receipt for receipt in w3.eth.get_block_receipts("latest")}
    for digest, order in zip(sent, orders, strict=True):
        if digest not in found or found[digest]["status"] != 1:
            raise TransactionFailedError(f"{order.what} was not mined as it was tried before: {digest.to_0x_hex()}.")
    return [found[digest] for digest in sent]


def _parts(gas: int) -> list[int]:
    """Return the gas of transactions that use so much together."""
    if gas < LEAST_GAS:
        return []
    parts = -(-gas // MAX_TRANSACTION_GAS)
    return [gas // parts] * parts


def _simulate(w3: Web3, orders: Sequence[Order], timestamp: int) -> list[int]:
    """Return the gas that each order uses, one after another in the next block."""
    block = {"blockOverrides": {"time": hex(timestamp)}, "calls": [order.transaction for order in orders]}
    (made,) = rpc(w3, "eth_simulateV1", {"blockStateCalls": [block]}, "latest")
    for order, result in zip(orders, made["calls"], strict=True):
        if int(result["status"], 16) != 1:
            reason = decode_revert(bytes.fromhex(result["returnData"][2:]), order.call.contract_abi)
            raise TransactionFailedError(f"{order.what} would revert: {reason}.")
    return [int(result["gasUsed"], 16) for result in made["calls"]]
