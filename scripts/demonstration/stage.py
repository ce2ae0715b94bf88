"""The stage of the demo: a devnet with a vault, its depositors, and a keeper with its own key."""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from web3 import Web3
from web3.contract import Contract

from agent.vault.limits_file import LimitsFile
from keeper.chain.rpc import Rpc
from keeper.chain.signer import write_keystore
from keeper.config import load_config
from keeper.cycle import Keeper
from keeper.snapshot import Snapshot, read_snapshot
from scripts.deployment.execute import Deployment, deploy_vault
from scripts.deployment.plan import plan_on
from scripts.protocols.aave import ETH_PRICE, AaveMarket
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC_UNIT
from scripts.protocols.devnet import Devnet, deploy_devnet

SYMBOL = "USDC"
DEPOSITS = {"alice": 5_000_000, "bob": 3_000_000, "carol": 2_000_000}
KEEPER_ETH = 100
BASE_FEE_GWEI = 1
NO_POLICY = "0x" + "ff" * 32  # committed at deployment, before there is a policy: no decision can match it


@dataclass(frozen=True)
class Stage:
    """Devnet and vault on which the replay and the bad day take place."""

    devnet: Devnet
    deployment: Deployment
    folder: Path
    password: str

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
    def markets(self) -> tuple[AaveMarket, ...]:
        """The strategies' markets, in the vault's order."""
        return tuple(self.devnet.markets[name] for name in self.names)

    def now(self) -> float:
        """Time of the newest block: the keeper's clock, since the days here take no time."""
        return float(self.w3.eth.get_block("latest")["timestamp"])

    def snapshot(self) -> Snapshot:
        """Read the vault through its lens at the newest block."""
        rpc_client = Rpc(self.url)
        lens, vault = self.deployment.lens.address, self.vault.address
        return read_snapshot(rpc_client, lens=lens, vault=vault, max_block_age=math.inf, clock=self.now)

    def wake(self, timestamp: int) -> None:
        """Mine a block at `timestamp`, with the base fee that every day of the demo has."""
        rpc(self.w3, "anvil_setNextBlockBaseFeePerGas", hex(BASE_FEE_GWEI * 10**9))
        rpc(self.w3, "evm_setNextBlockTimestamp", timestamp)
        rpc(self.w3, "evm_mine")

    def commit(self, policy_hash: str) -> None:
        """Commit a policy as governance must: announce it, let the delay pass, carry it out."""
        chain, governance = self.devnet.chain, self.devnet.sender("governance")
        authority = self.deployment.authority.functions
        call = bytes.fromhex(self.vault.encode_abi("commitPolicy", [policy_hash]).removeprefix("0x"))
        chain.send(authority.schedule(self.vault.address, call, 0), sender=governance)
        rpc(self.w3, "evm_increaseTime", self.deployment.plan.delay)
        rpc(self.w3, "evm_mine")
        chain.send(authority.execute(self.vault.address, call), sender=governance)

    def keeper(self, policy: str) -> Keeper:
        """Write a configuration file like any user's, and return its keeper."""
        config = self.folder / "keeper.toml"
        password = self.folder / "keystore.password"
        password.touch(mode=0o600)
        password.write_text(self.password)
        config.write_text(
            f"""# The demo's keeper. Its chain is gone when the demo ends.
rpc_url = "{self.url}"
chain_id = {self.w3.eth.chain_id}
deployment = "deployment.json"
policy = "{policy}"
journal = "keeper.sqlite"
keystore = "keeper.keystore.json"
password_file = "keystore.password"
native_price = {float(ETH_PRICE)}
"""
        )
        return Keeper(load_config(config), clock=self.now)


def set_stage(w3: Web3, limits: LimitsFile, folder: Path, say: Callable[[str], None]) -> Stage:
    """Deploy devnet and vault, make the keeper's key, and let the depositors pay in.

    Parameters
    ----------
    w3
        Connection to a fresh Anvil.
    limits
        Limits of the vault; its strategies name the devnet's markets.
    folder
        Folder for keystore and address books.
    say
        Called with a line about each step.
    """
    devnet = deploy_devnet(w3, lambda step: say(f"deploying {step}"))
    devnet.save(folder / "devnet.json")
    password = secrets.token_urlsafe(24)
    keeper = write_keystore(folder / "keeper.keystore.json", password)
    rpc(w3, "anvil_setBalance", keeper, hex(KEEPER_ETH * 10**18))
    plan = plan_on(devnet, limits, NO_POLICY, keeper=keeper)
    deployment = deploy_vault(devnet.chain, plan, lambda line: say(f"deploying {line.split()[0]}"))
    deployment.save(folder / "deployment.json")
    for role, amount in DEPOSITS.items():
        owner = devnet.sender(role)
        devnet.chain.approve(devnet.usdc, deployment.vault.address, owner)
        deposit = deployment.vault.get_function_by_signature("deposit(uint256,address)")
        devnet.chain.send(deposit(amount * USDC_UNIT, owner.address), sender=owner)
    return Stage(devnet, deployment, folder, password)
