"""The money math: rebalancing, interest, gas and the drawdown limit for a batch of vaults.

A `PortfolioState` and a `MarketRow` go into `step`, and the next state comes out: `rebalance` moves positions, pays
gas and spends budgets; `accrue` lets positions grow and halts a vault that falls too far; `unwind` empties a halted
one. Training, backtest, simulation and the demo share this one definition; `tests/ape/test_parity.py` compares it with
the Solidity vault. Arrays have a leading batch axis `B`; money is in whole asset units, ratios are fractions.

Weights, turnover and losses count in NAV, and so does entering. Leaving, the mark and the drawdown limit count in the
bid (`agent.vault.bid`), and budgets are shares of it: what is only claimed widens none. Without a bound on growth the
bid is NAV.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from agent.columns import mean, share, some, total
from agent.errors import LimitsError, NotFiniteError, ShapeError
from agent.units import YEAR, BoolArray, FloatArray, rows
from agent.vault.bid import Records
from agent.vault.limits import Limits


@dataclass(frozen=True)
class MarketRow:
    """Market data at each vault's current row: seen at the decision, or paid until the next one.

    Attributes
    ----------
    rates
        `(B, n)` supply rates at the decision, APR.
    gas_cost
        `(B,)` asset units per unit of gas at the decision.
    growth
        `(B, n)` factors by which interest lets small positions grow **after** the decision.
    seconds
        Time until the next decision.
    factors
        `(B, n)` factors of price on top of `growth`; one by default.
    depth
        `(B, n)` assets that others supply to each pool after the decision; unlimited by default.
    liquidity
        `(B, n)` most that can be withdrawn at the decision, asset units; unlimited by default.
    features
        `(B, k)` further features of the market at the decision.
    surprises
        `(B, n)` unforeseeable part of the price changes, where the market tells it; see `agent.market.path`.
    """

    rates: FloatArray
    gas_cost: FloatArray
    growth: FloatArray
    seconds: float
    factors: FloatArray | None = None
    depth: FloatArray | None = None
    liquidity: FloatArray | None = None
    features: FloatArray | None = None
    surprises: FloatArray | None = None

    def payable(self, nav: FloatArray) -> FloatArray | None:
        """Return the most that each strategy can pay out at the decision as shares of NAV, `(B, n)`; None for no limit.

        It is also the largest weight that a strategy may be raised to: what is put in must be payable.
        """
        if self.liquidity is None:
            return None
        return np.asarray(self.liquidity / np.where(nav > 0, nav, 1.0)[:, None])

    @property
    def small_gain(self) -> FloatArray:
        """Growth factors `(B, n)` of positions too small to dilute a pool."""
        return self.growth if self.factors is None else self.growth * self.factors

    def gain(self, assets: FloatArray) -> FloatArray:
        """Return the `(B, n)` factors by which positions of these sizes grow until the next decision.

        A deposit of `own` beside the others' `depth` lowers the pool's utilisation by `depth / (depth + own)`. Under
        the kink of an Aave-like rate curve the borrow rate is proportional to the utilisation, and the supply rate is
        the borrow rate times the utilisation, so the interest falls by the square.
        """
        if self.depth is None:
            return self.small_gain
        whole = self.depth + assets
        others = 1.0 - assets / np.where(whole > 0, whole, 1.0)
        growth = np.asarray(1.0 + (self.growth - 1.0) * others**2)
        return growth if self.factors is None else growth * self.factors


@dataclass(frozen=True)
class Costs:
    """Costs of a rebalance.

    Attributes
    ----------
    gas_base
        Units of gas of a rebalance that moves nothing.
    gas_per_move
        Further units for each strategy deposited to or withdrawn from. Calibrate both from receipts.
    entry, exit
        Share of a deposit, or of the worth of what is withdrawn, that is really lost on the way: a scalar, `(n,)` per
        strategy, or `(B, n)` or `(B, 1)` per vault; zero for lending pools. Below zero where a pool paid more than the
        oracle's price.
    haircut
        Share by which a position's value in NAV (what leaving pays at least) is under its worth: a scalar or `(n,)`.
        NAV loses it on the way in; what leaving does not really cost comes back on the way out.
    impact
        Price impact: the further share of a leg that is lost for each asset unit that the leg moves, in the shapes of
        `entry`. A leg of `x` loses `x (entry + impact x)`, and never more than `x`. In a pool with `D` on each side
        where the product of both is constant, a trade of `x` pays `x D / (D + x)`: the impact is about `1 / D` while
        `x` is small against `D`, and overstated beyond. Each leg counts for itself: the pool is taken to have
        recovered by the next one.
    """

    gas_base: float = 250_000.0
    gas_per_move: float = 250_000.0
    entry: FloatArray | float = 0.0
    exit: FloatArray | float = 0.0
    haircut: FloatArray | float = 0.0
    impact: FloatArray | float = 0.0

    def __post_init__(self) -> None:
        if not all(np.all((np.asarray(cost) > -1) & (np.asarray(cost) <= 1)) for cost in (self.entry, self.exit)):
            raise LimitsError("costs of entering and leaving are shares of what is moved: at most 1, and more than -1")
        if not (np.all(np.asarray(self.haircut) >= 0) and np.all(np.asarray(self.haircut) < 1)):
            raise LimitsError("a haircut must be at least 0 and less than 1")
        if not (np.all(np.asarray(self.impact) >= 0) and np.all(np.isfinite(self.impact))):
            raise LimitsError("an impact is a share per asset unit that is moved: a number of zero or more")

    @cached_property
    def sized(self) -> bool:
        """Whether any leg costs more the larger it is."""
        return bool(np.any(self.impact))

    def entry_loss(self, deposited: FloatArray) -> FloatArray:
        """Return the share of deposits `(..., n)` that NAV loses: the real cost, and the haircut of what arrives."""
        entry, haircut = self._lost(self.entry, self.impact, deposited), np.asarray(self.haircut)
        return np.asarray(entry + haircut - entry * haircut)

    def exit_loss(self, withdrawn: FloatArray) -> FloatArray:
        """Return the share of withdrawals `(..., n)`, at their value in NAV, that NAV loses.

        It is below zero where leaving costs less than the haircut.
        """
        haircut = np.asarray(self.haircut)
        leave = self._lost(self.exit, self.impact / (1.0 - haircut), withdrawn)  # what moves is the worth
        return np.asarray((leave - haircut) / (1.0 - haircut))

    def _lost(self, cost: FloatArray | float, impact: FloatArray | float, amount: FloatArray | float) -> FloatArray:
        """Return the share of legs of these amounts that is really lost: all of a leg at most."""
        flat = np.asarray(cost, dtype=np.float64)
        return np.minimum(flat + impact * amount, 1.0) if self.sized else flat

    def charged(self, withdrawn: FloatArray, deposited: FloatArray) -> FloatArray:
        """Return what the loss budget pays for legs `(..., n)`: no gain of one makes up for another's loss."""
        leaving, entering = self.exit_loss(withdrawn), self.entry_loss(deposited)
        return np.asarray(total(withdrawn * np.maximum(leaving, 0.0) + deposited * np.maximum(entering, 0.0)))

    def of_nav(self, nav: FloatArray) -> Costs:
        """Return the costs of legs that are counted in shares of a NAV, `(B,)`, instead of asset units."""
        if not self.sized:
            return self
        return replace(self, impact=np.asarray(self.impact) * np.maximum(nav, 0.0)[:, None])

    def of_leg(self, amount: FloatArray | float) -> Costs:
        """Return the costs of legs of an amount, one or `(B, 1)`: their impact is in `entry` and `exit`."""
        if not self.sized:
            return self
        entry, leave = (self._lost(cost, self.impact, amount) for cost in (self.entry, self.exit))
        return replace(self, entry=entry, exit=leave, impact=0.0)

    def gas_units(self, moves: FloatArray | BoolArray) -> FloatArray:
        """Return the units of gas `(...,)` for `(..., n)` moved flags; zero where nothing moves."""
        count = total(np.asarray(moves, dtype=np.float64))
        return np.where(count > 0, self.gas_base + self.gas_per_move * count, 0.0)

    def switch(self, batch: int) -> FloatArray:
        """Return the expected cost of moving a unit from one strategy to another, as a share of it, `(B,)`.

        Without impact: take the costs `of_leg`.
        """
        legs = (np.asarray(cost, dtype=np.float64) for cost in (self.entry, self.exit))
        return rows(sum(mean(cost) if cost.ndim else cost for cost in legs), batch)

    def of(self, vaults: BoolArray) -> Costs:
        """Return the costs of some vaults of the batch, `(B,)` flags."""
        each = {"entry": self.entry, "exit": self.exit, "impact": self.impact}
        own: dict[str, Any] = {
            name: cost[vaults] for name, cost in each.items() if isinstance(cost, np.ndarray) and cost.ndim == 2
        }
        return replace(self, **own) if own else self


@dataclass(frozen=True)
class Allowance:
    """Room that cooldown and budgets leave for a rebalance now, `(B,)` each.

    Attributes
    ----------
    wait
        Seconds until the cooldown is over; zero or less when it is.
    turnover, loss
        Shares of NAV that may be moved and lost, `inf` without a bound.
    """

    wait: FloatArray
    turnover: FloatArray
    loss: FloatArray

    @classmethod
    def unbounded(cls, batch: int) -> Allowance:
        """Return the allowance of vaults without cooldown and budgets."""
        return cls(np.zeros(batch), np.full(batch, np.inf), np.full(batch, np.inf))


@dataclass(frozen=True)
class PortfolioState:
    """A batch of vaults. Its arrays must not be changed: derived figures are cached.

    Attributes
    ----------
    assets
        `(B, n)` value of the position in each strategy.
    idle
        `(B,)` assets that the vault itself holds.
    supply
        `(B,)` vault shares; the bid over supply is the share price.
    mark
        `(B,)` high-water mark of the share price.
    halted
        `(B,)` whether the drawdown limit was broken.
    gas_paid
        `(B,)` gas that the keeper has paid so far.
    rested
        `(B,)` seconds since the last rebalance, `inf` before the first.
    turnover_used, loss_used
        `(B,)` shares of the bid spent from the budgets and not refilled yet.
    records
        What the bid is bounded by; without it, as before the first step and where growth has no bound, it is NAV.
    """

    assets: FloatArray
    idle: FloatArray
    supply: FloatArray
    mark: FloatArray
    halted: BoolArray
    gas_paid: FloatArray
    rested: FloatArray
    turnover_used: FloatArray
    loss_used: FloatArray
    records: Records | None = None

    @classmethod
    def open(
        cls, nav: FloatArray | float, count: int, batch: int = 1, weights: FloatArray | None = None
    ) -> PortfolioState:
        """Return `batch` new vaults over `count` strategies at a share price of one.

        Positions are `(n,)` or `(B, n)` weights of NAV; all is idle by default.
        """
        value = rows(nav, batch)
        if not (np.isfinite(value).all() and (value > 0).all()):
            raise NotFiniteError("a portfolio opens with a NAV above zero")
        assets = np.zeros((batch, count)) if weights is None else weights * value[:, None]
        return cls(
            assets=assets,
            idle=np.maximum(value - assets.sum(-1), 0.0),
            supply=value,
            mark=np.ones(batch),
            halted=np.zeros(batch, dtype=np.bool_),
            gas_paid=np.zeros(batch),
            rested=np.full(batch, np.inf),
            turnover_used=np.zeros(batch),
            loss_used=np.zeros(batch),
        )

    @cached_property
    def nav(self) -> FloatArray:
        """Net asset value, `(B,)`."""
        return np.asarray(self.idle + total(self.assets))

    @property
    def net_worth(self) -> FloatArray:
        """NAV less the gas paid, `(B,)`."""
        return self.nav - self.gas_paid

    @cached_property
    def bid(self) -> FloatArray:
        """Bid, `(B,)`: NAV without gains that are not believed yet; leaving is paid from it. NAV in an empty vault."""
        if self.records is None:
            return self.nav
        return np.where(self.supply > 0, self.records.bid(self.assets, self.idle), self.nav)

    @cached_property
    def share_price(self) -> FloatArray:
        """Bid per share, `(B,)`; one where there are no shares."""
        return self._per_share(self.bid)

    def _per_share(self, value: FloatArray) -> FloatArray:
        return np.divide(value, self.supply, out=np.ones_like(self.supply), where=self.supply > 0)

    @cached_property
    def weights(self) -> FloatArray:
        """Share of NAV in each strategy, `(B, n)`; zero where NAV is zero."""
        return share(self.assets, self.nav[:, None])

    @property
    def idle_weight(self) -> FloatArray:
        """Share of NAV that is idle, `(B,)`; one where NAV is zero."""
        return np.where(self.nav > 0, share(self.idle, self.nav), 1.0)

    @cached_property
    def drawdown(self) -> FloatArray:
        """Fall of the share price under the high-water mark, as a share of the mark, `(B,)`."""
        return np.maximum(0.0, 1.0 - self.share_price / self.mark)

    @cached_property
    def believed(self) -> FloatArray | None:
        """Bid as a share of NAV, `(B,)`: what walls count in. None where all of NAV is believed."""
        if self.records is None:
            return None
        return np.divide(self.bid, self.nav, out=np.ones_like(self.nav), where=self.nav > 0)

    def allowance(self, limits: Limits) -> Allowance:
        """Return the room that cooldown and budgets leave for a rebalance now."""
        turnover = limits.turnover_budget.available(self.turnover_used)
        loss = limits.loss_budget.available(self.loss_used)
        if self.believed is not None:
            counted = np.maximum(self.believed, np.finfo(np.float64).tiny)  # a part of no bound is none
            turnover, loss = turnover * counted, loss * counted
        return Allowance(limits.cooldown - self.rested, turnover, loss)

    def recorded(self, limits: Limits) -> Records | None:
        """Return the records that bound the bid under these limits; where there are none yet, those of this moment."""
        if not limits.bounds_growth:
            return None
        return Records.of(self.assets, self.nav) if self.records is None else self.records

    def flow(self, assets: FloatArray | float, haircut: FloatArray | float = 0.0) -> PortfolioState:
        """Deposit (above zero) at the ask per share, or withdraw (below zero) at the share price, through idle.

        The ask is NAV with the positions at their worth: without their haircut, as in `Costs`.
        """
        amount = rows(assets, len(self.idle))
        if (self.idle + amount < 0).any():
            raise ShapeError("a withdrawal is larger than the idle assets it is paid from")
        price, records = self.share_price, self.records
        ask = np.asarray(self.idle + total(self.assets / (1.0 - np.asarray(haircut))))
        price = np.where(amount > 0, self._per_share(ask), price)
        if records is not None:
            records = replace(records, whole=self.bid + amount)
        return replace(self, idle=self.idle + amount, supply=self.supply + amount / price, records=records)


@dataclass(frozen=True)
class StepResult:
    """Outcome of a step or a rebalance: the new state, and its cost.

    Attributes
    ----------
    state
        The vaults afterwards.
    gas
        `(B,)` gas paid for the rebalance, asset units.
    turnover
        `(B,)` the larger of withdrawals and deposits as a share of NAV, so that a unit moved from one strategy to
        another counts once.
    moved
        `(B, n)` strategies that were deposited to or withdrawn from.
    refused
        `(B,)` the vault turned the rebalance away: halted, within the cooldown, over a budget, or more out of or into
        a strategy than it can pay.
    """

    state: PortfolioState
    gas: FloatArray
    turnover: FloatArray
    moved: BoolArray
    refused: BoolArray


def step(
    state: PortfolioState,
    weights: FloatArray,
    traded: BoolArray,
    row: MarketRow,
    limits: Limits,
    costs: Costs,
) -> StepResult:
    """Rebalance at the present NAV, then earn until the next decision.

    Parameters
    ----------
    state
        Vaults at the decision.
    weights
        `(B, n)` target shares of NAV; read only where `traded`.
    traded
        `(B, n)` strategies to move; the others are held (`HOLD` on chain).
    row
        The market.
    limits
        For cooldown, budgets, the growth of the bid and the drawdown limit. Caps are the decision's business.
    costs
        Gas units, and what entering and leaving cost.

    Raises
    ------
    ShapeError
        If the targets are not of the positions' shape.
    NotFiniteError
        If a target is NaN, or a growth factor is not finite or below zero.
    """
    done = rebalance(state, weights, traded, row.gas_cost, costs, limits, row.liquidity)
    grown = accrue(done.state, row.gain(done.state.assets), row.seconds, limits)
    return StepResult(grown, done.gas, done.turnover, done.moved, done.refused)


def rebalance(
    state: PortfolioState,
    weights: FloatArray,
    traded: BoolArray,
    gas_cost: FloatArray,
    costs: Costs,
    limits: Limits,
    liquidity: FloatArray | None = None,
) -> StepResult:
    """Move the traded positions to their targets, as `Vault.rebalance` does, and charge the budgets.

    Withdrawals come before deposits; where costs leave less cash than the deposits need, all deposits shrink alike.
    Nothing moves where the vault is halted or resting, where a budget is too small, or where a withdrawal, or a
    position that is deposited into, is larger than what the strategy can pay out (`liquidity`, `(B, n)`).
    """
    if weights.shape != state.assets.shape or traded.shape != state.assets.shape:
        raise ShapeError(f"targets must have the shape {state.assets.shape} of the positions, not {weights.shape}")
    if (np.isnan(weights) & traded).any():
        raise NotFiniteError("target weights must not be NaN: refuse the policy that produced them")
    wanted, nav = some(traded), state.nav
    shut = state.halted | (limits.cooldown - state.rested > 0)
    change = np.where(traded & ~shut[:, None], weights * nav[:, None] - state.assets, 0.0)
    withdrawn, deposited = np.maximum(-change, 0.0), np.maximum(change, 0.0)
    cash, need = np.asarray(state.idle + total(withdrawn * (1.0 - costs.exit_loss(withdrawn)))), total(deposited)
    deposited *= np.divide(cash, need, out=np.ones_like(need), where=need > cash)[:, None]

    amount, lost = np.maximum(total(withdrawn), total(deposited)), costs.charged(withdrawn, deposited)
    turnover = share(amount, nav)
    spent = turnover if state.bid is nav else share(amount, state.bid)
    turnover_used, turnover_fits = limits.turnover_budget.spend(state.turnover_used, spent)
    loss_used, loss_fits = limits.loss_budget.spend(state.loss_used, share(lost, state.bid))
    refused = wanted & (shut | ~turnover_fits | ~loss_fits)
    if liquidity is not None:
        refused |= some((withdrawn > liquidity) | ((deposited > 0) & (state.assets + deposited > liquidity)))

    done = wanted & ~refused
    withdrawn, deposited = np.where(done[:, None], withdrawn, 0.0), np.where(done[:, None], deposited, 0.0)
    moved = (withdrawn > 0) | (deposited > 0)
    gas = costs.gas_units(moved) * gas_cost
    records = state.recorded(limits)
    after = replace(
        state,
        assets=state.assets - withdrawn + deposited * (1.0 - costs.entry_loss(deposited)),
        idle=np.where(done, np.maximum(cash - total(deposited), 0.0), state.idle),
        gas_paid=state.gas_paid + gas,
        rested=np.where(done, 0.0, state.rested),
        turnover_used=np.where(done, turnover_used, state.turnover_used),
        loss_used=np.where(done, loss_used, state.loss_used),
        records=None if records is None else records.moved(state.bid, state.assets, withdrawn, deposited),
    )
    return StepResult(after, gas, np.where(done, turnover, 0.0), moved, refused)


def accrue(state: PortfolioState, growth: FloatArray, seconds: float, limits: Limits) -> PortfolioState:
    """Let positions grow by `(B, n)` factors over some seconds; past the drawdown limit a vault halts for good.

    The bid follows NAV as fast as its rate allows, the mark is its highest price, and the budgets refill. A loss is a
    factor below one.
    """
    if not np.isfinite(growth).all() or (growth < 0).any():
        raise NotFiniteError("growth factors must be finite and not below zero: check the rates or share prices")
    records = state.recorded(limits)
    if records is not None:
        records = records.grown(state.bid, limits.max_growth_rate * seconds / YEAR)
    grown = replace(state, assets=state.assets * growth, records=records)
    price = grown.share_price
    mark = np.maximum(state.mark, price)
    after = replace(
        grown,
        mark=mark,
        halted=state.halted | (price < mark * (1.0 - limits.max_drawdown)),
        rested=state.rested + seconds,
        turnover_used=limits.turnover_budget.refill(state.turnover_used, seconds),
        loss_used=limits.loss_budget.refill(state.loss_used, seconds),
    )
    vars(after).update(nav=grown.nav, bid=grown.bid, share_price=price)  # cached: none of them depends on the rest
    return after


def unwind(
    state: PortfolioState, which: BoolArray, costs: Costs, liquidity: FloatArray | None = None
) -> PortfolioState:
    """Withdraw all that can be withdrawn to idle, as anyone may do with a halted vault.

    The caller pays the gas; neither budgets nor the cooldown apply.

    Parameters
    ----------
    state
        Vaults.
    which
        `(B,)` vaults to unwind.
    costs
        Exit costs.
    liquidity
        `(B, n)` most that each strategy can pay out; unlimited by default.
    """
    paid = state.assets if liquidity is None else np.minimum(state.assets, liquidity)
    withdrawn = np.where(which[:, None], paid, 0.0)
    cash = (withdrawn * (1.0 - costs.exit_loss(withdrawn))).sum(-1)
    records = state.records
    if records is not None:
        moved = records.moved(state.bid, state.assets, withdrawn, np.zeros_like(withdrawn))
        records = replace(moved, whole=records.whole)  # unwinding does not record the bid
    return replace(state, assets=state.assets - withdrawn, idle=state.idle + cash, records=records)
