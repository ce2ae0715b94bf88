"""Compound V2 as its subgraph gives it: one row per day and market, rates in percent per year.

Columns `date`, `part` and `supply_apr_pct` among others; `part` is the market (`usdc`, `dai_1`, with or without
`.csv`). Where `tvl_usd` is there too, it is what others supply, and the vault's own deposit dilutes the rate.
`total_borrow_usd` is not needed: as long as borrowers do what they did, the vault's own deposit lies in the pool as
cash, so nothing in this history could refuse its withdrawal. Stress tests do (`agent.evaluation.stress`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.errors import BadValueError, MissingColumnError, UnknownMarketError
from agent.market.formats.table import Series, Table, aligned, put
from agent.market.history import RateHistory
from agent.vault.limits import MAX_STRATEGIES

PARTS = ("dai_1", "usdc", "usdt")
"""Markets that are taken where none are asked for."""

_COLUMNS = ("date", "part", "supply_apr_pct")
_DEPTH = "tvl_usd"


def matches(header: Sequence[str]) -> bool:
    """Return whether these are the columns of this format."""
    return "part" in header or "supply_apr_pct" in header


def read(table: Table, parts: Sequence[str]) -> RateHistory:
    """Read the markets named in `parts`, in this order, over the days they have in common; no day may be missing."""
    at_date, at_part, at_rate = table.columns(*_COLUMNS, form="Compound V2")
    at_depth = table.header.index(_DEPTH) if _DEPTH in table.header else None
    if not 2 <= len(parts) <= MAX_STRATEGIES or len(set(parts)) < len(parts):
        raise MissingColumnError(f"choose 2 to {MAX_STRATEGIES} different parts, not {', '.join(parts)}")
    table.check_widths()
    series: dict[str, Series] = {part: {} for part in parts}
    seen: set[str] = set()
    for line, row in table.lines:
        part = row[at_part].strip().removesuffix(".csv")
        seen.add(part)
        if part not in series:
            continue
        day = table.day(line, row[at_date])
        values = [table.number(line, day, "supply_apr_pct", row[at_rate]) / 100.0]
        if at_depth is not None:
            values.append(table.number(line, day, _DEPTH, row[at_depth]))
            if values[1] < 0:
                raise BadValueError(f"{table.source} line {line} ({day}, {part}): {_DEPTH} is below zero: correct it")
        put(table, series[part], day, line, part, *values)
    for part, entries in series.items():
        if not entries:
            raise UnknownMarketError(f"{table.source} has no part {part!r}: it has {', '.join(sorted(seen))}")
    start, values_of = aligned(table, series)
    depth = None if at_depth is None else np.ascontiguousarray(values_of[..., 1])
    rates = np.ascontiguousarray(values_of[..., 0])
    return RateHistory(start, tuple(series), rates, table.digest, table.source, depth=depth)
