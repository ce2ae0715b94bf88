"""Pictures that set the learned policy beside every baseline: headroom, parts of the reward, other scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.evaluation.figures.style import (
    BAND,
    BEST,
    CEILING,
    EDGE,
    GAS,
    GREEDY,
    INTEREST,
    LEGS,
    POLICY,
    best_of,
    in_percent,
    name_rows,
    new_figure,
    notice,
)
from agent.evaluation.scores import Kept

_FURTHEST = 1.5  # times the headroom; what lies beyond is cut off


def headroom(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the share of headroom captured, the policy's with its interval over seeds, baselines' against it."""
    del kept  # all is in the figures
    figures = summary["scenarios"][index]
    policy, room = figures["policy"], figures["hindsight"]["log_growth"]
    room -= figures["baselines"]["equal-weight"]["log_growth"]
    if policy["headroom_iqm"] is None:
        return notice("There is no headroom: hindsight itself earns no more than equal weight")
    own, mean = policy["headroom_iqm"], policy["headroom_captured"]
    # Intervals of baselines are those of the paired difference, put where the mean of the policy's seeds says it is.
    rows = [
        (name, row["headroom_captured"], mean - row["test"]["high"] / room, mean - row["test"]["low"] / room)
        for name, row in figures["baselines"].items()
    ]
    rows.append(("learned policy", own["value"], own["low"], own["high"]))
    rows.sort(key=lambda row: row[1])
    left = max(min(0.0, *(min(row[1:]) for row in rows)), min(-1.0, 1.1 * mean, 1.1 * own["value"])) - 0.03
    right = min(max(1.0, *(row[3] for row in rows)), _FURTHEST) + 0.03
    figure, (axes,) = new_figure(1, 1.6 + 0.3 * len(rows))
    for at, (name, value, low, high) in enumerate(rows):
        axes.barh(at, value, color=POLICY if name == "learned policy" else "#CFD4DA", height=0.62)
        colour = BEST if name == "learned policy" else CEILING  # to be seen on the bar
        axes.plot([low, high], [at, at], color=colour, linewidth=1.8, solid_capstyle="butt")
        _arrows(axes, at, low, high, (left, right), colour)
    axes.axvline(mean, color=POLICY, linewidth=1.2, linestyle=":")
    axes.axvline(0.0, color=EDGE, linewidth=0.8)
    axes.set_xlim(left, right)
    axes.xaxis.set_major_formatter(in_percent(0))
    axes.set_title("Share of headroom captured: 0 % is equal weight, 100 % is hindsight")
    axes.set_xlabel(
        "share of headroom. Learned policy: interquartile mean of the seeds and its 95 % interval over seeds; dotted: "
        "their plain mean.\nBaselines: 95 % intervals of the paired difference to that mean, each for itself; where "
        "one does not reach\nthe dotted line, both differ (p-values in the page are corrected for all at once)."
    )
    name_rows(axes, [row[0] for row in rows], [f"{row[1]:.1%}" for row in rows], "share")
    return figure


def _arrows(axes: Axes, at: int, low: float, high: float, limits: tuple[float, float], colour: str) -> None:
    """Mark an interval that goes on beyond the limits."""
    for cut, where, marker in ((low < limits[0], limits[0], "<"), (high > limits[1], limits[1], ">")):
        if cut:
            axes.plot(where, at, marker, color=colour, markersize=6, clip_on=False)


def parts(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw what the reward is made of: interest beyond equal weight's, less legs, less gas; per year."""
    del kept  # all is in the figures
    figures = summary["scenarios"][index]
    passive = figures["baselines"]["equal-weight"]["growth_from_interest"]
    rows = [("learned policy", figures["policy"]), *figures["baselines"].items(), ("hindsight", figures["hindsight"])]
    rows.sort(key=lambda row: row[1]["log_growth"])
    figure, (axes,) = new_figure(1, 1.8 + 0.3 * len(rows))
    at = np.arange(len(rows))
    interest = np.array([row[1]["growth_from_interest"] - passive for row in rows])
    legs = np.array([row[1]["growth_from_legs"] for row in rows])
    gas = np.array([row[1]["growth_from_gas"] for row in rows])
    net, lost = interest + legs + gas, np.minimum(interest, 0.0)
    axes.barh(at, interest, color=INTEREST, label="interest over equal weight's", height=0.62)
    axes.barh(at, legs, left=lost, color=LEGS, label="cost of legs", height=0.62)
    axes.barh(at, gas, left=lost + legs, color=GAS, label="gas", height=0.62)
    axes.plot(net, at, "d", color=CEILING, markersize=5, label="net")
    axes.axvline(0.0, color=EDGE, linewidth=0.8)
    top = max(float(interest.max()), 0.0)
    own = float(net[[row[0] for row in rows].index("learned policy")])
    least = max(float((lost + legs + gas).min()), min(-_FURTHEST * top, own))
    axes.set_xlim(least * 1.05 - 1e-4, top * 1.06 + 1e-4)
    axes.set_title("What the reward is made of")
    axes.set_xlabel("log return per year")
    axes.xaxis.set_major_formatter(in_percent())
    name_rows(axes, [row[0] for row in rows], [f"{value:+.2%}" for value in net], "net")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def sweep(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the lead over equal weight under every cost, size and latency."""
    del kept, index  # it shows all scenarios
    every = sorted(summary["scenarios"], key=lambda each: (each["latency"], -each["nav"], each["cost_bp"]))
    figure, (axes,) = new_figure(1, 5.2)
    at = np.arange(len(every))
    passive = np.array([each["baselines"]["equal-weight"]["log_growth"] for each in every])
    ceiling = np.array([each["hindsight"]["log_growth"] for each in every]) - passive
    best = np.array([each["baselines"][best_of(each)]["log_growth"] for each in every]) - passive
    own = [each["policy"]["growth_iqm"] for each in every]
    middle = np.array([each["value"] for each in own]) - passive
    errors = np.array([[each["value"] - each["low"], each["high"] - each["value"]] for each in own]).T
    top = max(float(ceiling.max()), 1e-4)
    bottom = max(min(-0.1 * top, float((middle - errors[0]).min()) * 1.05), -_FURTHEST * top)
    axes.plot(at, best, "_", color=BEST, markersize=24, markeredgewidth=4.0, label="best baseline there")
    axes.plot(at, ceiling, "_", color=CEILING, markersize=24, markeredgewidth=1.2, label="hindsight")
    ends = (("learned policy", middle), ("its interval to", middle - errors[0]))
    below = [(at, name, value) for name, values in ends for at, value in enumerate(values) if value < bottom]
    for name, marker, colour, side in (("greedy-band", "^", BAND, -0.16), ("greedy", "s", GREEDY, 0.16)):
        if all(name in each["baselines"] for each in every):
            values = np.array([each["baselines"][name]["log_growth"] for each in every]) - passive
            axes.plot(at + side, values, marker, color=colour, label=name, markersize=6)
            below += [(place, name, value) for place, value in enumerate(values) if value < bottom]
    axes.errorbar(at, middle, errors, fmt="o", color=POLICY, markersize=7, capsize=4, label="learned policy, 95 %")
    _below(axes, below)
    axes.set_xticks(at, [each["name"].replace(", ", "\n") for each in every])
    axes.axhline(0, color=EDGE, linewidth=0.8)
    axes.set_ylim(bottom, top * 1.08)
    axes.yaxis.set_major_formatter(in_percent())
    axes.set_title("Net growth over equal weight's")
    axes.set_xlabel("cost per leg, assets at the start, latency")
    axes.set_ylabel("log return per year")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return figure


def _below(axes: Axes, points: list[tuple[int, str, float]]) -> None:
    """Write at the lower edge what lies under it."""
    for place in {point[0] for point in points}:
        lines = [f"{name}\n{value:+.2%} ↓" for where, name, value in points if where == place]
        axes.text(
            place + 0.06,
            0.01,
            "\n".join(lines),
            transform=axes.get_xaxis_transform(),
            ha="left",
            va="bottom",
            fontsize=7.5,
            color="#444B53",
        )
