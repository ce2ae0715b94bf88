"""Rebalancing on a fork of the vault's chain, which stays untouched."""

from collections.abc import Iterator
from typing import Any

import ape
import pytest
from ape.api import AccountAPI
from ape.contracts import ContractInstance
from eth_utils import to_checksum_address

from tests.fork.upstream import Upstream, at

DEPOSIT_UNITS = 1_000_000
WAD = 10**18
FOREVER = 2**63
GAS = 8_000_000
DAY = 86_400


@pytest.fixture
def vault(upstream: Upstream) -> ContractInstance:
    """The vault as it stands on the upstream."""
    return at("Vault", upstream.vault)


@pytest.fixture(autouse=True)
def untouched(upstream: Upstream, vault: ContractInstance) -> Iterator[None]:
    """Assert that the upstream keeps its block and the vault there its books, whatever a test does on the fork."""

    def state() -> tuple[Any, ...]:
        there = upstream.w3.eth.contract(to_checksum_address(upstream.vault), abi=_abi(vault)).functions
        books = (there.totalAssets(), there.totalSupply(), there.epoch(), there.halted())
        return upstream.w3.eth.block_number, *(call.call() for call in books)

    before = state()
    yield
    assert state() == before


@pytest.fixture
def whale(upstream: Upstream, vault: ContractInstance) -> AccountAPI:
    """A rich account of the upstream, impersonated on the fork, with the vault's asset approved."""
    account = impersonate(upstream.whale)
    at("Vault", vault.asset()).approve(vault, 2**256 - 1, sender=account, gas_limit=GAS)
    return account


@pytest.fixture
def amount(vault: ContractInstance) -> int:
    return int(DEPOSIT_UNITS * 10 ** at("Vault", vault.asset()).decimals())


def impersonate(address: str) -> AccountAPI:
    account = ape.accounts[address]
    account.balance = 10 * WAD
    return account


def request(vault: ContractInstance, weights: list[int]) -> dict[str, Any]:
    return {
        "epoch": vault.epoch(),
        "deadline": FOREVER,
        "minSharePrice": vault.valuation().navPrice * 999 // 1000,
        "weights": weights,
        "policyHash": vault.policyHash(),
        "decisionHash": b"\x03" * 32,
    }


def spread(vault: ContractInstance, share: float) -> list[int]:
    """The same share of NAV for every strategy, `share` in all."""
    return [int(share / len(vault.strategies()) * WAD)] * len(vault.strategies())


def _abi(vault: ContractInstance) -> Any:
    return vault.contract_type.model_dump(mode="json", by_alias=True)["abi"]


def test_fork__holds_what_the_upstream_holds(upstream: Upstream, vault: ContractInstance) -> None:
    assert ape.chain.chain_id == upstream.w3.eth.chain_id == 1
    assert ape.chain.blocks.height >= upstream.w3.eth.block_number
    address = to_checksum_address(upstream.vault)
    assert bytes(ape.chain.provider.get_code(address)) == bytes(upstream.w3.eth.get_code(address)) != b""


def test_deposit_and_rebalance__whale_and_keeper_impersonated__positions_earn(
    vault: ContractInstance, whale: AccountAPI, amount: int
) -> None:
    nav = vault.totalAssets()
    vault.deposit(amount, whale, sender=whale, gas_limit=GAS)
    assert vault.totalAssets() == pytest.approx(nav + amount, abs=10)
    keeper = impersonate(vault.keeper())
    receipt = vault.rebalance(request(vault, spread(vault, 0.9)), sender=keeper, gas_limit=GAS)
    (event,) = receipt.decode_logs(vault.Rebalanced)
    assert event.navAfter == pytest.approx(nav + amount, rel=1e-6)
    assert vault.idle() == pytest.approx((nav + amount) * 0.1, rel=1e-4)
    price = vault.sharePrice()
    ape.chain.mine(deltatime=30 * DAY)
    assert vault.sharePrice() > price

    shares = vault.balanceOf(whale)
    vault.redeem(shares, whale, whale, sender=whale, gas_limit=GAS)
    assert vault.balanceOf(whale) == 0


def test_snapshot_and_revert__the_rebalance_never_happened(
    vault: ContractInstance, whale: AccountAPI, amount: int
) -> None:
    vault.deposit(amount, whale, sender=whale, gas_limit=GAS)
    keeper = impersonate(vault.keeper())
    before = (vault.epoch(), vault.idle(), vault.totalAssets())
    snapshot = ape.chain.snapshot()
    vault.rebalance(request(vault, spread(vault, 0.6)), sender=keeper, gas_limit=GAS)
    assert vault.epoch() == before[0] + 1
    ape.chain.restore(snapshot)
    assert (vault.epoch(), vault.idle(), vault.totalAssets()) == before


def test_walls__hold_on_the_fork_as_well(vault: ContractInstance, whale: AccountAPI, amount: int) -> None:
    vault.deposit(amount, whale, sender=whale, gas_limit=GAS)
    with ape.reverts(vault.NotKeeper, caller=whale.address):
        vault.rebalance(request(vault, spread(vault, 0.5)), sender=whale, gas_limit=GAS)
    over = [int(vault.strategies()[0].relativeCap) + 10**12] + [0] * (len(vault.strategies()) - 1)
    with ape.reverts(vault.RelativeCapExceeded):
        vault.rebalance(request(vault, over), sender=impersonate(vault.keeper()), gas_limit=GAS)


def test_theft_from_a_strategy__tripped_and_left(vault: ContractInstance, whale: AccountAPI, amount: int) -> None:
    vault.deposit(amount, whale, sender=whale, gas_limit=GAS)
    keeper, stranger = impersonate(vault.keeper()), ape.accounts.test_accounts[9]
    vault.rebalance(request(vault, spread(vault, 0.9)), sender=keeper, gas_limit=GAS)
    robbed = vault.strategies()[0].target
    strategy = at("AaveV3Strategy", robbed)
    a_token = at("Vault", strategy.A_TOKEN())
    a_token.transfer(stranger, a_token.balanceOf(robbed) * 9 // 10, sender=impersonate(robbed), gas_limit=GAS)
    vault.trip(sender=stranger, gas_limit=GAS)
    with ape.reverts(vault.VaultHalted):
        vault.rebalance(request(vault, spread(vault, 0.1)), sender=keeper, gas_limit=GAS)
    for entry in vault.strategies():
        vault.unwind(entry.target, 2**256 - 1, sender=stranger, gas_limit=GAS)
    shares = vault.balanceOf(whale)
    assert vault.maxRedeem(whale) == shares
    vault.redeem(shares, whale, whale, sender=whale, gas_limit=GAS)
    assert vault.balanceOf(whale) == 0
