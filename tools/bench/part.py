"""What every part of the bench is: a function from a plan to figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bench.measure import CLOCKS, CPU, Clock, Ratio

Say = Callable[[str], None]


class BenchError(Exception):
    """A part that could not measure. A missed target is none: it is a figure."""


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes
    ----------
    turns
        How often both sides of a ratio are timed.
    envs
        Environments that are looked at.
    reference_seconds
        Processor time that the reference set-up learns for, before the tuned preset is given a sixth of it.
    long_seconds
        Wall-clock time of the long runs that a short one is compared with.
    paths
        Held-out markets that returns are measured on.
    folder
        For policies and the checkpoints of the long runs.
    """

    turns: int = 5
    envs: tuple[str, ...] = ("rwa", "defi")
    reference_seconds: float = 60.0
    long_seconds: float = 210.0
    paths: int = 2048
    folder: Path = Path("out/bench")

    def as_json(self) -> dict[str, Any]:
        """Return what out/bench.json says was run."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in vars(self).items()}


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes
    ----------
    name, words
        In `out/bench.json`, and in the table.
    value
        What was measured; none if it was not reached, and `note` says why.
    unit
        `x` for a ratio, `%` for a share, else what follows the number.
    least
        The target; none for figures that are there for information.
    low, high
        Spread of the turns, or a 95 % interval.
    clock
        What it was timed with; empty if nothing was timed.
    note
        What a reader must know beside it.
    """

    name: str
    words: str
    value: float | None
    unit: str = "x"
    least: float | None = None
    low: float | None = None
    high: float | None = None
    clock: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; none without one."""
        if self.least is None:
            return None
        return self.value is not None and self.value >= self.least

    def show(self, value: float | None) -> str:
        """Return a value in the figure's unit."""
        if value is None:
            return "not reached"
        if self.unit == "%":
            return f"{value:.1%}"
        digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
        number = f"{value:.1e}" if abs(value) < 0.01 else f"{value:,.{digits}f}"
        return number + ("x" if self.unit == "x" else f" {self.unit}".rstrip())


def of_ratio(
    name: str, words: str, measured: Ratio, *, least: float | None = None, clock: Clock = CPU, note: str = ""
) -> Figure:
    """Return a ratio of speeds as a figure."""
    return Figure(name, words, measured.value, "x", least, measured.low, measured.high, CLOCKS[clock], note)


def steps_per_second(name: str, words: str, value: float, *, clock: Clock = CPU) -> Figure:
    """Return an absolute speed, for information: it depends on the machine."""
    return Figure(name, words, value, "steps/s", clock=CLOCKS[clock])


Part = Callable[[Plan, Say], list[Figure]]
