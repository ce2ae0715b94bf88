"""A `VaultState` in plain words, as a depositor reads it, with warnings, and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from agent.units import span
from keeper.inspect.calls import describe
from keeper.inspect.roles import ADMIN, GOVERNOR_FUNCTIONS, GUARDIAN_FUNCTIONS, LOOSENING_FUNCTIONS, PUBLIC
from keeper.inspect.state import VaultState
from keeper.inspect.words import DAY, WAD, caps, moment, money, percent


def alarms(state: VaultState) -> list[str]:
    """Return what a depositor should not put up with."""
    told = []
    authority = state.authority
    if authority.problem is not None:
        return [f"WARNING: the vault's authority is {authority.address}; {authority.problem}."]
    told += [
        f"WARNING: the keeper also has the role {authority.name(member.role)}."
        for member in authority.members
        if member.account == state.keeper
    ]
    for member in authority.who(ADMIN):
        if member.delay == 0:
            told.append(f"WARNING: {member.account} is admin without a delay: it can change everything at once.")
    for name in (*GOVERNOR_FUNCTIONS, *GUARDIAN_FUNCTIONS):
        role = authority.functions[state.vault, name]
        if role == PUBLIC:
            told.append(f"WARNING: anybody may call {name}.")
        elif name in GOVERNOR_FUNCTIONS and role != ADMIN:
            told += [
                f"WARNING: {member.account} may {name} without a delay."
                for member in authority.who(role)
                if member.delay == 0
            ]
    return told


_ANYBODY = (ADMIN, PUBLIC)


def lines(state: VaultState) -> Iterator[str]:
    """Yield the whole report."""
    yield f"Chain {state.chain_id}, block {state.block}, {moment(state.timestamp)}."
    for title, told in (
        ("What the vault enforces", limit_lines(state)),
        ("How it stands", book_lines(state)),
        ("Who may do what", role_lines(state)),
        ("Announced and not yet done", pending_lines(state)),
        ("Given up for ever", abdicated_lines(state)),
    ):
        yield f"\n{title}:"
        yield from (f"  - {line}" for line in told)


def limit_lines(state: VaultState) -> list[str]:
    """Return the limits in plain words, one sentence each."""
    unit = (state.asset_decimals, state.asset_symbol)
    told = [f"{state.name} ({state.symbol}) at {state.vault} holds {state.asset_symbol} ({state.asset})."]
    if state.has_keeper:
        told.append(f"Only the keeper {state.keeper} moves funds, and only between the strategies below and idle.")
    else:
        told.append("There is no keeper: nobody can rebalance until governance sets one.")
    told += [
        f"After every rebalance {caps(entry.relative_cap, entry.absolute_cap, *unit)} in {entry.name} ({entry.target})."
        for entry in state.strategies
    ]
    told += state.limits.lines()
    told += [
        _fee_line(state),
        f"Only decisions of the policy {state.policy_hash} are carried out.",
        _notice_line(state),
        "Leaving needs nobody's permission, halted or not: withdraw or redeem; and redeemInKind, which hands out your "
        "part of idle and of every strategy's shares, when a strategy cannot pay or cannot be valued.",
    ]
    if state.halted:
        told.append("THE VAULT IS HALTED: no deposits, no rebalances; withdraw.")
    return told


def book_lines(state: VaultState) -> list[str]:
    """Return where the money is, how far the share price has fallen, and what is left of the budgets."""
    unit = (state.asset_decimals, state.asset_symbol)
    nav = max(state.total_assets, 1)
    told = [f"NAV {money(state.total_assets, *unit)}, idle {money(state.idle, *unit)} ({state.idle / nav:.2%})."]
    for entry in state.strategies:
        if not entry.live:
            told.append(f"{entry.name} ({entry.target}): CANNOT BE READ.")
            continue
        rate = "" if entry.supply_rate is None else f", pays {entry.supply_rate / WAD:.2%} a year"
        told.append(
            f"{entry.name}: {money(entry.assets, *unit)} ({entry.assets / nav:.2%}), of which "
            f"{money(entry.withdrawable, *unit)} can be withdrawn now{rate}."
        )
    if not state.valued:
        told.append(
            "QUARANTINE: a strategy cannot be valued. Deposits, rebalances and trip wait; redeemInKind is the fair way "
            "out; withdrawals forgo what cannot be valued."
        )
    told += [
        f"Share price {state.share_price / WAD:.6f}, high-water mark {state.high_water_mark / WAD:.6f}: drawdown "
        f"{state.drawdown / WAD:.2%} of {percent(state.limits.max_drawdown)}.",
        f"Left of the loss budget {percent(state.loss_budget)} of {percent(state.limits.loss_capacity)}.",
        f"Left of the turnover budget {percent(state.turnover_budget)} of {percent(state.limits.turnover_capacity)}.",
        f"Rebalances so far {state.epoch}"
        + (f", the last {moment(state.last_rebalance)}." if state.last_rebalance else "."),
    ]
    ago = span(max(0, state.timestamp - state.last_seen))
    told.append(
        f"A keeper was last seen {ago} ago. "
        + ("IT IS SILENT: anybody may unwind." if state.silent else f"Silent from {moment(state.silent_from)} on.")
    )
    if state.share_price < state.drawdown_floor and not state.halted and state.valued:
        told.append("THE SHARE PRICE IS PAST THE DRAWDOWN LIMIT: anybody may call trip().")
    return told


def role_lines(state: VaultState) -> list[str]:
    """Return who may do what to the vault, after which delay."""
    authority = state.authority
    if authority.problem is not None:
        return alarms(state)
    by_role: dict[int, list[str]] = {}
    for (target, function), role in authority.functions.items():
        if target == state.vault:
            by_role.setdefault(role, []).append(function)
    told = [f"AccessManager {authority.address}."]
    for role in sorted({*by_role, *(member.role for member in authority.members)}):
        members = ", ".join(_member(member.account, member.delay, member.since) for member in authority.who(role))
        may = ", ".join(by_role.get(role, [])) or "nothing of the vault"
        if role == ADMIN:
            may = "who has which role" + (f", and {may}" if by_role.get(role) else "")
        if role == PUBLIC:
            members = "ANYBODY"
        cancel = authority.guardians.get(role, ADMIN)
        also = f"; {authority.name(cancel)} can cancel it" if cancel not in _ANYBODY else ""
        told.append(f"{authority.name(role)}: {members or 'nobody'}: {may}{also}.")
    if authority.closed:
        told.append("THE VAULT IS CLOSED in the AccessManager: nobody may call these functions.")
    return told + alarms(state)


def pending_lines(state: VaultState) -> list[str]:
    """Return what is announced, in plain words, soonest first."""
    told = []
    if state.authority.problem is not None:
        return ["Cannot be told."]
    for operation in state.authority.pending:
        when = f"from {moment(operation.ready_at)} on"
        if operation.ready_at <= state.timestamp:
            when = "NOW"
        told.append(
            f"{describe(state, operation)}; by {operation.caller}, can be carried out {when}, until "
            f"{moment(operation.expires_at)}. To cancel it, as guardian where there is one: "
            f'cast send {state.authority.address} "cancel(address,address,bytes)" {operation.caller} '
            f"{operation.target} 0x{operation.data.hex()}"
        )
    return told or ["Nothing."]


def abdicated_lines(state: VaultState) -> list[str]:
    """Return what can never be loosened again."""
    told = [
        f"Nobody can ever loosen {limit.words} ({limit.show(limit.from_chain(state.limits.of(limit)))})."
        for limit in state.abdicated
    ]
    if state.caps_abdicated:
        told.append("Nobody can ever loosen the caps or add a strategy.")
    return told or ["Nothing."]


def _fee_line(state: VaultState) -> str:
    if state.limits.performance_fee == 0 or state.fee_recipient is None:
        return "There is no fee."
    return (
        f"Of every gain of the share price above its highest, {percent(state.limits.performance_fee)} go to "
        f"{state.fee_recipient}. There is no other fee."
    )


def _notice_line(state: VaultState) -> str:
    if state.authority.problem is not None:
        return "WHETHER THESE LIMITS CAN BE LOOSENED, and after which notice, cannot be told."
    notice = state.notice(*LOOSENING_FUNCTIONS)
    if notice is None:
        return "Nobody can ever loosen a limit, add a strategy, change policy or keeper, or end a halt."
    if notice == 0:
        return "LIMITS CAN BE LOOSENED AT ONCE, without any notice."
    return (
        "Before a limit is loosened, a strategy added, the policy or the keeper changed or a halt ended, that is "
        f"announced on chain for at least {span(notice)}; who does not like it can leave."
    )


def _member(account: str, delay: int, since: int) -> str:
    how = f"after {span(delay)}" if delay else "at once"
    return f"{account} ({how}{f', from {moment(since)} on' if since else ''})"


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
        "abdicated": [limit.name.lower() for limit in state.abdicated] + ["caps"] * state.caps_abdicated,
        "warnings": alarms(state),
    }
