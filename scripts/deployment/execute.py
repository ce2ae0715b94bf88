"""Sends a `DeploymentPlan`: AccessManager, vault, lens, strategies, limits, roles; then reads everything back."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract

from agent.vault.limits import Limit
from keeper.inspect.roles import hand_over
from keeper.inspect.state import VaultState
from keeper.inspect.words import WAD
from scripts.deployment.contracts import access_manager, load_contract
from scripts.deployment.errors import PlanRefusedError
from scripts.deployment.plan import DeploymentPlan
from scripts.deployment.verification import verify
from scripts.protocols.chain import Chain

NOBODY = Web3.to_checksum_address("0x000000000000000000000000000000000000dEaD")
"""Holds the shares of the seed. Nobody has its key."""


@dataclass(frozen=True)
class Deployment:
    """A vault on a chain, verified.

    Parameters
    ----------
    state
        What was read back from the chain.
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
            "block": self.state.block,
            "vault": self.vault.address,
            "lens": self.lens.address,
            "authority": self.authority.address,
            "asset": {"address": plan.asset, "symbol": plan.asset_symbol, "decimals": plan.asset_decimals},
            "name": plan.name,
            "symbol": plan.symbol,
            "keeper": plan.keeper,
            "governance": plan.governance,
            "guardian": plan.guardian,
            "delay": plan.delay,
            "fee_recipient": plan.fee_recipient,
            "deployer": plan.deployer,
            "policy_hash": plan.policy_hash,
            "limits": {
                key: value if key in ("cooldown", "max_silence") else value / WAD
                for key, value in asdict(plan.limits).items()
            },
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
        contract = _strategy(chain, plan, planned.name, planned.pool, planned.target)
        chain.send(vault.functions.addStrategy(contract.address, planned.relative_cap, planned.absolute_cap))
        say(f"{planned.name:<14} {contract.address}")
        strategies.append(contract)
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
    chain.send(hand_over(authority, vault, plan.deployer, plan.governance, plan.guardian, plan.delay))
    say(f"Guardian       {plan.guardian}")
    say(f"Governance     {plan.governance}")

    targets = tuple(contract.address for contract in strategies)
    state = verify(chain.w3, plan, vault.address, lens.address, targets, since)
    return Deployment(plan, state, authority, vault, lens, tuple(strategies))


def _strategy(
    chain: Chain, plan: DeploymentPlan, name: str, pool: ChecksumAddress | None, target: ChecksumAddress | None
) -> Contract:
    if target is not None:
        return chain.at(target, load_contract("IVault").abi)
    title = f"Bulkhead {plan.asset_symbol} on {name}"
    return chain.deploy(load_contract("AaveV3Strategy"), pool, plan.asset, title, f"bh-{name}")
