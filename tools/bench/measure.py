"""Ratios of speeds that hold on a busy machine, and a description of the machine.

Both sides of a ratio take turns, and the median of the turns' ratios counts. Work on one thread is timed by the
processor time of the process, which other processes hardly change. Where threads matter only the wall clock can tell,
and only on an idle machine. This module loads neither numpy nor torch, since `settle` must run before they do.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

Clock = Callable[[], float]
Work = Callable[[], float]
"""Does some work and returns how much, in the unit that is counted."""

CPU: Clock = time.process_time
WALL: Clock = time.perf_counter
CLOCKS = {CPU: "processor time", WALL: "wall clock"}
PACKAGES = ("torch", "numpy", "stable-baselines3", "sb3-contrib", "gymnasium")
_MAX_LOAD = 0.5
"""Load per core above which the machine counts as busy: threads that wait should not spin."""


@dataclass(frozen=True)
class Ratio:
    """How much faster one side is than the other.

    Attributes
    ----------
    value, low, high
        Median, lowest and highest of the turns' ratios.
    fast, slow
        Median speeds of the sides, units per second.
    """

    value: float
    low: float
    high: float
    fast: float
    slow: float


def ratio(fast: Work, slow: Work, turns: int, clock: Clock = CPU) -> Ratio:
    """Call both sides in turns and compare their speeds.

    Parameters
    ----------
    fast, slow
        The sides; a call of each should take a good part of a second. Call each once before, if that takes longer.
    turns
        Number of turns; the side that begins changes from turn to turn.
    clock
        `CPU` or `WALL`.
    """
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(turns):
        for work, speeds in ((fast, ours), (slow, theirs))[:: -1 if turn % 2 else 1]:
            began = clock()
            done = work()
            speeds.append(done / (clock() - began))
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios), median(ours), median(theirs))


def repeated(call: Callable[[], object], times: int) -> Work:
    """Return work that makes a call so many times, and counts calls."""

    def work() -> float:
        for _ in range(times):
            call()
        return float(times)

    return work


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def load() -> float:
    """Return the mean number of processes that wanted to run during the last minute."""
    return os.getloadavg()[0]


def settle() -> bool:
    """Set how torch's threads wait, before torch and numpy are loaded; return whether the machine is busy.

    Threads spin by default. That is best on an idle machine; on a busy one it takes the cores from the threads that
    they wait for. numpy's matrices are small here and stay on one thread.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    busy = load() > _MAX_LOAD * cores()
    if busy:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    return busy


def machine() -> dict[str, Any]:
    """Return the description of the machine for `out/bench.json`."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "threads": "one, unless a figure says otherwise",
    }
