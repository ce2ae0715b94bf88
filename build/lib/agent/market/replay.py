"""History from a file, checked hard before anything is built on it.

Three formats, described in `agent.market.formats.daily` and `.aave`, are recognised by their columns, as CSV or as
Parquet. Nothing is filled in, clipped or guessed: a gap, a duplicate, a missing number, a rate below zero or above
100 % a year is refused, with the line to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from agent.errors import BadValueError, DuplicateDateError, MarketDataError
from agent.market.formats import aave, daily
from agent.market.formats.table import read_table
from agent.market.history import RateHistory
from agent.market.path import gas_cost

_GAS_COLUMNS = ("date", "eth_usd", "avg_gas_gwei")


def load_history(
    path: Path | str,
    parts: Sequence[str] | None = None,
    *,
    network: str | None = None,
    max_gap_days: float | None = None,
    gas: Path | str | None = None,
) -> RateHistory:
    """Read and check a file of supply rates.

    Parameters
    ----------
    path
        CSV or Parquet; the format is recognised by its columns.
    parts
        Markets of a Compound V2 file or reserves of an Aave V3 file, in the order of the strategies; each format has a
        choice of its own by default. The history is the days that they have in common.
    network
        Network of an Aave V3 file; Ethereum by default.
    max_gap_days
        Longest time between two rows of an Aave V3 file; 2.5 by default. The other formats allow no gap.
    gas
        File of daily gas prices (`load_gas`) that must cover the history.

    Raises
    ------
    MarketDataError
        One of its subclasses; the message names the file, the line, the day and the next step.
    """
    table = read_table(path)
    if aave.is_aave(table.header):
        history = aave.read(
            table,
            aave.SYMBOLS if parts is None else parts,
            aave.NETWORK if network is None else network,
            aave.MAX_GAP_DAYS if max_gap_days is None else max_gap_days,
        )
    elif network is not None or max_gap_days is not None:
        raise MarketDataError(f"{table.source} is no Aave V3 file: it has no networks, and no gap is allowed in it")
    elif daily.is_compound(table.header):
        history = daily.read_compound(table, daily.PARTS if parts is None else parts)
    elif parts is not None:
        raise MarketDataError(f"{table.source} has a column for each market and all are taken: give no parts")
    else:
        history = daily.read_wide(table)
    return history if gas is None else history.with_gas(load_gas(gas), Path(gas).name)


def load_gas(path: Path | str) -> dict[date, float]:
    """Read daily gas costs: a file with `date`, `eth_usd` and `avg_gas_gwei`; asset units (USD) per unit of gas."""
    table = read_table(path)
    at_date, at_price, at_gwei = table.columns(*_GAS_COLUMNS, form="gas price")
    table.check_widths()
    costs: dict[date, float] = {}
    for line, row in table.lines:
        day = table.day(line, row[at_date])
        if day in costs:
            raise DuplicateDateError(f"{table.source} line {line} ({day}): this day is there already: keep one of them")
        gwei = table.number(line, day, "avg_gas_gwei", row[at_gwei])
        price = table.number(line, day, "eth_usd", row[at_price])
        if gwei < 0 or price < 0:
            raise BadValueError(f"{table.source} line {line} ({day}): a price is below zero: correct it")
        costs[day] = float(gas_cost(gwei, price))
    return costs
