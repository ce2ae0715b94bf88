"""Ratios of speeds that hold on a busy machine: the two sides take turns, and the median of the turns' ratios counts.

Work on one thread is timed by the processor time of the process, which other processes hardly change. Where threads
matter only the wall clock can tell, and only on an idle machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Clock = Callable[[], float]
Work = Callable[[], float]
"""Does some work and returns how much, in the unit that is counted."""

CPU: Clock = time.process_time
WALL: Clock = time.perf_counter
CLOCKS = {CPU: "processor time", WALL: "wall clock"}


@dataclass(frozen=True)
class Ratio:
    """How much faster one side is than the other.

    Attributes
    ----------
    value, low, high
        Median, least and most of the turns' ratios.
    fast, slow
        Median speeds of the sides, units per second.
    """

    value: float
    low: float
    high: float
    fast: float
    slow: float


def speed(work: Work, clock: Clock = CPU) -> float:
    """Return units per second of one call."""
    began = clock()
    done = work()
    return done / (clock() - began)


def ratio(fast: Work, slow: Work, turns: int, clock: Clock = CPU) -> Ratio:
    """Call both sides in turns and compare their speeds.

    Parameters
    ----------
    fast, slow
        What to compare; each should take a good part of a second. Call each once before, if that takes longer.
    turns
        How often; the side that begins changes.
    clock
        `CPU` or `WALL`.
    """
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(turns):
        for work, speeds in ((fast, ours), (slow, theirs))[:: -1 if turn % 2 else 1]:
            speeds.append(speed(work, clock))
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios), median(ours), median(theirs))


def repeated(call: Callable[[], object], times: int) -> Work:
    """Return work that calls a function so often, counting calls."""

    def work() -> float:
        for _ in range(times):
            call()
        return float(times)

    return work
