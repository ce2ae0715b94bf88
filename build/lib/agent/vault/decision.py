"""From the weights that a policy wants to a rebalance that is admissible and worth sending, or the reason for none.

`decide` goes through these steps, for a batch of vaults at once:

1. Project the wanted weights onto the limits.
2. Drop the changes too small to send, and project the rest onto the room that the held positions leave.
3. Cut a trade that the turnover or the loss budget has no room for: go only part of the way.
4. Weigh the gas against the amount moved.
5. Say why a vault trades or does not.

Environments, backtest and keeper all call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from agent.columns import every, some, total
from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.units import BoolArray, FloatArray, IntArray, rows
from agent.vault.limits import Limits
from agent.vault.portfolio import Allowance, Costs
from agent.vault.projection import project_rows


class Reason(StrEnum):
    """Why a vault is, or is not, rebalanced; where several reasons hold, the first counts."""

    HALTED = "the vault is halted"
    EMPTY = "the vault holds nothing"
    SMALL = "every change is smaller than the smallest trade"
    COOLDOWN = "the cooldown after the last rebalance is running"
    TURNOVER = "the turnover budget that is left is too small for the smallest trade"
    LOSS = "the loss budget that is left is too small for the costs of a trade"
    GAS = "gas is too dear for the amount moved"
    CUT = "trade, cut down to what the budgets leave"
    TRADE = "trade"

    @property
    def trades(self) -> bool:
        """Whether there is something to send."""
        return self in (Reason.TRADE, Reason.CUT)


REASONS = tuple(Reason)
"""Every reason by its code."""


@dataclass(frozen=True)
class DecisionRules:
    """Conditions under which a rebalance is worth sending.

    Attributes
    ----------
    min_trade
        Changes of a weight smaller than this share of NAV are not traded.
    max_gas_share
        Largest cost of gas, as a share of the amount moved.
    drift_margin
        Room kept to every cap (as a share of it), to the idle floor and to the turnover budget (as a share of NAV):
        between the block that was read and the block that trades, interest shifts held positions and NAV a little, and
        pools round.
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
    """Decision about a batch of vaults.

    Attributes
    ----------
    weights
        `(B, n)` shares of NAV to move to; the present weight where not traded.
    traded
        `(B, n)` false means `HOLD` on chain. All false where nothing is to be sent.
    code
        `(B,)` index into `REASONS`.
    projected
        `(B, n)` the admissible weights nearest to those wanted, before small trades were dropped.
    at_cap
        `(B, n)` strategies of which more was wanted than their cap allows.
    turnover
        `(B,)` larger of withdrawals and deposits as a share of NAV, also where it was given up for gas.
    loss
        `(B,)` expected cost of entering and leaving, as a share of NAV.
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
    allowance: Allowance | None = None,
) -> Decision:
    """Turn wanted weights into an admissible rebalance, or none; the module's docstring has the steps.

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
        The vault's limits, the costs of moving, and when a rebalance is worth them.
    halted
        `(B,)` vaults that accept no rebalance; none by default.
    allowance
        What cooldown and budgets leave at this moment; no bound by default.

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
    left = Allowance.unbounded(batch) if allowance is None else allowance
    caps = limits.caps(np.maximum(nav, 0.0)) * (1.0 - rules.drift_margin)
    budget = np.full(batch, 1.0 - limits.idle_floor - rules.drift_margin)

    projected = project_rows(wanted, caps, budget)
    target, traded = _drop_small(wanted, projected, weights, caps, budget, rules)

    most = left.turnover - rules.drift_margin, left.loss
    turnover, loss = _spending(target - weights, costs)
    over_turnover = (turnover > most[0]) & some(traded)
    cut = over_turnover | ((loss > most[1]) & some(traded))
    if cut.any():
        room, few = (most[0][cut], most[1][cut]), costs.of(cut)
        partial = _part_way(target[cut], traded[cut], weights[cut], caps[cut], budget[cut], room, few)
        nearest = project_rows(partial, caps[cut], budget[cut])
        target[cut], traded[cut] = _drop_small(partial, nearest, weights[cut], caps[cut], budget[cut], rules)
        turnover, loss = _spending(target - weights, costs)
    trades = some(traded)
    # A cut may leave less than the smallest trade, and the way back under the caps may be too dear.
    starved = cut & (~trades | (turnover > most[0]) | (loss > most[1]))

    gas = costs.gas_units(traded) * rows(gas_cost, batch)

    cases = {
        Reason.HALTED: np.zeros(batch, dtype=bool) if halted is None else halted,
        Reason.EMPTY: nav <= 0,
        Reason.SMALL: ~trades & ~cut,
        Reason.COOLDOWN: left.wait > 0,
        Reason.TURNOVER: starved & over_turnover,
        Reason.LOSS: starved,
        Reason.GAS: gas > rules.max_gas_share * turnover * nav,
        Reason.CUT: cut,
        Reason.TRADE: np.ones(batch, dtype=bool),
    }
    code = np.array([cases[reason] for reason in REASONS]).argmax(0)  # the first that holds
    send = (code >= REASONS.index(Reason.CUT))[:, None]
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


def _drop_small(
    wanted: FloatArray,
    projected: FloatArray,
    weights: FloatArray,
    caps: FloatArray,
    budget: FloatArray,
    rules: DecisionRules,
) -> tuple[FloatArray, BoolArray]:
    """Hold positions that change by less than the smallest trade; return targets and traded flags, `(B, n)` each.

    A position over its cap never counts as small once something else is traded: the vault would refuse the whole.
    `projected` are the `wanted` weights projected onto all of `caps` and `budget`: right as they are for the vaults
    that trade every strategy. Those that trade some are projected again onto the room that the held positions leave.
    """
    required = weights > caps  # the vault checks the caps of held positions too
    traded = _large(projected - weights, rules) | required
    target = np.where(traded, projected, weights)
    mixed = some(traded) & ~every(traded)
    if mixed.any():
        target[mixed], traded[mixed] = _settle(
            wanted[mixed], weights[mixed], caps[mixed], budget[mixed], traded[mixed], required[mixed], rules
        )
    traded &= some(_large(target - weights, rules))[:, None]  # a trim to a cap alone can wait
    return np.where(traded, target, weights), traded


def _settle(
    wanted: FloatArray,
    weights: FloatArray,
    caps: FloatArray,
    budget: FloatArray,
    traded: BoolArray,
    required: BoolArray,
    rules: DecisionRules,
) -> tuple[FloatArray, BoolArray]:
    """Project the traded part onto the room that is left, and drop what became small by that, until nothing changes."""
    target = weights
    for _ in range(2 * weights.shape[1] + 2):  # every round but one drops at least one trade of a row
        held = total(np.where(traded, 0.0, weights))
        crowded = held > budget  # the held positions break the idle floor: hold nothing
        if crowded.any():
            required = required | crowded[:, None]
            traded = traded | required
            held = np.where(crowded, 0.0, held)
        moved = project_rows(np.where(traded, wanted, 0.0), np.where(traded, caps, 0.0), budget - held)
        target = np.where(traded, moved, weights)
        small = traded & ~required & ~_large(target - weights, rules)
        if not small.any():
            break
        traded = traded & ~small
    return target, traded


def _large(change: FloatArray, rules: DecisionRules) -> BoolArray:
    return np.asarray((np.abs(change) >= rules.min_trade) & (change != 0))


def _spending(change: FloatArray, costs: Costs) -> tuple[FloatArray, FloatArray]:
    """Return the turnover and the loss, `(B,)` each, that changes of weights `(B, n)` take out of the budgets."""
    deposited, withdrawn = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    turnover = np.maximum(total(deposited), total(withdrawn))
    return turnover, total(deposited * np.asarray(costs.entry) + withdrawn * np.asarray(costs.exit))


def _part_way(
    target: FloatArray,
    traded: BoolArray,
    weights: FloatArray,
    caps: FloatArray,
    budget: FloatArray,
    most: tuple[FloatArray, FloatArray],
    costs: Costs,
) -> FloatArray:
    """Return targets `(B, n)` as far towards `target` as the turnover and loss of `most` are sure to pay for.

    The way starts at the admissible portfolio nearest to the present one (the present one itself, unless drift or
    tightened limits made it inadmissible) and ends at an admissible one, so all of it is admissible. The spending along
    it is a convex function, so it lies under the straight line between its two ends.
    """
    room = budget - total(np.where(traded, 0.0, weights))
    nearest = project_rows(np.where(traded, weights, 0.0), np.where(traded, caps, 0.0), room)
    start = np.where(traded, nearest, weights)
    share = np.ones(len(weights))
    for first, last, bound in zip(
        _spending(start - weights, costs), _spending(target - weights, costs), most, strict=True
    ):
        part = (bound - first) / np.where(last > first, last - first, 1.0)
        share = np.minimum(share, np.where(last > bound, part, 1.0))
    share = np.maximum(share, 0.0) * (1.0 - 1e-9)  # rounding must not carry it over
    return np.asarray(start + share[:, None] * (target - start))
