"""`ape run inspect`: any vault's walls, budgets, strategies, roles and announced changes, in plain words."""

import json
from typing import Any

import click

from scripts.deployment.command import NetworkCommand
from scripts.protocols.errors import DevnetError


@click.command(cls=NetworkCommand, short_help="Print a vault's walls, state, roles and announced changes")
@click.argument("address")
@click.option("--lens", metavar="ADDRESS", help="VaultLens to read through.  [default: its code in a state override]")
@click.option(
    "--from-block",
    "since",
    type=click.IntRange(0),
    help="Block to read the roles' events from.  [default: where the AccessManager was created]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cli(provider: Any, address: str, lens: str | None, since: int | None, as_json: bool) -> None:
    """Read the vault at ADDRESS, whoever deployed it, and print what it enforces and who may change it.

    \b
    A vault on a devnet that runs:
      ape run inspect 0x... --network http://127.0.0.1:8545
    """
    from ape import project

    from keeper.inspect.report import lines, to_json
    from scripts.deployment import inspect_vault
    from scripts.deployment.errors import DeploymentError

    project.load_contracts()  # compiles what has changed
    try:
        state = inspect_vault(provider.web3, address, lens, since)
    except (DeploymentError, DevnetError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(to_json(state), indent=2))
        return
    for line in lines(state):
        click.echo(line)
