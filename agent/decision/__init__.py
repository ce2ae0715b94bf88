"""From the weights a policy wants to a rebalance that is admissible and worth sending, or a reason why not.

Pure and batched. The environments, the backtest and the keeper call this same function, so what a policy was trained
and tested with is what happens on chain.
"""

from agent.decision.decide import Decision, decide
from agent.decision.reasons import REASONS, Reason
from agent.decision.rules import DecisionRules

__all__ = ["REASONS", "Decision", "DecisionRules", "Reason", "decide"]
