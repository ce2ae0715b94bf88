"""The one launcher of Anvil: starts a process on a free port, waits for it, and never leaves it behind.

The process dies with its parent, also when the parent is killed (Linux: `PR_SET_PDEATHSIG`; elsewhere a parent that
is killed by SIGKILL leaves it, since there is no such call).
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from web3 import HTTPProvider, Web3
from web3.contract.contract import ContractFunction
from web3.types import RPCEndpoint

from scripts.errors import AnvilFailedError, AnvilNotFoundError, NotAnvilError, PortInUseError

HOST = "127.0.0.1"
MNEMONIC = "test test test test test test test test test test test junk"
_PR_SET_PDEATHSIG = 1


def rpc(w3: Web3, method: str, *params: Any) -> Any:
    """Call an RPC method that web3 has no name for; raises `NotAnvilError` when the node refuses it."""
    response = w3.provider.make_request(RPCEndpoint(method), list(params))
    if "error" in response:
        raise NotAnvilError(f"{method} failed: {response['error']}. This needs an Anvil; is the RPC URL one?")
    return response["result"]


def number_before(w3: Web3, call: ContractFunction, block: int) -> int:
    """Return the first number that a view gave at the start of a block: on the state before it, at its time and height.

    A share price read after a block's trade is not the one that the trade was made at: of a strategy that was left
    altogether, it is that of a unit of dust.
    """
    transaction = {"to": call.address, "data": call._encode_transaction_data()}
    moment = {"time": hex(w3.eth.get_block(block)["timestamp"]), "number": hex(block)}
    return int(rpc(w3, "eth_call", transaction, hex(block - 1), {}, moment)[:66], 16)


def number_at(w3: Web3, call: ContractFunction, timestamp: int) -> int:
    """Return the first number that a view gives on the newest state, at a time in Unix seconds."""
    transaction = {"to": call.address, "data": call._encode_transaction_data()}
    return int(rpc(w3, "eth_call", transaction, "latest", {}, {"time": hex(timestamp)})[:66], 16)


def mine_at(w3: Web3, timestamp: int, base_fee: int) -> None:
    """Mine an empty block at a time (Unix seconds), with a base fee in wei."""
    rpc(w3, "anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    rpc(w3, "evm_setNextBlockTimestamp", timestamp)
    rpc(w3, "evm_mine")


def connect(url: str, timeout: float = 60.0) -> Web3:
    """Return a `Web3` for `url`, without web3's own retries (they turn short timeouts into long ones) and asking for
    the chain id once (web3 asks twice before every call).
    """
    return Web3(
        HTTPProvider(
            url,
            request_kwargs={"timeout": timeout},
            exception_retry_configuration=None,
            cache_allowed_requests=True,
            cacheable_requests={RPCEndpoint("eth_chainId")},
        )
    )


def require_anvil(w3: Web3) -> None:
    """Raise `NotAnvilError` unless an Anvil answers behind `w3`."""
    url = getattr(w3.provider, "endpoint_uri", "the given URL")
    try:
        version = w3.client_version
    except Exception as error:
        raise NotAnvilError(f"No node answers at {url} ({type(error).__name__}). Start Anvil there first.") from error
    if "anvil" not in version.lower():
        raise NotAnvilError(f"The node at {url} is {version}, not Anvil. The devnet mints money: it needs an Anvil.")


def port_is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback interface now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that is free now; another process may still take it, hence the retries in `Anvil.start`."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> Callable[[], None] | None:
    """Return a hook for the child: the kernel then ends it when its parent ends (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: loading it in the child could deadlock
    parent = os.getpid()

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent was gone before the call above
            os._exit(1)

    return arm


class Anvil:
    """A context manager around one Anvil process.

    Parameters
    ----------
    port
        Port on the loopback interface; None takes a free one.
    chain_id
        Chain id that the node reports.
    timestamp
        Time of the genesis block, seconds UTC; None is now.
    fork_url
        RPC URL of the node to fork; None starts an empty chain.
    log
        File for Anvil's output; None drops it.
    options
        Further options of the `anvil` command line.

    Raises
    ------
    PortInUseError
        From `start`, when `port` is taken.
    AnvilNotFoundError, AnvilFailedError
        From `start`.
    """

    def __init__(
        self,
        port: int | None = None,
        chain_id: int = 31337,
        timestamp: int | None = None,
        fork_url: str | None = None,
        log: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.port = port
        self.chain_id = chain_id
        self.log = log
        self._options = ["--host", HOST, "--chain-id", str(chain_id), "--mnemonic", MNEMONIC, *options]
        if timestamp is not None:
            self._options += ["--timestamp", str(timestamp)]
        if fork_url is not None:
            self._options += ["--fork-url", fork_url]
        if log is None:
            self._options.append("--quiet")
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """RPC URL of the running node."""
        if self._process is None:
            raise AnvilFailedError("Anvil is not running; start it first.")
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id, or None when it is not running."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process runs now."""
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = 30.0) -> Web3:
        """Start the process, wait until it answers, and return a `Web3` to it."""
        binary = shutil.which("anvil")
        if binary is None:
            raise AnvilNotFoundError(
                "anvil is not on PATH. Run `make setup`, then use .venv/bin/ape or .venv/bin/python."
            )
        if self.port is not None:
            if not port_is_free(self.port):
                raise PortInUseError(f"Port {self.port} is in use. Stop what runs there or choose another with --port.")
            return self._start_once(binary, self.port, seconds)
        for attempt in range(5):
            try:
                return self._start_once(binary, free_port(), seconds)
            except AnvilFailedError:
                if attempt == 4:
                    raise
        raise AssertionError("unreachable")

    def _start_once(self, binary: str, port: int, seconds: float) -> Web3:
        if self.log is None:
            self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed by `stop`
        else:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self._output = self.log.open("w+b")
        self._process = subprocess.Popen(
            [binary, "--port", str(port), *self._options],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we then stop it in order
            preexec_fn=_die_with_parent(),
        )
        self.port = port
        w3 = connect(self.url)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive:
                self._output.seek(0)
                said = self._output.read().decode(errors="replace")[-500:].strip() or "it said nothing"
                code = self._process.returncode
                self.stop()
                self.port = None
                raise AnvilFailedError(f"Anvil ended at once with exit code {code}: {said}")
            try:
                if w3.eth.chain_id == self.chain_id:
                    return w3
            except OSError:  # requests' connection errors are OSErrors
                time.sleep(0.02)
        self.stop()
        raise AnvilFailedError(
            f"Anvil did not answer on port {port} within {seconds:.0f} s. Is the machine overloaded?"
        )

    def stop(self) -> None:
        """Stop the process if it runs; safe to call at any time and more than once."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._output is not None:
            self._output.close()
            self._output = None

    def __enter__(self) -> Self:
        if not self.alive:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
