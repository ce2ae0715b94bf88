"""Tokenised assets as on Mantle: a vault over USDY, mETH and an index token, and an issuer that refuses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web3.contract import Contract

from agent.units import DAY, HOUR
from scripts.deployment.execute import deploy_vault, verify
from scripts.deployment.plan import plan_on, venues_of
from scripts.deployment.pools import Swap
from scripts.deployment.prices import Basket, Feeds, Price, Rate
from scripts.deployment.venues import Venue
from scripts.errors import PlanRefusedError, TransactionFailedError, VerificationError
from scripts.protocols import uniswap
from scripts.protocols.aave import ETH_PRICE
from scripts.protocols.artifacts import USDC_UNIT, load_contract
from scripts.protocols.devnet import Devnet, with_rwa
from scripts.protocols.rwa import METH_RATE, UNIT, USDY_DAILY_RATE, USDY_PRICE, Rwa
from tests.ape.house import HOLD, House
from tests.ape.steered import Steered, limits_of, pass_hours, snapshot_of

POLICY = "0x" + "ab" * 32
NAMES = ("usdy", "meth", "mi4")
ORACLE_GAS = 200_000
"""As `SwapStrategy.READ_GAS`."""
THIRD = UNIT * 98 // 300


@pytest.fixture
def land(devnet: Devnet) -> Devnet:
    """The devnet with tokenised assets."""
    return with_rwa(devnet)


def assets_of(land: Devnet) -> Rwa:
    assert land.rwa is not None
    return land.rwa


def venues_on(land: Devnet) -> dict[str, Venue]:
    found = venues_of(land)
    return {name: found[name] for name in NAMES}


def swap_on(land: Devnet, name: str, **changes: Any) -> Swap:
    venue = venues_of(land)[name]
    assert isinstance(venue, Swap)
    return replace(venue, **changes)


def house_on(land: Devnet) -> House:
    """Return a vault with a third of 100,000 USDC in each."""
    plan = plan_on(land, limits_of(NAMES), POLICY, venues=venues_on(land), seed=0)
    house = House(land, deploy_vault(land.chain, plan))
    house.deposit("alice", 100_000 * USDC_UNIT)
    house.rebalance([THIRD] * 3)
    return house


def strategy_of(house: House, index: int) -> Contract:
    return house.chain.at(house.strategies[index].address, load_contract("SwapStrategy"))


def price_of(house: House, index: int) -> float:
    """Return the oracle's price of a whole token, in dollars."""
    oracle = house.chain.at(strategy_of(house, index).functions.ORACLE().call(), load_contract("IOracle"))
    return int(oracle.functions.price().call({"gas": ORACLE_GAS})) / 10**24


def worth(house: House) -> list[float]:
    return [strategy.assets / USDC_UNIT for strategy in snapshot_of(house).strategies]


def strike_off(land: Devnet, who: str, allowed: bool = False) -> None:
    land.chain.send(assets_of(land).usdy.functions.setAllowed(who, allowed))


# --- held and steered --------------------------------------------------------------------------------------------


def test_keeper__over_tokenised_assets__goes_where_its_policy_wants(land: Devnet, tmp_path: Path) -> None:
    steered = Steered(land, venues_on(land), "equal-weight", tmp_path, cap=0.6)
    house = steered.house
    assert steered.cycle().outcome == "no-trade"  # it has not watched the share price yet
    pass_hours(land, 2)
    costs = {strategy.address: {"entry": 0.003, "exit": 0.003} for strategy in house.strategies}
    strike_off(land, house.strategies[0].address)
    barred = steered.cycle(costs=costs)
    assert barred.outcome == "refused"
    assert "TF" in barred.reason, barred.reason  # all that a pool says when the token refuses
    strike_off(land, house.strategies[0].address, allowed=True)
    done = steered.cycle(costs=costs)
    assert done.outcome == "mined", done.reason
    assert steered.weights() == pytest.approx([0.98 / 3] * 3, abs=0.005)

    tokens = (assets_of(land).usdy, assets_of(land).meth, assets_of(land).mi4)
    for index, token in enumerate(tokens):
        held = token.functions.balanceOf(house.strategies[index].address).call()
        assert strategy_of(house, index).functions.units().call() == held
        value = strategy_of(house, index).functions.totalAssets().call() / USDC_UNIT
        assert value == pytest.approx(held / UNIT * price_of(house, index), rel=1e-9)
        assert value == pytest.approx(98_000 / 3, rel=0.003)  # less the fee and the depth
    nav = snapshot_of(house).nav / USDC_UNIT
    assert nav == pytest.approx(100_000 * (1 - 0.98 * 0.0115), rel=0.001)  # a bid: less what leaving may cost


def test_vault__filled_and_left__costs_what_the_pools_do(land: Devnet) -> None:
    house = house_on(land)
    assert worth(house) == pytest.approx([98_000 / 3 * 0.99] * 3, rel=0.003)
    house.warp(HOUR)  # the cooldown
    house.rebalance([0, 0, 0])
    assert worth(house) == [0, 0, 0]
    house.warp(10 * DAY)  # what leaving did not cost comes back no faster than the bid may grow
    assert house.redeem_all("alice") / USDC_UNIT == pytest.approx(100_000, rel=3e-3)


def test_prices__are_their_issuers_and_feeds__near_the_pools(land: Devnet) -> None:
    house = house_on(land)
    first = [price_of(house, index) for index in range(3)]
    assert first == pytest.approx([USDY_PRICE / UNIT, ETH_PRICE * METH_RATE / UNIT, 100], rel=1e-5)
    before = worth(house)
    house.warp(10 * DAY)
    grown = (1 + USDY_DAILY_RATE / 10**27) ** 10
    assert worth(house)[0] == pytest.approx(before[0] * grown, rel=1e-6)
    meth = assets_of(land).meth
    land.chain.send(meth.functions.report(METH_RATE * 95 // 100))  # slashed
    after = worth(house)
    assert after[1] == pytest.approx(before[1] * 0.95, rel=1e-6)
    assert after[2] == pytest.approx(before[2] * (1 - 0.2 * 0.05), rel=1e-5)


def test_index__can_be_had_for_its_parts(land: Devnet) -> None:
    rwa, maker = assets_of(land), land.sender("market_maker")
    supply = rwa.mi4.functions.totalSupply().call()
    before = rwa.wbtc.functions.balanceOf(maker.address).call()
    pool, manager = rwa.pools["mi4"], land.uniswap.position_manager
    assert rwa.mi4.functions.balanceOf(pool.address).call() == pytest.approx(supply, rel=1e-9)
    land.chain.send(rwa.mi4.functions.approve(manager.address, 0), sender=maker)
    buy = (land.usdc.address, rwa.mi4.address, uniswap.FEE, maker.address, 2**40, 10_000 * USDC_UNIT, 0, 0)
    land.chain.send(land.usdc.get_function_by_signature("mint(address,uint256)")(maker.address, 10_000 * USDC_UNIT))
    land.chain.approve(land.usdc, land.uniswap.router.address, maker)
    land.chain.send(land.uniswap.router.functions.exactInputSingle(buy), sender=maker)
    bought = rwa.mi4.functions.balanceOf(maker.address).call()
    land.chain.send(rwa.issuance.functions.redeem(rwa.mi4.address, bought, maker.address), sender=maker)
    assert rwa.wbtc.functions.balanceOf(maker.address).call() - before == pytest.approx(5_000 / 60_000 * 1e8, rel=2e-3)


# --- an issuer that refuses --------------------------------------------------------------------------------------


def refusal(land: Devnet, venue: Venue) -> str:
    with pytest.raises(PlanRefusedError) as refused:
        plan_on(land, limits_of(["it"]), POLICY, venues={"it": venue})
    return str(refused.value)


def test_plan__token_that_refuses_the_strategy_or_the_pool__is_refused(land: Devnet) -> None:
    usdy = swap_on(land, "usdy")
    told = refusal(land, replace(usdy, issuer=None))
    assert "refuses a strategy that its issuer has not listed" in told
    assert "NotOnTheList" in told
    strike_off(land, usdy.pool)
    for venue in (usdy, replace(usdy, issuer=None)):
        assert "refuses its pool" in refusal(land, venue)
    strike_off(land, usdy.pool, allowed=True)
    plan_on(land, limits_of(["it"]), POLICY, venues={"it": usdy})


def test_plan__pool_without_the_token__is_refused(land: Devnet) -> None:
    sides = ((land.usdc, 10**10), (assets_of(land).wbtc, 10**7))
    pool = uniswap.create_pool(land.chain, land.uniswap.factory, sides)
    venue = Swap(pool.address, 0.01, swap_on(land, "eth").price)
    assert "has none of the token" in refusal(land, venue)


def test_struck_off_the_list__the_rest_can_still_be_had(land: Devnet) -> None:
    house = house_on(land)
    before = worth(house)
    strike_off(land, house.strategies[0].address)
    assert worth(house) == before, "the issuer's price is still there"
    house.warp(HOUR)  # the cooldown
    with pytest.raises(TransactionFailedError) as refused:
        house.rebalance([0, HOLD, HOLD])
    assert house.strategies[0].address[2:].lower() in str(refused.value)  # NotOnTheList, of the strategy
    house.rebalance([HOLD, 0, HOLD])
    house.withdraw("alice", 30_000 * USDC_UNIT)
    strike_off(land, house.strategies[0].address, allowed=True)
    house.warp(HOUR)
    house.rebalance([0, HOLD, HOLD])
    assert worth(house)[0] == 0


# --- what was planned, and what is there -------------------------------------------------------------------------


def test_verify__another_price_than_planned__is_noticed(land: Devnet) -> None:
    venues = venues_on(land)
    plan = plan_on(land, limits_of(NAMES), POLICY, venues=venues, seed=0)
    since = land.w3.eth.block_number
    made = deploy_vault(land.chain, plan)
    targets = tuple(contract.address for contract in made.strategies)

    def noticed(told: str, index: int, price: Price) -> None:
        planned = list(plan.strategies)
        planned[index] = replace(planned[index], venue=swap_on(land, NAMES[index], price=price))
        other = replace(plan, strategies=tuple(planned))
        with pytest.raises(VerificationError, match=told):
            verify(land.w3, other, made.vault.address, made.lens.address, targets, since)

    usdy, meth, mi4 = (swap_on(land, name).price for name in NAMES)
    assert isinstance(usdy, Rate)
    assert isinstance(meth, Rate)
    assert isinstance(meth.unit, Feeds)
    assert isinstance(mi4, Basket)
    noticed("usdy: rate", 0, replace(usdy, source=land.weth.address))
    noticed("usdy: question", 0, replace(usdy, question=b"1234"))
    noticed("usdy: growth of the rate", 0, replace(usdy, max_growth=0.2))
    noticed("meth: unit of the rate", 1, replace(meth, unit=None))
    noticed("usdy: unit of the rate", 0, replace(usdy, unit=meth.unit))
    slow = replace(meth.unit, base=replace(meth.unit.base, heartbeat=1))
    noticed("meth: unit of the rate: heartbeat", 1, replace(meth, unit=slow))
    noticed("mi4: basket", 2, replace(mi4, token=land.weth.address))
    noticed("mi4: parts", 2, replace(mi4, parts=mi4.parts[::-1]))
    noticed("mi4: part .*: heartbeat", 2, replace(mi4, parts=(mi4.parts[0], (mi4.parts[1][0], slow), mi4.parts[2])))
    strike_off(land, targets[0])
    noticed("usdy: on the token's list", 0, usdy)


def test_plan__prices_that_are_not_there__are_refused(land: Devnet) -> None:
    usdy, meth, mi4 = (swap_on(land, name) for name in NAMES)
    assert isinstance(usdy.price, Rate)
    assert isinstance(mi4.price, Basket)
    stranger, weth = land.accounts["stranger"], land.weth.address
    for source in (stranger, weth):  # nobody, and nobody who knows
        assert "answers no rate" in refusal(land, replace(usdy, price=replace(usdy.price, source=source)))
    assert land.eth_feed is not None
    old = land.w3.eth.get_block("latest")["timestamp"] - 400 * 86_400
    basket = mi4.price
    assert "is not a Set V2 token" in refusal(land, replace(mi4, price=replace(basket, token=weth)))
    assert "the basket" in refusal(land, replace(mi4, price=replace(basket, parts=basket.parts[:2])))
    land.chain.send(land.eth_feed.functions.set(ETH_PRICE * 10**8, old))
    for venue in (meth, mi4):
        assert "its heartbeat is" in refusal(land, venue)


def test_book__comes_back_the_same(land: Devnet) -> None:
    again = Devnet.from_book(land.w3, land.to_book())
    assert again.to_book() == land.to_book()
    assert venues_of(again) == venues_of(land)
