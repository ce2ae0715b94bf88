"""The outside borrower brings the supply rate to its target, whatever others have supplied."""

import numpy as np
import pytest

from scripts.errors import RateUnreachableError
from scripts.protocols.aave import RATE_STRATEGY, AaveMarket, read_curve
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC_UNIT
from scripts.protocols.borrower import MAX_UTILISATION, follow_supply_rate
from scripts.protocols.chain import Chain
from scripts.protocols.devnet import Devnet

TOLERANCE = 1e-4
LOWEST, HIGHEST = 0.0005, 0.25
ROOM_TO_LEAVE = 10_000_000 * USDC_UNIT


@pytest.fixture(params=["aave-a", "aave-b", "aave-c"])
def market(request: pytest.FixtureRequest, devnet: Devnet) -> AaveMarket:
    return devnet.markets[request.param]


def test_curve__random_states__rate_of_the_contract_to_the_last_digit(devnet: Devnet, market: AaveMarket) -> None:
    generator = np.random.default_rng(7)
    reserve = market.reserve()
    curve = read_curve(market, reserve)
    contract = devnet.w3.eth.contract(reserve.interestRateStrategyAddress, abi=RATE_STRATEGY.abi).functions
    held = devnet.usdc.functions.balanceOf(market.a_token.address).call()
    for _ in range(40):
        debt, added = (int(10 ** generator.uniform(0, 15)) for _ in range(2))
        tokens = (devnet.usdc.address, market.a_token.address)
        supply_rate, _, _ = contract.calculateInterestRates(
            (0, added, 0, 0, debt, 0, curve.reserve_factor, *tokens)
        ).call()
        assert supply_rate == curve.supply_rate(debt, held + added)


def test_follow__series_over_days__exact_each_day(devnet: Devnet, market: AaveMarket) -> None:
    generator = np.random.default_rng(11)
    series = [LOWEST, HIGHEST, LOWEST, 0.02, *generator.uniform(LOWEST, HIGHEST, 12)]
    for target in series:
        rpc(devnet.w3, "evm_increaseTime", 86_400)  # no block yet: the debt grows between reading and mining
        move = follow_supply_rate(market, float(target))
        assert market.supply_rate() == move.rate
        assert move.rate == pytest.approx(target, rel=TOLERANCE)
        assert move.liquidity == devnet.usdc.functions.balanceOf(market.a_token.address).call() >= ROOM_TO_LEAVE
        assert not move.clamped


def test_follow__others_come_and_go__still_exact(devnet: Devnet, market: AaveMarket) -> None:
    alice, pool, usdc = devnet.sender("alice"), market.pool.functions, devnet.usdc
    devnet.chain.approve(usdc, market.pool.address, alice)
    for target in (0.25, 0.001, 0.10):
        follow_supply_rate(market, target)
        devnet.chain.send(pool.supply(usdc.address, 5_000_000 * USDC_UNIT, alice.address, 0), sender=alice)
        assert market.supply_rate() < target * (1 - TOLERANCE)
        assert follow_supply_rate(market, target).relative_error <= TOLERANCE
        devnet.chain.send(pool.withdraw(usdc.address, 4_000_000 * USDC_UNIT, alice.address), sender=alice)
        assert follow_supply_rate(market, target).relative_error <= TOLERANCE


def test_follow__same_target_again__nothing_sent(devnet: Devnet, market: AaveMarket) -> None:
    follow_supply_rate(market, 0.05)
    block = devnet.w3.eth.block_number
    assert follow_supply_rate(market, 0.05).moved == 0
    assert devnet.w3.eth.block_number == block


def test_follow__zero__everything_repaid(devnet: Devnet, market: AaveMarket) -> None:
    assert follow_supply_rate(market, 0.0).rate == 0.0
    assert market.variable_debt_token.functions.totalSupply().call() == 0
    assert follow_supply_rate(market, 0.03).relative_error <= TOLERANCE


def test_follow__out_of_reach__refused_or_clamped_as_asked(market: AaveMarket) -> None:
    with pytest.raises(RateUnreachableError, match="cannot pay 500"):
        follow_supply_rate(market, 5.0)
    move = follow_supply_rate(market, 5.0, clamp=True)
    assert move.clamped
    assert move.rate == market.supply_rate() > HIGHEST
    supplied = market.a_token.functions.totalSupply().call()
    assert move.liquidity / supplied == pytest.approx(1 - MAX_UTILISATION, rel=1e-3)


def test_follow__debt_of_somebody_else__low_rates_are_out_of_reach(devnet: Devnet, market: AaveMarket) -> None:
    follow_supply_rate(market, 0.0)
    rpc(devnet.w3, "anvil_setBalance", devnet.accounts["bob"], hex(20_000 * 10**18))
    bob, pool = devnet.sender("bob"), market.pool.functions
    chain = Chain(devnet.w3, bob)
    chain.send(devnet.weth.functions.deposit(), value=15_000 * 10**18)
    chain.approve(devnet.weth, market.pool.address, bob)
    chain.send(pool.supply(devnet.weth.address, 15_000 * 10**18, bob.address, 0))
    chain.send(pool.borrow(devnet.usdc.address, 20_000_000 * USDC_UNIT, 2, 0, bob.address))
    with pytest.raises(RateUnreachableError):
        follow_supply_rate(market, 1e-5)
    assert follow_supply_rate(market, 0.05).relative_error <= TOLERANCE


@pytest.mark.parametrize("target", [-0.01, float("nan"), float("inf")])
def test_follow__no_rate__refused(devnet: Devnet, target: float) -> None:
    with pytest.raises(ValueError, match="supply rate"):
        follow_supply_rate(devnet.markets["aave-a"], target)
