"""The project's own contracts as `ape compile` left them in .build, and OpenZeppelin's AccessManager.

Read from the file and not through `ape.project`, so that the demo and tests need not load Ape (seconds) to deploy. A
build that is older than the sources is refused.
"""

import json
from typing import Any

from scripts.protocols.artifacts import ROOT, Artifact, load_artifact
from scripts.protocols.errors import ArtifactError

BUILD = ROOT / ".build" / "__local__.json"
COMPILE = "run `.venv/bin/ape compile`"


def load_contract(name: str) -> Artifact:
    """Return the compiled contract `name` (`Vault`, `VaultLens`, `AaveV3Strategy`, or an interface).

    Raises `ArtifactError` when it is not compiled or a source has changed since.
    """
    contract = _contract(name)
    return Artifact(name, contract["abi"], contract.get("deploymentBytecode", {}).get("bytecode", "0x"), {})


def load_runtime(name: str) -> str:
    """Return the code that the contract has once it is deployed, as hex; it must have no immutables."""
    return str(_contract(name)["runtimeBytecode"]["bytecode"])


def access_manager() -> Artifact:
    """Return OpenZeppelin's AccessManager, compiled by OpenZeppelin."""
    return load_artifact("@openzeppelin/contracts", "build/contracts/AccessManager.json")


def _contract(name: str) -> dict[str, Any]:
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
    return dict(build["contractTypes"][name])


def _read_build() -> dict[str, Any]:
    try:
        return dict(json.loads(BUILD.read_text()))
    except FileNotFoundError as error:
        raise ArtifactError(f"The contracts are not compiled: {COMPILE}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{BUILD} is damaged: delete it and {COMPILE}.") from error
