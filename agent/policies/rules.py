"""Simple rules as policies: what a learned policy has to beat, and what serves where it does not.

The baselines need no fitting and go by name. Rules with fitted numbers (`FixedMix`, `BestTrailing`, `TunedBand` and
others) get them from `agent.evaluation.fitted` and travel in policy files. All are numpy only: the keeper runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

import numpy as np

from agent.digest import digest_of
from agent.errors import PolicyShapeError
from agent.observation.observe import Observation
from agent.units import DAY, YEAR, BoolArray, FloatArray


def best_weights(
    value: FloatArray,
    now: FloatArray,
    entry: FloatArray,
    leave: FloatArray,
    caps: FloatArray,
    budget: FloatArray | float,
) -> FloatArray:
    """Return the weights `(B, n)` that maximise `value w - entry (w - now)+ - leave (now - w)+` within the limits.

    A linear programme, solved exactly by filling in order of value: a position up to its present size is worth its
    value and the cost of leaving that it saves, beyond it its value less the cost of entering, and one budget binds
    them all. What is worth less than nothing stays idle.

    Parameters
    ----------
    value
        `(B, n)` expected earnings per unit over the horizon.
    now
        `(B, n)` present weights.
    entry, leave
        Costs of a leg per unit; anything that broadcasts to `(B, n)`.
    caps
        Most of each strategy, likewise.
    budget
        `(B,)` most in all, or one number.
    """
    kept = np.minimum(now, caps)
    worth = np.concatenate([value + leave, value - entry], axis=-1)
    room = np.where(worth > 0, np.concatenate([kept, caps - kept], axis=-1), 0.0)
    order = np.argsort(-worth, axis=-1, kind="stable")
    sorted_room = np.take_along_axis(room, order, -1)
    before = np.cumsum(sorted_room, axis=-1) - sorted_room
    filled = np.empty_like(room)
    np.put_along_axis(filled, order, np.clip(np.asarray(budget)[..., None] - before, 0.0, sorted_room), -1)
    count = value.shape[-1]
    return np.asarray(filled[:, :count] + filled[:, count:])


def pays(
    best: FloatArray, now: FloatArray, value: FloatArray, entry: FloatArray, leave: FloatArray, gas: FloatArray
) -> BoolArray:
    """Return whether moving from `now` to `best` gains more than its legs and the `(B,)` gas cost, `(B,)`."""
    change = best - now
    gain = (change * value - np.maximum(change, 0.0) * entry - np.maximum(-change, 0.0) * leave).sum(-1)
    return np.asarray(gain > gas)


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

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        raise NotImplementedError


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
        "as it is, unless the best portfolio under these rates, all caps taken for as large as the largest position, "
        "earns more by (band x amount moved) x horizon + move cost x amount moved + gas share over the horizon; "
        "then its strategies in the order of their sizes, each filled to its cap"
    )

    band: float = 0.0025
    horizon_days: float = 14.0
    source: Source = "rates"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        batch = len(observation)
        return move_for_a_lead(
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


def move_for_a_lead(
    observation: Observation, band: FloatArray, horizon_days: FloatArray, scores: FloatArray
) -> FloatArray:
    """Return wanted weights `(B, n)`: the present ones, or those filled in a better order where that pays.

    An observation does not say what the caps are. So the better portfolio is found under the assumption that all are
    as large as the largest position; its strategies are then wanted in the order of their sizes in it, and the
    projection fills them to what their caps really are. Where it does not pay, what is held is wanted as it is: money
    that came in since is spread over it evenly, and over the others, best first, once it is full.

    Parameters
    ----------
    observation
        For weights, gas and the cost of moving.
    band, horizon_days
        `(B,)`: see `GreedyBand`.
    scores
        `(B, n)` rates to go by, APR.
    """
    now, count = observation.weights, observation.count
    years = horizon_days * (DAY / YEAR)
    value = scores * years[:, None]
    leg = (0.5 * (band * years + observation.move_cost))[:, None]
    largest = now.max(-1, keepdims=True)
    best = best_weights(value, now, leg, leg, largest, now.sum(-1))
    moving = pays(best, now, value, leg, leg, observation.gas_share)
    by_score = _ranks(scores)
    keep = np.where(now > 0, now + count + 1.0, by_score)
    return np.where(moving[:, None], _ranks(best + _TIE * by_score), keep)


def _ranks(scores: FloatArray) -> FloatArray:
    """Return `(B, n)` whole numbers from `n` for the highest score to 1; the first of equals is the higher."""
    count = scores.shape[-1]
    ranks = np.empty(scores.shape)
    order = np.argsort(-scores, axis=-1, kind="stable")
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(count, 0.0, -1.0), scores.shape), -1)
    return ranks


_TIE = 1e-9  # equal sizes go by their scores

BASELINES: dict[str, Callable[[], EqualWeight | Hold | Greedy | GreedyBand]] = {
    rule.name: rule for rule in (EqualWeight, Hold, Greedy, GreedyBand)
}
"""Every baseline without parameters by its name: what the command line and the keeper's configuration call it."""


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
