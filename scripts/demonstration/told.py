"""Feeds that an outsider answers for the keeper, and entries of its configuration that go beyond the vault."""

import json
from collections.abc import Mapping
from typing import Any

from web3.contract import Contract

from scripts.deployment.tables import feed_source, quote_of
from scripts.protocols.artifacts import load_contract
from scripts.protocols.block import Order
from scripts.protocols.chain import Chain
from scripts.protocols.devnet import FEED_DECIMALS

HEARTBEAT = 7_200.0  # seconds
LEAST = 1e-6  # a feed's answer is above zero


class Told:
    """Feeds of Chainlink's kind by name: some that a devnet has, and new ones for the rest."""

    def __init__(self, chain: Chain, known: Mapping[str, Contract], new: tuple[str, ...]) -> None:
        code = load_contract("StandInFeed")
        self._sender = chain.sender
        self._feeds = {**known, **{name: chain.deploy(code, FEED_DECIMALS) for name in new}}

    def answers(self, values: Mapping[str, float], time: int) -> list[Order]:
        """Return what lets feeds answer numbers above zero, as of a time."""
        return [
            Order(self._feeds[name].functions.set(round(max(value, LEAST) * 10**FEED_DECIMALS), time), self._sender)
            for name, value in values.items()
        ]

    def source(self, name: str) -> dict[str, Any]:
        """Return a feed as a source of the configuration."""
        return feed_source(self._feeds[name], HEARTBEAT)

    def quote(self, name: str) -> dict[str, Any]:
        """Return a feed as an entry of `quotes` or `rates`."""
        return quote_of(self.source(name))


def peg(pool: str, token: str, worth: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of `quotes`: a pool's mean price of a token over a source of what the token is worth."""
    source = {"kind": "uniswap-v3", "pool": pool, "token": token, "window_seconds": 60}
    return {**quote_of(source), "divided_by": {"sources": [worth]}}


def toml(values: Mapping[str, Any]) -> str:
    """Return plain data as TOML: a line per entry, with tables and lists in the line."""
    return "".join(f"{_key(key)} = {_inline(value)}\n" for key, value in values.items())


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_inline(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(part) for part in value) + "]"
    return json.dumps(value)


def _key(key: str) -> str:
    return json.dumps(key)
