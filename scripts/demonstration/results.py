"""What the demo shows at its end: the summary for scripts and the table for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agent.portfolio import replay
from scripts.demonstration.record import Day

YEAR = 365.0


@dataclass(frozen=True)
class Summary:
    """The figures of one run; `out/demo/summary.json` holds exactly these.

    Money is in whole asset units, shares and returns are fractions. Returns a year are compounded. A `_net` return is
    after the gas that the keeper paid.
    """

    data_source: str
    first_day: str
    last_day: str
    days: int
    policy: str
    policy_hash: str
    rebalances_mined: int
    rebalances_failed: int
    days_without_trade: int
    cap_violations: int
    cap_hits: int
    nav_start: float
    nav_end_before_stress: float
    return_per_year: float
    return_per_year_net: float
    return_per_year_equal_weight: float
    return_per_year_hold: float
    return_per_year_greedy: float
    gas_used: int
    gas_paid: float
    max_drawdown: float
    drawdown_limit: float
    rate_tracking_max_error: float
    parity_max_rel_error: float
    stress_loss: float
    stress_drawdown: float
    kill_switch_tripped: bool
    rebalance_after_trip_reverted: bool
    keeper_refused_after_trip: bool
    unwound_to_idle_share: float
    depositors_repaid_share: float
    seconds_training: float
    seconds_total: float

    def write(self, path: Path) -> None:
        """Write the figures as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @property
    def failures(self) -> list[str]:
        """What did not come out as it must, in words; empty for a good run."""
        checks = {
            f"{self.rebalances_failed} rebalances failed": self.rebalances_failed == 0,
            f"{self.cap_violations} cap violations": self.cap_violations == 0,
            "the kill-switch did not trip": self.kill_switch_tripped,
            "the chain accepted a rebalance after the trip": self.rebalance_after_trip_reverted,
            "the keeper did not refuse after the trip": self.keeper_refused_after_trip,
            f"only {self.depositors_repaid_share:.4%} was repaid": self.depositors_repaid_share > 1 - 1e-6,
            f"the money math is off by {self.parity_max_rel_error:.1e}": self.parity_max_rel_error <= 1e-9,
        }
        return [text for text, good in checks.items() if not good]


def annualised(start: float, end: float, days: float) -> float:
    """Compounded return a year: `(end / start) ** (365 / days) - 1`."""
    return float((end / start) ** (YEAR / days) - 1.0)


def parity_error(days: Sequence[Day], hold: int, wad: int) -> float:
    """Largest relative difference between the vault's NAV path and the money math fed with prices and weights.

    Parameters
    ----------
    days
        The replay; prices and NAV of a day are of one block, that of the rebalance where there was one.
    hold
        Weight that means "leave as it is" (`Vault.HOLD`).
    wad
        One on chain, 1e18.
    """
    count = len(days[0].prices)
    # Ratios of integers, so that a price of 30 digits keeps them all until the division.
    prices = np.array([[p / q for p, q in zip(day.prices, days[0].prices, strict=True)] for day in days])
    sent = [day.sent if day.sent is not None else (hold,) * count for day in days]
    traded = np.array([[weight != hold for weight in row] for row in sent])
    weights = np.array([[0.0 if weight == hold else weight / wad for weight in row] for row in sent])
    predicted = replay(prices, weights, traded, float(days[0].nav))
    actual = np.array([day.nav for day in days], dtype=np.float64)
    return float(np.max(np.abs(predicted / actual - 1.0)))


def net_worth(days: Sequence[Day], unit: float, gas_in_asset: float) -> NDArray[np.float64]:
    """NAV less the gas paid so far, whole asset units, shape `(len(days),)`.

    `unit` is the number of base units in one asset, `gas_in_asset` the price of one wei in whole asset units.
    """
    gas = np.cumsum([day.gas_used * day.gas_price * gas_in_asset for day in days])
    return np.array([day.nav for day in days], dtype=np.float64) / unit - gas


def show(console: Console, summary: Summary, symbol: str, paths: Mapping[str, Path]) -> None:
    """Print the table, then where the files are."""
    s = summary
    table = Table(title=f"{s.days} days, {s.first_day} to {s.last_day} ({s.data_source})", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("beside it", style="dim")
    table.add_row("rebalances mined", str(s.rebalances_mined), f"{s.rebalances_failed} failed")
    table.add_row("days without a trade", str(s.days_without_trade), "each with its reason in days.csv")
    table.add_row(f"NAV, {symbol}", f"{s.nav_end_before_stress:,.2f}", f"from {s.nav_start:,.2f}")
    table.add_row("return per year", f"{s.return_per_year:.3%}", f"{s.return_per_year_net:.3%} after gas")
    table.add_row("   equal weight", f"{s.return_per_year_equal_weight:.3%}", "after gas, same days, same walls")
    table.add_row("   hold", f"{s.return_per_year_hold:.3%}", "")
    table.add_row("   greedy best rate", f"{s.return_per_year_greedy:.3%}", "")
    table.add_row(f"gas paid, {symbol}", f"{s.gas_paid:,.2f}", f"{s.gas_used:,} units")
    table.add_row("cap hits", str(s.cap_hits), f"{s.cap_violations} violations")
    table.add_row("drawdown before the bad day", f"{s.max_drawdown:.4%}", f"limit {s.drawdown_limit:.0%}")
    table.add_row("money math against the chain", f"{s.parity_max_rel_error:.1e}", "largest relative error of NAV")
    table.add_section()
    table.add_row("the bad day: loss", f"{s.stress_loss:,.2f}", f"drawdown {s.stress_drawdown:.1%}")
    table.add_row("kill-switch tripped", _yes(s.kill_switch_tripped), "by an account without any role")
    table.add_row("rebalance after it refused", _yes(s.rebalance_after_trip_reverted), "by the chain")
    table.add_row("", _yes(s.keeper_refused_after_trip), "by the keeper")
    table.add_row("depositors repaid", f"{s.depositors_repaid_share:.6%}", "of what the loss left")
    table.add_row("time", f"{s.seconds_total:.0f} s", f"training {s.seconds_training:.0f} s")
    console.print()
    console.print(table)
    for name, path in paths.items():
        console.print(f"{name:>10}: [bold]{path}[/bold]", soft_wrap=True)


def _yes(value: bool) -> str:
    return "yes" if value else "[red]NO[/red]"
