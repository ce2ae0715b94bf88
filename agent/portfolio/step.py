"""One step of a batch of vaults: rebalance, earn, and unwind where one has halted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from agent.columns import share, some, total
from agent.errors import NotFiniteError, ShapeError
from agent.limits import Limits
from agent.portfolio.costs import Costs
from agent.portfolio.market_row import MarketRow
from agent.portfolio.state import PortfolioState
from agent.units import YEAR, BoolArray, FloatArray


@dataclass(frozen=True)
class StepResult:
    """Outcome of one step: the new state and what happened on the way, all `(B, ...)`.

    Attributes
    ----------
    state
        The vaults at the next decision.
    gas
        `(B,)` gas paid for this rebalance, asset units.
    turnover
        `(B,)` the larger of what was withdrawn and what was deposited, as a share of NAV: a unit moved from one
        strategy to another counts once.
    moved
        `(B, n)` strategies that were deposited to or withdrawn from.
    refused
        `(B,)` the vault turned the rebalance away: halted, within the cooldown, over a budget, or more than a strategy
        can pay out.
    tripped
        `(B,)` the drawdown limit was broken in this step.
    """

    state: PortfolioState
    gas: FloatArray
    turnover: FloatArray
    moved: BoolArray
    refused: BoolArray
    tripped: BoolArray


def step(
    state: PortfolioState,
    weights: FloatArray,
    traded: BoolArray,
    row: MarketRow,
    limits: Limits,
    costs: Costs,
) -> StepResult:
    """Rebalance at the present NAV, then earn what the market pays until the next decision.

    Parameters
    ----------
    state
        Vaults at the decision.
    weights
        `(B, n)` target shares of NAV; read only where `traded`.
    traded
        `(B, n)` strategies to move; the others are held (`HOLD` on chain).
    row
        Gas price and liquidity now, and what positions earn until the next decision.
    limits
        For cooldown, budgets, the growth of the mark and the drawdown limit. Caps are the decision's business.
    costs
        Gas units and entry and exit costs.
    """
    after, gas, turnover, moved, refused = rebalance(state, weights, traded, row.gas_cost, costs, limits, row.liquidity)
    final, tripped = accrue(after, row.gain(after.assets), row.seconds, limits)
    return StepResult(final, gas, turnover, moved, refused, tripped)


def rebalance(
    state: PortfolioState,
    weights: FloatArray,
    traded: BoolArray,
    gas_cost: FloatArray,
    costs: Costs,
    limits: Limits,
    liquidity: FloatArray | None = None,
) -> tuple[PortfolioState, FloatArray, FloatArray, BoolArray, BoolArray]:
    """Move the traded positions to their targets, as `Vault.rebalance` does, and take it out of the budgets.

    Withdrawals come before deposits; where costs leave less cash than the deposits need, all deposits shrink alike.
    Where cooldown, budgets or a halt are in the way, or a strategy cannot pay out `(B, n)` what is withdrawn, nothing
    moves.

    Returns
    -------
    tuple
        New state, gas paid `(B,)`, turnover `(B,)`, moved `(B, n)`, refused `(B,)`.
    """
    if weights.shape != state.assets.shape or traded.shape != state.assets.shape:
        raise ShapeError(f"targets must have the shape {state.assets.shape} of the positions, not {weights.shape}")
    if (np.isnan(weights) & traded).any():
        raise NotFiniteError("target weights must not be NaN: refuse the policy that produced them")
    wanted = some(traded)
    shut = state.halted | (limits.cooldown - state.rested > 0)
    nav = state.nav
    change = np.where(traded & ~shut[:, None], weights * nav[:, None] - state.assets, 0.0)
    withdrawn, deposited, cash = _amounts(state, change, costs)
    turnover = share(np.maximum(total(withdrawn), total(deposited)), nav)
    turnover_used, moves = limits.turnover_budget.spend(state.turnover_used, turnover)
    loss_used, loses = limits.loss_budget.spend(state.loss_used, _loss(withdrawn, deposited, nav, costs))
    refused = wanted & (shut | ~moves | ~loses)
    if liquidity is not None:
        refused |= some(withdrawn > liquidity)
    done = wanted & ~refused
    withdrawn, deposited = np.where(done[:, None], withdrawn, 0.0), np.where(done[:, None], deposited, 0.0)
    moved = (withdrawn > 0) | (deposited > 0)
    gas = costs.gas_units(moved) * gas_cost
    after = replace(
        state,
        assets=state.assets - withdrawn + deposited * (1.0 - np.asarray(costs.entry)),
        idle=np.where(done, np.maximum(cash - total(deposited), 0.0), state.idle),
        gas_paid=state.gas_paid + gas,
        rested=np.where(done, 0.0, state.rested),
        turnover_used=np.where(done, turnover_used, state.turnover_used),
        loss_used=np.where(done, loss_used, state.loss_used),
    )
    return after, gas, np.where(done, turnover, 0.0), moved, refused


def _amounts(state: PortfolioState, change: FloatArray, costs: Costs) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return withdrawals and deposits `(B, n)` for the wanted changes, and the cash that deposits are paid from."""
    withdrawn, deposited = np.maximum(-change, 0.0), np.maximum(change, 0.0)
    cash = np.asarray(state.idle + total(withdrawn * (1.0 - np.asarray(costs.exit))))
    need = total(deposited)
    short = np.divide(cash, need, out=np.ones_like(need), where=need > cash)
    return withdrawn, deposited * short[:, None], cash


def _loss(withdrawn: FloatArray, deposited: FloatArray, nav: FloatArray, costs: Costs) -> FloatArray:
    """Return what entering and leaving cost, as a share of NAV."""
    return share(total(withdrawn * np.asarray(costs.exit) + deposited * np.asarray(costs.entry)), nav)


def accrue(
    state: PortfolioState, growth: FloatArray, seconds: float, limits: Limits
) -> tuple[PortfolioState, BoolArray]:
    """Let the positions grow, refill the budgets, raise the mark as far as it may, and halt past the drawdown limit.

    Parameters
    ----------
    state
        Vaults after their rebalance.
    growth
        `(B, n)` factors, zero or more; a loss is a factor below one.
    seconds
        Time that passes.
    limits
        Drawdown limit, growth of the mark and refill of the budgets.

    Returns
    -------
    tuple
        New state and `(B,)` whether the limit was broken now.
    """
    if not np.isfinite(growth).all() or (growth < 0).any():
        raise NotFiniteError("growth factors must be finite and not below zero: check the rates or share prices")
    grown = replace(state, assets=state.assets * growth)
    ceiling = state.mark * (1.0 + limits.mark_growth_rate * seconds / YEAR)
    mark = np.maximum(state.mark, np.minimum(grown.share_price, ceiling))
    broken = grown.share_price < mark * (1.0 - limits.max_drawdown)
    after = replace(
        grown,
        mark=mark,
        halted=state.halted | broken,
        rested=state.rested + seconds,
        turnover_used=limits.turnover_budget.refill(state.turnover_used, seconds),
        loss_used=limits.loss_budget.refill(state.loss_used, seconds),
    )
    return after, broken & ~state.halted


def unwind(
    state: PortfolioState, which: BoolArray, costs: Costs, liquidity: FloatArray | None = None
) -> PortfolioState:
    """Take all that can be withdrawn from every strategy to idle, as anyone may do with a halted vault.

    Whoever calls it pays the gas; budgets and the cooldown do not bind it.

    Parameters
    ----------
    state
        Vaults.
    which
        `(B,)` those to unwind.
    costs
        For the costs of leaving.
    liquidity
        `(B, n)` most that each strategy can pay out; without end by default.
    """
    paid = state.assets if liquidity is None else np.minimum(state.assets, liquidity)
    withdrawn = np.where(which[:, None], paid, 0.0)
    cash = (withdrawn * (1.0 - np.asarray(costs.exit))).sum(-1)
    return replace(state, assets=state.assets - withdrawn, idle=state.idle + cash)
