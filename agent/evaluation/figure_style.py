"""What all pictures share: colours that colour-blind readers can tell apart, fonts, axes.

Colours are those of Okabe and Ito, "Color Universal Design" (2008); the policy and the best baseline differ in hue,
lightness and line as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from agent.evaluation.scores import Kept
from agent.market.history import midnight
from agent.units import DAY, FloatArray, IntArray

POLICY, BEST, BAND, GREEDY = "#0072B2", "#D55E00", "#CC79A7", "#E69F00"
CEILING, REST, EDGE = "#222222", "#B8BEC6", "#8A919B"
INTEREST, LEGS, GAS = "#56B4E9", "#E69F00", "#882255"
IDLE = "#E6E8EB"
_STRATEGIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#777777")
_DASHES = ("-", "--", "-.", ":")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": EDGE,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": "#444B53",
    "axes.labelsize": 9,
    "axes.grid": True,
    "grid.color": "#ECEEF1",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "savefig.dpi": 130,
}

Draw = Callable[[Kept, Mapping[str, Any], int], Figure]


def new_figure(rows: int, height: float, ratios: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels one under the other, which share the horizontal axis."""
    figure = Figure(figsize=(10, height), layout="constrained")
    made = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False, height_ratios=ratios)
    return figure, list(made[:, 0])


def days_of(timestamps: IntArray) -> FloatArray:
    """Return what matplotlib takes for the dates."""
    return np.asarray(timestamps / DAY, dtype=np.float64)  # its epoch is 1970 too


def by_date(axes: Axes) -> None:
    """Label the horizontal axis with dates."""
    locator = dates.AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("date (UTC)")


def mark_folds(summary: Mapping[str, Any], axes: Sequence[Axes], colour: str = EDGE) -> None:
    """Mark where one fold's policies hand over to the next's."""
    for fold in summary["about"]["folds"][1:]:
        at = midnight(date.fromisoformat(fold["test"][0])) / DAY
        for each in axes:
            each.axvline(at, color=colour, linewidth=0.8, linestyle=":")


def in_percent(decimals: int | None = None) -> PercentFormatter:
    """Return a formatter of fractions; by default with as many decimals as the ticks need."""
    return PercentFormatter(1.0, decimals=decimals)


def name_rows(axes: Axes, names: Sequence[str], values: Sequence[str], heading: str) -> None:
    """Name horizontal bars at the left and write their values at the right, whether or not the bars fit."""
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    for label in axes.get_yticklabels():
        if label.get_text() == "learned policy":
            label.set_fontweight("bold")
    axes.grid(visible=False, axis="y")
    right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "fontsize": 9}
    for at, (name, value) in enumerate(zip(names, values, strict=True)):
        axes.text(1.09, at, value, va="center", weight="bold" if name == "learned policy" else "normal", **right)
    axes.text(1.09, len(names) - 0.25, heading, va="bottom", color="#444B53", **right)


def strategy_colours(count: int) -> list[str]:
    """Return a colour for every strategy."""
    return [_STRATEGIES[index % len(_STRATEGIES)] for index in range(count)]


def strategy_dashes(count: int) -> list[str]:
    """Return a line style for every strategy: another one where colours begin again."""
    return [_DASHES[index // len(_STRATEGIES) % len(_DASHES)] for index in range(count)]


def best_of(figures: Mapping[str, Any]) -> str:
    """Return the name of the best baseline of a scenario."""
    return str(figures["verdict"]["best"])


def notice(text: str) -> Figure:
    """Return a picture of a sentence, for where there is nothing to draw."""
    figure, (axes,) = new_figure(1, 1.5)
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()
    return figure
