"""JSON-RPC with the keeper's own rules: short timeouts, retries for reads only, and errors by taxonomy.

web3.py's retries are off: they include `eth_sendRawTransaction` and turn a second into seven. Here a read is tried
again on transport errors; a transaction is handed over once, because what happened to it is the journal's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import requests
import stamina
from web3 import HTTPProvider
from web3.types import RPCEndpoint

from keeper.chain.abi import Revert, decode_revert
from keeper.errors import ReorgError, RpcRejectedError, RpcUnavailableError, WrongChainError

READ_ATTEMPTS = 3
T = TypeVar("T")


class _TransportError(Exception):
    """Nothing usable came back: worth another try for a read."""


@dataclass(frozen=True)
class Block:
    """The header fields that the keeper uses."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    base_fee: int
    gas_limit: int


@dataclass(frozen=True)
class Receipt:
    """What became of a mined transaction."""

    transaction_hash: str
    succeeded: bool
    block_number: int
    block_hash: str
    gas_used: int
    effective_gas_price: int


class CallRevertedError(Exception):
    """A simulated call reverted; not a failure of the keeper, its callers turn it into a reason."""

    def __init__(self, revert: Revert) -> None:
        super().__init__(str(revert))
        self.revert = revert


class Rpc:
    """One node, for one chain.

    Parameters
    ----------
    url
        http(s) endpoint; shown in messages only as `shown_as`, since it may hold an access token.
    timeout
        Seconds for each request.
    """

    def __init__(self, url: str, timeout: float = 10.0, shown_as: str = "the RPC node") -> None:
        self._provider = HTTPProvider(url, request_kwargs={"timeout": timeout}, exception_retry_configuration=None)
        self._shown_as = shown_as

    # --- reads ---------------------------------------------------------------------------------------------------

    def check_chain(self, expected: int) -> None:
        """Raise `WrongChainError` unless the node serves the expected chain."""
        actual = int(self._read("eth_chainId"), 16)
        if actual != expected:
            raise WrongChainError(
                f"{self._shown_as} serves chain {actual}, but the configuration says chain_id = {expected}. "
                "Point rpc_url at the right network."
            )

    def block(self, identifier: int | str = "latest") -> Block:
        """Return a block's header by number, tag or hash."""
        by_hash = isinstance(identifier, str) and identifier.startswith("0x")
        method = "eth_getBlockByHash" if by_hash else "eth_getBlockByNumber"
        found = self._read(method, hex(identifier) if isinstance(identifier, int) else identifier, False)
        if found is None:
            raise ReorgError(
                f"Block {identifier} is unknown to {self._shown_as}. Nothing was sent; trying again later."
            )
        return Block(
            number=int(found["number"], 16),
            hash=found["hash"],
            parent_hash=found["parentHash"],
            timestamp=int(found["timestamp"], 16),
            base_fee=int(found.get("baseFeePerGas") or "0x0", 16),
            gas_limit=int(found["gasLimit"], 16),
        )

    def code(self, address: str) -> bytes:
        """Return a contract's code, empty where there is none."""
        return bytes.fromhex(self._read("eth_getCode", address, "latest")[2:])

    def call(self, to: str, data: bytes, block: Block | None = None, sender: str | None = None) -> bytes:
        """Run a call without sending it; pinned to a block's hash where the node allows it (EIP-1898).

        Raises
        ------
        CallRevertedError
            With the decoded revert.
        ReorgError
            When the pinned block is gone.
        """
        transaction = {"to": to, "data": "0x" + data.hex()} | ({"from": sender} if sender else {})
        if block is None:
            return self._call(transaction, "latest")
        try:
            return self._call(transaction, {"blockHash": block.hash, "requireCanonical": True})
        except RpcRejectedError as error:
            if self.block(block.number).hash != block.hash:
                raise ReorgError(f"Block {block.number} was replaced while it was read. Trying again later.") from error
            return self._call(transaction, hex(block.number))

    def estimate_gas(self, to: str, data: bytes, sender: str) -> int:
        """Return the gas that a transaction would need on the newest block; raises `CallRevertedError` like `call`.

        Never on the pending state, some nodes' default: our own earlier transaction may be in it.
        """
        transaction = {"to": to, "data": "0x" + data.hex(), "from": sender}
        return int(self._reverting("eth_estimateGas", transaction, "latest"), 16)

    def balance(self, address: str) -> int:
        """Return an account's native balance in wei."""
        return int(self._read("eth_getBalance", address, "latest"), 16)

    def nonce(self, address: str) -> int:
        """Return how many of an account's transactions are mined: the nonce of the next one to be mined."""
        return int(self._read("eth_getTransactionCount", address, "latest"), 16)

    def fee_history(self, blocks: int = 10, percentile: float = 50.0) -> tuple[int, list[int]]:
        """Return the next block's base fee and the tips paid at a percentile of the last blocks, all in wei."""
        history = self._read("eth_feeHistory", hex(blocks), "latest", [percentile])
        tips = [int(row[0], 16) for row in history.get("reward") or [] if row]
        return int(history["baseFeePerGas"][-1], 16), tips

    def receipt(self, transaction_hash: str) -> Receipt | None:
        """Return a transaction's receipt, `None` while it is in no block."""
        found = self._read("eth_getTransactionReceipt", transaction_hash)
        if found is None or found.get("blockNumber") is None:
            return None
        return Receipt(
            transaction_hash=found["transactionHash"],
            succeeded=int(found["status"], 16) == 1,
            block_number=int(found["blockNumber"], 16),
            block_hash=found["blockHash"],
            gas_used=int(found["gasUsed"], 16),
            effective_gas_price=int(found["effectiveGasPrice"], 16),
        )

    # --- the one write -------------------------------------------------------------------------------------------

    def send_raw(self, raw: bytes) -> str:
        """Hand over a signed transaction, once; returns its hash. A lost answer raises `RpcUnavailableError`."""
        try:
            return str(self._request("eth_sendRawTransaction", "0x" + raw.hex()))
        except _TransportError as error:
            raise self._unavailable(error) from error

    # --- plumbing ------------------------------------------------------------------------------------------------

    def _call(self, transaction: dict[str, str], block: str | dict[str, Any]) -> bytes:
        return bytes.fromhex(self._reverting("eth_call", transaction, block)[2:])

    def _reverting(self, method: str, *parameters: Any) -> str:
        try:
            return str(self._read(method, *parameters))
        except RpcRejectedError as error:
            data = error.data
            if data is None and "revert" not in error.reason.lower():
                raise
            raise CallRevertedError(decode_revert(bytes.fromhex((data or "0x")[2:]))) from error

    def _read(self, method: str, *parameters: Any) -> Any:
        return self._retried(lambda: self._request(method, *parameters))

    def _retried(self, request: Callable[[], T]) -> T:
        caller = stamina.RetryingCaller(attempts=READ_ATTEMPTS, wait_initial=0.1, wait_max=1.0, wait_jitter=0.1)
        try:
            return caller(_TransportError, request)
        except _TransportError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: _TransportError) -> RpcUnavailableError:
        return RpcUnavailableError(
            f"{self._shown_as} does not answer ({error}). Check that the node runs and that rpc_url is right."
        )

    def _request(self, method: str, *parameters: Any) -> Any:
        try:
            response = self._provider.make_request(RPCEndpoint(method), list(parameters))
        except requests.Timeout as error:
            raise _TransportError("timed out") from error
        except requests.HTTPError as error:
            raise _TransportError(f"HTTP {error.response.status_code}") from error
        except requests.RequestException as error:
            raise _TransportError("connection failed") from error
        except ValueError as error:  # the body is not JSON
            raise _TransportError("the answer is not JSON-RPC") from error
        problem = response.get("error")
        if problem is not None:
            raise _rejected(method, problem)
        if "result" not in response:
            raise _TransportError("the answer is not JSON-RPC")
        return response["result"]


def _rejected(method: str, problem: Any) -> RpcRejectedError:
    if not isinstance(problem, dict):
        return RpcRejectedError(method, None, str(problem))
    data = problem.get("data")
    if isinstance(data, dict):  # some nodes wrap it
        data = data.get("data")
    revert = data if isinstance(data, str) and data.startswith("0x") else None
    return RpcRejectedError(method, problem.get("code"), str(problem.get("message", "no message")), revert)
