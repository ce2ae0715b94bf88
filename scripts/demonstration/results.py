"""The demo's results: the summary for scripts and the table for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.backtest import Setting, simulate
from agent.market.path import MarketPath
from agent.observation.observe import Observation
from agent.units import DAY, WAD, YEAR, FloatArray
from agent.vault.limits_file import LimitsFile
from agent.vault.portfolio import Costs
from agent.vault.replay import replay
from keeper.conversion import HOLD, Leg
from scripts.demonstration import walls
from scripts.demonstration.preset import Preset, Rule, Tracking
from scripts.demonstration.replay import Step
from scripts.demonstration.series import Learned, Series
from scripts.demonstration.stress import BadDay
from scripts.protocols.artifacts import USDC_UNIT

LEARNED = "PPO"


@dataclass(frozen=True)
class Run:
    """All results of one run."""

    preset: Preset
    series: Series
    limits: LimitsFile
    steps: tuple[Step, ...]
    tracking: Tracking
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
        f"{s['attacks_accepted']} attempts at the walls went through": s["attacks_accepted"] == 0,
    }
    return [text for text, good in checks.items() if not good]


def annualised(start: float, end: float, seconds: float) -> float:
    """Return the compounded return a year."""
    return float((end / start) ** (YEAR / seconds) - 1.0)


def parity_error(steps: Sequence[Step]) -> float:
    """Largest relative difference between the vault's NAV path and the money math fed with prices, weights and costs.

    Prices, weights, costs and NAV of a step are of one block: that of the rebalance where there was one.
    """
    first, count = steps[0], len(steps[0].prices)
    # Ratios of integers, so that a price of 30 digits keeps them all until the division.
    prices = np.array([[p / q for p, q in zip(step.prices, first.prices, strict=True)] for step in steps])
    sent = [step.sent if step.sent is not None else (HOLD,) * count for step in steps]
    traded = np.array([[weight != HOLD for weight in row] for row in sent])
    weights = np.array([[0.0 if weight == HOLD else weight / WAD for weight in row] for row in sent])
    haircut = np.array(first.haircuts)
    costs = [Costs(entry=np.array(s.entry_costs), exit=np.array(s.exit_costs), haircut=haircut) for s in steps]
    predicted = replay(prices, weights, traded, float(first.nav_before), costs=costs)
    actual = np.array([step.nav_before for step in steps], dtype=np.float64)
    return float(np.max(np.abs(predicted / actual - 1.0)))


def growth(run: Run) -> dict[str, FloatArray]:
    """Net worth (NAV less the gas paid so far) over the first NAV: on chain, and of the rules, `(steps + 1,)` each.

    The rules are run by the backtest over the share prices and the liquidity that were on chain, with the same walls,
    the same gas price and the costs that the keeper was told, from the same funds.
    """
    steps, start = run.steps, run.steps[0].nav_before
    # What a step's rebalance cost is paid after that step's NAV was read, as in the backtest.
    paid = np.concatenate([[0.0], np.cumsum([_gas_paid(step) for step in steps])[:-1]])
    paths = {LEARNED: np.array([step.nav_before / start for step in steps]) - paid * USDC_UNIT / start}
    path = _market(run)
    setting = Setting(run.limits.limits(), _costs(run), nav=start / USDC_UNIT, version=run.preset.version)
    for name, rule in run.preset.rules(run.limits).items():
        result = simulate(name, partial(_act, rule), path, setting)
        paths[name] = result.net_worth[0] / result.net_worth[0, 0]
    return paths


def _act(rule: Rule, _: int, seen: Observation) -> FloatArray:
    return rule(seen)


def _market(run: Run) -> MarketPath:
    """Return what was on chain as a market: rates as they were seen, and growth as the share prices grew."""
    steps, path = run.steps, run.series.path
    prices = [[p / q for p, q in zip(step.prices, run.steps[0].prices, strict=True)] for step in steps]
    factors = np.ones((1, len(steps), len(prices[0])))
    factors[0, 1:] = np.array(prices[1:]) / np.array(prices[:-1])
    cash = [[np.inf if part is None else part / USDC_UNIT for part in step.cash] for step in steps]
    return MarketPath(
        timestamps=np.array([step.timestamp for step in steps], dtype=np.int64),
        rates=np.array([[step.rates for step in steps]]),
        gas_cost=np.array([[(step.gas_price or step.base_fee) * step.native_price / WAD for step in steps]]),
        names=run.limits.names,
        factors=factors,
        earned=np.zeros((1, len(steps), len(prices[0]))),
        liquidity=np.array([cash]),
        features=path.features,
        feature_names=path.feature_names,
    )


def _costs(run: Run) -> Costs:
    """Return what the keeper was told that trades cost, and the haircuts that the strategies show."""
    legs = [run.preset.costs.get(name, Leg(0.0, 0.0)) for name in run.limits.names]
    entry, leave, impact = np.array(legs).T
    return Costs(entry=entry, exit=leave, impact=impact, haircut=np.array(run.steps[0].haircuts))


def _gas_paid(step: Step) -> float:
    """Return what the keeper paid for gas, whole asset units."""
    return step.gas_used * step.gas_price * step.native_price / WAD


def summarise(run: Run, paths: Mapping[str, FloatArray], seconds: float) -> dict[str, Any]:
    """Return the figures of a run, which `summary.json` holds; `paths` are those of `growth`.

    Money is in whole asset units, shares and returns are fractions. Returns a year are compounded. A `_net` return is
    after the gas that the keeper paid; so are those of the rules. Budgets are shares of NAV.
    """
    steps, bad = run.steps, run.bad_day
    first, last = steps[0], steps[-1]
    elapsed = last.timestamp - first.timestamp
    a_year = {name: annualised(path[0], path[-1], elapsed) for name, path in paths.items()}
    rules = {key: a_year[key] for key in a_year if key != LEARNED}
    by_wall = [wall for wall in (walls.wall_of(each) for each in bad.disaster.refusals) if wall]
    by_wall += [step.refused for step in steps if step.refused]
    return {
        "preset": run.preset.name,
        "venues": list(run.limits.names),
        "data_source": run.series.source,
        "first_day": _date(first),
        "last_day": _date(last),
        "days": round(elapsed / DAY),
        "steps": len(steps) - 1,
        "step_seconds": round(elapsed / (len(steps) - 1)),
        "policy": str(run.learned.path),
        "policy_hash": run.learned.policy.digest,
        "trained_on": run.series.market_source,
        "rebalances_mined": sum(step.mined for step in steps),
        "rebalances_failed": sum(step.failed for step in steps),
        "rebalances_refused": sum(bool(step.refused) for step in steps),
        "days_without_trade": sum(not step.mined and not step.failed for step in steps[:-1]),
        "cap_violations": sum(step.cap_violations for step in steps),
        "cap_hits": sum(step.cap_hits for step in steps),
        "nav_start": first.nav_before / USDC_UNIT,
        "nav_end_before_stress": last.nav / USDC_UNIT,
        "return_per_year": annualised(first.nav_before, last.nav, elapsed),
        "return_per_year_net": a_year[LEARNED],
        **{f"return_per_year_{name.replace('-', '_')}": value for name, value in rules.items()},
        "best_rule": list(rules)[-1],
        "return_per_year_best_rule": list(rules.values())[-1],
        "returns": {name: float(path[-1] / path[0] - 1.0) for name, path in paths.items()},
        "gas_used": sum(step.gas_used for step in steps),
        "gas_paid": sum(_gas_paid(step) for step in steps),
        "loss_budget_used": sum(step.loss_budget_used for step in steps),
        "max_drawdown": max(step.drawdown for step in steps),
        "drawdown_limit": run.limits.max_drawdown,
        "rate_tracking_max_error": run.tracking.error,
        "rates_clamped": run.tracking.clamped,
        "parity_max_rel_error": parity_error(steps),
        "refused_by_liquidity": by_wall.count("liquidity"),
        "refused_by_price": by_wall.count("price"),
        "attacks_accepted": sum(not each for each in bad.disaster.refusals),
        "stress": list(bad.disaster.lines),
        "stress_loss": bad.loss / USDC_UNIT,
        "stress_drawdown": bad.drawdown,
        "kill_switch_tripped": bad.tripped,
        "rebalance_after_trip_reverted": bad.reverted,
        "keeper_refused_after_trip": bad.refused,
        "unwound_to_idle_share": bad.unwound,
        "left_in_kind": bad.stuck,
        "depositors_repaid_share": bad.repaid,
        "seconds_training": run.learned.seconds,
        "seconds_total": seconds,
    }


def _date(step: Step) -> str:
    return datetime.fromtimestamp(step.timestamp, UTC).date().isoformat()


def show(console: Console, run: Run, summary: Mapping[str, Any], symbol: str, files: Mapping[str, Path]) -> None:
    """Print the table, then where the files are."""
    s, unit = summary, run.preset.unit
    title = f"{s['steps']} {unit}s, {s['first_day']} to {s['last_day']} ({s['data_source']})"
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("beside it", style="dim")
    failed = f"{s['rebalances_failed']} failed, {s['rebalances_refused']} refused by a wall"
    table.add_row("rebalances mined", str(s["rebalances_mined"]), failed)
    table.add_row(f"{unit}s without a trade", str(s["days_without_trade"]), f"each with its reason in {unit}s.csv")
    table.add_row(f"NAV, {symbol}", f"{s['nav_end_before_stress']:,.2f}", f"from {s['nav_start']:,.2f}")
    if s["days"] >= YEARLY:
        table.add_row("return per year", f"{s['return_per_year']:.3%}", f"{s['return_per_year_net']:.3%} after gas")
        returns = {name: s[f"return_per_year_{name.replace('-', '_')}"] for name in list(s["returns"])[1:]}
    else:
        table.add_row("return", f"{s['returns'][LEARNED]:.3%}", "after gas")
        returns = dict(list(s["returns"].items())[1:])
    notes = dict.fromkeys(returns, "")
    notes |= {next(iter(notes)): "after gas, same prices, same walls", s["best_rule"]: "best rule known before"}
    for name, value in returns.items():
        table.add_row(f"   {name}", f"{value:.3%}", notes[name])
    table.add_row(f"gas paid, {symbol}", f"{s['gas_paid']:,.2f}", f"{s['gas_used']:,} units")
    table.add_row(
        "loss budget used", f"{s['loss_budget_used']:.3%}", "of NAV: costs, and what leaving may cost at most"
    )
    table.add_row("cap hits", str(s["cap_hits"]), f"{s['cap_violations']} violations")
    table.add_row("drawdown before the bad day", f"{s['max_drawdown']:.4%}", f"limit {s['drawdown_limit']:.0%}")
    table.add_row("money math against the chain", f"{s['parity_max_rel_error']:.1e}", "largest relative error of NAV")
    table.add_section()
    table.add_row("the bad day: loss", f"{s['stress_loss']:,.2f}", f"drawdown {s['stress_drawdown']:.1%}")
    if run.bad_day.disaster.refusals:
        refused = f"by liquidity {s['refused_by_liquidity']}, by price {s['refused_by_price']}"
        table.add_row("attempts at the walls", str(len(run.bad_day.disaster.refusals)), f"refused: {refused}")
    table.add_row("kill-switch tripped", _yes(s["kill_switch_tripped"]), "by an account without any role")
    table.add_row("rebalance after it refused", _yes(s["rebalance_after_trip_reverted"]), "by the chain")
    table.add_row("", _yes(s["keeper_refused_after_trip"]), "by the keeper")
    in_kind = f", {', '.join(run.bad_day.stuck)} in kind" if run.bad_day.stuck else ""
    table.add_row("depositors repaid", f"{s['depositors_repaid_share']:.6%}", f"of what the loss left{in_kind}")
    table.add_row("time", f"{s['seconds_total']:.0f} s", f"training {s['seconds_training']:.0f} s")
    console.print()
    console.print(table)
    for name, path in files.items():
        console.print(f"{name:>10}: [bold]{path}[/bold]", soft_wrap=True)


YEARLY = 60
"""Days from which on a return is told per year."""


def _yes(value: bool) -> str:
    return "yes" if value else "[red]NO[/red]"
