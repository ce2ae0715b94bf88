"""Tasks for the tests: at the top level of a module, as tasks must be."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from agent.errors import PresetError


@dataclass(frozen=True)
class Chore:
    number: int
    kind: str = "square"
    folder: str = ""


def do(chore: Chore) -> int:
    """Square a number, in the way its kind says."""
    begun = Path(chore.folder) / f"begun-{chore.number}"
    if chore.kind == "die-once" and not begun.exists():
        begun.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if chore.kind == "die":
        with begun.open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    if chore.kind == "user-error":
        raise PresetError(f"no preset number {chore.number}")
    if chore.kind == "bug":
        raise ZeroDivisionError(f"number {chore.number}")
    if chore.kind == "exit":
        raise SystemExit(3)
    if chore.kind == "slow":
        begun.write_text(str(os.getpid()))
        time.sleep(0.5)
    if chore.kind == "wait":
        begun.write_text(str(os.getpid()))
        time.sleep(600)
    return chore.number**2


def threads(chore: Chore) -> list[str]:
    """Tell how many computing threads the libraries were told of before they were loaded."""
    import numpy as np

    assert np.ones(2).sum() == 2
    return [os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]


def not_plain(chore: Chore) -> object:
    """Return a value that cannot be sent back."""
    return lambda: chore


if __name__ == "__main__":  # a parent to interrupt or to kill: its two children wait for ever
    import sys

    from agent.parallel.tasks import run_tasks

    run_tasks(do, [Chore(index, "wait", sys.argv[1]) for index in range(4)], workers=2)
