"""Deployment: what is refused before anything is sent, and that the check afterwards would notice."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.limits import LimitsFile
from scripts.deployment import Deployment, DeploymentPlan, deploy_vault, make_plan, read_limits, verify
from scripts.deployment.contracts import load_contract
from scripts.deployment.errors import PlanRefusedError, VerificationError
from scripts.protocols.anvil import Anvil, connect
from scripts.protocols.artifacts import ROOT
from scripts.protocols.chain import Chain, LocalKey
from scripts.protocols.devnet import Devnet, deploy_devnet

APE = Path(sys.executable).with_name("ape")
POLICY = "0x" + "ab" * 32
DEPLOYER_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # of the test mnemonic: public


def plan_for(devnet: Devnet, limits: LimitsFile, **changes: Any) -> DeploymentPlan:
    wanted = {
        "deployer": devnet.accounts["deployer"],
        "asset": devnet.usdc.address,
        "keeper": devnet.accounts["keeper"],
        "governance": devnet.accounts["governance"],
        "policy_hash": POLICY,
        "pools": {name: market.pool.address for name, market in devnet.markets.items()},
        **changes,
    }
    return make_plan(devnet.w3, limits, **wanted)


def limits_with(limits: LimitsFile, **changes: Any) -> LimitsFile:
    return LimitsFile.model_validate({**limits.model_dump(), **changes})


def strategy(**changes: Any) -> dict[str, Any]:
    return {"name": "aave-a", "relative_cap": 0.98, **changes}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_drawdown": 0.6}, "max_drawdown is 60%"),
        ({"mark_growth_rate": 0.0}, "mark_growth_rate is 0"),
        ({"strategies": [strategy(relative_cap=0.5)]}, "cannot hold the NAV"),
        ({"strategies": [strategy(relative_cap=0.99)]}, "can never be used"),
        ({"strategies": [strategy(name="aave-x")]}, "not in the address book, which has aave-a, aave-b, aave-c"),
        ({"strategies": [strategy(absolute_cap=1e40)]}, "128 bits"),
        ({"strategies": [strategy(absolute_cap=1e-9)]}, "absolute_cap"),
    ],
)
def test_plan__dangerous_limits__refused(
    devnet: Devnet, limits: LimitsFile, changes: dict[str, Any], reason: str
) -> None:
    block = devnet.w3.eth.block_number
    with pytest.raises(PlanRefusedError, match=reason):
        plan_for(devnet, limits_with(limits, **changes))
    assert devnet.w3.eth.block_number == block


def test_plan__several_faults__all_told_at_once(devnet: Devnet, limits: LimitsFile) -> None:
    bad = limits_with(limits, max_drawdown=0.9, mark_growth_rate=0.0)
    with pytest.raises(PlanRefusedError) as error:
        plan_for(devnet, bad, keeper="0x" + "00" * 20, policy_hash="0x12")
    assert len(error.value.reasons) == 4


def test_plan__addresses__checked(devnet: Devnet, limits: LimitsFile) -> None:
    keeper, usdc = devnet.accounts["keeper"], devnet.usdc.address
    mistyped = keeper.replace("1", "2", 1)
    pool = devnet.markets["aave-a"].pool.address
    pools = {name: market.pool.address for name, market in devnet.markets.items()}
    for changes, reason in (
        ({"keeper": mistyped}, "checksum"),
        ({"governance": keeper}, "same address"),
        ({"asset": keeper}, "no ERC-20"),
        ({"asset": devnet.uniswap.router.address}, "no ERC-20"),
        ({"pools": {**pools, "aave-b": usdc}}, "no Aave V3 pool"),
        ({"pools": {**pools, "aave-b": pool}}, "already another strategy"),
        ({"asset": devnet.weth.address, "pools": pools}, ""),
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
    with pytest.raises(PlanRefusedError, match="no ERC-4626"):
        plan_for(devnet, wrong)
    with pytest.raises(PlanRefusedError, match="its asset is"):
        plan_for(devnet, mixed, asset=devnet.weth.address)


def test_deploy__by_a_local_key__everything_verified(devnet: Devnet, limits: LimitsFile, tmp_path: Path) -> None:
    sender = LocalKey(devnet.w3, devnet.w3.eth.account.from_key(DEPLOYER_KEY))
    told: list[str] = []
    made = deploy_vault(Chain(devnet.w3, sender), plan_for(devnet, limits, name="Other", symbol="OTH"), told.append)
    assert made.limits == dataclasses.replace(read_limits(devnet.w3, made.vault.address), block=made.limits.block)
    assert (made.limits.name, made.limits.symbol) == ("Other", "OTH")
    assert len(told) == 3 + 3 + 2
    text = "\n".join(made.limits.lines())
    for part in ("at most 60 % of the vault and at most 50,000,000 USDC", "least 2 %", "more than 10 %", POLICY):
        assert part in text
    path = tmp_path / "book.json"
    assert made.save(path) is None
    kept = made.save(path)
    assert kept is not None
    assert json.loads(kept.read_text()) == json.loads(path.read_text()) == made.to_book()


def test_deploy__governance_is_the_deployer__keeps_the_admin_role(devnet: Devnet, limits: LimitsFile) -> None:
    made = deploy_vault(devnet.chain, plan_for(devnet, limits, governance=devnet.accounts["deployer"]))
    assert made.authority.functions.hasRole(0, devnet.accounts["deployer"]).call().isMember


def test_deploy__another_sender_than_planned__refused(devnet: Devnet, limits: LimitsFile) -> None:
    with pytest.raises(PlanRefusedError, match="made for"):
        deploy_vault(Chain(devnet.w3, devnet.sender("alice")), plan_for(devnet, limits))


@pytest.mark.parametrize(
    "changes",
    [
        {"idle_floor": 1},
        {"max_drawdown": 1},
        {"mark_growth_rate": 1},
        {"keeper": "0x000000000000000000000000000000000000dEaD"},
        {"governance": "0x000000000000000000000000000000000000dEaD"},
        {"policy_hash": "0x" + "cd" * 32},
        {"symbol": "other"},
    ],
)
def test_verify__anything_else_than_planned__noticed(
    devnet: Devnet, deployment: Deployment, changes: dict[str, Any]
) -> None:
    targets = tuple(strategy.address for strategy in deployment.strategies)
    places = (deployment.vault.address, deployment.lens.address, targets)
    verify(devnet.w3, deployment.plan, *places)
    with pytest.raises(VerificationError, match=next(iter(changes)).split("_")[0]):
        verify(devnet.w3, dataclasses.replace(deployment.plan, **changes), *places)


def test_verify__a_cap_or_a_key_changed_afterwards__noticed(devnet: Devnet, deployment: Deployment) -> None:
    targets = tuple(strategy.address for strategy in deployment.strategies)
    places = (deployment.vault.address, deployment.lens.address, targets)
    governance = devnet.sender("governance")
    devnet.chain.send(deployment.vault.functions.setCaps(targets[2], 10**17, 10**12), sender=governance)
    devnet.chain.send(deployment.authority.functions.grantRole(0, devnet.accounts["deployer"], 0), sender=governance)
    with pytest.raises(VerificationError) as error:
        verify(devnet.w3, deployment.plan, *places)
    assert len(error.value.differences) == 3


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
        done = _run([*command, "--policy", "greedy"])
        assert done.returncode == 0, done.stderr
        assert "Verified at block" in done.stdout
        made = json.loads(out.read_text())
        assert read_limits(w3, made["vault"]).keeper == made["keeper"] == devnet.accounts["keeper"]
        lens = w3.eth.contract(made["lens"], abi=load_contract("VaultLens").abi, decode_tuples=True)
        assert len(lens.functions.snapshot(made["vault"]).call().strategies) == 3
    unreachable = _run([*command, "--policy", "greedy"])
    assert unreachable.returncode == 1
    assert "Is the node of --network up" in unreachable.stderr
    assert "Traceback" not in unreachable.stdout + unreachable.stderr


def _run(command: list[Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
