"""What the gate found: who should serve, and by which figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes
    ----------
    promoted
        Whether the policy may serve.
    rule
        The rule in words.
    scenario
        Under which costs and assets.
    best
        The baseline with the highest net growth.
    excess, lower_bound
        Net log growth per year over it; lower one-sided 95 % bound.
    drawdown, best_drawdown
        Of net worth, as a share.
    serve
        Who should serve: the policy, or else the best baseline that can.
    evidence
        Where these figures are from.
    """

    promoted: bool
    rule: str
    scenario: str
    best: str
    excess: float
    lower_bound: float
    drawdown: float
    best_drawdown: float
    serve: str
    evidence: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a manifest."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        figures = (
            f"net excess over {self.best} {self.excess:+.2%} a year, lower bound {self.lower_bound:+.2%}; drawdown "
            f"{self.drawdown:.3%} against {self.best_drawdown:.3%}"
        )
        if self.promoted:
            return f"promoted at {self.scenario}: {figures}"
        return f"not promoted at {self.scenario}: {figures}. {self.serve} should serve"
