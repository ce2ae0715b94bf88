"""`keeper inspect`: any vault from any node, with nothing but the keeper's own files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.vault.limits import Limit
from keeper.chain.rpc import Rpc
from keeper.errors import InspectionError, RpcRejectedError
from keeper.inspect.report import alarms, describe, lines, notes, to_json
from keeper.inspect.state import VaultState, inspect_vault
from keeper.inspect.words import money
from scripts.deployment.execute import hand_over
from tests.keeper.harness import KEEPER, ROOT, THIEF, UNIT, WAD, Shell, World
from tests.keeper.test_imports import BLOCK

pytestmark = pytest.mark.chain

DAY = 86_400
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def governed(world: World) -> World:
    """The vault with the roles of a deployment: the depositor is guardian, account 2 governs after two days."""
    accounts = world.w3.eth.accounts
    world.do(
        hand_over(world.authority, world.vault.address, world.governance, accounts[2], world.depositor, delay=2 * DAY)
    )
    return world


def announce(world: World, call: Any) -> None:
    data = bytes.fromhex(call._encode_transaction_data()[2:])
    world.do(world.authority.functions.schedule(call.address, data, 0), world.w3.eth.accounts[2])


def state_of(world: World, **options: Any) -> VaultState:
    return inspect_vault(Rpc(world.url), world.vault.address, **options)


# --- the command -------------------------------------------------------------------------------------------------


def test_command__an_address_and_a_node__limits_books_and_roles_in_words(world: World, shell: Shell) -> None:
    world.keeper().cycle(live=True)
    done = shell("inspect", world.vault.address, "--rpc", world.url)
    assert done.returncode == 0, done.stderr
    for part in (
        f"Vault (VLT) at {world.vault.address}",
        f"Only the keeper {KEEPER.address} moves funds",
        "at most 60 % of the vault in",
        "idle 20,",
        "Rebalances so far 1",
        f"ADMIN: {world.governance} (at once): who has which role",
        "LIMITS CAN BE LOOSENED AT ONCE",
        "Given up for ever:\n  - Nothing.",
    ):
        assert part in done.stdout, part


def test_command__json__is_the_state_by_either_lens(world: World, shell: Shell) -> None:
    command = ("inspect", world.vault.address, "--rpc", world.url, "--json")
    shipped = json.loads(shell(*command).stdout)
    deployed = json.loads(shell(*command, "--lens", world.lens.address).stdout)
    assert shipped == deployed == to_json(state_of(world))
    assert shipped["limits"]["max_drawdown"] == 0.1
    assert shipped["notice"] == 0


def test_command__configured_vault__needs_no_address(world: World, shell: Shell) -> None:
    config = str(world.config_file())
    done = shell("--config", config, "inspect", "--json")
    assert json.loads(done.stdout)["vault"] == world.vault.address
    other = shell("inspect", "--config", config, world.token.address)
    assert other.returncode == 78
    assert "is not a Bulkhead vault" in other.stderr


@pytest.mark.parametrize(
    ("address", "options", "kind", "message"),
    [
        (THIEF.address, (), "WrongContractError", "no contract at the vault's address"),
        ("token", (), "WrongContractError", "is not a Bulkhead vault"),
        ("0x12", (), "WrongContractError", "must be an address"),
        ("vault", ("--lens", THIEF.address), "WrongContractError", "no contract at the lens's address"),
        ("vault", ("--lens", "token"), "WrongContractError", "is it a VaultLens of this version?"),
        ("vault", ("--rpc", NOWHERE), "RpcUnavailableError", "does not answer"),
        ("vault", ("--rpc", "nonsense"), "ConfigError", "--rpc must be an http(s) URL"),
    ],
)
def test_command__what_can_be_wrong__is_one_clear_message(
    world: World, shell: Shell, address: str, options: tuple[str, ...], kind: str, message: str
) -> None:
    places = {"vault": world.vault.address, "token": world.token.address}
    given = [places.get(item, item) for item in (address, *options)]
    done = shell("inspect", "--json", "--rpc", world.url, *given)
    assert done.returncode == (75 if kind == "RpcUnavailableError" else 78)
    assert json.loads(done.stdout)["error"] == kind
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_command__node_of_another_chain_than_configured__is_refused(world: World, shell: Shell) -> None:
    config = str(world.config_file(chain_id=1))
    for arguments in ((), (world.vault.address,), ("--rpc", world.url)):
        done = shell("inspect", "--config", config, *arguments)
        assert done.returncode == 78
        assert "serves chain 31337" in done.stderr


def test_command__no_address_and_no_configuration__asks_for_one(shell: Shell) -> None:
    done = shell("inspect")
    assert done.returncode == 78
    assert "Give its ADDRESS" in done.stderr


def test_command__only_the_keepers_dependencies__works(world: World) -> None:
    program = (
        f"{BLOCK}\nfrom keeper.cli import main\nmain(['inspect', '{world.vault.address}', '--rpc', '{world.url}'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "What the vault enforces:" in done.stdout


# --- the state ---------------------------------------------------------------------------------------------------


def test_state__is_the_keepers_own_snapshot(world: World) -> None:
    world.keeper().cycle(live=True)
    seen = state_of(world).snapshot
    assert replace(seen, read_at=0) == replace(world.snapshot(), read_at=0)
    assert sum(strategy.assets for strategy in seen.strategies) > 0


def test_announced__in_words_with_the_way_to_cancel__then_done(governed: World) -> None:
    vault = governed.vault.functions
    announce(governed, vault.loosen(Limit.MAX_DRAWDOWN, WAD // 2))
    announce(governed, vault.abdicate(Limit.COOLDOWN))
    announce(governed, vault.abdicateCaps())
    state = state_of(governed)
    told = "\n".join(lines(state))
    for part in (
        "loosen: change the drawdown at which the vault halts from 10 % to 50 %",
        "give up for ever the right to loosen the time between rebalances",
        f'cast send {governed.authority.address} "cancel(address,address,bytes)"',
        "announced on chain for at least 2 days",
        f"GUARDIAN: {governed.depositor} (at once): tighten",
    ):
        assert part in told, part
    assert state.notice("loosen") == 2 * DAY
    assert "WARNING" not in told
    governed.pass_time(2 * DAY)
    for operation in state.authority.pending:
        execute = governed.authority.functions.execute(operation.target, operation.data)
        governed.do(execute, governed.w3.eth.accounts[2])
    state = state_of(governed)
    assert state.authority.pending == ()
    assert (state.abdicated, state.caps_abdicated) == ((Limit.COOLDOWN,), True)
    assert state.snapshot.limits.max_drawdown == WAD // 2
    assert "Nobody can ever loosen the time between rebalances" in "\n".join(lines(state))


def test_sides__a_gain_that_is_not_believed__bid_ask_and_gap_in_words(world: World) -> None:
    world.limit("MaxGrowthRate", WAD // 4)
    world.keeper().cycle(live=True)
    told = "\n".join(lines(state_of(world)))
    assert "a gap of 0 " in told or "a gap of 0.0000" in told
    assert "CLOSED" not in told
    world.do(world.strategies[0].functions.gain(60_000 * UNIT))
    state = state_of(world)
    told = "\n".join(lines(state))
    vault, unit = state.snapshot, (6, state.asset_symbol)
    assert vault.nav - vault.bid == pytest.approx(60_000 * UNIT, rel=1e-3)
    for part in (
        f"Who leaves is paid from {money(vault.bid, *unit)} (bid), who enters pays for {money(vault.ask, *unit)}",
        f"a gap of {money(vault.ask - vault.bid, *unit)} (",
        "that the strategies say they hold are not believed yet",
        "DEPOSITS ARE CLOSED: the ask is more than 5 % over the bid",
        "; recorded 326,6",
        "it tells no cash.",
    ):
        assert part in told, part
    assert world.vault.functions.maxDeposit(world.depositor).call() == 0
    shown = to_json(state)
    assert (shown["bid"], shown["ask"], shown["deposits_closed_by_spread"]) == (str(vault.bid), str(vault.ask), True)
    assert shown["strategies"][0]["recorded"] == str(vault.strategies[0].recorded)
    assert shown["strategies"][0]["cash"] is None


def test_spread__in_words_exactly_where_the_vault_closes(world: World) -> None:
    world.limit("MaxGrowthRate", 0)
    world.keeper().cycle(live=True)
    world.do(world.strategies[0].functions.gain(50_000 * UNIT))
    for more in (500, 400, 200, 1, 1, 1):
        world.do(world.strategies[0].functions.gain(more))
        closed = world.vault.functions.maxDeposit(world.depositor).call() == 0
        assert state_of(world).snapshot.deposits_closed_by_spread == closed


def test_groups_and_limits__in_words_and_as_json(world: World) -> None:
    world.group(0, 0, 2, cap=WAD // 2)
    world.group(1, 1, absolute=5 * UNIT)
    world.limit("DepositCap", 2_000_000 * UNIT)
    world.keeper().cycle(live=True)
    state = state_of(world)
    told = "\n".join(lines(state))
    first, second, third = (entry.name for entry in state.snapshot.strategies)
    for part in (
        f"After every rebalance at most 50 % of the vault in {first}, {third} together.",
        f"at most 100 % of the vault and at most 5 {state.asset_symbol} in {second} together.",
        f"{first}, {third} together: ",
        "Whoever takes funds out of a strategy may lose at most 0.5 % of them on the way.",
        f"No deposit lifts the vault over 2,000,000 {state.asset_symbol}.",
        "grows at most 100000 % a year",
    ):
        assert part in told, part
    shown = to_json(state)
    assert shown["limits"]["deposit_cap"] == str(2_000_000 * UNIT)
    assert shown["limits"]["unwind_loss"] == 0.005
    assert [group["relative_cap"] for group in shown["groups"]] == [0.5, 1.0]
    assert shown["groups"][0]["members"] == [world.strategies[index].address for index in (0, 2)]
    assert int(shown["groups"][0]["assets"]) == sum(state.snapshot.strategies[index].assets for index in (0, 2)) > 0


def test_deposit_cap__reached__is_told(world: World) -> None:
    world.limit("DepositCap", 1_000_000 * UNIT + 1)
    assert "at its deposit cap" not in "\n".join(lines(state_of(world)))
    world.limit("DepositCap", 1_000_000 * UNIT)
    assert "Deposits are closed: the vault is at its deposit cap." in "\n".join(lines(state_of(world)))
    assert world.vault.functions.maxDeposit(world.depositor).call() == 0


@pytest.mark.parametrize(
    ("limit", "value", "told", "warning"),
    [
        ("UnwindLoss", WAD // 20, "", True),
        ("UnwindLoss", WAD // 20 + 1, "5 % of them may be lost on the way", True),
        ("DepositCap", 2**128 - 2, "", False),
        ("DepositCap", 2**128 - 1, "no deposit cap", False),
        ("MaxGrowthRate", 0, "the growth rate is 0", False),
        ("MaxGrowthRate", 10 * WAD, "", False),
        ("MaxGrowthRate", 10 * WAD + 10**12, "believes almost any gain", False),
    ],
)
def test_limits__loose_ones__are_warned_of_or_noted(
    world: World, limit: str, value: int, told: str, warning: bool
) -> None:
    world.limit("MaxGrowthRate", WAD // 4)
    world.limit("DepositCap", UNIT)
    before = state_of(world)
    world.limit(limit, value)
    state = state_of(world)
    found = [line for line in alarms(state) if line not in alarms(before)] if warning else notes(state)
    assert len(found) == bool(told)
    assert all(told in line for line in found)
    assert all(line in "\n".join(lines(state)) for line in found)
    assert all(line in to_json(state)["warnings" if warning else "notes"] for line in found)


def test_announced__what_changes_groups_tokens_or_the_bid__in_words(governed: World) -> None:
    vault, risk, nobody = governed.vault.functions, THIEF.address, "0x" + "00" * 20
    before = (nobody, WAD // 2, 2**128 - 1, 0b011)
    announce(governed, vault.setGroup(0, before))
    (first,) = state_of(governed).authority.pending
    governed.pass_time(2 * DAY)
    governed.do(governed.authority.functions.execute(first.target, first.data), governed.w3.eth.accounts[2])
    announce(governed, vault.setGroup(0, (risk, WAD // 4, 5 * UNIT, 0b101)))
    announce(governed, vault.setGroup(1, (nobody, WAD, 2**128 - 1, 0b100)))
    announce(governed, vault.sweep(THIEF.address, KEEPER.address))
    announce(governed, vault.restate(2_000_000 * UNIT))
    announce(governed, vault.setKeeper(THIEF.address))
    announce(governed, vault.loosen(Limit.DEPOSIT_CAP, 7 * UNIT))
    state = state_of(governed)
    unit = state.asset_symbol
    a, b, c = (entry.name for entry in state.snapshot.strategies)
    assert sorted(describe(state, operation) for operation in state.authority.pending) == sorted(
        [
            f"change group 0: at most 25 % of the vault and at most 5 {unit} in {a}, {c} together, which share {risk}, "
            f"instead of at most 50 % of the vault in {a}, {b}",
            f"add group 1: at most 100 % of the vault in {c} together",
            f"send all of the vault's {THIEF.address}, a token that is neither its asset nor a strategy's share, to "
            f"{KEEPER.address}",
            f"restate: let what leaving is paid from rise at once from 1,000,000 {unit} to at most 2,000,000 {unit}, "
            "but not over NAV",
            f"make {THIEF.address} the keeper",
            f"loosen: change {Limit.DEPOSIT_CAP.words} from none to 7 {unit}",
        ]
    )
    assert state.notice("setGroup") == state.notice("restate") == 2 * DAY


def test_since__skips_the_search_and_the_events_before(governed: World) -> None:
    assert to_json(state_of(governed, since=0)) == to_json(state_of(governed))
    governed.mine()
    assert state_of(governed, since=governed.w3.eth.block_number).authority.members == ()


# --- nodes that cannot do everything -----------------------------------------------------------------------------


@pytest.fixture
def lame(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[..., bool]], None]:
    """`lame("method", refuses)`: the node refuses a method where `refuses(*arguments, **options)` says so."""

    def install(method: str, refuses: Callable[..., bool]) -> None:
        real = getattr(Rpc, method)

        def answer(rpc: Rpc, *arguments: Any, **options: Any) -> Any:
            if refuses(*arguments, **options):
                raise RpcRejectedError(method, -32000, "not here")
            return real(rpc, *arguments, **options)

        monkeypatch.setattr(Rpc, method, answer)

    return install


def test_node_without_state_overrides__asks_for_a_lens(world: World, lame: Any) -> None:
    lame("call", lambda *_arguments, code="": bool(code))
    with pytest.raises(InspectionError, match=r"state override .*--lens"):
        state_of(world)
    assert state_of(world, lens=world.lens.address).name == "Vault"


def test_node_without_old_states__asks_for_the_block(world: World, lame: Any) -> None:
    lame("code", lambda _address, number=None: number is not None)
    with pytest.raises(InspectionError, match=r"archive node.*--since"):
        state_of(world)
    assert state_of(world, since=0).authority.members


def test_node_that_limits_the_range_of_events__is_asked_in_parts(
    world: World, lame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in range(10, 20):  # an event in each of ten blocks
        world.do(world.authority.functions.labelRole(role, f"role of block {role}"))
    whole = state_of(world).authority
    assert len(whole.names) == 10
    lame("logs", lambda _address, first, last: last > first)
    with pytest.raises(InspectionError, match="gives no events"):
        state_of(world)
    monkeypatch.setattr("keeper.inspect.authority.MIN_RANGE", 1)
    assert state_of(world).authority == whole
