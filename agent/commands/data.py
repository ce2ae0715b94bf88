"""`agent data`: look at market history before anything is built on it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from agent.commands.common import DAY, PATH, history_of, print_json


@click.group()
def data() -> None:
    """Work with market history."""


@data.command()
@click.argument("file", type=PATH)
@click.option("--parts", help="Markets of a Compound V2 file, separated by commas. [default: dai_1,usdc,usdt]")
@click.option("--start", type=DAY, help="First day of a window that is needed.")
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
    history = history_of(file, parts).window(None if start is None else start.date(), days)
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
        print_json(
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
