"""The outsiders of the preset `defi` carry its prices, pegs, rates, fees and gas along a series."""

from dataclasses import replace

import numpy as np
import pytest

from agent.market.defi import DefiMarket
from agent.units import YEAR
from scripts.errors import ScriptError, TransactionFailedError
from scripts.protocols.artifacts import USDC_UNIT, load_contract
from scripts.protocols.balancer import BalancerPool, StableCurve, Trade
from scripts.protocols.block import BLOCK_GAS, NOBODY, Order, mine_together
from scripts.protocols.defi import Defi
from scripts.protocols.devnet import Devnet, with_defi
from scripts.protocols.outsiders import LENDING, VENUES, Outsiders, Row, rows_of

CALM = Row(2_000.0, 60_000.0, 1.0, 1.0, 1.0, (0.10, 0.02, 0.03, 0.015, 0.04), 1.0)
PRICE, RATE, PEG = 1e-9, 1e-4, 5e-4
"""Relative tolerances: of a Uniswap pool's price, of a lending rate, and of the stable pool, whose fee is 4e-4."""


@pytest.fixture(scope="module")
def land(devnet: Devnet) -> Devnet:
    """The devnet with the venues."""
    return with_defi(devnet)


@pytest.fixture
def outsiders(land: Devnet) -> Outsiders:
    return Outsiders(land)


def defi_of(land: Devnet) -> Defi:
    assert land.defi is not None
    return land.defi


def assert_reached(outsiders: Outsiders, row: Row, peg: float = PEG) -> None:
    found = outsiders.reached()
    wanted = {"eth": row.eth / row.usdc, "dai": row.dai / row.usdc, "usdt": row.usdt / row.usdc}
    assert found.prices == pytest.approx(wanted, rel=PRICE)
    assert {coin: found.pegs[coin] for coin in ("dai", "usdt")} == pytest.approx(
        {coin: wanted[coin] for coin in ("dai", "usdt")}, rel=peg
    )
    rates = {name: row.rates[VENUES.index(name)] for name in LENDING if not row.full[LENDING.index(name)]}
    assert {name: found.rates[name] for name in rates} == pytest.approx(rates, rel=RATE)


def answer_of(land: Devnet, name: str) -> float:
    feed = land.eth_feed if name == "eth" else defi_of(land).feeds[name]
    assert feed is not None
    named = land.chain.at(feed.address, load_contract("IAggregator"))
    _, answer, _, updated, _ = named.functions.latestRoundData().call()
    assert updated == land.w3.eth.get_block("latest")["timestamp"]
    return float(answer / 10**8)


# --- a step ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        CALM,
        replace(CALM, eth=1_600.0, btc=48_000.0, usdc=0.9994, gas_gwei=90.0, congestion=0.97),
        replace(CALM, dai=0.96, usdc=0.97, rates=(1.0, 0.30, 0.001, 0.05, 0.0)),
    ],
)
def test_step__one_block__everything_where_the_row_says(land: Devnet, outsiders: Outsiders, row: Row) -> None:
    before = land.w3.eth.get_block("latest")
    done = outsiders.step(row)
    block = land.w3.eth.get_block("latest")
    assert (block["number"], block["timestamp"]) == (before["number"] + 1, before["timestamp"] + 300)
    assert (done.block, done.timestamp) == (block["number"], block["timestamp"])
    assert done.transactions <= 15
    worked = [receipt for receipt in land.w3.eth.get_block_receipts("latest") if receipt["to"] != NOBODY]
    assert len(worked) == done.transactions
    assert all(receipt["status"] == 1 for receipt in worked)
    assert done.clamped == ()
    assert_reached(outsiders, row)
    for name in ("eth", "btc", "dai", "usdc", "usdt"):
        assert answer_of(land, name) == pytest.approx(getattr(row, name), abs=1e-8)
    assert [answer_of(land, name) for name in ("liquidity_rate", "stable_rate")] == [row.rates[0], row.rates[3]]
    assert block["baseFeePerGas"] == round(row.gas_gwei * 10**9)
    assert block["gasLimit"] == BLOCK_GAS
    assert block["gasUsed"] / block["gasLimit"] == pytest.approx(row.congestion, abs=2e-3)


def test_steps__along_a_drawn_path__reached_each_time(land: Devnet, outsiders: Outsiders) -> None:
    rows = rows_of(DefiMarket().sample(np.random.default_rng(3), 1, 12))
    for row in rows:
        assert outsiders.step(row).clamped == ()
        assert_reached(outsiders, row)


def test_step__the_same_again__trades_for_the_fees_alone(land: Devnet, outsiders: Outsiders) -> None:
    outsiders.step(CALM)
    done = outsiders.step(replace(CALM, rates=(0.0, *CALM.rates[1:3], 0.0, CALM.rates[4])))
    assert done.transactions == len(("eth", *defi_of(land).feeds))


def test_step__markets_lent_out__nothing_to_withdraw_until_they_are_not(land: Devnet, outsiders: Outsiders) -> None:
    outsiders.step(CALM)
    for full in ((True, False, False), (True, True, True), (False, False, True)):
        row = replace(CALM, full=full)
        assert outsiders.step(row).clamped == ()
        assert_reached(outsiders, row)
        cash = [market.loans().liquidity for market in outsiders.markets.values()]
        assert [amount == 0 for amount in cash] == list(full)
        rates = outsiders.reached().rates
        assert all(rates[name] > 0.2 for name, lent in zip(LENDING, full, strict=True) if lent)


def test_step__rate_out_of_reach__says_so_and_goes_as_far_as_it_can(outsiders: Outsiders) -> None:
    done = outsiders.step(replace(CALM, rates=(0.1, 0.9, 0.03, 0.015, 0.04)))
    assert done.clamped == ("compound-dai",)
    assert outsiders.reached().rates["compound-dai"] > 0.3


def test_step__coins_far_from_their_pegs_and_back(land: Devnet, outsiders: Outsiders) -> None:
    for row in (replace(CALM, dai=0.5), replace(CALM, dai=0.3, usdt=0.9), replace(CALM, usdc=0.8), CALM):
        outsiders.step(row)
        assert_reached(outsiders, row, peg=3e-3)  # so large a trade's fee itself moves the pool
    assert min(defi_of(land).stable.balances()) > 3e7


# --- what a step pays --------------------------------------------------------------------------------------------


def test_fees__of_both_pools__add_up_to_the_series(land: Devnet, outsiders: Outsiders) -> None:
    rates = np.random.default_rng(1).uniform(0.2, 0.6, (12, 2))
    outsiders.step(CALM)
    pool, stable = land.uniswap.pool.functions, defi_of(land).stable.pool.functions
    grown = [pool.feeGrowthGlobal0X128().call(), pool.feeGrowthGlobal1X128().call()]
    rate = stable.getRate().call()
    wanted = np.zeros(2)
    for index, (liquidity, coins) in enumerate(rates):
        dai = 1.0 - 2e-4 * (index % 2)
        row = replace(CALM, eth=2_000.0 + index % 3, dai=dai, rates=(liquidity, 0.02, 0.03, coins, 0.04))
        outsiders.step(row)
        wanted += np.array([liquidity, coins]) * 300 / YEAR
    root = pool.slot0().call()[0] / 2**96
    more = [pool.feeGrowthGlobal0X128().call() - grown[0], pool.feeGrowthGlobal1X128().call() - grown[1]]
    paid = (more[0] * root**2 + more[1]) / 2**128 / (2 * root)
    assert paid == pytest.approx(wanted[0], rel=5e-3)
    assert stable.getRate().call() / rate - 1 == pytest.approx(wanted[1], rel=5e-3)


def test_fees__that_arbitrage_paid_ahead__are_left_out_later(land: Devnet, outsiders: Outsiders) -> None:
    outsiders.step(CALM)
    outsiders.step(replace(CALM, eth=2_200.0))  # pays fees for days
    block = land.w3.eth.block_number
    outsiders.step(replace(CALM, eth=2_200.0))
    receipts = land.w3.eth.get_block_receipts(block + 1)
    assert not [receipt for receipt in receipts if receipt["to"] == land.uniswap.router.address]


def test_lending__a_block_a_step__pays_five_minutes(land: Devnet, outsiders: Outsiders) -> None:
    outsiders.step(CALM)
    market = defi_of(land).compound_dai.market.functions
    before = market.exchangeRateCurrent().call()
    for _ in range(6):
        outsiders.step(CALM)
    grown = market.exchangeRateCurrent().call() / before - 1
    assert grown == pytest.approx(0.02 * 6 * 300 / YEAR, rel=1e-3)


# --- the parts ---------------------------------------------------------------------------------------------------


def test_rows__of_a_path__have_its_prices(land: Devnet) -> None:
    path = DefiMarket().sample(np.random.default_rng(5), 2, 400)
    assert path.factors is not None
    assert path.features is not None
    rows = rows_of(path, lane=1)
    roots = np.array([np.sqrt(row.eth * row.usdc) for row in rows])
    assert roots[1:] / roots[:-1] == pytest.approx(path.factors[1, 1:, 0], rel=1e-12)
    assert [row.dai for row in rows] == path.features[1, :, 3].tolist()
    over = np.log(path.features[1, :, 1])
    moves, keep, mean = np.diff(np.log([row.btc for row in rows])), np.exp(-300 / 86_400), over[0]
    for move, now in zip(moves, over[1:], strict=True):
        mean = keep * (mean + move)
        assert mean == pytest.approx(now, abs=1e-9)
    assert all(row.rates == tuple(path.rates[1, t]) for t, row in enumerate(rows))


def test_rows__of_a_market_lent_out__say_so() -> None:
    parameters = DefiMarket().parameters
    often = DefiMarket({**parameters, "full": {**parameters["full"], "per_year": 2_000.0}})
    path = often.sample(np.random.default_rng(2), 1, 300)
    assert path.liquidity is not None
    full = np.array([row.full for row in rows_of(path)])
    assert full.any(axis=0).all()
    for column, name in enumerate(LENDING):
        lent = path.liquidity[0, :, VENUES.index(name)] == 0
        assert full[:, column].tolist() == lent.tolist()


def test_outsiders__of_another_devnet__are_refused(devnet: Devnet) -> None:
    with pytest.raises(ScriptError, match="--preset defi"):
        Outsiders(devnet)


def test_mine_together__an_order_that_reverts__is_named_and_nothing_is_mined(land: Devnet) -> None:
    block, nobody = land.w3.eth.block_number, land.sender("stranger")
    transfer = land.usdc.functions.transfer
    orders = [Order(transfer(land.accounts["bob"], amount), nobody) for amount in (0, USDC_UNIT)]
    with pytest.raises(TransactionFailedError, match=r"transfer by 0x\w+ would revert: .*exceeds balance"):
        mine_together(land.w3, orders, land.w3.eth.get_block("latest")["timestamp"] + 1)
    assert land.w3.eth.block_number == block
    mine_together(land.w3, orders[:1], land.w3.eth.get_block("latest")["timestamp"] + 7)
    assert land.w3.eth.block_number == block + 1


@pytest.fixture
def pool(land: Devnet) -> BalancerPool:
    return defi_of(land).stable


def test_curve__trades__are_the_pools_own(land: Devnet, pool: BalancerPool) -> None:
    outsiders = Outsiders(land)
    generator = np.random.default_rng(8)
    for _ in range(6):
        paid, received = generator.choice(3, 2, replace=False).tolist()
        trade = Trade(paid, received, float(generator.uniform(1e3, 1e7)))
        before = pool.curve()
        expected, _ = before.pay(trade)
        land.chain.send(pool.swaps([trade], outsiders.maker), sender=outsiders.maker)
        assert pool.balances() == pytest.approx(list(expected.balances), rel=1e-9)
        assert pool.curve().invariant == pytest.approx(pool.pool.functions.getRate().call() / 1e18 * 1.2e8, rel=1e-6)


def test_curve__at_prices__has_them_and_the_same_invariant() -> None:
    generator, curve = np.random.default_rng(9), StableCurve((4e7, 3e7, 5e7), 200.0, 4e-4)
    for _ in range(20):
        prices = generator.uniform(0.9, 1.05, 3)
        other = StableCurve(curve.at_prices(prices.tolist()), 200.0, 4e-4)
        assert other.invariant == pytest.approx(curve.invariant, rel=1e-9)
        assert other.prices() == pytest.approx((prices / prices[0]).tolist(), rel=1e-6)


def test_curve__price__is_what_a_small_trade_pays() -> None:
    curve = StableCurve((9e7, 1e7, 2e7), 200.0, 0.0)
    _, received = curve.pay(Trade(1, 0, 1.0))
    assert received == pytest.approx(curve.prices()[1], rel=1e-6)
