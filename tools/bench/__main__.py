"""`make bench`: the speed of the agent and how soon it is good, as ratios measured side by side, with targets."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tools.bench import figures, measure

# Module of each part. It is imported when the part runs: torch and numpy read their threads' settings once.
PARTS = {
    "environment": "environment",
    "export": "export",
    "ppo": "training",
    "recurrent": "training",
    "tuned": "returns",
    "good-policy": "returns",
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
    other machines. Absolute speeds stand beside them for information. The exit code is 1 when a part could not measure;
    a missed target is a figure, and an error only with --check. Takes about twelve minutes on two idle cores.
    """
    before = measure.load()
    busy = measure.settle()
    console = Console(stderr=True, highlight=False)
    if busy:
        console.print(f"[yellow]The machine is busy (load {before:.1f}): what is timed by the wall clock is too low.")
    asked = {"long_seconds": long, "reference_seconds": reference}
    options = {**(_QUICK if quick else {}), **{key: value for key, value in asked.items() if value is not None}}
    plan = figures.Plan(folder=out.parent / "bench", **options)
    plan.folder.mkdir(parents=True, exist_ok=True)
    about = {**measure.machine(), "load_before": before, "busy": busy, "plan": plan.as_json()}
    outcomes: list[figures.Outcome] = []
    try:
        for name in [name for name in PARTS if name in chosen or not chosen]:
            outcomes.append(_run(name, plan, console))
            about["load_after"] = measure.load()
            out.write_text(figures.as_json(outcomes, about), encoding="utf-8")
    except KeyboardInterrupt:
        raise click.ClickException(f"Interrupted; what was measured so far is in {out}") from None
    if as_json:
        click.echo(figures.as_json(outcomes, about), nl=False)
    else:
        figures.show(Console(highlight=False, width=None if sys.stdout.isatty() else 150), outcomes, about)
        click.echo(f"Written to {out}")
    failed = any(outcome.error for outcome in outcomes)
    sys.exit(failed or (check and bool(figures.missed(outcomes))))


def _run(name: str, plan: figures.Plan, console: Console) -> figures.Outcome:
    """Run one part and show its progress; a part that fails does not stop the others."""
    import torch

    from agent.errors import AgentError

    torch.set_num_threads(1)
    began = time.monotonic()
    try:
        with console.status(name) as status:

            def say(text: str) -> None:
                status.update(f"{name}: {text}")
                if not console.is_terminal:
                    console.print(f"{name}: {text}", soft_wrap=True)

            part = getattr(import_module(f"tools.bench.{PARTS[name]}"), name.replace("-", "_"))
            measured = part(plan, say)
    except (figures.BenchError, AgentError) as error:
        console.print(f"[red]{name}: failed[/red]")
        return figures.Outcome(name, time.monotonic() - began, error=str(error))
    seconds = time.monotonic() - began
    console.print(f"[dim]{name}: done in {seconds:.0f} s[/dim]")
    return figures.Outcome(name, seconds, measured)


if __name__ == "__main__":
    cli()
