"""When a rebalance is worth sending: the smallest trade, the dearest gas, the room kept to every limit."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import LimitsError


@dataclass(frozen=True)
class DecisionRules:
    """When a rebalance is worth sending.

    Attributes
    ----------
    min_trade
        Changes of a weight smaller than this share of NAV are not traded.
    max_gas_share
        Most that gas may cost, as a share of the amount moved.
    drift_margin
        Room kept to every cap (as a share of it), to the idle floor and to the turnover budget (as a share of NAV):
        between the block that was read and the block that trades, interest shifts held positions and NAV by a little,
        and pools round.
    """

    min_trade: float = 0.01
    max_gas_share: float = 0.001
    drift_margin: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("min_trade", "max_gas_share", "drift_margin"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise LimitsError(f"{name} must be in [0, 1), but is {value}")
