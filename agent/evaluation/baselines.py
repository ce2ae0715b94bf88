"""Simple rules as policies: what a learned policy has to beat, and what serves where it does not.

They have the interface of a learned policy and no memory; their digest is that of their rule in words and its
parameters. Those in `BASELINES` need no market history, so the keeper can run them by name. `agent.evaluation.fitted`
holds those with parameters from history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

import numpy as np

from agent.digest import digest_of
from agent.errors import PolicyShapeError
from agent.observation import Observation
from agent.units import DAY, YEAR, FloatArray

Source = Literal["rates", "fast", "slow"]
"""Which rates of an observation a rule goes by: the present ones, or their running means."""


class Rule:
    """Digest of a rule; parameters are the dataclass fields of the class that inherits."""

    rule: ClassVar[str]

    @property
    def name(self) -> str:
        """What tables call it."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """32 bytes hex, the same for ever as long as rule and parameters are."""
        return digest_of({"kind": "baseline", "name": self.name, "rule": self.rule, "parameters": asdict(self)})  # type: ignore[call-overload]


@dataclass(frozen=True)
class EqualWeight(Rule):
    """Every strategy gets the same share."""

    name: ClassVar[str] = "equal-weight"
    rule: ClassVar[str] = "1 / n in every strategy, always"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return np.full_like(observation.weights, 1.0 / observation.count)


@dataclass(frozen=True)
class Hold(Rule):
    """Equal weight once, when nothing is deployed; then no trade ever again."""

    name: ClassVar[str] = "hold"
    rule: ClassVar[str] = "1 / n in every strategy while less than least_deployed is deployed, else as it is"

    least_deployed: float = 0.01

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        deployed = observation.weights.sum(-1, keepdims=True) >= self.least_deployed
        return np.where(deployed, observation.weights, 1.0 / observation.count)


@dataclass(frozen=True)
class Greedy(Rule):
    """Fill the best rate up to its cap, then the next best, and so on."""

    name: ClassVar[str] = "greedy"
    rule: ClassVar[str] = "strategies in the order of their present rate, each filled to its cap; ties share"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return fill_in_order(observation.rates)


@dataclass(frozen=True)
class GreedyBand(Rule):
    """Greedy that moves only for an advantage that pays for the move within a horizon.

    Attributes
    ----------
    band
        Advantage that is wanted beyond the cost, APR: rates are noisy, and a lead may be gone tomorrow.
    horizon_days
        Days of the better rate that must pay for the move.
    source
        Which rates it goes by.
    """

    name: ClassVar[str] = "greedy-band"
    rule: ClassVar[str] = (
        "present positions keep their order by size; one passes the one before it when its rate is better by more than "
        "band + (move cost + gas share / share of NAV that moves) x year / horizon; each is filled to its cap in order"
    )

    band: float = 0.0025
    horizon_days: float = 14.0
    source: Source = "rates"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        batch = len(observation)
        return fill_with_band(
            observation, np.full(batch, self.band), np.full(batch, self.horizon_days), getattr(observation, self.source)
        )


@dataclass(frozen=True)
class SingleAsset(Rule):
    """All in one strategy, always; what its cap leaves over is shared by the others, since idle earns nothing.

    Attributes
    ----------
    index
        Which strategy, from zero.
    """

    rule: ClassVar[str] = "strategy index filled to its cap, always; the rest shared equally by the others"

    index: int

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"single-{self.index}"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`.

        Raises
        ------
        PolicyShapeError
            If there is no such strategy.
        """
        if not 0 <= self.index < observation.count:
            raise PolicyShapeError(f"there is no strategy {self.index} of {observation.count}: choose another one")
        return fill_in_order(np.tile(np.arange(observation.count) == self.index, (len(observation), 1)).astype(float))


class RandomFeasible:
    """A new random portfolio at every decision, uniform over those that sum to one before the limits are applied.

    What trading without skill costs. It is stateful, so it is for evaluation only and not in `BASELINES`.

    Parameters
    ----------
    rng
        Source of the portfolios; its state at the start is part of the digest.
    """

    name = "random-feasible"

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.digest = digest_of(
            {"kind": "baseline", "name": self.name, "rule": "Dirichlet(1, ..., 1) anew at every decision"}
            | {"generator": str(rng.bit_generator.state)}
        )

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return self._rng.dirichlet(np.ones(observation.count), len(observation))


def fill_in_order(scores: FloatArray) -> FloatArray:
    """Return wanted weights `(B, n)` whose projection fills the highest score to its cap first, then the next.

    Wanted weights one apart do that: no cap is above one, so the lower of two gets nothing before the higher is full.
    Equal scores are wanted equally.
    """
    return np.asarray((scores[:, :, None] >= scores[:, None, :]).sum(-1), dtype=np.float64)


def fill_with_band(
    observation: Observation, band: FloatArray, horizon_days: FloatArray, scores: FloatArray
) -> FloatArray:
    """Return wanted weights `(B, n)` that fill in the present order, changed only where that pays.

    A portfolio that was filled in order is given back by filling in the order of its positions. Two neighbours in the
    order that change places move the difference of their sizes from one to the other, which costs its part of
    `move_cost`, and the gas. Whoever is held in other proportions is taken for filled in order.

    Parameters
    ----------
    observation
        For weights, gas and the cost of moving.
    band, horizon_days
        `(B,)`: see `GreedyBand`.
    scores
        `(B, n)` rates to go by, APR.
    """
    per_year = YEAR / DAY / horizon_days
    price = band + observation.move_cost * per_year
    fixed = observation.gas_share * per_year
    weights, count = observation.weights, observation.count
    by_score = np.argsort(-scores, axis=-1, kind="stable")
    by_size = np.argsort(-np.take_along_axis(weights, by_score, -1), axis=-1, kind="stable")
    order = np.take_along_axis(by_score, by_size, -1)
    sizes = np.take_along_axis(weights, order, -1)
    moved = sizes[:, :-1] - sizes[:, 1:]
    least = price[:, None] + fixed[:, None] / np.maximum(moved, _LEAST_MOVE)
    needed = np.where(moved < _LEAST_MOVE, 0.0, least)
    lined_up = np.take_along_axis(scores, order, -1)
    for _ in range(count * (count - 1) // 2):  # each round but the last puts two in the order of their scores
        passed = False
        for place in range(count - 2, -1, -1):
            swap = lined_up[:, place + 1] - lined_up[:, place] > needed[:, place]
            if swap.any():
                passed = True
                for line in (order, lined_up):
                    pair = line[swap, place : place + 2]
                    line[swap, place : place + 2] = pair[:, ::-1]
        if not passed:
            break
    wanted = np.empty_like(scores)
    np.put_along_axis(wanted, order, np.arange(count, 0.0, -1.0)[None].repeat(len(order), 0), -1)
    return wanted


_LEAST_MOVE = 0.01  # share of NAV; `DecisionRules` does not trade less

BASELINES: dict[str, Callable[[], EqualWeight | Hold | Greedy | GreedyBand]] = {
    rule.name: rule for rule in (EqualWeight, Hold, Greedy, GreedyBand)
}
"""Every baseline without parameters by its name: what the command line and the keeper's configuration call it."""
