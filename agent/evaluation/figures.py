"""Pictures of a walk-forward: one function each, from scores and figures to a matplotlib figure.

Lending earns a few percent a year with next to no noise, so net worth itself is one straight line for everybody. What
differs is drawn as the lead over equal weight.
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

from agent.evaluation.backtest import Backtest
from agent.evaluation.metrics import drawdowns, growth_rate
from agent.evaluation.scores import Kept
from agent.market.history import midnight
from agent.units import DAY, FloatArray, IntArray

POLICY, CEILING, BEST, REST = "#0b6e4f", "#222222", "#c8553d", "#b8bec6"
_STRATEGIES = ("#2f6f9f", "#e0a030", "#7a5ca8", "#4f9d69", "#c8553d", "#5aa9b8", "#8c6d46", "#99425c")
_IDLE = "#e6e8eb"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a919b",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#eceef1",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "savefig.dpi": 130,
}

Draw = Callable[[Kept, Mapping[str, Any], int], Figure]


def _figure(rows: int, height: float, ratios: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(10, height), layout="constrained")
    made = figure.subplots(rows, 1, sharex=rows > 1, squeeze=False, height_ratios=ratios)
    return figure, list(made[:, 0])


def _days(timestamps: IntArray) -> FloatArray:
    """Return what matplotlib takes for the dates."""
    return np.asarray(timestamps / DAY, dtype=np.float64)  # its epoch is 1970 too


def _by_date(axes: Axes) -> None:
    locator = dates.AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _cumulative(result: Backtest) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(result.log_returns[0])])


def _best(figures: Mapping[str, Any]) -> str:
    return str(figures["verdict"]["best"])


def _shown(figures: Mapping[str, Any]) -> list[str]:
    """Return the baselines that get a line of their own: the best one, and the cost-aware rule."""
    known = [name for name in (_best(figures), "greedy-band") if name in figures["baselines"]]
    return list(dict.fromkeys(known))


def net_worth(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw net growth, the lead over equal weight, and the drawdown."""
    scores, figures = kept.scores[index], summary["scenarios"][index]
    days = _days(scores.ceiling.timestamps)
    passive = _cumulative(scores.equal_weight)
    figure, (growth, lead, under) = _figure(3, 9, (2, 3, 1.4))
    own = np.stack([_cumulative(each) for each in scores.seeds])
    lines: list[tuple[str, FloatArray, str, str, float]] = [
        (name, _cumulative(scores.baseline(name)), colour, "-", 1.6)
        for name, colour in zip(_shown(figures), (BEST, "#e0a030"), strict=False)
    ]
    lines += [("hindsight (ceiling)", _cumulative(scores.ceiling), CEILING, "--", 1.4)]
    for axes, base in ((growth, np.zeros_like(passive)), (lead, passive)):
        for each in scores.baselines:
            axes.plot(days, _cumulative(each) - base, color=REST, linewidth=0.7, alpha=0.8)
        for name, values, colour, style, width in lines:
            axes.plot(days, values - base, color=colour, linestyle=style, linewidth=width, label=name)
        axes.fill_between(days, (own - base).min(0), (own - base).max(0), color=POLICY, alpha=0.18, linewidth=0)
        axes.plot(days, own.mean(0) - base, color=POLICY, linewidth=2.2, label=f"learned policy, {len(own)} seeds")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=2 if axes is lead else 1))
    growth.set_title("Net growth since the first test day (log)")
    lead.set_title("Lead over equal weight")
    lead.axhline(0, color="#8a919b", linewidth=0.8)
    worst = _cumulative(min(scores.baselines, key=lambda each: float(growth_rate(each)[0]))) - passive
    top = float((_cumulative(scores.ceiling) - passive).max())
    lead.set_ylim(max(float(worst.min()), -1.2 * top) * 1.05 - 1e-5, top * 1.08 + 1e-5)
    handles, labels = lead.get_legend_handles_labels()
    growth.legend(handles, labels, loc="upper left", ncols=2, fontsize=9)
    fall = np.mean([drawdowns(each.net_worth)[0] for each in scores.seeds], axis=0)
    under.fill_between(days, -fall, color=POLICY, alpha=0.35, linewidth=0)
    under.plot(days, -drawdowns(scores.baseline(_best(figures)).net_worth)[0], color=BEST, linewidth=1.2)
    under.set_title("Drawdown of net worth")
    under.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=4))
    _folds(summary, (growth, lead, under))
    _by_date(under)
    return figure


def _folds(summary: Mapping[str, Any], axes: Sequence[Axes]) -> None:
    """Mark where one fold's policies hand over to the next's."""
    for fold in summary["about"]["folds"][1:]:
        at = midnight(date.fromisoformat(fold["test"][0])) / DAY
        for each in axes:
            each.axvline(at, color="#8a919b", linewidth=0.8, linestyle=":")


def weights(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the weights over time, the mean of the seeds above the best baseline's."""
    scores, figures = kept.scores[index], summary["scenarios"][index]
    days = _days(scores.ceiling.timestamps)
    figure, panels = _figure(3, 8)
    shown = (
        ("Learned policy, mean of the seeds", np.mean([each.weights[0] for each in scores.seeds], axis=0)),
        (f"Best baseline: {_best(figures)}", scores.baseline(_best(figures)).weights[0]),
        ("Hindsight", scores.ceiling.weights[0]),
    )
    for axes, (title, values) in zip(panels, shown, strict=True):
        stack = np.vstack([values.T, np.maximum(1.0 - values.sum(-1), 0.0)])
        labels = [*kept.names, "idle"]
        axes.stackplot(days, stack, colors=[*_colours(len(kept.names)), _IDLE], labels=labels, linewidth=0, step="post")
        axes.set_ylim(0, 1)
        axes.set_xlim(float(days[0]), float(days[-1]))
        axes.set_title(title)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.grid(visible=False)
    panels[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    _folds(summary, panels)
    _by_date(panels[-1])
    return figure


def rates(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the supply rates of the test windows."""
    figure, (axes,) = _figure(1, 4.2)
    days = _days(kept.scores[index].ceiling.timestamps)
    for name, colour, values in zip(kept.names, _colours(len(kept.names)), kept.rates.T, strict=True):
        axes.plot(days, values, color=colour, linewidth=1.3, label=name)
    axes.set_title("Supply rates as seen (APR)")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(0, float(np.quantile(kept.rates, 0.998)) * 1.1)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    _folds(summary, (axes,))
    _by_date(axes)
    return figure


def parts(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw what the reward is made of: interest beyond equal weight's, less legs, less gas; per year."""
    figures = summary["scenarios"][index]
    passive = figures["baselines"]["equal-weight"]["growth_from_interest"]
    rows = [("learned policy", figures["policy"]), *figures["baselines"].items(), ("hindsight", figures["hindsight"])]
    rows.sort(key=lambda row: row[1]["log_growth"])
    figure, (axes,) = _figure(1, 1.4 + 0.3 * len(rows))
    at = np.arange(len(rows))
    interest = np.array([row[1]["growth_from_interest"] - passive for row in rows])
    legs = np.array([row[1]["growth_from_legs"] for row in rows])
    gas = np.array([row[1]["growth_from_gas"] for row in rows])
    axes.barh(at, interest, color="#7fb69b", label="interest over equal weight's", height=0.62)
    axes.barh(at, legs, left=np.minimum(interest, 0.0), color="#e0a030", label="cost of legs", height=0.62)
    axes.barh(at, gas, left=np.minimum(interest, 0.0) + legs, color="#99425c", label="gas", height=0.62)
    axes.plot(interest + legs + gas, at, "d", color=CEILING, markersize=5, label="net")
    _names(axes, [row[0] for row in rows])
    least = float((interest + legs + gas).min())
    axes.set_xlim(max(least * 1.1, -2.0 * float(interest.max())) - 1e-4, float(interest.max()) * 1.12 + 1e-4)
    axes.set_title("What the reward is made of, per year")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    axes.legend(loc="center left", fontsize=9)
    return figure


def distribution(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw how the daily lead over equal weight is distributed, for the policy and the best baseline."""
    scores, figures = kept.scores[index], summary["scenarios"][index]
    passive = scores.equal_weight.log_returns[0]
    own = np.concatenate([each.log_returns[0] - passive for each in scores.seeds]) * 1e4
    best = (scores.baseline(_best(figures)).log_returns[0] - passive) * 1e4
    low, high = np.quantile(np.concatenate([own, best]), (0.005, 0.995))
    edges = np.linspace(low, high, 61).tolist()
    figure, (axes,) = _figure(1, 4.0)
    for values, colour, name in ((best, BEST, _best(figures)), (own, POLICY, "learned policy, all seeds")):
        label = f"{name}: mean {values.mean():+.3f} bp, worst {values.min():+.2f}"
        share = np.full(values.size, 1.0 / values.size)
        axes.hist(np.clip(values, low, high), edges, weights=share, color=colour, alpha=0.45, label=label)
        axes.axvline(values.mean(), color=colour, linewidth=1.4)
    axes.set_title("Daily net log return over equal weight's (basis points; ends hold what lies beyond)")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(loc="upper right", fontsize=9)
    return figure


def headroom(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the share of headroom captured, the policy's with its interval over seeds, baselines' against it."""
    figures = summary["scenarios"][index]
    policy, room = figures["policy"], figures["hindsight"]["log_growth"]
    room -= figures["baselines"]["equal-weight"]["log_growth"]
    if policy["headroom_iqm"] is None:
        return _nothing("There is no headroom: hindsight itself earns no more than equal weight")
    own = policy["headroom_iqm"]
    rows = [(name, row["headroom_captured"], row["test"]) for name, row in figures["baselines"].items()]
    rows.append(("learned policy", own["value"], None))
    rows.sort(key=lambda row: row[1])
    figure, (axes,) = _figure(1, 1.4 + 0.3 * len(rows))
    for at, (_name, value, test) in enumerate(rows):
        axes.barh(at, value, color=POLICY if test is None else "#cfd4da", height=0.62)
        if test is None:
            low, high = own["low"], own["high"]
        else:  # the interval of the difference, put where the policy's own mean says it is
            mean = policy["headroom_captured"]
            low, high = mean - test["high"] / room, mean - test["low"] / room
        axes.plot([low, high], [at, at], color=CEILING, linewidth=1.6, solid_capstyle="butt")
    axes.axvline(own["value"], color=POLICY, linewidth=1.0, linestyle=":")
    _names(axes, [row[0] for row in rows])
    axes.set_xlim(max(min(rows[0][1], 0.0) * 1.1, -1.0) - 0.02, 1.0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_title("Share of headroom captured: 0 is equal weight, 100 % is hindsight")
    axes.set_xlabel("lines: 95 % intervals, over seeds for the policy, of the paired difference to it for the others")
    return figure


def sweep(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the lead over equal weight under every cost, size and latency."""
    del kept, index  # it shows all scenarios
    every = sorted(summary["scenarios"], key=lambda each: (each["latency"], -each["nav"], each["cost_bp"]))
    figure, (axes,) = _figure(1, 4.6)
    at = np.arange(len(every))
    passive = np.array([each["baselines"]["equal-weight"]["log_growth"] for each in every])
    for name, marker, colour in (("greedy", "s", "#e0a030"), ("greedy-band", "^", "#7a5ca8"), ("hold", "v", "#8a919b")):
        if all(name in each["baselines"] for each in every):
            values = np.array([each["baselines"][name]["log_growth"] for each in every]) - passive
            axes.plot(at, values, marker, color=colour, label=name, markersize=6)
    best = np.array([each["baselines"][_best(each)]["log_growth"] for each in every]) - passive
    axes.plot(at, best, "_", color=BEST, markersize=22, markeredgewidth=2.5, label="best baseline there")
    ceiling = np.array([each["hindsight"]["log_growth"] for each in every]) - passive
    axes.plot(at, ceiling, "_", color=CEILING, markersize=22, markeredgewidth=1.5, label="hindsight")
    own = [each["policy"]["growth_iqm"] for each in every]
    middle = np.array([each["value"] for each in own]) - passive
    errors = np.array([[each["value"] - each["low"], each["high"] - each["value"]] for each in own]).T
    axes.errorbar(at, middle, errors, fmt="o", color=POLICY, markersize=8, capsize=4, label="learned policy, 95 %")
    axes.set_xticks(at, [each["name"].replace(", ", "\n") for each in every])
    axes.axhline(0, color="#8a919b", linewidth=0.8)
    axes.set_ylim(-0.6 * float(ceiling.max()) - 1e-4, float(ceiling.max()) * 1.12 + 1e-4)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=2))
    axes.set_title("Net growth per year over equal weight's: cost per leg, assets, latency")
    axes.legend(loc="lower left", ncols=3, fontsize=9)
    return figure


def _names(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(names)), names)
    for label in axes.get_yticklabels():
        if label.get_text() == "learned policy":
            label.set_fontweight("bold")
    axes.grid(visible=False, axis="y")


def _nothing(text: str) -> Figure:
    figure, (axes,) = _figure(1, 1.5)
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()
    return figure


def _colours(count: int) -> list[str]:
    return [_STRATEGIES[index % len(_STRATEGIES)] for index in range(count)]


FIGURES: dict[str, tuple[Draw, str]] = {
    "net-worth": (net_worth, "Net worth and drawdown against the baselines; dotted lines: the next fold's policies"),
    "headroom": (headroom, "Share of headroom captured"),
    "weights": (weights, "Weights over time"),
    "parts": (parts, "What the reward is made of"),
    "distribution": (distribution, "Distribution of daily returns"),
    "rates": (rates, "The market: supply rates in the test windows"),
    "sweep": (sweep, "Other costs, other sizes, a late view"),
}
"""Every picture by the name of its file, with its caption, in the order of the page."""
