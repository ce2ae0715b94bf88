"""Backtests of all policies under one scenario, kept as arrays in one file per scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from agent.backtest import Backtest
from agent.errors import ResultsError
from agent.evaluation.study import Scenario
from agent.units import FloatArray
from agent.vault.decision import Reason


@dataclass(frozen=True)
class Scores:
    """Backtests under one scenario, of one path each and all on the same rows.

    Attributes
    ----------
    scenario
        Costs, assets and latency.
    seeds
        The learned policies, one per seed.
    baselines
        The rules.
    ceiling
        The plan with hindsight.
    """

    scenario: Scenario
    seeds: tuple[Backtest, ...]
    baselines: tuple[Backtest, ...]
    ceiling: Backtest

    @property
    def equal_weight(self) -> Backtest:
        """The baseline at which headroom begins."""
        return self.baseline("equal-weight")

    def baseline(self, name: str) -> Backtest:
        """Return the backtest of a baseline."""
        return next(each for each in self.baselines if each.policy == name)


@dataclass(frozen=True)
class Kept:
    """Scores as read back, with the market they are from.

    Attributes
    ----------
    scores
        One entry per scenario.
    names
        Names of the `n` strategies.
    rates
        `(T, n)` supply rates at the tested rows, APR.
    """

    scores: list[Scores]
    names: tuple[str, ...]
    rates: FloatArray


_ARRAYS = tuple(entry.name for entry in fields(Backtest) if entry.name not in ("policy", "timestamps", "reasons"))


def save_scores(folder: Path, scores: Sequence[Scores], *, names: Sequence[str], rates: FloatArray) -> None:
    """Write the scores of all scenarios in place of those of an earlier run."""
    target = folder / "scores"
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.npz"):
        old.unlink()
    for index, each in enumerate(scores):
        everybody = [*each.seeds, *each.baselines, each.ceiling]
        arrays: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in everybody]) for name in _ARRAYS}
        about = {
            "policies": [one.policy for one in everybody],
            "reasons": [{str(reason): count for reason, count in one.reasons.items()} for one in everybody],
            "seeds": len(each.seeds),
            "scenario": [each.scenario.cost_bp, each.scenario.nav, each.scenario.latency],
            "names": list(names),
        }
        arrays |= {"about": np.array(json.dumps(about)), "timestamps": each.ceiling.timestamps, "rates": rates}
        np.savez_compressed(target / f"{index:02d}.npz", **arrays)


def load_scores(folder: Path) -> Kept:
    """Read the scores of all scenarios.

    Raises
    ------
    ResultsError
        If there are none, or they cannot be read.
    """
    files = sorted((folder / "scores").glob("*.npz"))
    if not files:
        raise ResultsError(f"no scores lie in {folder}: run `agent walk-forward` first")
    scores: list[Scores] = []
    try:
        for file in files:
            with np.load(file, allow_pickle=False) as arrays:
                data = dict(arrays)
            about = json.loads(str(data["about"]))
            scores.append(_scores(about, data))
    except (OSError, ValueError, KeyError) as error:
        raise ResultsError(f"the scores in {folder} cannot be read ({error}): run the walk-forward again") from error
    return Kept(scores, tuple(about["names"]), data["rates"])


def _scores(about: Mapping[str, Any], data: Mapping[str, Any]) -> Scores:
    everybody = []
    for index, (name, reasons) in enumerate(zip(about["policies"], about["reasons"], strict=True)):
        own: dict[str, Any] = {key: data[key][index : index + 1] for key in _ARRAYS}
        counted = {Reason(reason): int(count) for reason, count in reasons.items()}
        everybody.append(Backtest(policy=name, timestamps=data["timestamps"], reasons=counted, **own))
    (cost, nav, latency), seeds = about["scenario"], int(about["seeds"])
    scenario = Scenario(cost, nav, int(latency))
    return Scores(scenario, tuple(everybody[:seeds]), tuple(everybody[seeds:-1]), everybody[-1])
