"""docs/operate.md on a fork: its commands are run as they stand, by bash, cast and the keeper itself."""

import re
import tomllib
from datetime import date, timedelta
from pathlib import Path

import ape
import pytest

from agent.vault.limits import Limit
from keeper.chain.abi import lens_code
from keeper.config import build_config
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import ROOT, load_contract
from scripts.protocols.chain import Chain, Unlocked
from tests.fork.document import WAD, Document, Scene
from tests.fork.upstream import Upstream, at

DOCUMENT = Document.read("operate.md")
LENS = "0x000000000000000000000000000000000000bEE5"
HISTORY_DAYS = 60


class Operation(Scene):
    """The vault on the fork, and a keeper of our own in the test's folder."""

    def configure(self, **values: str | float) -> None:
        """Edit keeper.toml as the operator does."""
        path = self.folder / "keeper.toml"
        text = path.read_text()
        for key, value in values.items():
            shown = f'"{value}"' if isinstance(value, str) else str(value)
            text, found = re.subn(rf"^(?:# )?{key} = .*", f"{key} = {shown}", text, flags=re.MULTILINE)
            assert found == 1, f"keeper.toml has no {key}"
        path.write_text(text.replace('deployment = "deployments/31337.json"', ""))

    def take_over(self) -> None:
        """Follow the first section and have governance appoint the new keeper."""
        self.follow("Set the keeper up")
        rpc(self.w3, "anvil_setCode", LENS, lens_code())
        self.configure(
            rpc_url=ape.chain.provider.uri,
            chain_id=self.state.snapshot.chain_id,
            vault=self.vault.address,
            lens=LENS,
            policy="greedy",
            keystore="keeper.keystore.json",
            max_block_age_seconds=1e9,  # the fork's clock runs ahead, as it skips governance's delay
        )
        call = self.shell('cast calldata "setKeeper(address)" $KEEPER_ADDRESS').strip()
        self.shell(f'cast send $AS_GOVERNANCE $MANAGER "schedule(address,bytes,uint48)" $VAULT {call} 0')
        self.warp(self.state.notice("setKeeper") or 0)
        self.shell(f'cast send $AS_GOVERNANCE $MANAGER "execute(address,bytes)" $VAULT {call}')

    def write_policy(self, strategies: int) -> str:
        """Write `new.npz`, a rule fitted to a made-up history, and return its digest."""
        lines = [",".join(["date", *(f"market-{index}" for index in range(strategies))])]
        for row in range(HISTORY_DAYS):
            rates = [f"{0.03 + 0.002 * ((row * (index + 2)) % 7):.4f}" for index in range(strategies)]
            lines.append(",".join([(date(2024, 1, 1) + timedelta(row)).isoformat(), *rates]))
        (self.folder / "history.csv").write_text("\n".join(lines) + "\n")
        said = self.shell("agent export best-trailing --data history.csv --out new.npz")
        return str(re.findall(r"digest  (0x[0-9a-f]{64})", said)[0])


@pytest.fixture
def operation(upstream: Upstream, tmp_path: Path) -> Operation:
    made = Operation.open(DOCUMENT, tmp_path, upstream)
    made.variables["BULKHEAD_KEYSTORE_PASSWORD"] = "a password of the test"
    made.deposit()
    made.take_over()
    return made


def test_document__every_section_with_commands__has_a_test() -> None:
    assert DOCUMENT.untested(__file__) == []


def test_document__what_is_to_be_set__is_a_configuration_of_the_keeper(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "operate.md").read_text()
    first, prices, quotes, costs = (
        tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    )
    address = "0x" + "11" * 20
    first = {key: value for key, value in first.items() if key != "deployment"} | {"vault": address, "lens": address}
    config = build_config({**first, **costs, **quotes}, tmp_path)
    assert config.quotes["meth_peg"].divided_by is not None
    assert config.native_price == 3000
    assert next(iter(config.costs.values())).entry == 0.0005
    del first["native_price"]
    config = build_config({**first, **prices}, tmp_path)
    assert config.prices is not None
    assert config.prices.agreement.least == 2


def test_set_up_and_run(operation: Operation) -> None:
    assert operation.vault.keeper() == operation.variables["KEEPER_ADDRESS"]
    epoch = operation.vault.epoch()
    operation.follow("Run the keeper")
    state = operation.inspect()
    assert state.snapshot.epoch == epoch + 1
    assert sum(strategy.assets for strategy in state.snapshot.strategies) > 0.9 * state.snapshot.nav


def test_change_policy(operation: Operation) -> None:
    digest = operation.write_policy(len(operation.state.snapshot.strategies))
    operation.follow("Change the policy")
    assert operation.inspect().snapshot.policy_hash == digest
    operation.shell("keeper once --live")
    assert operation.inspect().snapshot.epoch == operation.state.snapshot.epoch + 1


def test_add_strategy(operation: Operation) -> None:
    governance = Chain(operation.w3, Unlocked(operation.w3, operation.variables["GOVERNANCE"]))
    pool = at("AaveV3Strategy", operation.variables["STRATEGY"]).POOL()
    made = governance.deploy(
        load_contract("AaveV3Strategy"), pool, operation.state.snapshot.asset, "Bulkhead on aave-d", "bh-d"
    )
    count = len(operation.state.snapshot.strategies) + 1
    operation.variables["NEW_STRATEGY"] = made.address
    operation.variables["NEW_POLICY"] = operation.write_policy(count)
    operation.follow("Add a strategy")
    last = operation.inspect().snapshot.strategies[-1]
    assert (last.target, last.relative_cap, last.absolute_cap) == (made.address, 3 * WAD // 10, 10**12)
    operation.configure(policy="new.npz")
    operation.shell("keeper once --live")
    assert operation.inspect().snapshot.epoch == operation.state.snapshot.epoch + 1


def test_take_out_strategy(operation: Operation) -> None:
    operation.shell("keeper once --live")
    operation.warp(operation.state.snapshot.limits.cooldown)
    richest = max(operation.inspect().snapshot.strategies, key=lambda strategy: strategy.assets)
    operation.variables["STRATEGY"] = richest.target
    operation.follow("Take a strategy out")
    assert richest.target not in [strategy.target for strategy in operation.inspect().snapshot.strategies]


def test_rotate_key(operation: Operation) -> None:
    before = operation.vault.keeper()
    operation.follow("Rotate the keeper's key")
    assert operation.vault.keeper() == operation.variables["NEW_KEEPER"] != before
    assert operation.inspect().snapshot.epoch == operation.state.snapshot.epoch + 1


def test_change_limit(operation: Operation) -> None:
    operation.follow("Change a limit")
    assert operation.inspect().snapshot.limits.of(Limit.COOLDOWN) == 5400
