"""From a snapshot to a plan, with a reason. Pure: no clock, no chain, no key.

    Snapshot -> Observation -> wanted weights -> admissible weights -> Plan

The middle is the agent's own code, the same that trained and tested the policy. This file refuses what must not be
acted on, and turns fractions into the chain's integers so that rounding can never carry a weight over a limit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction

import numpy as np
from eth_utils.crypto import keccak

from agent import decision as agent_decision
from agent.errors import AgentError
from agent.observation import Observation, RateMemory, observation
from agent.policy import Policy
from agent.portfolio import Costs
from agent.recall import Recall, act_and_recall
from agent.units import BoolArray, FloatArray
from keeper.chain.abi import encode_call
from keeper.errors import StaleBlockError
from keeper.snapshot import WAD, Snapshot, View

HOLD = 2**256 - 1
"""Weight that tells the vault to leave a position as it is."""


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


class Action(StrEnum):
    """What a plan says to do. `HEARTBEAT` is a hold that the vault is told of, so that nobody may unwind it."""

    REBALANCE = "rebalance"
    HEARTBEAT = "heartbeat"
    HOLD = "no-trade"
    REFUSE = "refused"


@dataclass(frozen=True)
class Rebalance:
    """The vault's `Rebalance` request; weights in WAD or `HOLD`."""

    epoch: int
    deadline: int
    min_total_assets: int
    weights: tuple[int, ...]
    policy_hash: str
    decision_hash: str

    @property
    def call_data(self) -> bytes:
        """Call data of `rebalance`."""
        hashes = (bytes.fromhex(self.policy_hash[2:]), bytes.fromhex(self.decision_hash[2:]))
        request = (self.epoch, self.deadline, self.min_total_assets, list(self.weights), *hashes)
        return encode_call("Vault", "rebalance", [request])


@dataclass(frozen=True)
class Plan:
    """What to do and why.

    Attributes
    ----------
    request
        Set if and only if the action is `REBALANCE`.
    memory
        Rate memory that holds this block's rates; the journal keeps it.
    vector
        The observation as the policy was fed it.
    weights
        Present shares of NAV, one per strategy.
    target
        Shares of NAV after the rebalance; the present ones where nothing is traded.
    at_cap
        Strategies of which the policy wanted more than their cap.
    recall
        What a policy with memory remembers now; the journal keeps it.
    """

    action: Action
    reason: str
    memory: RateMemory
    request: Rebalance | None = None
    vector: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    at_cap: tuple[bool, ...] = ()
    recall: Recall | None = None

    @property
    def call_data(self) -> bytes | None:
        """What to send to the vault; `None` where nothing is to be sent."""
        if self.action is Action.HEARTBEAT:
            return encode_call("Vault", "heartbeat", [])
        return None if self.request is None else self.request.call_data


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
    view = snapshot.view()
    remembered = _remember(view, snapshot, memory)
    present = _tuple(view.weights)
    idle = Plan(Action.HOLD, "", remembered, weights=present, target=present, recall=recall)
    refusal = _refusal(snapshot, policy, sender)
    if refusal is not None:
        return replace(idle, action=Action.REFUSE, reason=refusal)
    gas_cost = snapshot.block.base_fee / 1e18 * settings.native_price
    try:
        seen = observation(
            view.weights, view.idle, view.nav, view.drawdown, view.rates, remembered, gas_cost, settings.costs
        )
        wanted, recall = act_and_recall(policy, seen, snapshot.block.timestamp, recall)
        decided = agent_decision.decide(
            wanted,
            view.weights,
            view.nav,
            gas_cost,
            view.limits,
            settings.costs,
            settings.rules,
            headroom=view.headroom,
        )
    except AgentError as error:
        return replace(idle, action=Action.REFUSE, reason=str(error))
    plan = replace(
        idle,
        reason=_with_dead(_explain(decided.reason[0], snapshot), snapshot),
        vector=_tuple(seen.vector()),
        target=_tuple(decided.weights),
        at_cap=tuple(bool(flag) for flag in decided.at_cap[0]),
        recall=recall,
    )
    if not decided.traded.any():
        return _with_heartbeat(plan, snapshot)
    weights = chain_weights(decided.weights[0], decided.traded[0], snapshot)
    if chain_turnover(weights, snapshot) > snapshot.turnover_budget:
        why = _with_dead(_explain(agent_decision.Reason.TURNOVER, snapshot), snapshot)
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


# --- the chain boundary ------------------------------------------------------------------------------------------


def chain_weights(target: FloatArray, traded: BoolArray, snapshot: Snapshot) -> tuple[int, ...]:
    """Turn fractions into the vault's integer weights, never over a cap or into the idle floor.

    Every weight is rounded down and bounded by both caps in exact integers. What a float sum may still carry over the
    budget (a few units in 1e18) is taken off the largest traded weight. A held position that is over its cap in exact
    integers is brought to it, since the vault would refuse the whole.

    Parameters
    ----------
    target
        `(n,)` admissible shares of NAV.
    traded
        `(n,)` false where the position is to be left as it is.
    snapshot
        For NAV, caps and what is held, in base units.

    Returns
    -------
    tuple of int
        WAD, or `HOLD`.
    """
    nav, strategies = snapshot.total_assets, snapshot.strategies
    most = [min(s.relative_cap, _wad_share(s.absolute_cap, nav)) for s in strategies]
    moves = [
        bool(move) or (s.live and s.assets > nav * cap // WAD)
        for move, s, cap in zip(traded, strategies, most, strict=True)
    ]
    weights = [
        min(int(Fraction(float(share)) * WAD), cap) if move else HOLD
        for share, move, cap in zip(target, moves, most, strict=True)
    ]
    held = sum(s.assets for s, move in zip(strategies, moves, strict=True) if not move)
    room = WAD - snapshot.limits.idle_floor - -(-(held + snapshot.unread_assets) * WAD // nav)
    excess = sum(weight for weight, move in zip(weights, moves, strict=True) if move) - room
    while excess > 0 and any(weight not in (0, HOLD) for weight in weights):
        largest = max((weight, index) for index, weight in enumerate(weights) if weight != HOLD)[1]
        cut = min(excess, weights[largest])
        weights[largest] -= cut
        excess -= cut
    return tuple(weights)


def chain_turnover(weights: tuple[int, ...], snapshot: Snapshot) -> int:
    """Return what the vault will take out of the turnover budget for these weights (WAD), in its own integers."""
    nav = snapshot.total_assets
    changes = [
        nav * weight // WAD - s.assets for weight, s in zip(weights, snapshot.strategies, strict=True) if weight != HOLD
    ]
    moved = max(sum(-min(change, 0) for change in changes), sum(max(change, 0) for change in changes))
    return -(-moved * WAD // max(nav, 1))


def decision_hash(seen: Observation, weights: tuple[int, ...]) -> str:
    """Keccak of the canonical JSON of what was seen and what was sent: anyone who has both can check the record."""
    content = {"observation": seen.vector()[0].tolist(), "weights": [str(weight) for weight in weights]}
    return "0x" + keccak(text=json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)).hex()


def _wad_share(assets: int, nav: int) -> int:
    """Return the largest weight whose `nav * weight / WAD`, rounded down, is at most `assets`."""
    return ((assets + 1) * WAD - 1) // nav


# --- reasons, refusals and memory --------------------------------------------------------------------------------


def _explain(reason: agent_decision.Reason, snapshot: Snapshot) -> str:
    """Return the reason with the number behind it."""
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


def _with_heartbeat(plan: Plan, snapshot: Snapshot) -> Plan:
    """Turn a hold into a heartbeat when half of the silence that the vault allows has passed.

    Only a keeper that could have traded says so: one that refuses is no reason to hold the dead man's switch off.
    """
    most = snapshot.limits.max_silence
    if 2 * snapshot.silence < most:
        return plan
    due = f"a sign of life is due: none for {snapshot.silence} s, and after {most} s anyone may unwind"
    return replace(plan, action=Action.HEARTBEAT, reason=f"{plan.reason}; {due}")


def _refusal(snapshot: Snapshot, policy: Policy, sender: str | None) -> str | None:
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


def _with_dead(reason: str, snapshot: Snapshot) -> str:
    if not snapshot.dead:
        return reason
    return f"{reason}; not traded because they cannot be read: {', '.join(s.target for s in snapshot.dead)}"


def _tuple(row: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(row)[0])
