"""`make gas`: the cost of the vault's operations, in a file that a diff shows."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tools.audit.part import ROOT, AuditError, BrokenReportError, reading, run

SNAPSHOT = Path("snapshots/vault.json")
# Gas of the whole transaction: the dearer of Morpho's Vault V2 and Yearn V3, measured over the same two strategies.
AIMS = {"deposit to idle": 98_484, "withdraw from idle": 98_761, "rebalance 1 to 1 of 2": 204_294}
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
    with Console(stderr=True).status("compiling and measuring"):
        try:
            now = measure(ROOT / SNAPSHOT)
        except AuditError as error:
            raise click.ClickException(str(error)) from error
    console.print(table(before, now))
    click.echo(f"Written to {SNAPSHOT}")
    if check and now != before:
        raise click.ClickException("Gas differs from the committed snapshot. Look at the diff, then commit it.")


def measure(snapshot: Path) -> dict[str, int]:
    """Run the gas tests, which write the snapshot, and return its figures. Where they fail, the old snapshot stays.

    Raises
    ------
    AuditError
        The tests fail, or write no figure.
    """
    old = snapshot.read_bytes() if snapshot.exists() else b""
    snapshot.unlink(missing_ok=True)
    try:
        run(
            ["forge", "test", "--isolate", "--match-path", "tests/contracts/gas/*", "--gas-snapshot-emit", "true"],
            env={"FOUNDRY_PROFILE": "deployed"},
            timeout=900,
        )
        with reading(snapshot.name):
            return figures(snapshot.read_text(encoding="utf-8"))
    except AuditError:
        snapshot.write_bytes(old)
        raise


def figures(text: str) -> dict[str, int]:
    """Return gas by operation, with the cost of a strategy that a rebalance does not touch.

    Raises
    ------
    BrokenReportError
        The snapshot holds no figure.
    """
    gas = {name: int(value) for name, value in json.loads(text).items()}
    if not gas:
        raise BrokenReportError("The snapshot holds no figure: the gas tests measured nothing.")
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
    """Lay out the figures beside the committed ones and the aims."""
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
