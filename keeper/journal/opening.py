"""Opening a journal: its database, and the lock that keeps a second keeper out."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from keeper.errors import JournalError
from keeper.journal.journal import Journal, storage_error
from keeper.journal.schema import metadata

_ADVISORY_LOCK = 0x62756C6B  # "bulk": one keeper per PostgreSQL database


def open_journal(url: str, chain_id: int, vault: str) -> Journal:
    """Open a vault's journal for writing, creating it where there is none, and take its lock.

    Raises
    ------
    JournalError
        When another keeper holds it, it belongs to another vault, or storage fails.
    """
    engine = _engine(url)
    lock = _take_lock(engine)
    journal = Journal(engine, lock)
    try:
        metadata.create_all(engine)
        journal.bind(chain_id, vault)
    except SQLAlchemyError as error:
        journal.close()
        raise storage_error(error) from error
    except JournalError:
        journal.close()
        raise
    return journal


def read_journal(url: str) -> Journal | None:
    """Open a journal to look at it, beside a running keeper; `None` where there is none yet."""
    engine = _engine(url)
    name = engine.url.database
    if engine.dialect.name == "sqlite" and not (name and Path(name).exists()):
        return None
    return Journal(engine, None)


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(make_url(url))
    except (SQLAlchemyError, ImportError) as error:
        raise JournalError(f"`journal`: {url.split('@')[-1]} cannot be opened ({error}). Check the URL.") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {pragma}")


def _take_lock(engine: Engine) -> Connection | TextIO | None:
    if engine.dialect.name == "postgresql":
        return _take_database_lock(engine)
    if engine.dialect.name != "sqlite":
        raise JournalError(f"`journal`: {engine.dialect.name} is not supported. Use sqlite:/// or postgresql://.")
    name = engine.url.database
    if not name or name == ":memory:":
        raise JournalError("`journal`: a journal in memory forgets what was sent. Give the path of a file.")
    path = Path(name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise JournalError(f"`journal`: {name} cannot be written ({error}). Check the folder's permissions.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise JournalError(f"Another keeper (process {holder}) holds the journal {name}. Stop it first.") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _take_database_lock(engine: Engine) -> Connection:
    try:
        connection = engine.connect()
        free = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}).scalar_one()
        connection.commit()
    except SQLAlchemyError as error:
        raise storage_error(error) from error
    if not free:
        connection.close()
        raise JournalError("Another keeper holds the journal's database. Stop it first, or give this one its own.")
    return connection
