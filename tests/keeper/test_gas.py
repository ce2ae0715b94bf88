"""The gas of a transaction: within what the chain takes, where the protocol bounds it and where only the block does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keeper.chain.transaction import MAX_TRANSACTION_GAS
from scripts.protocols.anvil import Anvil, connect
from tests.keeper.harness import KEEPER, PASSWORD, UNIT, World, deploy_world, write_keystore, write_secret

pytestmark = pytest.mark.chain

BURNER = "0x000000000000000000000000000000000000bEEF"
GAS_OF_A_TURN = 26


@pytest.fixture(scope="module")
def bounded() -> Iterator[World]:
    """A vault on a chain whose transactions may use 2^24 of gas, as Ethereum's since Osaka."""
    with Anvil(options=["--enable-tx-gas-limit"]) as anvil:
        yield deploy_world(connect(anvil.url), anvil.url)


@pytest.fixture
def hungry(bounded: World, tmp_path: Path) -> Iterator[World]:
    """The vault, with a folder for its keeper; the chain is as before afterwards."""
    snapshot = bounded.rpc("evm_snapshot")
    bounded.folder = tmp_path
    write_keystore(tmp_path / "keystore.json", KEEPER.key)
    write_secret(tmp_path / "password", PASSWORD)
    yield bounded
    bounded.close()
    bounded.rpc("evm_revert", snapshot)


def eat(world: World, gas: int) -> None:
    """Let a deposit into the first strategy use this much gas more: a loop at an address that the strategy calls."""
    turns = (gas // GAS_OF_A_TURN).to_bytes(3, "big").hex()
    world.rpc("anvil_setCode", BURNER, f"0x62{turns}5b6001900380600457" + "00")
    world.do(world.strategies[0].functions.setCallback(BURNER, b""))


def test_gas__margin_would_be_over_what_a_transaction_may_use__is_clipped_and_mined(hungry: World) -> None:
    eat(hungry, 14_000_000)
    result = hungry.keeper().cycle(live=True)
    assert result.outcome == "mined", result.reason
    assert result.gas_used is not None
    assert 1.25 * result.gas_used > MAX_TRANSACTION_GAS
    assert hungry.w3.eth.get_transaction(result.transaction_hash)["gas"] == MAX_TRANSACTION_GAS


def test_gas__more_than_a_transaction_may_use__refused_and_nothing_sent(hungry: World) -> None:
    eat(hungry, 20_000_000)
    for live in (False, True):
        result = hungry.keeper().cycle(live=live)
        assert result.outcome == "refused"
        assert "the simulation reverted" in result.reason
    assert hungry.nonce() == 0


def test_gas__chain_without_such_a_bound__only_the_block_bounds_it(world: World) -> None:
    eat(world, 20_000_000)
    assert world.keeper().cycle(live=True).outcome == "refused"
    result = world.keeper(max_transaction_gas=0).cycle(live=True)
    assert result.outcome == "mined", result.reason
    assert result.gas_used is not None
    assert result.gas_used > MAX_TRANSACTION_GAS
    assert sum(world.weights) == pytest.approx(0.98, abs=1e-4)
    assert result.nav == 1_000_000 * UNIT
