"""Sending transactions: one small interface over unlocked Anvil accounts, local keys and (in `deploy`) Ape accounts."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from eth_account.signers.local import LocalAccount
from eth_typing import BlockNumber, ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractCustomError, ContractLogicError, Web3Exception
from web3.types import TxParams, TxReceipt, Wei

from scripts.protocols.artifacts import Artifact
from scripts.protocols.errors import TransactionFailedError

GAS_MARGIN_PERCENT = 130  # of the estimate: interest that accrues until the next block makes a call dearer
RECEIPT_TIMEOUT = 300.0  # seconds; testnets take a few blocks
_NOTHING_TO_ASK: TxParams = {"gas": 0, "gasPrice": Wei(0), "chainId": 0, "value": Wei(0)}  # encodes without the node


class Sender(Protocol):
    """Somebody who can send transactions."""

    @property
    def address(self) -> ChecksumAddress:
        """The account that pays."""

    def send(self, tx: TxParams) -> TxReceipt:
        """Send `tx` (`to`, `data`, `value`, `gas`) and return the receipt once it is mined."""


class Unlocked:
    """An account whose key the node holds: every Anvil account, and impersonated ones."""

    def __init__(self, w3: Web3, address: str) -> None:
        self._w3 = w3
        self._address = Web3.to_checksum_address(address)

    @property
    def address(self) -> ChecksumAddress:
        """The account that pays."""
        return self._address

    def send(self, tx: TxParams) -> TxReceipt:
        """Send `tx` and wait for its receipt; Anvil mines it at once."""
        digest = self._w3.eth.send_transaction({**tx, "from": self._address})
        return self._w3.eth.wait_for_transaction_receipt(digest, RECEIPT_TIMEOUT, poll_latency=0.005)


class LocalKey:
    """An account whose key is in this process. It pays EIP-1559 fees that web3 estimates."""

    def __init__(self, w3: Web3, account: LocalAccount) -> None:
        self._w3 = w3
        self._account = account
        self._chain_id = w3.eth.chain_id

    @property
    def address(self) -> ChecksumAddress:
        """The account that pays."""
        return Web3.to_checksum_address(self._account.address)

    def send(self, tx: TxParams) -> TxReceipt:
        """Sign and send `tx` and wait for its receipt."""
        eth = self._w3.eth
        tip = eth.max_priority_fee
        filled: TxParams = {
            "from": self.address,
            "chainId": self._chain_id,
            "nonce": eth.get_transaction_count(self.address, "pending"),
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": Wei(tip + 2 * eth.get_block("latest").get("baseFeePerGas", 0)),
            "value": Wei(0),
            **tx,
        }
        signed = self._account.sign_transaction(cast(dict[str, Any], filled))
        digest = eth.send_raw_transaction(signed.raw_transaction)
        return eth.wait_for_transaction_receipt(digest, RECEIPT_TIMEOUT, poll_latency=0.05)


class Chain:
    """A `Web3` with a sender: deploys artifacts and calls functions, and raises when either reverts."""

    def __init__(self, w3: Web3, sender: Sender) -> None:
        self.w3 = w3
        self.sender = sender

    def at(self, address: str, abi: Artifact | Sequence[Mapping[str, Any]]) -> Contract:
        """Return the contract at `address`."""
        return contract_at(self.w3, address, abi)

    def deploy(
        self, artifact: Artifact, *args: Any, libraries: Mapping[str, ChecksumAddress] | None = None
    ) -> Contract:
        """Deploy `artifact` with constructor arguments `args`; raises `TransactionFailedError` if it reverts."""
        factory = self.w3.eth.contract(abi=list(artifact.abi), bytecode=artifact.linked(libraries or {}))
        data = factory.constructor(*args).data_in_transaction
        receipt = self._send({"data": data}, f"deploying {artifact.name}", artifact.abi)
        address = receipt.get("contractAddress")
        if address is None:
            raise TransactionFailedError(f"Deploying {artifact.name} gave no address; look at the node's log.")
        return self.at(address, artifact)

    def send(
        self, call: ContractFunction, *, sender: Sender | None = None, value: int = 0, gas: int | None = None
    ) -> TxReceipt:
        """Send `call` in a transaction; a fixed `gas` saves the estimate's round trip."""
        data = call.build_transaction(_NOTHING_TO_ASK)["data"]
        tx: TxParams = {"to": call.address, "data": data}
        if value:
            tx["value"] = Wei(value)
        if gas is not None:
            tx["gas"] = gas
        return self._send(tx, call.fn_name, call.contract_abi, sender)

    def _send(
        self, tx: TxParams, what: str, abi: Sequence[Mapping[str, Any]], sender: Sender | None = None
    ) -> TxReceipt:
        sender = sender or self.sender
        try:
            if "gas" not in tx:
                tx["gas"] = self.w3.eth.estimate_gas({**tx, "from": sender.address}) * GAS_MARGIN_PERCENT // 100
            receipt = sender.send(tx)
        except (Web3Exception, ValueError) as error:
            raise TransactionFailedError(f"{what} by {sender.address} failed: {describe_revert(error, abi)}") from error
        if receipt["status"] != 1:
            reason = self._why_reverted({**tx, "from": sender.address}, receipt, abi)
            raise TransactionFailedError(f"{what} by {sender.address} reverted: {reason}.")
        return receipt

    def _why_reverted(self, tx: TxParams, receipt: TxReceipt, abi: Sequence[Mapping[str, Any]]) -> str:
        """Ask the node again, on the block before."""
        try:
            self.w3.eth.call(tx, BlockNumber(receipt["blockNumber"] - 1))
        except Web3Exception as error:
            return describe_revert(error, abi)
        return f"no reason given, see {receipt['transactionHash'].to_0x_hex()}"


def contract_at(w3: Web3, address: str, abi: Artifact | Sequence[Mapping[str, Any]]) -> Contract:
    """Return the contract at `address`. Structs that it returns are named tuples.

    Where a function returns several values without names, web3 then gives the last one only.
    """
    entries = list(abi.abi if isinstance(abi, Artifact) else abi)
    return w3.eth.contract(address=Web3.to_checksum_address(address), abi=entries, decode_tuples=True)


def describe_revert(error: Exception, abi: Sequence[Mapping[str, Any]]) -> str:
    """Return the revert's reason in words: custom errors by name with their arguments, where `abi` knows them."""
    data = getattr(error, "data", None)
    if isinstance(error, ContractCustomError | ContractLogicError) and isinstance(data, str) and len(data) >= 10:
        named = decode_custom_error(data, abi)
        if named is not None:
            return named
    return str(error.args[0] if error.args else error)


def decode_custom_error(data: str, abi: Sequence[Mapping[str, Any]]) -> str | None:
    """Return `Name(argument, ...)` for revert data of a custom error that `abi` declares, else None."""
    codec = Web3().codec
    for entry in abi:
        if entry.get("type") != "error":
            continue
        types = [parameter["type"] for parameter in entry["inputs"]]
        if Web3.keccak(text=f"{entry['name']}({','.join(types)})")[:4] == bytes.fromhex(data[2:10]):
            values = codec.decode(types, bytes.fromhex(data[10:]))
            return f"{entry['name']}({', '.join(str(value) for value in values)})"
    return None
