"""What an AccessManager says about a vault: who has which role, who may call what, and what is announced.

It has no lists, so they are made from its events; what an event tells is then read again from the contract.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from eth_typing import BlockNumber, ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception
from web3.types import LogReceipt

from keeper.inspect.roles import ADMIN, CANCELLABLE_ADMIN_FUNCTIONS, PUBLIC, ROLE_NAMES, selector
from scripts.deployment.contracts import access_manager
from scripts.deployment.errors import InspectionError
from scripts.protocols.chain import contract_at


@dataclass(frozen=True)
class Member:
    """An account that has a role.

    Parameters
    ----------
    delay
        Seconds between announcing a call and making it.
    since
        When the role becomes active; 0 when it is.
    """

    role: int
    account: ChecksumAddress
    delay: int
    since: int


@dataclass(frozen=True)
class Operation:
    """A call that was announced and is neither made, nor cancelled, nor expired."""

    id: str
    caller: ChecksumAddress
    target: ChecksumAddress
    data: bytes
    ready_at: int
    expires_at: int


@dataclass(frozen=True)
class Authority:
    """The state of an AccessManager, as far as it concerns a vault.

    Parameters
    ----------
    functions
        (target, function name) -> role that may call it; of the vault, and of the manager those that can be cancelled.
    guardians, admins
        Role -> role that may cancel its calls; role -> role that grants it.
    closed
        The vault is closed: nobody may call restricted functions, whatever the role.
    problem
        Why nothing of this could be read; None when it was.
    """

    address: ChecksumAddress
    members: tuple[Member, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    functions: Mapping[tuple[ChecksumAddress, str], int] = field(default_factory=dict)
    guardians: Mapping[int, int] = field(default_factory=dict)
    admins: Mapping[int, int] = field(default_factory=dict)
    grant_delays: Mapping[int, int] = field(default_factory=dict)
    closed: bool = False
    pending: tuple[Operation, ...] = ()
    problem: str | None = None

    def name(self, role: int) -> str:
        """Return what the role is called."""
        return ROLE_NAMES.get(role) or self.names.get(role) or f"role {role}"

    def who(self, role: int) -> tuple[Member, ...]:
        """Return the members of a role."""
        return tuple(member for member in self.members if member.role == role)

    def notice(self, roles: Iterable[int]) -> int | None:
        """Return the least delay after which a member of `roles`, or one who can appoint members, can act.

        None when there is no such account.
        """
        reach, todo = {ADMIN}, [*roles]
        if PUBLIC in todo:
            return 0
        while todo:
            role = todo.pop()
            if role not in reach:
                reach.add(role)
                todo.append(self.admins.get(role, ADMIN))
        return min((member.delay for member in self.members if member.role in reach), default=None)


def read_authority(
    w3: Web3, address: str, vault: Contract, functions: Sequence[str], block: int, since: int | None = None
) -> Authority:
    """Read an AccessManager at `block`; where the address is none, the answer says so in `problem`.

    Parameters
    ----------
    functions
        Names of the vault's restricted functions.
    since
        Block to read events from; None looks for the one that the manager was created in.

    Raises
    ------
    InspectionError
        When the node cannot give its events.
    """
    manager = contract_at(w3, address, access_manager())
    if not _is_manager(manager, block):
        return Authority(
            manager.address,
            problem="it is no OpenZeppelin AccessManager: who may change limits, and when, cannot be told",
        )
    first = creation_block(w3, manager.address, block) if since is None else since
    events = _events(w3, manager, first, block)
    granted = {(int(e["roleId"]), e["account"]) for name, e in events if name == "RoleGranted"}
    members = []
    for role, account in sorted(granted):
        since_when, delay, *_ = manager.functions.getAccess(role, account).call(block_identifier=block)
        if since_when:
            now = w3.eth.get_block(block)["timestamp"]
            members.append(Member(role, account, int(delay), since_when if since_when > now else 0))

    calls = manager.functions
    table: dict[tuple[ChecksumAddress, str], int] = {}
    for contract, names in ((vault, functions), (manager, CANCELLABLE_ADMIN_FUNCTIONS)):
        for name in names:
            call = calls.getTargetFunctionRole(contract.address, selector(contract, name))
            table[contract.address, name] = int(call.call(block_identifier=block))
    roles = {ADMIN, *(member.role for member in members), *table.values()} - {PUBLIC}
    return Authority(
        address=manager.address,
        members=tuple(members),
        names={int(e["roleId"]): str(e["label"]) for name, e in events if name == "RoleLabel"},
        functions=table,
        guardians={role: int(calls.getRoleGuardian(role).call(block_identifier=block)) for role in roles},
        admins={role: int(calls.getRoleAdmin(role).call(block_identifier=block)) for role in roles},
        grant_delays={role: int(calls.getRoleGrantDelay(role).call(block_identifier=block)) for role in roles},
        closed=bool(calls.isTargetClosed(vault.address).call(block_identifier=block)),
        pending=_pending(manager, events, block),
    )


def creation_block(w3: Web3, address: ChecksumAddress, block: int) -> int:
    """Return the first block at which `address` has code, by bisection; needs a node that keeps old state."""
    low, high = 0, block
    try:
        while low < high:
            middle = (low + high) // 2
            if w3.eth.get_code(address, BlockNumber(middle)):
                high = middle
            else:
                low = middle + 1
    except (Web3Exception, ValueError, requests.RequestException) as error:
        raise InspectionError(
            f"the node does not keep the state of old blocks ({error}): use an archive node, or say with --from-block "
            "in which block the vault was deployed"
        ) from error
    return low


def _is_manager(manager: Contract, block: int) -> bool:
    if not manager.w3.eth.get_code(manager.address, block):
        return False
    try:
        for call in (manager.functions.minSetback(), manager.functions.isTargetClosed(manager.address)):
            call.call(block_identifier=block)
    except (Web3Exception, OverflowError):
        return False
    return True


def _events(w3: Web3, manager: Contract, first: int, last: int) -> list[tuple[str, Any]]:
    """Return the manager's events in order: (name, arguments)."""
    kinds = {_topic(entry): entry["name"] for entry in manager.abi if entry["type"] == "event"}
    found = []
    for log in _logs(w3, manager.address, first, last):
        name = kinds.get(bytes(log["topics"][0]))
        if name is not None:
            found.append((name, manager.events[name]().process_log(log)["args"]))
    return found


def _topic(entry: Any) -> bytes:
    types = ",".join(parameter["type"] for parameter in entry["inputs"])
    return bytes(Web3.keccak(text=f"{entry['name']}({types})"))


def _logs(w3: Web3, address: ChecksumAddress, first: int, last: int) -> list[LogReceipt]:
    """Ask for all at once, and for half as much wherever the node finds it too much."""
    try:
        return w3.eth.get_logs({"address": address, "fromBlock": BlockNumber(first), "toBlock": BlockNumber(last)})
    except (Web3Exception, ValueError, requests.RequestException) as error:
        if last - first < 100:
            raise InspectionError(f"the node gives no events of blocks {first} to {last}: {error}") from error
    middle = (first + last) // 2
    return _logs(w3, address, first, middle) + _logs(w3, address, middle + 1, last)


def _pending(manager: Contract, events: list[tuple[str, Any]], block: int) -> tuple[Operation, ...]:
    announced = {bytes(e["operationId"]): e for name, e in events if name == "OperationScheduled"}
    lifetime = manager.functions.expiration().call(block_identifier=block)
    pending = []
    for key, event in announced.items():
        ready_at = manager.functions.getSchedule(key).call(block_identifier=block)
        if ready_at:
            pending.append(
                Operation(
                    "0x" + key.hex(),
                    event["caller"],
                    event["target"],
                    bytes(event["data"]),
                    ready_at,
                    ready_at + lifetime,
                )
            )
    return tuple(sorted(pending, key=lambda operation: operation.ready_at))
