"""Digests that are the same on every machine: SHA-256 over canonical JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(data: Any) -> bytes:
    """Return the one JSON text of some plain data: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of bytes, `0x` and 64 hex digits: fits a `bytes32`."""
    return "0x" + hashlib.sha256(data).hexdigest()


def digest_of(data: Any) -> str:
    """Return the SHA-256 of plain data by way of its canonical JSON."""
    return sha256_hex(canonical_json(data))
