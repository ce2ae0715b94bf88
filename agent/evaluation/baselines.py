"""Simple rules as policies: what a learned policy has to beat, and what serves where it does not.

They have the interface of a learned policy, so the keeper can run any of them; their digest is that of their rule in
words and its parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from agent.digest import digest_of
from agent.observation import Observation
from agent.units import DAY, YEAR, FloatArray


class _Rule:
    """Name and digest of a rule; parameters are the dataclass fields of the class that inherits."""

    name: ClassVar[str]
    rule: ClassVar[str]

    @property
    def digest(self) -> str:
        """32 bytes hex, the same for ever as long as rule and parameters are."""
        return digest_of({"kind": "baseline", "name": self.name, "rule": self.rule, "parameters": asdict(self)})  # type: ignore[call-overload]


@dataclass(frozen=True)
class EqualWeight(_Rule):
    """Every strategy gets the same share."""

    name: ClassVar[str] = "equal-weight"
    rule: ClassVar[str] = "1 / n in every strategy, always"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return np.full_like(observation.weights, 1.0 / observation.count)


@dataclass(frozen=True)
class Hold(_Rule):
    """Equal weight once, when nothing is deployed; then no trade ever again."""

    name: ClassVar[str] = "hold"
    rule: ClassVar[str] = "1 / n in every strategy while less than least_deployed is deployed, else as it is"

    least_deployed: float = 0.01

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        deployed = observation.weights.sum(-1, keepdims=True) >= self.least_deployed
        return np.where(deployed, observation.weights, 1.0 / observation.count)


@dataclass(frozen=True)
class Greedy(_Rule):
    """Fill the best rate up to its cap, then the next best, and so on."""

    name: ClassVar[str] = "greedy"
    rule: ClassVar[str] = "strategies in the order of their present rate, each filled to its cap; ties share"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return fill_in_order(observation.rates)


@dataclass(frozen=True)
class GreedyBand(_Rule):
    """Greedy, but what is held keeps its place until another rate is better by more than a move costs.

    Attributes
    ----------
    band
        Advantage of a fully weighted position, APR.
    horizon_days
        Days of the better rate that must pay for the gas.
    """

    name: ClassVar[str] = "greedy-band"
    rule: ClassVar[str] = "greedy on rate + weight x (band + gas share x year / horizon)"

    band: float = 0.005
    horizon_days: float = 7.0

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        gas = observation.gas_share[:, None] * (YEAR / DAY / self.horizon_days)
        return fill_in_order(observation.rates + observation.weights * (self.band + gas))


def fill_in_order(scores: FloatArray) -> FloatArray:
    """Return wanted weights `(B, n)` whose projection fills the highest score to its cap first, then the next.

    Wanted weights one apart do that: no cap is above one, so the lower of two gets nothing before the higher is full.
    Equal scores are wanted equally.
    """
    return np.asarray((scores[:, :, None] >= scores[:, None, :]).sum(-1), dtype=np.float64)


BASELINES: dict[str, Callable[[], EqualWeight | Hold | Greedy | GreedyBand]] = {
    rule.name: rule for rule in (EqualWeight, Hold, Greedy, GreedyBand)
}
"""Every baseline by its name, which is also what the command line and the keeper's configuration call it."""
