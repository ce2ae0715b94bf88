"""Tokenised assets as on Mantle, each with a Uniswap V3 pool of USDC: USDY, mETH, and an index token.

USDY and mETH are stand-ins, which say what they keep of the real tokens; the index is a real token of Set V2, without
the list of holders that MI4 has. The pools are as deep as that of WETH, where Mantle's hold thousands to millions of
dollars, and nobody trades in them: their prices stay while the issuers' rates grow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from web3.contract import Contract

from agent.units import YEAR
from scripts.protocols import uniswap
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC, USDC_UNIT, WETH_UNIT, Artifact, load_contract
from scripts.protocols.chain import Chain, Sender
from scripts.protocols.index import ISSUANCE, TOKEN, deploy_index
from scripts.protocols.uniswap import POOL, Uniswap

UNIT = 10**18
BTC_PRICE = 60_000  # USD
BTC_UNIT = 10**8
USDY_PRICE = 105 * UNIT // 100  # dollars
USDY_DAILY_RATE = 134 * 10**21  # 5 % a year, in 1e27ths
METH_RATE = 105 * UNIT // 100  # ETH
INDEX_DOLLARS = {"wbtc": 50, "weth": 30, "meth": 20}  # in an index token, at first
DEPTH = 40_000_000  # dollars on each side of a pool

_CONTRACTS: Mapping[str, Callable[[], Artifact]] = {
    "usdy": lambda: load_contract("StandInUsdy"),
    "usdy_oracle": lambda: load_contract("StandInUsdyOracle"),
    "meth": lambda: load_contract("StandInMeth"),
    "mi4": lambda: TOKEN,
    "issuance": lambda: ISSUANCE,
    "wbtc": lambda: USDC,  # Aave's test token as well
    "btc_feed": lambda: load_contract("StandInFeed"),
}


@dataclass(frozen=True)
class Rwa:
    """The tokens, where their prices are known, and their pools (`usdy`, `meth`, `mi4`)."""

    usdy: Contract
    usdy_oracle: Contract
    meth: Contract
    mi4: Contract
    issuance: Contract
    wbtc: Contract
    btc_feed: Contract
    pools: Mapping[str, Contract]

    def to_book(self) -> dict[str, Any]:
        """Return the entry in the address book."""
        pools = {name: pool.address for name, pool in self.pools.items()}
        return {**{field: getattr(self, field).address for field in _CONTRACTS}, "pools": pools}

    @classmethod
    def from_book(cls, chain: Chain, entry: Mapping[str, Any]) -> Self:
        """Rebuild from the entry in the address book."""
        contracts: dict[str, Any] = {field: chain.at(entry[field], code()) for field, code in _CONTRACTS.items()}
        return cls(**contracts, pools={name: chain.at(address, POOL) for name, address in entry["pools"].items()})


def deploy_rwa(
    chain: Chain, usdc: Contract, weth: Contract, exchange: Uniswap, eth_price: int, btc_feed: Contract, maker: Sender
) -> Rwa:
    """Deploy the tokens as their issuer, the chain's sender, and fill their pools with money of `maker`.

    Parameters
    ----------
    eth_price, btc_feed
        Dollars per ETH, and a feed of bitcoin that says `BTC_PRICE`.
    """
    year = chain.w3.eth.get_block("latest")["timestamp"] + round(YEAR)  # nobody sets the next range
    usdy = chain.deploy(load_contract("StandInUsdy"))
    usdy_oracle = chain.deploy(load_contract("StandInUsdyOracle"), USDY_PRICE, year, USDY_DAILY_RATE)
    meth = chain.deploy(load_contract("StandInMeth"), METH_RATE)
    wbtc = chain.deploy(USDC, "Wrapped BTC", "WBTC", 8)
    meth_price = eth_price * METH_RATE  # UNIT times
    parts = (
        (wbtc, INDEX_DOLLARS["wbtc"] * BTC_UNIT // BTC_PRICE),
        (weth, INDEX_DOLLARS["weth"] * WETH_UNIT // eth_price),
        (meth, INDEX_DOLLARS["meth"] * UNIT * UNIT // meth_price),
    )
    mi4, issuance = deploy_index(chain, parts, "Stand-in for Mantle Index Four", "MI4")

    amounts = {
        "usdy": (usdy, DEPTH * UNIT * UNIT // USDY_PRICE),
        "meth": (meth, DEPTH * UNIT * UNIT // meth_price),
        "mi4": (mi4, DEPTH * UNIT // sum(INDEX_DOLLARS.values())),
    }
    index_amount = amounts["mi4"][1]
    wbtc_needed, weth_needed, meth_needed = (unit * index_amount // UNIT + 1 for _, unit in parts)
    chain.mint(usdc, maker.address, len(amounts) * DEPTH * USDC_UNIT)
    chain.mint(wbtc, maker.address, wbtc_needed)
    chain.mint(meth, maker.address, meth_needed + amounts["meth"][1])
    rpc(chain.w3, "anvil_setBalance", maker.address, hex(weth_needed + 10_000 * WETH_UNIT))
    chain.send(weth.functions.deposit(), sender=maker, value=weth_needed)
    for token, _ in parts:
        chain.approve(token, issuance.address, maker)
    chain.send(issuance.functions.issue(mi4.address, index_amount, maker.address), sender=maker)

    pools = {}
    for name, side in amounts.items():
        sides = ((usdc, DEPTH * USDC_UNIT), side)
        pools[name] = uniswap.create_pool(chain, exchange.factory, sides)
        if (
            name == "usdy"
        ):  # whoever moves it must be on the list: the managers of positions, of swaps and of quotes too
            managers = (exchange.position_manager, exchange.router, exchange.quoter)
            for holder in (maker, pools[name], *managers):
                chain.send(usdy.functions.setAllowed(holder.address, True))
            chain.send(usdy.functions.mint(maker.address, side[1]))
        uniswap.provide(chain, exchange.position_manager, sides, maker)
    return Rwa(usdy, usdy_oracle, meth, mi4, issuance, wbtc, btc_feed, pools)
