"""The five venues of `DefiYield-v0` on the devnet: a vault over them from plan to redemption."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from web3 import Web3
from web3.contract import Contract

from agent.units import DAY, HOUR
from agent.units import WAD as ONE
from scripts.deployment.execute import Deployment, deploy_vault, verify
from scripts.deployment.plan import plan_on, venues_of
from scripts.deployment.preset import Preset
from scripts.deployment.prices import Feeds
from scripts.deployment.stable import BalancerStable, CurveStable
from scripts.deployment.venues import Existing, Venue
from scripts.errors import PlanRefusedError, RateUnreachableError, VerificationError
from scripts.protocols.aave import ZERO
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC_UNIT, load_contract
from scripts.protocols.balancer import AUTHORIZER, BalancerPool, deploy_pool
from scripts.protocols.borrower import TOLERANCE, follow_supply_rate, lend_out
from scripts.protocols.compound import RATE_MODEL, JumpCurve
from scripts.protocols.defi import YIELD_MARKET, Defi
from scripts.protocols.devnet import Devnet, with_defi
from tests.ape.house import HOLD, House
from tests.ape.mocks import load_mock
from tests.ape.steered import answer, limits_of, snapshot_of

POLICY = "0x" + "ab" * 32
NAMES = ("uniswap-eth-usdc", "compound-dai", "aave-usdt", "stable-pool", "yield-vault")
FIFTH = ONE * 98 // 500


@pytest.fixture(scope="module")
def land(devnet: Devnet) -> Devnet:
    """The devnet with the venues."""
    return with_defi(devnet)


@pytest.fixture(scope="module")
def deployed(land: Devnet) -> Deployment:
    """A vault over the five."""
    return deploy_vault(land.chain, plan_on(land, limits_of(NAMES), POLICY, venues=venues_on(land), seed=0))


@pytest.fixture
def house(land: Devnet, deployed: Deployment) -> House:
    """The vault with 100,000 USDC in it."""
    made = House(land, deployed)
    made.deposit("alice", 100_000 * USDC_UNIT)
    return made


def defi_of(land: Devnet) -> Defi:
    assert land.defi is not None
    return land.defi


def venues_on(land: Devnet) -> dict[str, Venue]:
    found = venues_of(land)
    return {name: found[name] for name in NAMES}


def stable_on(land: Devnet, **changes: Any) -> BalancerStable:
    venue = venues_of(land)["stable-pool"]
    assert isinstance(venue, BalancerStable)
    return replace(venue, **changes)


def worth(house: House) -> list[float]:
    return [strategy.assets / USDC_UNIT for strategy in snapshot_of(house).strategies]


def inner_of(house: House, index: int, kind: str) -> Contract:
    """Return the strategy into which a swap puts its token."""
    swap = house.chain.at(house.strategies[index].address, load_contract("SwapStrategy"))
    return house.chain.at(swap.functions.INNER().call(), load_contract(kind))


# --- from plan to redemption -------------------------------------------------------------------------------------


def test_vault__over_the_five__filled_and_left(land: Devnet, house: House) -> None:
    kinds = [entry["kind"] for entry in house.deployment.to_book()["strategies"]]
    assert kinds == ["uniswap-v3-liquidity", "swap", "swap", "balancer-stable", "erc-4626"]
    house.rebalance([FIFTH] * 5)
    costs = [0.01, 0.002, 0.002, 0.002, 0.0]  # a bid: less what leaving may cost
    assert worth(house) == pytest.approx([19_600 * (1 - cost) for cost in costs], rel=7e-4)
    state = snapshot_of(house)
    assert all(strategy.has_cash for strategy in state.strategies)
    # What the two that are lent out pay is said by the strategies inside.
    lenders = (defi_of(land).compound_dai, defi_of(land).aave_usdt)
    for index, kind, lender in zip((1, 2), ("CompoundV2Strategy", "AaveV3Strategy"), lenders, strict=True):
        rate = inner_of(house, index, kind).functions.supplyRate().call() / ONE
        assert rate == pytest.approx(lender.supply_rate(), rel=1e-6)
    assert state.strategies[4].supply_rate / ONE == pytest.approx(land.markets[YIELD_MARKET].supply_rate(), rel=1e-6)
    house.warp(HOUR)  # the cooldown
    house.rebalance([0] * 5)
    assert worth(house) == [0] * 5
    house.warp(10 * DAY)  # what leaving did not cost comes back no faster than the bid may grow
    assert house.redeem_all("alice") / USDC_UNIT == pytest.approx(100_000 * (1 - 0.0005), rel=3e-4)


def test_book__comes_back_the_same(land: Devnet) -> None:
    again = Devnet.from_book(land.w3, land.to_book())
    assert again.to_book() == land.to_book()
    assert venues_of(again) == venues_of(land)


def test_yield_vault__share_price_grows_by_its_markets_interest(land: Devnet, house: House) -> None:
    vault, market = defi_of(land).yield_vault.functions, land.markets[YIELD_MARKET]
    before, rate = vault.convertToAssets(10**24).call(), market.supply_rate()
    house.warp(365 * DAY)
    assert vault.convertToAssets(10**24).call() / before - 1 == pytest.approx(rate, rel=1e-4)


# --- pegs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("coin", "others"), [("dai", 1), ("usdt", 2)])
def test_depeg__lowers_the_value_and_closes_the_stable_pools_entrance(
    land: Devnet, house: House, coin: str, others: int
) -> None:
    house.rebalance([FIFTH // 2] * 5)
    before = worth(house)
    answer(land, defi_of(land).feeds[coin].address, 0.95)
    after = worth(house)
    assert after[3] == pytest.approx(before[3] * 0.95, rel=1e-6)
    assert after[others] == pytest.approx(before[others] * 0.95, rel=1e-6)
    assert [now for index, now in enumerate(after) if index not in (3, others)] == pytest.approx(
        [then for index, then in enumerate(before) if index not in (3, others)], rel=1e-6
    )
    assert snapshot_of(house).strategies[3].max_deposit == 0
    house.warp(HOUR)
    more = [HOLD, HOLD, HOLD, FIFTH, HOLD]
    depegged = Web3.keccak(text="Depegged(uint256)")[:4].hex()
    assert depegged in house.refusal("keeper", house.vault.functions.rebalance(house.request(more)))


def test_usdc_depegs__the_others_are_worth_more_of_it(land: Devnet, house: House) -> None:
    house.rebalance([FIFTH] * 5)
    before = worth(house)
    answer(land, defi_of(land).feeds["usdc"].address, 0.95)
    after = worth(house)
    # Nobody has traded: the liquidity is worth what it would be once the pool stands at the new price.
    assert after[1:3] == pytest.approx([value / 0.95 for value in before[1:3]], rel=1e-2)
    assert after[3] == pytest.approx(before[3], rel=1e-6)  # of the cheapest coin, which is USDC itself


# --- rates -------------------------------------------------------------------------------------------------------


def test_compound__its_borrower_follows_a_series__exactly(land: Devnet) -> None:
    market = defi_of(land).compound_dai
    for target in (0.0005, 0.25, 0.02, 0.0, 0.07):
        rpc(land.w3, "anvil_mine", hex(12), hex(300))  # the debt grows, by block
        move = follow_supply_rate(market, target)
        assert move.relative_error <= TOLERANCE
        assert market.supply_rate() == pytest.approx(target, rel=TOLERANCE)
        assert not move.clamped
    assert follow_supply_rate(market, 0.07).moved == 0
    with pytest.raises(RateUnreachableError, match=r"cannot pay 50\.0000%"):
        follow_supply_rate(market, 0.5)
    assert follow_supply_rate(market, 0.5, clamp=True).clamped


def test_compound__curve__rate_of_the_contract_to_the_last_digit(land: Devnet) -> None:
    market, generator = defi_of(land).compound_dai, np.random.default_rng(5)
    curve = market.loans().curve
    assert isinstance(curve, JumpCurve)
    model = land.chain.at(market.market.functions.interestRateModel().call(), RATE_MODEL).functions
    for _ in range(40):
        debt, cash = (int(10 ** generator.uniform(18, 26)) for _ in range(2))
        rate = model.getSupplyRate(cash, debt, curve.reserves, curve.reserve_factor).call()
        assert curve.supply_rate(debt, cash) == rate


# --- a lending market that is lent out ---------------------------------------------------------------------------


def test_market_at_full_utilisation__takes_and_pays_nothing_until_somebody_repays(land: Devnet, house: House) -> None:
    house.rebalance([FIFTH // 2] * 5)
    market = defi_of(land).compound_dai
    loan = lend_out(market, market.loans())
    assert loan.call is not None
    land.chain.send(loan.call, sender=market.borrower)
    spike = snapshot_of(house).strategies[1]
    assert inner_of(house, 1, "CompoundV2Strategy").functions.supplyRate().call() / ONE > 0.2
    assert spike.cash == 0
    assert spike.max_withdraw == 0
    house.warp(HOUR)
    for weight, told in ((0, "ERC4626ExceededMaxRedeem"), (2 * FIFTH, "Illiquid")):
        request = house.request([HOLD, weight, HOLD, HOLD, HOLD])
        assert told in house.refusal("keeper", house.vault.functions.rebalance(request))
    land.chain.send(market.repay(loan.step), sender=market.borrower)
    house.rebalance([HOLD, 0, HOLD, HOLD, HOLD])
    assert worth(house)[1] == 0


# --- stable pools: what is planned, refused and noticed ----------------------------------------------------------


def refusal(land: Devnet, venue: Venue) -> str:
    with pytest.raises(PlanRefusedError) as refused:
        plan_on(land, limits_of(["it"]), POLICY, venues={"it": venue})
    return str(refused.value)


def pool_of(land: Devnet, *coins: Contract) -> BalancerPool:
    """Return another pool, with 1,000 of each coin, in a vault of its own."""
    maker = land.sender("market_maker")
    sides = [(coin, 1_000 * 10 ** coin.functions.decimals().call()) for coin in coins]
    for coin, amount in sides:
        land.chain.send(coin.get_function_by_signature("mint(address,uint256)")(maker.address, amount))
    return deploy_pool(land.chain, land.weth, sides, maker)


def test_plan__stable_pools_that_are_not_what_they_should_be__are_refused(land: Devnet) -> None:
    good, defi = stable_on(land), defi_of(land)
    usdc = land.usdc.address
    first = good.prices[0]
    without = pool_of(land, defi.dai, defi.usdt)
    late = replace(first, base=replace(first.base, heartbeat=1))
    land.chain.send(defi.feeds["btc"].functions.set(10**8, 1))
    unknown = replace(first, base=replace(first.base, aggregator=usdc))
    for venue, told in (
        (replace(good, pool=usdc), "is not a stable pool of Balancer V2"),
        (replace(good, pool=defi.stable.vault.address), "is not a stable pool of Balancer V2"),
        (replace(good, pool=without.pool.address), f"and not {usdc}"),
        (replace(good, prices=(first,)), "has 3 coins: give 2 prices"),
        (replace(good, max_cost=0.0004), "must be more than the pool's fee of 0.04%"),
        (replace(good, prices=(late, late)), "its heartbeat is 1 s"),
        (replace(good, prices=(unknown, unknown)), "is not a price feed"),
        (CurveStable(good.pool, 0.01, 0.1, good.prices), "is not a stable pool of Curve"),
    ):
        assert told in refusal(land, venue)
    answer(land, defi.feeds["dai"].address, 0.9)
    assert "costs 0.9, and may be off par by 0.20%" in refusal(land, good)


def test_plan__a_stable_pool_that_is_paused__is_refused(land: Devnet) -> None:
    pool, chain = defi_of(land).stable, land.chain
    authorizer = chain.at(pool.vault.functions.getAuthorizer().call(), AUTHORIZER)
    for contract, call in (
        (pool.pool, pool.pool.functions.pause()),
        (pool.vault, pool.vault.functions.setPaused(True)),
    ):
        action = contract.functions.getActionId(bytes.fromhex(call._encode_transaction_data()[2:10])).call()
        chain.send(authorizer.functions.grantRole(action, chain.sender.address))
    chain.send(pool.vault.functions.setPaused(True))
    assert "is paused" in refusal(land, stable_on(land))
    chain.send(pool.vault.functions.setPaused(False))
    plan_on(land, limits_of(["it"]), POLICY, venues={"it": stable_on(land)})
    chain.send(pool.pool.functions.pause())
    assert "is paused" in refusal(land, stable_on(land))


def _noticed(land: Devnet, made: Deployment, changes: Mapping[str, Venue]) -> None:
    """Assert that a deployment of one strategy is told from one with each of the venues."""
    targets = tuple(contract.address for contract in made.strategies)
    (planned,) = made.plan.strategies
    for told, venue in changes.items():
        other = replace(made.plan, strategies=(replace(planned, venue=venue),))
        with pytest.raises(VerificationError, match=told):
            verify(land.w3, other, made.vault.address, made.lens.address, targets)


def test_verify__another_stable_pool_than_planned__is_noticed(land: Devnet) -> None:
    good, defi = stable_on(land), defi_of(land)
    made = deploy_vault(land.chain, plan_on(land, limits_of(["it"]), POLICY, venues={"it": good}, seed=0))
    other = pool_of(land, land.usdc, defi.dai, defi.usdt)
    first, second = good.prices
    changes = {
        "it: pool": replace(good, pool=other.pool.address),
        "it: max cost": replace(good, max_cost=0.003),
        "it: growth of the rate": replace(good, max_growth=0.2),
        "it: price 2: heartbeat": replace(
            good, prices=(first, replace(second, base=replace(second.base, heartbeat=9)))
        ),
        "it: price 1: feed": replace(good, prices=(second, first)),
        "it: price 1: feed of the asset": replace(good, prices=(replace(first, quote=None), second)),
    }
    _noticed(land, made, changes)


@pytest.mark.parametrize("lists", [False, True])
def test_curve__planned_deployed_filled_and_left(land: Devnet, lists: bool) -> None:
    defi, maker = defi_of(land), land.sender("market_maker")
    coins = (defi.dai, land.usdc, defi.usdt)
    pool = land.chain.deploy(load_mock("CurvePool"), [coin.address for coin in coins], 500, 4 * 10**6, lists)
    amounts = [10**6 * 10 ** coin.functions.decimals().call() for coin in coins]
    for coin, amount in zip(coins, amounts, strict=True):
        land.chain.send(coin.get_function_by_signature("mint(address,uint256)")(maker.address, amount))
        land.chain.approve(coin, pool.address, maker)
    kind = "uint256[]" if lists else "uint256[3]"
    join = pool.get_function_by_signature(f"add_liquidity({kind},uint256)")(amounts, 0)
    land.chain.send(join, sender=maker)
    prices = dict(zip(_others(land), stable_on(land).prices, strict=True))
    ordered = tuple(prices[coin.address] for coin in coins if coin.address in prices)
    good = CurveStable(pool.address, 0.002, 0.1, ordered, pool.functions.token().call(), lists)
    plan = plan_on(land, limits_of(["it"]), POLICY, venues={"it": good}, seed=0)
    assert [line for line in plan.lines() if f"in the Curve stable pool {pool.address} within 0.2 %" in line]
    made = deploy_vault(land.chain, plan)
    (entry,) = made.to_book()["strategies"]
    assert (entry["kind"], entry["pool"], entry["lists"]) == ("curve-stable", pool.address, lists)
    _noticed(land, made, {"it: token": replace(good, token=None), "it: lists": replace(good, lists=not lists)})

    filled = House(land, made)
    filled.deposit("alice", 10_000 * USDC_UNIT)
    filled.rebalance([ONE // 2])
    assert worth(filled) == pytest.approx([5_000 * (1 - 0.002)], rel=5e-4)
    answer(land, defi.feeds["usdt"].address, 0.97)
    assert snapshot_of(filled).strategies[0].max_deposit == 0
    answer(land, defi.feeds["usdt"].address, 1.0)
    assert filled.redeem_all("alice") / USDC_UNIT == pytest.approx(10_000 - 5_000 * 0.002, rel=5e-4)
    if not lists:
        short = replace(good, prices=ordered[:1])
        assert "has 3 coins: give 2 prices" in refusal(land, short)


def _others(land: Devnet) -> list[str]:
    """Return the coins of the stable pool but the asset, in its order."""
    return [coin for coin in defi_of(land).stable.coins if coin != land.usdc.address]


def preset_of(land: Devnet, **changes: Any) -> Preset:
    defi, feeds = defi_of(land), defi_of(land).feeds
    names = {defi.dai.address: "dai-usd", defi.usdt.address: "usdt-usd"}
    plausible = {"heartbeat": 31_536_000, "lowest": 0.1, "highest": 10}
    stable = {"asset": "usdc", "address": defi.stable.pool.address, "max_cost": 0.002, "max_growth": 0.1}
    stable |= {"coins": [names[coin] for coin in _others(land)], "quote": "usdc-usd"}
    data = {
        "name": "Devnet",
        "chain_id": 31337,
        "asset": "usdc",
        "source": "this test",
        "assets": {"usdc": {"address": land.usdc.address, "symbol": "USDC", "decimals": 6}},
        "venues": {
            "balancer": {"kind": "balancer-stable", **stable},
            "curve": {"kind": "curve-stable", **stable, "token": ZERO, "lists": True},
        },
        "feeds": {f"{name}-usd": {"address": feeds[name].address, **plausible} for name in ("dai", "usdc", "usdt")},
    }
    return Preset.model_validate({**data, **changes})


def test_preset__builds_the_same_stable_pools(land: Devnet) -> None:
    venues = preset_of(land).venues_of(land.usdc.address)
    good = stable_on(land)
    assert venues["balancer"] == good
    assert venues["curve"] == CurveStable(good.pool, good.max_cost, good.max_growth, good.prices, ZERO, True)
    with pytest.raises(ValueError, match=r"venues\.balancer: there is no feed '(dai|usdt)-usd'"):
        preset_of(land, feeds={})
    plain = {name: {"address": land.usdc.address} for name in ("dai-usd", "usdc-usd", "usdt-usd")}
    with pytest.raises(ValueError, match="the venue balancer needs its heartbeat"):
        preset_of(land, feeds=plain)


def test_feeds__value__is_the_quotient(land: Devnet) -> None:
    feeds = defi_of(land).feeds
    answer(land, feeds["dai"].address, 0.99)
    answer(land, feeds["usdc"].address, 0.9)
    price = stable_on(land).prices[_others(land).index(defi_of(land).dai.address)]
    assert price.value(land.w3) == pytest.approx(1.1)
    assert Feeds(price.base).value(land.w3) == pytest.approx(0.99)
    assert Existing(defi_of(land).yield_vault.address) == venues_of(land)["yield-vault"]
