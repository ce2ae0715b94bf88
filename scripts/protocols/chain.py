"""Sending transactions: one small interface over unlocked Anvil accounts and (in `deploy`) Ape accounts."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from eth_typing import BlockNumber, ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import Web3Exception
from web3.types import TxParams, TxReceipt, Wei

from keeper.chain.abi import decode_revert
from keeper.chain.rpc import Rpc
from keeper.chain.transaction import MAX_TRANSACTION_GAS
from scripts.errors import TransactionFailedError
from scripts.protocols.artifacts import Artifact

GAS_MARGIN_PERCENT = 130  # of the estimate: interest that accrues until the next block makes a call dearer
RECEIPT_TIMEOUT = 300.0  # seconds; testnets take a few blocks
_MINT = "mint(address,uint256)"  # two functions of Aave's test token have this name
_NOTHING_TO_ASK: TxParams = {"gas": 0, "gasPrice": Wei(0), "chainId": 0, "value": Wei(0)}  # encodes without the node


class Sender(Protocol):
    """An account that can send transactions."""

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

    def approve(self, token: Contract, spender: str, owner: Sender) -> None:
        """Let `spender` take any amount of `owner`'s `token`."""
        self.send(token.functions.approve(spender, 2**256 - 1), sender=owner)

    def mint(self, token: Contract, to: str, amount: int) -> None:
        """Make base units of a test token that the chain's sender may mint."""
        self.send(token.get_function_by_signature(_MINT)(to, amount))

    def _send(
        self, tx: TxParams, what: str, abi: Sequence[Mapping[str, Any]], sender: Sender | None = None
    ) -> TxReceipt:
        sender = sender or self.sender
        try:
            if "gas" not in tx:
                estimate = self.w3.eth.estimate_gas({**tx, "from": sender.address})
                tx["gas"] = max(estimate, min(estimate * GAS_MARGIN_PERCENT // 100, MAX_TRANSACTION_GAS))
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
    """Return the reason in a web3 error: a revert by name, with the errors of `abi` besides our contracts'."""
    data = getattr(error, "data", None)
    if isinstance(data, str) and len(data) >= 10:
        return str(decode_revert(bytes.fromhex(data.removeprefix("0x")), abi))
    return str(error.args[0] if error.args else error)


def node_of(w3: Web3) -> Rpc:
    """Return the keeper's connection to the node behind `w3`."""
    return Rpc(str(getattr(w3.provider, "endpoint_uri", "")), shown_as="the node")


def unit_of(token: Contract) -> int:
    """Return the base units in a whole token."""
    return int(10 ** token.functions.decimals().call())
