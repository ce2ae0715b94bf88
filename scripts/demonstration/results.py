"""The demo's results: the summary for scripts and the table for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agent.backtest import Setting, run
from agent.market.path import MarketPath
from agent.policies.load import load_policy
from agent.units import WAD, YEAR
from agent.vault.limits_file import LimitsFile
from agent.vault.replay import replay
from keeper.conversion import HOLD
from scripts.demonstration.replay import Day, Replay
from scripts.demonstration.series import DemoSeries, Learned
from scripts.demonstration.stage import BASE_FEE_GWEI
from scripts.demonstration.stress import BadDay
from scripts.protocols.aave import ETH_PRICE
from scripts.protocols.artifacts import USDC_UNIT

WEI = ETH_PRICE / 1e18  # whole asset units
BASELINES = ("equal-weight", "hold", "greedy")


@dataclass(frozen=True)
class Run:
    """All results of one run."""

    series: DemoSeries
    limits: LimitsFile
    days: tuple[Day, ...]
    replay: Replay
    bad_day: BadDay
    learned: Learned


def failures(summary: Mapping[str, Any]) -> list[str]:
    """Return the checks that failed, in words; empty for a good run."""
    s = summary
    checks = {
        f"{s['rebalances_failed']} rebalances failed": s["rebalances_failed"] == 0,
        f"{s['cap_violations']} cap violations": s["cap_violations"] == 0,
        "the kill-switch did not trip": s["kill_switch_tripped"],
        "the chain accepted a rebalance after the trip": s["rebalance_after_trip_reverted"],
        "the keeper did not refuse after the trip": s["keeper_refused_after_trip"],
        f"only {s['depositors_repaid_share']:.4%} was repaid": s["depositors_repaid_share"] > 1 - 1e-6,
        f"the money math is off by {s['parity_max_rel_error']:.1e}": s["parity_max_rel_error"] <= 1e-9,
    }
    return [text for text, good in checks.items() if not good]


def annualised(start: float, end: float, seconds: float) -> float:
    """Return the compounded return a year."""
    return float((end / start) ** (YEAR / seconds) - 1.0)


def parity_error(days: Sequence[Day]) -> float:
    """Largest relative difference between the vault's NAV path and the money math fed with prices and weights.

    Prices, weights and NAV of a day are of one block: that of the rebalance where there was one.
    """
    count = len(days[0].prices)
    # Ratios of integers, so that a price of 30 digits keeps them all until the division.
    prices = np.array([[p / q for p, q in zip(day.prices, days[0].prices, strict=True)] for day in days])
    sent = [day.sent if day.sent is not None else (HOLD,) * count for day in days]
    traded = np.array([[weight != HOLD for weight in row] for row in sent])
    weights = np.array([[0.0 if weight == HOLD else weight / WAD for weight in row] for row in sent])
    predicted = replay(prices, weights, traded, float(days[0].nav))
    actual = np.array([day.nav for day in days], dtype=np.float64)
    return float(np.max(np.abs(predicted / actual - 1.0)))


def growth(run_: Run) -> dict[str, NDArray[np.float64]]:
    """Net worth (NAV less the gas paid so far) over the first NAV: on chain, and of the baselines, `(days + 1,)` each.

    The baselines are run by the backtest over the rates that were on chain, with the same walls and the same gas price,
    from the same funds.
    """
    days = run_.days
    start = days[0].nav
    # What a day's rebalance cost is paid after that day's NAV was read, as in the backtest.
    paid = np.concatenate([[0.0], np.cumsum([day.gas_used * day.gas_price * WEI for day in days])[:-1]])
    paths = {"PPO": np.array([day.nav / start for day in days]) - paid * USDC_UNIT / start}
    path = MarketPath(
        timestamps=np.array([day.timestamp for day in days], dtype=np.int64),
        rates=np.array([[day.rates for day in days]]),
        gas_cost=np.array([[(day.gas_price or BASE_FEE_GWEI * 10**9) * WEI for day in days]]),
        names=run_.limits.names,
    )
    setting = Setting(run_.limits.limits(), nav=start / USDC_UNIT)
    for name in BASELINES:
        result = run(load_policy(name), path, setting)
        paths[name] = result.net_worth[0] / result.net_worth[0, 0]
    return paths


def summarise(run_: Run, paths: Mapping[str, NDArray[np.float64]], seconds: float) -> dict[str, Any]:
    """Return the figures of a run, which `out/demo/summary.json` holds; `paths` are those of `growth`.

    Money is in whole asset units, shares and returns are fractions. Returns a year are compounded. A `_net` return is
    after the gas that the keeper paid.
    """
    days, bad = run_.days, run_.bad_day
    first, last = days[0], days[-1]
    elapsed = last.timestamp - first.timestamp
    a_year = {name: annualised(path[0], path[-1], elapsed) for name, path in paths.items()}
    return {
        "data_source": run_.series.source,
        "first_day": _date(first),
        "last_day": _date(last),
        "days": len(days) - 1,
        "policy": str(run_.learned.path),
        "policy_hash": run_.learned.policy.digest,
        "trained_on": run_.series.market_source,
        "rebalances_mined": sum(day.mined for day in days),
        "rebalances_failed": sum(day.failed for day in days),
        "days_without_trade": sum(not day.mined and not day.failed for day in days[:-1]),
        "cap_violations": sum(day.cap_violations for day in days),
        "cap_hits": sum(day.cap_hits for day in days),
        "nav_start": first.nav / USDC_UNIT,
        "nav_end_before_stress": last.nav / USDC_UNIT,
        "return_per_year": annualised(first.nav, last.nav, elapsed),
        "return_per_year_net": a_year["PPO"],
        "return_per_year_equal_weight": a_year["equal-weight"],
        "return_per_year_hold": a_year["hold"],
        "return_per_year_greedy": a_year["greedy"],
        "gas_used": sum(day.gas_used for day in days),
        "gas_paid": sum(day.gas_used * day.gas_price for day in days) * WEI,
        "max_drawdown": max(day.drawdown for day in days),
        "drawdown_limit": run_.limits.max_drawdown,
        "rate_tracking_max_error": run_.replay.tracking_error,
        "rates_clamped": run_.replay.clamped,
        "parity_max_rel_error": parity_error(days),
        "stress_loss": bad.loss / USDC_UNIT,
        "stress_drawdown": bad.drawdown,
        "kill_switch_tripped": bad.tripped,
        "rebalance_after_trip_reverted": bad.reverted,
        "keeper_refused_after_trip": bad.refused,
        "unwound_to_idle_share": bad.unwound,
        "depositors_repaid_share": bad.repaid,
        "seconds_training": run_.learned.seconds,
        "seconds_total": seconds,
    }


def _date(day: Day) -> str:
    return datetime.fromtimestamp(day.timestamp, UTC).date().isoformat()


def show(console: Console, summary: Mapping[str, Any], symbol: str, paths: Mapping[str, Path]) -> None:
    """Print the table, then where the files are."""
    s = summary
    table = Table(
        title=f"{s['days']} days, {s['first_day']} to {s['last_day']} ({s['data_source']})", title_justify="left"
    )
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("beside it", style="dim")
    table.add_row("rebalances mined", str(s["rebalances_mined"]), f"{s['rebalances_failed']} failed")
    table.add_row("days without a trade", str(s["days_without_trade"]), "each with its reason in days.csv")
    table.add_row(f"NAV, {symbol}", f"{s['nav_end_before_stress']:,.2f}", f"from {s['nav_start']:,.2f}")
    table.add_row("return per year", f"{s['return_per_year']:.3%}", f"{s['return_per_year_net']:.3%} after gas")
    table.add_row("   equal weight", f"{s['return_per_year_equal_weight']:.3%}", "after gas, same days, same walls")
    table.add_row("   hold", f"{s['return_per_year_hold']:.3%}", "")
    table.add_row("   greedy best rate", f"{s['return_per_year_greedy']:.3%}", "")
    table.add_row(f"gas paid, {symbol}", f"{s['gas_paid']:,.2f}", f"{s['gas_used']:,} units")
    table.add_row("cap hits", str(s["cap_hits"]), f"{s['cap_violations']} violations")
    table.add_row("drawdown before the bad day", f"{s['max_drawdown']:.4%}", f"limit {s['drawdown_limit']:.0%}")
    table.add_row("money math against the chain", f"{s['parity_max_rel_error']:.1e}", "largest relative error of NAV")
    table.add_section()
    table.add_row("the bad day: loss", f"{s['stress_loss']:,.2f}", f"drawdown {s['stress_drawdown']:.1%}")
    table.add_row("kill-switch tripped", _yes(s["kill_switch_tripped"]), "by an account without any role")
    table.add_row("rebalance after it refused", _yes(s["rebalance_after_trip_reverted"]), "by the chain")
    table.add_row("", _yes(s["keeper_refused_after_trip"]), "by the keeper")
    table.add_row("depositors repaid", f"{s['depositors_repaid_share']:.6%}", "of what the loss left")
    table.add_row("time", f"{s['seconds_total']:.0f} s", f"training {s['seconds_training']:.0f} s")
    console.print()
    console.print(table)
    for name, path in paths.items():
        console.print(f"{name:>10}: [bold]{path}[/bold]", soft_wrap=True)


def _yes(value: bool) -> str:
    return "yes" if value else "[red]NO[/red]"
