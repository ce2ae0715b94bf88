"""A vault over venues that a keeper of its own steers, and feeds that are kept fresh meanwhile."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.policies.load import load_policy
from agent.vault.limits_file import LimitsFile
from keeper.chain.signer import write_keystore
from keeper.config import build_config
from keeper.cycle import CycleResult, Keeper
from keeper.snapshot import Snapshot, read_snapshot
from scripts.deployment.execute import deploy_vault
from scripts.deployment.plan import plan_on
from scripts.deployment.prices import PriceFeed
from scripts.deployment.venues import Venue
from scripts.protocols.aave import ETH_PRICE
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC_UNIT, WETH_UNIT, load_contract
from scripts.protocols.chain import node_of
from scripts.protocols.devnet import Devnet
from tests.ape.house import House


def answer(devnet: Devnet, feed: str, price: float, age: int = 0) -> None:
    now = devnet.w3.eth.get_block("latest")["timestamp"]
    functions = devnet.chain.at(feed, load_contract("StandInFeed")).functions
    devnet.chain.send(functions.set(round(price * 10**8), now - age))


def limits_of(names: Sequence[str], cap: float = 0.98, loss: float = 0.02) -> LimitsFile:
    return LimitsFile.model_validate(
        {
            "idle_floor": 0.02,
            "max_drawdown": 0.1,
            "max_growth_rate": 0.5,
            "loss_budget": {"capacity": loss},
            "strategies": [{"name": name, "relative_cap": cap} for name in names],
        }
    )


def snapshot_of(house: House) -> Snapshot:
    """Read the vault as its keeper does. An inspection reads old blocks, which Anvil forgets where many are mined."""
    node = node_of(house.w3)
    return read_snapshot(node, lens=house.lens.address, vault=house.vault.address, max_block_age=1e12, clock=time.time)


class Steered:
    """A vault over venues with a keeper of its own, and 100,000 USDC in it."""

    def __init__(self, devnet: Devnet, venues: dict[str, Venue], policy: str, folder: Path, cap: float) -> None:
        self.devnet = devnet
        self.address = write_keystore(folder / "keystore.json", "secret")
        (folder / "password").touch(mode=0o600)
        (folder / "password").write_text("secret")
        rpc(devnet.w3, "anvil_setBalance", self.address, hex(WETH_UNIT))
        digest = load_policy(policy).digest
        plan = plan_on(devnet, limits_of(list(venues), cap), digest, venues=venues, seed=0, keeper=self.address)
        self.house = House(devnet, deploy_vault(devnet.chain, plan))
        self.house.deposit("alice", 100_000 * USDC_UNIT)
        self._raw = {
            "rpc_url": str(getattr(devnet.w3.provider, "endpoint_uri", "")),
            "chain_id": plan.chain_id,
            "vault": self.house.vault.address,
            "lens": self.house.lens.address,
            "policy": policy,
            "journal": str(folder / "journal.sqlite"),
            "keystore": str(folder / "keystore.json"),
            "password_file": str(folder / "password"),
            "native_price": float(ETH_PRICE),
        }
        self._folder = folder

    def keeper(self, **changes: Any) -> Keeper:
        """Start a keeper."""
        raw = {key: value for key, value in {**self._raw, **changes}.items() if value is not None}
        config = build_config(raw, self._folder)
        return Keeper(config, clock=lambda: float(self.devnet.w3.eth.get_block("latest")["timestamp"]))

    def cycle(self, **changes: Any) -> CycleResult:
        """Run a keeper that was just started through one cycle, live."""
        with self.keeper(**changes) as keeper:
            return keeper.cycle(live=True)

    def weights(self) -> list[float]:
        """Return the shares of NAV."""
        state = snapshot_of(self.house)
        return [strategy.assets / state.nav for strategy in state.strategies]


def pass_hours(devnet: Devnet, hours: int, feed: PriceFeed | None = None) -> None:
    rpc(devnet.w3, "anvil_mine", hex(hours * 60), hex(60))
    if feed is not None:
        answer(devnet, feed.aggregator, ETH_PRICE)
