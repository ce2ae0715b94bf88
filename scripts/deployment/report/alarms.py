"""What a depositor should not put up with."""

from scripts.deployment.inspection import VaultState
from scripts.deployment.roles import ADMIN, GOVERNOR_FUNCTIONS, GUARDIAN_FUNCTIONS, PUBLIC


def alarms(state: VaultState) -> list[str]:
    """Return what a depositor should not put up with."""
    told = []
    authority = state.authority
    if authority.problem is not None:
        return [f"WARNING: the vault's authority is {authority.address}; {authority.problem}."]
    told += [
        f"WARNING: the keeper also has the role {authority.name(member.role)}."
        for member in authority.members
        if member.account == state.keeper
    ]
    for member in authority.who(ADMIN):
        if member.delay == 0:
            told.append(f"WARNING: {member.account} is admin without a delay: it can change everything at once.")
    for name in (*GOVERNOR_FUNCTIONS, *GUARDIAN_FUNCTIONS):
        role = authority.functions[state.vault, name]
        if role == PUBLIC:
            told.append(f"WARNING: anybody may call {name}.")
        elif name in GOVERNOR_FUNCTIONS and role != ADMIN:
            told += [
                f"WARNING: {member.account} may {name} without a delay."
                for member in authority.who(role)
                if member.delay == 0
            ]
    return told
