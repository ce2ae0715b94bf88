"""Compiled contracts: the project's own from Ape's build, others from their npm packages; and library linking.

The build is read from its file and not through `ape.project`, so that demo and tests deploy without loading Ape, which
takes seconds. A build that is older than the sources is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress

from scripts.errors import ArtifactError

ROOT = Path(__file__).resolve().parents[2]
NODE_MODULES = ROOT / "node_modules"
BUILD = ROOT / ".build" / "__local__.json"
COMPILE = "run `.venv/bin/ape compile`"


@dataclass(frozen=True)
class Artifact:
    """A compiled contract.

    Parameters
    ----------
    name
        Name of the contract.
    abi
        Its ABI, as JSON.
    bytecode
        Creation code as hex with 0x, with placeholders where libraries are to be linked.
    links
        Library name -> byte offsets of its address in the creation code.
    """

    name: str
    abi: Sequence[Mapping[str, Any]]
    bytecode: str
    links: Mapping[str, Sequence[int]]

    def linked(self, libraries: Mapping[str, ChecksumAddress]) -> str:
        """Return the creation code with every library's address in place; raises `ArtifactError` if one is missing."""
        code = bytearray(self.bytecode.removeprefix("0x"), "ascii")
        for library, offsets in self.links.items():
            if library not in libraries:
                raise ArtifactError(f"{self.name} needs the library {library}; deploy it first and pass its address.")
            address = libraries[library].removeprefix("0x").lower().encode()
            for offset in offsets:
                code[2 * offset : 2 * offset + 40] = address
        return "0x" + code.decode()


def load_artifact(package: str, path: str) -> Artifact:
    """Read `path` (below the npm package `package`): a Hardhat artifact, or a Truffle build without libraries.

    Raises `ArtifactError` when the package is not installed or the file holds no bytecode.
    """
    file = NODE_MODULES / package / path
    try:
        data = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise ArtifactError(f"{package} has no {path}. Run `make setup`, which installs the npm packages.") from error
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{file} is damaged. Delete node_modules and run `make setup`.") from error
    bytecode = data.get("bytecode", "0x")
    if bytecode in ("", "0x"):
        raise ArtifactError(f"{package} {path} has no bytecode: it is an interface or an abstract contract.")
    links = {
        library: [place["start"] for place in places]
        for libraries in data.get("linkReferences", {}).values()
        for library, places in libraries.items()
    }
    return Artifact(data["contractName"], data["abi"], bytecode, links)


def load_contract(name: str) -> Artifact:
    """Return the compiled contract `name` (`Vault`, `VaultLens`, `AaveV3Strategy`, or an interface).

    Raises `ArtifactError` when it is not compiled or a source has changed since.
    """
    build = _read_build()
    changed = [
        path
        for path, source in build["sources"].items()
        if not (ROOT / path).is_file() or (ROOT / path).read_text() != source["content"]
    ]
    if changed:
        raise ArtifactError(f"{', '.join(changed)} changed after the last compilation: {COMPILE}.")
    if name not in build["contractTypes"]:
        raise ArtifactError(f"{name} is not compiled: {COMPILE}.")
    contract = build["contractTypes"][name]
    return Artifact(name, contract["abi"], contract.get("deploymentBytecode", {}).get("bytecode", "0x"), {})


def access_manager() -> Artifact:
    """Return OpenZeppelin's AccessManager, compiled by OpenZeppelin."""
    return load_artifact("@openzeppelin/contracts", "build/contracts/AccessManager.json")


def _read_build() -> dict[str, Any]:
    try:
        return dict(json.loads(BUILD.read_text()))
    except FileNotFoundError as error:
        raise ArtifactError(f"The contracts are not compiled: {COMPILE}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{BUILD} is damaged: delete it and {COMPILE}.") from error


USDC = load_artifact("@aave/core-v3", "artifacts/contracts/mocks/tokens/MintableERC20.sol/MintableERC20.json")
"""The devnet's USDC is Aave's own test token (6 decimals, with permit): plain ERC-20, no proxy, no blocklist."""
WETH = load_artifact("canonical-weth", "build/contracts/WETH9.json")
USDC_UNIT = 10**6
WETH_UNIT = 10**18
