"""Daily formats: one rate per UTC day and strategy, and no day missing.

- The project's own: `date,NAME,NAME,...`, one row per day, supply rates as APR fractions (0.035 is 3.5 %).
- Compound V2 as its subgraph gives it: one row per day and market, with `date`, `part` and `supply_apr_pct` (percent
  per year) among other columns; `part` is the market (`usdc`, `dai_1`, with or without `.csv`). `tvl_usd`, if there, is
  what others supply, and the vault's own deposit dilutes the rate. `total_borrow_usd` is not needed: as long as
  borrowers do as they did, the vault's own deposit lies in the pool as cash, so nothing in this history could refuse
  its withdrawal. Stress tests do (`agent.evaluation.stress`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from agent.errors import (
    BadValueError,
    DuplicateDateError,
    GapError,
    MissingColumnError,
    TooFewDaysError,
    UnknownMarketError,
)
from agent.market.formats.table import Table
from agent.market.history import RateHistory, daily
from agent.vault.limits import MAX_STRATEGIES

PARTS = ("dai_1", "usdc", "usdt")
"""Markets of a Compound V2 file by default."""

_COMPOUND = ("date", "part", "supply_apr_pct")
_DEPTH = "tvl_usd"

_Series = dict[date, tuple[int, tuple[float, ...]]]  # of one strategy: line and values, the rate first, by day


def is_compound(header: Sequence[str]) -> bool:
    """Return whether these are the columns of a Compound V2 file."""
    return "part" in header or "supply_apr_pct" in header


def read_wide(table: Table) -> RateHistory:
    """Read the project's own format: 2 to 16 strategies."""
    if table.header[0] != "date":
        raise MissingColumnError(
            f"{table.source}: the first column must be 'date' and the others one strategy each, with rates as "
            "fractions per year (or those of a Compound V2 or an Aave V3 file, see `agent data check --help`), not "
            f"{','.join(table.header)[:120]!r}"
        )
    names = table.header[1:]
    if not 2 <= len(names) <= MAX_STRATEGIES:
        raise MissingColumnError(
            f"{table.source} has {len(names)} rate columns: 2 to {MAX_STRATEGIES} strategies are needed"
        )
    if "" in names or len(set(names)) < len(names):
        raise MissingColumnError(
            f"{table.source}: every strategy's column needs a name of its own, but they are {names}"
        )
    table.check_widths()
    series: dict[str, _Series] = {name: {} for name in names}
    for line, row in table.lines:
        day = table.day(line, row[0])
        for name, cell in zip(names, row[1:], strict=True):
            _put(table, series[name], day, line, name, table.number(line, day, name, cell))
    return _history(table, series)


def read_compound(table: Table, parts: Sequence[str] = PARTS) -> RateHistory:
    """Read the Compound V2 markets named in `parts`, in this order, over the days they have in common."""
    at_date, at_part, at_rate = table.columns(*_COMPOUND, form="Compound V2")
    at_depth = table.header.index(_DEPTH) if _DEPTH in table.header else None
    if not 2 <= len(parts) <= MAX_STRATEGIES or len(set(parts)) < len(parts):
        raise MissingColumnError(f"choose 2 to {MAX_STRATEGIES} different parts, not {', '.join(parts)}")
    table.check_widths()
    series: dict[str, _Series] = {part: {} for part in parts}
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
        _put(table, series[part], day, line, part, *values)
    for part, entries in series.items():
        if not entries:
            raise UnknownMarketError(f"{table.source} has no part {part!r}: it has {', '.join(sorted(seen))}")
    return _history(table, series)


def _put(table: Table, series: _Series, day: date, line: int, name: str, *values: float) -> None:
    """Add a strategy's day; refuse it if it is there already, or if the first value is no rate."""
    if day in series:
        raise DuplicateDateError(
            f"{table.source} line {line} ({day}, {name}): the same day is already on line {series[day][0]}: "
            "keep one of them"
        )
    table.check_rate(line, day, name, values[0])
    series[day] = (line, values)


def _history(table: Table, series: dict[str, _Series]) -> RateHistory:
    """Return all days in common; refuse a gap in any series. A second value per day is the depth."""
    for name, entries in series.items():
        for before, after in pairwise(sorted(entries)):
            missing = (after - before).days - 1
            if missing:
                raise GapError(
                    f"{table.source} line {entries[after][0]} ({after}, {name}): "
                    f"{'1 day is' if missing == 1 else f'{missing} days are'} missing after {before}: "
                    "fill the gap in the file or start after it"
                )
    start = max(min(entries) for entries in series.values())
    end = min(max(entries) for entries in series.values())
    if end <= start:
        raise TooFewDaysError(
            f"{table.source}: {', '.join(series)} have fewer than two days in common: choose other ones"
        )
    days = [start + timedelta(days=index) for index in range((end - start).days + 1)]
    values = np.array([[entries[day][1] for entries in series.values()] for day in days])  # (T, n, 1 or 2)
    return RateHistory.of(
        daily(start, len(days)),
        tuple(series),
        values[..., 0],
        source=table.source,
        digest=table.digest,
        depth=values[..., 1] if values.shape[2] > 1 else None,
    )
