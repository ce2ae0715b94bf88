"""Ape deploys and Forge measures the same code: their settings agree."""

import tomllib

import yaml

from scripts.protocols.artifacts import ROOT


def test_settings__ape_and_forge_profile_deployed__the_same_code() -> None:
    ape = yaml.safe_load((ROOT / "ape-config.yaml").read_text())["solidity"]
    profiles = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]
    for name in ("deployed", "deep"):
        forge = {**profiles["default"], **profiles[name]}
        assert forge["via_ir"] is ape["via_ir"] is True
        assert forge["optimizer"] is ape["optimize"] is True
        assert forge["optimizer_runs"] == ape["optimization_runs"]
        assert forge["evm_version"] == ape["evm_version"]
        assert f"solc-v{ape['version']}" in (ROOT / "scripts" / "setup.sh").read_text()
