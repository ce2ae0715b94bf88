from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.errors import RayAddressError, RayMissingError, TasksError
from agent.parallel.processes import ATTEMPTS
from agent.parallel.tasks import TaskResult, run_tasks, values
from tests.agent.parallel.chores import Chore, do, not_plain, threads

REPOSITORY = Path(__file__).parents[3]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition: object, seconds: float = 20.0) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def test_run_tasks__failures_and_deaths__cost_only_themselves(tmp_path: Path) -> None:
    kinds = ["square", "user-error", "die-once", "bug", "die", "exit", "square", "square"]
    chores = [Chore(index, kind, str(tmp_path)) for index, kind in enumerate(kinds)]
    came: list[TaskResult[int]] = []
    results = run_tasks(do, chores, workers=2, describe=lambda chore: f"chore {chore.number}", on_result=came.append)
    assert [result.index for result in results] == list(range(8))
    assert [result.value for result in results] == [0, None, 4, None, None, None, 36, 49]
    assert [result.failed for result in results] == [False, True, False, True, True, True, False, False]
    assert sorted(came, key=lambda result: result.index) == results
    assert results[1].error == "no preset number 1"
    assert not results[1].details
    assert results[3].error == "ZeroDivisionError: number 3"
    assert "chores.py" in results[3].details  # the traceback says where
    assert (tmp_path / "begun-4").read_text() == "x" * ATTEMPTS
    assert f"died {ATTEMPTS} times" in results[4].error
    assert results[5].error == "SystemExit: 3"
    with pytest.raises(TasksError, match=r"4 of 8 tasks failed: chore 1: no preset number 1; .*Zero") as failure:
        values(results)
    assert "Traceback" in str(failure.value)
    assert values(results[6:]) == [36, 49]


def test_run_tasks__children__one_computing_thread_and_the_parent_unchanged() -> None:
    before = dict(os.environ)
    assert values(run_tasks(threads, [Chore(0)])) == [["1", "1"]]
    assert dict(os.environ) == before


def test_run_tasks__what_cannot_be_sent__is_an_error() -> None:
    with pytest.raises(TasksError, match="top level"):
        run_tasks(lambda chore: chore, [Chore(0)])
    with pytest.raises(TasksError, match="workers"):
        run_tasks(do, [Chore(0)], workers=0)
    for function, item in ((not_plain, Chore(0)), (do, lambda: 0)):
        first, second = run_tasks(function, [item, item], workers=1)  # type: ignore[arg-type]
        assert first.failed
        assert "pickle" in first.error
        assert second.error == first.error
    assert run_tasks(do, []) == []


def test_run_tasks__error_in_the_callback__ends_the_children(tmp_path: Path) -> None:
    def refuse(result: TaskResult[int]) -> None:
        raise OSError("disk full")

    chores = [Chore(0), Chore(1, "wait", str(tmp_path))]
    with pytest.raises(OSError, match="disk full"):
        run_tasks(do, chores, workers=2, on_result=refuse)
    begun = tmp_path / "begun-1"
    child = begun.read_text() if begun.exists() else ""  # killed before it wrote its number, it is gone as well
    assert not child or not _alive(int(child))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_run_tasks__parent_interrupted_or_killed__children_end(tmp_path: Path, how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("chores.py")), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background inherits it ignored
    )
    try:
        assert _until(lambda: len([file for file in tmp_path.iterdir() if file.read_text()]) == 2)
        children = [int(file.read_text()) for file in tmp_path.iterdir()]
        assert all(map(_alive, children))
        parent.send_signal(how)
        _, said = parent.communicate(timeout=20)
        assert _until(lambda: not any(map(_alive, children)))
        if how == signal.SIGINT:
            assert said.strip().endswith("KeyboardInterrupt")
            assert said.count("Traceback") == 1  # the parent's; children say nothing
        assert len(list(tmp_path.iterdir())) == 2  # nothing was begun anew
    finally:
        parent.kill()


def test_ray__not_installed__says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayMissingError, match=r"bulkhead\[ray\]"):
        run_tasks(do, [Chore(0)], ray="auto")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:99999999", "ray://127.0.0.1:1"])
def test_ray__address_does_not_answer__refused_at_once(address: str) -> None:
    pytest.importorskip("ray")
    begun = time.monotonic()
    with pytest.raises(RayAddressError, match="nothing answers"):
        run_tasks(do, [Chore(0)], ray=address)
    assert time.monotonic() - begun < 10
