"""Why nothing may be decided, and the reason of a plan with the number behind it."""

from __future__ import annotations

from agent.decision import Reason
from agent.policy import Policy
from keeper.snapshot import WAD, Snapshot


def refusal(snapshot: Snapshot, policy: Policy, sender: str | None) -> str | None:
    """Return why nothing may be decided at all, or `None`."""
    if snapshot.halted:
        return "The vault is halted. Unwind its strategies; only governance can resume it."
    if policy.digest.lower() != snapshot.policy_hash.lower():
        return (
            f"Policy {policy.name} has digest {policy.digest}, but the vault has committed to {snapshot.policy_hash}. "
            "Configure the committed policy, or have governance commit this one."
        )
    if int(snapshot.keeper, 16) == 0:
        return "The vault has no keeper: the guardian cut it off. Only governance can set one (setKeeper)."
    if sender is not None and sender != snapshot.keeper:
        return (
            f"The key is that of {sender}, but the vault's keeper is {snapshot.keeper}. "
            "Configure that key's keystore, or have governance call setKeeper."
        )
    if not snapshot.valued:
        names = ", ".join(s.name or s.target for s in snapshot.dead) or "a strategy"
        return (
            f"The vault cannot be valued while {names} reverts. Nothing is traded until governance has dealt with it."
        )
    if snapshot.share_price < snapshot.drawdown_floor:
        return "The share price is under the drawdown floor: anyone may trip() the vault, which takes no rebalance now."
    return None


def explain(reason: Reason, snapshot: Snapshot) -> str:
    """Return the reason with the number behind it, and with the strategies that could not be read."""
    told = _with_number(reason, snapshot)
    if not snapshot.dead:
        return told
    return f"{told}; not traded because they cannot be read: {', '.join(s.target for s in snapshot.dead)}"


def _with_number(reason: Reason, snapshot: Snapshot) -> str:
    budget = snapshot.turnover_budget
    match reason:
        case Reason.COOLDOWN:
            return f"{reason.value}: {snapshot.cooldown_left} s to go"
        case Reason.LOSS:
            budget = snapshot.loss_budget
        case Reason.CUT | Reason.TURNOVER:
            pass
        case _:
            return reason.value
    return f"{reason.value}: {budget / WAD:.4%} of NAV left"
