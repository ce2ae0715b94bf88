"""One vault's journal: what is written, and in which order, by transactions of the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from keeper.errors import JournalError
from keeper.journal.schema import (
    SCHEMA_VERSION,
    Intent,
    Kind,
    State,
    attempts,
    cycles,
    intent_of,
    intents,
    meta,
    rate_memory,
)


class Journal:
    """One vault's journal. Use `open_journal`, which takes the lock, or `read_journal`, which does not."""

    def __init__(self, engine: Engine, lock: Connection | TextIO | None) -> None:
        self._engine = engine
        self._lock = lock

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
            found = {row.key: row.value for row in connection.execute(select(meta))}
            if not found:
                connection.execute(insert(meta), [{"key": key, "value": value} for key, value in wanted.items()])
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

    # --- cycles --------------------------------------------------------------------------------------------------

    def begin_cycle(self, *, live: bool) -> int:
        """Write that the keeper woke, before anything can go wrong; returns the cycle's number."""
        row = {"started_at": int(time.time()), "live": live, "outcome": "started", "reason": "not finished"}
        with self._write() as connection:
            return _inserted(connection, cycles, row)

    def note(self, cycle_id: int, *, memory: tuple[str, str] | None = None, **columns: Any) -> None:
        """Add what a cycle learned or how it ended: columns of `cycles`.

        `memory` (the strategies' digest and the state of the rate memory) is kept in the same transaction.
        """
        with self._write() as connection:
            connection.execute(update(cycles).where(cycles.c.id == cycle_id).values(columns))
            if memory is not None:
                strategies, state = memory
                values = {"cycle_id": cycle_id, "state": state}
                same = rate_memory.c.strategies == strategies
                if connection.execute(update(rate_memory).where(same).values(values)).rowcount == 0:
                    connection.execute(insert(rate_memory).values(strategies=strategies, **values))

    def memory(self, strategies: str) -> str | None:
        """Return the state of the rate memory for these strategies."""
        with self._read() as connection:
            return connection.execute(
                select(rate_memory.c.state).where(rate_memory.c.strategies == strategies)
            ).scalar_one_or_none()

    def recent_cycles(self, count: int = 10) -> list[dict[str, Any]]:
        """Return the last cycles, newest first."""
        with self._read() as connection:
            rows = connection.execute(select(cycles).order_by(cycles.c.id.desc()).limit(count)).mappings()
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
            return intent_of(connection, _inserted(connection, intents, row))

    def record_signed(self, intent: Intent, transaction_hash: str, raw: bytes, max_fee: int, tip: int) -> Intent:
        """Store a signed transaction. Must come before it is sent."""
        row = {
            "intent_id": intent.id,
            "created_at": int(time.time()),
            "transaction_hash": transaction_hash,
            "raw": raw,
            "max_fee": str(max_fee),
            "tip": str(tip),
        }
        with self._write() as connection:
            _inserted(connection, attempts, row)
            if intent.state is State.PLANNED:
                _set_state(connection, intent.id, State.SIGNED)
            return intent_of(connection, intent.id)

    def record_sent(self, intent: Intent, transaction_hash: str) -> Intent:
        """Say that a node took one of the intent's transactions."""
        with self._write() as connection:
            connection.execute(
                update(attempts).where(attempts.c.transaction_hash == transaction_hash).values(sent_at=int(time.time()))
            )
            _set_state(connection, intent.id, State.SENT)
            return intent_of(connection, intent.id)

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
                update(intents)
                .where(intents.c.id == intent.id)
                .values(
                    state=state,
                    reason=reason,
                    in_flight=1 if state.is_open else None,
                    transaction_hash=transaction_hash,
                    block_number=block_number,
                    gas_used=gas_used,
                    gas_price=None if gas_price is None else str(gas_price),
                )
            )
            return intent_of(connection, intent.id)

    def latest_intent(self) -> Intent | None:
        """Return the newest intent, open or not."""
        with self._read() as connection:
            newest = connection.execute(select(func.max(intents.c.id))).scalar_one()
            return None if newest is None else intent_of(connection, newest)

    def highest_fees(self, sender: str, nonce: int) -> tuple[int, int] | None:
        """Return the highest fees (max fee, tip; wei) ever signed for a nonce: a replacement must exceed them."""
        with self._read() as connection:
            rows = connection.execute(
                select(attempts.c.max_fee, attempts.c.tip)
                .join(intents)
                .where(intents.c.sender == sender, intents.c.nonce == nonce)
            ).all()
        return (max(int(row.max_fee) for row in rows), max(int(row.tip) for row in rows)) if rows else None

    def count_intents(self) -> dict[str, int]:
        """Return how many intents there are in each state."""
        with self._read() as connection:
            rows = connection.execute(select(intents.c.state, func.count()).group_by(intents.c.state)).all()
        return {str(state): int(count) for state, count in rows}

    # --- plumbing ------------------------------------------------------------------------------------------------

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise storage_error(error) from error

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise storage_error(error) from error


def storage_error(error: SQLAlchemyError) -> JournalError:
    """Return what to raise when the database fails."""
    cause = getattr(error, "orig", None) or error
    return JournalError(f"The journal failed ({cause}). Nothing is sent without it: check the disk or the database.")


def _inserted(connection: Connection, table: Table, row: dict[str, Any]) -> int:
    key = connection.execute(insert(table).values(row)).inserted_primary_key
    assert key is not None  # noqa: S101  every table here has one
    return int(key[0])


def _set_state(connection: Connection, intent_id: int, state: State) -> None:
    connection.execute(update(intents).where(intents.c.id == intent_id).values(state=state))
