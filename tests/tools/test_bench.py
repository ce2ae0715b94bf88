"""The bench: ratios are of what they say, and a short run of one part gives the file and the exit codes it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench.measure import ratio
from tools.bench.part import Figure


def test_ratio__turns_change_sides_and_the_median_counts() -> None:
    now, order = 0.0, []
    costs = {"fast": iter([1.0, 1.0, 9.0]), "slow": iter([4.0, 5.0, 6.0])}

    def side(name: str, units: float) -> float:
        nonlocal now
        order.append(name)
        now += next(costs[name])
        return units

    measured = ratio(lambda: side("fast", 2.0), lambda: side("slow", 1.0), 3, lambda: now)
    assert order == ["fast", "slow", "slow", "fast", "fast", "slow"]
    assert measured.value == pytest.approx(8.0)  # of 8, 10 and 12 / 9
    assert (measured.low, measured.high) == (pytest.approx(12 / 9), pytest.approx(10.0))
    assert (measured.fast, measured.slow) == (pytest.approx(2.0), pytest.approx(0.2))


def test_figure__target_or_none__met_missed_or_neither() -> None:
    assert Figure("a", "a", 70.0, least=70.0).met is True
    assert Figure("a", "a", 69.9, least=70.0).met is False
    assert Figure("a", "a", None, least=70.0).met is False
    assert Figure("a", "a", 1.0).met is None


def test_import__loads_neither_numpy_nor_torch() -> None:
    """Their threads are set by the environment, which `settle` changes before they are loaded."""
    code = "import sys, tools.bench; sys.exit(bool({'numpy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_operations__by_hand() -> None:
    from tools.bench.ceiling import operations

    # one net 2-3-1: forward 2 (6 + 3) = 18; weights again 18; inputs of the second layer 6
    assert operations([[(2, 3), (3, 1)]], epochs=5) == 5 * (18 + 18 + 6) + 18


@pytest.mark.slow
def test_bench__one_part_quick__file_and_exit_codes(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tools.bench", "--quick", "--only", "export", "--json", "--out", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    written = json.loads(out.read_text(encoding="utf-8"))
    assert json.loads(ended.stdout) == written
    assert written["targets"] == {"export": 30.0}
    assert written["figures"]["export"] > 3  # an interpreter is slower than that only if something is wrong
    assert written["figures"]["export_difference"] < 1e-6
    entry = written["measured"]["export"]
    assert entry["low"] <= entry["value"] <= entry["high"]
    assert entry["clock"] == "processor time"
    assert entry["met"] is (entry["value"] >= 30.0)
    assert written["missed"] == ([] if entry["met"] else ["export"])
    assert written["parts"]["export"]["error"] is None
    assert {"cpu", "cores", "torch", "numpy", "load_before", "load_after", "plan"} <= set(written["machine"])


def test_cli__missed_target__an_error_only_with_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from tools.bench import __main__ as bench
    from tools.bench import environment
    from tools.bench.part import BenchError

    def run(*arguments: str) -> int:
        command = ["--only", "environment", "--out", str(tmp_path / "bench.json"), *arguments]
        return CliRunner().invoke(bench.cli, command).exit_code

    monkeypatch.setattr(bench.machine, "settle", lambda: False)
    monkeypatch.setattr(environment, "environment", lambda *_: [Figure("slow", "slow", 1.0, least=2.0)])
    assert (run(), run("--check")) == (0, 1)
    monkeypatch.setattr(environment, "environment", lambda *_: [Figure("fast", "fast", 2.0, least=2.0)])
    assert run("--check") == 0

    def broken(*_: object) -> list[Figure]:
        raise BenchError("no clock")

    monkeypatch.setattr(environment, "environment", broken)
    assert run() == 1
    assert "no clock" in (tmp_path / "bench.json").read_text(encoding="utf-8")
