"""Tables of the journal, and the intents and signed transactions that are read from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    select,
)

SCHEMA_VERSION = 2


metadata = MetaData()
_wei = String(78)  # uint256 in decimal: no database integer holds it


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


meta = Table(
    "meta",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("value", String(128), nullable=False),
)
cycles = Table(
    "cycles",
    metadata,
    _id(),
    Column("started_at", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("block_number", BigInteger),
    Column("block_timestamp", BigInteger),
    Column("snapshot_digest", String(66)),
    Column("policy_digest", String(66)),
    Column("nav", _wei),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decision", Text),  # JSON: observation, weights now and then, what was sent, decision hash
)
intents = Table(
    "intents",
    metadata,
    _id(),
    Column("cycle_id", ForeignKey("cycles.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("sender", String(42), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("call_data", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("in_flight", Integer, CheckConstraint("in_flight = 1"), unique=True),
    Column("transaction_hash", String(66)),
    Column("block_number", BigInteger),
    Column("gas_used", BigInteger),
    Column("gas_price", _wei),
)
attempts = Table(
    "attempts",
    metadata,
    _id(),
    Column("intent_id", ForeignKey("intents.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("transaction_hash", String(66), nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),
    Column("max_fee", _wei, nullable=False),
    Column("tip", _wei, nullable=False),
)
rate_memory = Table(
    "rate_memory",
    metadata,
    Column("strategies", String(66), primary_key=True),  # digest of the strategies' addresses, in order
    Column("cycle_id", ForeignKey("cycles.id"), nullable=False),
    Column("state", Text, nullable=False),
)


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
