"""Tables of text cells from CSV or Parquet, and cells turned into numbers, days and times, or refused."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from agent.errors import BadValueError, DataFileError, EmptyDataError, MissingColumnError, RateRangeError

_MAX_RATE = 1.0  # APR; above it a rate must be a mistake
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class Table:
    """A file's cells, as text.

    Attributes
    ----------
    source
        Name of the file for messages.
    header
        Names of the columns.
    lines
        Line number and cells of every row that is not blank; the rows of a Parquet file are counted as if it were CSV,
        from 2 on.
    digest
        SHA-256 of the file, hex.
    """

    source: str
    header: list[str]
    lines: list[tuple[int, list[str]]]
    digest: str

    def columns(self, *names: str, form: str) -> list[int]:
        """Return the positions of columns; `form` names the format in the error.

        Raises
        ------
        MissingColumnError
            If one is missing.
        """
        missing = [name for name in names if name not in self.header]
        if missing:
            raise MissingColumnError(
                f"{self.source} has no column {', '.join(missing)}: the {form} format needs {', '.join(names)}"
            )
        return [self.header.index(name) for name in names]

    def check_widths(self) -> None:
        """Refuse rows that are longer or shorter than the header."""
        for line, row in self.lines:
            if len(row) != len(self.header):
                raise BadValueError(
                    f"{self.source} line {line}: {len(row)} cells where the header has {len(self.header)}"
                )

    def day(self, line: int, text: str) -> date:
        """Return a cell as a day."""
        try:
            return date.fromisoformat(text.strip())
        except ValueError as error:
            raise BadValueError(f"{self.source} line {line}: {text!r} is not a date: write it as 2022-01-31") from error

    def stamp(self, line: int, text: str) -> int:
        """Return a cell as seconds, UTC."""
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError as error:
            raise BadValueError(
                f"{self.source} line {line}: {text!r} is not a time: write it as 2022-01-31 12:00:00, UTC"
            ) from error
        return int((moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp())

    def number(self, line: int, day: date, column: str, text: str) -> float:
        """Return a cell as a finite number."""
        try:
            value = float(text)
        except (TypeError, ValueError) as error:
            raise BadValueError(
                f"{self.source} line {line} ({day}): {column} is {text!r}, not a number: fill it in"
            ) from error
        if not math.isfinite(value):
            raise BadValueError(
                f"{self.source} line {line} ({day}): {column} is {text!r}: fill it in with the day's value"
            )
        return value

    def check_rate(self, line: int, day: date, name: str, rate: float) -> None:
        """Refuse a rate below zero or absurdly high."""
        where = f"{self.source} line {line} ({day}, {name})"
        if rate < 0:
            raise RateRangeError(f"{where}: the rate {rate:g} is below zero: correct it")
        if rate > _MAX_RATE:
            raise RateRangeError(
                f"{where}: a rate of {rate:.0%} a year must be a mistake: rates are fractions per year (0.035 is 3.5 %)"
            )


def read_table(path: Path | str) -> Table:
    """Read a CSV (UTF-8) or a Parquet file as text cells.

    Raises
    ------
    DataFileError
        If it cannot be opened or is neither.
    EmptyDataError
        If it holds no rows.
    """
    source = Path(path).name
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror or error}") from error
    header, lines = _parquet(source, raw) if raw.startswith(_PARQUET) else _csv(source, raw)
    if not header or not lines:
        raise EmptyDataError(f"{source} holds no data: it needs a header line and one line per day")
    return Table(source, header, lines, hashlib.sha256(raw).hexdigest())


def _csv(source: str, raw: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataFileError(f"{source} is not UTF-8 text: save it as CSV in UTF-8, or as Parquet") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        return header, [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataFileError(f"{source} line {reader.line_num} is not CSV: {error}") from error


def _parquet(source: str, raw: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    # Most who replay history have CSV; pyarrow takes a second to load.
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(pyarrow.BufferReader(raw))
        columns = [table.column(name).to_pylist() for name in table.column_names]
    except (pyarrow.ArrowException, OSError) as error:
        raise DataFileError(f"{source} is not a Parquet file that can be read: {error}") from error
    rows = zip(*columns, strict=True)
    return list(table.column_names), [(line, [_text(cell) for cell in row]) for line, row in enumerate(rows, start=2)]


def _text(cell: Any) -> str:
    """Return a typed cell as a CSV file would hold it."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        moment = cell if cell.tzinfo is None else cell.astimezone(UTC).replace(tzinfo=None)
        # A day stored as a time is a day: dates have no type of their own in many tools.
        return moment.date().isoformat() if moment.time() == datetime.min.time() else moment.isoformat(" ")
    return repr(cell) if isinstance(cell, float) else str(cell)
