"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "stable-baselines3", "sb3-contrib", "gymnasium")
_BUSY = 0.5
"""Load per core from which on threads that wait should not spin."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def load() -> float:
    """Return the mean number of processes that wanted to run during the last minute."""
    return os.getloadavg()[0]


def settle() -> bool:
    """Set how torch's threads wait; true if the machine is busy. Call it before torch and numpy are loaded.

    They spin by default, which is best on an idle machine, and on a busy one takes the cores from those they wait for.
    numpy's matrices are small here and stay on one thread.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    busy = load() > _BUSY * cores()
    if busy:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    return busy


def describe() -> dict[str, Any]:
    """Return what out/bench.json says about the machine."""
    return {
        "cpu": _model(),
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "threads": "one, unless a figure says otherwise",
    }


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
