"""The roles of a vault on OpenZeppelin's AccessManager: their one definition.

The guardian tightens at once and can cancel what governance has announced. Governance does everything else, after its
delay. Admin of the AccessManager (who has which role) is governance too, after the same delay. The deployer keeps
nothing.

The AccessManager lets the guardian of a role cancel calls that need that role. Its own functions need the admin role,
which cannot have a guardian; but the right to *cancel* a call to them is looked up in the same table as for any other
target. So they are entered there under the governor's role: that gives nobody the right to call them, and lets the
guardian cancel them. The exception is `revokeRole`: otherwise a stolen guardian key could never be revoked.
"""

from collections.abc import Mapping

ADMIN = 0
GUARDIAN = 1
GOVERNOR = 2
PUBLIC = 2**64 - 1
ROLE_NAMES: Mapping[int, str] = {ADMIN: "ADMIN", GUARDIAN: "GUARDIAN", GOVERNOR: "GOVERNOR", PUBLIC: "PUBLIC"}

GUARDIAN_FUNCTIONS = ("tighten", "tightenCaps", "tightenGroup", "halt", "cutKeeper")
GOVERNOR_FUNCTIONS = (
    "loosen",
    "loosenCaps",
    "setGroup",
    "abdicate",
    "abdicateCaps",
    "addStrategy",
    "removeStrategy",
    "writeOff",
    "setKeeper",
    "commitPolicy",
    "setFeeRecipient",
    "sweep",
    "restate",
    "resume",
)
LOOSENING_FUNCTIONS = (
    "loosen",
    "loosenCaps",
    "setGroup",
    "addStrategy",
    "commitPolicy",
    "setKeeper",
    "restate",
    "resume",
)
"""The governor's functions of which depositors want notice: they loosen, raise what leaving is paid from, end a halt,
or replace keeper or policy."""
CANCELLABLE_ADMIN_FUNCTIONS = (
    "labelRole",
    "setRoleAdmin",
    "setRoleGuardian",
    "setGrantDelay",
    "setTargetAdminDelay",
    "updateAuthority",
    "setTargetClosed",
    "setTargetFunctionRole",
    "grantRole",
)


def function_roles(vault: str, manager: str) -> dict[tuple[str, str], int]:
    """Return the role that each function needs: (target, function name) -> role."""
    table = {(vault, name): GUARDIAN for name in GUARDIAN_FUNCTIONS}
    table |= {(vault, name): GOVERNOR for name in GOVERNOR_FUNCTIONS}
    return table | {(manager, name): GOVERNOR for name in CANCELLABLE_ADMIN_FUNCTIONS}


def memberships(governance: str, guardian: str, delay: int) -> dict[tuple[int, str], int]:
    """Return every member of every role with its delay in seconds: (role, account) -> delay."""
    return {(ADMIN, governance): delay, (GOVERNOR, governance): delay, (GUARDIAN, guardian): 0}
