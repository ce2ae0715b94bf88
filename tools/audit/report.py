"""What the audit comes to: targets, the table, and `out/audit.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.audit.part import Figure, Findings


@dataclass(frozen=True)
class Target:
    """A figure that must not be under `least`, nor over `most`."""

    figure: str
    part: str
    words: str
    least: float | None = None
    most: float | None = None
    share: bool = False

    def met(self, value: Figure) -> bool:
        """Whether the value is there and within the bounds."""
        if value is None:
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def show(self, value: Figure) -> str:
        """Return a value in the target's unit."""
        if value is None:
            return "none"
        return f"{value:.2%}" if self.share else f"{value:,}"

    @property
    def bound(self) -> str:
        """The bounds in words."""
        if self.least is not None:
            return f"at least {self.show(self.least)}"
        return self.show(0) if self.most == 0 else f"at most {self.show(self.most)}"


TARGETS = (
    Target("contract_size_bytes", "size", "runtime size of the vault, bytes", most=24_576),
    Target("slither_unanswered", "slither", "slither: high and medium, unanswered", most=0),
    Target("halmos_proved", "proofs", "properties proved", least=8),
    Target("halmos_not_proved", "proofs", "properties stated, but not proved", most=0),
    Target("coverage_lines", "coverage", "line coverage of contracts/", least=0.98, share=True),
    Target("coverage_branches", "coverage", "branch coverage of contracts/", least=0.95, share=True),
    Target("mutation_score", "mutation", "mutants caught", least=0.90, share=True),
    Target("mutants_unexplained", "mutation", "surviving mutants without an explanation", most=0),
    Target("invariant_calls", "invariants", "invariant calls", least=1_000_000),
    Target("invariant_violations", "invariants", "invariant violations", most=0),
    Target("worst_case_stolen_key", "invariants", "worst loss by a stolen key, of its bound", most=1, share=True),
)


@dataclass(frozen=True)
class Outcome:
    """One part's findings, or why it has none."""

    part: str
    seconds: float
    findings: Findings = field(default_factory=lambda: Findings({}))
    error: str | None = None


def missed(outcomes: Sequence[Outcome]) -> list[Target]:
    """Return the targets of the parts that ran which are not met."""
    ran = {outcome.part for outcome in outcomes}
    figures = all_figures(outcomes)
    return [target for target in TARGETS if target.part in ran and not target.met(figures.get(target.figure))]


def all_figures(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    """Return the figures of all parts, with None for those that a failed part owes."""
    figures: dict[str, Figure] = {}
    for outcome in outcomes:
        figures |= {target.figure: None for target in TARGETS if target.part == outcome.part}
        figures |= outcome.findings.figures
    return figures


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return what `out/audit.json` holds: figures, and for each part its seconds, notes, details and error."""
    parts: dict[str, Mapping[str, object]] = {
        outcome.part: {
            "seconds": round(outcome.seconds, 1),
            "error": outcome.error,
            "notes": list(outcome.findings.notes),
            **outcome.findings.details,
        }
        for outcome in outcomes
    }
    summary = {
        **all_figures(outcomes),
        "passed": not missed(outcomes),
        "missed": [target.figure for target in missed(outcomes)],
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
        "parts": parts,
    }
    return json.dumps(summary, indent=2) + "\n"


def write(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write `out/audit.json`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(outcomes), encoding="utf-8")


def show(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print the table, and under it what the parts noted."""
    figures = all_figures(outcomes)
    table = Table(title="Audit", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("target", style="dim")
    table.add_column("")
    for outcome in outcomes:
        for target in (target for target in TARGETS if target.part == outcome.part):
            value = figures.get(target.figure)
            verdict = "[green]met[/green]" if target.met(value) else "[red]MISSED[/red]"
            table.add_row(target.words, target.show(value), target.bound, verdict)
        table.add_section()
    for outcome in outcomes:
        if outcome.error or outcome.findings.notes:
            console.print(f"\n[bold]{outcome.part}[/bold] [dim]({outcome.seconds:.0f} s)[/dim]")
        if outcome.error:
            console.print(f"  [red]failed:[/red] {escape(outcome.error)}", soft_wrap=True)
        for note in outcome.findings.notes:
            console.print(f"  - {escape(note)}", soft_wrap=True)
    console.print()
    console.print(table)
