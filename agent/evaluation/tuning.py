"""Choose a rule's parameters by backtests of all candidates at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agent.evaluation.backtest import Setting, run
from agent.evaluation.metrics import growth_rate
from agent.market.path import MarketPath
from agent.observation import Observation
from agent.units import FloatArray, IntArray


@dataclass(frozen=True)
class Candidates:
    """Several policies as one, each with its own rows of the batch.

    Attributes
    ----------
    wanted
        From an observation and the `(B,)` candidate of each of its rows to wanted weights `(B, n)`.
    candidate
        `(B,)` which candidate decides for which row.
    """

    wanted: Callable[[Observation, IntArray], FloatArray]
    candidate: IntArray
    name: str = "candidates"
    digest: str = ""

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        return self.wanted(observation, self.candidate)


def earnings(
    wanted: Callable[[Observation, IntArray], FloatArray], count: int, path: MarketPath, setting: Setting
) -> FloatArray:
    """Return the annualised net log return of each of `count` candidates, the mean over the paths, `(count,)`.

    Parameters
    ----------
    wanted
        As in `Candidates`.
    count
        Number of candidates.
    path, setting
        What they are run on.
    """
    candidate = np.repeat(np.arange(count, dtype=np.int64), path.batch)
    copies = path.take(np.tile(np.arange(path.batch, dtype=np.int64), count))
    result = run(Candidates(wanted, candidate), copies, setting)
    return np.asarray(growth_rate(result).reshape(count, path.batch).mean(1))
