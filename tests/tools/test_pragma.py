"""One compiler: every source file names exactly the version that Forge, Ape and npm are told to use."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "contracts").rglob("*.sol"), *(ROOT / "tests").rglob("*.sol")])


def test_pragma__every_source__exactly_the_installed_compiler() -> None:
    version = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]["solc"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version), "a range would let another compiler in"
    sources = [file for file in SOURCES if ".cache" not in file.parts]
    assert {"contracts", "tests"} <= {file.relative_to(ROOT).parts[0] for file in sources}
    pragmas = {
        file.relative_to(ROOT).as_posix(): re.findall(
            r"^pragma solidity.*$", file.read_text(encoding="utf-8"), re.MULTILINE
        )
        for file in sources
    }
    assert {name: found for name, found in pragmas.items() if found != [f"pragma solidity {version};"]} == {}


def test_compiler__npm_ape_forge_and_setup__the_same_version() -> None:
    packages = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    locked = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    version = packages["dependencies"]["solc"]
    assert locked["packages"]["node_modules/solc"]["version"] == version
    ape = (ROOT / "ape-config.yaml").read_text(encoding="utf-8").split("\nsolidity:\n")[1]
    assert re.findall(r"^  version: (.*)$", ape, re.MULTILINE) == [version]
    assert f"solc-v{version}" in (ROOT / "scripts/setup.sh").read_text(encoding="utf-8")
    # Forge takes the compiler that npm installed, and nothing that a user has elsewhere.
    assert re.findall(r"^solc.*= *(.*)$", (ROOT / "foundry.toml").read_text(encoding="utf-8"), re.MULTILINE) == [
        '"scripts/solc.js"'
    ]
    assert 'require("solc")' in (ROOT / "scripts/solc.js").read_text(encoding="utf-8")
