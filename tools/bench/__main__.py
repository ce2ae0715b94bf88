"""`make bench`: the agent's speed and how soon it is good, as ratios measured side by side, with targets."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tools.bench import machine, report

# Where each part is. They are loaded when they run: torch and numpy read their threads' settings once.
PARTS = {
    "environment": "environment",
    "export": "export",
    "ceiling": "ceiling",
    "ppo": "training",
    "recurrent": "training",
    "tuned": "tuned",
    "good-policy": "good_policy",
}
OUT = Path("out/bench.json")
_QUICK: dict[str, Any] = {"turns": 3, "reference_seconds": 12.0, "long_seconds": 30.0, "paths": 512}


@click.command(short_help="Measure the agent's speed")
@click.option("--only", "chosen", multiple=True, type=click.Choice(list(PARTS)), help="Run this part; may be repeated.")
@click.option("--quick", is_flag=True, help="Measure less: about three minutes, figures that vary more.")
@click.option("--long", type=click.FloatRange(min=6.0), help="Seconds of good-policy's long runs. [default: 210]")
@click.option("--reference", type=click.FloatRange(min=1.0), help="Seconds tuned's reference learns. [default: 60]")
@click.option("--check", is_flag=True, help="End with exit code 1 when a target is missed.")
@click.option("--json", "as_json", is_flag=True, help="Print what is written to the file instead of the table.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=OUT, show_default=True, help="File to write."
)
def cli(
    chosen: Sequence[str],
    quick: bool,
    long: float | None,
    reference: float | None,
    check: bool,
    as_json: bool,
    out: Path,
) -> None:
    """Measure environments, training, the exported policy, and how soon a policy is good.

    Every figure with a target is a ratio of two things measured in turns in this run, so that it means the same on
    other machines. Absolute speeds stand beside them for information. Ends with exit code 1 when a part could not
    measure; a missed target is a figure, and an error only with --check. Takes about twelve minutes on two idle cores.
    """
    before = machine.load()
    busy = machine.settle()
    console = Console(stderr=True, highlight=False)
    if busy:
        console.print(f"[yellow]The machine is busy (load {before:.1f}): what is timed by the wall clock is too low.")
    from tools.bench.part import Plan

    asked = {"long_seconds": long, "reference_seconds": reference}
    options = {**(_QUICK if quick else {}), **{key: value for key, value in asked.items() if value is not None}}
    plan = Plan(folder=out.parent / "bench", **options)
    plan.folder.mkdir(parents=True, exist_ok=True)
    about = {**machine.describe(), "load_before": before, "busy": busy, "plan": plan.as_json()}
    outcomes: list[report.Outcome] = []
    try:
        for name in [name for name in PARTS if name in chosen or not chosen]:
            outcomes.append(_run(name, plan, console))
            about["load_after"] = machine.load()
            report.write(out, outcomes, about)
    except KeyboardInterrupt:
        raise click.ClickException(f"Interrupted; what was measured so far is in {out}") from None
    if as_json:
        click.echo(report.as_json(outcomes, about), nl=False)
    else:
        report.show(Console(highlight=False, width=None if sys.stdout.isatty() else 150), outcomes, about)
        click.echo(f"Written to {out}")
    failed = any(outcome.error for outcome in outcomes)
    sys.exit(failed or (check and bool(report.missed(outcomes))))


def _run(name: str, plan: Any, console: Console) -> report.Outcome:
    """Run one part and tell what it is at; a part that fails keeps none of the others from running."""
    import torch

    from agent.errors import AgentError
    from tools.bench.part import BenchError

    torch.set_num_threads(1)
    began = time.monotonic()
    try:
        with console.status(name) as status:

            def say(text: str) -> None:
                status.update(f"{name}: {text}")
                if not console.is_terminal:
                    console.print(f"{name}: {text}", soft_wrap=True)

            part = getattr(import_module(f"tools.bench.{PARTS[name]}"), name.replace("-", "_"))
            figures = part(plan, say)
    except (BenchError, AgentError) as error:
        console.print(f"[red]{name}: failed[/red]")
        return report.Outcome(name, time.monotonic() - began, error=str(error))
    seconds = time.monotonic() - began
    console.print(f"[dim]{name}: done in {seconds:.0f} s[/dim]")
    return report.Outcome(name, seconds, figures)


if __name__ == "__main__":
    cli()
