"""Shared by the commands: option types, reading of limits and history, printing, and the error for a missing extra."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.errors import AgentError, ExtraMissingError

if TYPE_CHECKING:
    from agent.market.history import RateHistory
    from agent.vault.limits import Limits

PATH = click.Path(path_type=Path, dir_okay=False)
DAY = click.DateTime(formats=["%Y-%m-%d"])


@dataclass(frozen=True)
class Reading:
    """Options of a history file, as `history_options` adds them to a command."""

    parts: str | None
    network: str | None
    max_gap_days: float | None
    gas: Path | None

    @property
    def chosen(self) -> bool:
        """True if any was given."""
        return any(value is not None for value in vars(self).values())

    def load(self, path: Path) -> RateHistory:
        """Read market history."""
        from agent.market.replay import load_history

        parts = None if self.parts is None else [part.strip() for part in self.parts.split(",")]
        return load_history(path, parts, network=self.network, max_gap_days=self.max_gap_days, gas=self.gas)


def history_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a history file to a command, which receives them as one argument, `reading`."""

    @wraps(command)
    def gathered(
        *args: Any, parts: str | None, network: str | None, max_gap_days: float | None, gas: Path | None, **others: Any
    ) -> Any:
        return command(*args, reading=Reading(parts, network, max_gap_days, gas), **others)

    for option in (
        click.option("--gas", type=PATH, help="File of daily gas prices (date, eth_usd, avg_gas_gwei)."),
        click.option(
            "--max-gap-days",
            type=click.FloatRange(min=0, min_open=True),
            help="Longest gap between two rows of an Aave V3 file, days. [default: 2.5]",
        ),
        click.option("--network", help="Network of an Aave V3 file. [default: ethereum]"),
        click.option(
            "--parts",
            help="Markets of a Compound V2 file, or symbols or addresses of an Aave V3 file, separated by commas. "
            "[default: dai_1,usdc,usdt; USDC,USDT,DAI,USDS,USDe,PYUSD]",
        ),
    ):
        gathered = option(gathered)
    return gathered


def limits_of(path: Path | None, count: int) -> Limits:
    """Return the limits of a file, or caps of 60 % without one.

    Raises
    ------
    LimitsError
        If the file is not for `count` strategies.
    """
    from agent.errors import LimitsError
    from agent.vault.limits import Limits
    from agent.vault.limits_file import load_limits

    limits = Limits.uniform(count) if path is None else load_limits(path).limits()
    if limits.count != count:
        raise LimitsError(f"{path} has limits for {limits.count} strategies but the market has {count}: give as many")
    return limits


def names_of(path: Path | None) -> tuple[str, ...] | None:
    """Return the strategies' names in a limits file, or None without one."""
    from agent.vault.limits_file import load_limits

    return None if path is None else load_limits(path).names


def writable(path: Path) -> None:
    """Refuse a file that cannot be written, before hours of training rather than after them."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise AgentError(f"cannot write {path}: {error.strerror or error}; choose another --out") from error


def run(command: click.Command) -> int:
    """Run a command and return its exit code; an error that the user can mend is one line on standard error."""
    try:
        try:
            return int(command.main(standalone_mode=False) or 0)
        except ModuleNotFoundError as error:
            raise extra_missing(error) from error
    except AgentError as error:
        click.echo(f"error: {error}", err=True)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("error: stopped", err=True)
        return 1


def extra_missing(error: ModuleNotFoundError) -> ExtraMissingError:
    """Return the error that names the extra to install; a missing module of our own is a bug, and raised."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "agent"):
        raise error
    extra = "postgres" if package == "psycopg" else "train"
    return ExtraMissingError(
        f"{package} is not installed: this command needs the extra `{extra}`: pip install 'bulkhead[{extra}]'"
    )


def note(text: str) -> None:
    """Print a remark on standard error, beside the result."""
    click.echo(f"note: {text}", err=True)


def print_json(data: Any) -> None:
    """Print plain data as JSON; NaN is an error, since JSON has none."""
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
    """Print summaries of backtests, a line for each."""
    lines = [[title for _, title, _ in _COLUMNS]]
    lines += [[format(result[key], style) for key, _, style in _COLUMNS] for result in results]
    widths = [max(len(line[index]) for line in lines) for index in range(len(_COLUMNS))]
    for name, *cells in lines:
        click.echo("  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]))
