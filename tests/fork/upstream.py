"""The chain that is forked: the user's own, or one that is started here, so that no internet is needed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ape import chain, project
from ape.contracts import ContractInstance
from ethpm_types import ContractType
from web3 import Web3

from agent.policies.load import load_policy
from agent.vault.limits_file import load_limits
from scripts.deployment.execute import deploy_vault
from scripts.deployment.plan import plan_on
from scripts.errors import AddressBookError
from scripts.protocols.anvil import Anvil, connect
from scripts.protocols.artifacts import ROOT, load_contract
from scripts.protocols.chain import Chain
from scripts.protocols.devnet import deploy_devnet

URI = "WEB3_PROVIDER_URI"  # the URL that Ape takes for `ethereum:mainnet` where nothing is configured
BOOK = "BULKHEAD_DEPLOYMENT"
WHALE = "BULKHEAD_WHALE"
MAINNET = 1


@dataclass(frozen=True)
class Upstream:
    """A chain, a vault on it, and an account that holds the vault's asset."""

    w3: Web3
    vault: str
    whale: str


def at(name: str, address: str) -> ContractInstance:
    """Return the project's contract at an address of the fork.

    Not by `project.<name>.at`: Ape keeps on disk what it saw at an address of a live network, and merges it in; of an
    upstream that was made here, the next run has other contracts at the same addresses.
    """
    kind = ContractType.model_validate({"contractName": name, "abi": list(load_contract(name).abi)})
    return chain.contracts.instance_at(address, contract_type=kind, replace=True, fetch_from_explorer=False)


@contextmanager
def open_upstream() -> Iterator[Upstream]:
    """Yield the user's upstream if `WEB3_PROVIDER_URI` names one, else one that lives as long as the context."""
    if URI in os.environ:
        yield _users()
        return
    with Anvil(chain_id=MAINNET) as anvil:
        os.environ[URI] = anvil.url
        try:
            yield _made(connect(anvil.url))
        finally:
            del os.environ[URI]


def _users() -> Upstream:
    book = Path(os.environ.get(BOOK, ROOT / "deployments" / f"{MAINNET}.json"))
    if not book.is_file() or WHALE not in os.environ:
        raise AddressBookError(
            f"{URI} is set. Set {BOOK} (no file {book}) and {WHALE} (who holds the asset) too, or unset {URI}."
        )
    w3 = connect(os.environ[URI])
    if w3.eth.chain_id != MAINNET:
        raise AddressBookError(f"{URI} is chain {w3.eth.chain_id}; mainnet-fork forks chain {MAINNET}.")
    return Upstream(w3, json.loads(book.read_text())["vault"], os.environ[WHALE])


def _made(w3: Web3) -> Upstream:
    """Put the devnet and a vault on an Anvil that plays mainnet."""
    project.load_contracts()
    devnet = deploy_devnet(w3)
    plan = plan_on(devnet, load_limits(ROOT / "scripts" / "limits.toml"), load_policy("greedy").digest)
    deployment = deploy_vault(Chain(w3, devnet.sender("deployer")), plan)
    return Upstream(w3, deployment.vault.address, devnet.accounts["borrower"])
