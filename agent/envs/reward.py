"""What an environment rewards: an object that the engine asks after every step."""

from __future__ import annotations

from typing import Protocol

from agent.decision import Decision
from agent.observation import Observation
from agent.portfolio import MarketRow, PortfolioState
from agent.units import FloatArray


class Reward(Protocol):
    """Anything that says what a step was worth, in named parts; the reward is their sum."""

    def parts(
        self, before: PortfolioState, after: PortfolioState, row: MarketRow, decision: Decision, seen: Observation
    ) -> dict[str, FloatArray]:
        """Return the parts of the reward, `(B,)` each, of order one.

        Parameters
        ----------
        before, after
            The vaults at the decision and at the next one.
        row
            What the market did in between.
        decision
            What was decided.
        seen
            What was known at the decision; its `features` are those of the market row.
        """
