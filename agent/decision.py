"""From the weights a policy wants to a rebalance that is admissible and worth sending, or a reason why not.

Pure and batched. The environments, the backtest and the keeper call this same function, so what a policy was trained
and tested with is what happens on chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.limits import Limits, project_capped
from agent.portfolio import Costs, Headroom
from agent.units import BoolArray, FloatArray, rows


class Reason(StrEnum):
    """Why a vault is, or is not, rebalanced."""

    TRADE = "trade"
    CUT = "trade, cut down to what the budgets leave"
    SMALL = "every change is smaller than the smallest trade"
    GAS = "gas is too dear for the amount moved"
    TURNOVER = "the turnover budget that is left is too small for the smallest trade"
    LOSS = "the loss budget that is left is too small for the costs of a trade"
    COOLDOWN = "the cooldown after the last rebalance is running"
    HALTED = "the vault is halted"
    EMPTY = "the vault holds nothing"

    @property
    def trades(self) -> bool:
        """Whether there is something to send."""
        return self in (Reason.TRADE, Reason.CUT)


@dataclass(frozen=True)
class DecisionRules:
    """When a rebalance is worth sending.

    Attributes
    ----------
    min_trade
        Changes of a weight smaller than this share of NAV are not traded.
    max_gas_share
        Most that gas may cost, as a share of the amount moved.
    drift_margin
        Room kept to every cap (as a share of it), to the idle floor and to the turnover budget (as a share of NAV):
        between the block that was read and the block that trades, interest shifts held positions and NAV by a little,
        and pools round.
    """

    min_trade: float = 0.01
    max_gas_share: float = 0.001
    drift_margin: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("min_trade", "max_gas_share", "drift_margin"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise LimitsError(f"{name} must be in [0, 1), but is {value}")


@dataclass(frozen=True)
class Decision:
    """What to do about a batch of vaults.

    Attributes
    ----------
    weights
        `(B, n)` shares of NAV to move to; the present weight where not traded.
    traded
        `(B, n)` false means `HOLD` on chain. All false where nothing is to be sent.
    reason
        `B` reasons; `Reason.TRADE` or `Reason.CUT` where there is something to send.
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
    reason: tuple[Reason, ...]
    projected: FloatArray
    at_cap: BoolArray
    turnover: FloatArray
    loss: FloatArray
    gas: FloatArray


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
    projected = project_capped(wanted, caps, budget)
    target, traded = _drop_small(wanted, projected, weights, caps, budget, rules)
    left = Headroom.unbounded(batch) if headroom is None else headroom
    most = np.stack([left.turnover - rules.drift_margin, left.loss], axis=-1)
    over = (_spending(target - weights, costs) > most) & traded.any(-1, keepdims=True)
    cut = over.any(-1)
    if cut.any():
        partial = _part_way(target[cut], traded[cut], weights[cut], caps[cut], budget[cut], most[cut], costs.of(cut))
        target[cut], traded[cut] = _drop_small(partial, partial, weights[cut], caps[cut], budget[cut], rules)

    turnover, loss = np.moveaxis(_spending(target - weights, costs), -1, 0)
    # Cutting down helps until what is left is below the smallest trade, or the way back under the caps is too dear.
    starved = cut & (~traded.any(-1) | (turnover > most[:, 0]) | (loss > most[:, 1]))
    gas = costs.gas_units(traded) * rows(gas_cost, batch)
    stopped = np.zeros(batch, dtype=np.bool_) if halted is None else np.asarray(halted, dtype=np.bool_)
    cases: list[tuple[BoolArray, Reason]] = [
        (stopped, Reason.HALTED),
        (nav <= 0, Reason.EMPTY),
        (~traded.any(-1) & ~cut, Reason.SMALL),
        (left.wait > 0, Reason.COOLDOWN),
        (starved & over[:, 0], Reason.TURNOVER),
        (starved, Reason.LOSS),
        (gas > rules.max_gas_share * turnover * nav, Reason.GAS),
        (cut, Reason.CUT),
    ]
    outcome = np.select([case for case, _ in cases], list(range(len(cases))), default=len(cases))
    kinds = (*(reason for _, reason in cases), Reason.TRADE)
    reasons = tuple(kinds[index] for index in outcome)
    send = np.array([reason.trades for reason in reasons], dtype=np.bool_)
    return Decision(
        weights=np.where(send[:, None], target, weights),
        traded=traded & send[:, None],
        reason=reasons,
        projected=projected,
        at_cap=(wanted > caps) & (projected >= caps),
        turnover=turnover,
        loss=loss,
        gas=gas,
    )


def _spending(change: FloatArray, costs: Costs) -> FloatArray:
    """Return what changes of weights `(B, n)` take out of the turnover and the loss budget, `(B, 2)`."""
    deposited, withdrawn = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    turnover = np.maximum(deposited.sum(-1), withdrawn.sum(-1))
    loss = (deposited * np.asarray(costs.entry) + withdrawn * np.asarray(costs.exit)).sum(-1)
    return np.stack([turnover, loss], axis=-1)


def _part_way(
    target: FloatArray,
    traded: BoolArray,
    weights: FloatArray,
    caps: FloatArray,
    budget: FloatArray,
    most: FloatArray,
    costs: Costs,
) -> FloatArray:
    """Return targets `(B, n)` as far towards `target` as `most` `(B, 2)` can be sure to pay for.

    The way starts at the admissible portfolio nearest to the present one and ends at an admissible one, so all of it is
    admissible. What is spent along it is a convex function, so it lies under the straight line between its two ends.
    """
    room = budget - np.where(traded, 0.0, weights).sum(-1)
    nearest = project_capped(np.where(traded, weights, 0.0), np.where(traded, caps, 0.0), room)
    start = np.where(traded, nearest, weights)
    first, last = _spending(start - weights, costs), _spending(target - weights, costs)
    share = np.where(last > most, (most - first) / np.where(last > first, last - first, 1.0), 1.0)
    share = np.clip(share.min(-1), 0.0, 1.0) * (1.0 - 1e-9)  # rounding must not carry it over
    return np.asarray(start + share[:, None] * (target - start))


def _drop_small(
    wanted: FloatArray,
    projected: FloatArray,
    weights: FloatArray,
    caps: FloatArray,
    budget: FloatArray,
    rules: DecisionRules,
) -> tuple[FloatArray, BoolArray]:
    """Hold what changes by less than the smallest trade; return targets and traded flags, `(B, n)` each."""
    required = weights > caps  # the vault checks the caps of held positions too
    traded = _large(projected - weights, rules) | required
    target = weights
    for _ in range(2 * weights.shape[1] + 2):  # every round but one drops at least one trade of a row
        crowded = np.where(traded, 0.0, weights).sum(-1) > budget  # what is held breaks the idle floor: hold nothing
        required = required | crowded[:, None]
        traded = traded | required
        room = budget - np.where(traded, 0.0, weights).sum(-1)
        moved = project_capped(np.where(traded, wanted, 0.0), np.where(traded, caps, 0.0), room)
        target = np.where(traded, moved, weights)
        small = traded & ~required & ~_large(target - weights, rules)
        if not small.any():
            break
        traded = traded & ~small
    traded = traded & _large(target - weights, rules).any(-1, keepdims=True)  # a trim to a cap alone can wait
    return np.where(traded, target, weights), traded


def _large(change: FloatArray, rules: DecisionRules) -> BoolArray:
    return np.asarray((np.abs(change) >= rules.min_trade) & (change != 0))
