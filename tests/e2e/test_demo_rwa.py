"""The demo of tokenised assets as a user runs it, cut short: a good run, and one in which a wall does not hold."""

import csv
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from scripts import demo
from scripts.demonstration.presets import rwa

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("--preset", "rwa", "--train-seconds", "1")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out"
    command = [sys.executable, "-m", "scripts.demo", *SHORT, "--steps", "26", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_demo__rwa__every_wall_held(good: Path) -> None:
    summary = json.loads((good / "summary.json").read_text())
    assert summary["preset"] == "rwa"
    assert summary["venues"] == ["usdy", "meth", "mi4"]
    assert (summary["steps"], summary["step_seconds"]) == (26, 3600)
    assert summary["rebalances_mined"] >= 1
    assert summary["rebalances_failed"] == 0
    assert summary["cap_violations"] == 0
    assert 0 <= summary["parity_max_rel_error"] <= 1e-9
    assert 0.005 < summary["loss_budget_used"] < 0.03, "going in costs NAV what leaving may cost at most, 1 %"
    assert summary["rate_tracking_max_error"] <= 1e-9, "pools follow the series"
    assert summary["refused_by_liquidity"] + summary["refused_by_price"] >= 2
    assert summary["attacks_accepted"] == 0
    assert summary["kill_switch_tripped"] is True
    assert summary["rebalance_after_trip_reverted"] is True
    assert summary["keeper_refused_after_trip"] is True
    assert list(summary["left_in_kind"]) == ["usdy"], "nobody sells at a lost peg"
    assert summary["depositors_repaid_share"] == pytest.approx(1.0, abs=1e-6)
    assert set(summary["returns"]) == {"PPO", "equal-weight", "hold", "usdy", "meth", "mi4", "mix"}
    assert summary["best_rule"] == "mix"


def test_demo__rwa__leaves_a_row_per_hour_and_a_picture(good: Path) -> None:
    with (good / "hours.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 27
    assert (good / "picture.png").stat().st_size > 50_000
    spacing = {int(after["timestamp"]) - int(before["timestamp"]) for before, after in pairwise(rows)}
    assert all(abs(seconds - 3600) <= 200 for seconds in spacing), spacing
    prices = [int(row["prices_meth"]) for row in rows]
    assert len(set(prices)) == len(rows), "ETH moves every hour"
    told = [float(row["rates_mi4"]) / float(row["rates_meth"]) for row in rows]
    assert all(0.1 < share < 0.3 for share in told), "the index earns what the staked part of it does"
    days = [int(row["prices_usdy"]) for row in rows]
    assert len(set(days)) == 2, "USDY's price grows once a day"


def test_demo__rwa__kill_switch_that_cannot_trip__exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rwa, "FALL", 1.0)  # nothing falls: there is nothing to trip on
    monkeypatch.setattr(rwa, "MOST_FALLS", 1)
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(demo.cli, [*SHORT, "--steps", "2", "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert "This must not happen: the kill-switch did not trip" in done.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["kill_switch_tripped"] is False


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--preset", "rwa", "--days", "90"), "give --steps for rwa"),
        (("--preset", "lending", "--steps", "90"), "give --days for lending"),
        (("--preset", "rwa", "--start", "2026-01-01"), "give --steps for rwa"),
        (("--preset", "nothing"), "Invalid value for '--preset'"),
    ],
)
def test_demo__options_of_another_preset__are_refused(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(demo.cli, [*options, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert told in done.output
    assert not (tmp_path / "out").exists()
