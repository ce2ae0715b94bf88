"""What a keeper's configuration has for a vault over the five venues of a devnet: prices, quotes and rates."""

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
    answers = {name: _feed(feeds[name]) for name in ("btc", "dai", "usdc", "usdt")}
    eth = {**_feed(devnet.eth_feed), "quote": feeds["usdc"].address, "quote_heartbeat_seconds": HEARTBEAT}
    rates = {}
    for name, made in strategies.items():
        if name in FEES:
            rates[made.address] = _table(_feed(feeds[FEES[name]]))
        elif name in LENT:
            rates[made.address] = _table(_inner_rate(made))
    return {
        "prices": {"sources": [eth]},
        "quotes": {name: _table(source) for name, source in {"eth": _feed(devnet.eth_feed), **answers}.items()},
        "rates": rates,
    }


def _table(source: Mapping[str, Any]) -> dict[str, Any]:
    return {"price": {"sources": [source]}}


def _feed(feed: Contract) -> dict[str, Any]:
    return {"kind": "chainlink", "address": feed.address, "heartbeat_seconds": HEARTBEAT}


def _inner_rate(swap: Contract) -> dict[str, Any]:
    strategy = swap.w3.eth.contract(swap.address, abi=list(load_contract("SwapStrategy").abi))
    return {"kind": "call", "address": strategy.functions.INNER().call(), "signature": "supplyRate()"}
