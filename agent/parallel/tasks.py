"""Independent tasks (seeds, folds, trials) on the cores of this machine or on a Ray cluster, results in order.

Scheduling is the standard library's and Ray's. What is added here: a task that fails takes no other with it, a worker
that dies is replaced and its task run again, and what is finished is handed over at once, so that it can be kept.
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
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from tqdm import tqdm

from agent.errors import AgentError, TasksError

Item = TypeVar("Item")
Value = TypeVar("Value")

ATTEMPTS = 3
"""How often a task is begun when its worker dies; one that kills its worker each time must not do so for ever."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class TaskResult(Generic[Value]):
    """How one task ended: with a value, or with an error.

    Attributes
    ----------
    index
        Which of the items it is.
    name
        What it is called, for messages.
    value
        What the function returned; none if it failed.
    error
        What went wrong, on one line; empty if nothing did.
    details
        The traceback, where the error is not one of the user's (`AgentError`); else empty.
    """

    index: int
    name: str
    value: Value | None = None
    error: str = ""
    details: str = ""

    @property
    def failed(self) -> bool:
        """Whether there is an error instead of a value."""
        return bool(self.error)


@dataclass(frozen=True)
class Outcome(Generic[Value]):
    """What comes back from a worker: plain data, because not every exception survives the way between processes."""

    value: Value | None = None
    error: str = ""
    details: str = ""


def run_tasks(
    function: Callable[[Item], Value],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    ray: str | None = None,
    progress: bool = False,
    describe: Callable[[Item], str] | None = None,
    on_result: Callable[[TaskResult[Value]], None] | None = None,
) -> list[TaskResult[Value]]:
    """Call a function on every item, each in a process with one computing thread, and return the results in order.

    Interrupting the call (Ctrl-C), or an error in `on_result`, ends all children; children of a parent that was
    killed end themselves.

    Parameters
    ----------
    function
        Defined at the top level of a module. It should depend on its item only: a task whose worker died is begun
        anew, up to `ATTEMPTS` times in all.
    items
        What it is called with, one task each; can be pickled, as must be what it returns.
    workers
        Most tasks at a time. By default as many as this process may use cores, or all that the cluster has room for.
    ray
        Address of a Ray cluster, `HOST:PORT`, `ray://HOST:PORT` or `auto`; none runs processes on this machine. Every
        machine of the cluster needs this project installed from the same lock, and gives each task one CPU.
    progress
        Whether to draw a progress bar on standard error.
    describe
        Name of an item, for the bar and for messages.
    on_result
        Called in this process with each result as it comes, in the order in which they finish.

    Raises
    ------
    TasksError
        If the function cannot be sent to another process, or `workers` is not positive. `RayMissingError` and
        `RayAddressError` if the cluster cannot be used. A task's own errors are in its result.
    """
    if workers is not None and workers < 1:
        raise TasksError(f"workers must be 1 or more, but is {workers}")
    names = [f"task {index}" if describe is None else describe(item) for index, item in enumerate(items)]
    if ray is None:
        outcomes: Generator[tuple[int, Outcome[Value]], None, None] = _on_processes(
            function, items, workers or len(os.sched_getaffinity(0))
        )
    else:
        from agent.parallel.cluster import on_ray

        outcomes = on_ray(function, items, workers, ray)
    results: dict[int, TaskResult[Value]] = {}
    bar = tqdm(total=len(items), unit="task", disable=not progress)
    with bar, closing(outcomes):
        for index, outcome in outcomes:
            result = TaskResult(index, names[index], outcome.value, outcome.error, outcome.details)
            results[index] = result
            failed = sum(each.failed for each in results.values())
            bar.set_postfix_str(names[index] + (f", {failed} failed" if failed else ""), refresh=False)
            bar.update()
            if on_result is not None:
                on_result(result)
    return [results[index] for index in range(len(items))]


def values(results: Sequence[TaskResult[Value]]) -> list[Value]:
    """Return the values of results none of which may have failed.

    Raises
    ------
    TasksError
        If one has failed; it names all of them, and gives the traceback of the first unexpected error.
    """
    failed = [result for result in results if result.failed]
    if failed:
        first = next((f"\n{result.details}" for result in failed if result.details), "")
        listed = "; ".join(f"{result.name}: {result.error}" for result in failed)
        raise TasksError(f"{len(failed)} of {len(results)} tasks failed: {listed}{first}")
    return [result.value for result in results]  # type: ignore[misc]  # none of them has failed


def attempt(function: Callable[[Item], Value], item: Item) -> Outcome[Value]:
    """Call the function in the worker; its errors become data."""
    try:
        return Outcome(value=function(item))
    except AgentError as error:
        return Outcome(error=str(error) or type(error).__name__)
    except Exception as error:  # a fault of one task must not cost the others' hours
        return Outcome(error=f"{type(error).__name__}: {error}", details=traceback.format_exc())


def worker_died(reason: str = "") -> str:
    """Return what to say of a task that is given up."""
    why = f" ({reason})" if reason else ""
    return f"its worker died {ATTEMPTS} times{why}: look for a lack of memory, and run it alone"


def _on_processes(
    function: Callable[[Item], Value], items: Sequence[Item], workers: int
) -> Generator[tuple[int, Outcome[Value]], None, None]:
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TasksError(f"a task must be a function at the top level of a module ({error})") from error
    waiting = deque((index, 1) for index in range(len(items)))
    pool = [_Worker() for _ in range(min(workers, len(items)))]
    free = list(pool)
    busy: dict[Future[Outcome[Value]], tuple[_Worker, int, int]] = {}
    try:
        while waiting or busy:
            while waiting and free:
                (index, count), worker = waiting.popleft(), free.pop()
                busy[worker.submit(function, items[index])] = (worker, index, count)
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            for future in done:
                worker, index, count = busy.pop(future)
                free.append(worker)
                fault = future.exception()
                if fault is None:
                    yield index, future.result()
                elif not isinstance(fault, BrokenExecutor):  # item or value cannot be pickled, or it left the process
                    yield index, Outcome(error=f"{type(fault).__name__}: {fault}")
                elif count < ATTEMPTS:
                    waiting.appendleft((index, count + 1))
                else:
                    yield index, Outcome(error=worker_died())
    finally:
        for worker in pool:
            worker.stop(at_once=worker not in free)


class _Worker:
    """One child process. An executor of its own, because a broken executor does not say which of its tasks broke it."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._children: set[multiprocessing.process.BaseProcess] = set()

    def submit(self, function: Callable[[Item], Value], item: Item) -> Future[Outcome[Value]]:
        if self._executor is not None:
            try:
                return self._executor.submit(attempt, function, item)
            except BrokenExecutor:  # it died with its last task, or while it had nothing to do
                self.stop(at_once=True)
        before = set(multiprocessing.active_children())
        with _one_thread():  # the child loads numpy before any code of ours runs in it
            self._executor = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin)
            future = self._executor.submit(attempt, function, item)
        self._children = set(multiprocessing.active_children()) - before
        return future

    def stop(self, at_once: bool) -> None:
        if at_once:
            for child in self._children:
                child.kill()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


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


def _begin() -> None:
    """Prepare a child: the terminal's Ctrl-C is the parent's to handle, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
