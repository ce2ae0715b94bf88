"""Intents and their signed transactions, and how they are read from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    Connection,
    RowMapping,
    select,
)

from keeper.journal.schema import attempts, intents


class Kind(StrEnum):
    """What an intent calls on the vault."""

    REBALANCE = "rebalance"
    HEARTBEAT = "heartbeat"


class State(StrEnum):
    """Where an intent is in its life."""

    PLANNED = "planned"
    SIGNED = "signed"
    SENT = "sent"
    MINED = "mined"
    REVERTED = "reverted"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"

    @property
    def is_open(self) -> bool:
        """Whether a transaction for it may still be applied."""
        return self in (State.PLANNED, State.SIGNED, State.SENT)


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
    """A rebalance or a heartbeat that the keeper means to get mined exactly once."""

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


def intent_of(connection: Connection, intent_id: int) -> Intent:
    """Read an intent with all its attempts."""
    row = connection.execute(select(intents).where(intents.c.id == intent_id)).mappings().one()
    tries = connection.execute(select(attempts).where(attempts.c.intent_id == intent_id).order_by(attempts.c.id))
    return Intent(
        id=row["id"],
        kind=Kind(row["kind"]),
        cycle_id=row["cycle_id"],
        sender=row["sender"],
        nonce=row["nonce"],
        epoch=row["epoch"],
        deadline=row["deadline"],
        gas=row["gas"],
        call_data=bytes(row["call_data"]),
        state=State(row["state"]),
        reason=row["reason"],
        transaction_hash=row["transaction_hash"],
        block_number=row["block_number"],
        gas_used=row["gas_used"],
        gas_price=None if row["gas_price"] is None else int(row["gas_price"]),
        attempts=tuple(_attempt(item) for item in tries.mappings()),
    )


def _attempt(row: RowMapping) -> Attempt:
    return Attempt(
        id=row["id"],
        intent_id=row["intent_id"],
        transaction_hash=row["transaction_hash"],
        raw=bytes(row["raw"]),
        max_fee=int(row["max_fee"]),
        tip=int(row["tip"]),
    )
