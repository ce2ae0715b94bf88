"""Ape's part in a deployment: commands on one of its networks, and its accounts as senders."""

from typing import Any

import click
import requests
from ape.cli import ConnectedProviderCommand
from ape.exceptions import ApeException
from ape.logging import LogLevel, logger
from eth_typing import ChecksumAddress
from web3 import Web3
from web3.types import TxParams, TxReceipt

from agent.errors import AgentError
from keeper.errors import KeeperError
from scripts.errors import ScriptError, TransactionFailedError


class NetworkCommand(ConnectedProviderCommand):
    """A command on a network whose failures are one line and exit code 1, not a stack trace."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. With --json, Ape's own messages must not stand before the document."""
        if ctx.params.get("as_json"):
            logger.set_level(LogLevel.ERROR)
        try:
            return super().invoke(ctx)
        except (AgentError, KeeperError, ScriptError) as error:
            raise click.ClickException(str(error)) from error
        except (ApeException, requests.RequestException) as error:
            raise click.ClickException(f"{error}\nIs the node of --network up, and the one you mean?") from error


class ApeSender:
    """Signs with an Ape account and sends through Ape's provider.

    Parameters
    ----------
    provider
        The connected `ProviderAPI`.
    account
        An `AccountAPI`. A keyfile account is unlocked once, with the passphrase from the environment
        (`APE_ACCOUNTS_<alias>_PASSPHRASE`) or from a prompt, instead of asking for every transaction.
    """

    def __init__(self, provider: Any, account: Any) -> None:
        self._provider = provider
        self._account = account
        if hasattr(account, "set_autosign"):
            try:
                account.set_autosign(True)
            except ApeException as error:
                raise TransactionFailedError(f"Cannot unlock the account {account.alias}: {error}.") from error

    @property
    def address(self) -> ChecksumAddress:
        """The account that pays."""
        return Web3.to_checksum_address(str(self._account.address))

    def send(self, tx: TxParams) -> TxReceipt:
        """Send `tx` and return the receipt once it is mined."""
        fields: dict[str, Any] = {
            "data": tx.get("data", b""),
            "value": tx.get("value", 0),
            "sender": self._account,
            "gas_limit": tx["gas"],
            "required_confirmations": 0,  # mined is enough; a chain that mines on demand would never confirm
        }
        if "to" in tx:
            fields["receiver"] = tx["to"]
        try:
            transaction = self._provider.network.ecosystem.create_transaction(**fields)
            receipt = self._account.call(transaction)
        except ApeException as error:
            raise TransactionFailedError(f"sending by {self.address} failed: {error}") from error
        web3: Web3 = self._provider.web3
        return web3.eth.get_transaction_receipt(receipt.txn_hash)
