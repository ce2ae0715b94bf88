"""`keeper price`: what each source of the native coin's price says, what they agree on, and the quotes beside it."""

from __future__ import annotations

import time
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from keeper.chain.rpc import Rpc
from keeper.config import KeeperConfig
from keeper.errors import NoPriceError
from keeper.feeds.price import agree, ask


def gather(config: KeeperConfig) -> dict[str, Any]:
    """Ask every source, and return plain data: the price or None, errors, and a line for each source and quote."""
    rpc = Rpc(config.rpc_url.get_secret_value(), config.rpc_timeout_seconds, config.safe_rpc_url)
    if config.prices is not None or config.quotes or config.rates:
        rpc.check_chain(config.chain_id)
    shown = _shown(config, rpc)
    if config.prices is None:
        return {"price": config.native_price, "error": None, "sources": [], "quotes": shown}
    now, sources = time.time(), config.prices.build(rpc)
    quotes, failed = ask(sources, now)
    value: float | None = None
    trouble: str | None = None
    try:
        price = agree(quotes, failed, now, config.prices.agreement)
        value, left_out = price.value, dict(price.left_out)
    except NoPriceError as error:
        trouble = str(error)
        left_out = {quote.source: fault for quote in quotes if (fault := quote.fault(now))} | failed
    said = {quote.source: quote for quote in quotes}
    lines = [
        {
            "source": source.name,
            "price": said[source.name].price if source.name in said else None,
            "age_seconds": round(now - said[source.name].time, 3) if source.name in said else None,
            "left_out": left_out.get(source.name),
        }
        for source in sources
    ]
    return {"price": value, "error": trouble, "sources": lines, "quotes": shown}


def _shown(config: KeeperConfig, rpc: Rpc) -> list[dict[str, Any]]:
    """Return a line for each quote and each rate: its value, or why there is none."""
    lines = []
    for feed in (*config.quote_feeds(rpc).values(), *config.rate_feeds(rpc).values()):
        line: dict[str, Any] = {"about": feed.about, "value": None, "error": None}
        try:
            line["value"] = feed.read(time.time()).value
        except NoPriceError as error:
            line["error"] = str(error)
        lines.append(line)
    return lines


def show(found: dict[str, Any]) -> None:
    """Print what `gather` found."""
    console = Console()
    _show_quotes(found["quotes"], console)
    if not found["sources"]:
        console.print(f"The configuration has a fixed price, {found['price']:,.6g}: nothing else is asked.")
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("source", overflow="fold")
    table.add_column("price", justify="right")
    table.add_column("age", justify="right")
    table.add_column("counts", overflow="fold")
    for line in found["sources"]:
        price = "" if line["price"] is None else f"{line['price']:,.6g}"
        age = "" if line["age_seconds"] is None else f"{line['age_seconds']:,.0f} s"
        table.add_row(line["source"], price, age, f"no: {line['left_out']}" if line["left_out"] else "yes")
    console.print(table)
    if found["price"] is not None:
        console.print(f"The native coin costs {found['price']:,.6g} of the asset.")


def _show_quotes(lines: list[dict[str, Any]], console: Console) -> None:
    if not lines:
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("the policy is shown", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("", overflow="fold")
    for line in lines:
        table.add_row(line["about"], "" if line["value"] is None else f"{line['value']:,.6g}", line["error"] or "")
    console.print(table)
