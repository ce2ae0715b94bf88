"""Snapshots that are made by hand, without a chain."""

from __future__ import annotations

from typing import Any

from agent.policies.rules import EqualWeight
from agent.units import WAD
from agent.vault.limits import NO_CAP
from keeper.chain.rpc import Block
from keeper.conversion import View
from keeper.rates import PriceMarks, read_rates
from keeper.snapshot import GroupSnapshot, LimitsSnapshot, Snapshot, StrategySnapshot

UNIT = 10**6
ADDRESS = "0x" + "11" * 20
BLOCK = Block(100, "0x" + "aa" * 32, "0x" + "ab" * 32, 1_800_000_000, 10**9, 30_000_000, 12_000_000)

LIMITS = LimitsSnapshot(
    idle_floor=WAD // 50,
    max_drawdown=WAD // 10,
    max_growth_rate=WAD // 4,
    cooldown=3600,
    max_silence=604_800,
    loss_capacity=WAD // 200,
    loss_refill=WAD // 1000 // 86_400,
    turnover_capacity=2 * WAD,
    turnover_refill=WAD // 86_400,
    performance_fee=0,
    unwind_loss=WAD // 200,
    deposit_cap=NO_CAP,
)


def strategy(assets: int = 0, cap: int = 6 * WAD // 10, absolute: int = NO_CAP, **changes: Any) -> StrategySnapshot:
    values: dict[str, Any] = {
        "target": ADDRESS,
        "name": "pool",
        "shares": assets,
        "assets": assets,
        "recorded": assets,
        "recorded_at": BLOCK.timestamp - 3600,
        "price": 10**27,
        "entry_price": 10**27,
        "exit_price": 10**27,
        "supply_rate": WAD // 20,
        "has_rate": True,
        "max_withdraw": assets,
        "max_deposit": 2**255,
        "cash": 0,
        "has_cash": False,
        "relative_cap": cap,
        "absolute_cap": absolute,
        "live": True,
    }
    return StrategySnapshot(**{**values, **changes})


def group(*members: int, cap: int = WAD, absolute: int = NO_CAP) -> GroupSnapshot:
    return GroupSnapshot(ADDRESS, cap, absolute, sum(1 << index for index in members))


def snapshot(*strategies: StrategySnapshot, idle: int = 1_000_000 * UNIT, **changes: Any) -> Snapshot:
    nav = changes.get("nav", idle + sum(s.assets for s in strategies))
    values: dict[str, Any] = {
        "chain_id": 1,
        "block": BLOCK,
        "read_at": BLOCK.timestamp + 5,
        "vault": ADDRESS,
        "asset": ADDRESS,
        "asset_decimals": 6,
        "keeper": ADDRESS,
        "policy_hash": EqualWeight().digest,
        "epoch": 7,
        "last_rebalance": 0,
        "last_seen": BLOCK.timestamp - 60,
        "halted": False,
        "valued": True,
        "nav": nav,
        "bid": nav,
        "ask": nav,
        "total_supply": 10**18,
        "idle": idle,
        "share_price": WAD,
        "nav_price": WAD,
        "high_water_mark": WAD,
        "drawdown_floor": 9 * WAD // 10,
        "loss_budget": WAD // 200,
        "turnover_budget": 2 * WAD,
        "limits": LIMITS,
        "groups": (),
        "strategies": strategies or (strategy(), strategy(), strategy()),
    }
    return Snapshot(**{**values, **changes})


def view(state: Snapshot) -> View:
    return View.of(state, read_rates(state, PriceMarks(), None, most=2.0))
