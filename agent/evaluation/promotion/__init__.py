"""The gate: a learned policy serves only where it has beaten every simple rule out of sample. Fixed before any run.

A policy is promoted if and only if, on days that nothing was trained, tuned or fitted on,

1. the lower one-sided 95 % bound of its net excess log return over the best baseline is above zero, and
2. its drawdown of net worth is no worse than that baseline's.

The best baseline is the one with the highest net growth on these very days, which is as hard on the policy as it can
be. Where it fails, the gate says which baseline should serve: the best that can, which the keeper knows by name or
gets as a file (`agent.evaluation.serving`).

The verdict is written into the manifest of a *new* policy file, never into the old one: the manifest's digest is the
`policyHash` that governance commits on chain, so what is committed commits to its verdict too, and a policy that never
stood before the gate cannot pass for one that did. A sidecar beside the file would need a signature, hence a key, and
no key belongs on a machine that trains.
"""

from __future__ import annotations

from agent.evaluation.promotion.candidate import Trained, load_trained, write_verdict
from agent.evaluation.promotion.judging import (
    RULE,
    average_returns,
    compare_all,
    judge,
    judge_on_history,
    judge_walk_forward,
)
from agent.evaluation.promotion.verdict import Verdict

__all__ = [
    "RULE",
    "Trained",
    "Verdict",
    "average_returns",
    "compare_all",
    "judge",
    "judge_on_history",
    "judge_walk_forward",
    "load_trained",
    "write_verdict",
]
