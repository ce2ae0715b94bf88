"""The demo as a user runs it: one short good run, and the ways it can go wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.data import unpack

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("--days", "60", "--train-seconds", "5")


def start(*args: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scripts.demo", *map(str, args)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(*args: str | Path) -> tuple[int, str]:
    process = start(*args)
    output, _ = process.communicate(timeout=400)
    return process.returncode, output


def children(pid: int) -> list[int]:
    """Process ids of the direct children, from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(what: str, condition: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {seconds:.0f} s")


def write_series(path: Path, days: int = 100) -> list[str]:
    first = date(2024, 1, 1)
    lines = ["date,a,b,c"]
    for day in range(days):
        wave = 0.01 * (day % 7) / 7
        lines.append(f"{first + timedelta(days=day)},{0.03 + wave},{0.04 - wave},{0.035}")
    path.write_text("\n".join(lines) + "\n")
    return lines


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out"
    for _ in range(2):  # twice in a row, the second over the first
        code, output = run(*SHORT, "--out", out)
        assert code == 0, output
    return out


def test_demo__good_run__every_wall_held(good: Path) -> None:
    summary = json.loads((good / "summary.json").read_text())
    assert summary["days"] == 60
    assert summary["rebalances_mined"] >= 20
    assert summary["rebalances_failed"] == 0
    assert summary["cap_violations"] == 0
    assert summary["nav_end_before_stress"] > summary["nav_start"]
    assert summary["kill_switch_tripped"] is True
    assert summary["rebalance_after_trip_reverted"] is True
    assert summary["keeper_refused_after_trip"] is True
    assert summary["depositors_repaid_share"] == pytest.approx(1.0, abs=1e-6)
    assert 0 <= summary["parity_max_rel_error"] <= 1e-9
    assert summary["rate_tracking_max_error"] <= 1e-4


def test_demo__good_run__leaves_days_picture_policy_and_the_former_run(good: Path) -> None:
    rows = (good / "days.csv").read_text().splitlines()
    assert len(rows) == 1 + 60 + 1
    outcomes = ("no-trade:", "mined:", "heartbeat:")
    assert all(any(outcome in row for outcome in outcomes) for row in rows[1:-1])
    assert (good / "picture.png").stat().st_size > 50_000
    assert (good / "policy.npz").exists()
    assert (good.with_name("out.previous") / "summary.json").exists()


def test_demo__history__is_followed(tmp_path: Path) -> None:
    history = unpack(tmp_path) / "compound_v2_daily.csv"
    code, output = run(*SHORT, "--data", history, "--start", "2021-05-01", "--out", tmp_path / "out")
    assert code == 0, output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["first_day"] == "2021-05-01"
    assert summary["data_source"].startswith("compound_v2_daily.csv")
    assert summary["rate_tracking_max_error"] <= 1e-4


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda lines: lines[1:], "first column must be 'date'"),
        (lambda lines: [line.rsplit(",", 2)[0] for line in lines], "rate columns"),
        (lambda lines: lines[:50] + lines[51:], "missing after 2024-02-18"),
        (lambda lines: [*lines[:30], lines[30].rsplit(",", 1)[0] + ",nan", *lines[31:]], "line 31"),
        (lambda lines: lines[:40], "are needed"),
        (lambda lines: [], "holds no data"),
    ],
    ids=["no header", "too few columns", "gap", "nan", "too short", "empty"],
)
def test_demo__bad_series__one_clear_line(tmp_path: Path, spoil: object, expected: str) -> None:
    path = tmp_path / "series.csv"
    lines = write_series(path)
    path.write_text("\n".join(spoil(lines)) + "\n")  # type: ignore[operator]
    code, output = run("--data", path, "--out", tmp_path / "out")
    assert code == 1
    assert expected in output
    assert "Traceback" not in output
    assert not (tmp_path / "out").exists()


def test_demo__missing_file__one_clear_line(tmp_path: Path) -> None:
    code, output = run("--data", tmp_path / "none.csv", "--out", tmp_path / "out")
    assert code == 1
    assert "none.csv" in output
    assert "Traceback" not in output


def test_demo__busy_port__names_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, output = run("--port", str(port), "--out", tmp_path / "out")
    assert code == 1
    assert str(port) in output
    assert "--port" in output
    assert "Traceback" not in output


@pytest.fixture
def replaying(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """A demo in the middle of its days, with its Anvil's process id."""
    out = tmp_path / "out"
    process = start("--days", "200", "--train-seconds", "2", "--out", out)
    days = out / "days.csv"

    def fifth_day() -> bool:
        assert process.poll() is None, process.communicate()[0]
        return days.exists() and len(days.read_text().splitlines()) > 5

    wait_for("the fifth day", fifth_day, 120)
    (anvil,) = children(process.pid)
    yield process, anvil, out
    process.kill()


def test_demo__anvil_dies__says_so_and_keeps_the_days(replaying: tuple[subprocess.Popen[str], int, Path]) -> None:
    process, anvil, out = replaying
    os.kill(anvil, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Anvil has ended in the middle of the demo" in output
    assert str(out / "days.csv") in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo__interrupted__leaves_no_process(
    replaying: tuple[subprocess.Popen[str], int, Path], number: signal.Signals
) -> None:
    process, anvil, _ = replaying
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in output
    wait_for("the end of Anvil", lambda: not alive(anvil), 10)
