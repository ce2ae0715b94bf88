"""An index token from the bytecode of Set V2: anybody issues it for its parts, and redeems it for them."""

from collections.abc import Sequence

from web3.contract import Contract

from scripts.protocols.aave import ZERO
from scripts.protocols.artifacts import Artifact, load_artifact
from scripts.protocols.chain import Chain


def _set(path: str) -> Artifact:
    name = path.rsplit("/", 1)[-1]
    return load_artifact("@setprotocol/set-protocol-v2", f"artifacts/contracts/protocol/{path}.sol/{name}.json")


CONTROLLER = _set("Controller")
CREATOR = _set("SetTokenCreator")
ISSUANCE = _set("modules/BasicIssuanceModule")
TOKEN = _set("SetToken")


def deploy_index(
    chain: Chain, parts: Sequence[tuple[Contract, int]], name: str, symbol: str
) -> tuple[Contract, Contract]:
    """Deploy the protocol and one token, and return the token and the module that issues it.

    Parameters
    ----------
    parts
        Tokens, and base units of each per whole index token.
    """
    manager = chain.sender.address
    controller = chain.deploy(CONTROLLER, manager)
    creator = chain.deploy(CREATOR, controller.address)
    issuance = chain.deploy(ISSUANCE, controller.address)
    chain.send(controller.functions.initialize([creator.address], [issuance.address], [], []))
    tokens, units = [token.address for token, _ in parts], [unit for _, unit in parts]
    chain.send(creator.functions.create(tokens, units, [issuance.address], manager, name, symbol))
    index = chain.at(controller.functions.getSets().call()[0], TOKEN)
    chain.send(issuance.functions.initialize(index.address, ZERO))
    return index, issuance
