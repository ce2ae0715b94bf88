"""The `agent` command: train a policy, evaluate policies, check market history.

Exit codes: 0 done, 1 something the user can mend (one line says what), 2 wrong usage. torch is loaded by `train` only.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.limits import Limits
    from agent.market.replay import RateHistory
    from agent.policy import Policy

_EXAMPLES = """\b
Examples:
  agent train --out out/policy.npz
  agent train --data history.csv --until 2022-06-01 --out out/policy.npz
  agent evaluate out/policy.npz --data history.csv --start 2022-06-01 --days 90
  agent data check history.csv
"""

_PATH = click.Path(path_type=Path, dir_okay=False)
_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group(epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Train and evaluate the policies that steer a Bulkhead vault."""


@cli.command()
@click.option("--preset", default="demo", show_default=True, help="A preset's name (demo, quick) or a TOML file.")
@click.option("--out", type=_PATH, default=Path("out/policy.npz"), show_default=True, help="Where the policy goes.")
@click.option("--limits", "limits_file", type=_PATH, help="Limits file (TOML) of the vault. [default: caps of 60 %]")
@click.option("--data", type=_PATH, help="CSV of daily rates to fit the market to. [default: the shipped parameters]")
@click.option("--parts", help="Markets of a Compound V2 file, separated by commas. [default: dai_1,usdc,usdt]")
@click.option("--until", type=_DAY, help="Fit to days before this one only: the day your evaluation starts.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Time to train, instead of the preset's.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed, instead of the preset's.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    preset: str,
    out: Path,
    limits_file: Path | None,
    data: Path | None,
    parts: str | None,
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
        names = _names(limits_file)
        market = shipped_market(names)
    else:
        history = _history(data, parts)
        names = history.names
        known = history if until is None else history.before(until.date())
        market = fitted_market(known, names)
        if known is None or len(known) < LEAST_FIT_DAYS:
            fitted = market.model.fitted_to
            _note(
                f"{0 if known is None else len(known)} days are too few to fit a market: using the shipped parameters, "
                f"fitted to {fitted['source']} up to {fitted['last_day']}"
            )
    limits = _limits(limits_file, len(market.names))
    _writable(out)

    from agent.training.train import train as train_policy

    result = train_policy(run, limits, out, market=market, names=_names(limits_file) or names, progress=not quiet)
    if as_json:
        _print_json(
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
    _print_table(result.evaluation)
    click.echo(f"\npolicy  {result.path}\ndigest  {result.policy.digest}")


@cli.command()
@click.argument("policies", nargs=-1, required=True)
@click.option("--limits", "limits_file", type=_PATH, help="Limits file (TOML) of the vault. [default: caps of 60 %]")
@click.option("--data", type=_PATH, help="CSV of daily rates to replay. [default: markets drawn from a model]")
@click.option("--parts", help="Markets of a Compound V2 file, separated by commas. [default: dai_1,usdc,usdt]")
@click.option("--start", type=_DAY, help="First day of the replay. [default: the first of the file]")
@click.option("--days", type=click.IntRange(2, 36_500), help="Days. [default: all of the file; 365 of a drawn market]")
@click.option("--paths", type=click.IntRange(1, 10_000), default=32, show_default=True, help="Markets to draw.")
@click.option("--seed", type=click.IntRange(min=0), default=20_000, show_default=True, help="Seed to draw them with.")
@click.option("--nav", type=click.FloatRange(min=0, min_open=True), default=1e7, show_default=True, help="Assets.")
@click.option("--gas-gwei", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Price of gas.")
@click.option("--eth-price", type=click.FloatRange(min=0), default=3000.0, show_default=True, help="Price of ETH.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def evaluate(
    policies: tuple[str, ...],
    limits_file: Path | None,
    data: Path | None,
    parts: str | None,
    start: datetime | None,
    days: int | None,
    paths: int,
    seed: int,
    nav: float,
    gas_gwei: float,
    eth_price: float,
    as_json: bool,
) -> None:
    """Compare POLICIES with all baselines.

    A policy is a file made by `agent train`, or a baseline's name (equal-weight, hold, greedy, greedy-band).
    """
    from dataclasses import replace

    import numpy as np

    from agent.evaluation.backtest import Setting, compare
    from agent.evaluation.baselines import BASELINES
    from agent.market.path import gas_cost
    from agent.market.synthetic import shipped_market
    from agent.policy import load_policy

    if data is None and (start is not None or parts is not None):
        raise click.UsageError("--start and --parts choose from the history of --data: give --data too")
    if data is None:
        names = _names(limits_file)
        market = replace(shipped_market(names), gwei=gas_gwei, eth_price=eth_price)
        length = (days or 365) + 1
        path = market.sample(np.random.default_rng(seed), paths, length)
        source = f"{paths} markets of {length - 1} days drawn from the shipped model with seed {seed}"
    else:
        window = _history(data, parts).window(
            None if start is None else start.date(), None if days is None else days + 1
        )
        path = window.path(gas_cost(gas_gwei, eth_price))
        source = f"{window.source}, {len(window) - 1} days from {window.start}: {', '.join(window.names)}"
    chosen = list(dict.fromkeys([*policies, *BASELINES]))
    loaded = [load_policy(name, path.count) for name in chosen]
    if data is not None:
        for policy in loaded:
            _note_if_seen(policy, window)
    setting = Setting(_limits(limits_file, path.count), nav=nav)
    results = compare(loaded, path, setting)
    if as_json:
        digests = [{"source": name, "digest": policy.digest} for name, policy in zip(chosen, loaded, strict=True)]
        _print_json({"market": source, "policies": [{**a, **b} for a, b in zip(digests, results, strict=True)]})
        return
    click.echo(f"{source}\n")
    _print_table(results)


@cli.group()
def data() -> None:
    """Work with market history."""


@data.command()
@click.argument("file", type=_PATH)
@click.option("--parts", help="Markets of a Compound V2 file, separated by commas. [default: dai_1,usdc,usdt]")
@click.option("--start", type=_DAY, help="First day of a window that is needed.")
@click.option("--days", type=click.IntRange(min=1), help="Days that are needed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(file: Path, parts: str | None, start: datetime | None, days: int | None, as_json: bool) -> None:
    """Check that FILE can be replayed; say what is in it, or which line is wrong.

    \b
    Two formats are recognised by their header:
      date,NAME,NAME,...   one line a day, 2 to 16 markets, supply rates as APR
                           fractions per year (0.035 is 3.5 %)
      Compound V2          columns date, part, supply_apr_pct (percent) among others
    """
    history = _history(file, parts).window(None if start is None else start.date(), days)
    rates = history.rates
    markets = [
        {
            "name": name,
            "least": float(rates[:, index].min()),
            "mean": float(rates[:, index].mean()),
            "greatest": float(rates[:, index].max()),
        }
        for index, name in enumerate(history.names)
    ]
    if as_json:
        _print_json(
            {
                "file": history.source,
                "first_day": history.start.isoformat(),
                "last_day": history.end.isoformat(),
                "days": len(history),
                "markets": markets,
                "sha256": history.digest,
            }
        )
        return
    click.echo(f"{history.source}: {len(history)} days without gaps, {history.start} to {history.end}")
    for market in markets:
        click.echo(
            f"  {market['name']:16s} {market['least']:7.2%} to {market['greatest']:7.2%}, mean {market['mean']:.2%}"
        )


def _history(path: Path, parts: str | None) -> RateHistory:
    from agent.market.replay import COMPOUND_PARTS, load_history

    return load_history(path, COMPOUND_PARTS if parts is None else [part.strip() for part in parts.split(",")])


def _limits(path: Path | None, count: int) -> Limits:
    from agent.errors import LimitsError
    from agent.limits import Limits, load_limits

    limits = Limits.uniform(count) if path is None else load_limits(path).limits()
    if limits.count != count:
        raise LimitsError(f"{path} has limits for {limits.count} strategies but the market has {count}: give as many")
    return limits


def _names(path: Path | None) -> tuple[str, ...] | None:
    from agent.limits import load_limits

    return None if path is None else load_limits(path).names


def _writable(path: Path) -> None:
    """Find out before training, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise AgentError(f"cannot write {path}: {error.strerror or error}; choose another --out") from error


def _note(text: str) -> None:
    click.echo(f"note: {text}", err=True)


def _note_if_seen(policy: Policy, window: RateHistory) -> None:
    """Say so where a policy was trained on the very days it is now tested on."""
    manifest = getattr(policy, "manifest", {})
    fitted = manifest.get("training", {}).get("market", {}).get("fitted_to", {})
    if fitted.get("sha256") == window.digest and fitted.get("last_day", "") >= window.start.isoformat():
        _note(f"{policy.name} was trained on this file up to {fitted['last_day']}: these days are not out of sample")


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, allow_nan=False))


_COLUMNS = (
    ("policy", "policy", "s"),
    ("annual_return", "return/year", ".3%"),
    ("rebalances", "rebalances", ".1f"),
    ("turnover_per_year", "turnover/year", ".1f"),
    ("gas_paid", "gas paid", ",.2f"),
    ("max_drawdown", "drawdown", ".2%"),
    ("cap_hits", "cap hits", ".1f"),
    ("concentration", "concentration", ".2f"),
)


def _print_table(results: Sequence[dict[str, float | str]]) -> None:
    lines = [[title for _, title, _ in _COLUMNS]]
    lines += [[format(result[key], style) for key, _, style in _COLUMNS] for result in results]
    widths = [max(len(line[index]) for line in lines) for index in range(len(_COLUMNS))]
    for line in lines:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        click.echo("  ".join(cells))


def main() -> NoReturn:
    """Run the command; what the user can mend is said on one line."""
    try:
        cli(standalone_mode=False)
    except AgentError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("error: stopped", err=True)
        sys.exit(1)
    sys.exit(0)
