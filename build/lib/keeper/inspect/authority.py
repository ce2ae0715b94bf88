"""The AccessManager behind a vault: who has which role, who may call what, and what is announced.

It has no lists, so they are made from its events; whatever an event tells is then read again from the contract.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keeper.chain.abi import decode_event, selector
from keeper.chain.rpc import UNREADABLE, Block, Log, Rpc
from keeper.errors import InspectionError, RpcRejectedError, RpcUnavailableError
from keeper.inspect.roles import ADMIN, PUBLIC, ROLE_NAMES, function_roles

MIN_RANGE = 100  # blocks: a node that refuses the events of so few gives none at all


@dataclass(frozen=True)
class Member:
    """An account that has a role.

    Parameters
    ----------
    delay
        Seconds between announcing a call and making it.
    since
        Timestamp at which the role becomes active; 0 when it is.
    """

    role: int
    account: str
    delay: int
    since: int


@dataclass(frozen=True)
class Operation:
    """A call that was announced and is neither made, nor cancelled, nor expired."""

    id: str
    caller: str
    target: str
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
        Why none of this could be read; None when it was.
    """

    address: str
    members: tuple[Member, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    functions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    guardians: Mapping[int, int] = field(default_factory=dict)
    admins: Mapping[int, int] = field(default_factory=dict)
    grant_delays: Mapping[int, int] = field(default_factory=dict)
    closed: bool = False
    pending: tuple[Operation, ...] = ()
    problem: str | None = None

    def name(self, role: int) -> str:
        """Return the role's name."""
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


def read_authority(rpc: Rpc, address: str, vault: str, block: Block, since: int | None = None) -> Authority:
    """Read an AccessManager at a block; where the address is none, the answer says so in `problem`.

    Parameters
    ----------
    since
        Block to read events from; None looks for the one that the manager was created in.

    Raises
    ------
    InspectionError
        When the node cannot give its events.
    """

    def read(function: str, *arguments: Any) -> Any:
        return rpc.read("AccessManager", address, function, *arguments, block=block)

    try:
        read("minSetback")
        closed = read("isTargetClosed", vault)
    except UNREADABLE:
        return Authority(
            address, problem="it is not an OpenZeppelin AccessManager: who may change limits, and when, cannot be told"
        )
    first = _creation_block(rpc, address, block.number) if since is None else since
    logs = _logs(rpc, address, first, block.number)
    events = [event for log in logs if (event := decode_event("AccessManager", log.topics, log.data))]
    members = []
    for role, account in sorted({(e["roleId"], e["account"]) for name, e in events if name == "RoleGranted"}):
        active_from, delay, *_ = read("getAccess", role, account)
        if active_from:
            members.append(Member(role, account, delay, active_from if active_from > block.timestamp else 0))
    table = {
        (target, name): read(
            "getTargetFunctionRole", target, selector("Vault" if target == vault else "AccessManager", name)
        )
        for target, name in function_roles(vault, address)
    }
    roles = {ADMIN, *(member.role for member in members), *table.values()} - {PUBLIC}
    return Authority(
        address=address,
        members=tuple(members),
        names={e["roleId"]: e["label"] for name, e in events if name == "RoleLabel"},
        functions=table,
        guardians={role: read("getRoleGuardian", role) for role in roles},
        admins={role: read("getRoleAdmin", role) for role in roles},
        grant_delays={role: read("getRoleGrantDelay", role) for role in roles},
        closed=closed,
        pending=_pending(read, events),
    )


def _creation_block(rpc: Rpc, address: str, latest: int) -> int:
    """Return the first block at which `address` has code, by bisection; needs a node that keeps old state."""
    low, high = 0, latest
    try:
        while low < high:
            middle = (low + high) // 2
            if rpc.code(address, middle):
                high = middle
            else:
                low = middle + 1
    except (RpcRejectedError, RpcUnavailableError) as error:
        raise InspectionError(
            f"The node does not keep the state of old blocks ({error}). Use an archive node, or give with --since the "
            "block in which the vault was deployed."
        ) from error
    return low


def _logs(rpc: Rpc, address: str, first: int, last: int) -> list[Log]:
    """Ask for all at once, and for half as many blocks wherever the node refuses."""
    try:
        return rpc.logs(address, first, last)
    except (RpcRejectedError, RpcUnavailableError) as error:
        if last - first < MIN_RANGE:
            raise InspectionError(
                f"The node gives no events of blocks {first} to {last} ({error}). Use another node."
            ) from error
    middle = (first + last) // 2
    return _logs(rpc, address, first, middle) + _logs(rpc, address, middle + 1, last)


def _pending(read: Any, events: list[tuple[str, dict[str, Any]]]) -> tuple[Operation, ...]:
    lifetime, pending = read("expiration"), []
    for key, event in {e["operationId"]: e for name, e in events if name == "OperationScheduled"}.items():
        ready_at = read("getSchedule", key)
        if ready_at:
            where = (event["caller"], event["target"], event["data"])
            pending.append(Operation("0x" + key.hex(), *where, ready_at, ready_at + lifetime))
    return tuple(sorted(pending, key=lambda operation: operation.ready_at))
