"""AaveV3Strategy on Aave's own bytecode: exact previews, and `max*` that Aave really pays and takes."""

from typing import Any

import numpy as np
import pytest
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from scripts.errors import TransactionFailedError
from scripts.protocols.aave import RAY, AaveMarket
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import load_contract
from scripts.protocols.borrower import follow_supply_rate
from scripts.protocols.chain import Unlocked
from tests.ape.house import UNIT, House

PEOPLE = ("alice", "bob")


class Position:
    """One strategy of its own on a market, with people who use it."""

    def __init__(self, house: House, market: AaveMarket) -> None:
        self.house, self.market, self.w3 = house, market, house.w3
        code = load_contract("AaveV3Strategy")
        self.strategy: Contract = house.chain.deploy(code, market.pool.address, house.usdc.address, "Strategy", "S")
        self.call = self.strategy.functions
        for role in PEOPLE:
            house.chain.approve(house.usdc, self.strategy.address, house.devnet.sender(role))

    def who(self, role: str) -> str:
        return str(self.house.devnet.accounts[role])

    def money(self, role: str) -> tuple[int, int]:
        """Assets and shares of `role`."""
        who = self.who(role)
        return self.house.usdc.functions.balanceOf(who).call(), self.call.balanceOf(who).call()

    def liquidity(self) -> int:
        return int(self.house.usdc.functions.balanceOf(self.market.a_token.address).call())

    def foresee(self, timestamp: int, call: ContractFunction) -> Any:
        """Return the result of `call` in an empty block of that time, and take the block back."""
        snapshot = rpc(self.w3, "evm_snapshot")
        rpc(self.w3, "evm_setNextBlockTimestamp", timestamp)
        rpc(self.w3, "evm_mine")
        answer = call.call()
        assert rpc(self.w3, "evm_revert", snapshot)
        return answer

    def at(self, timestamp: int, role: str, call: ContractFunction) -> tuple[int, int]:
        """Send `call` in a block of that time; return what `role` gained: assets and shares."""
        before = self.money(role)
        rpc(self.w3, "evm_setNextBlockTimestamp", timestamp)
        self.house.send(role, call)
        after = self.money(role)
        return after[0] - before[0], after[1] - before[1]


@pytest.fixture
def position(house: House) -> Position:
    return Position(house, house.devnet.markets["aave-b"])


@pytest.mark.parametrize("seed", [1, 2])
def test_preview__random_amounts_and_times__equals_what_happens(position: Position, seed: int) -> None:
    generator = np.random.default_rng(seed)
    follow_supply_rate(position.market, 0.20)  # a fast index makes rounding errors show
    now = position.w3.eth.get_block("latest")["timestamp"]
    price_before = 0.0
    for _ in range(30):
        now += int(10 ** generator.uniform(0, 6.5))
        role = PEOPLE[generator.integers(2)]
        who = position.who(role)
        amount = int(10 ** generator.uniform(0, 12))
        owned = position.call.balanceOf(who).call()
        kind = generator.choice(["deposit", "mint", "withdraw", "redeem"] if owned else ["deposit", "mint"])
        call = position.call
        if kind == "deposit":
            shares = position.foresee(now, call.previewDeposit(amount))
            assert position.at(now, role, call.deposit(amount, who)) == (-amount, shares)
        elif kind == "mint":
            wanted = amount * 10**6
            assets = position.foresee(now, call.previewMint(wanted))
            assert position.at(now, role, call.mint(wanted, who)) == (-assets, wanted)
        elif kind == "withdraw":
            amount = min(amount, position.foresee(now, call.maxWithdraw(who)))
            shares = position.foresee(now, call.previewWithdraw(amount))
            assert position.at(now, role, call.withdraw(amount, who, who)) == (amount, -shares)
        else:
            given = int(owned * generator.uniform()) if generator.random() < 0.7 else owned
            assets = position.foresee(now, call.previewRedeem(given))
            assert position.at(now, role, call.redeem(given, who, who)) == (assets, -given)
        _check_books(position)
        price = call.convertToAssets(10**27).call()
        assert price >= price_before, "somebody was paid out of the others' money"
        price_before = price


def test_previews__dust_and_nothing__never_more_than_aave_holds(position: Position) -> None:
    follow_supply_rate(position.market, 0.25)
    position.house.warp(3 * 365 * 86_400)
    now = position.w3.eth.get_block("latest")["timestamp"]
    alice = position.who("alice")
    for amount in (1, 2, 3, 1, 10, 1):
        now += 100
        shares = position.foresee(now, position.call.previewDeposit(amount))
        assert position.at(now, "alice", position.call.deposit(amount, alice)) == (-amount, shares)
        _check_books(position)
    while owned := position.call.maxWithdraw(alice).call():
        position.house.send("alice", position.call.withdraw(min(owned, 2), alice, alice))
        _check_books(position)


def _check_books(position: Position) -> None:
    """Assert that the shareholders' claims are covered: in the books, and at Aave."""
    held = position.market.a_token.functions.scaledBalanceOf(position.strategy.address).call()
    assert position.call.scaledAssets().call() <= held
    claims = sum(
        position.call.previewRedeem(position.call.balanceOf(position.who(role)).call()).call() for role in PEOPLE
    )
    assert claims <= position.call.totalAssets().call()
    assert (
        position.call.totalAssets().call()
        <= position.market.a_token.functions.balanceOf(position.strategy.address).call() + 1
    )


@pytest.mark.parametrize("name", ["aave-a", "aave-b", "aave-c"])
def test_supply_rate__whatever_the_market__is_the_pools(house: House, name: str) -> None:
    market = house.devnet.markets[name]
    position = Position(house, market)
    for target in (0.0005, 0.0731, 0.25):
        follow_supply_rate(market, target)
        assert position.call.supplyRate().call() == market.reserve().currentLiquidityRate // 10**9
        assert position.call.supplyRate().call() / 1e18 == pytest.approx(target, rel=1e-4)


def test_position__time_passes__earns_what_the_rate_says(position: Position) -> None:
    follow_supply_rate(position.market, 0.08)
    alice, deposit = position.who("alice"), 1_000_000 * UNIT
    position.house.send("alice", position.call.deposit(deposit, alice))
    start = position.w3.eth.get_block("latest")["timestamp"]
    rate = position.call.supplyRate().call() / 10**18
    position.house.warp(90 * 86_400)
    seconds = position.w3.eth.get_block("latest")["timestamp"] - start
    earned = position.call.previewRedeem(position.call.balanceOf(alice).call()).call() / deposit - 1
    assert earned == pytest.approx(rate * seconds / (365 * 86_400), rel=1e-6)


def test_max_withdraw__reserve_lent_out__what_is_left_and_not_a_unit_more(position: Position) -> None:
    alice = position.who("alice")
    position.house.send("alice", position.call.deposit(10_000_000 * UNIT, alice))
    follow_supply_rate(position.market, 10.0, max_utilisation=0.99, clamp=True)
    free = position.liquidity()
    now = position.w3.eth.get_block("latest")["timestamp"] + 1
    most = position.foresee(now, position.call.maxWithdraw(alice))  # rounding moves it by a unit from block to block
    assert free - 2 <= most <= free < 10_000_000 * UNIT
    snapshot = rpc(position.w3, "evm_snapshot")
    with pytest.raises(TransactionFailedError):
        position.at(now, "alice", position.call.withdraw(most + 10, alice, alice))
    rpc(position.w3, "evm_revert", snapshot)
    assert position.at(now, "alice", position.call.withdraw(most, alice, alice))[0] == most
    assert position.call.maxWithdraw(alice).call() <= 2


def test_max_deposit__supply_cap__is_accepted_and_hardly_more_would_be(position: Position) -> None:
    follow_supply_rate(position.market, 0.15)
    alice, usdc = position.who("alice"), position.house.usdc.address
    set_cap = position.market.configurator.functions.setSupplyCap
    position.house.chain.send(set_cap(usdc, 103_000_000))
    now = position.w3.eth.get_block("latest")["timestamp"] + 40 * 86_400  # the treasury's share of it counts too
    most = position.foresee(now, position.call.maxDeposit(alice))
    assert 0 < most < 3_000_000 * UNIT
    snapshot = rpc(position.w3, "evm_snapshot")
    with pytest.raises(TransactionFailedError):
        position.at(now, "alice", position.call.deposit(most + 10, alice))
    rpc(position.w3, "evm_revert", snapshot)
    assert position.at(now, "alice", position.call.deposit(most, alice))[0] == -most
    position.house.chain.send(set_cap(usdc, 1))
    assert position.call.maxDeposit(alice).call() == position.call.maxMint(alice).call() == 0


def test_max__frozen_or_paused_reserve__says_what_is_still_possible(position: Position) -> None:
    alice, usdc, admin = position.who("alice"), position.house.usdc.address, position.market.configurator.functions
    position.house.send("alice", position.call.deposit(1_000 * UNIT, alice))
    position.house.chain.send(admin.setReserveFreeze(usdc, True))
    assert position.call.maxDeposit(alice).call() == position.call.maxMint(alice).call() == 0
    assert position.call.maxWithdraw(alice).call() > 0
    position.house.send("alice", position.call.withdraw(UNIT, alice, alice))
    position.house.chain.send(admin.setReservePause(usdc, True))
    assert position.call.maxWithdraw(alice).call() == position.call.maxRedeem(alice).call() == 0
    assert position.call.totalAssets().call() > 0


def test_donated_a_tokens__count_for_nothing(position: Position) -> None:
    alice, bob = position.who("alice"), position.house.devnet.sender("bob")
    position.house.send("alice", position.call.deposit(1_000 * UNIT, alice))
    pool, usdc = position.market.pool, position.house.usdc
    position.house.chain.approve(usdc, pool.address, bob)
    scaled = position.call.scaledAssets().call()
    supply = pool.functions.supply(usdc.address, 500 * UNIT, position.strategy.address, 0)
    position.house.chain.send(supply, sender=bob)
    assert position.call.scaledAssets().call() == scaled
    assert position.call.totalAssets().call() == pytest.approx(1_000 * UNIT, rel=1e-6)


def test_stolen_a_tokens__are_missed_at_once(position: Position) -> None:
    alice = position.who("alice")
    position.house.send("alice", position.call.deposit(1_000 * UNIT, alice))
    strategy = position.strategy.address
    rpc(position.w3, "anvil_impersonateAccount", strategy)
    rpc(position.w3, "anvil_setBalance", strategy, hex(10**18))
    theft = position.market.a_token.functions.transfer(position.who("stranger"), 250 * UNIT)
    position.house.chain.send(theft, sender=Unlocked(position.w3, strategy))
    value = position.call.previewRedeem(position.call.balanceOf(alice).call()).call()
    assert value == pytest.approx(750 * UNIT, rel=1e-6)
    assert position.call.maxWithdraw(alice).call() == pytest.approx(value, abs=2)
    position.house.send("alice", position.call.redeem(position.call.balanceOf(alice).call(), alice, alice))


def test_index__of_the_pool__is_what_a_share_is_worth(position: Position) -> None:
    alice = position.who("alice")
    position.house.send("alice", position.call.deposit(1_000_000 * UNIT, alice))
    pool, usdc = position.market.pool.functions, position.house.usdc.address
    shares = position.call.balanceOf(alice).call()
    for _ in range(3):
        position.house.warp(20 * 86_400)
        scaled = position.call.scaledAssets().call()
        index = pool.getReserveNormalizedIncome(usdc).call()
        assert position.call.previewRedeem(shares).call() == pytest.approx(scaled * index / RAY, abs=2)
