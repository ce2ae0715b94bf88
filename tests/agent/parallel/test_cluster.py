"""Tasks and commands on a real Ray cluster: a head without CPUs and two machines of one CPU each.

The nodes are started in a folder of their own, as other machines know nothing of the one in which a command is typed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.market.lending import sample_rates, shipped_market
from agent.parallel.tasks import TaskResult, run_tasks, values
from tests.agent.parallel.chores import Chore, do, threads
from tests.agent.tiny import tiny_preset

pytest.importorskip("ray")

_QUICK_TO_NOTICE = {  # that a machine is gone; a loaded test machine must not seem gone
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}


@dataclass
class Cluster:
    """Nodes as processes of their own sessions; each has an address of its own, as machines have."""

    folder: Path
    port: int
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *options: str) -> Path:
        """Start a node and return its log."""
        log = self.folder / f"node-{len(self.nodes)}.log"
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats"]
        with log.open("wb") as output:
            self.nodes.append(
                subprocess.Popen(
                    [*command, "--object-store-memory=80000000", *options],
                    env={**os.environ, **_QUICK_TO_NOTICE, "PYTHONPATH": str(Path(__file__).parents[3])},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    cwd=self.folder,
                )
            )
        return log

    def sessions(self) -> list[int]:
        """Return the processes that still run of all nodes."""
        leaders = {node.pid for node in self.nodes}
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) in leaders and state != "Z":
                found.append(int(stat.parent.name))
        return found

    def kill(self, *which: subprocess.Popen[bytes]) -> None:
        for node in which or self.nodes:
            node.kill()
            node.wait()

    def stop(self) -> None:
        self.kill()
        ends = time.monotonic() + 20
        while (left := self.sessions()) and time.monotonic() < ends:  # the nodes' helpers, and what they just started
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def _started(log: Path) -> None:
    ends = time.monotonic() + 60
    while "Ray runtime started" not in log.read_text():
        assert time.monotonic() < ends, log.read_text()
        time.sleep(0.05)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: Ray keeps sockets in it
    made = Cluster(folder, port)
    try:
        _started(
            made.start("--head", "--num-cpus=0", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}")
        )
        ips = ("127.0.0.2", "127.0.0.3")
        options = ("--num-cpus=1", f"--address={made.address}")
        for ip in ips:  # one after the other: nodes of one machine that start together take each other's ports
            _started(made.start(*options, f"--node-ip-address={ip}"))
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert not made.sessions()


@pytest.mark.slow
def test_ray__a_machine_and_a_worker_are_killed__all_results_come_back(cluster: Cluster, tmp_path: Path) -> None:
    kinds = ["slow"] * 14
    kinds[3], kinds[5], kinds[6] = "die-once", "user-error", "bug"
    chores = [Chore(index, kind, str(tmp_path)) for index, kind in enumerate(kinds)]
    came: list[int] = []

    def kill_one(result: TaskResult[int]) -> None:
        came.append(result.index)
        if len(came) == 2:
            cluster.kill(cluster.nodes[1])

    results = run_tasks(do, chores, ray=cluster.address, on_result=kill_one)
    assert cluster.nodes[1].returncode == -signal.SIGKILL
    assert sorted(came) == list(range(14))
    failed = {5, 6}
    assert [result.value for result in results] == [None if i in failed else i**2 for i in range(14)]
    assert results[5].error == "no preset number 5"
    assert not results[5].details
    assert results[6].error == "ZeroDivisionError: number 6"
    assert (tmp_path / "begun-3").exists()

    assert values(run_tasks(threads, chores[:2], ray=cluster.address, workers=1))[0][0] == "1"


def _agent(folder: Path, *arguments: str, fails: bool = False) -> Any:
    """Run a command in a folder, as typed there, and return what it prints."""
    command = [str(Path(sys.executable).with_name("agent")), *arguments, "--quiet", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == (1 if fails else 0), done.stderr
    return done.stderr if fails else json.loads(done.stdout)


@pytest.mark.slow
def test_commands__with_ray_and_relative_paths__give_what_they_give_here(cluster: Cluster, tmp_path: Path) -> None:
    rates = sample_rates(shipped_market().model, np.random.default_rng(5), 1, 190)[0]
    lines = [f"{date(2025, 1, 1) + timedelta(i)},{','.join(f'{r:.6f}' for r in row)}" for i, row in enumerate(rates)]
    (tmp_path / "history.csv").write_text("\n".join(["date,one,two,three", *lines]) + "\n")
    (tmp_path / "tiny.toml").write_text(tiny_preset(seconds=600, steps=1024))
    ray = ("--ray", cluster.address)
    walk = ["walk-forward", "history.csv", "--preset", "tiny.toml", "--folds", "1", "--first-test", "150"]
    walk += ["--seeds", "2", "--seconds", "600"]
    there = _agent(tmp_path, *walk, "--out", "there", *ray)
    here = _agent(tmp_path, *walk, "--out", "here", "--workers", "2")
    assert there == here
    assert len(there["about"]["policies"]) == 2
    assert (tmp_path / "there" / "scores").is_dir()

    search = ["sweep", "--preset", "tiny.toml", "--trials", "2"]
    swept = [
        _agent(tmp_path, *search, "--storage", f"sqlite:///{name}.db", "--out", f"{name}.toml", *more)
        for name, more in (("ray", (*ray, "--workers", "1")), ("local", ("--workers", "1")))
    ]
    assert swept[0]["trials"] == swept[1]["trials"]
    assert (tmp_path / "ray.toml").read_text() == (tmp_path / "local.toml").read_text()

    left = sorted(file.name for file in cluster.folder.rglob("*") if file.suffix in (".npz", ".toml", ".db"))
    assert not left  # workers have written nothing where they were started
    wrong = _agent(tmp_path, *walk, "--out", "nowhere", "--ray", "127.0.0.1:9", fails=True)
    assert "nothing answers at '127.0.0.1:9'" in wrong
