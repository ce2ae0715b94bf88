"""From the weights that a policy wants to a rebalance that is admissible and worth sending, or the reason for none.

`decide` goes through these steps, for a batch of vaults at once:

1. Project the wanted weights onto the limits, groups of shared risk first.
2. Drop the changes too small to send, and project the rest onto the room that the held positions leave.
3. Cut a trade that the turnover or the loss budget has no room for: go only part of the way.
4. Weigh the gas against the amount moved.
5. Say why a vault trades or does not.

The vault binds caps only where it deposits, and lets an idle floor be that was broken by others. The rule here is
stricter: a vault that trades at all comes back under its caps, its groups' caps and over its idle floor, as far as its
strategies can pay: a venue in distress keeps what it cannot pay, and the rest is arranged around that.

Environments, backtest and keeper all call it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from agent.columns import every, some, total
from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.units import BoolArray, FloatArray, IntArray, rows
from agent.vault.limits import Limits
from agent.vault.portfolio import Allowance, Costs
from agent.vault.projection import caps_in_groups, project_rows


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
        `(B, n)` strategies of which more was wanted than their cap, their groups or their room allow.
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
    room: FloatArray | None = None,
    believed: FloatArray | None = None,
    payable: FloatArray | None = None,
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
    room
        `(B, n)` largest weight to which a strategy may be increased: the vault puts nothing into one that could not pay
        all back. A larger position may stay. No bound by default.
    believed
        `(B,)` bid as a share of NAV: relative caps of what is increased count in the bid. All of NAV by default.
    payable
        `(B, n)` most that each strategy can pay out now, as a share of NAV. Unlimited by default.

    Raises
    ------
    NotFiniteError
        If anything is NaN: a policy that says nothing must not trade.
    """
    if wanted.shape != weights.shape or wanted.ndim != 2 or wanted.shape[1] != limits.count:
        raise ShapeError(f"wanted {wanted.shape} and present {weights.shape} weights must be (B, {limits.count})")
    for name, bound in {"room": room, "payable": payable}.items():
        if bound is not None and (bound.shape != weights.shape or np.isnan(bound).any()):
            raise ShapeError(f"{name} must be {weights.shape} numbers, one per weight, none of them NaN")
    if np.isnan(wanted).any() or not np.isfinite(weights).all() or not np.isfinite(nav).all():
        raise NotFiniteError("wanted and present weights and NAV must be numbers: refuse the policy or the snapshot")
    batch = len(weights)
    left = Allowance.unbounded(batch) if allowance is None else allowance
    walls = _Walls.of(limits, nav, weights, rules)
    if payable is not None:
        walls = walls.lowered_by(payable, weights, rules)
    if room is not None:
        walls = walls.raised_to(room, weights)
    if believed is not None:
        walls = walls.believing(believed, limits, weights, rules)

    highest = walls.in_groups(wanted)
    projected = walls.project(wanted)
    target, traded = _drop_small(wanted, projected, weights, walls, rules)

    costs = costs.of_nav(nav)  # weights are shares of it
    most = left.turnover - rules.drift_margin, left.loss
    turnover, loss = _spending(target - weights, costs)
    over_turnover = (turnover > most[0]) & some(traded)
    cut = over_turnover | ((loss > most[1]) & some(traded))
    if cut.any():
        spendable, few, inner = (most[0][cut], most[1][cut]), costs.of(cut), walls.at(cut)
        partial = _part_way(target[cut], traded[cut], weights[cut], inner, spendable, few)
        nearest = inner.project(partial)
        target[cut], traded[cut] = _drop_small(partial, nearest, weights[cut], inner, rules)
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
        at_cap=(wanted > highest) & (projected >= highest),
        turnover=turnover,
        loss=loss,
        gas=gas,
    )


@dataclass(frozen=True)
class _Walls:
    """Bounds of the weights, as shares of NAV, with the margin for drift: `(B, n)`, `(B,)`, `(g, n)`, `(B, g)`."""

    caps: FloatArray
    budget: FloatArray
    members: BoolArray
    together: FloatArray  # caps of the groups
    least: FloatArray | None = None  # what strategies cannot pay out, `(B, n)`; nothing by default

    @classmethod
    def of(cls, limits: Limits, nav: FloatArray, weights: FloatArray, rules: DecisionRules) -> _Walls:
        value, kept = np.maximum(nav, 0.0), 1.0 - rules.drift_margin
        caps = limits.caps(value) * kept
        budget = np.full(len(weights), 1.0 - limits.idle_floor - rules.drift_margin)
        together = limits.group_caps(value) * kept if limits.groups else np.empty((len(weights), 0))
        return cls(caps, budget, limits.members, together)

    def raised_to(self, room: FloatArray, weights: FloatArray) -> _Walls:
        """Return the walls where a position is raised to its room, `(B, n)`, at most; a larger one may stay."""
        return replace(self, caps=np.minimum(self.caps, np.maximum(room, weights)))

    def lowered_by(self, payable: FloatArray, weights: FloatArray, rules: DecisionRules) -> _Walls:
        """Return the walls where a position is lowered by what can be paid, `(B, n)`, at most; caps give way to that.

        One that can be paid in full needs no margin, so that it can be left.
        """
        left = weights - np.maximum(payable, 0.0) * (1.0 - rules.drift_margin)
        least = np.where(payable >= weights, 0.0, left)
        return replace(self, caps=np.maximum(self.caps, least), least=least) if (least > 0).any() else self

    def believing(self, share: FloatArray, limits: Limits, weights: FloatArray, rules: DecisionRules) -> _Walls:
        """Return the walls where relative caps count in a share of NAV, `(B,)`; what is over may stay, not grow."""
        less, part = (share < 1.0)[:, None], (share * (1.0 - rules.drift_margin))[:, None]
        walls = self.raised_to(np.where(less, limits.relative_caps * part, np.inf), weights)
        if not limits.groups:
            return walls
        together = np.where(less, limits.group_caps(0.0) * part, np.inf)  # of nothing, the relative caps alone
        full = self._sums(weights) > together
        walls = walls.raised_to(np.where(full @ self.members, 0.0, np.inf), weights)
        return replace(walls, together=np.where(full, self.together, np.minimum(self.together, together)))

    def at(self, vaults: BoolArray) -> _Walls:
        """Return the walls of some vaults, `(B,)` flags."""
        least = None if self.least is None else self.least[vaults]
        return _Walls(self.caps[vaults], self.budget[vaults], self.members, self.together[vaults], least)

    def in_groups(self, wanted: FloatArray) -> FloatArray:
        """Return the caps, lowered so that a projection of the wanted weights keeps every group within its own."""
        if not self.together.size:
            return self.caps
        if self.least is None:
            return caps_in_groups(wanted, self.caps, self.members, self.together)
        above = self._above(self.least)
        return self.least + caps_in_groups(wanted - self.least, above.caps, self.members, above.together)

    def project(self, wanted: FloatArray) -> FloatArray:
        """Project onto caps, groups and budget, or as near to them as what cannot be paid out lets."""
        if self.least is None:
            return project_rows(wanted, self.in_groups(wanted), self.budget)
        return self.least + self._above(self.least).project(wanted - self.least)

    def _above(self, least: FloatArray) -> _Walls:
        """Return the walls of what is on top of the least weights."""
        return replace(self.beside(least), caps=self.caps - least, least=None)

    def beside(self, held: FloatArray) -> _Walls:
        """Return the walls that are left beside weights `(B, n)` that stay."""
        together = self.together - self._sums(held) if self.together.size else self.together
        return replace(self, budget=self.budget - total(held), together=together)

    def project_traded(self, wanted: FloatArray, traded: BoolArray) -> FloatArray:
        """Project the wanted weights of what is traded; zero elsewhere."""
        least = None if self.least is None else np.where(traded, self.least, 0.0)
        walls = replace(self, caps=np.where(traded, self.caps, 0.0), least=least)
        return walls.project(np.where(traded, wanted, 0.0))

    def _sums(self, weights: FloatArray) -> FloatArray:
        """Return the weight of every group, `(B, g)`; a vault's bits do not depend on the others in the batch."""
        return np.stack([total(np.compress(part, weights, -1)) for part in self.members], axis=-1)

    def overfull(self, weights: FloatArray, projected: FloatArray) -> BoolArray:
        """Return which positions must fall, `(B, n)`: those over their caps, and in groups that are over theirs."""
        over = weights > self.caps
        if self.together.size:
            crowded = (self._sums(weights) > self.together) @ self.members
            over |= crowded & (projected < weights)
        return over


def _drop_small(
    wanted: FloatArray,
    projected: FloatArray,
    weights: FloatArray,
    walls: _Walls,
    rules: DecisionRules,
) -> tuple[FloatArray, BoolArray]:
    """Hold positions that change by less than the smallest trade; return targets and traded flags, `(B, n)` each.

    A position over its cap never counts as small once something else is traded. `projected` are the `wanted` weights
    projected onto all walls: right as they are for the vaults that trade every strategy. Those that trade some are
    projected again onto the room that the held positions leave.
    """
    required = walls.overfull(weights, projected)
    traded = _large(projected - weights, rules) | required
    target = np.where(traded, projected, weights)
    mixed = some(traded) & ~every(traded)
    if mixed.any():
        target[mixed], traded[mixed] = _settle(
            wanted[mixed], weights[mixed], walls.at(mixed), traded[mixed], required[mixed], rules
        )
    traded &= some(_large(target - weights, rules))[:, None]  # a trim to a cap alone can wait
    return np.where(traded, target, weights), traded


def _settle(
    wanted: FloatArray,
    weights: FloatArray,
    walls: _Walls,
    traded: BoolArray,
    required: BoolArray,
    rules: DecisionRules,
) -> tuple[FloatArray, BoolArray]:
    """Project the traded part onto the room that is left, and drop what became small by that, until nothing changes."""
    target = weights
    for _ in range(2 * weights.shape[1] + 2):  # every round but one drops at least one trade of a row
        left = walls.beside(np.where(traded, 0.0, weights))
        crowded = left.budget < 0  # the held positions break the idle floor: hold nothing
        if crowded.any():
            required = required | crowded[:, None]
            traded = traded | required
            left = walls.beside(np.where(traded, 0.0, weights))
        target = np.where(traded, left.project_traded(wanted, traded), weights)
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
    return turnover, costs.charged(withdrawn, deposited)


def _part_way(
    target: FloatArray,
    traded: BoolArray,
    weights: FloatArray,
    walls: _Walls,
    most: tuple[FloatArray, FloatArray],
    costs: Costs,
) -> FloatArray:
    """Return targets `(B, n)` as far towards `target` as the turnover and loss of `most` are sure to pay for.

    The way starts at the admissible portfolio nearest to the present one (the present one itself, unless drift or
    tightened limits made it inadmissible) and ends at an admissible one, so all of it is admissible. The spending along
    it is a convex function, so it lies under the straight line between its two ends. A loss with an impact lies far
    under it: there the way is as long as the loss itself allows.
    """
    left = walls.beside(np.where(traded, 0.0, weights))
    start = np.where(traded, left.project_traded(weights, traded), weights)
    by_turnover, by_loss = (
        np.where(last > bound, (bound - first) / np.where(last > first, last - first, 1.0), 1.0)
        for first, last, bound in zip(
            _spending(start - weights, costs), _spending(target - weights, costs), most, strict=True
        )
    )
    if costs.sized:
        sized = some(np.broadcast_to(np.asarray(costs.impact) > 0, weights.shape))
        by_loss = np.where(sized, _affordable(start - weights, target - start, most[1], costs), by_loss)
    share = np.maximum(np.minimum(by_turnover, by_loss), 0.0) * (1.0 - 1e-9)  # rounding must not carry it over
    return np.asarray(start + share[:, None] * (target - start))


_HALVINGS = 40
"""Steps of a bisection: 1e-12 of the way is left open, far less than what is kept for rounding."""


def _affordable(first: FloatArray, way: FloatArray, most: FloatArray, costs: Costs) -> FloatArray:
    """Return how much of a way `(B, n)` may be added to first changes `(B, n)` for a loss of `most`, `(B,)`: a share.

    By bisection, whose lower end always fits, or is the start. The loss is convex along the way as long as no leg loses
    all of itself, so what fits is a stretch from the start on, and its end is found.
    """
    high = np.ones(len(way))
    low = np.where(_spending(first + way, costs)[1] <= most, high, 0.0)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        fits = _spending(first + middle[:, None] * way, costs)[1] <= most
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low
