"""Prices on the chain: a feed, and the mean of a real Uniswap V3 pool."""

import time

import pytest

from keeper.errors import NoPriceError, SourceError
from keeper.feeds.chain import ChainlinkSource, UniswapSource
from keeper.feeds.price import Agreement, read_price
from scripts.protocols.aave import ETH_PRICE
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import load_contract
from scripts.protocols.chain import node_of
from scripts.protocols.devnet import Devnet

MINUTE = 60
WINDOW = 30 * MINUTE


def now(devnet: Devnet) -> float:
    return float(devnet.w3.eth.get_block("latest")["timestamp"])


def wait(devnet: Devnet, seconds: int) -> None:
    rpc(devnet.w3, "evm_increaseTime", seconds)
    rpc(devnet.w3, "evm_mine")


def feed_at(devnet: Devnet, price: float, age: int = 0) -> str:
    feed = devnet.chain.deploy(load_contract("StandInFeed"), 8)
    devnet.chain.send(feed.functions.set(round(price * 10**8), int(now(devnet)) - age))
    return str(feed.address)


def pool_of(devnet: Devnet, window: int = WINDOW, token: str | None = None) -> UniswapSource:
    return UniswapSource(node_of(devnet.w3), devnet.uniswap.pool.address, token or devnet.weth.address, window)


def buy(devnet: Devnet, usdc: int) -> None:
    """Buy WETH, and so move the pool's price."""
    maker, chain = devnet.sender("alice"), devnet.chain
    chain.approve(devnet.usdc, devnet.uniswap.router.address, maker)
    order = (devnet.usdc.address, devnet.weth.address, 500, maker.address, 2**40, usdc * 10**6, 0, 0)
    chain.send(devnet.uniswap.router.functions.exactInputSingle(order), sender=maker)


# --- feeds -------------------------------------------------------------------------------------------------------


def test_chainlink__the_coin_in_the_asset(devnet: Devnet) -> None:
    eth, usdc = feed_at(devnet, 2000, age=100), feed_at(devnet, 0.98, age=7000)
    source = ChainlinkSource(node_of(devnet.w3), eth, 3600, usdc, 86_400)
    price = read_price([source], now(devnet), Agreement())
    assert price.value == pytest.approx(2000 / 0.98)
    alone = ChainlinkSource(node_of(devnet.w3), eth, 3600)
    assert read_price([alone], now(devnet), Agreement()).value == 2000


@pytest.mark.parametrize(("eth_age", "usdc_age"), [(3601, 0), (0, 86_401), (5000, 100_000)])
def test_chainlink__either_feed_past_its_heartbeat__is_no_price(devnet: Devnet, eth_age: int, usdc_age: int) -> None:
    source = ChainlinkSource(
        node_of(devnet.w3), feed_at(devnet, 2000, eth_age), 3600, feed_at(devnet, 1, usdc_age), 86_400
    )
    with pytest.raises(NoPriceError, match="s old, and counts for"):
        read_price([source], now(devnet), Agreement())


def test_chainlink__no_feed_or_no_price__is_told(devnet: Devnet) -> None:
    with pytest.raises(SourceError, match="answers 0"):
        ChainlinkSource(node_of(devnet.w3), feed_at(devnet, 0), 3600).read(time.time())
    with pytest.raises(SourceError, match="does not answer latestRoundData"):
        ChainlinkSource(node_of(devnet.w3), devnet.usdc.address, 3600).read(time.time())
    with pytest.raises(SourceError, match="does not answer"):
        ChainlinkSource(node_of(devnet.w3), devnet.accounts["alice"], 3600).read(time.time())


# --- pools -------------------------------------------------------------------------------------------------------


def test_uniswap__the_mean_is_the_price_where_nothing_moved(devnet: Devnet) -> None:
    wait(devnet, WINDOW + 1)
    quote = pool_of(devnet).read(now(devnet))
    assert quote.price == pytest.approx(ETH_PRICE, rel=2e-4)
    other = pool_of(devnet, token=devnet.usdc.address).read(now(devnet))
    assert other.price == pytest.approx(1 / ETH_PRICE, rel=2e-4)


def test_uniswap__a_trade_moves_the_mean_as_slowly_as_the_window_is_long(devnet: Devnet) -> None:
    pool = devnet.uniswap.pool.functions
    devnet.chain.send(pool.increaseObservationCardinalityNext(10))
    wait(devnet, WINDOW + 1)
    buy(devnet, 5_000_000)
    spot = ETH_PRICE * (1 + 5_000_000 / 40_000_000) ** 2
    wait(devnet, 1)
    assert pool_of(devnet).read(now(devnet)).price == pytest.approx(ETH_PRICE, rel=3e-3)
    wait(devnet, WINDOW // 2)
    half = pool_of(devnet).read(now(devnet)).price
    assert half == pytest.approx((ETH_PRICE * spot) ** 0.5, rel=5e-3)  # of geometric means
    wait(devnet, WINDOW)
    assert pool_of(devnet).read(now(devnet)).price == pytest.approx(spot, rel=2e-3)


def test_uniswap__what_is_not_the_pool_it_should_be__is_told(devnet: Devnet) -> None:
    with pytest.raises(SourceError, match="does not remember 31,536,000 s"):
        pool_of(devnet, window=365 * 86_400).read(now(devnet))
    with pytest.raises(SourceError, match="the pool trades"):
        pool_of(devnet, token=devnet.accounts["alice"]).read(now(devnet))
    wrong = UniswapSource(node_of(devnet.w3), devnet.usdc.address, devnet.weth.address)
    with pytest.raises(SourceError, match="does not answer token0"):
        wrong.read(now(devnet))


def test_three_sources__one_pool_that_is_pushed__does_not_carry_the_price_along(devnet: Devnet) -> None:
    wait(devnet, WINDOW + 1)
    buy(devnet, 8_000_000)
    wait(devnet, WINDOW + 1)
    node = node_of(devnet.w3)
    feeds = [ChainlinkSource(node, feed_at(devnet, price), 3600) for price in (2000, 2002)]
    price = read_price([*feeds, pool_of(devnet)], now(devnet), Agreement(2, 0.02))
    assert price.value == pytest.approx(2001)
    assert "off the median" in price.left_out[pool_of(devnet).name]
