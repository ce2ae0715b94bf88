"""Simple rules as policies: the bar for a learned policy, and its stand-in where it does not clear it.

The baselines need no fitting and go by name. Rules with fitted numbers (`FixedMix`, `BestTrailing`, `TunedBand` and
others) get them from `agent.evaluation.fitted` and travel in policy files. All are numpy only: the keeper runs them.

A vault commits to a rule by its digest, which is of name, version and parameters. So a rule that decides anything
differently must raise its `version`; `tests/agent/policies/decisions.json` holds the decisions of every version, and a
test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

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
    them all. Whatever is worth less than nothing stays idle.

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
    """A rule with a digest; its parameters are the dataclass fields of the class that inherits.

    Attributes
    ----------
    version
        Number of the behaviour: raised whenever the rule decides anything differently, and never otherwise.
    """

    version: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """Name in tables and configurations."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """`0x` and 64 hex digits: the same for ever as long as name, version and parameters are."""
        parameters: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return digest_of({"kind": "rule", "name": self.name, "version": self.version, "parameters": parameters})

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        raise NotImplementedError


@dataclass(frozen=True)
class EqualWeight(Rule):
    """Every strategy gets the same share, always."""

    name: ClassVar[str] = "equal-weight"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return np.full_like(observation.weights, 1.0 / observation.count)


@dataclass(frozen=True)
class Hold(Rule):
    """Equal weight once, while less than `least_deployed` is deployed; then no trade ever again."""

    name: ClassVar[str] = "hold"

    least_deployed: float = 0.01

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        deployed = observation.weights.sum(-1, keepdims=True) >= self.least_deployed
        return np.where(deployed, observation.weights, 1.0 / observation.count)


@dataclass(frozen=True)
class Greedy(Rule):
    """Fill the best rate up to its cap, then the next best, and so on; equal rates share."""

    name: ClassVar[str] = "greedy"

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return fill_in_order(observation.rates)


@dataclass(frozen=True)
class GreedyBand(Rule):
    """Greedy that moves only for an advantage that pays for the move within a horizon; see `move_for_a_lead`.

    Attributes
    ----------
    band
        Advantage beyond the cost that a move takes, APR: rates are noisy, and a lead may be gone tomorrow.
    horizon_days
        Days of the better rate that must pay for the move.
    source
        Which rates it goes by.
    """

    name: ClassVar[str] = "greedy-band"

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
    """All in one strategy, always; the others share the rest that its cap leaves, since idle earns nothing.

    Attributes
    ----------
    index
        Which strategy, from zero.
    """

    index: int

    @property
    def name(self) -> str:
        """Name in tables."""
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

    It shows the cost of trading without skill. It is stateful, so it is for evaluation only and not in `BASELINES`.

    Parameters
    ----------
    rng
        Source of the portfolios; its state at the start is part of the digest.
    """

    name = "random-feasible"
    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.digest = digest_of(
            {
                "kind": "rule",
                "name": self.name,
                "version": self.version,
                "parameters": {"generator": str(rng.bit_generator.state)},
            }
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

    An observation does not hold the caps. So the better portfolio is found under the assumption that all are as large
    as the largest position; its strategies are then wanted in the order of their sizes in it, and the projection fills
    them to their real caps. Where a move does not pay, the present positions are wanted as they are: money that came in
    since is spread over them evenly, and over the others, best first, once they are full.

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


@dataclass(frozen=True)
class FixedMix(Rule):
    """Constant wanted weights.

    Attributes
    ----------
    label
        Name in tables.
    weights
        `n` shares of NAV.
    """

    label: str
    weights: tuple[float, ...]

    @property
    def name(self) -> str:
        """Name in tables."""
        return self.label

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return np.tile(np.array(self.weights), (len(observation), 1))


@dataclass(frozen=True)
class HoldBestTrailing(Rule):
    """Fill the strategy that earned most over the history to its cap, then the next.

    Attributes
    ----------
    earned
        `n` mean log growths per row over the history.
    """

    name: ClassVar[str] = "hold-best-trailing"

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


BASELINES: Mapping[str, Callable[[], EqualWeight | Hold | Greedy | GreedyBand]] = MappingProxyType(
    {rule.name: rule for rule in (EqualWeight, Hold, Greedy, GreedyBand)}
)
"""Every baseline without parameters by its name, as the command line and the keeper's configuration give it."""

_COMMITTED = frozenset(
    {
        (  # equal-weight
            "0x1af9dcdb05344d1560d29859d707db172671130c3a76272a6fc4c26ebde09d63",
            "0x7f60a23aaea300ab8efba140ea47afc232fe403670dd9e3f2a12634b3980fa37",
        ),
        (  # hold
            "0xe0c0a6ad2791aba0e4528c395c7776c040433f992aac0912b7138dd20c59623e",
            "0xfd1a7cd5b07ac337946a5ddbc6349d83af1bc5119cce732bbfc5f0c6f3ede3a7",
        ),
        (  # greedy
            "0xdc227c2beded8608e2ee38a717f0967987f6ae135e9eb86e366ebd7199807e78",
            "0xc76695eda5a23e06d237135f8ebb09d0154b4041f8e85368aaa4a2be87c4e61c",
        ),
        (  # greedy-band
            "0x8227de2e5c7ba5229c6439f11b74f985e0d7bfb520e33214b4d8e40408631b93",
            "0xfeaa1faa7b341d1f605d2a3f6c1a1bb44877725463f8bdfe5b57d1fdd9724222",
        ),
    }
)
"""Digests of baselines from before rules had versions, which were of a description in words, and those of version 1.

Vaults have committed to the former. They stand for no other version and no other parameters.
"""


@dataclass(frozen=True)
class CommittedRule:
    """A rule under another digest: the one that a vault committed to before rules had versions."""

    rule: Rule
    digest: str

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.rule.name

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return self.rule.act(observation)


def as_committed(rule: Rule, digest: str) -> Rule | CommittedRule:
    """Return the rule under the digest that a vault has committed to, if that stands for exactly this rule.

    Otherwise the rule comes back as it is; whoever asked compares the digests.
    """
    return CommittedRule(rule, digest.lower()) if (digest.lower(), rule.digest) in _COMMITTED else rule
