"""The vault's walls in Python, and the exact projection onto them.

A portfolio is admissible when every weight is between zero and its cap (the smaller of the relative cap and the
absolute cap over NAV) and when at least the idle floor stays idle. `Limits.project` returns the admissible weights
that are nearest (in the Euclidean sense) to those wanted. Clipping and renormalising instead breaks the caps.
"""

from agent.limits.file import LimitsFile, describe, load_limits
from agent.limits.projection import project_between, project_capped, project_rows
from agent.limits.walls import MAX_STRATEGIES, Limits

__all__ = [
    "MAX_STRATEGIES",
    "Limits",
    "LimitsFile",
    "describe",
    "load_limits",
    "project_between",
    "project_capped",
    "project_rows",
]
