"""A vault in plain words, as a depositor reads it, with warnings and announced calls; and as JSON."""

from collections.abc import Iterator
from typing import Any

from agent.units import DAY, WAD, WEEK, span
from agent.vault.limits import NO_CAP, Limit
from keeper.chain.abi import decode_call
from keeper.inspect.authority import Operation
from keeper.inspect.roles import ADMIN, GOVERNOR_FUNCTIONS, GUARDIAN_FUNCTIONS, LOOSENING_FUNCTIONS, PUBLIC
from keeper.inspect.state import VaultState
from keeper.inspect.words import caps, moment, money, percent
from keeper.snapshot import MAX_SPREAD, GroupSnapshot, LimitsSnapshot, StrategySnapshot

SAFE_UNWIND_LOSS = WAD // 20  # an exit that costs more than this in an emergency is worth a warning
HIGH_GROWTH_RATE = 10 * WAD  # a bid that may grow faster than this a year bounds next to nothing
_ANYBODY = (ADMIN, PUBLIC)


def alarms(state: VaultState) -> list[str]:
    """Return the warnings: arrangements that leave depositors unprotected."""
    found = _limit_warnings(state.snapshot.limits)
    authority = state.authority
    if authority.problem is not None:
        return [*found, f"WARNING: the vault's authority is {authority.address}; {authority.problem}."]
    found += [
        f"WARNING: the keeper also has the role {authority.name(member.role)}."
        for member in authority.members
        if member.account == state.snapshot.keeper
    ]
    for member in authority.who(ADMIN):
        if member.delay == 0:
            found.append(f"WARNING: {member.account} is admin without a delay: it can change everything at once.")
    for name in (*GOVERNOR_FUNCTIONS, *GUARDIAN_FUNCTIONS):
        role = authority.functions[state.snapshot.vault, name]
        if role == PUBLIC:
            found.append(f"WARNING: anybody may call {name}.")
        elif name in GOVERNOR_FUNCTIONS and role != ADMIN:
            found += [
                f"WARNING: {member.account} may {name} without a delay."
                for member in authority.who(role)
                if member.delay == 0
            ]
    return found


def _limit_warnings(limits: LimitsSnapshot) -> list[str]:
    found = []
    if limits.unwind_loss > SAFE_UNWIND_LOSS:
        found.append(
            f"WARNING: when anybody may take funds out of a strategy, {percent(limits.unwind_loss)} of them may be "
            "lost on the way."
        )
    return found


def notes(state: VaultState) -> list[str]:
    """Return the arrangements that a depositor should know of, though they are no danger by themselves."""
    limits = state.snapshot.limits
    found = []
    if limits.deposit_cap >= NO_CAP:
        found.append("Note: there is no deposit cap.")
    if limits.max_growth_rate == 0:
        found.append("Note: the growth rate is 0: who leaves gets no gains.")
    elif limits.max_growth_rate > HIGH_GROWTH_RATE:
        found.append(
            f"Note: a growth rate of {percent(limits.max_growth_rate)} a year believes almost any gain that a strategy "
            "claims."
        )
    return found


def lines(state: VaultState) -> Iterator[str]:
    """Yield the whole report."""
    vault = state.snapshot
    yield f"Chain {vault.chain_id}, block {vault.block.number}, {moment(vault.block.timestamp)}."
    for title, found in (
        ("What the vault enforces", limit_lines(state)),
        ("How it stands", book_lines(state)),
        ("Who may do what", role_lines(state)),
        ("Announced and not yet done", pending_lines(state)),
        ("Given up for ever", abdicated_lines(state)),
        ("Worth knowing", notes(state)),
    ):
        if not found:
            continue
        yield f"\n{title}:"
        yield from (f"  - {line}" for line in found)


def limit_lines(state: VaultState) -> list[str]:
    """Return the limits in plain words, one sentence each."""
    vault = state.snapshot
    unit = (vault.asset_decimals, state.asset_symbol)
    found = [f"{state.name} ({state.symbol}) at {vault.vault} holds {state.asset_symbol} ({vault.asset})."]
    if vault.has_keeper:
        found.append(f"Only the keeper {vault.keeper} moves funds, and only between the strategies below and idle.")
    else:
        found.append("There is no keeper: nobody can rebalance until governance sets one.")
    found += [
        f"After every rebalance {caps(each.relative_cap, each.absolute_cap, *unit)} in {_name(each)} ({each.target})."
        for each in vault.strategies
    ]
    found += [
        f"After every rebalance {caps(group.relative_cap, group.absolute_cap, *unit)} in {_members(state, group)} "
        f"together{_shared(group)}."
        for group in vault.groups
        if group.members
    ]
    found += _limit_sentences(state)
    found += [
        _fee_line(state),
        f"Only decisions of the policy {vault.policy_hash} are carried out.",
        _notice_line(state),
        "Leaving needs nobody's permission, halted or not: withdraw or redeem; and redeemInKind, which hands out your "
        "part of idle and of every strategy's shares, when a strategy cannot pay or cannot be valued.",
    ]
    if vault.halted:
        found.append("THE VAULT IS HALTED: no deposits, no rebalances; withdraw.")
    return found


def _limit_sentences(state: VaultState) -> list[str]:
    """Return the limits that are one number each, one sentence for each."""
    limits = state.snapshot.limits
    told = [f"After every rebalance at least {percent(limits.idle_floor)} stays idle."]
    if limits.cooldown:
        told.append(f"At least {span(limits.cooldown)} pass between rebalances.")
    told += [
        f"Rebalancing may move at most {percent(limits.turnover_capacity)} of the vault at once; "
        f"{percent(limits.turnover_refill * DAY)} a day come back.",
        f"Rebalancing may lose at most {percent(worst_loss(limits, DAY))} in a day and "
        f"{percent(worst_loss(limits, WEEK))} in a week, whoever has the keeper's key. Exits are not bound by this.",
        f"When the share price is more than {percent(limits.max_drawdown)} under its high-water mark, anybody may "
        "halt the vault for good, and the next withdrawal does; then anybody may take its funds out of the "
        "strategies, to idle.",
        _growth_line(limits),
        "Nothing is put into a strategy that could not pay all of it back at once.",
        f"Whoever takes funds out of a strategy may lose at most {percent(limits.unwind_loss)} of them on the way.",
        _deposit_cap_line(state),
        f"When the keeper has given no sign for {span(limits.max_silence)}, anybody may take the funds out of the "
        "strategies, to idle.",
    ]
    return told


def _growth_line(limits: LimitsSnapshot) -> str:
    if limits.max_growth_rate == 0:
        return "What leaving is paid from never grows: who leaves gets no gains, whatever the strategies say."
    return (
        f"What leaving is paid from grows at most {percent(limits.max_growth_rate)} a year from one record to the "
        "next, whatever the strategies say of their gains; a loss counts at once."
    )


def _deposit_cap_line(state: VaultState) -> str:
    cap = state.snapshot.limits.deposit_cap
    if cap >= NO_CAP:
        return "Deposits have no cap."
    return f"No deposit lifts the vault over {money(cap, state.snapshot.asset_decimals, state.asset_symbol)}."


def _members(state: VaultState, group: GroupSnapshot) -> str:
    """Return the names of a group's strategies."""
    return ", ".join(_name(each) for index, each in enumerate(state.snapshot.strategies) if group.holds(index))


def _shared(group: GroupSnapshot) -> str:
    return f", which share {group.risk}" if int(group.risk, 16) else ""


def worst_loss(limits: LimitsSnapshot, seconds: int) -> int:
    """Return the share of NAV (WAD) that a thief of the keeper's key can destroy within `seconds`, at most all."""
    return min(limits.loss_capacity + limits.loss_refill * seconds, WAD)


def book_lines(state: VaultState) -> list[str]:
    """Return the positions, the drawdown of the share price, and what is left of the budgets."""
    vault = state.snapshot
    unit = (vault.asset_decimals, state.asset_symbol)
    nav = max(vault.nav, 1)
    found = [f"NAV {money(vault.nav, *unit)}, idle {money(vault.idle, *unit)} ({vault.idle / nav:.2%})."]
    if vault.valued:
        found += _side_lines(state)
    for entry in vault.strategies:
        if not entry.live:
            found.append(f"{_name(entry)} ({entry.target}): CANNOT BE READ.")
            continue
        rate = "" if not entry.has_rate else f", pays {entry.supply_rate / WAD:.2%} a year"
        found.append(
            f"{_name(entry)}: {money(entry.assets, *unit)} ({entry.assets / nav:.2%}), of which "
            f"{money(entry.max_withdraw, *unit)} can be withdrawn now{rate}; {_recorded(entry, unit)}; "
            f"{_cash(entry, unit)}."
        )
    for group in vault.groups:
        if group.members:
            held = vault.group_assets(group)
            found.append(
                f"{_members(state, group)} together: {money(held, *unit)} ({held / nav:.2%}), of "
                f"{caps(group.relative_cap, group.absolute_cap, *unit)}."
            )
    if not vault.valued:
        found.append(
            "QUARANTINE: a strategy cannot be valued. Deposits, rebalances, trip and plain withdrawals wait; "
            "redeemInKind is the fair way out; withdrawals with a bound work, and forgo what cannot be valued."
        )
    found += [
        f"Share price {vault.share_price / WAD:.6f}, high-water mark {vault.high_water_mark / WAD:.6f}: drawdown "
        f"{vault.drawdown:.2%} of {percent(vault.limits.max_drawdown)}.",
        f"Left of the loss budget {percent(vault.loss_budget)} of {percent(vault.limits.loss_capacity)}.",
        f"Left of the turnover budget {percent(vault.turnover_budget)} of {percent(vault.limits.turnover_capacity)}.",
        f"Rebalances so far {vault.epoch}"
        + (f", the last {moment(vault.last_rebalance)}." if vault.last_rebalance else "."),
    ]
    ago = span(max(0, vault.block.timestamp - vault.last_seen))
    found.append(
        f"A keeper was last seen {ago} ago. "
        + ("IT IS SILENT: anybody may unwind." if vault.is_silent else f"Silent from {moment(vault.silent_from)} on.")
    )
    if vault.share_price < vault.drawdown_floor and not vault.halted and vault.valued:
        found.append("THE SHARE PRICE IS PAST THE DRAWDOWN LIMIT: anybody may call trip().")
    return found


def _side_lines(state: VaultState) -> list[str]:
    """Return the bid, the ask, and the gap between them."""
    vault = state.snapshot
    unit = (vault.asset_decimals, state.asset_symbol)
    gap = vault.ask - vault.bid
    found = [
        f"Who leaves is paid from {money(vault.bid, *unit)} (bid), who enters pays for {money(vault.ask, *unit)} "
        f"(ask): a gap of {money(gap, *unit)} ({gap / max(vault.bid, 1):.2%})."
    ]
    if vault.bid < vault.nav:
        found.append(
            f"{money(vault.nav - vault.bid, *unit)} that the strategies say they hold are not believed yet: they may "
            "grow into the bid, or be no gain at all."
        )
    if vault.deposits_closed_by_spread:
        found.append(
            f"DEPOSITS ARE CLOSED: the ask is more than {percent(MAX_SPREAD)} over the bid, so whoever entered would "
            "give that much to the others."
        )
    elif vault.ask >= vault.limits.deposit_cap:
        found.append("Deposits are closed: the vault is at its deposit cap.")
    return found


def _recorded(strategy: StrategySnapshot, unit: tuple[int, str]) -> str:
    if not strategy.shares:
        return "nothing is recorded"
    return f"recorded {money(strategy.recorded, *unit)} on {moment(strategy.recorded_at)}"


def _cash(strategy: StrategySnapshot, unit: tuple[int, str]) -> str:
    return f"its venue has {money(strategy.cash, *unit)} of cash" if strategy.has_cash else "it tells no cash"


def role_lines(state: VaultState) -> list[str]:
    """Return the roles: their members, delays and functions."""
    authority = state.authority
    if authority.problem is not None:
        return alarms(state)
    by_role: dict[int, list[str]] = {}
    for (target, function), role in authority.functions.items():
        if target == state.snapshot.vault:
            by_role.setdefault(role, []).append(function)
    found = [f"AccessManager {authority.address}."]
    for role in sorted({*by_role, *(member.role for member in authority.members)}):
        members = ", ".join(_member(member.account, member.delay, member.since) for member in authority.who(role))
        may = ", ".join(by_role.get(role, [])) or "nothing of the vault"
        if role == ADMIN:
            may = "who has which role" + (f", and {may}" if by_role.get(role) else "")
        if role == PUBLIC:
            members = "ANYBODY"
        cancel = authority.guardians.get(role, ADMIN)
        also = f"; {authority.name(cancel)} can cancel it" if cancel not in _ANYBODY else ""
        found.append(f"{authority.name(role)}: {members or 'nobody'}: {may}{also}.")
    if authority.closed:
        found.append("THE VAULT IS CLOSED in the AccessManager: nobody may call these functions.")
    return found + alarms(state)


def pending_lines(state: VaultState) -> list[str]:
    """Return the announced calls in plain words, soonest first."""
    if state.authority.problem is not None:
        return ["Cannot be told."]
    found = []
    for operation in state.authority.pending:
        when = f"from {moment(operation.ready_at)} on"
        if operation.ready_at <= state.snapshot.block.timestamp:
            when = "NOW"
        found.append(
            f"{describe(state, operation)}; by {operation.caller}, can be carried out {when}, until "
            f"{moment(operation.expires_at)}. To cancel it, as guardian where there is one: "
            f'cast send {state.authority.address} "cancel(address,address,bytes)" {operation.caller} '
            f"{operation.target} 0x{operation.data.hex()}"
        )
    return found or ["Nothing."]


def abdicated_lines(state: VaultState) -> list[str]:
    """Return the limits and caps that can never be loosened again."""
    found = [
        f"Nobody can ever loosen {limit.words} beyond what it was when that was given up; it is "
        f"{_shown(state, limit, state.snapshot.limits.of(limit))}."
        for limit in state.abdicated
    ]
    if state.caps_abdicated:
        found.append(
            "Nobody can ever loosen the caps beyond what they were when that was given up, change the members of a "
            "group or add a strategy."
        )
    return found or ["Nothing."]


def _fee_line(state: VaultState) -> str:
    if state.snapshot.limits.performance_fee == 0 or state.fee_recipient is None:
        return "There is no fee."
    return (
        f"Of every gain of the share price above its highest, {percent(state.snapshot.limits.performance_fee)} go to "
        f"{state.fee_recipient}. There is no other fee."
    )


def _notice_line(state: VaultState) -> str:
    if state.authority.problem is not None:
        return "WHETHER THESE LIMITS CAN BE LOOSENED, and after which notice, cannot be told."
    notice = state.notice(*LOOSENING_FUNCTIONS)
    if notice is None:
        return (
            "Nobody can ever loosen a limit, add a strategy, change policy or keeper, restate the bid, or end a halt."
        )
    if notice == 0:
        return "LIMITS CAN BE LOOSENED AT ONCE, without any notice."
    return (
        "Before a limit is loosened, a strategy added, the policy or the keeper changed, the bid restated or a halt "
        f"ended, that is announced on chain for at least {span(notice)}; whoever dislikes it can leave."
    )


def _member(account: str, delay: int, since: int) -> str:
    how = f"after {span(delay)}" if delay else "at once"
    return f"{account} ({how}{f', from {moment(since)} on' if since else ''})"


def _name(strategy: StrategySnapshot) -> str:
    return strategy.name or "a strategy that does not answer"


# --- announced calls -------------------------------------------------------------------------------------------------


def describe(state: VaultState, operation: Operation) -> str:
    """Return an announced call in plain words."""
    for contract, address, words in (
        ("Vault", state.snapshot.vault, _vault_call),
        ("AccessManager", state.authority.address, _manager_call),
    ):
        decoded = decode_call(contract, operation.data) if operation.target == address else None
        if decoded is not None:
            return words(state, *decoded)
    return f"call {operation.target} with 0x{operation.data.hex()}"


def _vault_call(state: VaultState, name: str, args: dict[str, Any]) -> str:
    unit = (state.snapshot.asset_decimals, state.asset_symbol)
    if name in ("loosen", "tighten"):
        try:
            limit = Limit(args["limit_"])
        except ValueError:
            return f"{name} a limit that does not exist"
        old, new = (_shown(state, limit, value) for value in (state.snapshot.limits.of(limit), args["value"]))
        return f"{name}: change {limit.words} from {old} to {new}"
    if name == "abdicate":
        return f"give up for ever the right to loosen {Limit(args['limit_']).words}"
    if name in ("setGroup", "tightenGroup"):
        return _group_call(state, args)
    if name in ("loosenCaps", "addStrategy"):
        what = "add the strategy" if name == "addStrategy" else "change the caps of"
        caps_ = caps(args["relativeCap"], args["absoluteCap"], *unit)
        return f"{what} {_strategy(state, args['strategy'])}: {caps_}"
    found = {
        "abdicateCaps": "give up for ever the right to loosen caps and to add strategies",
        "removeStrategy": f"remove the strategy {_strategy(state, args.get('strategy'))}",
        "writeOff": f"write off {_strategy(state, args.get('strategy'))}: its shares count for nothing then",
        "setKeeper": f"make {args.get('keeper')} the keeper",
        "setFeeRecipient": f"let fees go to {args.get('feeRecipient')}",
        "sweep": f"send all of the vault's {args.get('token')}, a token that is neither its asset nor a strategy's "
        f"share, to {args.get('receiver')}",
        "resume": "resume after the halt, with the present share price as the new high-water mark",
    }
    if name == "restate":
        return (
            f"restate: let what leaving is paid from rise at once from {money(state.snapshot.bid, *unit)} to at most "
            f"{money(args['bid'], *unit)}, but not over NAV"
        )
    if name == "commitPolicy":
        return f"commit the policy 0x{args['policyHash'].hex()}"
    return found.get(name) or f"call {name} with {args}"


def _shown(state: VaultState, limit: Limit, value: int) -> str:
    """Return the value of a limit, in the vault's integers, in plain words."""
    if limit is not Limit.DEPOSIT_CAP:
        return limit.show(limit.from_chain(value))
    return "none" if value >= NO_CAP else money(value, state.snapshot.asset_decimals, state.asset_symbol)


def _group_call(state: VaultState, args: dict[str, Any]) -> str:
    """Return a call of `setGroup` or `tightenGroup` in plain words."""
    vault, index = state.snapshot, args["index"]
    unit = (vault.asset_decimals, state.asset_symbol)
    before = vault.groups[index] if index < len(vault.groups) else None
    given = args.get("group")
    if given is None:
        return f"lower the caps of group {index}: {caps(args['relativeCap'], args['absoluteCap'], *unit)}"
    after = GroupSnapshot(given["risk"], given["relativeCap"], given["absoluteCap"], given["members"])
    told = f"{caps(after.relative_cap, after.absolute_cap, *unit)} in {_members(state, after) or 'nothing'} together"
    told += _shared(after)
    if before is None:
        return f"add group {index}: {told}"
    held = f"{caps(before.relative_cap, before.absolute_cap, *unit)} in {_members(state, before) or 'nothing'}"
    return f"change group {index}: {told}, instead of {held}"


def _manager_call(state: VaultState, name: str, args: dict[str, Any]) -> str:
    role = state.authority.name(args["roleId"]) if "roleId" in args else ""
    if name == "grantRole":
        how = f"a delay of {span(args['executionDelay'])}" if args["executionDelay"] else "NO DELAY"
        return f"give the role {role} to {args['account']}, with {how}"
    if name == "revokeRole":
        return f"take the role {role} away from {args['account']}"
    if name == "setTargetFunctionRole":
        names = ", ".join(f"0x{item.hex()}" for item in args["selectors"])
        return f"let {role} call {names} of {args['target']}"
    if name == "setTargetClosed":
        return f"{'close' if args['closed'] else 'open'} all restricted functions of {args['target']}"
    if name == "updateAuthority":
        return f"REPLACE the authority of {args['target']} by {args['newAuthority']}"
    return f"AccessManager.{name} with {args}"


def _strategy(state: VaultState, address: str | None) -> str:
    for entry in state.snapshot.strategies:
        if entry.target == address:
            return f"{_name(entry)} ({address})"
    return str(address)


# --- JSON ------------------------------------------------------------------------------------------------------------


def plain_limit(limit: Limit, value: int) -> int | float | str:
    """Return a limit as JSON has it: a fraction, seconds, or base units as text (JSON numbers would lose digits)."""
    if limit is Limit.DEPOSIT_CAP:
        return str(value)
    return value if limit in (Limit.COOLDOWN, Limit.MAX_SILENCE) else value / WAD


def to_json(state: VaultState) -> dict[str, Any]:
    """Return everything as plain JSON: money in base units as text, ratios as fractions, times in seconds UTC."""
    vault = state.snapshot
    authority = state.authority
    return {
        "chain_id": vault.chain_id,
        "block": vault.block.number,
        "timestamp": vault.block.timestamp,
        "vault": vault.vault,
        "name": state.name,
        "symbol": state.symbol,
        "asset": {
            "address": vault.asset,
            "symbol": state.asset_symbol,
            "decimals": vault.asset_decimals,
        },
        "keeper": {
            "address": vault.keeper if vault.has_keeper else None,
            "last_seen": vault.last_seen,
            "silent_from": vault.silent_from,
            "silent": vault.is_silent,
        },
        "policy_hash": vault.policy_hash,
        "epoch": vault.epoch,
        "last_rebalance": vault.last_rebalance or None,
        "halted": vault.halted,
        "valued": vault.valued,
        "nav": str(vault.nav),
        "bid": str(vault.bid),
        "ask": str(vault.ask),
        "deposits_closed_by_spread": vault.deposits_closed_by_spread,
        "idle": str(vault.idle),
        "share_price": vault.share_price / WAD,
        "nav_price": vault.nav_price / WAD,
        "high_water_mark": vault.high_water_mark / WAD,
        "drawdown": vault.drawdown,
        "limits": {limit.name.lower(): plain_limit(limit, vault.limits.of(limit)) for limit in Limit},
        "budgets_left": {"loss": vault.loss_budget / WAD, "turnover": vault.turnover_budget / WAD},
        "worst_loss_by_keeper": {
            "day": worst_loss(state.snapshot.limits, DAY) / WAD,
            "week": worst_loss(state.snapshot.limits, WEEK) / WAD,
        },
        "notice": None if authority.problem else state.notice(*LOOSENING_FUNCTIONS),
        "fee_recipient": state.fee_recipient,
        "strategies": [
            {
                "address": entry.target,
                "name": _name(entry),
                "live": entry.live,
                "assets": str(entry.assets),
                "weight": entry.assets / max(vault.nav, 1),
                "recorded": str(entry.recorded),
                "recorded_at": entry.recorded_at or None,
                "withdrawable": str(entry.max_withdraw),
                "cash": str(entry.cash) if entry.has_cash else None,
                "supply_rate": entry.supply_rate / WAD if entry.has_rate else None,
                "relative_cap": entry.relative_cap / WAD,
                "absolute_cap": str(entry.absolute_cap),
            }
            for entry in vault.strategies
        ],
        "groups": [
            {
                "risk": group.risk if int(group.risk, 16) else None,
                "members": [entry.target for index, entry in enumerate(vault.strategies) if group.holds(index)],
                "relative_cap": group.relative_cap / WAD,
                "absolute_cap": str(group.absolute_cap),
                "assets": str(vault.group_assets(group)),
            }
            for group in vault.groups
        ],
        "authority": authority.address,
        "roles": [
            {"role": authority.name(m.role), "account": m.account, "delay": m.delay, "since": m.since}
            for m in authority.members
        ],
        "functions": {
            name: authority.name(role) for (target, name), role in authority.functions.items() if target == vault.vault
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
        "notes": notes(state),
    }
