"""Pictures of a walk-forward: one function each, from scores and figures to a matplotlib figure."""

from __future__ import annotations

from agent.evaluation.figures.comparison import headroom, parts, sweep
from agent.evaluation.figures.days import distribution
from agent.evaluation.figures.over_time import net_worth, rates, weights
from agent.evaluation.figures.style import STYLE, Draw

__all__ = ["FIGURES", "STYLE", "Draw"]

FIGURES: dict[str, tuple[Draw, str]] = {
    "net-worth": (
        net_worth,
        "Net growth, the lead over equal weight, and drawdown, against the baselines. From a dotted line on, the next "
        "fold's policies decide.",
    ),
    "headroom": (
        headroom,
        "Share of the headroom captured. Bars are cut off at the left edge; the numbers on the right are not.",
    ),
    "weights": (weights, "Weights over time: the learned policy, the best baseline, and hindsight."),
    "parts": (
        parts,
        "What the reward is made of: interest beyond that of equal weight, less legs (deposits and withdrawals), less "
        "gas. Bars are cut off at the left edge; the numbers on the right are not.",
    ),
    "distribution": (distribution, "Distribution of daily net returns, less those of equal weight."),
    "rates": (rates, "The market: supply rates on the tested days."),
    "sweep": (sweep, "Other costs, other sizes, and a view of the rates that is one row late."),
}
"""Every picture by the name of its file, with its caption, in the order of the page."""
