"""The bid: what leaving a vault is paid from. It believes of a gain no more than a set growth of what is recorded.

The arithmetic of `Valuation._value` and of the records that `Positions` keeps, batched. Each position counts for at
most its recorded value and the growth since, and the whole for at most the recorded bid and the growth since. Losses
count at once. The contract records the bid whenever money or a rebalance comes; here that is at every row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.columns import total
from agent.units import FloatArray

_NOTHING = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Records:
    """The records of a batch of vaults, and what they have grown to.

    Attributes
    ----------
    whole
        `(B,)` most that the whole vault counts for.
    values
        `(B, n)` value of each position when it was last deposited into; a withdrawal takes its part along.
    most
        `(B, n)` most that each position counts for: `values` and the growth since.
    """

    whole: FloatArray
    values: FloatArray
    most: FloatArray

    @classmethod
    def of(cls, assets: FloatArray, nav: FloatArray) -> Records:
        """Return the records of vaults whose positions `(B, n)` and NAV `(B,)` are recorded at this moment."""
        return cls(nav, assets, assets)

    def bid(self, assets: FloatArray, idle: FloatArray) -> FloatArray:
        """Return the bid, `(B,)`: never over NAV."""
        return np.asarray(np.minimum(idle + total(np.minimum(assets, self.most)), self.whole))

    def grown(self, bid: FloatArray, growth: float) -> Records:
        """Return the records after some time: the bid at its start, `(B,)`, is recorded and grows.

        Growth is simple for a position, since it is counted from when that was recorded.
        """
        return Records(bid * (1.0 + growth), self.values, self.most + self.values * growth)

    def moved(self, bid: FloatArray, assets: FloatArray, withdrawn: FloatArray, deposited: FloatArray) -> Records:
        """Return the records after withdrawals from and deposits into positions, `(B, n)` each.

        The bid before, `(B,)`, is recorded: no move lifts it. A withdrawal takes shares, and with them their part of
        the record. A deposit records anew: what is believed of the position, and the deposit.
        """
        put = (deposited > 0).astype(np.float64)
        left = (1.0 - put) * (1.0 - withdrawn / np.maximum(assets, _NOTHING))
        believed = put * (np.minimum(assets, self.most) + deposited)  # products cost a quarter of `np.where`
        return Records(bid, self.values * left + believed, self.most * left + believed)
