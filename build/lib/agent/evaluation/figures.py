"""Pictures of a walk-forward: one function each, from scores and figures to a matplotlib figure.

Colours are those of Okabe and Ito, "Color Universal Design" (2008), which colour-blind readers can tell apart; the
policy and the best baseline differ in hue, lightness and line as well.
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

from agent.backtest import Backtest
from agent.evaluation.metrics import drawdowns, growth_rate
from agent.evaluation.scores import Kept, Scores
from agent.market.history import midnight
from agent.units import DAY, FloatArray, IntArray

POLICY, BEST, BAND, GREEDY = "#0072B2", "#D55E00", "#CC79A7", "#E69F00"
CEILING, REST, EDGE, TEXT = "#222222", "#B8BEC6", "#8A919B", "#444B53"
INTEREST, LEGS, GAS, IDLE = "#56B4E9", "#E69F00", "#882255", "#E6E8EB"
STRATEGIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#777777")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": EDGE,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": TEXT,
    "axes.labelsize": 9,
    "axes.grid": True,
    "grid.color": "#ECEEF1",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "savefig.dpi": 130,
}

OWN = "learned policy"
_FURTHEST = 1.5  # times the headroom; bars and points beyond are cut off
_PEAK = 1.6  # rates are cut off where the highest exceeds all but the highest two in a thousand by this factor


def net_worth(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw net growth, the lead over equal weight, and the drawdown."""
    scores, figures = kept.scores[index], summary["scenarios"][index]
    days, best = _days(scores.ceiling.timestamps), _best(figures)
    passive = _cumulative(scores.equal_weight)
    figure, (growth, lead, under) = _panels(3, 9.6, (2, 3, 1.6))
    own = np.stack([_cumulative(each) for each in scores.seeds])
    lines = [(f"best baseline: {best}", _cumulative(scores.baseline(best)), BEST, "-", 1.6)]
    if best != "greedy-band" and "greedy-band" in figures["baselines"]:
        lines.append(("greedy-band", _cumulative(scores.baseline("greedy-band")), BAND, "-.", 1.6))
    lines.append(("hindsight (ceiling)", _cumulative(scores.ceiling), CEILING, "--", 1.4))
    for axes, base in ((growth, np.zeros_like(passive)), (lead, passive)):
        for number, each in enumerate(scores.baselines):
            label = "other baselines" if number == 0 else None
            axes.plot(days, _cumulative(each) - base, color=REST, linewidth=0.7, alpha=0.8, label=label)
        for name, values, colour, style, width in lines:
            axes.plot(days, values - base, color=colour, linestyle=style, linewidth=width, label=name)
        low, high = (own - base).min(0), (own - base).max(0)
        axes.fill_between(days, low, high, color=POLICY, alpha=0.18, linewidth=0, label="its seeds, lowest to highest")
        axes.plot(
            days, own.mean(0) - base, color=POLICY, linewidth=2.2, label=f"learned policy, mean of {len(own)} seeds"
        )
        axes.yaxis.set_major_formatter(_percent())
    growth.set_title("Net growth since the first test day")
    growth.set_ylabel("log of net worth over its start")
    lead.set_title("Lead over equal weight")
    lead.set_ylabel("net growth less equal weight's")
    lead.axhline(0, color=EDGE, linewidth=0.8)
    lead.set_ylim(*_lead_limits(scores, passive, own.mean(0) - passive))
    figure.legend(*lead.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    fall = np.max([drawdowns(each.net_worth)[0] for each in scores.seeds], axis=0)
    best_fall = drawdowns(scores.baseline(best).net_worth)[0]
    under.fill_between(days, -fall, color=POLICY, alpha=0.4, linewidth=0, label="learned policy, worst seed of the day")
    under.plot(days, -best_fall, color=BEST, linewidth=1.2, label=f"best baseline: {best}")
    deepest = max(float(fall.max()), float(best_fall.max()), 1e-7)
    under.set_ylim(-1.5 * deepest, 0.06 * deepest)  # room for the legend
    under.legend(loc="lower right", ncols=2)
    under.set_title("Drawdown of net worth")
    under.set_ylabel("below the highest so far")
    under.yaxis.set_major_formatter(_percent())
    _by_date((growth, lead, under), summary)
    return figure


def _cumulative(result: Backtest) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(result.log_returns[0])])


def _lead_limits(scores: Scores, passive: FloatArray, own: FloatArray) -> tuple[float, float]:
    """Return limits that hold the policy's lead, and others' unless they are so far behind that they flatten it."""
    worst = _cumulative(min(scores.baselines, key=lambda each: float(growth_rate(each)[0]))) - passive
    top = float((_cumulative(scores.ceiling) - passive).max())
    return max(float(worst.min()), min(-1.2 * top, float(own.min()))) * 1.05 - 1e-5, top * 1.08 + 1e-5


def headroom(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the share of headroom captured, the policy's with its interval over seeds, baselines' against it."""
    figures = summary["scenarios"][index]
    policy, room = figures["policy"], figures["hindsight"]["log_growth"]
    room -= figures["baselines"]["equal-weight"]["log_growth"]
    if policy["headroom_iqm"] is None:
        figure, (axes,) = _panels(1, 1.5)
        axes.text(0.5, 0.5, "There is no headroom: hindsight earns no more than equal weight", ha="center")
        axes.set_axis_off()
        return figure
    own, mean = policy["headroom_iqm"], policy["headroom_captured"]
    # Intervals of baselines are those of the paired difference, put where the mean of the policy's seeds says it is.
    rows = [
        (name, row["headroom_captured"], mean - row["test"]["high"] / room, mean - row["test"]["low"] / room)
        for name, row in figures["baselines"].items()
    ]
    rows.append((OWN, own["value"], own["low"], own["high"]))
    rows.sort(key=lambda row: row[1])
    left = max(min(0.0, *(min(row[1:]) for row in rows)), min(-1.0, 1.1 * mean, 1.1 * own["value"])) - 0.03
    right = min(max(1.0, *(row[3] for row in rows)), _FURTHEST) + 0.03
    figure, (axes,) = _panels(1, 1.6 + 0.3 * len(rows))
    for at, (name, value, low, high) in enumerate(rows):
        axes.barh(at, value, color=POLICY if name == OWN else "#CFD4DA", height=0.62)
        colour = BEST if name == OWN else CEILING  # to be seen on the bar
        axes.plot([low, high], [at, at], color=colour, linewidth=1.8, solid_capstyle="butt")
        _arrows(axes, at, low, high, (left, right), colour)
    axes.axvline(mean, color=POLICY, linewidth=1.2, linestyle=":")
    axes.axvline(0.0, color=EDGE, linewidth=0.8)
    axes.set_xlim(left, right)
    axes.xaxis.set_major_formatter(_percent(0))
    axes.set_title("Share of headroom captured: 0 % is equal weight, 100 % is hindsight")
    axes.set_xlabel(
        "share of headroom. Learned policy: interquartile mean of the seeds and its 95 % interval over seeds; dotted: "
        "their plain mean.\nBaselines: 95 % intervals of the paired difference to that mean, each for itself; where "
        "one does not reach\nthe dotted line, both differ (p-values in the page are corrected for all at once)."
    )
    _name_rows(axes, [row[0] for row in rows], [f"{row[1]:.1%}" for row in rows], "share")
    return figure


def _arrows(axes: Axes, at: int, low: float, high: float, limits: tuple[float, float], colour: str) -> None:
    """Mark an interval that goes on beyond the limits."""
    for cut, where, marker in ((low < limits[0], limits[0], "<"), (high > limits[1], limits[1], ">")):
        if cut:
            axes.plot(where, at, marker, color=colour, markersize=6, clip_on=False)


def weights(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the weights over time: the mean of the seeds, the best baseline's, and hindsight's."""
    scores, figures = kept.scores[index], summary["scenarios"][index]
    days = _days(scores.ceiling.timestamps)
    figure, panels = _panels(3, 8)
    shown = (
        ("Learned policy, mean of the seeds", np.mean([each.weights[0] for each in scores.seeds], axis=0)),
        (f"Best baseline: {_best(figures)}", scores.baseline(_best(figures)).weights[0]),
        ("Hindsight", scores.ceiling.weights[0]),
    )
    colours = [*(STRATEGIES[index % len(STRATEGIES)] for index in range(len(kept.names))), IDLE]
    for axes, (title, values) in zip(panels, shown, strict=True):
        stack = np.vstack([values.T, np.maximum(1.0 - values.sum(-1), 0.0)])
        axes.stackplot(days, stack, colors=colours, labels=[*kept.names, "idle"], linewidth=0, step="post")
        axes.set_ylim(0, 1)
        axes.set_xlim(float(days[0]), float(days[-1]))
        axes.set_title(title)
        axes.set_ylabel("share of assets")
        axes.yaxis.set_major_formatter(_percent(0))
        axes.grid(visible=False)
    panels[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), reverse=True)  # in the order of the stack
    _by_date(panels, summary, CEILING)
    return figure


def parts(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the parts of net growth: interest beyond equal weight's, less legs, less gas; per year."""
    figures = summary["scenarios"][index]
    passive = figures["baselines"]["equal-weight"]["growth_from_interest"]
    rows = [(OWN, figures["policy"]), *figures["baselines"].items(), ("hindsight", figures["hindsight"])]
    rows.sort(key=lambda row: row[1]["log_growth"])
    figure, (axes,) = _panels(1, 1.8 + 0.3 * len(rows))
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
    own = float(net[[row[0] for row in rows].index(OWN)])
    least = max(float((lost + legs + gas).min()), min(-_FURTHEST * top, own))
    axes.set_xlim(least * 1.05 - 1e-4, top * 1.06 + 1e-4)
    axes.set_title("Parts of net growth")
    axes.set_xlabel("log return per year")
    axes.xaxis.set_major_formatter(_percent())
    _name_rows(axes, [row[0] for row in rows], [f"{value:+.2%}" for value in net], "net")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def distribution(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw how the daily lead over equal weight is distributed, for the policy and the best baseline."""
    scores, best = kept.scores[index], _best(summary["scenarios"][index])
    passive = scores.equal_weight.log_returns[0]
    own = np.concatenate([each.log_returns[0] - passive for each in scores.seeds]) * 1e4
    rule = (scores.baseline(best).log_returns[0] - passive) * 1e4
    low, high = np.quantile(np.concatenate([own, rule]), (0.005, 0.995))
    edges = np.linspace(low, high, 61).tolist()
    figure, (axes,) = _panels(1, 4.4)
    for values, colour, dashes, name in ((own, POLICY, "-", "learned policy, all seeds"), (rule, BEST, "--", best)):
        label = f"{name}: mean {values.mean():+.3f} bp, worst day {values.min():+.2f} bp"
        share = np.full(values.size, 1.0 / values.size)
        inside = np.clip(values, low, high)
        if colour == POLICY:
            axes.hist(inside, edges, weights=share, color=colour, alpha=0.45, label=label)
        else:  # an outline, so that neither hides the other
            axes.hist(inside, edges, weights=share, color=colour, histtype="step", linewidth=1.5, label=label)
        axes.axvline(float(values.mean()), color=colour, linewidth=1.4, linestyle=dashes)
    axes.set_title("Daily net log return, less equal weight's")
    axes.set_xlabel("basis points; upright lines: means; the first and the last bar hold what lies beyond")
    axes.set_ylabel("share of days")
    axes.yaxis.set_major_formatter(_percent())
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def rates(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the supply rates of the test windows."""
    figure, (axes,) = _panels(1, 4.4)
    days = _days(kept.scores[index].ceiling.timestamps)
    for place, (name, values) in enumerate(zip(kept.names, kept.rates.T, strict=True)):
        dashes = ("-", "--", "-.", ":")[place // len(STRATEGIES) % 4]  # another one where colours begin again
        colour = STRATEGIES[place % len(STRATEGIES)]
        axes.plot(days, values, color=colour, linestyle=dashes, linewidth=1.3, label=name)
    usual, peak = float(np.quantile(kept.rates, 0.998)), float(kept.rates.max())
    cut = peak > _PEAK * usual
    axes.set_ylim(min(0.0, float(kept.rates.min())), 1.1 * (usual if cut else peak) + 1e-6)
    axes.set_title("Supply rates as seen" + (f" (peaks cut off, the highest at {peak:.1%})" if cut else ""))
    axes.set_ylabel("supply rate, APR")
    axes.yaxis.set_major_formatter(_percent())
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _by_date((axes,), summary)
    return figure


def sweep(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the lead over equal weight under every cost, size and latency."""
    every = sorted(summary["scenarios"], key=lambda each: (each["latency"], -each["nav"], each["cost_bp"]))
    figure, (axes,) = _panels(1, 5.2)
    at = np.arange(len(every))
    passive = np.array([each["baselines"]["equal-weight"]["log_growth"] for each in every])
    ceiling = np.array([each["hindsight"]["log_growth"] for each in every]) - passive
    best = np.array([each["baselines"][_best(each)]["log_growth"] for each in every]) - passive
    own = [each["policy"]["growth_iqm"] for each in every]
    middle = np.array([each["value"] for each in own]) - passive
    errors = np.array([[each["value"] - each["low"], each["high"] - each["value"]] for each in own]).T
    top = max(float(ceiling.max()), 1e-4)
    bottom = max(min(-0.1 * top, float((middle - errors[0]).min()) * 1.05), -_FURTHEST * top)
    axes.plot(at, best, "_", color=BEST, markersize=24, markeredgewidth=4.0, label="best baseline there")
    axes.plot(at, ceiling, "_", color=CEILING, markersize=24, markeredgewidth=1.2, label="hindsight")
    ends = ((OWN, middle), ("its interval to", middle - errors[0]))
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
    axes.yaxis.set_major_formatter(_percent())
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
            color=TEXT,
        )


def _panels(rows: int, height: float, ratios: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels one under the other, which share the horizontal axis."""
    figure = Figure(figsize=(10, height), layout="constrained")
    made = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False, height_ratios=ratios)
    return figure, list(made[:, 0])


def _days(timestamps: IntArray) -> FloatArray:
    """Return matplotlib's dates: days since 1970."""
    return np.asarray(timestamps / DAY, dtype=np.float64)


def _by_date(panels: Sequence[Axes], summary: Mapping[str, Any], colour: str = EDGE) -> None:
    """Label the lowest panel with dates, and mark in all of them where the next fold's policies take over."""
    locator = dates.AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    panels[-1].xaxis.set_major_locator(locator)
    panels[-1].xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    panels[-1].set_xlabel("date (UTC)")
    for fold in summary["about"]["folds"][1:]:
        for axes in panels:
            axes.axvline(
                midnight(date.fromisoformat(fold["test"][0])) / DAY, color=colour, linewidth=0.8, linestyle=":"
            )


def _percent(decimals: int | None = None) -> PercentFormatter:
    """Return a formatter of fractions; by default with as many decimals as the ticks need."""
    return PercentFormatter(1.0, decimals=decimals)


def _name_rows(axes: Axes, names: Sequence[str], values: Sequence[str], heading: str) -> None:
    """Name horizontal bars at the left and write their values at the right, whether or not the bars fit."""
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.grid(visible=False, axis="y")
    right: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "fontsize": 9}
    for at, (label, name, value) in enumerate(zip(axes.get_yticklabels(), names, values, strict=True)):
        weight = "bold" if name == OWN else "normal"
        label.set_fontweight(weight)
        axes.text(1.09, at, value, va="center", weight=weight, **right)
    axes.text(1.09, len(names) - 0.25, heading, va="bottom", color=TEXT, **right)


def _best(figures: Mapping[str, Any]) -> str:
    """Return the name of the best baseline of a scenario."""
    return str(figures["verdict"]["best"])


FIGURES: dict[str, tuple[Callable[[Kept, Mapping[str, Any], int], Figure], str]] = {
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
        "Parts of net growth: interest beyond that of equal weight, less legs (deposits and withdrawals), less "
        "gas. Bars are cut off at the left edge; the numbers on the right are not.",
    ),
    "distribution": (distribution, "Distribution of daily net returns, less those of equal weight."),
    "rates": (rates, "The market: supply rates on the tested days."),
    "sweep": (sweep, "Other costs, other sizes, and a view of the rates that is one row late."),
}
"""Every picture by the name of its file, with its caption, in the order of the page."""
