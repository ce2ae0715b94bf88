"""The calibrations' common parts: how well a fit agrees with history, and the command line `HISTORY OUT.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.errors import AgentError
from agent.units import FloatArray


def lag(values: FloatArray, rows: int = 1) -> float:
    """Return the autocorrelation of a series at a distance of so many rows."""
    return float(np.corrcoef(values[rows:], values[:-rows])[0, 1])


def table(parts: Sequence[tuple[Mapping[str, float], Sequence[Mapping[str, float]]]]) -> str:
    """Return each statistic of the history beside its 5, 50 and 95 % quantiles over simulated histories.

    Parameters
    ----------
    parts
        Statistics of the history, and the same of each simulated one.
    """
    lines = [f"{'':42s} {'history':>9s} {'simulated 5 %':>14s} {'50 %':>9s} {'95 %':>9s}"]
    for real, simulated in parts:
        for key, value in real.items():
            low, middle, high = np.quantile([entry[key] for entry in simulated], [0.05, 0.5, 0.95])
            mark = "" if low <= value <= high else "  outside"
            lines.append(f"{key:42s} {value:9.4f} {low:14.4f} {middle:9.4f} {high:9.4f}{mark}")
    return "\n".join(lines)


def run(calibrate: Callable[[Path], tuple[dict[str, Any], str]], module: str, arguments: Sequence[str]) -> int:
    """Write the calibrated parameters and print the report: `HISTORY OUT.json`. Return the exit code.

    Parameters
    ----------
    calibrate
        From the path of the history to parameters and report.
    module
        Name of the calling module, for the usage line.
    arguments
        Those of the command line.
    """
    if len(arguments) != 2:
        print(f"usage: python -m {module} HISTORY OUT.json", file=sys.stderr)
        return 2
    try:
        parameters, report = calibrate(Path(arguments[0]))
    except (AgentError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    Path(arguments[1]).write_text(json.dumps(parameters, indent=1) + "\n", encoding="utf-8")
    if report:
        print(report)
    return 0
