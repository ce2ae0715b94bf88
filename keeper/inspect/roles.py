"""Who may do what with the vault, on OpenZeppelin's AccessManager: the one definition of its roles.

Guardian: tightens at once, and can cancel what governance has announced. Governance: everything else, after its delay.
Admin of the AccessManager (who has which role): governance, after the same delay. The deployer keeps nothing.

The AccessManager lets the guardian of a role cancel what needs that role. Functions of the AccessManager itself need
the admin role, which cannot have a guardian; but who may *cancel* a call to them is looked up in the same table as for
any target. So they are entered there under the governor's role: that gives nobody the right to call them, and lets the
guardian cancel them. All but `revokeRole`: otherwise a stolen guardian key could never be revoked.
"""

from collections.abc import Mapping
from typing import Any

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract

ADMIN = 0
GUARDIAN = 1
GOVERNOR = 2
PUBLIC = 2**64 - 1
ROLE_NAMES: Mapping[int, str] = {ADMIN: "ADMIN", GUARDIAN: "GUARDIAN", GOVERNOR: "GOVERNOR", PUBLIC: "PUBLIC"}

GUARDIAN_FUNCTIONS = ("tighten", "tightenCaps", "halt", "cutKeeper")
GOVERNOR_FUNCTIONS = (
    "loosen",
    "loosenCaps",
    "abdicate",
    "abdicateCaps",
    "addStrategy",
    "removeStrategy",
    "writeOff",
    "setKeeper",
    "commitPolicy",
    "setFeeRecipient",
    "resume",
)
LOOSENING_FUNCTIONS = ("loosen", "loosenCaps", "addStrategy", "commitPolicy", "setKeeper", "resume")
"""Governor's functions of which a depositor wants notice: they loosen, end a halt, or change who or what decides."""
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


def selector(contract: Contract, name: str) -> bytes:
    """Return the selector of a function that has no overloads."""
    (abi,) = (entry for entry in contract.abi if entry["type"] == "function" and entry["name"] == name)
    types = ",".join(_type(parameter) for parameter in abi["inputs"])
    return bytes(Web3.keccak(text=f"{name}({types})")[:4])


def function_roles(vault: Contract, manager: Contract) -> dict[tuple[ChecksumAddress, str], int]:
    """Return the role that each function is given: (target, function name) -> role."""
    table = {(vault.address, name): GUARDIAN for name in GUARDIAN_FUNCTIONS}
    table |= {(vault.address, name): GOVERNOR for name in GOVERNOR_FUNCTIONS}
    table |= {(manager.address, name): GOVERNOR for name in CANCELLABLE_ADMIN_FUNCTIONS}
    return table


def memberships(governance: str, guardian: str, delay: int) -> dict[tuple[int, str], int]:
    """Return who has which role with which delay, all told: (role, account) -> seconds."""
    return {(ADMIN, governance): delay, (GOVERNOR, governance): delay, (GUARDIAN, guardian): 0}


def hand_over(manager: Contract, vault: Contract, deployer: str, governance: str, guardian: str, delay: int) -> Any:
    """Return the one call by which the deployer sets up all roles and gives up its own."""
    steps: list[tuple[str, tuple[Any, ...]]] = [
        ("labelRole", (GUARDIAN, ROLE_NAMES[GUARDIAN])),
        ("labelRole", (GOVERNOR, ROLE_NAMES[GOVERNOR])),
        ("setTargetFunctionRole", (vault.address, [selector(vault, n) for n in GUARDIAN_FUNCTIONS], GUARDIAN)),
        ("setTargetFunctionRole", (vault.address, [selector(vault, n) for n in GOVERNOR_FUNCTIONS], GOVERNOR)),
        (
            "setTargetFunctionRole",
            (manager.address, [selector(manager, n) for n in CANCELLABLE_ADMIN_FUNCTIONS], GOVERNOR),
        ),
        ("setRoleGuardian", (GOVERNOR, GUARDIAN)),
        ("grantRole", (GUARDIAN, guardian, 0)),
        ("grantRole", (GOVERNOR, governance, delay)),
        ("grantRole", (ADMIN, governance, delay)),
    ]
    if deployer != governance:
        steps.append(("renounceRole", (ADMIN, deployer)))
    return manager.functions.multicall([bytes.fromhex(manager.encode_abi(n, args)[2:]) for n, args in steps])


def _type(parameter: Mapping[str, Any]) -> str:
    kind = str(parameter["type"])
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(_type(part) for part in parameter["components"]) + ")" + kind.removeprefix("tuple")
