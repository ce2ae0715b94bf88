"""`make audit`: the deep checks of the contracts, as figures with targets."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tools.audit.analysis import proofs, slither
from tools.audit.forge import coverage, fuzz, invariants, size
from tools.audit.mutation import mutation
from tools.audit.part import AuditError, Figure, Findings, Options, Say

OUT = Path("out/audit.json")


@dataclass(frozen=True)
class Target:
    """The bound of a figure: `at least` or `at most`. A `share` is shown in percent."""

    figure: str
    words: str
    side: str
    bound: float
    share: bool = False

    def met(self, value: Figure) -> bool:
        """Whether the value is there and on the right side of its bound."""
        return value is not None and (value >= self.bound if self.side == "at least" else value <= self.bound)

    def show(self, value: Figure) -> str:
        """Return a value in the target's unit."""
        return "none" if value is None else f"{value:.2%}" if self.share else f"{value:,}"


@dataclass(frozen=True)
class Part:
    """A part of the audit: the function that measures, and the targets of its figures.

    The function raises an `AuditError` where it has no figures: its targets are then missed.
    """

    measure: Callable[[Options, Say], Findings]
    targets: Sequence[Target]


# Quick ones first, so that their findings are soon known.
PARTS: Mapping[str, Part] = {
    "size": Part(
        size, [Target("contract_size_bytes", "runtime size of the larger contract, bytes", "at most", 24_576)]
    ),  # EIP-170
    "slither": Part(slither, [Target("slither_unanswered", "slither: high and medium, unanswered", "at most", 0)]),
    "proofs": Part(
        proofs,
        [
            Target("halmos_proved", "properties proved", "at least", 30),
            Target("halmos_not_proved", "properties stated, but not proved", "at most", 0),
        ],
    ),
    "coverage": Part(
        coverage,
        [
            Target("coverage_lines", "line coverage of contracts/", "at least", 1, share=True),
            Target("coverage_branches", "branch coverage of contracts/", "at least", 1, share=True),
        ],
    ),
    "fuzz": Part(
        fuzz,
        [
            Target("fuzz_runs", "runs of fuzz tests on a new seed", "at least", 500_000),
            Target("fuzz_failures", "tests that fail there", "at most", 0),
        ],
    ),
    "mutation": Part(
        mutation,
        [
            Target("mutation_score", "mutants caught", "at least", 0.90, share=True),
            Target("mutants_unexplained", "surviving mutants without an explanation", "at most", 0),
        ],
    ),
    "invariants": Part(
        invariants,
        [
            Target("invariant_calls", "invariant calls", "at least", 1_000_000),
            Target("invariant_violations", "invariant violations", "at most", 0),
            Target("worst_case_stolen_key", "worst loss by a stolen key, of its bound", "at most", 1, share=True),
            Target("worst_case_lying_strategy", "worst loss by a lying strategy, of it", "at most", 1, share=True),
        ],
    ),
}


@dataclass(frozen=True)
class Outcome:
    """One part's findings, or why it has none."""

    part: str
    seconds: float
    findings: Findings
    error: str | None

    @property
    def figures(self) -> Mapping[str, Figure]:
        """All figures, with None for those that a failed part owes."""
        return {**{target.figure: None for target in PARTS[self.part].targets}, **self.findings.figures}

    @property
    def missed(self) -> list[str]:
        """The figures that miss their targets."""
        return [target.figure for target in PARTS[self.part].targets if not target.met(self.figures[target.figure])]


@click.command(short_help="Run the deep checks of the contracts")
@click.option("--only", "chosen", multiple=True, type=click.Choice(list(PARTS)), help="Run this part; may be repeated.")
@click.option("--all", "every", is_flag=True, help="Try every mutant, not a sample (hours).")
@click.option(
    "--mutants", type=click.IntRange(1), default=Options.mutants, show_default=True, help="Mutants to sample."
)
@click.option(
    "--seed", type=click.IntRange(0), default=Options.seed, show_default=True, help="Of fuzz tests, sample, campaigns."
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=Options.seeds,
    show_default=True,
    help="Times of fuzz tests and campaigns, each with the next seed.",
)
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count(), show_default="processors", help="Work at once.")
@click.option("--json", "as_json", is_flag=True, help="Print what is written to the file instead of the table.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=OUT, show_default=True, help="File to write."
)
def cli(
    chosen: Sequence[str], every: bool, mutants: int, seed: int, seeds: int, jobs: int, as_json: bool, out: Path
) -> None:
    """Run slither, the proofs, coverage, fuzz tests, mutation and the deep invariants over the contracts.

    Writes the figures as JSON; with --only, those of the chosen parts alone. Ends with exit code 1 when a target is
    missed.
    """
    options = Options(jobs=jobs, mutants=None if every else mutants, seed=seed, seeds=seeds)
    outcomes: list[Outcome] = []
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        for name in [name for name in PARTS if name in chosen or not chosen]:
            outcomes.append(_run(name, options))
            out.write_text(_json(outcomes), encoding="utf-8")
    except KeyboardInterrupt:
        raise click.ClickException(f"Interrupted; the figures so far are in {out}.") from None
    if as_json:
        click.echo(_json(outcomes), nl=False)
    else:
        _show(outcomes)
        click.echo(f"Written to {out}")
    sys.exit(any(outcome.missed for outcome in outcomes))


def _run(name: str, options: Options) -> Outcome:
    """Run one part and show its progress; a part that fails keeps none of the others from running."""
    began = time.monotonic()

    def say(text: str) -> None:
        click.secho(f"{name}: {text}", dim=True, err=True)

    try:
        findings, error = PARTS[name].measure(options, say), None
    except AuditError as failure:
        findings, error = Findings({}), str(failure)
    seconds = time.monotonic() - began
    say(f"{'failed' if error else 'done'} after {seconds:.0f} s")
    return Outcome(name, seconds, findings, error)


def _json(outcomes: Sequence[Outcome]) -> str:
    """Return the text of `out/audit.json`: figures, and for each part its seconds, notes, details and error."""
    missed = [figure for outcome in outcomes for figure in outcome.missed]
    summary = {
        **{name: value for outcome in outcomes for name, value in outcome.figures.items()},
        "passed": not missed,
        "missed": missed,
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
        "parts": {
            outcome.part: {
                "seconds": round(outcome.seconds, 1),
                "error": outcome.error,
                "notes": list(outcome.findings.notes),
                **outcome.findings.details,
            }
            for outcome in outcomes
        },
    }
    return json.dumps(summary, indent=2) + "\n"


def _show(outcomes: Sequence[Outcome]) -> None:
    """Print the notes of the parts, and under them a line for each target."""
    for outcome in outcomes:
        for note in [*([f"failed: {outcome.error}"] if outcome.error else []), *outcome.findings.notes]:
            click.echo(f"{outcome.part}: {note}")
    for outcome in outcomes:
        for target in PARTS[outcome.part].targets:
            value, bound = target.show(outcome.figures[target.figure]), f"{target.side} {target.show(target.bound)}"
            missed = target.figure in outcome.missed
            verdict = click.style("MISSED" if missed else "met", fg="red" if missed else "green")
            click.echo(f"{target.words:45} {value:>12}   {bound:20} {verdict}")


if __name__ == "__main__":
    cli()
