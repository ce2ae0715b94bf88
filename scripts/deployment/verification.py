"""Whether the vault on chain is the one that was planned: every limit, cap, role and delay, and nobody besides."""

from collections.abc import Iterator
from typing import Any

from eth_typing import ChecksumAddress
from web3 import Web3

from agent.vault.limits import Limit
from keeper.inspect.roles import ADMIN, GOVERNOR, GUARDIAN, ROLE_NAMES, function_roles, memberships
from keeper.inspect.state import VaultState, inspect_vault
from scripts.deployment.contracts import access_manager, load_contract
from scripts.deployment.errors import VerificationError
from scripts.deployment.plan import DeploymentPlan
from scripts.protocols.chain import contract_at

VIRTUAL_SHARES = 10**6
"""Shares per base unit of the first deposit, as the vault defines them."""
_Check = tuple[str, Any, Any]  # what, as it is, as it was planned


def verify(
    w3: Web3,
    plan: DeploymentPlan,
    vault: str,
    lens: str,
    targets: tuple[ChecksumAddress, ...],
    since: int | None = None,
) -> VaultState:
    """Compare the vault on chain with the plan and return what was read.

    Parameters
    ----------
    targets
        The strategies, in the plan's order.
    since
        A block before the AccessManager was created.

    Raises
    ------
    VerificationError
        With every difference.
    """
    found = inspect_vault(w3, vault, lens, since)
    checks = [*_vault(found, plan), *_strategies(w3, found, plan, targets), *_authority(w3, found, plan)]
    differences = [f"{what} is {is_!r}, planned {should!r}" for what, is_, should in checks if is_ != should]
    if differences:
        raise VerificationError(differences)
    return found


def _vault(found: VaultState, plan: DeploymentPlan) -> Iterator[_Check]:
    for key in ("name", "symbol", "asset", "keeper", "policy_hash", "fee_recipient"):
        yield key, getattr(found, key), getattr(plan, key)
    for limit in Limit:
        yield limit.name.lower(), found.limits.of(limit), plan.limits.of(limit)
    yield "limits given up", found.abdicated, ()
    yield "caps given up", found.caps_abdicated, False
    yield "halted", found.halted, False
    yield "valued", found.valued, True
    yield "epoch", found.epoch, 0
    yield "shares", found.total_supply, plan.seed * VIRTUAL_SHARES


def _strategies(
    w3: Web3, found: VaultState, plan: DeploymentPlan, targets: tuple[ChecksumAddress, ...]
) -> Iterator[_Check]:
    yield "number of strategies", len(found.strategies), len(plan.strategies)
    for stands, planned, target in zip(found.strategies, plan.strategies, targets, strict=False):
        yield f"{planned.name}: address", stands.target, target
        yield f"{planned.name}: relative cap", stands.relative_cap, planned.relative_cap
        yield f"{planned.name}: absolute cap", stands.absolute_cap, planned.absolute_cap
        yield f"{planned.name}: readable by the lens", stands.live, True
        if planned.pool is not None:
            strategy = contract_at(w3, target, load_contract("AaveV3Strategy")).functions
            yield f"{planned.name}: pool", strategy.POOL().call(), planned.pool


def _authority(w3: Web3, found: VaultState, plan: DeploymentPlan) -> Iterator[_Check]:
    authority = found.authority
    planned = memberships(plan.governance, plan.guardian, plan.delay)
    stands = {(member.role, str(member.account)): member.delay for member in authority.members}
    for role, account in sorted({*planned, *stands}):
        what = f"delay of {account} as {authority.name(role)}"
        yield what, stands.get((role, account), "no member"), planned.get((role, account), "no member")
    yield "roles that are not active yet", [member.account for member in authority.members if member.since], []

    contract = contract_at(w3, found.vault, load_contract("Vault"))
    manager = contract_at(w3, authority.address, access_manager())
    roles = function_roles(contract, manager)
    for place in sorted({*roles, *authority.functions}):
        owner = "AccessManager." if place[0] == authority.address else ""
        yield f"role for {owner}{place[1]}", authority.functions.get(place), roles.get(place)
    for role in (ADMIN, GUARDIAN, GOVERNOR):
        name = ROLE_NAMES[role]
        yield f"who cancels calls of {name}", authority.guardians.get(role), GUARDIAN if role == GOVERNOR else ADMIN
        yield f"who grants {name}", authority.admins.get(role), ADMIN
        yield f"delay of granting {name}", authority.grant_delays.get(role), 0
    yield "closed", authority.closed, False
    yield "announced operations", [operation.id for operation in authority.pending], []
