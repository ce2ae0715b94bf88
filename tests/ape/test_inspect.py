"""`ape run inspect` and its report: any vault, also one that is halted, silent, broken or badly governed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.vault.limits import Limit
from agent.vault.limits_file import LimitsFile
from keeper.chain.abi import selector
from keeper.errors import WrongContractError
from keeper.inspect.report import lines, to_json
from keeper.inspect.roles import ADMIN, GUARDIAN, GUARDIAN_FUNCTIONS, PUBLIC
from keeper.inspect.state import inspect_vault
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import ROOT, access_manager, load_contract
from scripts.protocols.chain import node_of
from tests.ape.house import UNIT, WAD, House

APE = Path(sys.executable).with_name("ape")
DAY = 86_400
NOBODY = "0x000000000000000000000000000000000000dEaD"


def report(house: House) -> str:
    return "\n".join(lines(house.inspect()))


def test_inspect__a_vault_at_work__what_the_chain_says(house: House) -> None:
    house.deposit("alice", 1_000_000 * UNIT)
    house.rebalance([WAD * 4 // 10, WAD // 2, 0])
    state, told = house.inspect(), report(house)
    assert state.snapshot.turnover_budget == pytest.approx(1.1 * WAD, rel=1e-3)
    assert state.snapshot.strategies[0].assets == pytest.approx(400_000 * UNIT, rel=1e-6)
    for part in (
        "at most 60 % of the vault and at most 50,000,000 USDC",
        "idle 100,000 USDC (10.00%)",
        "drawdown 0.00% of 10 %",
        "turnover budget 110",
        "Rebalances so far 1",
        "A keeper was last seen",
        f"GUARDIAN: {house.devnet.accounts['guardian']} (at once): {', '.join(GUARDIAN_FUNCTIONS)}.",
        f"GOVERNOR: {house.devnet.accounts['governance']} (after 2 days): loosen",
        "GUARDIAN can cancel it",
        "Given up for ever:\n  - Nothing.",
    ):
        assert part in told
    assert "WARNING" not in told
    assert to_json(state) == to_json(inspect_vault(node_of(house.w3), house.vault.address, house.lens.address))


def test_inspect__what_is_announced__in_words_with_its_time(house: House) -> None:
    vault, manager, stranger = house.vault.functions, house.authority.functions, house.devnet.accounts["stranger"]
    strategy = house.strategies[1].address
    for call, words in (
        (vault.loosen(Limit.COOLDOWN, 60), "change the time between rebalances from 1 hour to 1 minute"),
        (vault.loosen(Limit.LOSS_REFILL, WAD // DAY), "loss budget comes back from 0.1 % a day to 100 % a day"),
        (
            vault.loosenCaps(strategy, WAD, 7 * UNIT),
            f"aave-b ({strategy}): at most 100 % of the vault and at most 7 USDC",
        ),
        (vault.addStrategy(NOBODY, WAD, 2**128 - 1), f"add the strategy {NOBODY}: at most 100 % of the vault"),
        (vault.removeStrategy(strategy), "remove the strategy Bulkhead USDC on aave-b"),
        (vault.writeOff(strategy), "write off Bulkhead USDC on aave-b"),
        (vault.abdicate(Limit.IDLE_FLOOR), "give up for ever the right to loosen the share of NAV that stays idle"),
        (vault.setKeeper(stranger), f"make {stranger} the keeper"),
        (vault.commitPolicy(b"\x05" * 32), "commit the policy 0x0505"),
        (vault.setFeeRecipient(stranger), f"let fees go to {stranger}"),
        (vault.resume(), "resume after the halt"),
        (manager.grantRole(ADMIN, stranger, 0), f"give the role ADMIN to {stranger}, with NO DELAY"),
        (manager.grantRole(GUARDIAN, stranger, 60), f"GUARDIAN to {stranger}, with a delay of 1 minute"),
        (manager.revokeRole(GUARDIAN, stranger), f"take the role GUARDIAN away from {stranger}"),
        (
            manager.updateAuthority(house.vault.address, NOBODY),
            f"REPLACE the authority of {house.vault.address} by {NOBODY}",
        ),
        (manager.setTargetClosed(house.vault.address, True), "close all restricted functions"),
        (manager.setRoleGuardian(2, 0), "AccessManager.setRoleGuardian"),
    ):
        house.announce(call)
        told = report(house)
        assert words in told, (words, told)
        assert "can be carried out from 20" in told
        house.send("guardian" if "revokeRole" not in str(call) else "governance", house.cancellation(call))
    house.announce(vault.resume())
    house.warp(2 * DAY)
    assert "can be carried out NOW" in report(house)


def test_inspect__halted_silent_and_robbed__says_so(house: House) -> None:
    house.deposit("alice", 1_000_000 * UNIT)
    house.rebalance([WAD // 2, 0, 0])
    house.rob(0, 0.5)
    told = report(house)
    assert "drawdown 25.00% of 10 %" in told
    assert "anybody may call trip()" in told
    house.send("stranger", house.vault.functions.trip())
    house.warp(8 * DAY)
    told = report(house)
    assert "THE VAULT IS HALTED" in told
    assert "IT IS SILENT: anybody may unwind" in told
    house.send("guardian", house.vault.functions.cutKeeper())
    assert "There is no keeper" in report(house)


def test_inspect__a_strategy_that_reverts__quarantine(house: House) -> None:
    house.deposit("alice", 1_000_000 * UNIT)
    # Half a USDC over 250,000: a second's interest must not carry the position over a whole number.
    house.rebalance([WAD // 2, WAD // 4 + WAD // 2_000_000, 0])
    rpc(house.w3, "anvil_setCode", house.strategies[0].address, "0x60006000fd")
    told = report(house)
    assert "QUARANTINE" in told
    assert f"({house.strategies[0].address}): CANNOT BE READ" in told
    assert "Bulkhead USDC on aave-b: 250,000" in told


def test_inspect__badly_governed__warned(house: House) -> None:
    manager, stranger = house.authority.functions, house.devnet.accounts["stranger"]
    house.govern(manager.grantRole(ADMIN, stranger, 0))
    assert f"WARNING: {stranger} is admin without a delay" in report(house)
    assert "LIMITS CAN BE LOOSENED AT ONCE" in report(house)
    house.govern(manager.grantRole(GUARDIAN, house.devnet.accounts["keeper"], 0))
    assert "WARNING: the keeper also has the role GUARDIAN" in report(house)
    house.govern(manager.setTargetFunctionRole(house.vault.address, [selector("Vault", "setKeeper")], PUBLIC))
    assert "WARNING: anybody may call setKeeper" in report(house)


def test_inspect__deployed_by_somebody_else_with_other_roles(house: House) -> None:
    """A vault that `ape run deploy` did not make: its authority knows only the admin."""
    deployer, keeper = house.devnet.accounts["deployer"], house.devnet.accounts["keeper"]
    manager = house.chain.deploy(access_manager(), deployer)
    limits = house.deployment.plan.limits.struct()
    other = house.chain.deploy(
        load_contract("Vault"), house.usdc.address, "Other", "OTH", manager.address, keeper, limits
    )
    state = inspect_vault(node_of(house.w3), other.address)
    told = "\n".join(lines(state))
    assert f"ADMIN: {deployer} (at once): who has which role, and tighten" in told
    assert "LIMITS CAN BE LOOSENED AT ONCE" in told
    assert state.snapshot.strategies == ()
    json.dumps(to_json(state))


def test_inspect__not_a_vault__named_error(house: House) -> None:
    node = node_of(house.w3)
    for address, reason in (
        ("0x12", "must be an address"),
        (NOBODY, "no contract at the vault's address .* on chain 31337"),
        (house.usdc.address, "is not a Bulkhead vault"),
        (house.authority.address, "is not a Bulkhead vault"),
    ):
        with pytest.raises(WrongContractError, match=reason):
            inspect_vault(node, address)
    with pytest.raises(WrongContractError, match="no contract at the lens's address"):
        inspect_vault(node, house.vault.address, NOBODY)
    with pytest.raises(WrongContractError, match="is it a VaultLens"):
        inspect_vault(node, house.vault.address, house.usdc.address)


def test_inspect__authority_that_is_no_access_manager__walls_are_told_and_warned_of(house: House) -> None:
    limits = house.deployment.plan.limits.struct()
    for authority in (house.usdc.address, house.devnet.accounts["stranger"]):
        vault = house.chain.deploy(load_contract("Vault"), house.usdc.address, "O", "O", authority, NOBODY, limits)
        state = inspect_vault(node_of(house.w3), vault.address)
        told = "\n".join(lines(state))
        assert "at most 0.6 % in a day" in told
        assert "WHETHER THESE LIMITS CAN BE LOOSENED" in told
        assert f"WARNING: the vault's authority is {authority}; it is not an OpenZeppelin AccessManager" in told
        assert to_json(state)["warnings"]


def test_command__text_json_and_errors(house: House) -> None:
    url = str(house.w3.provider.endpoint_uri)  # type: ignore[attr-defined]
    command = [APE, "run", "inspect", "--network", url]
    text = _run([*command, house.vault.address])
    assert text.returncode == 0, text.stderr
    assert "What the vault enforces:" in text.stdout
    as_json = _run([*command, house.vault.address, "--lens", house.lens.address, "--json"])
    assert as_json.returncode == 0, as_json.stderr
    told: dict[str, Any] = json.loads(as_json.stdout)
    assert told == to_json(house.inspect())
    assert told["worst_loss_by_keeper"]["week"] == pytest.approx(0.012)
    assert told["notice"] == 2 * DAY
    wrong = _run([*command, NOBODY])
    assert wrong.returncode == 1
    assert "no contract at the vault's address" in wrong.stderr
    assert "Traceback" not in wrong.stdout + wrong.stderr


def test_limits_file__of_the_repository__is_accepted(limits: LimitsFile, house: House) -> None:
    assert house.inspect().snapshot.limits.max_drawdown == int(limits.max_drawdown * WAD)


def _run(command: list[Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
