"""`make audit`: the deep checks of the contracts, as figures with targets."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.status import Status

from tools.audit import report
from tools.audit.coverage import coverage
from tools.audit.errors import AuditError
from tools.audit.invariants import invariants
from tools.audit.mutation import mutation
from tools.audit.part import Findings, Options, Say
from tools.audit.proofs import proofs
from tools.audit.size import size
from tools.audit.slither import slither
from tools.audit.tools import install

# Quick ones first: what they find is soon known.
PARTS: Mapping[str, Callable[[Options, Say], Findings]] = {
    "size": size,
    "slither": slither,
    "proofs": proofs,
    "coverage": coverage,
    "mutation": mutation,
    "invariants": invariants,
}
OUT = Path("out/audit.json")
QUIET_SECONDS = 60.0
"""Between two lines of progress where there is no terminal."""


@click.command(short_help="Run the deep checks of the contracts")
@click.option("--only", "chosen", multiple=True, type=click.Choice(list(PARTS)), help="Run this part; may be repeated.")
@click.option("--all", "every", is_flag=True, help="Try every mutant, not a sample (hours).")
@click.option(
    "--mutants", type=click.IntRange(1), default=Options.mutants, show_default=True, help="Sample of mutants."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=Options.seed,
    show_default=True,
    help="Of the sample and of the campaigns.",
)
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count(), show_default="processors", help="Work at once.")
@click.option("--json", "as_json", is_flag=True, help="Print what is written to the file instead of the table.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=OUT, show_default=True, help="File to write."
)
def cli(chosen: Sequence[str], every: bool, mutants: int, seed: int, jobs: int, as_json: bool, out: Path) -> None:
    """Run slither, the proofs, coverage, mutation and the deep invariants over the contracts.

    Writes the figures as JSON; with --only, those of the chosen parts alone. Ends with exit code 1 when a target is
    missed.
    """
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 110)
    options = Options(jobs=jobs, mutants=None if every else mutants, seed=seed)
    try:
        install(lambda text: console.print(f"[dim]{text}[/dim]"))
    except AuditError as error:
        raise click.ClickException(str(error)) from error
    outcomes = []
    try:
        for name in [name for name in PARTS if name in chosen or not chosen]:
            outcomes.append(_run(name, options, console))
            report.write(out, outcomes)
    except KeyboardInterrupt:
        raise click.ClickException("Interrupted; what was found so far is in " + str(out)) from None
    if as_json:
        click.echo(report.as_json(outcomes), nl=False)
    else:
        report.show(Console(highlight=False, width=None if sys.stdout.isatty() else 110), outcomes)
        click.echo(f"Written to {out}")
    sys.exit(bool(report.missed(outcomes)))


def _run(name: str, options: Options, console: Console) -> report.Outcome:
    """Run one part and show what it is at; a part that fails keeps none of the others from running."""
    began = time.monotonic()
    with console.status(name) as status:
        try:
            findings = PARTS[name](options, _teller(name, console, status))
        except AuditError as error:
            console.print(f"[red]{name}: failed[/red]")
            return report.Outcome(name, time.monotonic() - began, error=str(error))
    seconds = time.monotonic() - began
    console.print(f"[dim]{name}: done in {seconds:.0f} s[/dim]")
    return report.Outcome(name, seconds, findings)


def _teller(name: str, console: Console, status: Status) -> Say:
    """Return what a part says its progress to: a line that changes on a terminal, now and then a line elsewhere."""
    last = -QUIET_SECONDS

    def say(text: str, *, lasting: bool = False) -> None:
        nonlocal last
        if lasting:
            console.print(f"{name}: {text}")
            return
        status.update(f"{name}: {text}")
        if not console.is_terminal and time.monotonic() - last >= QUIET_SECONDS:
            last = time.monotonic()
            console.print(f"{name}: {text}")

    return say


if __name__ == "__main__":
    cli()
