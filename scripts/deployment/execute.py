"""Sends a `DeploymentPlan`: AccessManager, vault, lens, strategies, limits, roles; then reads everything back."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress
from web3.contract import Contract

from scripts.deployment.contracts import access_manager, load_contract
from scripts.deployment.errors import PlanRefusedError
from scripts.deployment.inspection import ADMIN_ROLE, VaultLimits, verify
from scripts.deployment.plan import WAD, DeploymentPlan
from scripts.protocols.chain import Chain


@dataclass(frozen=True)
class Deployment:
    """A vault on a chain, verified.

    Parameters
    ----------
    limits
        What was read back from the chain.
    strategies
        Contracts in the vault's order.
    """

    plan: DeploymentPlan
    limits: VaultLimits
    authority: Contract
    vault: Contract
    lens: Contract
    strategies: tuple[Contract, ...]

    def to_book(self) -> dict[str, Any]:
        """Return the address book: plain JSON."""
        plan, limits = self.plan, self.limits
        return {
            "chain_id": plan.chain_id,
            "block": limits.block,
            "vault": self.vault.address,
            "lens": self.lens.address,
            "authority": self.authority.address,
            "asset": {"address": plan.asset, "symbol": plan.asset_symbol, "decimals": plan.asset_decimals},
            "name": plan.name,
            "symbol": plan.symbol,
            "keeper": plan.keeper,
            "governance": plan.governance,
            "deployer": plan.deployer,
            "policy_hash": plan.policy_hash,
            "limits": {key: getattr(plan, key) / WAD for key in ("idle_floor", "max_drawdown", "mark_growth_rate")},
            "strategies": [
                {
                    "name": planned.name,
                    "address": contract.address,
                    "kind": "aave-v3" if planned.pool else "erc-4626",
                    "pool": planned.pool,
                    "relative_cap": planned.relative_cap / WAD,
                    "absolute_cap": str(planned.absolute_cap),  # base units; JSON numbers would lose digits
                }
                for planned, contract in zip(plan.strategies, self.strategies, strict=True)
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

    authority = chain.deploy(access_manager(), plan.deployer)
    say(f"AccessManager  {authority.address}")
    vault = chain.deploy(
        load_contract("Vault"),
        *(plan.asset, plan.name, plan.symbol, authority.address, plan.keeper),
        *(plan.idle_floor, plan.max_drawdown, plan.mark_growth_rate),
    )
    say(f"Vault          {vault.address}")
    lens = chain.deploy(load_contract("VaultLens"))
    say(f"VaultLens      {lens.address}")

    strategies = []
    for planned in plan.strategies:
        contract = _strategy(chain, plan, planned.name, planned.pool, planned.target)
        chain.send(vault.functions.addStrategy(contract.address, planned.relative_cap, planned.absolute_cap))
        say(f"{planned.name:<14} {contract.address}")
        strategies.append(contract)
    chain.send(vault.functions.commitPolicy(bytes.fromhex(plan.policy_hash.removeprefix("0x"))))
    say("Policy committed")
    if plan.governance != plan.deployer:
        chain.send(authority.functions.grantRole(ADMIN_ROLE, plan.governance, 0))
        chain.send(authority.functions.renounceRole(ADMIN_ROLE, plan.deployer))
        say(f"Admin is now   {plan.governance}")

    limits = verify(chain.w3, plan, vault.address, lens.address, tuple(contract.address for contract in strategies))
    return Deployment(plan, limits, authority, vault, lens, tuple(strategies))


def _strategy(
    chain: Chain, plan: DeploymentPlan, name: str, pool: ChecksumAddress | None, target: ChecksumAddress | None
) -> Contract:
    if target is not None:
        return chain.at(target, load_contract("IVault").abi)
    title = f"Bulkhead {plan.asset_symbol} on {name}"
    return chain.deploy(load_contract("AaveV3Strategy"), pool, plan.asset, title, f"bh-{name}")
