"""An Ape account as the sender of a `Chain`."""

from typing import Any

from ape.exceptions import ApeException
from eth_typing import ChecksumAddress
from web3 import Web3
from web3.types import TxParams, TxReceipt

from scripts.protocols.errors import TransactionFailedError


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
        fields = {"data": tx.get("data", b""), "value": tx.get("value", 0), "sender": self._account}
        if "to" in tx:
            fields["receiver"] = tx["to"]
        fields["gas_limit"] = tx["gas"]
        try:
            transaction = self._provider.network.ecosystem.create_transaction(**fields)
            receipt = self._account.call(transaction)
        except ApeException as error:
            raise TransactionFailedError(f"sending by {self.address} failed: {error}") from error
        web3: Web3 = self._provider.web3
        return web3.eth.get_transaction_receipt(receipt.txn_hash)
