"""`make gas`: what the vault's operations cost, in a file that a diff shows."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tools.audit.errors import AuditError, ToolFailedError
from tools.audit.tools import ROOT, run

SNAPSHOT = Path("snapshots/vault.json")
# What is aimed at, in gas of the whole transaction.
AIMS = {"deposit to idle": 85_000, "withdraw from idle": 80_000, "rebalance 1 to 1 of 2": 165_000}
FURTHER = "each further strategy, untouched"
FURTHER_AIM = 12_000


@click.command(short_help="Measure gas and compare it with the committed snapshot")
@click.option("--check", is_flag=True, help="End with exit code 1 when a figure is not the committed one.")
def cli(check: bool) -> None:
    """Run the gas tests, write snapshots/, and show what changed since the commit.

    Each call is measured as a transaction of its own, on the code that is deployed (compiled by way of the IR).
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    before = committed(SNAPSHOT)
    (ROOT / SNAPSHOT).unlink(missing_ok=True)
    with Console(stderr=True).status("compiling and measuring"):
        try:
            run(
                ["forge", "test", "--isolate", "--match-path", "tests/contracts/gas/*", "--gas-snapshot-emit", "true"],
                env={"FOUNDRY_PROFILE": "deployed"},
                timeout=900,
            )
            if not (ROOT / SNAPSHOT).exists():
                raise ToolFailedError(f"The gas tests wrote no {SNAPSHOT}.")
        except AuditError as error:
            raise click.ClickException(str(error)) from error
    now = figures((ROOT / SNAPSHOT).read_text(encoding="utf-8"))
    console.print(table(before, now))
    click.echo(f"Written to {SNAPSHOT}")
    if check and now != before:
        raise click.ClickException("Gas is not what the committed snapshot says. Look at the diff, then commit it.")


def figures(text: str) -> dict[str, int]:
    """Return gas by operation, with the cost of a strategy that a rebalance does not touch."""
    gas = {name: int(value) for name, value in json.loads(text).items()}
    few, many = gas.get("rebalance 1 to 1 of 2"), gas.get("rebalance 1 to 1 of 16")
    if few is not None and many is not None:
        gas[FURTHER] = (many - few) // 14
    return gas


def committed(path: Path) -> dict[str, int]:
    """Return the figures of the last commit; none where there is no such file or no repository."""
    done = subprocess.run(
        ["git", "show", f"HEAD:{path.as_posix()}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return figures(done.stdout) if done.returncode == 0 else {}


def table(before: Mapping[str, int], now: Mapping[str, int]) -> Table:
    """Lay out the figures, what they were, and what is aimed at."""
    grid = Table(title="Gas of a transaction", title_justify="left")
    for name in ("operation", "gas", "committed", "difference", "aim"):
        grid.add_column(name, justify="left" if name == "operation" else "right")
    for name in dict.fromkeys((*now, *before)):
        gas, was = now.get(name), before.get(name)
        change = "" if gas is None or was is None or gas == was else f"{gas - was:+,} ({gas / was - 1:+.1%})"
        aim = FURTHER_AIM if name == FURTHER else AIMS.get(name)
        over = gas is not None and aim is not None and gas > aim
        shown = "" if aim is None else f"[{'yellow' if over else 'green'}]{aim:,}{' missed' if over else ''}"
        colour = "[red]" if change.startswith("+") else "[green]"
        grid.add_row(name, _number(gas), _number(was), colour + change if change else "", shown)
    return grid


def _number(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


if __name__ == "__main__":
    cli()
