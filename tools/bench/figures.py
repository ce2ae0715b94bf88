"""Figures of the bench: how much is measured, one figure, and the table and `out/bench.json` that they end in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.bench.measure import CLOCKS, CPU, Clock, Ratio

Say = Callable[[str], None]


class BenchError(Exception):
    """A part could not measure. A missed target is no error: it is a figure."""


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes
    ----------
    turns
        Number of times that both sides of a ratio are timed.
    envs
        Environments whose presets are measured.
    reference_seconds
        Processor time that the reference learns for; the tuned preset is given a sixth of it.
    long_seconds
        Wall-clock time of the long runs that a short one is compared with.
    paths
        Number of held-out markets that returns are measured on.
    folder
        Folder for policies and the checkpoints of the long runs.
    """

    turns: int = 5
    envs: tuple[str, ...] = ("rwa", "defi")
    reference_seconds: float = 60.0
    long_seconds: float = 210.0
    paths: int = 2048
    folder: Path = Path("out/bench")

    def as_json(self) -> dict[str, Any]:
        """Return the plan as `out/bench.json` holds it."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in vars(self).items()}


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes
    ----------
    name, words
        Its name in `out/bench.json`, and its words in the table.
    value
        The measured value; none if it was not reached, and `note` says why.
    unit
        `x` for a ratio, `%` for a share, else the unit that follows the number.
    target
        The least value to reach; none for figures that are there for information.
    low, high
        Spread of the turns, or a 95 % interval.
    clock
        Clock that timed it; empty if nothing was timed.
    note
        Words that a reader needs beside it.
    """

    name: str
    words: str
    value: float | None
    unit: str = "x"
    target: float | None = None
    low: float | None = None
    high: float | None = None
    clock: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; none without one."""
        if self.target is None:
            return None
        return self.value is not None and self.value >= self.target

    def show(self, value: float | None) -> str:
        """Format a value in the figure's unit."""
        if value is None:
            return "not reached"
        if self.unit == "%":
            return f"{value:.1%}"
        digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
        number = f"{value:.1e}" if abs(value) < 0.01 else f"{value:,.{digits}f}"
        return number + ("x" if self.unit == "x" else f" {self.unit}".rstrip())

    def cells(self) -> tuple[str, str, str, str, str]:
        """Return the cells of its row in the table."""
        spread = ""
        if self.value is not None and self.low is not None and self.high is not None:
            spread = f"{self.show(self.low)} to {self.show(self.high)}"
        if self.target is None:
            return f"[dim]{escape(self.words)}", f"[dim]{self.show(self.value)}", f"[dim]{spread}", "", ""
        verdict = "[green]met" if self.met else "[red]MISSED"
        return escape(self.words), self.show(self.value), spread, self.show(self.target), verdict


def of_ratio(
    name: str, words: str, measured: Ratio, *, target: float | None = None, clock: Clock = CPU, note: str = ""
) -> Figure:
    """Return a ratio of speeds as a figure."""
    return Figure(name, words, measured.value, "x", target, measured.low, measured.high, CLOCKS[clock], note)


def steps_per_second(name: str, words: str, value: float, *, clock: Clock = CPU) -> Figure:
    """Return an absolute speed as a figure, for information: it depends on the machine."""
    return Figure(name, words, value, "steps/s", clock=CLOCKS[clock])


@dataclass(frozen=True)
class Outcome:
    """One part's figures, or why it has none."""

    part: str
    seconds: float
    figures: Sequence[Figure] = ()
    error: str | None = None


def missed(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the names of the figures that miss their target."""
    return [figure.name for outcome in outcomes for figure in outcome.figures if figure.met is False]


def as_json(outcomes: Sequence[Outcome], about: Mapping[str, Any]) -> str:
    """Return the content of `out/bench.json`: figures and targets by name, how each was measured, and the machine."""
    every = [figure for outcome in outcomes for figure in outcome.figures]
    content = {
        "figures": {figure.name: figure.value for figure in every},
        "targets": {figure.name: figure.target for figure in every if figure.target is not None},
        "missed": missed(outcomes),
        "measured": {figure.name: {**asdict(figure), "met": figure.met} for figure in every},
        "parts": {each.part: {"seconds": round(each.seconds, 1), "error": each.error} for each in outcomes},
        "machine": dict(about),
    }
    return json.dumps(content, indent=2) + "\n"


def show(console: Console, outcomes: Sequence[Outcome], about: Mapping[str, Any]) -> None:
    """Print the notes, the table, the errors and the machine."""
    table = Table(title="Bench", title_justify="left")
    for name, justify in (("figure", "left"), ("value", "right"), ("spread", "right"), ("target", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("")
    for outcome in outcomes:
        for figure in outcome.figures:
            if figure.note:
                console.print(f"[bold]{figure.name}[/bold]: {escape(figure.note)}", soft_wrap=True)
            table.add_row(*figure.cells())
        table.add_section()
    console.print(table)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"[red]{outcome.part} failed:[/red] {escape(outcome.error)}", soft_wrap=True)
    before, after = about["load_before"], about["load_after"]
    console.print(f"{about['cpu']}, {about['cores']} cores; load {before:.1f} before, {after:.1f} after")
