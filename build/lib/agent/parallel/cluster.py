"""Tasks on a Ray cluster that is already running. Ray is an optional extra, and is loaded here only.

Ray runs a task again when its worker or its machine dies, and makes anew a result that was lost with its machine.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any

from agent.errors import RayAddressError, RayMissingError
from agent.parallel.processes import ATTEMPTS, Item, Outcome, Value, attempt, worker_died

_PATIENCE = 5.0  # seconds for the address to answer; Ray itself would try for minutes

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its log lines would break the progress bar; errors are raised all the same
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a warning about a coming change that does not concern us
}


def on_ray(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int | None, address: str
) -> Generator[tuple[int, Outcome[Value]], None, None]:
    """Call the function on every item, one CPU of the cluster each, and yield index and outcome as they finish.

    Leaving early cancels the tasks that still run. A connection that the caller has made already is used, and stays.

    Raises
    ------
    RayMissingError
        If Ray is not installed.
    RayAddressError
        If nothing that can be used answers at the address.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        from ray.exceptions import NodeDiedError, RayError, WorkerCrashedError
    except ImportError as error:
        raise RayMissingError(
            f"Ray cannot be loaded ({error}): install the extra, `pip install 'bulkhead[ray]'`, or leave --ray out"
        ) from error
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address)
    # Ray starts workers with as many computing threads as CPUs, here one.
    remote: Any = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1, retry_exceptions=False)(attempt)
    waiting = list(range(len(items)))[::-1]
    running: dict[Any, int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (workers or len(items)):
                index = waiting.pop()
                running[remote.remote(function, items[index])] = index
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                index = running.pop(reference)
                try:
                    outcome: Outcome[Value] = ray.get(reference)
                except (WorkerCrashedError, NodeDiedError) as error:
                    outcome = worker_died(_first_line(error))
                except RayError as error:  # it could not be loaded there, or its result could not be sent
                    outcome = Outcome(error=f"{type(error).__name__}: {_first_line(error)}", details=str(error))
                yield index, outcome
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if ours:
            ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address != "auto":
        try:
            socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
        except (OSError, ValueError, OverflowError) as error:
            raise RayAddressError(
                f"nothing answers at {address!r} ({error}): give HOST:PORT as `ray start --head` prints it, or `auto`"
            ) from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise RayAddressError(
            f"cannot join the Ray cluster at {address!r} ({_first_line(error)}): run `ray start --address` on this "
            "machine first"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
