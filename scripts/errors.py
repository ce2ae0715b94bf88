"""Errors of devnet and deployment. Every message tells the next step."""

from collections.abc import Sequence


class ScriptError(Exception):
    """Base of everything that can go wrong with devnet and deployment."""


class AnvilNotFoundError(ScriptError):
    """Anvil is not on PATH."""


class AnvilFailedError(ScriptError):
    """Anvil was started and ended before it answered."""


class PortInUseError(ScriptError):
    """The wanted port belongs to another process."""


class NotAnvilError(ScriptError):
    """The node behind the URL is not an Anvil, or does not answer."""


class ArtifactError(ScriptError):
    """A compiled contract is missing, stale, or not fully linked."""


class TransactionFailedError(ScriptError):
    """A transaction was refused or reverted."""


class AddressBookError(ScriptError):
    """An address book is missing, unreadable, or belongs to another chain."""


class PresetError(ScriptError):
    """A preset of a network is missing, damaged, or not what the chain shows."""


class RateUnreachableError(ScriptError):
    """No loan of the outside borrower gives the wanted supply rate."""


class PriceUnreachableError(ScriptError):
    """No trade of the outside trader brings a pool to the wanted price."""


class PlanRefusedError(ScriptError):
    """Limits, addresses or funds are dangerous, inconsistent or missing; `reasons` lists them all. Nothing was sent."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("Refused, nothing was sent:\n" + "\n".join(f"  - {reason}" for reason in reasons))


class VerificationError(ScriptError):
    """The vault on chain differs from the plan."""

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            "The vault on chain is not the one that was planned; do not use it:\n"
            + "\n".join(f"  - {difference}" for difference in differences)
        )
