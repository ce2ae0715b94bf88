"""`agent sweep`: search for a preset's hyper-parameters."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from agent.commands.common import DAY, PATH, Reading, history_options, print_json, writable
from agent.commands.train import run_of


@click.command()
@click.option("--preset", default="demo", show_default=True, help="A preset (demo, quick, defi, rwa, ...) or a file.")
@click.option("--trials", type=click.IntRange(min=1), default=50, show_default=True, help="Trials in all.")
@click.option("--out", type=PATH, default=Path("out/best.toml"), show_default=True, help="Where the best preset goes.")
@click.option(
    "--storage",
    default="sqlite:///out/sweep.db",
    show_default=True,
    help="URL of the database that keeps the trials; processes and machines with the same one share the search.",
)
@click.option("--study", help="Name of the search; one of this name goes on. [default: the preset's name]")
@click.option("--workers", type=click.IntRange(min=1), help="Trials at a time. [default: one per core, or CPU of Ray]")
@click.option("--ray", metavar="ADDRESS", help="Run on this Ray cluster (HOST:PORT or auto) instead of this machine.")
@click.option("--limits", "limits_file", type=PATH, help="Limits file (TOML). [default: the environment's]")
@click.option("--data", type=PATH, help="CSV of daily rates to fit the market to. [default: the shipped parameters]")
@history_options
@click.option("--until", type=DAY, help="Fit to days before this one only.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Time of a trial, not the preset's.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of training and search, instead of the preset's.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def sweep(
    *,
    trials: int,
    out: Path,
    storage: str,
    study: str | None,
    workers: int | None,
    ray: str | None,
    reading: Reading,
    until: datetime | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Search for better hyper-parameters of a preset.

    Writes the best preset as a file for `agent train --preset FILE`. A search that was stopped goes on where it was
    when it is started again. The first trial is the preset itself.
    """
    if until is not None and options["data"] is None:
        raise click.UsageError("--until says where the history of --data ends: give --data too")
    preset, limits, market, names = run_of(
        {**options, "reading": vars(reading), "until": until and until.date().isoformat()}
    )
    writable(out)
    if storage.startswith("sqlite:///") and storage != "sqlite:///:memory:":
        writable(Path(storage.removeprefix("sqlite:///")))

    from agent.training.preset import preset_toml
    from agent.training.sweep import Search
    from agent.training.sweep import sweep as search

    result = search(
        Search(preset, limits, market, names, storage, study or preset.name, trials, preset.seed),
        workers=workers,
        ray=ray,
        progress=not quiet,
    )
    out.write_text(preset_toml(result.preset), encoding="utf-8")
    if as_json:
        print_json(
            {
                "preset": str(out),
                "score": result.score,
                "own_score": result.own_score,
                "trial": result.number,
                "storage": storage,
                "study": study or preset.name,
                "trials": result.trials,
            }
        )
        return
    states = [trial["state"] for trial in result.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    own = "was given up" if result.own_score is None else f"has {result.own_score:.5f}"
    click.echo(f"{len(states)} trials ({counts}); best score {result.score:.5f} in trial {result.number}")
    click.echo(f"the preset itself {own}")
    best = next(trial for trial in result.trials if trial["number"] == result.number)
    for name, value in best.items():
        if name not in ("number", "state", "score"):
            click.echo(f"  {name:16s} {value}")
    click.echo(f"\npreset  {out}")
