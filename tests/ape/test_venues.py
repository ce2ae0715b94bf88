"""Venues beside Aave: a Compound V2 market, a swap and liquidity on Uniswap V3, from plan to redemption."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web3.contract import Contract
from web3.exceptions import ContractLogicError

from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState, rebalance
from agent.vault.replay import replay
from scripts.deployment.execute import deploy_vault, verify
from scripts.deployment.plan import plan_on, venues_of
from scripts.deployment.pools import Liquidity, Swap
from scripts.deployment.preset import Preset
from scripts.deployment.prices import Feeds, PriceFeed
from scripts.deployment.venues import AaveV3, CompoundV2, Existing, Venue
from scripts.errors import PlanRefusedError, VerificationError
from scripts.protocols import compound
from scripts.protocols.aave import ETH_PRICE
from scripts.protocols.anvil import Anvil, connect, free_port, number_before, rpc
from scripts.protocols.artifacts import USDC_UNIT, WETH_UNIT, load_contract
from scripts.protocols.chain import describe_revert
from scripts.protocols.compound import CompoundMarket
from scripts.protocols.devnet import MARKET_MAKER_WETH, Devnet, deploy_devnet, read_book
from tests.ape.house import HOLD, House
from tests.ape.steered import Steered, answer, limits_of, pass_hours, snapshot_of

DEFI = ("uniswap-eth-usdc", "compound-dai", "aave-usdt", "stable-pool", "yield-vault")
POLICY = "0x" + "ab" * 32
BLOCKS_PER_YEAR = 365 * 24 * 60
"""A block a minute: a market bounds the interest of a block, and so, with fewer blocks, that of a year."""
MANTISSA = 10**18


@pytest.fixture
def market(devnet: Devnet) -> CompoundMarket:
    """A market of 10M USDC, of which 4M are lent out."""
    people = (devnet.sender("supplier"), devnet.sender("borrower"))
    made = compound.deploy_market(devnet.chain, devnet.usdc, devnet.weth, ETH_PRICE, BLOCKS_PER_YEAR, *people)
    mint = devnet.usdc.get_function_by_signature("mint(address,uint256)")
    devnet.chain.send(mint(people[0].address, 10_000_000 * USDC_UNIT))
    rpc(devnet.w3, "anvil_setBalance", people[1].address, hex(20_000 * WETH_UNIT))
    devnet.chain.send(devnet.weth.functions.deposit(), sender=people[1], value=10_000 * WETH_UNIT)
    compound.fill_market(made, devnet.usdc, devnet.weth, 10_000_000, 4_000_000, 10_000)
    return made


@pytest.fixture
def feed(devnet: Devnet) -> PriceFeed:
    """ETH in dollars, as in the devnet's pool."""
    made = devnet.chain.deploy(load_contract("StandInFeed"), 8)
    answer(devnet, made.address, ETH_PRICE)
    return PriceFeed(made.address, 8, 3600, 10, 100_000)


def swap_of(devnet: Devnet, feed: PriceFeed, quote: PriceFeed | None = None, **changes: Any) -> Swap:
    return replace(Swap(devnet.uniswap.pool.address, 0.01, Feeds(feed, quote)), **changes)


def liquidity_of(devnet: Devnet, feed: PriceFeed, **changes: Any) -> Liquidity:
    made = Liquidity(devnet.uniswap.pool.address, 0.01, Feeds(feed), low=1_700, high=2_350, max_deviation=0.005)
    return replace(made, **changes)


def test_vault_over_all_kinds__planned_deployed_filled_and_left(
    devnet: Devnet, market: CompoundMarket, feed: PriceFeed
) -> None:
    venues: dict[str, Venue] = {
        "aave": AaveV3(devnet.markets["aave-a"].pool.address),
        "compound": CompoundV2(market.market.address, BLOCKS_PER_YEAR),
        "eth": swap_of(devnet, feed),
    }
    plan = plan_on(devnet, limits_of(list(venues)), POLICY, venues=venues, seed=0)
    assert [line for line in plan.lines() if "Compound V2 market" in line]
    assert [line for line in plan.lines() if "swaps on Uniswap V3 pool" in line]
    made = deploy_vault(devnet.chain, plan)
    kinds = [entry["kind"] for entry in made.to_book()["strategies"]]
    assert kinds == ["aave-v3", "compound-v2", "swap"]

    house = House(devnet, made)
    house.deposit("alice", 100_000 * USDC_UNIT)
    house.rebalance([3 * MANTISSA // 10, 3 * MANTISSA // 10, MANTISSA // 10])
    state = snapshot_of(house)
    worth = [strategy.assets / USDC_UNIT for strategy in state.strategies]
    assert worth[:2] == pytest.approx([30_000, 30_000], rel=1e-9)
    assert worth[2] == pytest.approx(10_000 * 0.99, rel=0.002)  # less what leaving may cost, and what entering did
    assert [strategy.has_cash for strategy in state.strategies] == [True, True, True]
    assert [strategy.has_rate for strategy in state.strategies] == [True, True, False]
    assert state.strategies[1].supply_rate / MANTISSA == pytest.approx(market.supply_rate(), rel=1e-9)

    pass_hours(devnet, 2, feed)
    grown = snapshot_of(house).strategies[1].assets / USDC_UNIT
    assert grown == pytest.approx(30_000 * (1 + market.supply_rate() * 2 / 8760), rel=1e-6)
    house.rebalance([HOLD, HOLD, 0])
    assert snapshot_of(house).strategies[2].assets == 0
    assert house.redeem_all("alice") / USDC_UNIT == pytest.approx(100_000, rel=2e-3)


def test_replay__over_all_kinds__nav_path_of_the_vault(devnet: Devnet, market: CompoundMarket, feed: PriceFeed) -> None:
    """Entering and leaving a swap costs what it cost on chain; prices move; the rest comes from the share prices."""
    venues: dict[str, Venue] = {
        "aave": AaveV3(devnet.markets["aave-a"].pool.address),
        "compound": CompoundV2(market.market.address, BLOCKS_PER_YEAR),
        "eth": swap_of(devnet, feed),
    }
    limits = limits_of(list(venues), loss=0.09)
    house = House(devnet, deploy_vault(devnet.chain, plan_on(devnet, limits, POLICY, venues=venues, seed=0)))
    generator = np.random.default_rng(11)
    house.deposit("alice", 300_000 * USDC_UNIT)
    navs, prices, weights, traded, costs, flows = [], [], [], [], [], []
    for row in range(12):
        rpc(devnet.w3, "anvil_mine", hex(7), hex(12_000))  # the budgets refill
        answer(devnet, feed.aggregator, ETH_PRICE * (1 + generator.uniform(-0.003, 0.003)))
        if row in (4, 8):
            amount = (1 if row == 4 else -1) * 50_000 * USDC_UNIT
            block = (house.deposit("bob", amount) if amount > 0 else house.withdraw("alice", -amount))["blockNumber"]
            sent = [HOLD] * 3
        else:
            amount, sent = 0, [int(share * MANTISSA) for share in generator.dirichlet(np.ones(4))[:3] * 0.6]
            sent[row % 3] = HOLD if row % 2 and row > 4 else sent[row % 3]
            block = house.rebalance(sent)["blockNumber"]
        worth = [worth_of_shares(house, strategy, block) for strategy in house.strategies]
        navs.append(number_before(house.w3, house.vault.functions.valuation(), block) / USDC_UNIT)
        prices.append(worth)
        weights.append([0.0 if weight == HOLD else weight / MANTISSA for weight in sent])
        traded.append([weight != HOLD for weight in sent])
        flows.append(amount / USDC_UNIT)
        costs.append(costs_of(house, worth, block))
    arrays = (np.array(values) for values in (prices, weights, traded))
    path = replay(*arrays, navs[0], flows=np.array(flows), costs=costs)
    assert np.abs(path / navs - 1).max() <= 1e-9
    swapped = [cost for costs_ in costs for cost in (np.ravel(costs_.entry)[2], np.ravel(costs_.exit)[2]) if cost]
    assert len(swapped) >= 6
    assert max(swapped) > 0.002, "the oracle was never off the pool's price: little is shown"


def test_swap__legs_of_two_sizes__cost_the_fee_and_the_impact_of_the_pools_depth(
    devnet: Devnet, feed: PriceFeed
) -> None:
    house = House(
        devnet,
        deploy_vault(
            devnet.chain,
            plan_on(devnet, limits_of(["eth"], loss=0.09), POLICY, venues={"eth": swap_of(devnet, feed)}, seed=0),
        ),
    )
    house.deposit("alice", 200_000 * USDC_UNIT)
    depth = MARKET_MAKER_WETH * ETH_PRICE  # of each side, over all prices
    costs = Costs(0.0, 0.0, entry=0.0005, haircut=0.01, impact=1 / depth)
    limits, opened = Limits.uniform(1, 1.0, idle_floor=0.0), PortfolioState.open(200_000.0, 1)
    lost = []
    for weight in (0.2, 0.8):
        before = rpc(devnet.w3, "evm_snapshot")
        house.rebalance([int(weight * MANTISSA)])
        nav = snapshot_of(house).nav / USDC_UNIT
        assert rpc(devnet.w3, "evm_revert", before)
        planned = rebalance(opened, np.array([[weight]]), np.array([[True]]), np.zeros(1), costs, limits).state
        assert 200_000 - nav == pytest.approx(200_000 - planned.nav[0], rel=0.002)
        lost.append(1 - (nav - 200_000 * (1 - weight)) / (200_000 * weight * 0.99))  # of the leg, but for the haircut
    measured = (lost[1] - lost[0]) / (0.6 * 200_000)
    assert measured == pytest.approx(1 / depth, rel=0.01)


def worth_of_shares(house: House, strategy: Contract, block: int) -> float:
    """Return what a share was worth at the start of a block."""
    return float(number_before(house.w3, strategy.functions.convertToAssets(10**27), block)) / 10**27


def costs_of(house: House, worth: Sequence[float], block: int) -> Costs:
    """Return what entering and leaving each strategy cost in a block, and its haircut, from the strategies' events."""
    entry, leave, haircut = np.zeros(3), np.zeros(3), np.array([0.0, 0.0, 0.01])
    for index, strategy in enumerate(house.strategies):
        events, span = strategy.events, {"from_block": block, "to_block": block}
        for event in events.Deposit().get_logs(**span):
            entry[index] = 1 - event.args.shares * worth[index] / event.args.assets if index == 2 else 0.0
        for event in events.Withdraw().get_logs(**span):
            leave[index] = 1 - event.args.assets / (event.args.shares * worth[index]) if index == 2 else 0.0
    return Costs(entry=entry, exit=leave, haircut=haircut)


# --- steered by the keeper ---------------------------------------------------------------------------------------


def test_keeper__over_all_kinds_of_venues__goes_where_its_policy_wants(
    devnet: Devnet, market: CompoundMarket, feed: PriceFeed, tmp_path: Path
) -> None:
    venues: dict[str, Venue] = {
        "aave": AaveV3(devnet.markets["aave-a"].pool.address),
        "compound": CompoundV2(market.market.address, BLOCKS_PER_YEAR),
        "eth": swap_of(devnet, feed),
    }
    steered = Steered(devnet, venues, "equal-weight", tmp_path, cap=0.6)
    first = steered.cycle()
    assert first.outcome == "no-trade"
    assert "the share price has not been watched" in first.reason
    pass_hours(devnet, 2, feed)

    done = steered.cycle()
    assert done.outcome == "mined", done.reason
    assert steered.weights() == pytest.approx([0.98 / 3] * 3, abs=0.005)
    assert "costs 0.6501% of NAV, of 2.0000%" in done.reason  # the swap's most: 1 % to enter, 1 % of what is in
    pass_hours(devnet, 2, feed)
    again = steered.cycle(costs={steered.house.strategies[2].address: {"entry": 0.0006, "exit": 0.0006}})
    assert again.outcome == "no-trade", again.reason


def test_keeper__market_that_is_lent_out__draws_nothing_in_and_blocks_nothing(
    devnet: Devnet, market: CompoundMarket, tmp_path: Path
) -> None:
    venues: dict[str, Venue] = {
        "aave": AaveV3(devnet.markets["aave-a"].pool.address),
        "compound": CompoundV2(market.market.address, BLOCKS_PER_YEAR),
        "other": AaveV3(devnet.markets["aave-b"].pool.address),
    }
    steered = Steered(devnet, venues, "greedy", tmp_path, cap=0.6)
    assert steered.cycle().outcome == "mined"
    steered.house.send("deployer", market.market.functions.accrueInterest())
    put = [0, 3 * MANTISSA // 10, HOLD]
    before = steered.weights()
    borrower = devnet.sender("borrower")
    cash = market.market.functions.getCash().call()
    devnet.chain.send(market.market.functions.borrow(cash - 1_000 * USDC_UNIT), sender=borrower)
    pass_hours(devnet, 1)

    spike = snapshot_of(steered.house).strategies[1]
    assert spike.supply_rate / MANTISSA > 0.5, "the best rate by far"
    assert spike.cash < 1_100 * USDC_UNIT
    calm = steered.cycle()
    assert calm.outcome in ("no-trade", "mined"), calm.reason
    after = steered.weights()
    assert after[1] <= max(before[1], 0.0101) + 1e-6
    refusal = steered.house.vault.functions.rebalance(steered.house.request(put))
    with pytest.raises(ContractLogicError) as refused:
        refusal.call({"from": steered.address})
    assert "Illiquid" in describe_revert(refused.value, steered.house.vault.abi)

    repay = market.market.functions.repayBorrow(cash - 1_000 * USDC_UNIT)
    devnet.chain.send(repay, sender=borrower)
    pass_hours(devnet, 1)
    assert steered.cycle().succeeded


def test_swap__into_a_compound_market_of_the_token(devnet: Devnet, market: CompoundMarket, feed: PriceFeed) -> None:
    inner = CompoundV2(market.collateral.address, BLOCKS_PER_YEAR)
    venues: dict[str, Venue] = {"lent-eth": swap_of(devnet, feed, inner=inner)}
    plan = plan_on(devnet, limits_of(["lent-eth"]), POLICY, venues=venues, seed=0)
    made = deploy_vault(devnet.chain, plan)
    assert made.to_book()["strategies"][0]["inner"]["market"] == market.collateral.address
    house = House(devnet, made)
    house.deposit("alice", 10_000 * USDC_UNIT)
    before = market.collateral.functions.totalSupply().call()
    house.rebalance([MANTISSA // 2])
    assert market.collateral.functions.totalSupply().call() > before
    # Whoever leaves is paid the bid: half of it less what selling may cost.
    assert house.redeem_all("alice") / USDC_UNIT == pytest.approx(10_000 - 5_000 * 0.01, rel=1e-3)


def test_liquidity__planned_deployed_filled_and_left(devnet: Devnet, feed: PriceFeed) -> None:
    venues: dict[str, Venue] = {"lp": liquidity_of(devnet, feed)}
    plan = plan_on(devnet, limits_of(["lp"]), POLICY, venues=venues, seed=0)
    assert [line for line in plan.lines() if "with liquidity of 1700 to 2350 on Uniswap V3 pool" in line]
    since = devnet.w3.eth.block_number
    made = deploy_vault(devnet.chain, plan)
    (entry,) = made.to_book()["strategies"]
    assert (entry["kind"], entry["range"]) == ("uniswap-v3-liquidity", [1_700, 2_350])

    house = House(devnet, made)
    house.deposit("alice", 10_000 * USDC_UNIT)
    house.rebalance([MANTISSA // 2])
    (state,) = snapshot_of(house).strategies
    assert state.assets / USDC_UNIT == pytest.approx(5_000 * 0.99, rel=0.001)
    assert state.has_cash
    functions = made.strategies[0].functions
    low, high = (1.0001 ** -functions.TICK_UPPER().call(), 1.0001 ** -functions.TICK_LOWER().call())
    if devnet.weth.address < devnet.usdc.address:
        low, high = 1 / high, 1 / low
    assert [low * 10**12, high * 10**12] == pytest.approx([1_700, 2_350], rel=0.001)
    assert house.redeem_all("alice") / USDC_UNIT == pytest.approx(10_000 - 5_000 * 0.01, rel=1e-3)

    (planned,) = plan.strategies
    targets = tuple(contract.address for contract in made.strategies)
    for changes, told in (({"low": 1_600}, "lp: range"), ({"max_deviation": 0.004}, "lp: max deviation")):
        other = replace(plan, strategies=(replace(planned, venue=liquidity_of(devnet, feed, **changes)),))
        with pytest.raises(VerificationError, match=told):
            verify(devnet.w3, other, made.vault.address, made.lens.address, targets, since)


def test_verify__another_venue_than_planned__is_noticed(
    devnet: Devnet, market: CompoundMarket, feed: PriceFeed
) -> None:
    venues: dict[str, Venue] = {
        "compound": CompoundV2(market.market.address, BLOCKS_PER_YEAR),
        "eth": swap_of(devnet, feed),
    }
    plan = plan_on(devnet, limits_of(list(venues)), POLICY, venues=venues, seed=0)
    since = devnet.w3.eth.block_number
    made = deploy_vault(devnet.chain, plan)
    targets = tuple(contract.address for contract in made.strategies)
    first, second = plan.strategies
    for changed, told in (
        ((replace(first, venue=CompoundV2(market.market.address, 1)), second), "compound: blocks per year"),
        ((first, replace(second, venue=swap_of(devnet, feed, max_cost=0.02))), "eth: max cost"),
        ((first, replace(second, venue=swap_of(devnet, replace(feed, heartbeat=7200)))), "eth: heartbeat"),
        ((first, replace(second, venue=swap_of(devnet, feed, quote=feed))), "eth: feed of the asset"),
    ):
        other = replace(plan, strategies=changed)
        with pytest.raises(VerificationError, match=told):
            verify(devnet.w3, other, made.vault.address, made.lens.address, targets, since)


def test_plan__venues_that_are_not_what_they_should_be__are_refused(
    devnet: Devnet, market: CompoundMarket, feed: PriceFeed
) -> None:
    usdc, weth = devnet.usdc.address, devnet.weth.address
    people = (devnet.sender("supplier"), devnet.sender("borrower"))
    empty = compound.deploy_market(devnet.chain, devnet.usdc, devnet.weth, ETH_PRICE, BLOCKS_PER_YEAR, *people)
    old = devnet.chain.deploy(load_contract("StandInFeed"), 8).address
    answer(devnet, old, ETH_PRICE, age=7200)
    for venue, told in (
        (CompoundV2(usdc, 1), "is not a Compound V2 market"),
        (CompoundV2(market.collateral.address, 1), f"lends {weth}, not {usdc}"),
        (CompoundV2(empty.market.address, 1), "next to empty"),
        (swap_of(devnet, feed, pool=usdc), "is not a Uniswap V3 pool"),
        (swap_of(devnet, feed, max_cost=0.0005), "must be more than the pool's fee"),
        (swap_of(devnet, replace(feed, aggregator=usdc)), "is not a price feed"),
        (swap_of(devnet, replace(feed, decimals=18)), "has 8 decimals, not 18"),
        (swap_of(devnet, replace(feed, aggregator=old)), "its heartbeat is 3,600 s"),
        (swap_of(devnet, replace(feed, lowest=3_000)), "says 2000, outside 3000 to 100000"),
        (swap_of(devnet, feed, inner=Existing(usdc)), "is not an ERC-4626"),
        (liquidity_of(devnet, feed, low=2_350), "the range 2350 to 2350 is none"),
        (liquidity_of(devnet, feed, max_deviation=0.01), "must be more than 1.07%"),
        (liquidity_of(devnet, feed, max_cost=0.06), "5% at most"),
    ):
        with pytest.raises(PlanRefusedError, match=told):
            plan_on(devnet, limits_of(["it"]), POLICY, venues={"it": venue})
    (told,) = swap_of(devnet, feed).check(devnet.w3, feed.aggregator)
    assert told.endswith(f"not {feed.aggregator}")


def preset_of(devnet: Devnet, market: CompoundMarket, feed: PriceFeed, **changes: Any) -> dict[str, Any]:
    data = {
        "name": "Devnet",
        "chain_id": 31337,
        "asset": "usdc",
        "source": "this test",
        "assets": {
            "usdc": {"address": devnet.usdc.address, "symbol": "USDC", "decimals": 6},
            "weth": {"address": devnet.weth.address, "symbol": "WETH", "decimals": 18},
        },
        "venues": {
            "compound": {
                "kind": "compound-v2",
                "asset": "usdc",
                "address": market.market.address,
                "blocks_per_year": BLOCKS_PER_YEAR,
            },
            "compound-eth": {
                "kind": "compound-v2",
                "asset": "weth",
                "address": market.collateral.address,
                "blocks_per_year": BLOCKS_PER_YEAR,
            },
            "eth": {
                "kind": "swap",
                "asset": "usdc",
                "address": devnet.uniswap.pool.address,
                "max_cost": 0.01,
                "base": "eth-usd",
                "inner": "compound-eth",
            },
            "lp": {
                "kind": "uniswap-v3-liquidity",
                "asset": "usdc",
                "address": devnet.uniswap.pool.address,
                "max_cost": 0.01,
                "max_deviation": 0.005,
                "low": 1_700,
                "high": 2_350,
                "base": "eth-usd",
            },
        },
        "feeds": {"eth-usd": {"address": feed.aggregator, "heartbeat": 3600, "lowest": 10, "highest": 100_000}},
    }
    return {**data, **changes}


def test_preset__builds_the_same_venues(devnet: Devnet, market: CompoundMarket, feed: PriceFeed) -> None:
    venues = Preset.model_validate(preset_of(devnet, market, feed)).venues_of(devnet.usdc.address)
    inner = CompoundV2(market.collateral.address, BLOCKS_PER_YEAR)
    assert venues == {
        "compound": CompoundV2(market.market.address, BLOCKS_PER_YEAR),
        "eth": swap_of(devnet, feed, inner=inner),
        "lp": liquidity_of(devnet, feed),
    }
    plan_on(devnet, limits_of(["compound", "eth"]), POLICY, venues=venues)
    plan_on(devnet, limits_of(["lp"]), POLICY, venues=venues)


def test_preset__swap_that_is_incomplete__is_refused_by_name(
    devnet: Devnet, market: CompoundMarket, feed: PriceFeed
) -> None:
    good = preset_of(devnet, market, feed)
    for changes, told in (
        ({"feeds": {}}, "venues.eth: there is no feed 'eth-usd'"),
        ({"feeds": {"eth-usd": {"address": feed.aggregator}}}, "feeds.eth-usd: the venue eth needs its heartbeat"),
        ({"venues": {**good["venues"], "eth": {**good["venues"]["eth"], "inner": "nobody"}}}, "names? a venue"),
        ({"venues": {**good["venues"], "eth": {**good["venues"]["eth"], "max_cost": 1.0}}}, "max_cost"),
    ):
        with pytest.raises(ValueError, match=told):
            Preset.model_validate({**good, **changes})


def test_compound_market__survives_its_address_book(devnet: Devnet, market: CompoundMarket) -> None:
    again = CompoundMarket.from_book(devnet.chain, market.to_book())
    assert again.to_book() == market.to_book()
    assert again.supply_rate() == pytest.approx(market.supply_rate())
    assert 0.005 < again.supply_rate() < 0.02  # 40 % lent out at 2.5 %, less the reserve factor


@pytest.mark.parametrize(
    ("preset", "added"), [("defi", ["compound", "eth", *DEFI]), ("rwa", ["eth", "usdy", "meth", "mi4"])]
)
def test_devnet_preset__its_book_names_every_venue(
    devnet: Devnet, tmp_path: Path, preset: str, added: list[str]
) -> None:
    anvil = Anvil(port=free_port())
    anvil.start()
    try:
        made = deploy_devnet(connect(anvil.url), preset=preset)
        made.save(tmp_path / "devnet.json")
        again = Devnet.from_book(connect(anvil.url), read_book(tmp_path / "devnet.json"))
        assert again.to_book() == made.to_book()
        venues = venues_of(again)
        assert list(venues) == [*devnet.markets, *added]
        last = added[-5:]  # of the preset defi those before trade in the same pool
        plan = plan_on(again, limits_of(last), POLICY)
        assert len(deploy_vault(again.chain, plan).strategies) == len(last)
    finally:
        anvil.stop()
    assert list(venues_of(devnet)) == list(devnet.markets)
