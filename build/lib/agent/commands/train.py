"""`agent train`: train a policy and export it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.commands.common import (
    DAY,
    PATH,
    Reading,
    history_options,
    limits_of,
    names_of,
    note,
    print_json,
    print_table,
    writable,
)
from agent.errors import CheckpointError

if TYPE_CHECKING:
    from agent.market.path import Market
    from agent.training.preset import Preset
    from agent.vault.limits import Limits

_FOLDER = click.Path(path_type=Path, file_okay=False)
_COMMAND = "command.json"  # beside the checkpoint: what the run was started with


@click.command()
@click.option("--preset", default="demo", show_default=True, help="A preset (demo, quick, defi, rwa, ...) or a file.")
@click.option("--out", type=PATH, default=Path("out/policy.npz"), show_default=True, help="Where the policy goes.")
@click.option(
    "--limits", "limits_file", type=PATH, help="Limits file (TOML) of the vault. [default: the environment's]"
)
@click.option("--data", type=PATH, help="CSV of daily rates to fit the market to. [default: the shipped parameters]")
@history_options
@click.option("--until", type=DAY, help="Fit to days before this one only: the day your evaluation starts.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Time to train, instead of the preset's.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed, instead of the preset's.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "auto"]),
    help="Device of the network; auto is CUDA if there is one. [default: cpu]",
)
@click.option("--checkpoints", type=_FOLDER, help="Folder to save the run to, so that it can be resumed.")
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds between two checkpoints.",
)
@click.option("--resume", type=_FOLDER, help="Go on with the run of this folder of checkpoints, with its options.")
@click.option("--tensorboard", type=_FOLDER, help="Folder for TensorBoard's logs.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    *,
    reading: Reading,
    until: datetime | None,
    data: Path | None,
    checkpoints: Path | None,
    checkpoint_every: float,
    resume: Path | None,
    tensorboard: Path | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a PPO policy and export it.

    Writes the policy (.npz) and its manifest (.json), whose digest is what governance commits on chain; the model for
    stable-baselines3's PPO.load (.zip); and the training curve (.curve.json).

    With --checkpoints a run that was killed goes on with `agent train --resume FOLDER`; --seconds then gives it another
    budget, counted from its first start, and --device another device. Networks as small as the presets' learn fastest
    on the CPU.
    """
    if until is not None and data is None:
        raise click.UsageError("--until says where the history of --data ends: give --data too")
    given = {**options, "data": data, "reading": vars(reading), "until": until and until.date().isoformat()}
    if resume is not None:
        given = {**_started_with(resume), **{key: options[key] for key in ("seconds", "device") if options[key]}}
    elif checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
        absolute = {key: str(value.resolve()) if isinstance(value, Path) else value for key, value in given.items()}
        (checkpoints / _COMMAND).write_text(json.dumps(absolute, indent=1) + "\n", encoding="utf-8")
    out, folder = Path(given["out"]), resume or checkpoints
    preset, limits, market, names = run_of(given)
    writable(out)

    from agent.training.train import Checkpoints
    from agent.training.train import train as train_policy

    result = train_policy(
        preset,
        limits,
        out,
        market=market,
        names=names,
        progress=not quiet,
        checkpoints=None if folder is None else Checkpoints(folder, checkpoint_every, resume is not None),
        tensorboard=tensorboard,
        device=given.get("device") or "cpu",  # runs of older versions do not say
    )
    if as_json:
        print_json(
            {
                "policy": str(result.path),
                "digest": result.policy.digest,
                "steps": result.steps,
                "seconds": result.seconds,
                "evaluation": result.evaluation,
                "curve": result.curve,
            }
        )
        return
    click.echo(
        f"{result.steps:,} steps in {result.seconds:.0f} s; on {preset.evaluation.test_paths} markets it never saw:\n"
    )
    print_table(result.evaluation)
    click.echo(f"\npolicy  {result.path}\ndigest  {result.policy.digest}")


def _started_with(folder: Path) -> dict[str, Any]:
    """Return the options that the run of a folder was started with."""
    path = folder / _COMMAND
    try:
        options: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot go on from {folder} ({error}): give the folder of --checkpoints") from error
    return options


def run_of(given: dict[str, Any]) -> tuple[Preset, Limits | None, Market, tuple[str, ...] | None]:
    """Return preset, limits, market and the strategies' names that options stand for."""
    from datetime import date

    from agent.market.lending import MIN_FIT_DAYS, fitted_market, shipped_market
    from agent.training.preset import load_preset

    preset = load_preset(given["preset"], seconds=given["seconds"], seed=given["seed"])
    limits_file = None if given["limits_file"] is None else Path(given["limits_file"])
    names = names_of(limits_file)
    if given["data"] is not None:
        if preset.env.preset != "lending":
            raise click.UsageError(f"--data is a history of lending rates, but the preset is of {preset.env.preset!r}")
        history = Reading(**given["reading"]).load(Path(given["data"]))
        known = history if given["until"] is None else history.before(date.fromisoformat(given["until"]))
        market = fitted_market(known, history.names)
        if known is None or len(known) < MIN_FIT_DAYS:
            fitted = market.model.fitted_to
            note(
                f"{0 if known is None else len(known)} days are too few to fit a market: using the shipped parameters, "
                f"fitted to {fitted['source']} up to {fitted['last_day']}"
            )
        return preset, limits_of(limits_file, len(market.names)), market, names or history.names
    if preset.env.preset == "lending":
        drawn = shipped_market(names)
        return preset, limits_of(limits_file, len(drawn.names)), drawn, names
    own = preset.env_preset.market()
    return preset, None if limits_file is None else limits_of(limits_file, len(own.names)), own, names
