"""The gas check: a figure that differs from the committed snapshot fails, and nothing measured is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tools import gas
from tools.audit.part import BrokenReportError, ToolFailedError

COMMITTED = {"deposit to idle": "80000", "rebalance 1 to 1 of 2": "160000", "rebalance 1 to 1 of 16": "300000"}


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command in a repository with a committed snapshot; the gas tests write `text`, or fail for None."""
    snapshot = tmp_path / gas.SNAPSHOT
    snapshot.parent.mkdir()
    snapshot.write_text(json.dumps(COMMITTED), encoding="utf-8")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "snapshot"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(gas, "ROOT", tmp_path)

    def run(text: str | None, *arguments: str) -> Result:
        def forge(command: Sequence[str], **_: object) -> None:
            assert not snapshot.exists()  # else an old one would pass for the new one
            if text is None:
                raise ToolFailedError("`forge test` ended with 1")
            snapshot.write_text(text, encoding="utf-8")

        monkeypatch.setattr(gas, "run", forge)
        return CliRunner().invoke(gas.cli, arguments)

    return run


def test_gas__as_committed__passes_the_check(measure: Callable[..., Result]) -> None:
    ended = measure(json.dumps(COMMITTED), "--check")
    assert ended.exit_code == 0, ended.output
    assert "10,000" in ended.output  # each further strategy: (300,000 - 160,000) / 14


@pytest.mark.parametrize("changes", [{"deposit to idle": "80001"}, {"deposit to idle": "79999"}, {"new": "1"}])
def test_gas__another_figure__shown_and_an_error_only_with_check(
    changes: dict[str, str], measure: Callable[..., Result]
) -> None:
    text = json.dumps({**COMMITTED, **changes})
    assert measure(text).exit_code == 0
    ended = measure(text, "--check")
    assert ended.exit_code == 1
    assert "differs from the committed snapshot" in ended.output


def test_gas__an_operation_left_out__fails_the_check(measure: Callable[..., Result]) -> None:
    assert measure('{"deposit to idle": "80000"}', "--check").exit_code == 1


@pytest.mark.parametrize("text", [None, "", "{}", '{"deposit to idle": "many"}'])
def test_gas__tests_fail_or_measure_nothing__refused_and_the_snapshot_stays(
    text: str | None, measure: Callable[..., Result], tmp_path: Path
) -> None:
    ended = measure(text)
    assert ended.exit_code == 1
    assert json.loads((tmp_path / gas.SNAPSHOT).read_text(encoding="utf-8")) == COMMITTED


def test_figures__no_operation__refused() -> None:
    with pytest.raises(BrokenReportError, match="measured nothing"):
        gas.figures("{}")


def test_committed__no_such_file__nothing(measure: Callable[..., Result]) -> None:
    assert gas.committed(Path("snapshots/other.json")) == {}
