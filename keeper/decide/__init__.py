"""From a snapshot to a plan, with a reason. Pure: no clock, no chain, no key.

    Snapshot -> Observation -> wanted weights -> admissible weights -> Plan

The middle is the agent's own code, the same that trained and tested the policy. `reasons` refuses what must not be
acted on, and `weights` turns fractions into the chain's integers so that rounding can never carry one over a limit.
"""

from keeper.decide.decide import Settings, deadline, decide, decision_hash
from keeper.decide.plan import Action, Plan, Rebalance
from keeper.decide.weights import HOLD, chain_turnover, chain_weights

__all__ = [
    "HOLD",
    "Action",
    "Plan",
    "Rebalance",
    "Settings",
    "chain_turnover",
    "chain_weights",
    "deadline",
    "decide",
    "decision_hash",
]
