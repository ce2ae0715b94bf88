"""`ape run inspect`: `keeper inspect` on one of Ape's networks."""

import json
from typing import Any

import click

from scripts.deployment.network import NetworkCommand


@click.command(cls=NetworkCommand, short_help="Print a vault's limits, state, roles and announced changes")
@click.argument("address")
@click.option("--lens", metavar="ADDRESS", help="VaultLens to read through.  [default: its code in a state override]")
@click.option(
    "--since",
    metavar="BLOCK",
    type=click.IntRange(0),
    help="Block from which to read the roles' events.  [default: where the AccessManager was created]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cli(provider: Any, address: str, lens: str | None, since: int | None, as_json: bool) -> None:
    """Read the vault at ADDRESS, whoever deployed it, and print what it enforces and who may change it.

    \b
    A vault on a devnet that runs:
      ape run inspect 0x... --network http://127.0.0.1:8545
    """
    from keeper.chain.rpc import Rpc
    from keeper.inspect.report import lines, to_json
    from keeper.inspect.state import inspect_vault

    state = inspect_vault(Rpc(str(provider.uri)), address, lens, since)
    click.echo(json.dumps(to_json(state)) if as_json else "\n".join(lines(state)))
