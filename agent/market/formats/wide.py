"""The project's own format: `date,NAME,NAME,...`, one row per day, supply rates as APR fractions (0.035 is 3.5 %)."""

from __future__ import annotations

from agent.errors import MissingColumnError
from agent.market.formats.table import Series, Table, aligned, put
from agent.market.history import RateHistory
from agent.vault.limits import MAX_STRATEGIES


def read(table: Table) -> RateHistory:
    """Read a table of 2 to 16 strategies, without gaps."""
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
    series: dict[str, Series] = {name: {} for name in names}
    for line, row in table.lines:
        day = table.day(line, row[0])
        for name, cell in zip(names, row[1:], strict=True):
            put(table, series[name], day, line, name, table.number(line, day, name, cell))
    start, values = aligned(table, series)
    return RateHistory(start, tuple(series), values[..., 0], table.digest, table.source)
