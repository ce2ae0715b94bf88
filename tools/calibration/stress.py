"""Measures the events of `agent.evaluation.stress` from history files.

python -m tools.calibration.stress ../history agent/evaluation/stress.json
"""

from __future__ import annotations

import csv
import sys
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agent.evaluation.stress import COINS, EVENTS
from agent.market.replay import load_gas, load_history
from agent.units import FloatArray
from tools.calibration.quality import run


def measure_events(data: Path) -> dict[str, Any]:
    """Measure the events in files of the formats of `agent.market.formats`.

    Parameters
    ----------
    data
        Folder with `compound_v2_daily.csv`, `eth_price_gas_daily.csv`, and
        `stable_and_token_ratios_daily_2020_2023.csv` (columns `date`, `usdc_usdt` and `dai_usdt`, daily closes).
    """
    gas = load_gas(data / "eth_price_gas_daily.csv")
    prices = _prices(data / "stable_and_token_ratios_daily_2020_2023.csv")
    measured: dict[str, Any] = {}
    for name, (start, count) in EVENTS.items():
        first = date.fromisoformat(start)
        usual = float(np.median([gas[first - timedelta(days=back)] for back in range(1, 31)]))
        rates = {coin: _rate_multiples(data, coin, first, count) for coin in COINS}
        known = [multiples for multiples in rates.values() if multiples is not None]
        days = []
        for offset in range(count):
            day = first + timedelta(days=offset)
            common = float(np.mean([each[offset] for each in known])) if known else 1.0
            days.append(
                {
                    "day": day.isoformat(),
                    "gas": round(gas[day] / usual, 4),
                    "rates": {coin: round(common if each is None else each[offset], 4) for coin, each in rates.items()},
                    "price": {coin: round(_move(prices, coin, first, count, offset), 6) for coin in COINS},
                }
            )
        unknown = [coin for coin, each in rates.items() if each is None]
        measured[name] = {"days": days, "rates_unknown": unknown}
    return measured


def _rate_multiples(data: Path, coin: str, first: date, count: int) -> FloatArray | None:
    """Return `(count,)` rates over their mean of the week before; none where the file does not have these days."""
    part = "dai_1" if coin == "dai" else coin
    other = "usdc" if coin != "usdc" else "dai_1"
    history = load_history(data / "compound_v2_daily.csv", (part, other))
    at = (first - history.start).days
    if at < 7 or at + count > len(history):
        return None
    return np.asarray(history.rates[0, at : at + count, 0] / history.rates[0, at - 7 : at, 0].mean())


def _move(prices: dict[date, dict[str, float]], coin: str, first: date, count: int, offset: int) -> float:
    """Return the factor of a coin's price up to a day of an event; on the last day it is back at par."""
    day = first + timedelta(days=offset)
    before = 1.0 if offset == 0 else prices[day - timedelta(days=1)][coin]
    now = 1.0 if offset == count - 1 else prices[day][coin]
    return now / before


def _prices(file: Path) -> dict[date, dict[str, float]]:
    """Return the coins' prices in USDT by day."""
    with file.open(encoding="utf-8", newline="") as lines:
        return {
            date.fromisoformat(row["date"]): {
                "usdt": 1.0,
                "usdc": float(row["usdc_usdt"]),
                "dai": float(row["dai_usdt"]),
            }
            for row in csv.DictReader(lines)
        }


main = partial(run, lambda folder: (measure_events(folder), ""), "tools.calibration.stress")

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
