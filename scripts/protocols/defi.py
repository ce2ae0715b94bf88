"""Additions of the preset `defi`: DAI and USDT, where they are traded and lent, a stable pool, and a yield vault.

With the pool of ETH that every devnet has these are the five venues of `DefiYield-v0`. Pools and markets are the
protocols' bytecode; the coins are test tokens, and anybody may set the feeds.

- **Yield vault.** An ERC-4626 of USDC that others use too and that lends on the Aave market `YIELD_MARKET`: an
  `AaveV3Strategy`. It stands for a vault of Yearn's kind, which lends and takes a part of the interest; this one takes
  none. Its share price grows by what borrowers of that market pay, and its cash is that market's.
- **Compound's blocks.** Interest accrues by block. A year has `BLOCKS_PER_YEAR` of them here, one in five minutes: who
  moves the devnet by steps of five minutes mines one block a step, and every block more accrues as much again. With
  fewer blocks a year a market would come to Compound's bound of 5e-6 a block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from web3.contract import Contract

from scripts.protocols import aave, compound, uniswap
from scripts.protocols.aave import AaveMarket, RateCurve
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC, USDC_UNIT, WETH_UNIT, load_contract
from scripts.protocols.balancer import BalancerPool, deploy_pool
from scripts.protocols.chain import Chain, Sender, unit_of
from scripts.protocols.compound import CompoundMarket
from scripts.protocols.rwa import BTC_PRICE
from scripts.protocols.uniswap import STABLE_FEE, Uniswap

BLOCKS_PER_YEAR = 365 * 24 * 12
DAI_CURVE = RateCurve(0.80, 0.0, 0.05, 0.40, 0.10)  # 45 % APR at most: Compound's bound is 53 % with so few blocks
USDT_CURVE = RateCurve(0.80, 0.0, 0.04, 0.40, 0.10)
YIELD_MARKET = "aave-a"
YIELD_SUPPLY = 10_000_000  # USDC of others in the yield vault
SUPPLY, BORROW, COLLATERAL = 100_000_000, 50_000_000, 500_000  # coins in each market, and WETH
POOLED = 40_000_000  # of each coin in the stable pool
DEPTH = 100_000_000  # on each side of a pool with USDC, near par; a tenth of that at every price
NEAR = 2_232  # ticks to either side: 0.8 to 1.25
PRINTING_PRESS = 10**12
COINS = ("dai", "usdt")
FEEDS: Mapping[str, float] = {
    **{"btc": BTC_PRICE, "dai": 1.0, "usdc": 1.0, "usdt": 1.0},
    **{"liquidity_rate": 0.05, "stable_rate": 0.015},
}
"""Feeds and their first answers: dollars, and what the fees of two pools come to in a year, as an indexer tells it."""


@dataclass(frozen=True)
class Defi:
    """Coins, feeds (`FEEDS`), pools of a coin and USDC (`COINS`), markets, stable pool and yield vault."""

    dai: Contract
    usdt: Contract
    feeds: Mapping[str, Contract]
    pools: Mapping[str, Contract]
    compound_dai: CompoundMarket
    aave_usdt: AaveMarket
    stable: BalancerPool
    yield_vault: Contract

    def to_book(self) -> dict[str, Any]:
        """Return the entry in the address book."""
        return {
            **{name: getattr(self, name).address for name in (*COINS, "yield_vault")},
            **{name: getattr(self, name).to_book() for name in ("compound_dai", "aave_usdt", "stable")},
            "feeds": {name: feed.address for name, feed in self.feeds.items()},
            "pools": {name: pool.address for name, pool in self.pools.items()},
        }

    @classmethod
    def from_book(cls, chain: Chain, entry: Mapping[str, Any]) -> Self:
        """Rebuild from the entry in the address book."""
        feed = load_contract("StandInFeed")
        return cls(
            dai=chain.at(entry["dai"], USDC),
            usdt=chain.at(entry["usdt"], USDC),
            feeds={name: chain.at(address, feed) for name, address in entry["feeds"].items()},
            pools={name: chain.at(address, uniswap.POOL) for name, address in entry["pools"].items()},
            compound_dai=CompoundMarket.from_book(chain, entry["compound_dai"]),
            aave_usdt=AaveMarket.from_book(chain, "aave-usdt", entry["aave_usdt"]),
            stable=BalancerPool.from_book(chain, entry["stable"]),
            yield_vault=chain.at(entry["yield_vault"], load_contract("AaveV3Strategy")),
        )


def deploy_defi(
    chain: Chain,
    usdc: Contract,
    weth: Contract,
    markets: Mapping[str, AaveMarket],
    exchange: Uniswap,
    eth_price: int,
    feeds: Mapping[str, Contract],
    maker: Sender,
) -> Defi:
    """Deploy everything as the chain's sender; `maker` fills the pools, and a market's outsiders the markets."""
    dai, usdt = chain.deploy(USDC, "Dai Stablecoin", "DAI", 18), chain.deploy(USDC, "Tether USD", "USDT", 6)
    lender = markets[YIELD_MARKET]
    supplier, borrower = lender.supplier, lender.borrower
    sides = DEPTH + DEPTH // 10
    for token, who, amount in (
        *((usdc, maker, 2 * sides + POOLED), (usdc, supplier, YIELD_SUPPLY)),
        *((dai, maker, sides + POOLED), (dai, supplier, SUPPLY), (dai, borrower, PRINTING_PRESS)),
        *((usdt, maker, sides + POOLED), (usdt, supplier, SUPPLY), (usdt, borrower, PRINTING_PRESS)),
    ):
        chain.mint(token, who.address, amount * unit_of(token))
    rpc(chain.w3, "anvil_setBalance", borrower.address, hex((2 * COLLATERAL + 10_000) * WETH_UNIT))
    chain.send(weth.functions.deposit(), sender=borrower, value=2 * COLLATERAL * WETH_UNIT)

    pools = {}
    for name, coin in zip(COINS, (dai, usdt), strict=True):
        pools[name] = _pool(chain, exchange, usdc, coin, maker)
    stable = deploy_pool(chain, weth, [(coin, POOLED * unit_of(coin)) for coin in (usdc, dai, usdt)], maker)

    people = (supplier, borrower)
    compound_dai = compound.deploy_market(chain, dai, weth, eth_price, BLOCKS_PER_YEAR, *people, DAI_CURVE)
    compound.fill_market(compound_dai, dai, weth, SUPPLY, BORROW, COLLATERAL)
    libraries = aave.deploy_libraries(chain)
    aave_usdt = aave.deploy_market(chain, "aave-usdt", USDT_CURVE, libraries, usdt, weth, *people)
    aave.fill_market(aave_usdt, SUPPLY, BORROW, COLLATERAL)

    title = ("Stand-in for a yield vault of USDC", "yvUSDC")
    vault = chain.deploy(load_contract("AaveV3Strategy"), lender.pool.address, usdc.address, *title)
    chain.approve(usdc, vault.address, supplier)
    chain.send(vault.functions.deposit(YIELD_SUPPLY * USDC_UNIT, supplier.address), sender=supplier)
    return Defi(dai, usdt, feeds, pools, compound_dai, aave_usdt, stable, vault)


def _pool(chain: Chain, exchange: Uniswap, usdc: Contract, coin: Contract, maker: Sender) -> Contract:
    """Return a pool of a coin and USDC at par: deep near it, and with some liquidity at every price."""
    near = ((usdc, DEPTH * USDC_UNIT), (coin, DEPTH * unit_of(coin)))
    pool = uniswap.create_pool(chain, exchange.factory, near, STABLE_FEE)
    _, tick, *_ = pool.functions.slot0().call()
    manager = exchange.position_manager
    uniswap.provide(chain, manager, near, maker, STABLE_FEE, (tick - NEAR, tick + NEAR))
    uniswap.provide(chain, manager, [(token, side // 10) for token, side in near], maker, STABLE_FEE)
    return pool
