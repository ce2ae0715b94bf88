"""Independent tasks (seeds, folds, trials) on the cores of this machine or on a Ray cluster, results in order.

A task that fails takes no other with it, a worker that dies is replaced and its task run again, and a finished result
is handed over at once, so that it can be kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic

from tqdm import tqdm

from agent.errors import TasksError
from agent.parallel.cluster import on_ray
from agent.parallel.processes import Item, Value, on_processes


@dataclass(frozen=True)
class TaskResult(Generic[Value]):
    """Result of one task: a value or an error.

    Attributes
    ----------
    index
        Index of the item.
    name
        Name for messages.
    value
        Return value of the function; none if it failed.
    error
        One line; empty if the task succeeded.
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
        """True where there is an error instead of a value."""
        return bool(self.error)


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
        Arguments, one task each. Items and results must survive pickling.
    workers
        Largest number of tasks at a time. By default one per core of this process, or all that fit the cluster.
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
    outcomes = (
        on_processes(function, items, workers or len(os.sched_getaffinity(0)))
        if ray is None
        else on_ray(function, items, workers, ray)
    )
    results: dict[int, TaskResult[Value]] = {}
    bar = tqdm(total=len(items), unit="task", disable=not progress)
    with bar, closing(outcomes):
        for index, outcome in outcomes:
            result = TaskResult(index, names[index], *outcome)
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
