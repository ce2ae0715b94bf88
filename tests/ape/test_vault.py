"""The vault over three real Aave markets, end to end: roles, and limits that refuse by name."""

import ape
import pytest
from ape.api import AccountAPI

from agent.vault.limits import Limit
from scripts.errors import TransactionFailedError
from scripts.protocols.borrower import follow_supply_rate
from scripts.protocols.devnet import ROLES
from tests.ape.house import ALL, HOLD, UNIT, WAD, House

DEPOSIT = 1_000_000 * UNIT
HOUR = 3_600
DAY = 24 * HOUR
YEAR = 365 * 86_400


def wad(*shares: float) -> list[int]:
    return [int(share * WAD) for share in shares]


@pytest.fixture
def funded(house: House) -> House:
    house.deposit("alice", DEPOSIT)
    return house


def rebalance_refusal(house: House, weights: list[int], role: str = "keeper", **changes: object) -> str:
    """Name of the error that refuses the request; empty if it passes."""
    call = house.vault.functions.rebalance(house.request(weights, **changes))
    return house.refusal(role, call).partition("(")[0]


def test_rebalance__through_ape__only_by_the_keeper(funded: House) -> None:
    people: dict[str, AccountAPI] = {role: ape.accounts.test_accounts[i] for i, role in enumerate(ROLES)}
    assert {role: account.address for role, account in people.items()}.items() <= dict(funded.devnet.accounts).items()
    vault = ape.project.Vault.at(funded.vault.address)
    request = funded.request(wad(0.3, 0.3, 0.3))
    with ape.reverts(vault.NotKeeper, caller=people["stranger"].address):
        vault.rebalance(request, sender=people["stranger"], gas_limit=3_000_000)
    receipt = vault.rebalance(request, sender=people["keeper"], gas_limit=3_000_000)
    (event,) = receipt.decode_logs(vault.Rebalanced)
    assert event.navBefore == DEPOSIT
    assert vault.epoch() == 1


def test_rebalance__each_wall__refuses_by_name(funded: House) -> None:
    good = wad(0.3, 0.3, 0.3)
    for role in set(ROLES) - {"keeper"}:
        assert rebalance_refusal(funded, good, role) == "NotKeeper"
    past = funded.w3.eth.get_block("latest")["timestamp"] - 1
    assert rebalance_refusal(funded, good, epoch=7) == "WrongEpoch"
    assert rebalance_refusal(funded, good, deadline=past) == "DeadlinePassed"
    assert rebalance_refusal(funded, good, policyHash=b"\x09" * 32) == "WrongPolicy"
    assert rebalance_refusal(funded, good[:2]) == "WrongLength"
    assert rebalance_refusal(funded, wad(0.61, 0.1, 0.1)) == "RelativeCapExceeded"
    assert rebalance_refusal(funded, wad(0.5, 0.4, 0.09)) == "IdleFloorBreached"
    assert rebalance_refusal(funded, good, minSharePrice=2 * WAD) == "SharePriceBelowMinimum"
    assert rebalance_refusal(funded, good) == ""
    funded.rebalance(good)
    assert rebalance_refusal(funded, good, epoch=0) == "WrongEpoch"
    assert rebalance_refusal(funded, good) == "CooldownRunning"


def test_rebalance__weights__are_reached_to_the_unit_and_reported(funded: House) -> None:
    weights = wad(0.60, 0.08, 0.30)
    event = funded.rebalance(weights)
    args, block = event["args"], event["blockNumber"]
    assert args["weights"] == weights
    assert args["epoch"] == 0
    assert args["policyHash"].hex() == funded.deployment.plan.policy_hash.removeprefix("0x")
    assert args["navBefore"] == DEPOSIT
    assert args["navBefore"] - 3 <= args["navAfter"] <= args["navBefore"]
    booked = funded.vault.functions.strategies().call()
    for weight, strategy, entry in zip(weights, funded.strategies, booked, strict=True):
        value = funded.read(strategy.functions.previewRedeem(entry.shares), block)
        assert args["navBefore"] * weight // WAD - 1 <= value <= args["navBefore"] * weight // WAD


def test_rebalance__hold__leaves_the_position_alone(funded: House) -> None:
    funded.rebalance(wad(0.5, 0.2, 0.2))
    funded.warp(30 * 86_400)
    before = [entry.shares for entry in funded.vault.functions.strategies().call()]
    funded.rebalance([HOLD, 0, HOLD])
    after = [entry.shares for entry in funded.vault.functions.strategies().call()]
    assert after == [before[0], 0, before[2]]


def test_a_year__rates_move_and_the_keeper_follows__depositors_leave_with_the_interest(funded: House) -> None:
    funded.deposit("bob", 2 * DEPOSIT)
    for rates in [(0.02, 0.05, 0.11), (0.12, 0.03, 0.02), (0.01, 0.15, 0.06), (0.04, 0.03, 0.02)]:
        for market, rate in zip(funded.devnet.markets.values(), rates, strict=True):
            assert follow_supply_rate(market, rate).relative_error < 1e-4
        funded.rebalance(wad(*(0.55 if rate == max(rates) else 0.2 for rate in rates)))
        funded.warp(YEAR // 4)
    price = funded.vault.functions.sharePrice().call() / WAD
    assert 1.02 < price < 1.10
    assert funded.redeem_all("alice") == pytest.approx(DEPOSIT * price, rel=1e-6)
    assert funded.redeem_all("bob") == pytest.approx(2 * DEPOSIT * price, rel=1e-6)
    assert funded.vault.functions.totalSupply().call() == 0
    assert funded.vault.functions.totalAssets().call() < 10


def test_withdraw__one_market_lent_out__taken_from_the_others(house: House) -> None:
    house.deposit("alice", 10 * DEPOSIT)
    house.rebalance(wad(0.59, 0.2, 0.19))
    market = house.devnet.markets["aave-a"]
    follow_supply_rate(market, 10.0, max_utilisation=0.999, clamp=True)
    free = house.usdc.functions.balanceOf(market.a_token.address).call()
    assert free < 2 * DEPOSIT
    most = house.vault.functions.maxWithdraw(house.devnet.accounts["alice"]).call()
    assert most == pytest.approx(10 * DEPOSIT * 0.41 + free, rel=1e-4)
    house.withdraw("alice", most)
    with pytest.raises(TransactionFailedError, match="NotEnoughLiquidity"):
        house.withdraw("alice", DEPOSIT)


def test_theft__anyone_trips__chain_refuses_the_keeper_and_everybody_leaves(funded: House) -> None:
    vault = funded.vault.functions
    funded.rebalance(wad(0.5, 0.2, 0.2))
    assert funded.refusal("stranger", vault.trip()).startswith("DrawdownWithinLimit")
    assert funded.refusal("stranger", vault.unwind(funded.strategies[0].address, ALL)).startswith("KeeperNotSilent")

    lost = funded.rob(0, 0.5)
    assert vault.totalAssets().call() == pytest.approx(DEPOSIT - lost, rel=1e-5)
    funded.warp(HOUR)
    assert rebalance_refusal(funded, wad(0.2, 0.2, 0.2)) == "DrawdownExceeded"
    funded.send("stranger", vault.trip())
    assert vault.halted().call()
    assert rebalance_refusal(funded, wad(0.2, 0.2, 0.2)) == "VaultHalted"
    assert funded.refusal("alice", vault.deposit(UNIT, funded.devnet.accounts["alice"])) == "VaultHalted()"
    assert vault.maxDeposit(funded.devnet.accounts["alice"]).call() == 0
    for strategy in funded.strategies:
        funded.send("stranger", vault.unwind(strategy.address, ALL))
    assert vault.idle().call() == vault.totalAssets().call() == pytest.approx(DEPOSIT - lost, rel=1e-5)
    assert funded.redeem_all("alice") == pytest.approx(DEPOSIT - lost, rel=1e-5)


def test_caps__tightened_by_the_guardian__bind_at_once(funded: House) -> None:
    tighten = funded.vault.functions.tightenCaps(funded.strategies[0].address, WAD // 10, DEPOSIT)
    for role in set(ROLES):
        assert funded.refusal(role, tighten).startswith("AccessManagedUnauthorized")
    funded.send("guardian", tighten)
    assert rebalance_refusal(funded, wad(0.2, 0.2, 0.2)) == "RelativeCapExceeded"
    assert rebalance_refusal(funded, wad(0.1, 0.2, 0.2)) == ""


def test_absolute_cap__binds_below_the_relative_one(funded: House) -> None:
    funded.govern(funded.vault.functions.loosenCaps(funded.strategies[1].address, WAD, 1_000 * UNIT))
    assert rebalance_refusal(funded, [0, WAD // 999, 0]) == "AbsoluteCapExceeded"
    assert rebalance_refusal(funded, [0, WAD // 1_000, 0]) == ""


def test_market_without_cash__takes_no_inflow__and_others_do(funded: House) -> None:
    market = funded.devnet.markets["aave-a"]
    follow_supply_rate(market, 10.0, max_utilisation=0.999, clamp=True)
    free = funded.usdc.functions.balanceOf(market.a_token.address).call()
    assert free < DEPOSIT // 2
    assert rebalance_refusal(funded, wad(0.5, 0.2, 0.2)) == "Illiquid"
    assert rebalance_refusal(funded, [free * WAD // DEPOSIT, WAD // 5, WAD // 5]) == ""


def test_group__set_by_governance_and_tightened_by_the_guardian__binds_the_sum(funded: House) -> None:
    vault, nobody = funded.vault.functions, "0x" + "00" * 20
    funded.govern(vault.setGroup(len(vault.groups().call()), (nobody, WAD // 2, 2**128 - 1, 0b011)))
    assert rebalance_refusal(funded, wad(0.3, 0.21, 0.4)) == "GroupCapExceeded"
    assert rebalance_refusal(funded, wad(0.3, 0.2, 0.4)) == ""
    index = len(vault.groups().call()) - 1
    funded.send("guardian", vault.tightenGroup(index, WAD // 2, DEPOSIT * 4 // 10))
    assert rebalance_refusal(funded, wad(0.3, 0.2, 0.4)) == "GroupCapExceeded"
    assert rebalance_refusal(funded, wad(0.2, 0.2, 0.4)) == ""


def test_deposit_cap__no_deposit_lifts_the_vault_over_it(funded: House) -> None:
    vault, bob = funded.vault.functions, funded.devnet.accounts["bob"]
    funded.send("guardian", vault.tighten(Limit.DEPOSIT_CAP, 2 * DEPOSIT))
    room = vault.maxDeposit(bob).call()
    assert room == 2 * DEPOSIT - vault.valuation().call().ask
    assert funded.refusal("bob", vault.deposit(room + 1, bob)).startswith("ERC4626ExceededMaxDeposit")
    funded.deposit("bob", room)
    assert vault.maxDeposit(bob).call() == 0


def test_turnover_budget__spent_by_rebalances__comes_back_with_time(funded: House) -> None:
    funded.send("guardian", funded.vault.functions.tighten(Limit.TURNOVER_CAPACITY, WAD))
    funded.rebalance(wad(0.3, 0.3, 0.3))
    funded.warp(HOUR)
    assert rebalance_refusal(funded, wad(0.0, 0.0, 0.0)) == "TurnoverBudgetExceeded"
    funded.warp(DAY)
    assert rebalance_refusal(funded, wad(0.0, 0.0, 0.0)) == ""


def test_silence__after_the_limit__anyone_unwinds_until_the_keeper_is_back(funded: House) -> None:
    funded.rebalance(wad(0.3, 0.3, 0.3))
    unwind = funded.vault.functions.unwind(funded.strategies[0].address, ALL)
    funded.warp(6 * DAY)
    assert funded.refusal("stranger", unwind).startswith("KeeperNotSilent")
    funded.send("keeper", funded.vault.functions.heartbeat())
    funded.warp(6 * DAY)
    assert funded.refusal("stranger", unwind).startswith("KeeperNotSilent")
    funded.warp(DAY + 60)
    funded.send("stranger", unwind)
    assert funded.vault.functions.strategies().call()[0].shares == 0


def test_lens__one_call__what_the_vault_and_the_pools_say(funded: House) -> None:
    funded.rebalance(wad(0.4, 0.3, 0.2))
    vault = funded.vault.functions
    seen = funded.lens.functions.snapshot(funded.vault.address).call()
    assert (seen.bid, seen.idle) == (vault.totalAssets().call(), vault.idle().call())
    assert seen.nav == seen.idle + sum(entry.assets for entry in seen.strategies)
    assert (seen.sharePrice, seen.epoch, seen.halted) == (vault.sharePrice().call(), 1, False)
    for entry, market in zip(seen.strategies, funded.devnet.markets.values(), strict=True):
        assert entry.live
        assert entry.hasRate
        assert entry.supplyRate == market.reserve().currentLiquidityRate // 10**9
        assert entry.maxWithdraw <= entry.assets
        assert entry.hasCash
        assert entry.cash == funded.usdc.functions.balanceOf(market.a_token.address).call()
