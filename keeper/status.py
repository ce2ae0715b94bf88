"""The output of `keeper status` and `keeper once`: gathered as plain data, then drawn as tables."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.units import WAD
from keeper.chain.rpc import Rpc
from keeper.conversion import HOLD
from keeper.errors import KeeperError
from keeper.journal import Intent, read_journal
from keeper.snapshot import Snapshot, read_snapshot

if TYPE_CHECKING:
    from keeper.config import KeeperConfig
    from keeper.cycle import CycleResult


def gather(config: KeeperConfig, count: int) -> dict[str, Any]:
    """Return the state of vault and journal as plain data; a node that fails is an `error` entry, not an exception."""
    found: dict[str, Any] = {
        "chain_id": config.chain_id,
        "node": config.safe_rpc_url,
        "policy": config.policy,
        "vault": _gather_vault(config),
        "intents": {},
        "under_way": None,
        "cycles": [],
    }
    journal = read_journal(config.journal, config.chain_id, config.vault)
    if journal is None:
        return found
    try:
        latest = journal.latest_intent()
        found["intents"] = journal.count_intents()
        found["under_way"] = _intent(latest) if latest is not None and latest.state.is_open else None
        found["cycles"] = journal.recent_cycles(count)
    finally:
        journal.close()
    for cycle in found["cycles"]:
        cycle.pop("decision")
    return found


def _gather_vault(config: KeeperConfig) -> dict[str, Any]:
    try:
        rpc = Rpc(config.rpc_url.get_secret_value(), config.rpc_timeout_seconds, config.safe_rpc_url)
        rpc.check_chain(config.chain_id)
        snapshot = read_snapshot(rpc, lens=config.lens, vault=config.vault, max_block_age=inf, clock=time.time)
    except KeeperError as error:
        return {"address": config.vault, "error": str(error)}
    return _vault(snapshot)


def _vault(snapshot: Snapshot) -> dict[str, Any]:
    nav, unit = snapshot.nav, 10**snapshot.asset_decimals
    return {
        "address": snapshot.vault,
        "block": snapshot.block.number,
        "block_age_seconds": snapshot.read_at - snapshot.block.timestamp,
        "halted": snapshot.halted,
        "valued": snapshot.valued,
        "keeper": snapshot.keeper,
        "policy_hash": snapshot.policy_hash,
        "epoch": snapshot.epoch,
        "nav": nav / unit,
        "bid": snapshot.bid / unit,
        "ask": snapshot.ask / unit,
        "idle": snapshot.idle / unit,
        "share_price": snapshot.share_price / WAD,
        "high_water_mark": snapshot.high_water_mark / WAD,
        "drawdown_floor": snapshot.drawdown_floor / WAD,
        "walls": _walls(snapshot),
        "strategies": [
            {
                "name": s.label,
                "address": s.target,
                "live": s.live,
                "assets": s.assets / unit,
                "weight": s.assets / nav if nav else 0.0,
                "relative_cap": s.relative_cap / WAD,
                "supply_rate": s.supply_rate / WAD if s.has_rate else None,
            }
            for s in snapshot.strategies
        ],
    }


def _walls(snapshot: Snapshot) -> dict[str, Any]:
    """Return the unused part of each limit at the block: shares of NAV, of the mark, and seconds."""
    limits = snapshot.limits
    return {
        "drawdown": snapshot.drawdown,
        "max_drawdown": limits.max_drawdown / WAD,
        "turnover_left": snapshot.turnover_budget / WAD,
        "turnover_capacity": limits.turnover_capacity / WAD,
        "loss_left": snapshot.loss_budget / WAD,
        "loss_capacity": limits.loss_capacity / WAD,
        "cooldown_left_seconds": snapshot.cooldown_left,
        "cooldown_seconds": limits.cooldown,
        "silence_left_seconds": max(0, limits.max_silence - snapshot.silence),
        "max_silence_seconds": limits.max_silence,
    }


def _intent(intent: Intent) -> dict[str, Any]:
    return {
        "id": intent.id,
        "kind": intent.kind.value,
        "state": intent.state.value,
        "nonce": intent.nonce,
        "epoch": intent.epoch,
        "deadline": intent.deadline,
        "transactions": [attempt.transaction_hash for attempt in intent.attempts],
    }


# --- drawing -----------------------------------------------------------------------------------------------------


def show(found: dict[str, Any]) -> None:
    """Draw the result of `gather`."""
    console = Console(highlight=False)
    vault = found["vault"]
    console.print(f"[bold]Vault[/] {vault['address']}  chain {found['chain_id']} via {escape(found['node'])}")
    if "error" not in vault:
        _show_vault(console, vault)
    if found["under_way"]:
        intent = found["under_way"]
        console.print(
            f"[yellow]Under way[/]: {intent['kind']}, epoch {intent['epoch']}, nonce {intent['nonce']}, "
            f"{intent['state']}"
        )
    if found["intents"]:
        console.print("Intents: " + ", ".join(f"{count} {state}" for state, count in sorted(found["intents"].items())))
    if not found["cycles"]:
        console.print("The journal holds no cycle yet. Start with: keeper once")
        return
    table = Table(
        "cycle", "time (UTC)", "block", "mode", "outcome", "reason", title="Last cycles", title_justify="left"
    )
    for row in found["cycles"]:
        moment = datetime.fromtimestamp(row["started_at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        mode = "live" if row["live"] else "dry"
        block = "" if row["block_number"] is None else str(row["block_number"])
        table.add_row(str(row["id"]), moment, block, mode, row["outcome"], escape(row["reason"]))
    console.print(table)


def _show_vault(console: Console, vault: dict[str, Any]) -> None:
    state = "[bold red]HALTED[/]" if vault["halted"] else "[green]open[/]"
    if not vault["valued"]:
        state += "  [bold red]QUARANTINE: a strategy cannot be valued[/]"
    walls = vault["walls"]
    silence = timedelta(seconds=walls["silence_left_seconds"])
    silent = f"{silence} until anyone may unwind" if silence else "[bold red]over: anyone may unwind[/]"
    console.print(
        f"{state}  epoch {vault['epoch']}  block {vault['block']} ({vault['block_age_seconds']} s old)\n"
        f"NAV {vault['nav']:,.2f}  idle {vault['idle']:,.2f}  share price {vault['share_price']:.6f}\n"
        f"bid {vault['bid']:,.2f}  ask {vault['ask']:,.2f}  "
        f"mark {vault['high_water_mark']:.6f}  trips under {vault['drawdown_floor']:.6f}\n"
        f"drawdown {walls['drawdown']:.2%} of at most {walls['max_drawdown']:.2%}  "
        f"budgets left: turnover {walls['turnover_left']:.2%} of {walls['turnover_capacity']:.2%}, "
        f"loss {walls['loss_left']:.4%} of {walls['loss_capacity']:.4%} of NAV\n"
        f"cooldown {timedelta(seconds=walls['cooldown_left_seconds'])} left  silence {silent}\n"
        f"keeper {vault['keeper']}\npolicy {vault['policy_hash']}"
    )
    table = Table("strategy", "assets", "weight", "cap", "rate")
    for item in vault["strategies"]:
        rate = "none" if item["supply_rate"] is None else f"{item['supply_rate']:.2%}"
        name = escape(item["name"]) if item["live"] else f"[red]{escape(item['name'])} (cannot be read)[/]"
        table.add_row(name, f"{item['assets']:,.2f}", f"{item['weight']:.2%}", f"{item['relative_cap']:.2%}", rate)
    console.print(table)


def show_cycle(result: CycleResult, compact: bool = False) -> None:
    """Draw a cycle's result; `compact` on one line, for a loop's output."""
    console = Console(highlight=False)
    colour = "green" if result.succeeded else "red"
    sent = f"  {result.transaction_hash}" if result.transaction_hash else ""
    where = "" if result.block_number is None else f"block {result.block_number}  "
    console.print(f"[{colour} bold]{result.outcome}[/]  {where}{escape(result.reason)}{sent}", soft_wrap=True)
    if compact or not result.weights or result.target is None:
        return
    table = Table("strategy", "weight", "target", "sent")
    orders = result.request.weights if result.request else (HOLD,) * len(result.weights)
    for name, now, then, order in zip(result.strategies, result.weights, result.target, orders, strict=True):
        shown = "hold" if order == HOLD else f"{order / WAD:.6%}"
        table.add_row(escape(name), f"{now:.2%}", f"{then:.2%}", shown)
    console.print(table)
