"""The return of perfect foresight: the ceiling of headroom.

Dynamic programming over a set of admissible portfolios, backwards over the rows of a path. It knows the path's costs
of a rebalance (gas and every leg) and earnings of positions (interest diluted by the own deposit, price factors). Its
plan is then carried out row by row by the decision and the money math of every policy, so the ceiling is a real run:
caps, idle floor, smallest trade, budgets and cooldown hold for it too.

Resolution. Earnings are linear in the weights but for the dilution, and costs are proportional but for an impact, so
the best portfolios are corners of the admissible set: as many strategies at their caps as fit, and one with the rest,
or less. All corners are tried, and a grid between them for dilution and for the mixed starts of cheap moves. Left out
are portfolios off the grid (with an impact, moves in many small legs), the drift of positions that are held (nothing
for interest, something for prices), and budgets and cooldown while planning. Without those the result is within
`RESOLUTION` of the optimum over all portfolios, which a test checks against a linear programme.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from agent.backtest import Backtest, Setting, simulate
from agent.errors import LimitsError
from agent.market.path import MarketPath
from agent.observation.observe import Observation
from agent.units import FloatArray, IntArray
from agent.vault.portfolio import Costs, MarketRow

RESOLUTION = 1e-4
"""Annualised log return by which a better plan may exceed the one found, in lending markets without binding budgets."""

_MAX_PORTFOLIOS = 300
_MAX_CORNERS = 1500
_MAX_TRIED = 20_000  # points of a grid, those over a cap included
_GRID_STEPS = (20, 10, 8, 5, 4)  # the finest grid within these bounds is taken
_NO_WAY = -1e9  # log growth of a move that cannot be made


def hindsight(path: MarketPath, setting: Setting, *, warm_up: int = 0) -> Backtest:
    """Return the backtest of the best plan found with full knowledge of the path.

    Parameters
    ----------
    path
        The market.
    setting
        Limits, costs, rules and assets, the same as for the policies compared with it; its latency is ignored.
    warm_up
        First rows to leave out, as in `run`.

    Raises
    ------
    ShapeError, TooFewDaysError
        As `simulate`.
    """
    seen = path.part(warm_up, path.length) if 0 < warm_up < path.length - 1 else path
    start = np.zeros(path.count) if setting.start_weights is None else np.asarray(setting.start_weights, np.float64)
    portfolios = np.concatenate([start[None], admissible(setting)])
    best: Backtest | None = None
    nav = np.full((path.batch, seen.length), setting.nav)
    for _ in range(2):  # dilution and gas depend on the assets, which are known from the first plan
        plans = [_plan(seen, index, nav[index], portfolios, setting) for index in range(path.batch)]
        found = _carry_out(np.stack(plans, axis=1), portfolios, path, setting, warm_up)
        better = best is None or found.net_worth[:, -1].sum() > best.net_worth[:, -1].sum()
        best = found if best is None or better else best
        nav = found.nav
    assert best is not None  # noqa: S101  for the type checker: the loop runs
    return best


def admissible(setting: Setting) -> FloatArray:
    """Return `(P, n)` admissible portfolios: all idle first, every corner, equal weights, and a grid between them.

    Raises
    ------
    LimitsError
        If the limits have too many corners to plan with.
    """
    limits, count = setting.limits, setting.limits.count
    margin = 1.0 - setting.rules.drift_margin
    caps = limits.caps(setting.nav) * margin
    budget = 1.0 - limits.idle_floor - setting.rules.drift_margin
    found = [np.zeros(count), *_corners(caps, budget)]
    found.append(limits.project(np.full(count, 1.0 / count), setting.nav) * margin)
    for steps in _GRID_STEPS:
        grid = _grid(caps, budget, steps) if math.comb(steps + count - 1, steps) <= _MAX_TRIED else []
        if grid and len(grid) + len(found) <= _MAX_PORTFOLIOS:
            found.extend(grid)
            break
    stacked = np.stack(found)
    _, first = np.unique(np.round(stacked, 9), axis=0, return_index=True)
    return np.asarray(stacked[np.sort(first)])


def _corners(caps: FloatArray, budget: float) -> list[FloatArray]:
    """Return every `{0 <= w <= caps, 0 < sum(w) <= budget}` that has at most one weight between zero and its cap."""
    corners: list[FloatArray] = []
    for size in range(1, caps.size + 1):
        before = len(corners)
        for full in itertools.combinations(range(caps.size), size):
            held = np.zeros(caps.size)
            held[list(full)] = caps[list(full)]
            if held.sum() <= budget:
                corners.append(held)
            for last in full:  # all of them full but one, which gets the rest
                partial = held.copy()
                partial[last] = budget - (held.sum() - held[last])
                if 0 < partial[last] < caps[last]:
                    corners.append(partial)
        if len(corners) == before:  # as many do not fit, and more will not either
            break
        if len(corners) > _MAX_CORNERS:
            raise LimitsError(
                f"the limits of {caps.size} strategies have more than {_MAX_CORNERS} corners, too many to plan with: "
                "take fewer strategies or larger caps for the ceiling"
            )
    return corners


def _grid(caps: FloatArray, budget: float, steps: int) -> list[FloatArray]:
    """Return the portfolios within the caps whose weights are multiples of `budget / steps` and sum to the budget."""
    parts = np.array(list(_compositions(steps, caps.size)), dtype=np.float64) * (budget / steps)
    return list(parts[(parts <= caps + 1e-12).all(-1)])


def _compositions(total: int, count: int) -> Iterator[tuple[int, ...]]:
    """Yield all tuples of `count` whole numbers that sum to `total`."""
    if count == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(total - first, count - 1):
            yield (first, *rest)


def _plan(path: MarketPath, index: int, nav: FloatArray, portfolios: FloatArray, setting: Setting) -> IntArray:
    """Return the index of the portfolio to hold after each row but the last, `(T - 1,)`; the first is held before."""
    one = path.take(np.array([index], dtype=np.int64))
    growth = _growth(one, nav, portfolios)
    change = portfolios[None] - portfolios[:, None]
    traded = np.abs(change) >= max(setting.rules.min_trade, 1e-9)
    costs = _of_one(setting.costs, index, path.count)
    turnover = np.maximum(np.maximum(change, 0.0).sum(-1), np.maximum(-change, 0.0).sum(-1))
    units = setting.costs.gas_units(traded)
    stay = ~(np.abs(change) > 0).any(-1)
    unwanted = ~traded.any(-1) & ~stay  # too small for the decision to trade
    legs = np.where(unwanted, _NO_WAY, _legs(change, costs, nav[-1]))
    value, choices = np.zeros(len(portfolios)), np.empty((path.length - 1, len(portfolios)), dtype=np.int64)
    for row in range(path.length - 2, -1, -1):
        if costs.sized:
            legs = np.where(unwanted, _NO_WAY, _legs(change, costs, nav[row]))
        gas = units * (one.gas_cost[0, row] / nav[row])
        total = legs - gas + (growth[row] + value)[None]
        blocked = gas > setting.rules.max_gas_share * turnover
        if one.liquidity is not None:
            blocked = blocked | (-change > one.liquidity[0, row] / nav[row]).any(-1)  # cannot be paid out
        total = np.where(blocked & ~stay, _NO_WAY, total)
        choices[row] = total.argmax(1)
        value = total.max(1)
    plan = np.empty(path.length - 1, dtype=np.int64)
    held = 0
    for row in range(path.length - 1):
        held = int(choices[row, held])
        plan[row] = held
    return plan


def _of_one(costs: Costs, index: int, count: int) -> Costs:
    """Return the costs of one vault of the batch, `(n,)` for entering and leaving."""

    def leg(cost: FloatArray | float) -> FloatArray:
        array = np.asarray(cost, dtype=np.float64)
        return np.broadcast_to(array[min(index, len(array) - 1)] if array.ndim == 2 else array, (count,))

    return replace(costs, entry=leg(costs.entry), exit=leg(costs.exit), impact=leg(costs.impact))


def _legs(change: FloatArray, costs: Costs, nav: float) -> FloatArray:
    """Return the log growth `(P, P)` that the legs of changes `(P, P, n)` of a vault's weights cost it."""
    priced = costs.of_nav(np.array([nav]))
    deposited, withdrawn = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    loss = (deposited * priced.entry_loss(deposited) + withdrawn * priced.exit_loss(withdrawn)).sum(-1)
    return np.asarray(np.log1p(-np.minimum(loss, 0.999)))


def _growth(one: MarketPath, nav: FloatArray, portfolios: FloatArray) -> FloatArray:
    """Return the log growth of every portfolio after every row but the last, `(T - 1, P)`."""

    def between(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else values[0, 1:, None]

    market = MarketRow(
        rates=one.rates[0, :-1, None],
        growth=one.growth()[0][:, None],
        gas_cost=one.gas_cost[0, :-1],
        seconds=0.0,
        factors=between(one.factors),
        depth=between(one.depth),
    )
    gains = market.gain(portfolios * nav[:-1, None, None])
    grown = 1.0 + (portfolios * (gains - 1.0)).sum(-1)
    return np.asarray(np.log(np.maximum(grown, 1e-12)))


def _carry_out(plans: IntArray, portfolios: FloatArray, path: MarketPath, setting: Setting, warm_up: int) -> Backtest:
    """Run `(T - 1, B)` plans: move where a plan moves, and try again as long as a move is not done."""
    moves = np.concatenate([np.ones((1, plans.shape[1]), dtype=np.bool_), plans[1:] != plans[:-1]])

    def act(row: int, seen: Observation) -> FloatArray:
        target = portfolios[plans[row]]
        off = np.abs(seen.weights - target).max(-1) >= 2.0 * setting.rules.min_trade
        go = moves[row] | off
        return np.where(go[:, None], target, seen.weights)

    return simulate("hindsight", act, path, replace(setting, latency=0), warm_up=warm_up)
