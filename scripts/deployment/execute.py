"""Sends a `DeploymentPlan`: AccessManager, vault, lens, strategies, limits, roles; then reads everything back and
compares it with the plan."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract

from agent.units import WAD
from agent.vault.limits import Limit
from keeper.chain.abi import encode_call, selector
from keeper.inspect.report import plain_limit
from keeper.inspect.roles import ADMIN, GOVERNOR, GUARDIAN, ROLE_NAMES, function_roles, memberships
from keeper.inspect.state import VaultState, inspect_vault
from scripts.deployment.code import code_hash
from scripts.deployment.plan import DeploymentPlan
from scripts.deployment.prices import Check
from scripts.errors import PlanRefusedError, VerificationError
from scripts.protocols.artifacts import access_manager, load_contract
from scripts.protocols.chain import Chain, node_of

NOBODY = Web3.to_checksum_address("0x000000000000000000000000000000000000dEaD")
"""Holds the shares of the seed. Nobody has its key."""
VIRTUAL_SHARES = 10**6
"""Shares per base unit of the first deposit, as the vault defines them."""


@dataclass(frozen=True)
class Deployment:
    """A vault on a chain, verified.

    Parameters
    ----------
    state
        The vault as read back from the chain.
    strategies
        Contracts in the vault's order.
    """

    plan: DeploymentPlan
    state: VaultState
    authority: Contract
    vault: Contract
    lens: Contract
    strategies: tuple[Contract, ...]

    def to_book(self) -> dict[str, Any]:
        """Return the address book: plain JSON."""
        plan = self.plan
        return {
            "chain_id": plan.chain_id,
            "block": self.state.snapshot.block.number,
            "vault": self.vault.address,
            "lens": self.lens.address,
            "authority": self.authority.address,
            "asset": {"address": plan.asset, "symbol": plan.asset_symbol, "decimals": plan.asset_decimals},
            **{
                key: getattr(plan, key)
                for key in ("name", "symbol", "keeper", "governance", "guardian", "delay", "fee_recipient", "deployer")
            },
            "policy_hash": plan.policy_hash,
            "limits": {limit.name.lower(): plain_limit(limit, plan.limits.of(limit)) for limit in Limit},
            "strategies": [
                {
                    "name": planned.name,
                    "address": contract.address,
                    **planned.venue.to_book(),
                    "code_hash": planned.code_hash,
                    "relative_cap": planned.relative_cap / WAD,
                    "absolute_cap": str(planned.absolute_cap),  # base units; JSON numbers would lose digits
                }
                for planned, contract in zip(plan.strategies, self.strategies, strict=True)
            ],
            "groups": [
                {
                    "risk": group.risk,
                    "members": [self.strategies[index].address for index in group.members],
                    "relative_cap": group.relative_cap / WAD,
                    "absolute_cap": str(group.absolute_cap),
                }
                for group in plan.groups
            ],
        }

    def save(self, path: Path) -> Path | None:
        """Write the address book; an older one is kept under the path that is returned."""
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = None
        if path.exists():
            kept = path.with_name(f"{path.stem}.until-{time.time_ns() // 10**6}{path.suffix}")
            path.rename(kept)
        path.write_text(json.dumps(self.to_book(), indent=2) + "\n")
        return kept


def deploy_vault(chain: Chain, plan: DeploymentPlan, say: Callable[[str], None] = lambda line: None) -> Deployment:
    """Carry out `plan` as the chain's sender and verify the result.

    Parameters
    ----------
    say
        Called with a line about each step.

    Raises
    ------
    PlanRefusedError
        When the plan is for another chain or another deployer.
    TransactionFailedError
        When a step reverts; nothing that was deployed before it holds funds.
    VerificationError
        When the chain does not hold what was planned.
    """
    chain_id, sender = chain.w3.eth.chain_id, chain.sender.address
    if (chain_id, sender) != (plan.chain_id, plan.deployer):
        raise PlanRefusedError([f"made for {plan.deployer} on chain {plan.chain_id}, not {sender} on chain {chain_id}"])

    since = chain.w3.eth.block_number
    authority = chain.deploy(access_manager(), plan.deployer)
    say(f"AccessManager  {authority.address}")
    vault = chain.deploy(
        load_contract("Vault"),
        *(plan.asset, plan.name, plan.symbol, authority.address, plan.keeper),
        replace(plan.limits, performance_fee=0).struct(),
    )
    say(f"Vault          {vault.address}")
    lens = chain.deploy(load_contract("VaultLens"))
    say(f"VaultLens      {lens.address}")

    strategies = []
    for planned in plan.strategies:
        title = f"Bulkhead {plan.asset_symbol} on {planned.name}"
        contract = planned.venue.deploy(chain, plan.asset, title, f"bh-{planned.name}")
        chain.send(vault.functions.addStrategy(contract.address, planned.relative_cap, planned.absolute_cap))
        say(f"{planned.name:<14} {contract.address}")
        strategies.append(contract)
    for index, group in enumerate(plan.groups):
        chain.send(vault.functions.setGroup(index, group.struct()))
        say(f"Group          {', '.join(plan.strategies[member].name for member in group.members)}")
    chain.send(vault.functions.commitPolicy(bytes.fromhex(plan.policy_hash.removeprefix("0x"))))
    say("Policy committed")
    if plan.fee_recipient is not None:
        # By the setter and not by the constructor: the setter also records from which price on it is charged.
        chain.send(vault.functions.loosen(Limit.PERFORMANCE_FEE, plan.limits.performance_fee))
        chain.send(vault.functions.setFeeRecipient(plan.fee_recipient))
        say("Fee set")
    if plan.seed:
        asset = chain.at(plan.asset, load_contract("IVault").abi)  # an ERC-20 among other things
        chain.send(asset.functions.approve(vault.address, plan.seed))
        chain.send(vault.functions.deposit(plan.seed, NOBODY))
        say(f"Seeded         {plan.seed / 10**plan.asset_decimals:,} {plan.asset_symbol}")
    chain.send(hand_over(authority, vault.address, plan.deployer, plan.governance, plan.guardian, plan.delay))
    say(f"Guardian       {plan.guardian}")
    say(f"Governance     {plan.governance}")

    targets = tuple(contract.address for contract in strategies)
    state = verify(chain.w3, plan, vault.address, lens.address, targets, since)
    return Deployment(plan, state, authority, vault, lens, tuple(strategies))


def hand_over(manager: Contract, vault: str, deployer: str, governance: str, guardian: str, delay: int) -> Any:
    """Return the one call by which the deployer sets up all roles and renounces its own."""
    by_role: dict[tuple[str, int], list[bytes]] = {}
    for (target, name), role in function_roles(vault, manager.address).items():
        contract = "Vault" if target == vault else "AccessManager"
        by_role.setdefault((target, role), []).append(selector(contract, name))
    steps: list[tuple[str, tuple[Any, ...]]] = [
        *(("labelRole", (role, ROLE_NAMES[role])) for role in (GUARDIAN, GOVERNOR)),
        *(("setTargetFunctionRole", (target, each, role)) for (target, role), each in by_role.items()),
        ("setRoleGuardian", (GOVERNOR, GUARDIAN)),
        *(("grantRole", (*key, wait)) for key, wait in reversed(memberships(governance, guardian, delay).items())),
    ]
    if deployer != governance:
        steps.append(("renounceRole", (ADMIN, deployer)))
    return manager.functions.multicall([encode_call("AccessManager", name, args) for name, args in steps])


# --- reading back ----------------------------------------------------------------------------------------------------


def verify(
    w3: Web3,
    plan: DeploymentPlan,
    vault: str,
    lens: str,
    targets: tuple[ChecksumAddress, ...],
    since: int | None = None,
) -> VaultState:
    """Compare every limit, cap, role and delay on chain with the plan, and return the vault as read.

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
    found = inspect_vault(node_of(w3), vault, lens, since)
    checks = [*_vault_checks(found, plan), *_strategy_checks(w3, found, plan, targets), *_authority_checks(found, plan)]
    differences = [f"{what} is {is_!r}, planned {should!r}" for what, is_, should in checks if is_ != should]
    if differences:
        raise VerificationError(differences)
    return found


def _vault_checks(found: VaultState, plan: DeploymentPlan) -> Iterator[Check]:
    vault = found.snapshot
    for key in ("name", "symbol", "fee_recipient"):
        yield key, getattr(found, key), getattr(plan, key)
    for key in ("asset", "keeper", "policy_hash"):
        yield key, getattr(vault, key), getattr(plan, key)
    for limit in Limit:
        yield limit.name.lower(), found.snapshot.limits.of(limit), plan.limits.of(limit)
    yield "limits given up", found.abdicated, ()
    yield "caps given up", found.caps_abdicated, False
    yield "groups", [astuple(group) for group in vault.groups], [group.struct() for group in plan.groups]
    yield "halted", vault.halted, False
    yield "valued", vault.valued, True
    yield "epoch", vault.epoch, 0
    yield "shares", vault.total_supply, plan.seed * VIRTUAL_SHARES


def _strategy_checks(
    w3: Web3, found: VaultState, plan: DeploymentPlan, targets: tuple[ChecksumAddress, ...]
) -> Iterator[Check]:
    yield "number of strategies", len(found.snapshot.strategies), len(plan.strategies)
    for stands, planned, target in zip(found.snapshot.strategies, plan.strategies, targets, strict=False):
        yield f"{planned.name}: address", stands.target, target
        yield f"{planned.name}: relative cap", stands.relative_cap, planned.relative_cap
        yield f"{planned.name}: absolute cap", stands.absolute_cap, planned.absolute_cap
        yield f"{planned.name}: readable by the lens", stands.live, True
        yield f"{planned.name}: code at {planned.venue.place}", code_hash(w3, planned.venue.place), planned.code_hash
        for what, found_there, wanted in planned.venue.facts(w3, target):
            yield f"{planned.name}: {what}", found_there, wanted


def _authority_checks(found: VaultState, plan: DeploymentPlan) -> Iterator[Check]:
    authority = found.authority
    planned = memberships(plan.governance, plan.guardian, plan.delay)
    stands = {(member.role, member.account): member.delay for member in authority.members}
    for role, account in sorted({*planned, *stands}):
        what = f"delay of {account} as {authority.name(role)}"
        yield what, stands.get((role, account), "no member"), planned.get((role, account), "no member")
    yield "roles that are not active yet", [member.account for member in authority.members if member.since], []

    roles = function_roles(found.snapshot.vault, authority.address)
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
