"""The `agent` command: train policies, evaluate and judge them, report on them, check market history.

Exit codes: 0 done, 1 an error that the user can mend (one line says how), 2 wrong usage. A command loads what it needs
when it runs: `evaluate` and `data check` need the base install only, the others the extra `train`.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from agent.commands.common import run
from agent.commands.data import data
from agent.commands.evaluate import evaluate
from agent.commands.export import export
from agent.commands.promote import promote
from agent.commands.report import report
from agent.commands.sweep import sweep
from agent.commands.train import train
from agent.commands.walk_forward import walk_forward

_EXAMPLES = """\b
Examples:
  agent train --out out/policy.npz
  agent train --data history.csv --until 2022-06-01 --out out/policy.npz
  agent sweep --preset demo --trials 40 --storage sqlite:///out/sweep.db --out out/best.toml
  agent evaluate out/policy.npz --data history.csv --start 2022-06-01 --days 90
  agent walk-forward aave_v3_daily.csv --gas eth_price_gas_daily.csv
  agent promote out/results/aave/candidate.npz --results out/results/aave
  agent export out/policy.npz --integer --out out/integer.npz
  agent report out/results/aave
  agent data check history.csv
"""


@click.group(epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """Train and evaluate the policies that steer a Bulkhead vault."""


for _command in (train, sweep, evaluate, walk_forward, promote, export, report, data):
    cli.add_command(_command)


def main() -> NoReturn:
    """Run the command and exit."""
    sys.exit(run(cli))
