"""From a snapshot to a plan with a reason. Pure: no clock, no chain, no key.

    Snapshot -> Observation -> wanted weights -> admissible weights -> Plan

The middle is the agent's own code, the same that trained and tested the policy. `refusal` names what must not be acted
on at all; `keeper.conversion` is the boundary to the chain's integers on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from eth_utils.crypto import keccak

from agent.errors import AgentError
from agent.observation.memory import RateMemory
from agent.observation.observe import Observation, observe, version_of
from agent.observation.quotes import BlockFacts, QuoteMemory, features_of
from agent.policies.load import Policy, observation_of
from agent.policies.memory import Recall, act_and_recall
from agent.units import DAY, FloatArray
from agent.vault import decision as agent_decision
from agent.vault.portfolio import Costs
from keeper.chain.abi import encode_call
from keeper.conversion import Leg, View, chain_turnover, chain_weights, leg_costs, share_of_nav
from keeper.errors import ConfigError, StaleBlockError
from keeper.feeds.quotes import Quotes
from keeper.rates import SPACING, PriceMarks, Rates, read_rates
from keeper.snapshot import Snapshot


class Action(StrEnum):
    """A plan's action. `HEARTBEAT` is a hold that tells the vault that its keeper lives, so that nobody may unwind."""

    REBALANCE = "rebalance"
    HEARTBEAT = "heartbeat"
    HOLD = "no-trade"
    REFUSE = "refused"


@dataclass(frozen=True)
class Rebalance:
    """The vault's `Rebalance` request; weights in WAD or `HOLD`."""

    epoch: int
    deadline: int
    min_share_price: int
    weights: tuple[int, ...]
    policy_hash: str
    decision_hash: str

    @property
    def call_data(self) -> bytes:
        """Call data of `rebalance`."""
        hashes = (bytes.fromhex(self.policy_hash[2:]), bytes.fromhex(self.decision_hash[2:]))
        request = (self.epoch, self.deadline, self.min_share_price, list(self.weights), *hashes)
        return encode_call("Vault", "rebalance", [request])


@dataclass(frozen=True)
class Plan:
    """The decision of one cycle, with its reason.

    Attributes
    ----------
    request
        Set if and only if the action is `REBALANCE`.
    memory
        Rate memory including this block's rates, where they are known; the journal keeps it.
    marks
        Share prices including this block's; the journal keeps them.
    vector
        The observation as the policy received it.
    weights
        Present shares of NAV, one per strategy.
    target
        Shares of NAV after the rebalance; the present ones where nothing is traded.
    at_cap
        Per strategy, whether the policy wanted more than its cap.
    recall
        State of a policy with memory; the journal keeps it.
    past
        The past of the quotes including this block's; the journal keeps it.
    """

    action: Action
    reason: str
    memory: RateMemory | None
    marks: PriceMarks
    request: Rebalance | None = None
    vector: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    at_cap: tuple[bool, ...] = ()
    recall: Recall | None = None
    past: QuoteMemory | None = None

    @property
    def call_data(self) -> bytes | None:
        """Call data for the vault; `None` where nothing is to be sent."""
        if self.action is Action.HEARTBEAT:
            return encode_call("Vault", "heartbeat", [])
        return None if self.request is None else self.request.call_data


def refusal(snapshot: Snapshot, policy: Policy, sender: str | None) -> str | None:
    """Return the reason why nothing may be decided at all, or `None`."""
    if snapshot.halted:
        return "The vault is halted. Unwind its strategies; only governance can resume it."
    if policy.digest.lower() != snapshot.policy_hash.lower():
        return (
            f"Policy {policy.name} has digest {policy.digest}, but the vault has committed to {snapshot.policy_hash}. "
            "Configure the committed policy, or have governance commit this one."
        )
    if not snapshot.has_keeper:
        return (
            "The vault has no keeper: the guardian cut it off, or it resigned. Only governance can set one (setKeeper)."
        )
    if sender is not None and sender != snapshot.keeper:
        return (
            f"The key is that of {sender}, but the vault's keeper is {snapshot.keeper}. "
            "Configure that key's keystore, or have governance call setKeeper."
        )
    if not snapshot.valued:
        names = ", ".join(s.label for s in snapshot.dead) or "a strategy"
        return (
            f"The vault cannot be valued while {names} reverts. Nothing is traded until governance has dealt with it."
        )
    if snapshot.share_price < snapshot.drawdown_floor:
        return "The share price is under the drawdown floor: anyone may trip() the vault, which takes no rebalance now."
    return None


def explain(reason: agent_decision.Reason, snapshot: Snapshot) -> str:
    """Return the reason with the number behind it, and with the strategies that could not be read."""
    text = _with_number(reason, snapshot)
    if not snapshot.dead:
        return text
    return f"{text}; not traded because they cannot be read: {', '.join(s.target for s in snapshot.dead)}"


def _priced(decided: agent_decision.Decision, snapshot: Snapshot) -> list[str]:
    """Return a line with the costs of a trade's legs and the budget that pays for them, where there are any."""
    if not decided.traded.any() or decided.loss[0] <= 0:
        return []
    left = share_of_nav(snapshot.loss_budget, snapshot)
    return [f"entering and leaving costs {decided.loss[0]:.4%} of NAV, of {left:.4%} that the loss budget has left"]


def _distrusted(snapshot: Snapshot, rates: Rates) -> list[str]:
    names = [s.label for s, absurd in zip(snapshot.strategies, rates.absurd, strict=True) if absurd]
    return [f"nothing is put where the rate shown is beyond what is plausible: {', '.join(names)}"] if names else []


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
    return f"{reason.value}: {share_of_nav(budget, snapshot):.4%} of NAV left"


NO_PRICE = "the price of the native coin is not known"
NO_QUOTES = "what the policy is shown besides the vault is not known"
NOTHING_ELSE = Quotes()


@dataclass(frozen=True)
class Settings:
    """The operator's choices.

    Attributes
    ----------
    native_price
        Asset units per unit of the chain's native coin: weighs gas against the amount moved. None where nobody knows:
        then nothing is traded.
    slippage
        Share of NAV per share that a rebalance may cost at most, beyond what its legs are expected to.
    deadline_seconds
        How long a request stays valid.
    max_rate
        Largest plausible rate, APR: nothing more is put where more is shown.
    tip
        Wei that are paid per unit of gas beside the base fee.
    rules, costs
        The agent's rules for what is worth sending, and its expected costs.
    legs
        By a strategy's name or address, the real costs of entering and leaving it; by default the most that the
        strategy says.
    """

    native_price: float | None
    slippage: float = 0.001
    deadline_seconds: float = 600.0
    max_rate: float = 2.0
    tip: int = 0
    rules: agent_decision.DecisionRules = field(default_factory=agent_decision.DecisionRules)
    costs: Costs = field(default_factory=Costs)
    legs: Mapping[str, Leg] = field(default_factory=dict)

    def costs_at(self, snapshot: Snapshot) -> Costs:
        """Return the costs with those of each of the vault's strategies.

        Raises
        ------
        ConfigError
            When costs are named for what is none of them: a misspelt name would be a leg that costs nothing.
        """
        _check_names("costs", self.legs, snapshot)
        return replace(self.costs, **leg_costs(snapshot, self.legs))


def _check_names(table: str, named: Mapping[str, object], snapshot: Snapshot) -> None:
    """Refuse names of strategies that the vault has not."""
    unknown = sorted(named.keys() - {name for s in snapshot.strategies for name in (s.label, s.target)})
    if unknown:
        known = ", ".join(s.label for s in snapshot.strategies)
        raise ConfigError(f"`{table}` names {', '.join(unknown)}, but the vault's strategies are: {known}.")


def decide(
    snapshot: Snapshot,
    memory: RateMemory | None,
    policy: Policy,
    settings: Settings,
    sender: str | None = None,
    recall: Recall | None = None,
    marks: PriceMarks | None = None,
    quotes: Quotes | None = NOTHING_ELSE,
    past: QuoteMemory | None = None,
) -> Plan:
    """Decide what to do about a vault at a block.

    Parameters
    ----------
    snapshot, policy, settings
        The vault, the policy that decides, and the operator's choices.
    memory
        Rate memory from the last cycle; `None` starts one.
    sender
        Address whose key would sign; `None` in a dry run, which needs none.
    recall
        State of the policy's memory after the last cycle, if it has one.
    marks
        Share prices from the last cycle; `None` starts anew.
    quotes
        What the policy is shown besides the vault; nothing by default. `None` where a source failed: then nothing is
        traded.
    past
        The past of the quotes, from the last cycle; `None` starts anew.

    Raises
    ------
    StaleBlockError
        When the block is older than the last one that the rate memory has seen.
    """
    marks = marks or PriceMarks()
    told = {} if quotes is None else quotes.rates
    _check_names("rates", told, snapshot)
    rates = read_rates(snapshot, marks, memory, settings.max_rate, told)
    view = View.of(snapshot, rates)
    remembered = memory if rates.unknown else _remember(view, snapshot, memory)
    present = _tuple(view.weights)
    idle = Plan(
        Action.HOLD, "", remembered, marks.update(snapshot), weights=present, target=present, recall=recall, past=past
    )
    refused = refusal(snapshot, policy, sender)
    if refused is not None:
        return replace(idle, action=Action.REFUSE, reason=refused)
    if remembered is None or rates.unknown:
        return replace(idle, reason=_watched(rates))
    if settings.native_price is None:
        return replace(idle, reason=NO_PRICE)
    if quotes is None:
        return replace(idle, reason=NO_QUOTES)
    price, costs = snapshot.block.base_fee + settings.tip, settings.costs_at(snapshot)
    gas_cost = price / 1e18 * settings.native_price
    try:
        past = _remember_quotes(quotes, snapshot, past)
        idle = replace(idle, past=past)
        seen = observe(view, view.rates, remembered, gas_cost, costs, **_shown(policy, quotes, past, snapshot))
        wanted, recall = act_and_recall(policy, seen, snapshot.block.timestamp, recall)
        decided = agent_decision.decide(
            wanted,
            view.weights,
            view.nav,
            gas_cost,
            view.limits,
            costs,
            settings.rules,
            allowance=view.allowance,
            room=view.room * (1.0 - settings.rules.drift_margin),
            believed=view.believed,
            payable=view.payable,
        )
    except AgentError as error:
        return replace(idle, action=Action.REFUSE, reason=str(error))
    plan = replace(
        idle,
        reason="; ".join(
            [
                explain(decided.reason[0], snapshot),
                *_priced(decided, snapshot),
                *_distrusted(snapshot, rates),
            ]
        ),
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
        min_share_price=int(snapshot.nav_price * (1 - Fraction(settings.slippage) - Fraction(decided.loss[0]))),
        weights=weights,
        policy_hash=policy.digest,
        decision_hash=decision_hash(seen, weights),
    )
    return replace(plan, action=Action.REBALANCE, request=request)


def deadline(snapshot: Snapshot, settings: Settings) -> int:
    """Return the timestamp until which a decision from this snapshot may be mined."""
    return max(snapshot.block.timestamp, snapshot.read_at) + int(settings.deadline_seconds)


def decision_hash(seen: Observation, weights: tuple[int, ...]) -> str:
    """Return the keccak of observation and weights as canonical JSON: anyone who has both can check the record."""
    content = {"observation": seen.vector()[0].tolist(), "weights": [str(weight) for weight in weights]}
    return "0x" + keccak(text=json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)).hex()


def _watched(rates: Rates) -> str:
    """Return why nothing can be decided while a rate is not known."""
    names = ", ".join(rates.unknown)
    return f"{names}: no rate is published, and the share price has not been watched for {SPACING // 60} minutes yet"


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


def _remember_quotes(quotes: Quotes, snapshot: Snapshot, past: QuoteMemory | None) -> QuoteMemory | None:
    if not quotes.values:
        return past
    timestamp = snapshot.block.timestamp
    return QuoteMemory.start(quotes.values, timestamp) if past is None else past.update(quotes.values, timestamp)


def _shown(policy: Policy, quotes: Quotes, past: QuoteMemory | None, snapshot: Snapshot) -> dict[str, Any]:
    """Return what the policy's observation version has besides the vault. Its day is that of UTC."""
    block, version = snapshot.block, observation_of(policy)
    if not version_of(version).features or past is None:
        return {"version": version}
    facts = BlockFacts(block.timestamp, block.base_fee / 1e9, block.gas_used / block.gas_limit)
    features = features_of(version, quotes.values, past, facts)
    return {"version": version, "features": features, "elapsed": float(block.timestamp % DAY)}


def _with_heartbeat(plan: Plan, snapshot: Snapshot) -> Plan:
    """Turn a hold into a heartbeat when half of the silence that the vault allows has passed.

    Only a keeper that could have traded does: one that refuses must not hold off the dead man's switch.
    """
    limit = snapshot.limits.max_silence
    if 2 * snapshot.silence < limit:
        return plan
    due = f"a sign of life is due: none for {snapshot.silence} s, and after {limit} s anyone may unwind"
    return replace(plan, action=Action.HEARTBEAT, reason=f"{plan.reason}; {due}")


def _tuple(row: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(row)[0])
