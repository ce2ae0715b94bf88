"""`agent evaluate`: compare policies with the baselines, on drawn markets or on history."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

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
)

if TYPE_CHECKING:
    import numpy as np

    from agent.backtest import Setting
    from agent.market.history import RateHistory
    from agent.market.path import MarketPath
    from agent.policies.load import Policy


@click.command()
@click.argument("policies", nargs=-1, required=True)
@click.option(
    "--env",
    "env_name",
    type=click.Choice(["lending", "defi", "rwa"]),
    default="lending",
    show_default=True,
    help="Environment of the policies; defi and rwa run on drawn markets, under their own costs.",
)
@click.option("--limits", "limits_file", type=PATH, help="Limits file (TOML). [default: the environment's]")
@click.option("--data", type=PATH, help="CSV of daily rates to replay. [default: markets drawn from a model]")
@history_options
@click.option("--start", type=DAY, help="First day of the replay. [default: the first of the file]")
@click.option("--days", type=click.IntRange(2, 36_500), help="Days. [default: all of the file; 365 of a drawn market]")
@click.option("--paths", type=click.IntRange(1, 10_000), default=32, show_default=True, help="Markets to draw.")
@click.option("--seed", type=click.IntRange(min=0), default=20_000, show_default=True, help="Seed to draw them with.")
@click.option("--nav", type=click.FloatRange(min=0, min_open=True), help="Assets. [default: the environment's]")
@click.option("--cost-bp", type=click.FloatRange(0, 1000), help="Cost of a leg, bp; a move is two legs. [default: 0]")
@click.option(
    "--gas-gwei", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Price of gas, without --gas."
)
@click.option(
    "--eth-price", type=click.FloatRange(min=0), default=3000.0, show_default=True, help="Price of ETH, without --gas."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def evaluate(
    policies: tuple[str, ...],
    env_name: str,
    limits_file: Path | None,
    data: Path | None,
    reading: Reading,
    start: datetime | None,
    days: int | None,
    paths: int,
    seed: int,
    nav: float | None,
    cost_bp: float | None,
    gas_gwei: float,
    eth_price: float,
    as_json: bool,
) -> None:
    """Compare POLICIES with all baselines.

    A policy is a file of `agent train`, `agent export` or `agent promote`, or a baseline's name (equal-weight, hold,
    greedy, greedy-band).
    """
    from dataclasses import replace

    import numpy as np

    from agent.backtest import Setting, compare
    from agent.market.lending import shipped_market
    from agent.market.path import gas_cost
    from agent.policies.load import load_policy
    from agent.policies.rules import BASELINES
    from agent.vault.portfolio import Costs

    if env_name != "lending" and (data is not None or days is not None or cost_bp is not None):
        raise click.UsageError("--data, --days and --cost-bp are for the lending environment")
    if data is None and (start is not None or reading.chosen):
        raise click.UsageError("--start, --parts, --network and --gas belong to the history of --data: give --data too")
    setting: Setting | None = None
    if env_name != "lending":
        path, setting, source = _drawn(env_name, limits_file, np.random.default_rng(seed), paths)
    elif data is None:
        names = names_of(limits_file)
        market = replace(shipped_market(names), gwei=gas_gwei, eth_price=eth_price)
        length = (days or 365) + 1
        path = market.sample(np.random.default_rng(seed), paths, length)
        source = f"{paths} markets of {length - 1} days drawn from the shipped model with seed {seed}"
    else:
        window = reading.load(data).window(None if start is None else start.date(), None if days is None else days + 1)
        price = np.full_like(window.gas_cost, gas_cost(gas_gwei, eth_price))
        path = window if window.has_gas else replace(window, gas_cost=price)
        source = f"{window.source}, {len(window) - 1} days from {window.start}: {', '.join(window.names)}"
    chosen = list(dict.fromkeys([*policies, *BASELINES]))
    setting = setting or Setting(limits_of(limits_file, path.count))
    loaded = [load_policy(name, path.count, version=setting.version) for name in chosen]
    if data is not None:
        for policy in loaded:
            _note_if_seen(policy, window)
    if nav is not None:
        setting = replace(setting, nav=nav)
    if cost_bp is not None:
        setting = replace(setting, costs=Costs(entry=cost_bp * 1e-4, exit=cost_bp * 1e-4))
    results = compare(loaded, path, setting)
    if as_json:
        digests = [{"source": name, "digest": policy.digest} for name, policy in zip(chosen, loaded, strict=True)]
        print_json({"market": source, "policies": [{**a, **b} for a, b in zip(digests, results, strict=True)]})
        return
    click.echo(f"{source}\n")
    print_table(results)


def _drawn(
    env_name: str, limits_file: Path | None, rng: np.random.Generator, paths: int
) -> tuple[MarketPath, Setting, str]:
    """Draw markets of another environment; return them, their setting and their description."""
    from agent.envs.presets import env_preset
    from agent.training.preset import typical_setting

    env = env_preset(env_name)
    config = env.config(None)
    if limits_file is not None:
        config = env.config(limits_of(limits_file, config.limits.count))
    path = env.market().sample(rng, paths, config.episode_rows + 1)
    return path, typical_setting(config), f"{paths} markets of {config.episode_rows} rows drawn for {env.env_id}"


def _note_if_seen(policy: Policy, window: RateHistory) -> None:
    """Print a note where a policy was trained on the days that it is now tested on."""
    market = getattr(policy, "manifest", {}).get("training", {}).get("market", {})
    for part in market.get("parts", [market.get("fitted_to", market)]):
        same = window.digest == part.get("sha256") or window.source == part.get("source")
        if same and part.get("last_day", "") >= window.start.isoformat():
            note(f"{policy.name} was trained on this file up to {part['last_day']}: these days are not out of sample")
            return
