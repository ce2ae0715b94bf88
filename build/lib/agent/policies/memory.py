"""Memory that the keeper carries for a recurrent policy, so that it remembers live as it did in training.

A recurrent policy was trained with one observation per `step_seconds`, a day for instance. The keeper may look more
often, be restarted, or decide again about the same block; none of that may make time pass faster for the policy. So
two memories are kept: `before`, from which this step is decided however often, and `after`, which becomes `before`
once a step's time has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.errors import ObservationError
from agent.observation.observe import Observation
from agent.policies.load import Policy, act
from agent.units import FloatArray

_EARLY = 0.05  # share of a step by which the keeper may wake early: blocks do not come on the second


@dataclass(frozen=True)
class Recall:
    """Memory of one policy about one vault.

    Attributes
    ----------
    digest
        Of the policy whose memory it is.
    before, after
        `(1, m)` memories that the present step begins with, and that its last decision left.
    started
        Seconds; the block that the present step began with.
    """

    digest: str
    before: FloatArray
    after: FloatArray
    started: int

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, for the journal."""
        return {**vars(self), "before": self.before[0].tolist(), "after": self.after[0].tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recall:
        """Read the output of `to_json`, bit for bit.

        Raises
        ------
        ObservationError
            If an entry is missing or damaged.
        """
        try:
            before, after = (np.array([data[key]], dtype=np.float64) for key in ("before", "after"))
            made = cls(str(data["digest"]), before, after, int(data["started"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ObservationError(f"stored memory of the policy is damaged ({error}): start a new one") from error
        if before.shape != after.shape or not (np.isfinite(before).all() and np.isfinite(after).all()):
            raise ObservationError("stored memory of the policy is damaged: start a new one")
        return made


def act_and_recall(
    policy: Policy, observation: Observation, timestamp: int, recall: Recall | None
) -> tuple[FloatArray, Recall | None]:
    """Ask a policy about one vault at a block; return wanted weights `(1, n)` and the memory to keep.

    Parameters
    ----------
    policy
        With or without memory.
    observation
        The observation at the block, `B = 1`.
    timestamp
        Of the block, seconds.
    recall
        Memory that the last call returned; that of another policy is forgotten.
    """
    if recall is not None and recall.digest != policy.digest:
        recall = None
    before, started = None, timestamp
    if recall is not None:
        step = float(getattr(policy, "step_seconds", None) or 0.0)
        if timestamp - recall.started >= step * (1.0 - _EARLY) and timestamp > recall.started:
            before = recall.after
        else:
            before, started = recall.before, recall.started
    wanted, after = act(policy, observation, before)
    if after is None:
        return wanted, None
    return wanted, Recall(policy.digest, np.zeros_like(after) if before is None else before, after, started)
