"""The vault's limits as sentences for a depositor."""

from dataclasses import dataclass

from agent.units import DAY, span
from agent.vault.limits import WEEK
from keeper.inspect.words import percent
from keeper.snapshot import WAD, LimitsSnapshot


@dataclass(frozen=True)
class LimitValues(LimitsSnapshot):
    """The limits of a vault, and their meaning to a depositor."""

    def worst_loss(self, seconds: int) -> int:
        """Return the share of NAV (WAD) that a thief of the keeper's key can destroy within `seconds`, at most all."""
        return min(self.loss_capacity + self.loss_refill * seconds, WAD)

    def lines(self) -> list[str]:
        """Return the limits that are one number each, one sentence for each."""
        told = [f"After every rebalance at least {percent(self.idle_floor)} stays idle."]
        if self.cooldown:
            told.append(f"At least {span(self.cooldown)} pass between rebalances.")
        told += [
            f"Rebalancing may move at most {percent(self.turnover_capacity)} of the vault at once; "
            f"{percent(self.turnover_refill * DAY)} a day come back.",
            f"Whoever has the keeper's key, a thief too, can make it lose at most {percent(self.worst_loss(DAY))} "
            f"in a day and {percent(self.worst_loss(WEEK))} in a week, whatever they do with it.",
            f"When the share price is more than {percent(self.max_drawdown)} under its high-water mark, anybody may "
            "halt the vault for good, and the next withdrawal does; then anybody may take its funds out of the "
            "strategies, to idle.",
            f"The high-water mark grows at most {percent(self.mark_growth_rate)} a year.",
            f"When the keeper has given no sign for {span(self.max_silence)}, anybody may take the funds out of the "
            "strategies, to idle.",
        ]
        return told
