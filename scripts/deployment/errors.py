"""Errors of a deployment. Nothing has been sent when a `PlanRefusedError` is raised."""

from collections.abc import Sequence


class DeploymentError(Exception):
    """Base of everything that stops a deployment."""


class PlanRefusedError(DeploymentError):
    """Limits, addresses or funds are dangerous, inconsistent or missing; `reasons` lists all that was found."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("Refused, nothing was sent:\n" + "\n".join(f"  - {reason}" for reason in reasons))


class VerificationError(DeploymentError):
    """What stands on chain is not what was planned."""

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            "The vault on chain is not the one that was planned; do not use it:\n"
            + "\n".join(f"  - {difference}" for difference in differences)
        )


class InspectionError(DeploymentError):
    """What should be read is not there, or the node cannot tell."""
