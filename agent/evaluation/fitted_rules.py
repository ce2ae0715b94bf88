"""Rules whose numbers are fitted to history: what a keeper needs to run them, which is numpy and the observation.

`agent.evaluation.fitted` fits them, `agent.rule_file` keeps them in files. `agent.evaluation.forecast` has one more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agent.evaluation.baselines import GreedyBand, Rule, Source, fill_in_order
from agent.observation import Observation
from agent.units import FloatArray


@dataclass(frozen=True)
class FixedMix(Rule):
    """Constant wanted weights.

    Attributes
    ----------
    label
        What to call it.
    weights
        `n` shares of NAV.
    """

    rule: ClassVar[str] = "these weights, always"

    label: str
    weights: tuple[float, ...]

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.label

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return np.tile(np.array(self.weights), (len(observation), 1))


@dataclass(frozen=True)
class HoldBestTrailing(Rule):
    """Fill what earned most over the history to its cap, then the next.

    Attributes
    ----------
    earned
        `n` mean log growths per row over the history.
    """

    name: ClassVar[str] = "hold-best-trailing"
    rule: ClassVar[str] = "strategies in the order of what they earned over the history, each filled to its cap"

    earned: tuple[float, ...]

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return fill_in_order(np.tile(np.array(self.earned), (len(observation), 1)))


@dataclass(frozen=True)
class BestTrailing(GreedyBand):
    """Those with the best slow mean, re-chosen when a month of the lead pays for the move."""

    name: ClassVar[str] = "best-trailing"

    band: float = 0.0
    horizon_days: float = 30.0
    source: Source = "slow"


@dataclass(frozen=True)
class TunedBand(GreedyBand):
    """Greedy with a band, its parameters tuned on history."""

    name: ClassVar[str] = "greedy-band-tuned"
