"""One devnet and one vault on it per run, on the Anvil of Ape's network; Ape reverts the chain after every test."""

from pathlib import Path

import pytest
from ape import networks, project
from web3 import Web3

from agent.policies.load import load_policy
from agent.vault.limits_file import LimitsFile, load_limits
from scripts.deployment.execute import Deployment, deploy_vault
from scripts.deployment.plan import plan_on
from scripts.protocols.anvil import connect
from scripts.protocols.chain import Chain
from scripts.protocols.devnet import Devnet, deploy_devnet
from tests.ape.house import House

RISK = "0x00000000000000000000000000000000000000A1"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def compiled() -> None:
    """The project's contracts, compiled by Ape where they have changed."""
    project.load_contracts()


@pytest.fixture(scope="session")
def w3(compiled: None) -> Web3:
    """A connection of our own to the node that Ape started: no caches and no fee rules in between."""
    return connect(networks.provider.uri)


@pytest.fixture(scope="session")
def devnet(w3: Web3) -> Devnet:
    return deploy_devnet(w3)


@pytest.fixture(scope="session")
def limits() -> LimitsFile:
    """The limits file of the repository, with a group that binds no tighter than the idle floor."""
    file = load_limits(ROOT / "scripts" / "limits.toml")
    group = {"members": list(file.names), "relative_cap": 0.98, "risk": RISK}
    return LimitsFile.model_validate({**file.model_dump(), "groups": [group]})


@pytest.fixture(scope="session")
def deployment(devnet: Devnet, limits: LimitsFile) -> Deployment:
    """The vault that `ape run deploy --devnet` makes."""
    plan = plan_on(devnet, limits, load_policy("equal-weight").digest)
    return deploy_vault(Chain(devnet.w3, devnet.sender("deployer")), plan)


@pytest.fixture
def house(devnet: Devnet, deployment: Deployment) -> House:
    return House(devnet, deployment)
