"""Why a vault is, or is not, rebalanced: the reasons in words, and in the order in which they count."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a vault is, or is not, rebalanced."""

    TRADE = "trade"
    CUT = "trade, cut down to what the budgets leave"
    SMALL = "every change is smaller than the smallest trade"
    GAS = "gas is too dear for the amount moved"
    TURNOVER = "the turnover budget that is left is too small for the smallest trade"
    LOSS = "the loss budget that is left is too small for the costs of a trade"
    COOLDOWN = "the cooldown after the last rebalance is running"
    HALTED = "the vault is halted"
    EMPTY = "the vault holds nothing"

    @property
    def trades(self) -> bool:
        """Whether there is something to send."""
        return self in (Reason.TRADE, Reason.CUT)


REASONS = (
    Reason.HALTED,
    Reason.EMPTY,
    Reason.SMALL,
    Reason.COOLDOWN,
    Reason.TURNOVER,
    Reason.LOSS,
    Reason.GAS,
    Reason.CUT,
    Reason.TRADE,
)
"""Every reason by its code; where several hold, the first counts."""

CODE = {reason: code for code, reason in enumerate(REASONS)}
"""Index of every reason in `REASONS`."""
