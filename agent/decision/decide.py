"""`decide`: wanted weights onto the limits, small trades dropped, cut down to the budgets, gas weighed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agent.columns import some
from agent.decision.budgets import part_way, spending
from agent.decision.reasons import CODE, REASONS, Reason
from agent.decision.rules import DecisionRules
from agent.decision.small_trades import drop_small
from agent.errors import NotFiniteError, ShapeError
from agent.limits import Limits, project_rows
from agent.portfolio import Costs, Headroom
from agent.units import BoolArray, FloatArray, IntArray, rows

_LEAST_TRADING = CODE[Reason.CUT]


@dataclass(frozen=True)
class Decision:
    """What to do about a batch of vaults.

    Attributes
    ----------
    weights
        `(B, n)` shares of NAV to move to; the present weight where not traded.
    traded
        `(B, n)` false means `HOLD` on chain. All false where nothing is to be sent.
    code
        `(B,)` index into `REASONS` of why.
    projected
        `(B, n)` the admissible weights nearest to those wanted, before small trades were dropped.
    at_cap
        `(B, n)` strategies of which more was wanted than their cap allows.
    turnover
        `(B,)` larger of withdrawals and deposits as a share of NAV; what was given up for gas counts too.
    loss
        `(B,)` what entering and leaving are expected to cost, as a share of NAV.
    gas
        `(B,)` expected cost of gas, asset units.
    """

    weights: FloatArray
    traded: BoolArray
    code: IntArray
    projected: FloatArray
    at_cap: BoolArray
    turnover: FloatArray
    loss: FloatArray
    gas: FloatArray

    @cached_property
    def reason(self) -> tuple[Reason, ...]:
        """`B` reasons; `Reason.TRADE` or `Reason.CUT` where there is something to send."""
        return tuple(REASONS[code] for code in self.code)


def decide(
    wanted: FloatArray,
    weights: FloatArray,
    nav: FloatArray,
    gas_cost: FloatArray | float,
    limits: Limits,
    costs: Costs,
    rules: DecisionRules,
    halted: BoolArray | None = None,
    headroom: Headroom | None = None,
) -> Decision:
    """Turn wanted weights into an admissible rebalance, or none.

    The wanted weights are projected onto the limits. Changes smaller than `min_trade` are not traded; a position over
    its cap never counts as small once something else is traded, because the vault would refuse the whole. What is
    traded is projected again onto the room that the held positions leave, until nothing changes. A trade that the
    turnover or the loss budget has no room for goes only part of the way: from the nearest admissible portfolio (the
    present one, unless drift or tightened limits made it inadmissible) towards the wanted one. Then gas is weighed.

    Parameters
    ----------
    wanted
        `(B, n)` raw target weights of a policy; any numbers but NaN.
    weights
        `(B, n)` present shares of NAV.
    nav
        `(B,)` NAV, asset units.
    gas_cost
        `(B,)` asset units per unit of gas.
    limits, costs, rules
        The vault's walls, what moving costs, and when it is worth it.
    halted
        `(B,)` vaults that accept no rebalance; none by default.
    headroom
        What cooldown and budgets leave; no bound by default.

    Raises
    ------
    NotFiniteError
        If anything is NaN: a policy that says nothing must not trade.
    """
    if wanted.shape != weights.shape or wanted.ndim != 2 or wanted.shape[1] != limits.count:
        raise ShapeError(f"wanted {wanted.shape} and present {weights.shape} weights must be (B, {limits.count})")
    if np.isnan(wanted).any() or not np.isfinite(weights).all() or not np.isfinite(nav).all():
        raise NotFiniteError("wanted and present weights and NAV must be numbers: refuse the policy or the snapshot")
    batch = len(weights)
    caps = limits.caps(np.maximum(nav, 0.0)) * (1.0 - rules.drift_margin)
    budget = np.full(batch, 1.0 - limits.idle_floor - rules.drift_margin)
    projected = project_rows(wanted, caps, budget)
    target, traded = drop_small(wanted, projected, weights, caps, budget, rules)
    left = Headroom.unbounded(batch) if headroom is None else headroom
    most = left.turnover - rules.drift_margin, left.loss
    turnover, loss = spending(target - weights, costs)
    over_turnover = (turnover > most[0]) & some(traded)
    cut = over_turnover | ((loss > most[1]) & some(traded))
    if cut.any():
        room, few = (most[0][cut], most[1][cut]), costs.of(cut)
        partial = part_way(target[cut], traded[cut], weights[cut], caps[cut], budget[cut], room, few)
        nearest = project_rows(partial, caps[cut], budget[cut])
        target[cut], traded[cut] = drop_small(partial, nearest, weights[cut], caps[cut], budget[cut], rules)
        turnover, loss = spending(target - weights, costs)

    # Cutting down helps until what is left is below the smallest trade, or the way back under the caps is too dear.
    trades = some(traded)
    starved = cut & (~trades | (turnover > most[0]) | (loss > most[1]))
    gas = costs.gas_units(traded) * rows(gas_cost, batch)
    code = np.full(batch, CODE[Reason.TRADE])
    for case, reason in (
        (cut, Reason.CUT),
        (gas > rules.max_gas_share * turnover * nav, Reason.GAS),
        (starved, Reason.LOSS),
        (starved & over_turnover, Reason.TURNOVER),
        (left.wait > 0, Reason.COOLDOWN),
        (~trades & ~cut, Reason.SMALL),
        (nav <= 0, Reason.EMPTY),
        (halted, Reason.HALTED),
    ):
        if case is not None:
            code[case] = CODE[reason]  # from the last that counts to the first
    send = (code >= _LEAST_TRADING)[:, None]
    return Decision(
        weights=np.where(send, target, weights),
        traded=traded & send,
        code=code,
        projected=projected,
        at_cap=(wanted > caps) & (projected >= caps),
        turnover=turnover,
        loss=loss,
        gas=gas,
    )
