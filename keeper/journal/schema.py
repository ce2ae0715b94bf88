"""Tables of the journal."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
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
