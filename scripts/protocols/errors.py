"""Errors that a user of the devnet can meet. Every message tells the next step."""


class DevnetError(Exception):
    """Base of everything that can go wrong with the devnet and the deployment scripts."""


class AnvilNotFoundError(DevnetError):
    """Anvil is not on PATH."""


class AnvilFailedError(DevnetError):
    """Anvil was started and ended before it answered."""


class PortInUseError(DevnetError):
    """The port that was asked for belongs to another process."""


class NotAnvilError(DevnetError):
    """The node behind the URL is not an Anvil, or does not answer."""


class ArtifactError(DevnetError):
    """A compiled contract is missing, stale, or not fully linked."""


class TransactionFailedError(DevnetError):
    """A transaction was refused or reverted."""


class AddressBookError(DevnetError):
    """An address book is missing, unreadable, or belongs to another chain."""


class RateUnreachableError(DevnetError):
    """No loan of the outside borrower gives the supply rate that was asked for."""
