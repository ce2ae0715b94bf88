"""The stage of a demonstration: a devnet with a vault, its depositors, and a keeper with its own key."""

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from web3 import Web3
from web3.contract import Contract

from agent.vault.limits_file import LimitsFile
from keeper.chain.rpc import Rpc
from keeper.chain.signer import write_keystore
from keeper.config import load_config
from keeper.conversion import Leg
from keeper.cycle import Keeper
from keeper.snapshot import Snapshot, read_snapshot
from scripts.demonstration.told import toml
from scripts.deployment.execute import Deployment, deploy_vault
from scripts.deployment.plan import plan_on
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC_UNIT
from scripts.protocols.devnet import Devnet

SYMBOL = "USDC"
DEPOSIT = "deposit(uint256,address)"
OUTSIDE = 1_000  # USDC of somebody else in each strategy
KEEPER_ETH = 100
NO_POLICY = "0x" + "ff" * 32  # committed at deployment, before there is a policy: no decision can match it


@dataclass(frozen=True)
class Stage:
    """Devnet and vault on which the replay and the bad day take place."""

    devnet: Devnet
    deployment: Deployment
    folder: Path
    password: str
    depositors: tuple[str, ...]

    @property
    def w3(self) -> Web3:
        """The connection."""
        return self.devnet.w3

    @property
    def url(self) -> str:
        """RPC URL of the chain."""
        return str(getattr(self.w3.provider, "endpoint_uri", ""))

    @property
    def vault(self) -> Contract:
        """The vault."""
        return self.deployment.vault

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the strategies, in the vault's order."""
        return tuple(planned.name for planned in self.deployment.plan.strategies)

    @property
    def _named(self) -> list[tuple[str, Contract]]:
        return list(zip(self.names, self.deployment.strategies, strict=True))

    def now(self) -> float:
        """Time of the newest block: the keeper's clock, since the days here take no time."""
        return float(self.w3.eth.get_block("latest")["timestamp"])

    def snapshot(self) -> Snapshot:
        """Read the vault through its lens at the newest block."""
        rpc_client = Rpc(self.url)
        lens, vault = self.deployment.lens.address, self.vault.address
        return read_snapshot(rpc_client, lens=lens, vault=vault, max_block_age=math.inf, clock=self.now)

    def commit(self, policy_hash: str) -> None:
        """Commit a policy as governance must: announce it, let the delay pass, carry it out."""
        chain, governance = self.devnet.chain, self.devnet.sender("governance")
        authority = self.deployment.authority.functions
        call = bytes.fromhex(self.vault.encode_abi("commitPolicy", [policy_hash]).removeprefix("0x"))
        chain.send(authority.schedule(self.vault.address, call, 0), sender=governance)
        rpc(self.w3, "evm_increaseTime", self.deployment.plan.delay)
        rpc(self.w3, "evm_mine")
        chain.send(authority.execute(self.vault.address, call), sender=governance)

    def keeper(self, policy: str, told: Mapping[str, Any], costs: Mapping[str, Leg]) -> Keeper:
        """Write a configuration file like any user's, and return its keeper.

        Parameters
        ----------
        policy
            As in the file.
        told
            Other entries: the native coin's price, and what else the keeper is told.
        costs
            What trades cost, by strategy.
        """
        config = self.folder / "keeper.toml"
        password = self.folder / "keystore.password"
        password.touch(mode=0o600)
        password.write_text(self.password)
        entries: dict[str, Any] = {
            "rpc_url": self.url,
            "chain_id": self.w3.eth.chain_id,
            "deployment": "deployment.json",
            "policy": policy,
            "journal": "keeper.sqlite",
            "keystore": "keeper.keystore.json",
            "password_file": "keystore.password",
            **told,
        }
        if costs:
            entries["costs"] = {
                contract.address: costs[name]._asdict() for name, contract in self._named if name in costs
            }
        config.write_text("# The demo's keeper. Its chain is gone when the demo ends.\n" + toml(entries))
        return Keeper(load_config(config), clock=self.now)


def set_stage(
    devnet: Devnet, limits: LimitsFile, deposits: Mapping[str, int], folder: Path, say: Callable[[str], None]
) -> Stage:
    """Deploy the vault, make the keeper's key, and let the depositors pay in.

    Parameters
    ----------
    devnet
        On a fresh Anvil.
    limits
        Limits of the vault; its strategies name the devnet's venues.
    deposits
        Role -> whole USDC.
    folder
        Folder for keystore and address books.
    say
        Called with a line about each step.
    """
    devnet.save(folder / "devnet.json")
    password = secrets.token_urlsafe(24)
    keeper = write_keystore(folder / "keeper.keystore.json", password)
    rpc(devnet.w3, "anvil_setBalance", keeper, hex(KEEPER_ETH * 10**18))
    plan = plan_on(devnet, limits, NO_POLICY, keeper=keeper)
    deployment = deploy_vault(devnet.chain, plan, lambda line: say(f"deploying {line.split()[0]}"))
    deployment.save(folder / "deployment.json")
    for contract in deployment.strategies:
        _enter(devnet, contract)
    for role, amount in deposits.items():
        owner = devnet.sender(role)
        devnet.chain.approve(devnet.usdc, deployment.vault.address, owner)
        deposit = deployment.vault.get_function_by_signature(DEPOSIT)
        devnet.chain.send(deposit(amount * USDC_UNIT, owner.address), sender=owner)
    return Stage(devnet, deployment, folder, password, tuple(deposits))


def _enter(devnet: Devnet, strategy: Contract) -> None:
    """Let the deployer hold shares of a strategy: one that nobody is in has no share price that follows its venue."""
    chain, amount = devnet.chain, OUTSIDE * USDC_UNIT
    chain.mint(devnet.usdc, chain.sender.address, amount)
    chain.approve(devnet.usdc, strategy.address, chain.sender)
    chain.send(strategy.get_function_by_signature(DEPOSIT)(amount, chain.sender.address))
