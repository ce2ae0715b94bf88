"""Roles of the vault: the guardian only tightens and cancels, governance only acts after its delay."""

from typing import Any

import pytest
from web3.contract.contract import ContractFunction

from agent.vault.limits import Limit
from keeper.inspect.report import describe
from keeper.inspect.roles import ADMIN, GOVERNOR, GOVERNOR_FUNCTIONS, GUARDIAN, GUARDIAN_FUNCTIONS
from scripts.protocols.devnet import ROLES
from tests.ape.house import UNIT, WAD, House, data_of

POLICY = b"\x07" * 32
OPEN_FUNCTIONS = {
    *(
        "rebalance",
        "heartbeat",
        "trip",
        "unwind",
        "resign",
        "draw",
        "deposit",
        "mint",
        "withdraw",
        "redeem",
        "redeemInKind",
    ),
    *("transfer", "transferFrom", "approve", "permit", "setAuthority"),
}


def calls(house: House) -> dict[str, ContractFunction]:
    """One call of every restricted function."""
    vault, strategy = house.vault.functions, house.strategies[0].address
    return {
        "tighten": vault.tighten(Limit.MAX_DRAWDOWN, WAD // 20),
        "tightenCaps": vault.tightenCaps(strategy, WAD // 10, UNIT),
        "tightenGroup": vault.tightenGroup(0, WAD // 10, UNIT),
        "halt": vault.halt(),
        "cutKeeper": vault.cutKeeper(),
        "loosen": vault.loosen(Limit.MAX_DRAWDOWN, WAD // 2),
        "loosenCaps": vault.loosenCaps(strategy, WAD, UNIT),
        "setGroup": vault.setGroup(0, (strategy, WAD, UNIT, 0b101)),
        "abdicate": vault.abdicate(Limit.MAX_DRAWDOWN),
        "abdicateCaps": vault.abdicateCaps(),
        "addStrategy": vault.addStrategy(house.vault.address, WAD, UNIT),
        "removeStrategy": vault.removeStrategy(strategy),
        "writeOff": vault.writeOff(strategy),
        "setKeeper": vault.setKeeper(house.devnet.accounts["stranger"]),
        "commitPolicy": vault.commitPolicy(POLICY),
        "setFeeRecipient": vault.setFeeRecipient(strategy),
        "sweep": vault.sweep(house.devnet.weth.address, strategy),
        "restate": vault.restate(UNIT),
        "resume": vault.resume(),
    }


def test_functions__every_one_that_writes__has_its_role(house: House) -> None:
    writing = {e["name"] for e in house.vault.abi if e["type"] == "function" and e["stateMutability"] == "nonpayable"}
    assert writing == {*GUARDIAN_FUNCTIONS, *GOVERNOR_FUNCTIONS, *OPEN_FUNCTIONS}
    assert set(calls(house)) == {*GUARDIAN_FUNCTIONS, *GOVERNOR_FUNCTIONS}


@pytest.mark.parametrize("name", [*GUARDIAN_FUNCTIONS, *GOVERNOR_FUNCTIONS])
def test_restricted__anybody_else__refused(house: House, name: str) -> None:
    allowed = {"guardian"} if name in GUARDIAN_FUNCTIONS else set()
    for role in {*ROLES, "guardian"} - allowed:
        said = house.refusal(role, calls(house)[name])
        if role == "governance" and name in GOVERNOR_FUNCTIONS:
            assert said.startswith("AccessManagerNotScheduled")
        else:
            assert said.startswith("AccessManagedUnauthorized"), (role, said)


def test_guardian__tightens_halts_and_cuts__at_once(house: House) -> None:
    for name in GUARDIAN_FUNCTIONS:
        house.send("guardian", calls(house)[name])
    state = house.inspect()
    assert state.snapshot.limits.max_drawdown == WAD // 20
    assert (state.snapshot.strategies[0].relative_cap, state.snapshot.strategies[0].absolute_cap) == (WAD // 10, UNIT)
    assert (state.snapshot.groups[0].relative_cap, state.snapshot.groups[0].absolute_cap) == (WAD // 10, UNIT)
    assert state.snapshot.halted
    assert not state.snapshot.has_keeper


@pytest.mark.parametrize("limit", Limit)
def test_guardian__any_limit__never_loosened(house: House, limit: Limit) -> None:
    vault, now = house.vault.functions, house.inspect().snapshot.limits.of(limit)
    looser = now - 1 if limit in (Limit.IDLE_FLOOR, Limit.COOLDOWN) else now + 1
    assert house.refusal("guardian", vault.tighten(limit, looser)).startswith("NotTighter")
    assert house.refusal("guardian", vault.tighten(limit, now)).startswith("NotTighter")
    assert house.refusal("guardian", vault.loosen(limit, looser)).startswith("AccessManagedUnauthorized")
    schedule = house.authority.functions.schedule(house.vault.address, data_of(vault.loosen(limit, looser)), 0)
    assert house.refusal("guardian", schedule).startswith("AccessManagerUnauthorizedCall")


def test_governance__announced__done_after_the_delay_and_not_before(house: House) -> None:
    commit = house.vault.functions.commitPolicy(POLICY)
    delay = house.deployment.plan.delay
    early = house.authority.functions.schedule(
        house.vault.address, data_of(commit), house.inspect().snapshot.block.timestamp + delay // 2
    )
    assert house.refusal("governance", early).startswith("AccessManagerUnauthorizedCall")
    house.announce(commit)
    house.warp(delay - 60)
    execute = house.authority.functions.execute(house.vault.address, data_of(commit))
    assert house.refusal("governance", execute).startswith("AccessManagerNotReady")
    house.warp(60)
    house.carry_out(commit)
    assert house.vault.functions.policyHash().call() == POLICY
    assert house.refusal("governance", execute).startswith("AccessManagerNotScheduled")


def test_governance__announced_and_forgotten__expires(house: House) -> None:
    commit = house.vault.functions.commitPolicy(POLICY)
    house.announce(commit)
    house.warp(house.deployment.plan.delay + 8 * 86_400)
    assert house.inspect().authority.pending == ()
    execute = house.authority.functions.execute(house.vault.address, data_of(commit))
    assert house.refusal("governance", execute).startswith("AccessManagerExpired")


def test_pending_loosening__seen_by_inspect__cancelled_by_the_guardian(house: House) -> None:
    loosen = calls(house)["loosen"]
    house.announce(loosen)
    state = house.inspect()
    (operation,) = state.authority.pending
    assert describe(state, operation) == "loosen: change the drawdown at which the vault halts from 10 % to 50 %"
    assert operation.ready_at == state.snapshot.block.timestamp + house.deployment.plan.delay
    for role in set(ROLES) - {"governance"}:
        assert house.refusal(role, house.cancellation(loosen)).startswith("AccessManagerUnauthorizedCancel")
    house.send("guardian", house.cancellation(loosen))
    assert house.inspect().authority.pending == ()
    house.warp(house.deployment.plan.delay)
    execute = house.authority.functions.execute(house.vault.address, data_of(loosen))
    assert house.refusal("governance", execute).startswith("AccessManagerNotScheduled")


def test_abdicated__limit_and_caps__not_even_governance_loosens(house: House) -> None:
    house.govern(calls(house)["abdicate"])
    house.govern(calls(house)["abdicateCaps"])
    for name in ("loosen", "loosenCaps", "addStrategy"):
        house.announce(calls(house)[name])
    house.warp(house.deployment.plan.delay)
    for name in ("loosen", "loosenCaps", "addStrategy"):
        call = calls(house)[name]
        execute = house.authority.functions.execute(house.vault.address, data_of(call))
        assert _named(house, execute) == "Abdicated()"
    house.send("guardian", calls(house)["tighten"])
    state = house.inspect()
    assert state.abdicated == (Limit.MAX_DRAWDOWN,)
    assert state.caps_abdicated


def test_thief_of_governance__gives_itself_the_role_without_delay__cancelled(house: House) -> None:
    manager, stranger = house.authority.functions, house.devnet.accounts["stranger"]
    for evil in (
        manager.grantRole(ADMIN, stranger, 0),
        manager.grantRole(GOVERNOR, stranger, 0),
        manager.setRoleGuardian(GOVERNOR, 0),
        manager.setTargetFunctionRole(house.vault.address, [b"\x01\x02\x03\x04"], GOVERNOR),
        manager.updateAuthority(house.vault.address, house.vault.address),
    ):
        assert house.refusal("governance", evil).startswith("AccessManagerNotScheduled"), "it needs no announcement"
        house.announce(evil)
        house.send("guardian", house.cancellation(evil))
        house.warp(house.deployment.plan.delay)
        execute = manager.execute(house.authority.address, data_of(evil))
        assert house.refusal("governance", execute).startswith("AccessManagerNotScheduled")


def test_thief_of_governance__removes_the_guardian_first__needs_two_delays(house: House) -> None:
    manager, guardian = house.authority.functions, house.devnet.accounts["guardian"]
    dismiss, loosen = manager.revokeRole(GUARDIAN, guardian), calls(house)["loosen"]
    house.announce(dismiss)
    assert house.refusal("guardian", house.cancellation(dismiss)).startswith("AccessManagerUnauthorizedCancel")
    house.announce(loosen)
    house.send("guardian", house.cancellation(loosen))
    house.warp(house.deployment.plan.delay)
    house.carry_out(dismiss)
    execute = manager.execute(house.vault.address, data_of(loosen))
    assert house.refusal("governance", execute).startswith("AccessManagerNotScheduled")
    house.announce(loosen)
    assert house.refusal("governance", execute).startswith("AccessManagerNotReady")


def test_thief_of_guardian__vetoes_everything__is_dismissed_all_the_same(house: House) -> None:
    manager, people = house.authority.functions, house.devnet.accounts
    house.send("guardian", house.vault.functions.halt())
    dismiss = manager.revokeRole(GUARDIAN, people["guardian"])
    house.govern(dismiss)
    appoint = manager.grantRole(GUARDIAN, people["stranger"], 0)
    house.govern(appoint)
    house.govern(house.vault.functions.resume())
    assert not house.inspect().snapshot.halted
    assert [member.account for member in house.inspect().authority.who(GUARDIAN)] == [people["stranger"]]


def _named(house: House, call: ContractFunction) -> str:
    """Name of the vault's error with which a call through the AccessManager reverts."""
    abi: Any = [*house.authority.abi, *house.vault.abi]
    bound = house.w3.eth.contract(call.address, abi=abi).get_function_by_name(call.fn_name)(*call.args)
    return house.refusal("governance", bound)
