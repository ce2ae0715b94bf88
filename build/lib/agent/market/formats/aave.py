"""Aave V3 reserves by snapshot: `snapshot_utc, network, symbol, supply_apr, liquidity_index, asset, last_update_ts`.

Three things about these files decide how they are read:

- *The index is that of the reserve's last update, not of the snapshot.* Quiet reserves are not touched for days; a
  supplier would be paid out `index x (1 + supply_apr x time since the update)` at the snapshot, the reserve's
  normalised income (Aave V3, `ReserveLogic.getNormalizedIncome`). Its growth from row to row was really earned between
  them, whatever the rate did in between; it becomes `RateHistory.earned`.
- *Snapshots are irregular.* Rows keep their true times. Of several in one UTC day the first is kept: the keeper decides
  once a day, the index loses nothing, and an index that is rounded to six decimals says nothing about the
  minutes between two of them.
- *A missing day is not an invented one*, since the index runs through it: the vault simply did not decide that day.
  Rows further apart than `max_gap_days` are refused nevertheless, for nobody steers a vault like that.

A reserve is its `asset` address. A symbol stands for it where that is unambiguous; on some networks two tokens share
one (bridged and native USDC), and then the address is asked for. The caps in these files are approximate and are not
used, so there is no depth: own deposits do not dilute these rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agent.errors import (
    AmbiguousMarketError,
    BadValueError,
    DuplicateDateError,
    GapError,
    MissingColumnError,
    TooFewDaysError,
    UnknownMarketError,
)
from agent.market.formats.table import Table
from agent.market.history import RateHistory, day_of
from agent.units import DAY, YEAR
from agent.vault.limits import MAX_STRATEGIES

NETWORK = "ethereum"
SYMBOLS = ("USDC", "USDT", "DAI", "USDS", "USDe", "PYUSD")
"""Reserves by default: dollars that could be supplied by the hundred million."""

MAX_GAP_DAYS = 2.5

_COLUMNS = ("snapshot_utc", "network", "symbol", "supply_apr", "liquidity_index", "asset", "last_update_ts")
_CLOCKS = 3600  # seconds that an update may lie after the snapshot: the chain is read after the clock is
_ROUNDING = 2e-6  # indices have six decimals: a fall by less is not one


class _Reading(NamedTuple):
    line: int
    rate: float
    income: float  # value at the snapshot of one unit supplied at the very beginning


def is_aave(header: Sequence[str]) -> bool:
    """Return whether these are the columns of an Aave V3 file."""
    return "liquidity_index" in header or "snapshot_utc" in header


def read(
    table: Table, markets: Sequence[str] = SYMBOLS, network: str = NETWORK, max_gap_days: float = MAX_GAP_DAYS
) -> RateHistory:
    """Read reserves of one network at the snapshots that they have in common, the first of each UTC day.

    Parameters
    ----------
    table
        The file's cells.
    markets
        Symbols or addresses, in the order of the strategies, which get these names.
    network
        Name of the network.
    max_gap_days
        Longest time between two rows.

    Raises
    ------
    MarketDataError
        One of its subclasses, with line and day.
    """
    at_stamp, at_network, at_symbol, at_rate, at_index, at_asset, at_update = table.columns(*_COLUMNS, form="Aave V3")
    if not 2 <= len(markets) <= MAX_STRATEGIES or len(set(markets)) < len(markets):
        raise MissingColumnError(f"choose 2 to {MAX_STRATEGIES} different markets, not {', '.join(markets)}")
    table.check_widths()
    here = [(line, row) for line, row in table.lines if row[at_network].strip() == network]
    if not here:
        known = sorted({row[at_network].strip() for _, row in table.lines})
        raise UnknownMarketError(f"{table.source} has no network {network!r}: it has {', '.join(known)}")
    pairs = {(row[at_symbol].strip(), row[at_asset].strip().lower()) for _, row in here}
    assets = [_asset(table.source, network, market, pairs) for market in markets]
    if len(set(assets)) < len(assets):
        raise MissingColumnError(f"{', '.join(markets)} name one reserve twice: choose different ones")
    readings: dict[str, dict[int, _Reading]] = {asset: {} for asset in assets}
    for line, row in here:
        known_stamps = readings.get(row[at_asset].strip().lower())
        if known_stamps is None:
            continue
        stamp = table.stamp(line, row[at_stamp])
        name, day = row[at_symbol].strip(), day_of(stamp)
        if stamp in known_stamps:
            raise DuplicateDateError(
                f"{table.source} line {line} ({day}, {name}): the same snapshot is already on line "
                f"{known_stamps[stamp].line}: keep one of them"
            )
        rate = table.number(line, day, "supply_apr", row[at_rate])
        table.check_rate(line, day, name, rate)
        index = table.number(line, day, "liquidity_index", row[at_index])
        since = stamp - table.number(line, day, "last_update_ts", row[at_update])
        if index < 1 or since < -_CLOCKS:
            what = "liquidity_index is below one" if index < 1 else "last_update_ts is after the snapshot"
            raise BadValueError(f"{table.source} line {line} ({day}, {name}): {what}: correct it")
        known_stamps[stamp] = _Reading(line, rate, index * (1.0 + rate * max(since, 0.0) / YEAR))
    return _history(table, tuple(markets), list(readings.values()), max_gap_days)


def _asset(source: str, network: str, market: str, pairs: set[tuple[str, str]]) -> str:
    """Return the address that a symbol or an address stands for."""
    found = sorted({asset for symbol, asset in pairs if market == symbol or market.lower() == asset})
    if len(found) > 1:
        raise AmbiguousMarketError(
            f"{source}: {len(found)} reserves on {network} are called {market}: give the address, {' or '.join(found)}"
        )
    if not found:
        known = ", ".join(sorted({symbol for symbol, _ in pairs}))
        raise UnknownMarketError(f"{source} has no reserve {market!r} on {network}: it has {known}")
    return found[0]


def _history(
    table: Table, names: tuple[str, ...], readings: list[dict[int, _Reading]], max_gap_days: float
) -> RateHistory:
    stamps: list[int] = []
    for stamp in sorted(set.intersection(*map(set, readings))):
        if not stamps or day_of(stamp) != day_of(stamps[-1]):
            stamps.append(stamp)
    if len(stamps) < 2:
        raise TooFewDaysError(f"{table.source}: {', '.join(names)} have fewer than two days in common: choose others")
    times = np.array(stamps, dtype=np.int64)
    gaps = np.diff(times)
    far = np.nonzero(gaps > max_gap_days * DAY)[0]
    if far.size:
        after = stamps[far[0] + 1]
        raise GapError(
            f"{table.source} line {readings[0][after].line} ({day_of(after)}): {gaps[far[0]] / DAY:.1f} days after the "
            f"row before, but at most {max_gap_days:g} are allowed: start after it, or allow more with --max-gap-days"
        )
    income = np.array([[series[stamp].income for series in readings] for stamp in stamps])
    row, market = np.unravel_index(np.argmin(np.diff(np.log(income), axis=0)), (len(stamps) - 1, len(names)))
    if income[row + 1, market] < income[row, market] * (1.0 - _ROUNDING):
        after = stamps[row + 1]
        raise BadValueError(
            f"{table.source} line {readings[market][after].line} ({day_of(after)}, {names[market]}): the liquidity "
            "index falls, which an Aave reserve's cannot: correct it"
        )
    income = np.maximum.accumulate(income, axis=0)  # against rounding alone: a cut here is made up for later
    earned = (income[1:] / income[:-1] - 1.0) * (YEAR / gaps[:, None])
    rates = np.array([[series[stamp].rate for series in readings] for stamp in stamps])
    return RateHistory.of(
        times,
        names,
        rates,
        source=table.source,
        digest=table.digest,
        earned=np.vstack([rates[:1], earned]),  # nothing is earned up to the first row
    )
