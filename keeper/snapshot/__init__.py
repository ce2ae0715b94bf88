"""What the keeper knows: one view call at one block, checked, then as the agent sees it.

`read_snapshot` pins the lens call to a block's hash, so every number in a `Snapshot` is of the same moment.
`View.of` turns it into float64 whole asset units and fractions; nothing else in the keeper converts that way.
"""

from keeper.snapshot.snapshot import WAD, LimitsSnapshot, Snapshot, StrategySnapshot, read_snapshot
from keeper.snapshot.view import NO_CAP, View, enforced_limits

__all__ = [
    "NO_CAP",
    "WAD",
    "LimitsSnapshot",
    "Snapshot",
    "StrategySnapshot",
    "View",
    "enforced_limits",
    "read_snapshot",
]
