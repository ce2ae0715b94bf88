"""A `VaultState` as JSON, for scripts."""

from dataclasses import asdict
from typing import Any

from scripts.deployment.inspection import VaultState
from scripts.deployment.report.alarms import alarms
from scripts.deployment.report.calls import describe
from scripts.deployment.roles import LOOSENING_FUNCTIONS
from scripts.deployment.words import DAY, WAD


def to_json(state: VaultState) -> dict[str, Any]:
    """Return everything as plain JSON; money is base units as text, ratios are fractions, times seconds UTC."""
    authority = state.authority
    return {
        "chain_id": state.chain_id,
        "block": state.block,
        "timestamp": state.timestamp,
        "vault": state.vault,
        "name": state.name,
        "symbol": state.symbol,
        "asset": {"address": state.asset, "symbol": state.asset_symbol, "decimals": state.asset_decimals},
        "keeper": {"address": state.keeper if state.has_keeper else None, "last_seen": state.last_seen}
        | {"silent_from": state.silent_from, "silent": state.silent},
        "policy_hash": state.policy_hash,
        "epoch": state.epoch,
        "last_rebalance": state.last_rebalance or None,
        "halted": state.halted,
        "valued": state.valued,
        "total_assets": str(state.total_assets),
        "idle": str(state.idle),
        "share_price": state.share_price / WAD,
        "high_water_mark": state.high_water_mark / WAD,
        "drawdown": state.drawdown / WAD,
        "limits": {
            key: value if key in ("cooldown", "max_silence") else value / WAD
            for key, value in asdict(state.limits).items()
        },
        "budgets_left": {"loss": state.loss_budget / WAD, "turnover": state.turnover_budget / WAD},
        "worst_loss_by_keeper": {
            "day": state.limits.worst_loss(DAY) / WAD,
            "week": state.limits.worst_loss(7 * DAY) / WAD,
        },
        "notice": None if authority.problem else state.notice(*LOOSENING_FUNCTIONS),
        "fee_recipient": state.fee_recipient,
        "strategies": [
            {
                "address": entry.target,
                "name": entry.name,
                "live": entry.live,
                "assets": str(entry.assets),
                "weight": entry.assets / max(state.total_assets, 1),
                "withdrawable": str(entry.withdrawable),
                "supply_rate": None if entry.supply_rate is None else entry.supply_rate / WAD,
                "relative_cap": entry.relative_cap / WAD,
                "absolute_cap": str(entry.absolute_cap),
            }
            for entry in state.strategies
        ],
        "authority": authority.address,
        "roles": [
            {"role": authority.name(m.role), "account": m.account, "delay": m.delay, "since": m.since}
            for m in authority.members
        ],
        "functions": {
            name: authority.name(role) for (target, name), role in authority.functions.items() if target == state.vault
        },
        "pending": [
            {
                "id": operation.id,
                "what": describe(state, operation),
                "caller": operation.caller,
                "target": operation.target,
                "data": "0x" + operation.data.hex(),
                "ready_at": operation.ready_at,
                "expires_at": operation.expires_at,
            }
            for operation in authority.pending
        ],
        "given_up": [limit.name.lower() for limit in state.given_up] + ["caps"] * state.caps_given_up,
        "warnings": alarms(state),
    }
