"""JSON-RPC with the keeper's own rules: short timeouts, retries for reads only, and errors by taxonomy.

A read is tried again on transport errors; a transaction is handed over once, since the journal finds out what became
of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import aiohttp
from eth_abi.exceptions import DecodingError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from keeper.chain.abi import Revert, decode_result, decode_revert, encode_call
from keeper.chain.http import Http
from keeper.errors import ReorgError, RpcRejectedError, RpcUnavailableError, WrongChainError
from keeper.watch import Watch

READ_ATTEMPTS = 3
_OUT_OF_GAS = (
    "out of gas",
    "outofgas",
    "gas required exceeds",
)  # geth, Reth and Erigon; Anvil; all of them, of estimates
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
    gas_used: int


@dataclass(frozen=True)
class Receipt:
    """The receipt of a mined transaction."""

    transaction_hash: str
    succeeded: bool
    block_number: int
    block_hash: str
    gas_used: int
    effective_gas_price: int


@dataclass(frozen=True)
class Log:
    """One event as a contract wrote it."""

    topics: tuple[bytes, ...]
    data: bytes


class CallRevertedError(Exception):
    """A simulated call reverted. That is no failure of the keeper: its callers turn it into a reason."""

    def __init__(self, revert: Revert) -> None:
        super().__init__(str(revert))
        self.revert = revert


UNREADABLE = (CallRevertedError, DecodingError)
"""Raised by `Rpc.read` where the address holds another contract than the expected one, or none."""


class Rpc:
    """One node, for one chain.

    Parameters
    ----------
    url
        http(s) endpoint; shown in messages only as `shown_as`, since it may hold an access token.
    timeout
        Seconds for each request, from its beginning to the last byte of its answer.
    watch
        Ends a request, and the wait for another try, early; by default nothing does.
    """

    def __init__(
        self, url: str, timeout: float = 10.0, shown_as: str = "the RPC node", watch: Watch | None = None
    ) -> None:
        watch = watch or Watch()
        self._http = Http(url, timeout, watch)
        self._shown_as = shown_as
        self._retrying = Retrying(
            retry=retry_if_exception_type(_TransportError),
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.1, max=1.0, jitter=0.1),
            sleep=watch.pause,
            reraise=True,
        )

    # --- reads ---------------------------------------------------------------------------------------------------

    def chain_id(self) -> int:
        """Return the id of the node's chain."""
        return self._read(_number, "eth_chainId")

    def check_chain(self, expected: int) -> None:
        """Raise `WrongChainError` unless the node serves the expected chain."""
        actual = self.chain_id()
        if actual != expected:
            raise WrongChainError(
                f"{self._shown_as} serves chain {actual}, but the configuration says chain_id = {expected}. "
                "Point rpc_url at the right network."
            )

    def block(self, identifier: int | Literal["latest"] = "latest") -> Block:
        """Return a block's header."""
        name = identifier if identifier == "latest" else hex(identifier)
        found = self._read(_block, "eth_getBlockByNumber", name, False)
        if found is None:
            raise ReorgError(f"Block {name} is unknown to {self._shown_as}. Nothing was sent; trying again later.")
        return found

    def final(self, tag: str) -> int | None:
        """Return the number of the `finalized` or the `safe` block; `None` where the node knows none."""
        try:
            found = self._read(_block, "eth_getBlockByNumber", tag, False)
        except RpcRejectedError:
            return None
        return None if found is None else found.number

    def code(self, address: str, number: int | None = None) -> bytes:
        """Return a contract's code, empty where there is none; of an old block only where the node keeps its state."""
        return self._read(_data, "eth_getCode", address, "latest" if number is None else hex(number))

    def logs(self, address: str, first: int, last: int) -> list[Log]:
        """Return a contract's events in a range of blocks, oldest first; nodes refuse a range that is too wide."""
        wanted = {"address": address, "fromBlock": hex(first), "toBlock": hex(last)}
        return self._read(_logs, "eth_getLogs", wanted)

    def read(
        self, contract: str, address: str, function: str, *arguments: Any, block: Block | None = None, code: str = ""
    ) -> Any:
        """Call a view function and return its decoded result; `contract` names the ABI. See `call`.

        Raises
        ------
        CallRevertedError, eth_abi.exceptions.DecodingError
            See `UNREADABLE`.
        """
        data = self.call(address, encode_call(contract, function, arguments), block, code=code)
        return decode_result(contract, function, data)

    def call(
        self,
        to: str,
        data: bytes,
        block: Block | None = None,
        sender: str | None = None,
        *,
        code: str = "",
        gas: int | None = None,
    ) -> bytes:
        """Run a call without sending it; pinned to a block's hash where the node allows it (EIP-1898).

        Parameters
        ----------
        code
            0x hex to run in place of what stands at `to` (a state override).
        gas
            The gas to run with; by default as much as the node gives.

        Raises
        ------
        CallRevertedError
            With the decoded revert.
        ReorgError
            When the pinned block is gone.
        """
        transaction = {"to": to, "data": "0x" + data.hex()} | ({"from": sender} if sender else {})
        if gas is not None:
            transaction["gas"] = hex(gas)
        override = [{to: {"code": code}}] if code else []
        return self._at(block, lambda at: self._reverting(_data, "eth_call", transaction, at, *override))

    def estimate_gas(self, to: str, data: bytes, sender: str, most: int) -> int:
        """Return the gas that a transaction would need on the newest block; raises `CallRevertedError` like `call`.

        Needing more than `most` is a revert as well.

        Never on the pending state, some nodes' default: our own earlier transaction may be in it.
        """
        transaction = {"to": to, "data": "0x" + data.hex(), "from": sender, "gas": hex(most)}
        return self._reverting(_number, "eth_estimateGas", transaction, "latest")

    def balance(self, address: str) -> int:
        """Return an account's native balance in wei."""
        return self._read(_number, "eth_getBalance", address, "latest")

    def nonce(self, address: str, block: Block | None = None) -> int:
        """Return the number of an account's mined transactions, which is the nonce of the next one; see `call`."""
        return self._at(block, lambda at: self._read(_small, "eth_getTransactionCount", address, at))

    def pending_nonce(self, address: str) -> int:
        """Return the nonce after those of an account's transactions in the node's pool."""
        return self._read(_small, "eth_getTransactionCount", address, "pending")

    def knows(self, transaction_hash: str) -> bool:
        """Return whether a transaction is in the node's pool or in a block."""
        return self._read(lambda answer: answer is not None, "eth_getTransactionByHash", transaction_hash)

    def fee_history(self, blocks: int = 10, percentile: float = 50.0) -> tuple[int, list[int]]:
        """Return the next block's base fee and the tips paid at a percentile of the last blocks, all in wei."""
        return self._read(_fees, "eth_feeHistory", hex(blocks), "latest", [percentile])

    def receipt(self, transaction_hash: str) -> Receipt | None:
        """Return a transaction's receipt, `None` while it is in no block."""
        return self._read(_receipt, "eth_getTransactionReceipt", transaction_hash)

    # --- the one write -------------------------------------------------------------------------------------------

    def send_raw(self, raw: bytes) -> str:
        """Hand over a signed transaction, once; returns its hash. A lost answer raises `RpcUnavailableError`."""
        try:
            return str(self._request("eth_sendRawTransaction", "0x" + raw.hex(), once=True))
        except _TransportError as error:
            raise self._unavailable(error) from error

    # --- plumbing ------------------------------------------------------------------------------------------------

    def _at(self, block: Block | None, read: Callable[[Any], T]) -> T:
        """Read at a block, by its hash where the node allows that, or at the newest one."""
        if block is None:
            return read("latest")
        try:
            return read({"blockHash": block.hash, "requireCanonical": True})
        except RpcRejectedError as error:
            if self.block(block.number).hash != block.hash:
                raise ReorgError(f"Block {block.number} was replaced while it was read. Trying again later.") from error
            return read(hex(block.number))

    def _reverting(self, parse: Callable[[Any], T], method: str, *parameters: Any) -> T:
        try:
            return self._read(parse, method, *parameters)
        except RpcRejectedError as error:
            data, said = error.data, error.reason.lower()
            if any(words in said for words in _OUT_OF_GAS):
                raise CallRevertedError(Revert("OutOfGas", {})) from error
            if data is None and "revert" not in said:
                raise
            raise CallRevertedError(decode_revert(_data(data or "0x"))) from error

    def _read(self, parse: Callable[[Any], T], method: str, *parameters: Any) -> T:
        try:
            found: T = self._retrying(self._parsed, parse, method, *parameters)
        except _TransportError as error:
            raise self._unavailable(error) from error
        return found

    def _parsed(self, parse: Callable[[Any], T], method: str, *parameters: Any) -> T:
        result = self._request(method, *parameters)
        try:
            return parse(result)
        except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
            raise _TransportError(f"its answer to {method} makes no sense") from error

    def _unavailable(self, error: _TransportError) -> RpcUnavailableError:
        return RpcUnavailableError(
            f"{self._shown_as} does not answer ({error}). Check that the node runs and that its URL is right."
        )

    def _request(self, method: str, *parameters: Any, once: bool = False) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        try:
            response = self._http.post(question, once=once)
        except TimeoutError as error:
            raise _TransportError("timed out") from error
        except aiohttp.ClientResponseError as error:
            raise _TransportError(f"HTTP {error.status}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _TransportError("connection failed") from error
        except ValueError as error:  # the body is not JSON
            raise _TransportError("the answer is not JSON-RPC") from error
        problem = response.get("error") if isinstance(response, dict) else None
        if problem is not None:
            raise _rejected(method, problem)
        if not isinstance(response, dict) or "result" not in response:
            raise _TransportError("the answer is not JSON-RPC")
        return response["result"]


# --- answers -----------------------------------------------------------------------------------------------------


def _number(answer: Any) -> int:
    return int(answer, 16)


def _small(answer: Any) -> int:
    """Return a number that a database's integer holds; a block's number or time that does not is nonsense."""
    number = _number(answer)
    if not 0 <= number < 2**63:
        raise ValueError(answer)
    return number


def _data(answer: Any) -> bytes:
    return bytes.fromhex(answer.removeprefix("0x"))


def _block(answer: Any) -> Block | None:
    if answer is None:
        return None
    return Block(
        number=_small(answer["number"]),
        hash=str(answer["hash"]),
        parent_hash=str(answer["parentHash"]),
        timestamp=_small(answer["timestamp"]),
        base_fee=_number(answer.get("baseFeePerGas") or "0x0"),
        gas_limit=_number(answer["gasLimit"]),
        gas_used=_number(answer["gasUsed"]),
    )


def _receipt(answer: Any) -> Receipt | None:
    if answer is None or answer.get("blockNumber") is None:
        return None
    return Receipt(
        transaction_hash=str(answer["transactionHash"]),
        succeeded=_number(answer["status"]) == 1,
        block_number=_small(answer["blockNumber"]),
        block_hash=str(answer["blockHash"]),
        gas_used=_small(answer["gasUsed"]),
        effective_gas_price=_number(answer["effectiveGasPrice"]),
    )


def _logs(answer: Any) -> list[Log]:
    return [Log(tuple(_data(topic) for topic in item["topics"]), _data(item["data"])) for item in answer]


def _fees(answer: Any) -> tuple[int, list[int]]:
    return _number(answer["baseFeePerGas"][-1]), [_number(row[0]) for row in answer.get("reward") or [] if row]


def _rejected(method: str, problem: Any) -> RpcRejectedError:
    if not isinstance(problem, dict):
        return RpcRejectedError(method, None, str(problem))
    data = problem.get("data")
    if isinstance(data, dict):  # some nodes wrap it
        data = data.get("data")
    revert = data if isinstance(data, str) and data.startswith("0x") else None
    return RpcRejectedError(method, problem.get("code"), str(problem.get("message", "no message")), revert)
