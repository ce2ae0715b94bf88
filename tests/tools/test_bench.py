"""The bench: ratios compare the named sides, and a run gives the file and the exit codes that it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench.figures import BenchError, Figure
from tools.bench.measure import ratio


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
    assert Figure("a", "a", 70.0, target=70.0).met is True
    assert Figure("a", "a", 69.9, target=70.0).met is False
    assert Figure("a", "a", None, target=70.0).met is False
    assert Figure("a", "a", 1.0).met is None


def test_import__loads_neither_numpy_nor_torch() -> None:
    """Their threads are set by the environment, which `settle` changes before they are loaded."""
    code = "import sys, tools.bench.__main__; sys.exit(bool({'numpy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_learning__counts_the_steps_of_all_environments() -> None:
    from agent.training.preset import load_preset
    from tools.bench.training import learning, of_preset

    model = of_preset(load_preset("quick"))
    assert learning(model, rollouts=2)() == 2 * 128 * 16
    assert model.num_timesteps == 3 * 128 * 16  # one before, which is not timed


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

    def run(*arguments: str) -> int:
        command = ["--only", "environment", "--out", str(tmp_path / "bench.json"), *arguments]
        return CliRunner().invoke(bench.cli, command).exit_code

    monkeypatch.setattr(bench.measure, "settle", lambda: False)
    monkeypatch.setattr(environment, "environment", lambda *_: [Figure("slow", "slow", 1.0, target=2.0)])
    assert (run(), run("--check")) == (0, 1)
    monkeypatch.setattr(environment, "environment", lambda *_: [Figure("fast", "fast", 2.0, target=2.0)])
    assert run("--check") == 0

    def broken(*_: object) -> list[Figure]:
        raise BenchError("no clock")

    monkeypatch.setattr(environment, "environment", broken)
    assert run() == 1
    assert "no clock" in (tmp_path / "bench.json").read_text(encoding="utf-8")
