"""`decide`: what the policy wants, what of it is admissible, and the plan that comes of it, with its reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from eth_utils.crypto import keccak

from agent.errors import AgentError
from agent.observation.memory import RateMemory
from agent.observation.observe import Observation, observe
from agent.policies.load import Policy
from agent.policies.memory import Recall, act_and_recall
from agent.units import FloatArray
from agent.vault import decision as agent_decision
from agent.vault.portfolio import Costs
from keeper.decide.plan import Action, Plan, Rebalance
from keeper.decide.weights import chain_turnover, chain_weights
from keeper.errors import StaleBlockError
from keeper.snapshot import WAD, Snapshot, View


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


def explain(reason: agent_decision.Reason, snapshot: Snapshot) -> str:
    """Return the reason with the number behind it, and with the strategies that could not be read."""
    told = _with_number(reason, snapshot)
    if not snapshot.dead:
        return told
    return f"{told}; not traded because they cannot be read: {', '.join(s.target for s in snapshot.dead)}"


def _with_number(reason: agent_decision.Reason, snapshot: Snapshot) -> str:
    budget = snapshot.turnover_budget
    match reason:
        case agent_decision.Reason.COOLDOWN:
            return f"{reason.value}: {snapshot.cooldown_left} s to go"
        case agent_decision.Reason.LOSS:
            budget = snapshot.loss_budget
        case agent_decision.Reason.CUT | agent_decision.Reason.TURNOVER:
            pass
        case _:
            return reason.value
    return f"{reason.value}: {budget / WAD:.4%} of NAV left"


@dataclass(frozen=True)
class Settings:
    """What the operator chose.

    Attributes
    ----------
    native_price
        Asset units per unit of the chain's native coin, to weigh gas against what is moved.
    slippage
        NAV after the rebalance may be lower by this share of NAV at most.
    deadline_seconds
        How long a request stays good.
    rules, costs
        The agent's rules of what is worth sending, and the units of gas it expects.
    """

    native_price: float
    slippage: float = 0.001
    deadline_seconds: float = 600.0
    rules: agent_decision.DecisionRules = field(default_factory=agent_decision.DecisionRules)
    costs: Costs = field(default_factory=Costs)


def decide(
    snapshot: Snapshot,
    memory: RateMemory | None,
    policy: Policy,
    settings: Settings,
    sender: str | None = None,
    recall: Recall | None = None,
) -> Plan:
    """Decide what to do about a vault at a block.

    Parameters
    ----------
    snapshot, policy, settings
        What is, who decides, and what the operator chose.
    memory
        Rate memory from the last cycle; `None` starts one.
    sender
        Address whose key would sign; `None` in a dry run, which needs none.
    recall
        What the policy remembered after the last cycle, if it has a memory.

    Raises
    ------
    MissingRateError
        When a live strategy publishes no rate.
    StaleBlockError
        When the block is older than the last one that the rate memory has seen.
    """
    view = View.of(snapshot)
    remembered = _remember(view, snapshot, memory)
    present = _tuple(view.weights)
    idle = Plan(Action.HOLD, "", remembered, weights=present, target=present, recall=recall)
    refused = refusal(snapshot, policy, sender)
    if refused is not None:
        return replace(idle, action=Action.REFUSE, reason=refused)
    gas_cost = snapshot.block.base_fee / 1e18 * settings.native_price
    try:
        seen = observe(view, view.rates, remembered, gas_cost, settings.costs)
        wanted, recall = act_and_recall(policy, seen, snapshot.block.timestamp, recall)
        decided = agent_decision.decide(
            wanted,
            view.weights,
            view.nav,
            gas_cost,
            view.limits,
            settings.costs,
            settings.rules,
            allowance=view.allowance,
        )
    except AgentError as error:
        return replace(idle, action=Action.REFUSE, reason=str(error))
    plan = replace(
        idle,
        reason=explain(decided.reason[0], snapshot),
        vector=_tuple(seen.vector()),
        target=_tuple(decided.weights),
        at_cap=tuple(bool(flag) for flag in decided.at_cap[0]),
        recall=recall,
    )
    if not decided.traded.any():
        return _with_heartbeat(plan, snapshot)
    weights = chain_weights(decided.weights[0], decided.traded[0], snapshot)
    if chain_turnover(weights, snapshot) > snapshot.turnover_budget:
        why = explain(agent_decision.Reason.TURNOVER, snapshot)
        return _with_heartbeat(replace(plan, reason=why, target=plan.weights), snapshot)
    request = Rebalance(
        epoch=snapshot.epoch,
        deadline=deadline(snapshot, settings),
        min_total_assets=int(snapshot.total_assets * (1 - Fraction(settings.slippage))),
        weights=weights,
        policy_hash=policy.digest,
        decision_hash=decision_hash(seen, weights),
    )
    return replace(plan, action=Action.REBALANCE, request=request)


def deadline(snapshot: Snapshot, settings: Settings) -> int:
    """Return until when what was decided from this snapshot may be mined."""
    return max(snapshot.block.timestamp, snapshot.read_at) + int(settings.deadline_seconds)


def decision_hash(seen: Observation, weights: tuple[int, ...]) -> str:
    """Keccak of the canonical JSON of what was seen and what was sent: anyone who has both can check the record."""
    content = {"observation": seen.vector()[0].tolist(), "weights": [str(weight) for weight in weights]}
    return "0x" + keccak(text=json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)).hex()


def _remember(view: View, snapshot: Snapshot, memory: RateMemory | None) -> RateMemory:
    timestamp = snapshot.block.timestamp
    if memory is None:
        return RateMemory.start(view.rates, timestamp)
    if timestamp < memory.timestamp:
        raise StaleBlockError(
            f"Block {snapshot.block.number} (time {timestamp}) is older than the last one the journal has seen (time "
            f"{memory.timestamp}). The node lags, or the chain was reset: then start a new journal."
        )
    return memory.update(view.rates, timestamp)


def _with_heartbeat(plan: Plan, snapshot: Snapshot) -> Plan:
    """Turn a hold into a heartbeat when half of the silence that the vault allows has passed.

    Only a keeper that could have traded says so: one that refuses is no reason to hold the dead man's switch off.
    """
    most = snapshot.limits.max_silence
    if 2 * snapshot.silence < most:
        return plan
    due = f"a sign of life is due: none for {snapshot.silence} s, and after {most} s anyone may unwind"
    return replace(plan, action=Action.HEARTBEAT, reason=f"{plan.reason}; {due}")


def _tuple(row: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(row)[0])
