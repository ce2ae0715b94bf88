"""`agent train`: train a policy and export it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

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


@click.command()
@click.option("--preset", default="demo", show_default=True, help="A preset's name (demo, quick) or a TOML file.")
@click.option("--out", type=PATH, default=Path("out/policy.npz"), show_default=True, help="Where the policy goes.")
@click.option("--limits", "limits_file", type=PATH, help="Limits file (TOML) of the vault. [default: caps of 60 %]")
@click.option("--data", type=PATH, help="CSV of daily rates to fit the market to. [default: the shipped parameters]")
@history_options
@click.option("--until", type=DAY, help="Fit to days before this one only: the day your evaluation starts.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Time to train, instead of the preset's.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed, instead of the preset's.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    preset: str,
    out: Path,
    limits_file: Path | None,
    data: Path | None,
    reading: Reading,
    until: datetime | None,
    seconds: float | None,
    seed: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a PPO policy and export it.

    Writes the policy (.npz) and its manifest (.json), whose digest is what governance commits on chain; the model for
    stable-baselines3's PPO.load (.zip); and the training curve (.curve.json).
    """
    from agent.market.synthetic import LEAST_FIT_DAYS, fitted_market, shipped_market
    from agent.training.preset import load_preset

    if until is not None and data is None:
        raise click.UsageError("--until says where the history of --data ends: give --data too")
    run = load_preset(preset, seconds=seconds, seed=seed)
    if data is None:
        names = names_of(limits_file)
        market = shipped_market(names)
    else:
        history = reading.load(data)
        names = history.names
        known = history if until is None else history.before(until.date())
        market = fitted_market(known, names)
        if known is None or len(known) < LEAST_FIT_DAYS:
            fitted = market.model.fitted_to
            note(
                f"{0 if known is None else len(known)} days are too few to fit a market: using the shipped parameters, "
                f"fitted to {fitted['source']} up to {fitted['last_day']}"
            )
    limits = limits_of(limits_file, len(market.names))
    writable(out)

    from agent.training.train import train as train_policy

    result = train_policy(run, limits, out, market=market, names=names_of(limits_file) or names, progress=not quiet)
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
        f"{result.steps:,} steps in {result.seconds:.0f} s; on {run.evaluation.test_paths} markets it never saw:\n"
    )
    print_table(result.evaluation)
    click.echo(f"\npolicy  {result.path}\ndigest  {result.policy.digest}")
