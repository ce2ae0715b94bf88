"""The outside trader: every pool of the devnet is brought to a price, through the vault's own liquidity too."""

from dataclasses import replace

import pytest
from web3.contract import Contract

from scripts.deployment.execute import deploy_vault
from scripts.deployment.plan import plan_on
from scripts.deployment.pools import Liquidity
from scripts.deployment.prices import Feeds, PriceFeed
from scripts.errors import PriceUnreachableError, ScriptError
from scripts.protocols.aave import ETH_PRICE
from scripts.protocols.arbitrage import Trader, price_of, swap_to, trade_to_price, trader_on
from scripts.protocols.artifacts import USDC_UNIT, load_contract
from scripts.protocols.devnet import Devnet, with_rwa
from scripts.protocols.rwa import METH_RATE, UNIT, USDY_PRICE
from tests.ape.house import House
from tests.ape.steered import answer, limits_of

POLICY = "0x" + "ab" * 32
EXACT = 1e-9  # a price is written with 96 binary digits: this is far beyond them


@pytest.fixture
def land(devnet: Devnet) -> Devnet:
    return with_rwa(devnet)


@pytest.fixture
def trader(land: Devnet) -> Trader:
    return trader_on(land)


def pools_of(land: Devnet) -> dict[str, tuple[Contract, str, float]]:
    """Return pool, token and the price at which the pool opened."""
    assert land.rwa is not None
    pools = land.rwa.pools
    return {
        "eth": (land.uniswap.pool, land.weth.address, ETH_PRICE),
        "usdy": (pools["usdy"], land.rwa.usdy.address, USDY_PRICE / UNIT),
        "meth": (pools["meth"], land.rwa.meth.address, ETH_PRICE * METH_RATE / UNIT),
        "mi4": (pools["mi4"], land.rwa.mi4.address, 100.0),
    }


@pytest.mark.parametrize("name", ["eth", "usdy", "meth", "mi4"])
def test_trade__up_down_and_back__ends_at_the_price(land: Devnet, trader: Trader, name: str) -> None:
    pool, token, start = pools_of(land)[name]
    for factor in (1.02, 0.7, 1.5, 1.0):
        move = trade_to_price(trader, pool, token, start * factor)
        assert move.relative_error <= EXACT
        assert move.paid > 0
        root = pool.functions.slot0().call()[0]
        assert trader.pool(pool).price(token, root) == move.price
    still = trade_to_price(trader, pool, token, start)
    assert still.paid == 0, "it was there already"


def test_trade__price_of_either_token__is_the_same_place(land: Devnet, trader: Trader) -> None:
    pool = land.uniswap.pool
    trade_to_price(trader, pool, land.weth.address, 1_900.0)
    move = trade_to_price(trader, pool, land.usdc.address, 1 / 1_900.0, tolerance=EXACT)
    assert move.paid == 0
    assert move.relative_error <= EXACT


def test_trade__pays_to_the_unit__what_the_pool_received(land: Devnet, trader: Trader) -> None:
    pool, weth = land.uniswap.pool, land.weth
    before = weth.functions.balanceOf(pool.address).call()
    move = trade_to_price(trader, pool, weth.address, 1_500.0)
    assert weth.functions.balanceOf(pool.address).call() - before == move.paid


def test_trade__within_tolerance__sends_nothing(land: Devnet, trader: Trader) -> None:
    pool, weth = land.uniswap.pool, land.weth.address
    trader.pool(pool)
    block = land.w3.eth.block_number
    move = trade_to_price(trader, pool, weth, ETH_PRICE * 1.0005, tolerance=1e-3)
    assert move.paid == 0
    assert move.price == pytest.approx(ETH_PRICE, rel=1e-6)
    assert land.w3.eth.block_number == block


def test_trade__through_the_ends_of_a_vaults_range__ends_at_the_price(land: Devnet, trader: Trader) -> None:
    assert land.eth_feed is not None
    feed = Feeds(PriceFeed(land.eth_feed.address, 8, 10**6, 10, 100_000))
    venue = Liquidity(land.uniswap.pool.address, 0.01, feed, low=1_900, high=2_100, max_deviation=0.005)
    plan = plan_on(land, limits_of(["lp"]), POLICY, venues={"lp": venue}, seed=0)
    house = House(land, deploy_vault(land.chain, plan))
    house.deposit("alice", 200_000 * USDC_UNIT)
    house.rebalance([UNIT * 9 // 10])
    for price in (2_400.0, 1_600.0, 2_000.0):
        assert trade_to_price(trader, land.uniswap.pool, land.weth.address, price).relative_error <= EXACT
        answer(land, land.eth_feed.address, price)
    strategy = land.chain.at(house.strategies[0].address, load_contract("UniswapV3LiquidityStrategy"))
    assert strategy.functions.totalAssets().call() > 0


def test_swap_to__sent_as_it_is__ends_at_the_price(land: Devnet, trader: Trader) -> None:
    pool, weth = land.uniswap.pool, land.weth.address
    trader.presses[weth](10_000 * UNIT)
    swap = swap_to(trader, pool, weth, 1_700.0)
    assert swap is not None
    land.chain.send(swap, sender=trader.sender)
    assert price_of(trader, pool, weth) == pytest.approx(1_700.0, rel=EXACT)
    assert swap_to(trader, pool, weth, 1_700.0) is None


@pytest.mark.parametrize("price", [0.0, -1.0, float("inf"), float("nan"), 1e60])
def test_trade__to_no_price__is_refused(land: Devnet, trader: Trader, price: float) -> None:
    with pytest.raises(PriceUnreachableError, match="has no price"):
        trade_to_price(trader, land.uniswap.pool, land.weth.address, price)


def test_trade__another_token__is_refused(land: Devnet, trader: Trader) -> None:
    with pytest.raises(ScriptError, match="not 0x"):
        trade_to_price(trader, land.uniswap.pool, land.accounts["alice"], 2_000.0)


def test_trade__without_a_press__says_what_is_lacking(land: Devnet, trader: Trader) -> None:
    poor = replace(trader, sender=land.sender("stranger"), presses={}, cache={})
    with pytest.raises(PriceUnreachableError, match="give a press"):
        trade_to_price(poor, land.uniswap.pool, land.weth.address, 1_500.0)
