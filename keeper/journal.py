"""The keeper's durable memory, in SQL (SQLite by default, PostgreSQL by URL).

The order of writing is the safety of the whole: an intent with its pinned nonce before anything is signed, the signed
bytes before they are sent. After a crash at any point the next cycle finds here what may be under way::

    planned -> signed -> sent -> mined | reverted | expired | superseded
                                   ^ reopened to `sent` when a reorg takes its block away

`in_flight` is 1 while an intent is open and NULL afterwards; being unique, it allows one open intent at most. One
keeper at a time holds a journal: a lock that the operating system (or the database) frees when the process dies. Where
the lock is lost without the process noticing, the fence stands: whoever opens the journal raises its number, and a
keeper of an older number can write nothing any more, hence send nothing new.

In PostgreSQL every vault has a schema of its own; journals of before it stay where they are, in the default one.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa
from eth_utils.crypto import keccak
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from keeper.errors import JournalBusyError, JournalError, JournalHeldError, KeeperError

SCHEMA_VERSION = 2
_OLD_LOCK = 0x62756C6B  # "bulk": of a journal in PostgreSQL's default schema
_CONNECT_SECONDS = 10
_FENCE = "fence"


# --- tables and rows -------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """The purpose of an intent's transaction."""

    REBALANCE = "rebalance"
    HEARTBEAT = "heartbeat"
    NO_OP = "no-op"
    """A transfer of nothing to the keeper itself: takes the place of a transaction that is not wanted any more."""


class State(StrEnum):
    """The stage of an intent's life."""

    PLANNED = "planned"
    SIGNED = "signed"
    SENT = "sent"
    MINED = "mined"
    REVERTED = "reverted"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        """Whether one of its transactions may still be mined."""
        return self in (State.PLANNED, State.SIGNED, State.SENT)


class _Wei(sa.TypeDecorator[int]):
    """A uint256, in decimal: no database integer holds it."""

    impl = sa.String(78)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else int(value)


def _word(kind: type[StrEnum]) -> sa.Enum:
    return sa.Enum(kind, native_enum=False, length=16, values_callable=lambda members: [each.value for each in members])


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


metadata = sa.MetaData()
meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(128), nullable=False),
)
cycles = sa.Table(
    "cycles",
    metadata,
    _id(),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("block_number", sa.BigInteger),
    sa.Column("block_timestamp", sa.BigInteger),
    sa.Column("snapshot_digest", sa.String(66)),
    sa.Column("policy_digest", sa.String(66)),
    sa.Column("nav", sa.String(78)),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decision", sa.Text),  # JSON: observation, weights before and after, request, decision hash
)
intents = sa.Table(
    "intents",
    metadata,
    _id(),
    sa.Column("cycle_id", sa.ForeignKey("cycles.id"), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("kind", _word(Kind), nullable=False),
    sa.Column("sender", sa.String(42), nullable=False),
    sa.Column("nonce", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("deadline", sa.BigInteger, nullable=False),
    sa.Column("gas", sa.BigInteger, nullable=False),
    sa.Column("call_data", sa.LargeBinary, nullable=False),
    sa.Column("state", _word(State), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("in_flight", sa.Integer, sa.CheckConstraint("in_flight = 1"), unique=True),
    sa.Column("transaction_hash", sa.String(66)),
    sa.Column("block_number", sa.BigInteger),
    sa.Column("gas_used", sa.BigInteger),
    sa.Column("gas_price", _Wei),
)
attempts = sa.Table(
    "attempts",
    metadata,
    _id(),
    sa.Column("intent_id", sa.ForeignKey("intents.id"), nullable=False, index=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("sent_at", sa.BigInteger),
    sa.Column("transaction_hash", sa.String(66), nullable=False, unique=True),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("max_fee", _Wei, nullable=False),
    sa.Column("tip", _Wei, nullable=False),
)
rate_memory = sa.Table(
    "rate_memory",
    metadata,
    sa.Column("strategies", sa.String(66), primary_key=True),  # digest of the strategies' addresses, in order
    sa.Column("cycle_id", sa.ForeignKey("cycles.id"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Attempt:
    """One signed transaction for an intent. All attempts of an intent share its nonce, so one at most is mined."""

    id: int
    intent_id: int
    transaction_hash: str
    raw: bytes
    max_fee: int
    tip: int


@dataclass(frozen=True)
class Intent:
    """A transaction that is to be mined exactly once."""

    id: int
    kind: Kind
    cycle_id: int
    sender: str
    nonce: int
    epoch: int
    deadline: int
    gas: int
    call_data: bytes
    state: State
    reason: str
    transaction_hash: str | None
    block_number: int | None
    gas_used: int | None
    gas_price: int | None
    attempts: tuple[Attempt, ...]


def _intent(connection: sa.Connection, intent_id: int) -> Intent:
    """Read an intent with all its attempts."""
    row = connection.execute(sa.select(intents).where(intents.c.id == intent_id)).mappings().one()
    tries = connection.execute(sa.select(attempts).where(attempts.c.intent_id == intent_id).order_by(attempts.c.id))
    return Intent(
        **_fields(row, Intent), attempts=tuple(Attempt(**_fields(each, Attempt)) for each in tries.mappings())
    )


def _fields(row: sa.RowMapping, kind: type) -> dict[str, Any]:
    return {field.name: row[field.name] for field in fields(kind) if field.name in row}


# --- the journal -----------------------------------------------------------------------------------------------------


class Journal:
    """One vault's journal. Use `open_journal`, which takes the lock, or `read_journal`, which does not."""

    def __init__(self, engine: sa.Engine, lock: sa.Connection | TextIO | None) -> None:
        self._engine = engine
        self._lock = lock
        self._fence: str | None = None

    def close(self) -> None:
        """Free the lock and the connections."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self._engine.dispose()

    # --- identity ------------------------------------------------------------------------------------------------

    def bind(self, chain_id: int, vault: str) -> None:
        """Tie a new journal to a vault; refuse one that belongs to another."""
        wanted = {"schema": str(SCHEMA_VERSION), "chain_id": str(chain_id), "vault": vault}
        with self._write() as connection:
            found = {row.key: row.value for row in connection.execute(sa.select(meta).where(meta.c.key != _FENCE))}
            if not found:
                connection.execute(sa.insert(meta), [{"key": key, "value": value} for key, value in wanted.items()])
                return
        if found.get("schema") != wanted["schema"]:
            raise JournalError(
                f"The journal has schema {found.get('schema')}, this keeper writes {SCHEMA_VERSION}. "
                "Use the keeper that wrote it, or start a new journal."
            )
        if found != wanted:
            raise JournalError(
                f"The journal belongs to vault {found.get('vault')} on chain {found.get('chain_id')}, not to {vault} "
                f"on chain {chain_id}. Give each vault its own `journal`."
            )

    def fence(self) -> None:
        """Shut out every keeper that has opened the journal before."""
        row = meta.c.key == _FENCE
        with self._write() as connection:
            if not connection.execute(sa.update(meta).where(row).values(value=meta.c.value)).rowcount:  # locks it
                connection.execute(sa.insert(meta).values(key=_FENCE, value="0"))
            number = str(1 + int(connection.execute(sa.select(meta.c.value).where(row)).scalar_one()))
            connection.execute(sa.update(meta).where(row).values(value=number))
        self._fence = number

    def _hold(self) -> None:
        """See that the lock is held, and take it anew where the session that had it is gone."""
        if isinstance(self._lock, sa.Connection) and not _lives(self._lock):
            self._lock.close()
            self._lock = _take_database_lock(self._engine)

    # --- cycles --------------------------------------------------------------------------------------------------

    def begin_cycle(self, *, live: bool) -> int:
        """Record that the keeper woke, before anything can go wrong; returns the cycle's number.

        Raises
        ------
        JournalHeldError
            When another keeper has taken the journal over.
        """
        self._hold()
        row = {"started_at": int(time.time()), "live": live, "outcome": "started", "reason": "not finished"}
        with self._write() as connection:
            return _inserted(connection, cycles, row)

    def note(self, cycle_id: int, *, memory: tuple[str, str] | None = None, **columns: Any) -> None:
        """Set columns of a cycle: what it read and decided, or how it ended.

        `memory` (the strategies' digest and the state of the rate memory) is kept in the same transaction.
        """
        with self._write() as connection:
            connection.execute(sa.update(cycles).where(cycles.c.id == cycle_id).values(columns))
            if memory is not None:
                strategies, state = memory
                values = {"cycle_id": cycle_id, "state": state}
                same = rate_memory.c.strategies == strategies
                if connection.execute(sa.update(rate_memory).where(same).values(values)).rowcount == 0:
                    connection.execute(sa.insert(rate_memory).values(strategies=strategies, **values))

    def memory(self, strategies: str) -> str | None:
        """Return the state of the rate memory for these strategies."""
        with self._read() as connection:
            return connection.execute(
                sa.select(rate_memory.c.state).where(rate_memory.c.strategies == strategies)
            ).scalar_one_or_none()

    def recent_cycles(self, count: int = 10) -> list[dict[str, Any]]:
        """Return the last cycles, newest first."""
        with self._read() as connection:
            rows = connection.execute(sa.select(cycles).order_by(cycles.c.id.desc()).limit(count)).mappings()
            return [dict(row) for row in rows]

    # --- intents -------------------------------------------------------------------------------------------------

    def plan(
        self,
        cycle_id: int,
        *,
        sender: str,
        nonce: int,
        epoch: int,
        deadline: int,
        gas: int,
        call_data: bytes,
        reason: str,
        kind: Kind = Kind.REBALANCE,
    ) -> Intent:
        """Open an intent. Refused by the database while another is open."""
        row = {
            "cycle_id": cycle_id,
            "created_at": int(time.time()),
            "kind": kind,
            "sender": sender,
            "nonce": nonce,
            "epoch": epoch,
            "deadline": deadline,
            "gas": gas,
            "call_data": call_data,
            "state": State.PLANNED,
            "reason": reason,
            "in_flight": 1,
        }
        with self._write() as connection:
            return _intent(connection, _inserted(connection, intents, row))

    def record_signed(self, intent: Intent, transaction_hash: str, raw: bytes, max_fee: int, tip: int) -> Intent:
        """Store a signed transaction. Must come before it is sent."""
        row = {
            "intent_id": intent.id,
            "created_at": int(time.time()),
            "transaction_hash": transaction_hash,
            "raw": raw,
            "max_fee": max_fee,
            "tip": tip,
        }
        with self._write() as connection:
            _inserted(connection, attempts, row)
            if intent.state is State.PLANNED:
                _set_state(connection, intent.id, State.SIGNED)
            return _intent(connection, intent.id)

    def record_sent(self, intent: Intent, transaction_hash: str) -> Intent:
        """Record that a node accepted one of the intent's transactions."""
        with self._write() as connection:
            connection.execute(
                sa.update(attempts)
                .where(attempts.c.transaction_hash == transaction_hash)
                .values(sent_at=int(time.time()))
            )
            _set_state(connection, intent.id, State.SENT)
            return _intent(connection, intent.id)

    def settle(
        self,
        intent: Intent,
        state: State,
        reason: str,
        *,
        transaction_hash: str | None = None,
        block_number: int | None = None,
        gas_used: int | None = None,
        gas_price: int | None = None,
    ) -> Intent:
        """Close an intent, or correct how a closed one ended; an open state reopens it (after a reorg)."""
        with self._write() as connection:
            connection.execute(
                sa.update(intents)
                .where(intents.c.id == intent.id)
                .values(
                    state=state,
                    reason=reason,
                    in_flight=1 if state.is_open else None,
                    transaction_hash=transaction_hash,
                    block_number=block_number,
                    gas_used=gas_used,
                    gas_price=gas_price,
                )
            )
            return _intent(connection, intent.id)

    def latest_intent(self) -> Intent | None:
        """Return the newest intent, open or not."""
        with self._read() as connection:
            newest = connection.execute(sa.select(sa.func.max(intents.c.id))).scalar_one()
            return None if newest is None else _intent(connection, newest)

    def attempts_at(self, sender: str, nonce: int) -> tuple[Attempt, ...]:
        """Return all that was ever signed for a nonce, for any intent, newest first."""
        with self._read() as connection:
            rows = connection.execute(
                sa.select(attempts)
                .join(intents)
                .where(intents.c.sender == sender, intents.c.nonce == nonce)
                .order_by(attempts.c.id.desc())
            ).mappings()
            return tuple(Attempt(**_fields(row, Attempt)) for row in rows)

    def reverted_in_a_row(self) -> tuple[int, int]:
        """Return how many transactions reverted since the last that was applied, and when the newest was planned."""
        ended = sa.select(intents.c.id).where(intents.c.kind != Kind.NO_OP)
        applied = ended.where(intents.c.state == State.MINED).order_by(intents.c.id.desc()).limit(1).scalar_subquery()
        since = sa.select(sa.func.count(), sa.func.max(intents.c.created_at)).where(
            intents.c.state == State.REVERTED, intents.c.id > sa.func.coalesce(applied, 0)
        )
        with self._read() as connection:
            count, newest = connection.execute(since).one()
        return count, newest or 0

    def count_intents(self) -> dict[str, int]:
        """Return the number of intents in each state."""
        with self._read() as connection:
            rows = connection.execute(sa.select(intents.c.state, sa.func.count()).group_by(intents.c.state)).all()
        return {state.value: int(count) for state, count in rows}

    # --- plumbing ------------------------------------------------------------------------------------------------

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                if self._fence is not None:
                    mine = (meta.c.key == _FENCE) & (meta.c.value == self._fence)
                    if not connection.execute(sa.update(meta).where(mine).values(value=self._fence)).rowcount:
                        raise JournalHeldError(
                            "Another keeper has taken the journal over. This one ends; start it again to take its turn."
                        )
                yield connection
        except SQLAlchemyError as error:
            raise _storage_error(error) from error

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise _storage_error(error) from error


def _lives(connection: sa.Connection) -> bool:
    """Return whether the session still answers; one that does not is given up."""
    if connection.closed:
        return False
    try:
        connection.execute(sa.text("SELECT 1"))
        connection.commit()
    except SQLAlchemyError:
        connection.invalidate()
        return False
    return True


def _storage_error(error: SQLAlchemyError) -> KeeperError:
    """Tell what passes by itself (a lock, a server that restarts) from what does not (a full disk, a damaged file)."""
    cause = getattr(error, "orig", None) or error
    by_file = type(cause).__module__.startswith("sqlite3")
    if isinstance(error, OperationalError) and (not by_file or "locked" in str(cause)):
        return JournalBusyError(
            f"The journal's database does not answer ({cause}). Nothing is sent without it; trying again later. If it "
            "persists, see who holds a lock on it, and that its server runs."
        )
    return JournalError(f"The journal failed ({cause}). Nothing is sent without it: check the disk or the database.")


def _inserted(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> int:
    key = connection.execute(sa.insert(table).values(row)).inserted_primary_key
    assert key is not None  # noqa: S101  every table here has one
    return int(key[0])


def _set_state(connection: sa.Connection, intent_id: int, state: State) -> None:
    connection.execute(sa.update(intents).where(intents.c.id == intent_id).values(state=state))


# --- opening, and the lock that keeps a second keeper out ------------------------------------------------------------


def open_journal(url: str, chain_id: int, vault: str) -> Journal:
    """Open a vault's journal for writing, creating it where there is none, and take its lock.

    Raises
    ------
    JournalError
        When another keeper holds it, it belongs to another vault, or storage fails.
    """
    engine = _engine(url, chain_id, vault)
    lock = _take_lock(engine)
    journal = Journal(engine, lock)
    try:
        _create(engine)
        journal.bind(chain_id, vault)
        journal.fence()
    except SQLAlchemyError as error:
        journal.close()
        raise _storage_error(error) from error
    except JournalError:
        journal.close()
        raise
    return journal


def read_journal(url: str, chain_id: int, vault: str) -> Journal | None:
    """Open a journal for reading, beside a running keeper; `None` where there is none yet."""
    engine = _engine(url, chain_id, vault)
    name = engine.url.database
    if engine.dialect.name == "sqlite":
        return Journal(engine, None) if name and Path(name).exists() else None
    try:
        return Journal(engine, None) if sa.inspect(engine).has_table(meta.name, schema=_schema(engine)) else None
    except SQLAlchemyError as error:
        raise _storage_error(error) from error


def _engine(url: str, chain_id: int, vault: str) -> sa.Engine:
    try:
        where = make_url(url)
        waits = {"connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": 1000 * _CONNECT_SECONDS}
        more = {key: value for key, value in waits.items() if key not in where.query}
        engine = sa.create_engine(where, connect_args=more if where.get_backend_name() == "postgresql" else {})
    except (SQLAlchemyError, ImportError) as error:
        raise JournalError(f"`journal`: {url.split('@')[-1]} cannot be opened ({error}). Check the URL.") from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    if engine.dialect.name == "postgresql" and not _is_in_default_schema(engine, chain_id, vault):
        schema = f"bulkhead_{chain_id}_{vault.lower()}"
        return engine.execution_options(schema_translate_map={None: schema})
    return engine


def _is_in_default_schema(engine: sa.Engine, chain_id: int, vault: str) -> bool:
    """Return whether the vault's journal is one of before: there was one in a database, in the default schema."""
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table(meta.name):
                return False
            found = {row.key: row.value for row in connection.execute(sa.select(meta))}
    except SQLAlchemyError as error:
        raise _storage_error(error) from error
    return (found.get("chain_id"), found.get("vault")) == (str(chain_id), vault)


def _schema(engine: sa.Engine) -> str | None:
    """Return the vault's schema; `None` is the default one."""
    names: dict[str | None, str] = engine.get_execution_options().get("schema_translate_map", {})
    return names.get(None)


def _create(engine: sa.Engine) -> None:
    """Create what is not there of schema and tables."""
    schema = _schema(engine)
    with engine.begin() as connection:
        if schema is not None:
            connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
        metadata.create_all(connection)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {pragma}")


def _take_lock(engine: sa.Engine) -> sa.Connection | TextIO | None:
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
        raise JournalHeldError(f"Another keeper (process {holder}) holds the journal {name}. Stop it first.") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _take_database_lock(engine: sa.Engine) -> sa.Connection:
    schema = _schema(engine)
    key = _OLD_LOCK if schema is None else int.from_bytes(keccak(text=schema)[:8], "big", signed=True)
    try:
        connection = engine.connect()
        free = connection.execute(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one()
        connection.commit()
    except SQLAlchemyError as error:
        raise _storage_error(error) from error
    if not free:
        connection.close()
        raise JournalHeldError(
            "Another keeper holds the vault's journal. Stop it first, or start this one again later."
        )
    return connection
