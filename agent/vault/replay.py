"""The NAV of a vault on chain, rebuilt from share prices and the weights that were sent."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from agent.errors import NotFiniteError, ShapeError
from agent.units import BoolArray, FloatArray
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState, accrue, rebalance


def replay(
    share_prices: FloatArray,
    weights: FloatArray,
    traded: BoolArray,
    nav: float,
    *,
    flows: FloatArray | None = None,
    assets: FloatArray | None = None,
    costs: Sequence[Costs] | None = None,
) -> FloatArray:
    """Return the NAV `(T,)` at each row, before its flow and rebalance.

    Row by row: positions grow by the ratio of share prices, NAV is noted, flows are booked, then the rebalance is
    carried out at that NAV. Take prices and weights at the block of the rebalance (or any block on idle days).

    Parameters
    ----------
    share_prices
        `(T, n)` worth of a share of each strategy in assets, any scale; one with a price of zero stays at zero.
    weights
        `(T, n)` shares of NAV sent at each row; read only where `traded`.
    traded
        `(T, n)` false where `HOLD` was sent, or nothing.
    nav
        NAV at the first row before its flow and rebalance.
    flows
        `(T,)` net deposits between the NAV and the rebalance of each row; none by default.
    assets
        `(n,)` positions held at the first row, part of `nav`; all idle by default.
    costs
        `T` costs of the legs of each row's rebalance; none by default. Their haircut is the strategies' own: one for
        all rows.

    Raises
    ------
    ShapeError
        If the arrays disagree in shape.
    NotFiniteError
        If a share price is not a number of zero or more.
    """
    prices = np.asarray(share_prices, dtype=np.float64)
    if prices.ndim != 2 or weights.shape != prices.shape or traded.shape != prices.shape:
        raise ShapeError("share_prices, weights and traded must all have the shape (rows, strategies)")
    if costs is not None and len(costs) != len(prices):
        raise ShapeError(f"costs must be {len(prices)}, one per row, not {len(costs)}")
    if not np.isfinite(prices).all() or (prices < 0).any():
        raise NotFiniteError("share prices must be finite and not below zero")
    length, count = prices.shape
    state = PortfolioState.open(nav, count)
    if assets is not None:
        held = np.asarray(assets, dtype=np.float64)[None]
        state = replace(state, assets=held, idle=state.idle - held.sum(-1))
    unlimited = Limits.uniform(count, 1.0, idle_floor=0.0, max_drawdown=1.0, max_growth_rate=sys.float_info.max)
    paid = [Costs()] * length if costs is None else costs
    path = np.empty(length)
    for index in range(length):
        if index:
            before = prices[index - 1]
            growth = np.where(before > 0, prices[index] / np.where(before > 0, before, 1.0), 0.0)
            state = accrue(state, growth[None], 0.0, unlimited)
        path[index] = state.nav[0]
        if flows is not None and flows[index] != 0:
            state = state.flow(float(flows[index]), paid[index].haircut)
        state = rebalance(state, weights[[index]], traded[[index]], np.zeros(1), paid[index], unlimited).state
    return path
