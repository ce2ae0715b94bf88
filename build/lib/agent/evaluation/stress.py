"""Stress cases: bad days of the tested history, and overlays of those that it does not contain.

`stress.json` holds the measurements (`tools.calibration.stress`): for each day of an event, supply rates of Compound
V2's DAI, USDC and USDT as multiples of their mean over the week before, gas cost as a multiple of the month's median,
and the coins' prices. An *overlay* multiplies the middle of the tested history by these. A strategy belongs to the
coin that its name begins with; others get the mean of the three. Prices are daily closes over USDT, which counts as
the dollar; they are back at par by the end of the event. Two further overlays are made up and named so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib import resources
from typing import Any

import numpy as np

from agent.backtest import Backtest, Setting
from agent.evaluation.scoring import Leg, score
from agent.market.path import MarketPath

COINS = ("dai", "usdc", "usdt")
EVENTS = {
    "Black Thursday": ("2020-03-12", 3),
    "May crash": ("2021-05-19", 3),
    "LUNA": ("2022-05-09", 5),
    "FTX": ("2022-11-08", 4),
    "USDC depeg": ("2023-03-10", 6),
}
"""First day and number of days."""

_SETTLE = 7  # rows after an event in which its damage still counts
_FULL_DAYS, _FULL_RATE = 5, 4.0
_GAS_DAYS, _GAS = 3, 20.0


@dataclass(frozen=True)
class Case:
    """A stress case.

    Attributes
    ----------
    name
        Name, with the first day.
    kind
        `history`, `overlay of what was measured`, or `overlay, made up`.
    first, last
        Rows of the tested path over which it is counted, the latter included.
    change
        The overlay; None for history.
    """

    name: str
    kind: str
    first: int
    last: int
    change: Callable[[MarketPath], MarketPath] | None = None


def cases(path: MarketPath, days: Sequence[date], warm_up: int) -> list[Case]:
    """Return the stress cases of a path of `T` rows on these days; the first `warm_up` of them are not tested."""
    text = resources.files("agent.evaluation").joinpath("stress.json").read_text(encoding="utf-8")
    measured: dict[str, Any] = json.loads(text)
    middle, end = warm_up + (path.length - warm_up) // 2, path.length - 1

    def overlay(name: str, kind: str, count: int, change: Callable[..., MarketPath], *given: Any) -> Case:
        last = min(middle + count + _SETTLE, end)
        return Case(name, f"overlay{kind}", middle - 1, last, lambda path: change(path, middle, *given))

    found = []
    for event, (start, count) in EVENTS.items():
        name, first = f"{event}, {start}", date.fromisoformat(start)
        if days[warm_up] < first and first + timedelta(days=count) <= days[-1]:
            row = next(index for index, day in enumerate(days) if day >= first)
            found.append(Case(name, "history", row - 1, min(row + count + _SETTLE, end)))
        else:
            found.append(overlay(name, " of what was measured", count, _repeated, measured[event]["days"]))
    full, dear = f"best pool lent out in full for {_FULL_DAYS} days", f"gas {_GAS:g} times as dear for {_GAS_DAYS} days"
    found.append(overlay(full, ", made up", _FULL_DAYS, _full))
    found.append(overlay(dear, ", made up", _GAS_DAYS, _dear))
    return found


def outcome(result: Backtest, case: Case, warm_up: int) -> dict[str, float]:
    """Return the figures of a backtest over the rows of a case: net log return, drawdown, trades, refusals, halt."""
    rows = slice(case.first - warm_up, case.last - warm_up + 1)
    worth = result.net_worth[0, rows]
    steps = slice(rows.start, rows.stop - 1)
    return {
        "log_return": float(np.log(worth[-1] / worth[0])),
        "drawdown": float((1.0 - worth / np.maximum.accumulate(worth)).max()),
        "trades": float(result.traded[0, steps].any(-1).sum()),
        "refused": float(result.refused[0, steps].sum()),
        "halted": float(result.halted[0]),
    }


def coin_of(name: str) -> str | None:
    """Return the measured coin that a strategy's name begins with, if any."""
    lowered = name.lower()
    return next((coin for coin in COINS if lowered.startswith(coin)), None)


def _repeated(path: MarketPath, row: int, days: Sequence[Mapping[str, Any]]) -> MarketPath:
    """Multiply rates, gas and prices from a row on by what was measured on the days of an event."""
    rates, gas = path.rates.copy(), path.gas_cost.copy()
    earned = None if path.earned is None else path.earned.copy()
    factors = np.ones_like(rates) if path.factors is None else path.factors.copy()
    for at, day in enumerate(days[: path.length - row], start=row):
        gas[:, at] *= day["gas"]
        for index, name in enumerate(path.names):
            coin = coin_of(name)
            times = np.mean(list(day["rates"].values())) if coin is None else day["rates"][coin]
            rates[:, at, index] *= times
            if earned is not None:
                earned[:, at, index] *= times
            factors[:, at, index] *= 1.0 if coin is None else day["price"][coin]
    return replace(path, rates=rates, gas_cost=gas, earned=earned, factors=factors)


def _full(path: MarketPath, row: int) -> MarketPath:
    """Let the best pool pay a multiple of its rate and nothing out, since all of it is lent."""
    lent = slice(None), slice(row, row + _FULL_DAYS), int(path.rates[0, row - 1].argmax())
    rates, earned = path.rates.copy(), None if path.earned is None else path.earned.copy()
    liquidity = np.full_like(rates, np.inf) if path.liquidity is None else path.liquidity.copy()
    rates[lent] *= _FULL_RATE
    liquidity[lent] = 0.0
    if earned is not None:
        earned[lent] *= _FULL_RATE
    return replace(path, rates=rates, liquidity=liquidity, earned=earned)


def _dear(path: MarketPath, row: int) -> MarketPath:
    """Multiply the price of gas."""
    gas = path.gas_cost.copy()
    gas[:, row : row + _GAS_DAYS] *= _GAS
    return replace(path, gas_cost=gas)


def run_case(
    case: Case, players: Mapping[str, Sequence[Leg]], path: MarketPath, setting: Setting, warm_up: int
) -> dict[str, dict[str, float]]:
    """Run policies through a case, up to its last row, and return the figures of each by name.

    Parameters
    ----------
    case
        A stress case of the path.
    players
        Legs by name.
    path, setting, warm_up
        As for `agent.evaluation.scoring.score`.
    """
    changed = path if case.change is None else case.change(path)
    cut = changed.part(0, case.last + 1)
    return {
        name: outcome(score(name, shortened(legs, case.last - warm_up), cut, setting, warm_up=warm_up), case, warm_up)
        for name, legs in players.items()
    }


def shortened(legs: Sequence[Leg], rows: int) -> list[Leg]:
    """Return the legs, cut after so many rows."""
    kept: list[Leg] = []
    for leg in legs:
        here = min(leg.rows, rows - sum(each.rows for each in kept))
        if here > 0:
            kept.append(Leg(leg.policy, here))
    return kept
