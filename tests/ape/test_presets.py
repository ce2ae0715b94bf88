"""Presets of networks: every shipped one reads, and what it claims is compared with the chain before a plan is made."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from agent.vault.limits_file import LimitsFile
from keeper.chain.address import checked_address
from scripts.deployment.code import code_hash, implementation
from scripts.deployment.plan import make_plan
from scripts.deployment.preset import Preset, load_preset, preset_names
from scripts.deployment.venues import AaveV3, Existing
from scripts.errors import PlanRefusedError, PresetError
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import ROOT
from scripts.protocols.devnet import Devnet
from tests.ape.house import House

POLICY = "0x" + "ab" * 32


def _preset(house: House, **changes: Any) -> Preset:
    """Return a preset of the devnet: two markets, and a strategy of the vault as an ERC-4626 of its own."""
    markets = {name: market.pool.address for name, market in house.devnet.markets.items()}
    venues = {name: {"kind": "aave-v3", "asset": "usdc", "address": pool} for name, pool in markets.items()}
    venues["plain"] = {"kind": "erc-4626", "asset": "usdc", "address": house.strategies[2].address}
    data = {
        "name": "Devnet",
        "chain_id": 31337,
        "asset": "usdc",
        "source": "this test",
        "assets": {
            "usdc": {"address": house.usdc.address, "symbol": "USDC", "decimals": 6},
            "weth": {"address": house.devnet.weth.address, "symbol": "WETH", "decimals": 18},
        },
        "venues": venues,
        "refused": {"MI4": "only holders on the issuer's list may own it"},
    }
    return Preset.model_validate({**data, **changes})


@pytest.mark.parametrize("name", preset_names())
def test_shipped_presets__are_complete(name: str) -> None:
    preset = load_preset(name)
    assert preset.source
    asset = preset.resolve(None)
    assert checked_address(asset) == asset
    assert preset.venues_of(asset)["aave"].kind == "aave-v3"
    text = (ROOT / "scripts" / "networks" / f"{name}.toml").read_text()
    assert text.startswith("# ")


def test_presets__say_what_stays_out_and_why() -> None:
    mantle = load_preset("mantle")
    for name in ("MI4", "usdy"):
        with pytest.raises(PresetError, match="only holders on the issuer's list"):
            mantle.refuse(["aave", name])
    with pytest.raises(PresetError, match="its pool on Agni"):
        mantle.refuse(["meth"])
    mantle.refuse(["aave"])
    circle = load_preset("sepolia").resolve("usdc-circle")
    assert load_preset("sepolia").venues_of(circle) == {}  # Aave lends its own USDC there


def test_plan__with_a_preset__finds_venues_by_name(house: House) -> None:
    preset = _preset(house)
    asset = preset.resolve("usdc")
    preset.check(house.w3, asset)
    people = {role: house.devnet.accounts[role] for role in ("deployer", "keeper", "governance", "guardian")}
    strategies = [{"name": name, "relative_cap": 0.6} for name in ("aave-a", "plain")]
    limits = LimitsFile.model_validate(
        {"idle_floor": 0.02, "max_drawdown": 0.1, "max_growth_rate": 0.25, "strategies": strategies}
    )
    venues = preset.venues_of(asset)
    plan = make_plan(house.w3, limits, asset=asset, policy_hash=POLICY, **people, venues=venues)
    assert plan.strategies[0].venue == AaveV3(house.devnet.markets["aave-a"].pool.address)
    assert plan.strategies[1].venue == Existing(house.strategies[2].address)
    del venues["plain"]
    with pytest.raises(PlanRefusedError, match="plain: not in the address book, which has aave-a"):
        make_plan(house.w3, limits, asset=asset, policy_hash=POLICY, **people, venues=venues)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"chain_id": 5000}, "is for chain 5000, but the node serves chain 31337"),
        ({"assets": {"usdc": {"address": "0x" + "11" * 20, "symbol": "USDC", "decimals": 6}}}, "is no token"),
    ],
)
def test_check__another_chain_or_no_token__is_refused(house: House, changes: dict[str, Any], told: str) -> None:
    preset = _preset(house, **changes)
    with pytest.raises(PresetError, match=told):
        preset.check(house.w3, preset.resolve(None))


@pytest.mark.parametrize(("symbol", "decimals"), [("USDC", 18), ("USDT", 6)])
def test_check__another_token_than_it_says__is_refused(
    devnet: Devnet, house: House, symbol: str, decimals: int
) -> None:
    assets = {"usdc": {"address": devnet.usdc.address, "symbol": symbol, "decimals": decimals}}
    preset = _preset(house, assets=assets)
    with pytest.raises(PresetError, match="is USDC with 6 decimals on this chain"):
        preset.check(house.w3, preset.resolve(None))


def test_code__behind_a_proxy__is_the_implementations(house: House) -> None:
    market = house.devnet.markets["aave-a"]
    behind = implementation(house.w3, market.pool.address)
    assert behind != market.pool.address
    assert code_hash(house.w3, market.pool.address) == Web3.keccak(house.w3.eth.get_code(behind)).to_0x_hex()
    assert implementation(house.w3, house.usdc.address) == house.usdc.address


def _pinned(house: House, name: str, code: str) -> Preset:
    """Return the preset with the code of one contract pinned."""
    data = _preset(house).model_dump(mode="json", exclude_unset=True)
    data["feeds"] = {"usdc-usd": {"address": house.strategies[1].address, "heartbeat": 1, "lowest": 1, "highest": 2}}
    pool = house.devnet.uniswap.pool.address
    data["venues"]["eth"] = {"kind": "swap", "asset": "usdc", "address": pool, "max_cost": 0.01, "base": "usdc-usd"}
    data["venues"]["eth"]["inner"] = "plain"
    for table in ("assets", "venues", "feeds"):
        if name in data[table]:
            data[table][name]["code_hash"] = code
    return Preset.model_validate(data)


@pytest.mark.parametrize("name", ["usdc", "aave-a", "eth", "plain", "usdc-usd"])
def test_check__code_that_is_pinned__must_run_there(house: House, name: str) -> None:
    preset = _pinned(house, name, "0x" + "0" * 64)
    located = {**preset.assets, **preset.venues, **preset.feeds}[name]
    right = code_hash(house.w3, located.address)
    asset, used = preset.resolve(None), ["aave-a", "eth"]
    _pinned(house, name, right).check(house.w3, asset, used)
    with pytest.raises(PresetError, match=f"the code of {name} at {located.address} is {right} on this chain, not 0x0"):
        preset.check(house.w3, asset, used)
    if name != "usdc":
        preset.check(house.w3, asset, ["aave-b"])  # it is not used


def test_check__an_upgrade_behind_a_proxy__is_noticed(house: House) -> None:
    pool = house.devnet.markets["aave-a"].pool.address
    preset = _pinned(house, "aave-a", code_hash(house.w3, pool))
    preset.check(house.w3, preset.resolve(None), ["aave-a"])
    rpc(house.w3, "anvil_setCode", implementation(house.w3, pool), "0x00")
    with pytest.raises(PresetError, match="It was upgraded"):
        preset.check(house.w3, preset.resolve(None), ["aave-a"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("chain_id = 1", "assets: Field required"),
        ("chain_id = [", "Cannot read the preset"),
        ("colour = 1", "colour: unknown key"),
    ],
)
def test_damaged_preset__is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(PresetError, match=told):
        load_preset(str(path))


def test_unknown_preset_or_asset__names_the_known_ones() -> None:
    with pytest.raises(PresetError, match="Did you mean sepolia"):
        load_preset("sepolla")
    with pytest.raises(PresetError, match="use one of usdc, or an address"):
        load_preset("ethereum").resolve("usdd")


def test_command__preset_of_another_chain__sends_nothing(house: House) -> None:
    address = house.devnet.accounts
    people = [part for role in ("keeper", "governance", "guardian") for part in (f"--{role}", address[role])]
    command = [Path(sys.executable).with_name("ape"), "run", "deploy", "--network", "ethereum:local:foundry"]
    command += ["--account", "TEST::0", "--preset", "mantle", "--policy", "greedy", *people]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 1
    assert "The preset Mantle is for chain 5000, but the node serves chain 31337" in done.stderr
    assert "Traceback" not in done.stderr
