"""`agent data`: check market history before it is used."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import numpy as np

from agent.commands.common import DAY, PATH, Reading, history_options, print_json


@click.group()
def data() -> None:
    """Work with market history."""


@data.command()
@click.argument("file", type=PATH)
@history_options
@click.option("--start", type=DAY, help="First day of the window to check. [default: the first of the file]")
@click.option("--days", type=click.IntRange(min=1), help="Days of that window. [default: to the end]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(file: Path, reading: Reading, start: datetime | None, days: int | None, as_json: bool) -> None:
    """Check that FILE can be replayed; print its contents, or the line that is wrong.

    \b
    Three formats, CSV or Parquet, are recognised by their columns:
      date,NAME,NAME,...   one line a day, 2 to 16 markets, supply rates as APR
                           fractions per year (0.035 is 3.5 %)
      Compound V2          columns date, part, supply_apr_pct (percent) among others;
                           tvl_usd, if present, is the deposits of others
      Aave V3              columns snapshot_utc, network, symbol, supply_apr (fraction),
                           liquidity_index, asset, last_update_ts among others
    """
    history = reading.load(file).window(None if start is None else start.date(), days)
    markets = [
        {
            "name": name,
            "least": float(history.rates[0, :, index].min()),
            "mean": float(history.rates[0, :, index].mean()),
            "greatest": float(history.rates[0, :, index].max()),
            "mean_earned": None if history.earned is None else float(history.earned[0, 1:, index].mean()),
            "median_depth": None if history.depth is None else float(np.median(history.depth[0, :, index])),
        }
        for index, name in enumerate(history.names)
    ]
    missing = (history.end - history.start).days + 1 - len(history)
    if as_json:
        print_json(
            {
                "file": history.source,
                "first_day": history.start.isoformat(),
                "last_day": history.end.isoformat(),
                "days": len(history),
                "days_bridged_by_the_index": missing,
                "markets": markets,
                "gas": history.has_gas,
                "sha256": history.digest,
            }
        )
        return
    gaps = "without gaps" if not missing else f"and {missing} between them that the liquidity index bridges"
    click.echo(f"{history.source}: {len(history)} days {gaps}, {history.start} to {history.end}")
    for market in markets:
        line = f"  {market['name']:16s} {market['least']:7.2%} to {market['greatest']:7.2%}, mean {market['mean']:.2%}"
        if market["mean_earned"] is not None:
            line += f", earned {market['mean_earned']:.2%}"
        if market["median_depth"] is not None:
            line += f", others supply {market['median_depth']:,.0f} (median)"
        click.echo(line)
