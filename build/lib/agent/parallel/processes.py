"""Tasks on processes of this machine, each with one computing thread.

Every worker has a pipe of its own, so it is known which task died with it; it is replaced and the task run again.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, NamedTuple, TypeVar

from agent.errors import AgentError, TasksError

Item = TypeVar("Item")
Value = TypeVar("Value")

ATTEMPTS = 3
"""Largest number of starts of a task whose worker dies, so that one that kills its worker comes to an end."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Outcome(NamedTuple, Generic[Value]):
    """Outcome of a task as plain data, because not every exception survives the way between processes."""

    value: Value | None = None
    error: str = ""
    details: str = ""


def attempt(function: Callable[[Item], Value], item: Item) -> Outcome[Value]:
    """Call the function in the worker; its errors become data."""
    try:
        return Outcome(function(item))
    except AgentError as error:
        return Outcome(error=str(error) or type(error).__name__)
    except (Exception, SystemExit) as error:  # a fault of one task must not cost the others' hours
        return failure(error, traceback.format_exc())


def failure(error: BaseException, details: str = "") -> Outcome[Any]:
    """Return the outcome of a task that raised."""
    return Outcome(error=f"{type(error).__name__}: {error}", details=details)


def worker_died(reason: str = "") -> Outcome[Any]:
    """Return the outcome of a task that is given up."""
    why = f" ({reason})" if reason else ""
    return Outcome(error=f"its worker died {ATTEMPTS} times{why}: look for a lack of memory, and run it alone")


class _Worker(NamedTuple):
    process: BaseProcess
    pipe: Connection[Any, Any]


def on_processes(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int
) -> Generator[tuple[int, Outcome[Value]], None, None]:
    """Call the function on every item and yield index and outcome as they finish; leaving early ends all workers.

    Raises
    ------
    TasksError
        If the function cannot be sent to another process.
    """
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TasksError(f"a task must be a function at the top level of a module ({error})") from error
    waiting = deque((index, 1) for index in range(len(items)))
    free: list[_Worker] = []
    busy: dict[Connection[Any, Any], tuple[_Worker, int, int]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                (index, count), worker = waiting.popleft(), free.pop() if free else _start()
                busy[worker.pipe] = worker, index, count
                try:
                    worker.pipe.send((function, items[index]))
                except OSError:
                    pass  # the worker is dead, which is noticed below
                except Exception as error:  # the item cannot be pickled
                    free.append(busy.pop(worker.pipe)[0])
                    yield index, failure(error)
            ready = wait(list(busy)) if busy else []
            for pipe in [each for each in busy if each in ready]:
                worker, index, count = busy.pop(pipe)
                try:
                    outcome: Outcome[Value] = pipe.recv()
                except (EOFError, OSError):
                    _end(worker)
                    if count < ATTEMPTS:
                        waiting.appendleft((index, count + 1))
                        continue
                    outcome = worker_died()
                except Exception as error:  # the value cannot be unpickled
                    free.append(worker)
                    outcome = failure(error)
                else:
                    free.append(worker)
                yield index, outcome
    finally:
        for worker in (*free, *(worker for worker, _, _ in busy.values())):
            _end(worker)


def _start() -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,))
    with _one_thread():  # the child may load numpy before any code of ours runs in it
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection[Any, Any]) -> None:
    """Work in the child until the parent kills it or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError):  # the parent is gone
        while True:
            outcome = attempt(*pipe.recv())
            try:
                pipe.send(outcome)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                pipe.send(failure(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
