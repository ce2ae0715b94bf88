"""The keeper over the five venues of `DefiYield-v0`, while outsiders move the world; a policy of that environment."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.market.defi import DefiMarket
from agent.observation.observe import DEFI, vector_names, vector_size
from agent.policies.files import save_policy
from agent.units import HOUR
from keeper.cycle import CycleResult, Keeper
from scripts.deployment.plan import venues_of
from scripts.deployment.tables import defi_tables
from scripts.errors import ScriptError
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC_UNIT
from scripts.protocols.devnet import Devnet, with_defi
from scripts.protocols.outsiders import VENUES, Outsiders, Row, rows_of
from tests.ape.steered import Steered, snapshot_of

CALM = Row(2_000.0, 60_000.0, 1.0, 1.0, 1.0, (0.10, 0.02, 0.03, 0.015, 0.04), 1.0)
ENTRIES = {"uniswap-eth-usdc": 0.0005, "compound-dai": 0.0002, "aave-usdt": 0.0002, "stable-pool": 0.0005}
"""What entering a venue costs about, and leaving it too."""


@pytest.fixture(scope="module")
def land(devnet: Devnet) -> Devnet:
    """The devnet with the venues."""
    return with_defi(devnet)


def steered_on(land: Devnet, policy: str, folder: Path) -> tuple[Steered, dict[str, Any]]:
    """Return a vault over the five, and what its keeper's configuration has besides the usual."""
    found = venues_of(land)
    steered = Steered(land, {name: found[name] for name in VENUES}, policy, folder, cap=0.6)
    strategies = dict(zip(VENUES, steered.house.strategies, strict=True))
    costs = {strategies[name].address: {"entry": cost, "exit": cost} for name, cost in ENTRIES.items()}
    return steered, {**defi_tables(land, strategies), "native_price": None, "costs": costs}


def test_keeper__equal_weight__enters_all_five_and_depositors_leave(land: Devnet, tmp_path: Path) -> None:
    outsiders = Outsiders(land)
    steered, tables = steered_on(land, "equal-weight", tmp_path)
    for seconds in (300, HOUR):
        outsiders.step(CALM, seconds)
    done = steered.cycle(**tables)
    assert done.outcome == "mined", done.reason
    assert steered.weights() == pytest.approx([0.98 / 5] * 5, abs=0.005)
    nav = snapshot_of(steered.house).nav / USDC_UNIT
    assert nav == pytest.approx(100_000 * (1 - 0.98 / 5 * (0.01 + 3 * 0.002)), rel=5e-4)  # a bid
    outsiders.step(CALM, HOUR)
    again = steered.cycle(**tables)
    assert again.outcome == "no-trade", again.reason

    # One market is lent out and a coin loses its peg: the keeper puts nothing more into either.
    outsiders.step(replace(CALM, dai=0.97, full=(False, True, False)), HOUR)
    before = steered.weights()
    after = steered.cycle(**tables)
    assert after.succeeded, after.reason
    for name in ("aave-usdt", "stable-pool"):
        assert steered.weights()[VENUES.index(name)] <= before[VENUES.index(name)] + 1e-3
    outsiders.step(CALM, HOUR)
    assert steered.house.redeem_all("alice") / USDC_UNIT == pytest.approx(nav, rel=3e-3)


def test_tables__of_another_devnet__are_refused(devnet: Devnet) -> None:
    with pytest.raises(ScriptError, match="--preset defi"):
        defi_tables(devnet, {})


# --- a policy of the environment ---------------------------------------------------------------------------------


def policy_of(folder: Path) -> str:
    """Return a network that sees everything and wants something else for every observation."""
    rng, count = np.random.default_rng(4), len(VENUES)
    layers = [(rng.normal(0, 0.4, (vector_size(count, DEFI), count)).astype(np.float32), np.zeros(count, np.float32))]
    path = folder / "policy.npz"
    save_policy(path, layers, {"name": "ppo", "strategies": list(VENUES)}, version=DEFI)
    return str(path)


@contextmanager
def undone(land: Devnet) -> Iterator[None]:
    """Undo what happens on the chain, whose clock ticks by blocks meanwhile, and not by the time that a test takes."""
    before = rpc(land.w3, "evm_snapshot")
    rpc(land.w3, "anvil_setBlockTimestampInterval", 1)
    try:
        yield
    finally:
        rpc(land.w3, "anvil_removeBlockTimestampInterval")
        assert rpc(land.w3, "evm_revert", before)


def observed(keeper: Keeper) -> dict[str, float]:
    """Return what the policy was shown in the last cycle."""
    vector = json.loads(keeper.journal.recent_cycles(1)[0]["decision"])["observation"]
    return dict(zip(vector_names(list(VENUES), DEFI), vector, strict=True))


def told(result: CycleResult) -> tuple[Any, ...]:
    return (result.outcome, result.reason, result.target, result.request, result.nav, result.transaction_hash)


def test_keeper__restarted_in_the_middle__decides_as_one_that_runs_on(land: Devnet, tmp_path: Path) -> None:
    steered, tables = steered_on(land, policy_of(tmp_path), tmp_path)
    rows = rows_of(DefiMarket().sample(np.random.default_rng(12), 1, 5))
    seen: dict[str, list[dict[str, float]]] = {"running": [], "restarted": []}
    results: dict[str, list[tuple[Any, ...]]] = {"running": [], "restarted": []}

    with undone(land), steered.keeper(**tables, journal=str(tmp_path / "running.sqlite")) as keeper:
        outsiders = Outsiders(land)
        for row in rows:
            outsiders.step(row, HOUR)
            results["running"].append(told(keeper.cycle(live=True)))
            seen["running"].append(observed(keeper))
    with undone(land):
        outsiders = Outsiders(land)
        for row in rows:
            outsiders.step(row, HOUR)
            with steered.keeper(**tables, journal=str(tmp_path / "restarted.sqlite")) as keeper:
                results["restarted"].append(told(keeper.cycle(live=True)))
                seen["restarted"].append(observed(keeper))

    assert results["running"] == results["restarted"]
    assert seen["running"] == seen["restarted"]
    assert [outcome for outcome, *_ in results["running"]].count("mined") >= 3, results["running"]
    last, row = seen["running"][-1], rows[-1]
    assert last["eth_volatility"] != seen["running"][0]["eth_volatility"]
    assert last["dai_peg"] == pytest.approx(50 * (row.dai - 1), abs=1e-5)
    assert last["rate compound-dai"] == pytest.approx(row.rates[1] / 0.1, rel=1e-3)
    assert last["rate stable-pool"] == pytest.approx(row.rates[3] / 0.1, rel=1e-3)
