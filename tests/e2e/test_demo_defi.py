"""The demo of five DeFi venues as a user runs it, cut short."""

import csv
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from scripts.demonstration.walls import named

ROOT = Path(__file__).resolve().parents[2]
VENUES = ["uniswap-eth-usdc", "compound-dai", "aave-usdt", "stable-pool", "yield-vault"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out"
    options = ("--preset", "defi", "--train-seconds", "1", "--steps", "12", "--seed", "2", "--out", str(out))
    command = [sys.executable, "-m", "scripts.demo", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_demo__defi__every_wall_held(good: Path) -> None:
    summary = json.loads((good / "summary.json").read_text())
    assert summary["preset"] == "defi"
    assert summary["venues"] == VENUES
    assert (summary["steps"], summary["step_seconds"]) == (12, 300)
    assert summary["rebalances_mined"] >= 1
    assert summary["rebalances_failed"] == 0
    assert summary["cap_violations"] == 0
    assert 0 <= summary["parity_max_rel_error"] <= 1e-9
    assert 0 < summary["loss_budget_used"] < 0.015
    assert summary["rate_tracking_max_error"] <= 1e-3
    assert summary["refused_by_liquidity"] >= 1, "nothing is put into a market that is lent out in full"
    assert summary["refused_by_price"] >= 1, "nobody enters a pool with a coin that has lost its peg"
    assert summary["attacks_accepted"] == 0
    assert summary["kill_switch_tripped"] is True
    assert summary["rebalance_after_trip_reverted"] is True
    assert summary["keeper_refused_after_trip"] is True
    assert "yield-vault" in summary["left_in_kind"], "its market has nothing to pay with"
    assert summary["depositors_repaid_share"] == pytest.approx(1.0, abs=1e-5)
    assert set(summary["returns"]) == {"PPO", "equal-weight", "hold", *VENUES, "mix"}


def test_demo__defi__leaves_a_row_per_step_and_a_picture(good: Path) -> None:
    with (good / "steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13
    assert (good / "picture.png").stat().st_size > 50_000
    spacing = {int(after["timestamp"]) - int(before["timestamp"]) for before, after in pairwise(rows)}
    assert all(abs(seconds - 300) <= 100 for seconds in spacing), spacing
    for venue in VENUES:
        assert all(int(row[f"prices_{venue}"]) > 0 for row in rows), f"{venue} has a price where nobody is in it"
        assert len({row[f"prices_{venue}"] for row in rows}) > 6, f"{venue} follows its venue"
    assert len({row["prices_uniswap-eth-usdc"] for row in rows}) == len(rows), "ETH moves every step"


def test_named__an_error_of_a_strategy__by_its_name_and_others_as_they_were() -> None:
    data = keccak(text="Depegged(uint256)")[:4].hex() + f"{850:064x}"
    assert (
        named(f"the simulation reverted: UnknownError(data=0x{data})") == "the simulation reverted: Depegged(price=850)"
    )
    for reason in ("UnknownError(data=0xdeadbeef)", "trade", "VaultHalted()"):
        assert named(reason) == reason
