"""Deployment: bad plans are refused before anything is sent, and the check afterwards notices any difference."""

import dataclasses
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent.vault.limits import Limit
from agent.vault.limits_file import LimitsFile
from keeper.chain.abi import selector
from keeper.inspect.report import alarms, limit_lines, to_json
from keeper.inspect.roles import ADMIN, GOVERNOR, GOVERNOR_FUNCTIONS, GUARDIAN
from keeper.inspect.state import inspect_vault
from keeper.snapshot import LimitsSnapshot
from scripts.deployment.code import code_hash
from scripts.deployment.execute import Deployment, deploy_vault, verify
from scripts.deployment.plan import DeploymentPlan, plan_on, venues_of
from scripts.deployment.venues import AaveV3
from scripts.errors import PlanRefusedError, VerificationError
from scripts.protocols.anvil import Anvil, connect, rpc
from scripts.protocols.artifacts import ROOT, load_contract
from scripts.protocols.chain import Chain, node_of
from scripts.protocols.devnet import Devnet, deploy_devnet
from tests.ape.conftest import RISK
from tests.ape.house import House

APE = Path(sys.executable).with_name("ape")
POLICY = "0x" + "ab" * 32
DAY = 86_400
NOBODY = "0x" + "00" * 20
DEAD = "0x000000000000000000000000000000000000dEaD"


def plan_for(devnet: Devnet, limits: LimitsFile, **changes: Any) -> DeploymentPlan:
    return plan_on(devnet, limits, **{"policy_hash": POLICY, **changes})


def limits_with(limits: LimitsFile, **changes: Any) -> LimitsFile:
    """Return the limits with changes; other strategies come without the group."""
    groups = {"groups": []} if "strategies" in changes else {}
    return LimitsFile.model_validate({**limits.model_dump(), **groups, **changes})


def group(**changes: Any) -> dict[str, Any]:
    return {"members": ["aave-a", "aave-b", "aave-c"], "relative_cap": 0.98, **changes}


def strategy(**changes: Any) -> dict[str, Any]:
    return {"name": "aave-a", "relative_cap": 0.98, **changes}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_drawdown": 0.6}, "max_drawdown is 60%"),
        ({"max_growth_rate": 0.0}, "max_growth_rate is 0: who leaves would never be paid a gain"),
        ({"deposit_cap": 99.0}, "seed: 100 is more than the deposit cap of 99 USDC allows"),
        ({"groups": [group(relative_cap=0.3)]}, "cannot hold the NAV"),
        ({"groups": [group(relative_cap=1.0)]}, "the group of aave-a, aave-b, aave-c binds nothing"),
        ({"groups": [group(members=["aave-a"], relative_cap=0.6)]}, "the group of aave-a binds nothing"),
        ({"groups": [group(absolute_cap=1e40)]}, "group 0: absolute_cap 1e.40 is nothing, or more than 128 bits hold"),
        ({"groups": [group(risk=DEAD[:-1] + "E")]}, "group 0: risk: .* has a wrong checksum"),
        ({"strategies": [strategy(relative_cap=0.5)]}, "cannot hold the NAV"),
        ({"strategies": [strategy(relative_cap=0.99)]}, "can never be used"),
        ({"strategies": [strategy(name="aave-x")]}, "not in the address book, which has aave-a, aave-b, aave-c"),
        ({"strategies": [strategy(absolute_cap=1e40)]}, "128 bits"),
        ({"strategies": [strategy(absolute_cap=1e-9)]}, "absolute_cap"),
        ({"loss_budget": {"capacity": 0.2}}, "lose 20.10% in a day, more than the drawdown of 10.00%"),
        ({"loss_budget": {"capacity": 0.05, "refill_per_day": 0.06}}, "lose 11.00% in a day"),
        ({"loss_budget": {"capacity": 0.0}}, "loss_budget has nothing"),
        ({"loss_budget": {"refill_per_day": 0.0}}, "never gets anything back"),
        ({"turnover_budget": {"refill_per_day": 0.0}}, "turnover_budget has nothing or never"),
        ({"turnover_budget": {"capacity": 0.01, "refill_per_day": 0.01}}, "would take 97 days"),
        ({"turnover_budget": {"capacity": 0.1}, "cooldown": 30 * DAY, "max_silence": 40 * DAY}, "would take 264 days"),
        ({"cooldown": 7 * DAY}, r"max_silence \(7 days\) is not longer than the cooldown \(7 days\)"),
        ({"performance_fee": 0.1}, "the fee recipient is nobody"),
    ],
)
def test_plan__dangerous_limits__refused(
    devnet: Devnet, limits: LimitsFile, changes: dict[str, Any], reason: str
) -> None:
    block = devnet.w3.eth.block_number
    with pytest.raises(PlanRefusedError, match=reason):
        plan_for(devnet, limits_with(limits, **changes), seed=Decimal(100))
    assert devnet.w3.eth.block_number == block


def test_plan__groups__members_by_name_in_any_order(devnet: Devnet, limits: LimitsFile) -> None:
    shared = [group(members=["AAVE-C", "aave-a"], relative_cap=0.7, absolute_cap=1e6, risk=DEAD)]
    plan = plan_for(devnet, limits_with(limits, groups=shared))
    assert [each.struct() for each in plan.groups] == [(DEAD, 7 * 10**17, 10**12, 0b101)]
    assert any("aave-a, aave-c together, which share" in line and "1,000,000 USDC" in line for line in plan.lines())


def test_plan__dear_unwinding__warned(devnet: Devnet, limits: LimitsFile) -> None:
    for loss, warned in ((0.05, False), (0.06, True)):
        plan = plan_for(devnet, limits_with(limits, unwind_loss=loss))
        assert any("unwind_loss is 6 %" in line for line in plan.warnings()) == warned


def test_plan__several_faults__all_told_at_once(devnet: Devnet, limits: LimitsFile) -> None:
    bad = limits_with(limits, max_drawdown=0.9, max_growth_rate=0.0)
    with pytest.raises(PlanRefusedError) as error:
        plan_for(devnet, bad, keeper="0x" + "00" * 20, policy_hash="0x12")
    assert len(error.value.reasons) == 4


def test_plan__addresses__checked(devnet: Devnet, limits: LimitsFile) -> None:
    governance = devnet.accounts["governance"]
    keeper, usdc = devnet.accounts["keeper"], devnet.usdc.address
    mistyped = keeper.replace("1", "2", 1)
    pool = devnet.markets["aave-a"].pool.address
    venues = venues_of(devnet)
    for changes, reason in (
        ({"keeper": mistyped}, "checksum"),
        ({"governance": keeper}, "keeper and governance are the same address"),
        ({"guardian": keeper}, "keeper and guardian are the same address"),
        ({"guardian": "0x12"}, "guardian: '0x12' must be an address"),
        ({"fee_recipient": governance}, "give both or neither"),
        ({"delay": 0}, "the delay is 0"),
        ({"delay": 31 * DAY}, "could not be resumed"),
        ({"asset": keeper}, "not an ERC-20"),
        ({"asset": devnet.uniswap.router.address}, "not an ERC-20"),
        ({"venues": {**venues, "aave-b": AaveV3(usdc)}}, "not an Aave V3 pool"),
        ({"venues": {**venues, "aave-b": AaveV3(pool)}}, "already another strategy"),
        ({"asset": devnet.weth.address, "venues": venues}, ""),
        ({"policy_hash": "0x" + "00" * 32}, "policy hash"),
        ({"deployer": "0x000000000000000000000000000000000000dEaD"}, "native coin"),
    ):
        if reason:
            with pytest.raises(PlanRefusedError, match=reason):
                plan_for(devnet, limits, **changes)
        else:
            assert plan_for(devnet, limits, **changes).asset_decimals == 18


def test_plan__erc4626_by_address__plugs_in(devnet: Devnet, deployment: Deployment, limits: LimitsFile) -> None:
    other = deployment.strategies[0].address
    mixed = limits_with(
        limits, strategies=[strategy(name=None, address=other, relative_cap=0.5), strategy(relative_cap=0.6)]
    )
    plan = plan_for(devnet, mixed)
    made = deploy_vault(devnet.chain, plan)
    assert made.strategies[0].address == other
    assert made.to_book()["strategies"][0]["kind"] == "erc-4626"
    wrong = limits_with(limits, strategies=[strategy(name=None, address=devnet.usdc.address)])
    with pytest.raises(PlanRefusedError, match="not an ERC-4626"):
        plan_for(devnet, wrong)
    with pytest.raises(PlanRefusedError, match="its asset is"):
        plan_for(devnet, mixed, asset=devnet.weth.address)


def test_deploy__on_a_devnet__everything_verified(devnet: Devnet, limits: LimitsFile, tmp_path: Path) -> None:
    told: list[str] = []
    made = deploy_vault(devnet.chain, plan_for(devnet, limits, name="Other", symbol="OTH"), told.append)
    assert to_json(made.state) == to_json(inspect_vault(node_of(devnet.w3), made.vault.address))
    assert (made.state.name, made.state.symbol) == ("Other", "OTH")
    assert len(told) == 3 + 3 + 1 + 3
    text = "\n".join(limit_lines(made.state))
    for part in (
        "at most 60 % of the vault and at most 50,000,000 USDC",
        f"at most 98 % of the vault in {', '.join(f'Bulkhead USDC on aave-{name}' for name in 'abc')} together, which "
        f"share {RISK}",
        "grows at most 25 % a year",
        "may lose at most 1 % of them on the way",
        "Deposits have no cap",
        "least 2 %",
        "more than 10 %",
        "at most 0.6 % in a day and 1.2 % in a week",
        "At least 1 hour pass",
        "no sign for 7 days",
        "announced on chain for at least 2 days",
        "There is no fee",
        POLICY,
    ):
        assert part in text
    assert alarms(made.state) == []
    path = tmp_path / "book.json"
    assert made.save(path) is None
    kept = made.save(path)
    assert kept is not None
    assert json.loads(kept.read_text()) == json.loads(path.read_text()) == made.to_book()


def test_deploy__governance_is_the_deployer__under_the_same_delay(devnet: Devnet, limits: LimitsFile) -> None:
    deployer = devnet.accounts["deployer"]
    made = deploy_vault(devnet.chain, plan_for(devnet, limits, governance=deployer))
    assert made.authority.functions.hasRole(ADMIN, deployer).call() == (True, 2 * DAY)


def test_deploy__guardian_is_governance__warned(devnet: Devnet, limits: LimitsFile) -> None:
    plan = plan_for(devnet, limits, guardian=devnet.accounts["governance"])
    assert any("same address" in line for line in plan.lines())
    deploy_vault(devnet.chain, plan)


def test_deploy__no_delay_asked_for__a_depositor_is_told(devnet: Devnet, limits: LimitsFile) -> None:
    plan = plan_for(devnet, limits, delay=0, allow_no_delay=True)
    assert any("no delay" in line for line in plan.lines())
    made = deploy_vault(devnet.chain, plan)
    assert "LIMITS CAN BE LOOSENED AT ONCE" in "\n".join(limit_lines(made.state))
    assert len(alarms(made.state)) > len(GOVERNOR_FUNCTIONS)


def test_deploy__performance_fee__charged_on_gains_only(devnet: Devnet, limits: LimitsFile) -> None:
    carol, alice, usdc = devnet.accounts["carol"], devnet.sender("alice"), devnet.usdc
    made = deploy_vault(devnet.chain, plan_for(devnet, limits_with(limits, performance_fee=0.2), fee_recipient=carol))
    assert f"20 % go to {carol}" in "\n".join(limit_lines(made.state))
    vault = made.vault.functions
    devnet.chain.send(usdc.functions.approve(made.vault.address, 10**12), sender=alice)
    devnet.chain.send(vault.deposit(10**12, alice.address), sender=alice)
    devnet.chain.send(vault.deposit(0, alice.address), sender=alice)
    assert vault.balanceOf(carol).call() == 0
    devnet.chain.send(usdc.functions.transfer(made.vault.address, 10**11), sender=alice)
    rpc(devnet.w3, "evm_increaseTime", 365 * DAY // 2)  # a gift is believed as fast as the bid grows
    rpc(devnet.w3, "evm_mine")
    devnet.chain.send(vault.deposit(0, alice.address), sender=alice)
    assert vault.convertToAssets(vault.balanceOf(carol).call()).call() == pytest.approx(2 * 10**10, rel=1e-6)


def test_deploy__seed__a_gift_to_the_first_depositors_is_dear(devnet: Devnet, limits: LimitsFile) -> None:
    alice, usdc = devnet.sender("alice"), devnet.usdc
    unseeded = plan_for(devnet, limits)
    assert any("starts empty" in line for line in unseeded.lines())
    owned = usdc.functions.balanceOf(devnet.accounts["deployer"]).call()
    with pytest.raises(PlanRefusedError, match="are to be deposited"):
        plan_for(devnet, limits, seed=Decimal(owned + 1).scaleb(-6))
    with pytest.raises(PlanRefusedError, match="6 decimals"):
        plan_for(devnet, limits, seed=Decimal("0.0000001"))
    plan = plan_for(devnet, limits, seed=Decimal(100))
    assert not any("starts empty" in line for line in plan.lines())
    vault = deploy_vault(devnet.chain, plan).vault.functions
    assert vault.totalAssets().call() == 100 * 10**6
    assert vault.maxWithdraw(DEAD).call() == 100 * 10**6  # nobody has that key
    devnet.chain.send(usdc.functions.approve(vault.address, 10**6), sender=alice)
    devnet.chain.send(vault.deposit(10**6, alice.address), sender=alice)
    devnet.chain.send(usdc.functions.transfer(vault.address, 10**6), sender=alice)
    # Without the seed, this gift would nearly double what a share is worth.
    assert vault.valuation().call().navPrice < 1.01 * 10**18


@pytest.mark.parametrize(("delay", "reason"), [(0, "leave in time"), (DAY - 1, "leave in time"), (DAY, "")])
def test_plan__delay_off_a_local_chain__a_day_at_least(
    devnet: Devnet, limits: LimitsFile, monkeypatch: pytest.MonkeyPatch, delay: int, reason: str
) -> None:
    monkeypatch.setattr("scripts.deployment.plan.is_local", lambda w3: False)
    if reason:
        with pytest.raises(PlanRefusedError, match=reason):
            plan_for(devnet, limits, delay=delay, allow_no_delay=True)
    else:
        assert plan_for(devnet, limits, delay=delay).delay == DAY


def test_deploy__another_sender_than_planned__refused(devnet: Devnet, limits: LimitsFile) -> None:
    with pytest.raises(PlanRefusedError, match="made for"):
        deploy_vault(Chain(devnet.w3, devnet.sender("alice")), plan_for(devnet, limits))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"keeper": DEAD}, "keeper is"),
        ({"governance": DEAD}, f"delay of {DEAD} as GOVERNOR is 'no member'"),
        ({"guardian": DEAD}, f"delay of {DEAD} as GUARDIAN is 'no member'"),
        ({"delay": DAY}, "as ADMIN is 172800, planned 86400"),
        ({"fee_recipient": DEAD}, "fee_recipient is None"),
        ({"policy_hash": "0x" + "cd" * 32}, "policy_hash is"),
        ({"symbol": "other"}, "symbol is"),
        ({"groups": ()}, "groups is"),
    ],
)
def test_verify__anything_else_than_planned__noticed(
    devnet: Devnet, deployment: Deployment, changes: dict[str, Any], told: str
) -> None:
    targets = tuple(strategy.address for strategy in deployment.strategies)
    places = (deployment.vault.address, deployment.lens.address, targets)
    verify(devnet.w3, deployment.plan, *places)
    with pytest.raises(VerificationError, match=told):
        verify(devnet.w3, dataclasses.replace(deployment.plan, **changes), *places)


def test_verify__other_code_at_a_venue_than_planned__noticed(devnet: Devnet, deployment: Deployment) -> None:
    first, *others = deployment.plan.strategies
    entry = deployment.to_book()["strategies"][0]
    assert entry["code_hash"] == first.code_hash == code_hash(devnet.w3, first.venue.place)
    assert any(first.code_hash in line for line in deployment.plan.lines())
    targets = tuple(strategy.address for strategy in deployment.strategies)
    plan = dataclasses.replace(
        deployment.plan, strategies=(dataclasses.replace(first, code_hash="0x" + "0" * 64), *others)
    )
    with pytest.raises(VerificationError, match=f"{first.name}: code at {first.venue.place} is '0x"):
        verify(devnet.w3, plan, deployment.vault.address, deployment.lens.address, targets)


@pytest.mark.parametrize("limit", Limit)
def test_verify__any_limit_other_than_planned__noticed(devnet: Devnet, deployment: Deployment, limit: Limit) -> None:
    targets = tuple(strategy.address for strategy in deployment.strategies)
    values = list(deployment.plan.limits.struct())
    values[limit] += 1
    plan = dataclasses.replace(deployment.plan, limits=LimitsSnapshot(*values))
    with pytest.raises(VerificationError) as error:
        verify(devnet.w3, plan, deployment.vault.address, deployment.lens.address, targets)
    (difference,) = error.value.differences
    assert difference.startswith(limit.name.lower())


def test_verify__anything_changed_afterwards__noticed(house: House) -> None:
    vault, manager, plan = house.vault.functions, house.authority.functions, house.deployment.plan
    targets = tuple(strategy.address for strategy in house.strategies)
    deployer, address = house.devnet.accounts["deployer"], house.authority.address
    places = (house.vault.address, house.lens.address, targets)
    pause = selector("Vault", "halt")
    for change, told in (
        (vault.loosenCaps(targets[2], 10**17, 10**12), ["aave-c: relative cap", "aave-c: absolute cap"]),
        (vault.setGroup(0, (NOBODY, 10**18, 10**12, 0b011)), ["groups is"]),
        (vault.setGroup(1, (NOBODY, 10**18, 10**12, 0b011)), ["groups is"]),
        (manager.grantRole(ADMIN, deployer, 0), ["as ADMIN is 0, planned 'no member'"]),
        (manager.grantRole(GUARDIAN, deployer, 0), ["as GUARDIAN is 0, planned 'no member'"]),
        (manager.grantRole(7, deployer, 0), ["as role 7 is 0, planned 'no member'"]),
        (manager.setTargetFunctionRole(house.vault.address, [pause], 7), ["role for halt is 7, planned 1"]),
        (
            manager.setTargetFunctionRole(address, [selector("AccessManager", "grantRole")], 0),
            ["AccessManager.grantRole"],
        ),
        (manager.setRoleGuardian(GOVERNOR, 0), ["who cancels calls of GOVERNOR is 0"]),
        (manager.setRoleAdmin(GOVERNOR, 7), ["who grants GOVERNOR is 7"]),
        (manager.setTargetClosed(house.vault.address, True), ["closed is True"]),
        (vault.abdicateCaps(), ["caps given up"]),
        (vault.abdicate(Limit.COOLDOWN), ["limits given up"]),
        (manager.revokeRole(GUARDIAN, house.devnet.accounts["guardian"]), ["as GUARDIAN is 'no member', planned 0"]),
    ):
        snapshot = rpc(house.w3, "evm_snapshot")
        house.govern(change)
        with pytest.raises(VerificationError) as error:
            verify(house.w3, plan, *places)
        assert len(error.value.differences) == len(told), error.value
        for part in told:
            assert part in str(error.value)
        assert rpc(house.w3, "evm_revert", snapshot)
    house.announce(vault.resume())
    with pytest.raises(VerificationError, match="announced operations"):
        verify(house.w3, plan, *places)


def test_command__onto_a_devnet_by_url__address_book_of_a_vault_that_works(tmp_path: Path) -> None:
    book, out = tmp_path / "devnet.json", tmp_path / "31337.json"
    with Anvil() as anvil:
        w3 = connect(anvil.url)
        devnet = deploy_devnet(w3)
        devnet.save(book)
        command = [APE, "run", "deploy", "--network", anvil.url, "--account", "TEST::0", "--devnet", book, "--out", out]
        dry = _run([*command, "--policy", "greedy", "--dry-run"])
        assert dry.returncode == 0, dry.stderr
        assert "nothing was sent" in dry.stdout
        assert not out.exists()
        hasty = _run([*command, "--policy", "greedy", "--delay", "0"])
        assert hasty.returncode == 1
        assert "--no-delay" in hasty.stderr
        done = _run([*command, "--policy", "greedy", "--delay", "36h"])
        assert done.returncode == 0, done.stderr
        assert "GOVERNOR" in done.stdout
        assert "Verified at block" in done.stdout
        made = json.loads(out.read_text())
        state = inspect_vault(node_of(w3), made["vault"], made["lens"])
        assert state.snapshot.keeper == made["keeper"] == devnet.accounts["keeper"]
        assert state.snapshot.nav == 100 * 10**6  # the seed, by default
        assert made["guardian"] == devnet.accounts["guardian"]
        assert made["delay"] == state.notice("loosen") == 36 * 3_600
        lens = w3.eth.contract(made["lens"], abi=load_contract("VaultLens").abi, decode_tuples=True)
        assert len(lens.functions.snapshot(made["vault"]).call().strategies) == 3
    unreachable = _run([*command, "--policy", "greedy"])
    assert unreachable.returncode == 1
    assert "Is the node of --network up" in unreachable.stderr
    assert "Traceback" not in unreachable.stdout + unreachable.stderr


def _run(command: list[Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
