"""Entries of a keeper's configuration, from feeds and views on a devnet: prices, quotes and rates."""

from collections.abc import Mapping
from typing import Any

from web3.contract import Contract

from scripts.errors import ScriptError
from scripts.protocols.artifacts import load_contract
from scripts.protocols.devnet import Devnet

HEARTBEAT = 3600.0
"""Seconds within which whoever moves a devnet answers anew."""
FEES = {"uniswap-eth-usdc": "liquidity_rate", "stable-pool": "stable_rate"}
"""Venue -> feed of what its fees come to."""
LENT = ("compound-dai", "aave-usdt")


def defi_tables(devnet: Devnet, strategies: Mapping[str, Contract]) -> dict[str, Any]:
    """Return the tables `prices`, `quotes` and `rates`.

    What is lent out pays what the strategy inside of the swap says. What the fees of the pools come to is what a feed
    says, as an indexer would.

    Parameters
    ----------
    strategies
        Those of the vault by their venues' names (`uniswap-eth-usdc`, ...); others tell their rates themselves.

    Raises
    ------
    ScriptError
        When the devnet has not the venues.
    """
    if devnet.defi is None or devnet.eth_feed is None:
        raise ScriptError("This devnet has not the venues: start one with `ape run devnet --preset defi`.")
    feeds = devnet.defi.feeds
    answers = {name: feed_source(feeds[name]) for name in ("btc", "dai", "usdc", "usdt")}
    eth = {**feed_source(devnet.eth_feed), "quote": feeds["usdc"].address, "quote_heartbeat_seconds": HEARTBEAT}
    rates = {}
    for name, made in strategies.items():
        if name in FEES:
            rates[made.address] = quote_of(feed_source(feeds[FEES[name]]))
        elif name in LENT:
            rates[made.address] = quote_of(_inner_rate(made))
    return {
        "prices": {"sources": [eth]},
        "quotes": {name: quote_of(source) for name, source in {"eth": feed_source(devnet.eth_feed), **answers}.items()},
        "rates": rates,
    }


def quote_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of `quotes` or `rates` with one source."""
    return {"price": {"sources": [source]}}


def feed_source(feed: Contract, heartbeat: float = HEARTBEAT) -> dict[str, Any]:
    """Return a feed as a source, good for so many seconds."""
    return {"kind": "chainlink", "address": feed.address, "heartbeat_seconds": heartbeat}


def _inner_rate(swap: Contract) -> dict[str, Any]:
    strategy = swap.w3.eth.contract(swap.address, abi=list(load_contract("SwapStrategy").abi))
    return {"kind": "call", "address": strategy.functions.INNER().call(), "signature": "supplyRate()"}
