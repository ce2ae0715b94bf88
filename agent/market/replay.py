"""History from a CSV file, checked hard before anything is built on it.

Two formats are recognised by their header:

- *wide*: `date,NAME,NAME,...`, one row per day, supply rates as APR fractions per year (0.035 is 3.5 %), 2 to 16
  strategies;
- *Compound V2*: columns `date`, `part` and `supply_apr_pct` among others, one row per day and market, APR in percent.
  `parts` says which markets (`dai_1`, `usdc`, `usdt` by default) become the strategies.

Days must follow one another. Nothing is filled in, clipped or guessed: a gap, a duplicate, a missing number, a rate
below zero or above 100 % a year is refused, with the line to look at.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from agent.errors import (
    BadValueError,
    DataFileError,
    DuplicateDateError,
    EmptyDataError,
    GapError,
    MissingColumnError,
    RateRangeError,
    TooFewDaysError,
    WindowError,
)
from agent.limits import MAX_STRATEGIES
from agent.market.path import MarketPath, gas_cost
from agent.units import DAY, FloatArray

COMPOUND_PARTS = ("dai_1", "usdc", "usdt")
GREATEST_RATE = 1.0
"""APR above which a rate is taken for a mistake."""

_COMPOUND_COLUMNS = ("date", "part", "supply_apr_pct")
DEFAULT_GWEI = 1.0
DEFAULT_ETH_PRICE = 3000.0


@dataclass(frozen=True)
class RateHistory:
    """Daily supply rates of some strategies, without gaps.

    Attributes
    ----------
    start
        First day, UTC.
    names
        Names of the `n` strategies.
    rates
        `(T, n)` APR, fractions per year.
    digest
        SHA-256 of the file the rates are from, hex; says what a policy was trained on.
    source
        What to call that file.
    """

    start: date
    names: tuple[str, ...]
    rates: FloatArray
    digest: str
    source: str

    def __len__(self) -> int:
        return len(self.rates)

    @property
    def end(self) -> date:
        """Last day, UTC."""
        return self.start + timedelta(days=len(self) - 1)

    def window(self, start: date | None = None, days: int | None = None) -> RateHistory:
        """Return `days` days from `start` on; from the first day and to the last by default.

        Raises
        ------
        WindowError
            If the window starts outside the history.
        TooFewDaysError
            If it holds fewer days than asked for.
        """
        first = self.start if start is None else start
        offset = (first - self.start).days
        if not 0 <= offset < len(self):
            raise WindowError(
                f"{self.source} runs from {self.start} to {self.end}: choose a start in between, not {first}"
            )
        available = len(self) - offset
        wanted = available if days is None else days
        if not 1 <= wanted <= available:
            raise TooFewDaysError(
                f"{self.source} has {available} days from {first} to {self.end} but {wanted} are needed: "
                "choose an earlier start, fewer days or a longer history"
            )
        return RateHistory(first, self.names, self.rates[offset : offset + wanted], self.digest, self.source)

    def before(self, day: date) -> RateHistory | None:
        """Return the history that ends the day before, for training without look-ahead; none if there is none."""
        offset = min((day - self.start).days, len(self))
        return None if offset < 1 else self.window(days=offset)

    def path(self, gas: FloatArray | float | None = None) -> MarketPath:
        """Return the history as one market path.

        Parameters
        ----------
        gas
            Asset units per unit of gas, constant or `(T,)`; 1 gwei at 3000 per ETH by default.
        """
        cost = gas_cost(DEFAULT_GWEI, DEFAULT_ETH_PRICE) if gas is None else np.asarray(gas, dtype=np.float64)
        first = int(datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC).timestamp())
        return MarketPath(
            timestamps=first + DAY * np.arange(len(self), dtype=np.int64),
            rates=self.rates[None].copy(),
            gas_cost=np.array(np.broadcast_to(cost, (1, len(self)))),
            names=self.names,
        )


def load_history(path: Path | str, parts: Sequence[str] = COMPOUND_PARTS) -> RateHistory:
    """Read and check a CSV file of daily rates.

    Parameters
    ----------
    path
        The file; its format is recognised by its header.
    parts
        Markets of a Compound V2 file, in the order of the strategies. The history is what they have in common.

    Raises
    ------
    MarketDataError
        A subclass says what is wrong; the message names the file, the line and the day, and what to do.
    """
    source = Path(path).name
    try:
        raw = Path(path).read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataFileError(f"{source} is not UTF-8 text: save it as CSV in UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataFileError(f"{source} line {reader.line_num} is not CSV: {error}") from error
    if not header or not lines:
        raise EmptyDataError(f"{source} holds no data: it needs a header line and one line per day")
    digest = hashlib.sha256(raw).hexdigest()
    if "part" in header or "supply_apr_pct" in header:
        series = _compound_series(source, header, lines, parts)
    else:
        series = _wide_series(source, header, lines)
    start, rates = _aligned(source, series)
    return RateHistory(start, tuple(series), rates, digest, source)


def load_gas(path: Path | str) -> dict[date, float]:
    """Read daily gas costs: a CSV with `date`, `eth_usd` and `avg_gas_gwei`; asset units (USD) per unit of gas."""
    source = Path(path).name
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror or error}") from error
    costs: dict[date, float] = {}
    for line, row in enumerate(rows, start=2):
        for column in ("date", "eth_usd", "avg_gas_gwei"):
            if column not in row:
                raise MissingColumnError(f"{source} has no column {column!r}: it needs date, eth_usd and avg_gas_gwei")
        day = _day(source, line, row["date"])
        costs[day] = float(
            gas_cost(
                _number(source, line, day, "avg_gas_gwei", row["avg_gas_gwei"]),
                _number(source, line, day, "eth_usd", row["eth_usd"]),
            )
        )
    if not costs:
        raise EmptyDataError(f"{source} holds no data: it needs a header line and one line per day")
    return costs


_Series = dict[date, tuple[int, float]]  # day -> line of the file, APR fraction


def _wide_series(source: str, header: list[str], lines: list[tuple[int, list[str]]]) -> dict[str, _Series]:
    if header[0] != "date":
        raise MissingColumnError(
            f"{source}: the first column must be 'date' and the others one strategy each, with rates as fractions per "
            f"year (or a Compound V2 file with {', '.join(_COMPOUND_COLUMNS)}), not {','.join(header)[:120]!r}"
        )
    names = header[1:]
    if not 2 <= len(names) <= MAX_STRATEGIES:
        raise MissingColumnError(f"{source} has {len(names)} rate columns: 2 to {MAX_STRATEGIES} strategies are needed")
    if "" in names or len(set(names)) < len(names):
        raise MissingColumnError(f"{source}: every strategy's column needs a name of its own, but they are {names}")
    series: dict[str, _Series] = {name: {} for name in names}
    for line, row in lines:
        if len(row) != len(header):
            raise BadValueError(f"{source} line {line}: {len(row)} cells where the header has {len(header)}")
        day = _day(source, line, row[0])
        for name, cell in zip(names, row[1:], strict=True):
            _put(source, series[name], day, line, name, _number(source, line, day, name, cell))
    return series


def _compound_series(
    source: str, header: list[str], lines: list[tuple[int, list[str]]], parts: Sequence[str]
) -> dict[str, _Series]:
    missing = [column for column in _COMPOUND_COLUMNS if column not in header]
    if missing:
        raise MissingColumnError(
            f"{source} has no column {', '.join(missing)}: the Compound V2 format needs {', '.join(_COMPOUND_COLUMNS)}"
        )
    if not 2 <= len(parts) <= MAX_STRATEGIES or len(set(parts)) < len(parts):
        raise MissingColumnError(f"choose 2 to {MAX_STRATEGIES} different parts, not {', '.join(parts)}")
    at_date, at_part, at_rate = (header.index(column) for column in _COMPOUND_COLUMNS)
    series: dict[str, _Series] = {part: {} for part in parts}
    seen: set[str] = set()
    for line, row in lines:
        if len(row) != len(header):
            raise BadValueError(f"{source} line {line}: {len(row)} cells where the header has {len(header)}")
        part = row[at_part].strip().removesuffix(".csv")
        seen.add(part)
        if part in series:
            day = _day(source, line, row[at_date])
            percent = _number(source, line, day, "supply_apr_pct", row[at_rate])
            _put(source, series[part], day, line, part, percent / 100.0)
    for part, values in series.items():
        if not values:
            raise MissingColumnError(f"{source} has no part {part!r}: it has {', '.join(sorted(seen))}")
    return series


def _put(source: str, series: _Series, day: date, line: int, name: str, rate: float) -> None:
    where = f"{source} line {line} ({day}, {name})"
    if day in series:
        raise DuplicateDateError(f"{where}: the same day is already on line {series[day][0]}: keep one of them")
    if rate < 0:
        raise RateRangeError(f"{where}: the rate {rate:g} is below zero: correct it")
    if rate > GREATEST_RATE:
        raise RateRangeError(
            f"{where}: a rate of {rate:.0%} a year must be a mistake: rates are fractions per year (0.035 is 3.5 %)"
        )
    series[day] = (line, rate)


def _aligned(source: str, series: dict[str, _Series]) -> tuple[date, FloatArray]:
    """Return the first common day and `(T, n)` rates of all days in common; refuse a gap in any series."""
    for name, values in series.items():
        days = sorted(values)
        for before, after in pairwise(days):
            if (after - before).days > 1:
                raise GapError(
                    f"{source} line {values[after][0]} ({after}, {name}): {_days((after - before).days - 1)} missing "
                    f"after {before}: fill the gap in the file or start after it"
                )
    start = max(min(values) for values in series.values())
    end = min(max(values) for values in series.values())
    if end <= start:
        raise TooFewDaysError(f"{source}: {', '.join(series)} have fewer than two days in common: choose other ones")
    days = [start + timedelta(days=index) for index in range((end - start).days + 1)]
    return start, np.array([[values[day][1] for values in series.values()] for day in days])


def _day(source: str, line: int, text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise BadValueError(f"{source} line {line}: {text!r} is not a date: write it as 2022-01-31") from error


def _number(source: str, line: int, day: date, column: str, text: str) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError) as error:
        raise BadValueError(f"{source} line {line} ({day}): {column} is {text!r}, not a number: fill it in") from error
    if not math.isfinite(value):
        raise BadValueError(f"{source} line {line} ({day}): {column} is {text!r}: fill it in with the day's rate")
    return value


def _days(count: int) -> str:
    return "1 day is" if count == 1 else f"{count} days are"
