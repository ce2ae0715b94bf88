"""What the commands share: option types, what is read from files, and how results are printed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.limits import Limits
    from agent.market.replay import RateHistory

PATH = click.Path(path_type=Path, dir_okay=False)
DAY = click.DateTime(formats=["%Y-%m-%d"])


def history_of(path: Path, parts: str | None) -> RateHistory:
    """Read market history; `parts` as on the command line, separated by commas."""
    from agent.market.replay import COMPOUND_PARTS, load_history

    return load_history(path, COMPOUND_PARTS if parts is None else [part.strip() for part in parts.split(",")])


def limits_of(path: Path | None, count: int) -> Limits:
    """Return the limits of a file, or caps of 60 % where there is none; they must be for `count` strategies."""
    from agent.errors import LimitsError
    from agent.limits import Limits, load_limits

    limits = Limits.uniform(count) if path is None else load_limits(path).limits()
    if limits.count != count:
        raise LimitsError(f"{path} has limits for {limits.count} strategies but the market has {count}: give as many")
    return limits


def names_of(path: Path | None) -> tuple[str, ...] | None:
    """Return what a limits file calls its strategies."""
    from agent.limits import load_limits

    return None if path is None else load_limits(path).names


def writable(path: Path) -> None:
    """Find out before training, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise AgentError(f"cannot write {path}: {error.strerror or error}; choose another --out") from error


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    click.echo(f"note: {text}", err=True)


def print_json(data: Any) -> None:
    """Print plain data for scripts; NaN is an error, for JSON has none."""
    click.echo(json.dumps(data, indent=2, allow_nan=False))


_COLUMNS = (
    ("policy", "policy", "s"),
    ("annual_return", "return/year", ".3%"),
    ("rebalances", "rebalances", ".1f"),
    ("turnover_per_year", "turnover/year", ".1f"),
    ("gas_paid", "gas paid", ",.2f"),
    ("max_drawdown", "drawdown", ".2%"),
    ("cap_hits", "cap hits", ".1f"),
    ("concentration", "concentration", ".2f"),
)


def print_table(results: Sequence[dict[str, float | str]]) -> None:
    """Print summaries of backtests, one line per policy."""
    lines = [[title for _, title, _ in _COLUMNS]]
    lines += [[format(result[key], style) for key, _, style in _COLUMNS] for result in results]
    widths = [max(len(line[index]) for line in lines) for index in range(len(_COLUMNS))]
    for line in lines:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        click.echo("  ".join(cells))
