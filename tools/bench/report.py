"""What the bench comes to: the table, and `out/bench.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.bench.part import Figure


@dataclass(frozen=True)
class Outcome:
    """One part's figures, or why it has none."""

    part: str
    seconds: float
    figures: Sequence[Figure] = ()
    error: str | None = None


def figures_of(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Return the figures of all parts."""
    return [figure for outcome in outcomes for figure in outcome.figures]


def missed(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the names of the figures that miss their target."""
    return [figure.name for figure in figures_of(outcomes) if figure.met is False]


def as_json(outcomes: Sequence[Outcome], machine: Mapping[str, Any]) -> str:
    """Return what `out/bench.json` holds: figures and targets by name, how each was measured, and on what."""
    every = figures_of(outcomes)
    content = {
        "figures": {figure.name: figure.value for figure in every},
        "targets": {figure.name: figure.least for figure in every if figure.least is not None},
        "missed": missed(outcomes),
        "measured": {figure.name: {**asdict(figure), "met": figure.met} for figure in every},
        "parts": {each.part: {"seconds": round(each.seconds, 1), "error": each.error} for each in outcomes},
        "machine": dict(machine),
    }
    return json.dumps(content, indent=2) + "\n"


def write(path: Path, outcomes: Sequence[Outcome], machine: Mapping[str, Any]) -> None:
    """Write `out/bench.json`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(outcomes, machine), encoding="utf-8")


def show(console: Console, outcomes: Sequence[Outcome], machine: Mapping[str, Any]) -> None:
    """Print notes and errors, the table, and what it was measured on."""
    for figure in figures_of(outcomes):
        if figure.note:
            console.print(f"[bold]{figure.name}[/bold]: {escape(figure.note)}", soft_wrap=True)
    table = Table(title="Bench", title_justify="left")
    for name, justify in (("what", "left"), ("figure", "right"), ("spread", "right"), ("target", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("")
    for outcome in outcomes:
        for figure in outcome.figures:
            table.add_row(*_cells(figure))
        table.add_section()
    console.print(table)
    for outcome in outcomes:
        if outcome.error:
            console.print(f"[red]{outcome.part} failed:[/red] {escape(outcome.error)}", soft_wrap=True)
    before, after = machine["load_before"], machine["load_after"]
    console.print(f"{machine['cpu']}, {machine['cores']} cores; load {before:.1f} before, {after:.1f} after")


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    spread = ""
    if figure.value is not None and figure.low is not None and figure.high is not None:
        spread = f"{figure.show(figure.low)} to {figure.show(figure.high)}"
    if figure.least is None:
        return f"[dim]{escape(figure.words)}", f"[dim]{figure.show(figure.value)}", f"[dim]{spread}", "", ""
    verdict = "[green]met" if figure.met else "[red]MISSED"
    return escape(figure.words), figure.show(figure.value), spread, figure.show(figure.least), verdict
