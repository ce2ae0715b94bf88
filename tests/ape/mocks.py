"""Contracts of the Forge tests, compiled for a test on Anvil."""

import json
import subprocess
from functools import cache

from scripts.protocols.artifacts import ROOT, Artifact


@cache
def load_mock(name: str) -> Artifact:
    """Compile `tests/contracts/mocks/NAME.sol`; it takes seconds."""
    source = f"tests/contracts/mocks/{name}.sol"
    settings = {
        "optimizer": {"enabled": True, "runs": 200},
        "remappings": ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"],
        "outputSelection": {source: {name: ["abi", "evm.bytecode.object"]}},
    }
    sources = {source: {"content": (ROOT / source).read_text()}}
    task = {"language": "Solidity", "sources": sources, "settings": settings}
    done = subprocess.run(
        ["node", "scripts/solc.js", "--standard-json"],
        cwd=ROOT,
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=True,
    )
    made = json.loads(done.stdout)["contracts"][source][name]
    return Artifact(name, made["abi"], "0x" + made["evm"]["bytecode"]["object"], {})
