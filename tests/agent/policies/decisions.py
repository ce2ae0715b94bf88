"""Decisions of every rule on fixed observations: they pin the behaviour of a rule to its version.

A rule that decides anything differently raises its `version`. Then write the decisions again:

    python -m tests.agent.policies.decisions
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from agent.observation.observe import Observation
from agent.policies.forecast import Forecast
from agent.policies.rules import (
    BestTrailing,
    EqualWeight,
    FixedMix,
    Greedy,
    GreedyBand,
    Hold,
    HoldBestTrailing,
    RandomFeasible,
    Rule,
    SingleAsset,
    TunedBand,
)

FILE = Path(__file__).with_suffix(".json")
COMMAND = "python -m tests.agent.policies.decisions"
SAME = 1e-9  # sums may differ in their last bits from one machine to another


def _forecast(kind: Any, decay: tuple[tuple[float, ...], ...]) -> Forecast:
    costs = (1e-4, 2e-4, 1e-4)
    return Forecast(kind, (0.05, 0.06, 0.04), decay, 20.0, costs, costs, (0.6, 0.5, 0.6), 0.98)


def rules() -> dict[str, Rule | RandomFeasible]:
    """Every rule, with parameters that its decisions depend on."""
    made = (
        EqualWeight(),
        Hold(),
        Greedy(),
        GreedyBand(),
        SingleAsset(1),
        FixedMix("fixed-mix", (0.5, 0.3, 0.2)),
        HoldBestTrailing((0.0002, 0.0003, 0.0001)),
        BestTrailing(),
        TunedBand(0.001, 7.0, "fast"),
        _forecast("ar1", ((0.5, 0.0, 0.0), (0.0, 0.7, 0.0), (0.0, 0.0, 0.2))),
        _forecast("var1", ((0.5, 0.1, 0.0), (-0.2, 0.7, 0.1), (0.3, 0.0, 0.2))),
        RandomFeasible(np.random.default_rng(5)),
    )
    return {rule.name: rule for rule in made}


def observations() -> Observation:
    """24 observations of three strategies: empty, nearly empty, partly and fully invested, with and without ties."""
    rng = np.random.default_rng(2026)
    batch, count = 24, 3
    weights = rng.dirichlet(np.ones(count), batch) * rng.choice([0.0, 0.005, 0.6, 0.98], (batch, 1))
    weights[::4] = np.where(np.arange(count) == 1, 0.38, np.where(np.arange(count) == 0, 0.6, 0.0))
    rates = rng.uniform(0.0, 0.12, (batch, count))
    rates[3::5, 2] = rates[3::5, 0]
    return Observation(
        weights=weights,
        idle=1.0 - weights.sum(-1),
        rates=rates,
        fast=rates + rng.normal(0.0, 0.02, rates.shape),
        slow=rates + rng.normal(0.0, 0.05, rates.shape),
        drawdown=np.zeros(batch),
        gas_share=rng.choice([0.0, 1e-6, 1e-4], batch),
        move_cost=rng.choice([0.0, 2e-4, 1e-3], batch),
    )


def decided() -> dict[str, dict[str, Any]]:
    """Version, digest and decisions of every rule now."""
    seen = observations()
    return {
        name: {"version": rule.version, "digest": rule.digest, "wanted": rule.act(seen).tolist()}
        for name, rule in rules().items()
    }


def written() -> dict[str, dict[str, Any]]:
    """The same as committed."""
    data: dict[str, dict[str, Any]] = json.loads(FILE.read_text())
    return data


def changed(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether a rule decides anything differently."""
    return not np.allclose(now["wanted"], before["wanted"], rtol=0.0, atol=SAME)


def main() -> int:
    """Write the decisions, unless a rule decides differently under the same version."""
    now, before = decided(), written() if FILE.exists() else {}
    silent = [
        name
        for name, entry in now.items()
        if name in before and entry["version"] == before[name]["version"] and changed(entry, before[name])
    ]
    if silent:
        print(f"behaviour of {', '.join(silent)} changed: raise its version first", file=sys.stderr)
        return 1
    rows = [f' "{name}": {json.dumps(entry)}' for name, entry in now.items()]
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
