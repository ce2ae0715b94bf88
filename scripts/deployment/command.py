"""What the commands on a network share."""

from typing import Any

import click
import requests
from ape.cli import ConnectedProviderCommand
from ape.exceptions import ApeException
from ape.logging import LogLevel, logger


class NetworkCommand(ConnectedProviderCommand):
    """A command on a network whose failures are one line and exit code 1, not a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. With --json, Ape's own messages must not stand before the document."""
        if ctx.params.get("as_json"):
            logger.set_level(LogLevel.ERROR)
        try:
            return super().invoke(ctx)
        except (ApeException, requests.RequestException) as error:
            raise click.ClickException(f"{error}\nIs the node of --network up, and the one you mean?") from error
