"""Pictures over the tested days: net worth and drawdown, weights, rates.

Lending earns a few percent a year with next to no noise, so net worth itself is one straight line for everybody. What
differs is drawn as the lead over equal weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from agent.evaluation.backtest import Backtest
from agent.evaluation.figures.style import (
    BAND,
    BEST,
    CEILING,
    EDGE,
    IDLE,
    POLICY,
    REST,
    best_of,
    by_date,
    days_of,
    in_percent,
    mark_folds,
    new_figure,
    strategy_colours,
    strategy_dashes,
)
from agent.evaluation.metrics import drawdowns, growth_rate
from agent.evaluation.scores import Kept, Scores
from agent.units import FloatArray

_PEAK = 1.6  # rates are cut off where the highest is this much above all but the highest two in a thousand


def net_worth(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw net growth, the lead over equal weight, and the drawdown."""
    scores, figures = kept.scores[index], summary["scenarios"][index]
    days, best = days_of(scores.ceiling.timestamps), best_of(figures)
    passive = _cumulative(scores.equal_weight)
    figure, (growth, lead, under) = new_figure(3, 9.6, (2, 3, 1.6))
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
        axes.yaxis.set_major_formatter(in_percent())
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
    under.yaxis.set_major_formatter(in_percent())
    mark_folds(summary, (growth, lead, under))
    by_date(under)
    return figure


def _cumulative(result: Backtest) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(result.log_returns[0])])


def _lead_limits(scores: Scores, passive: FloatArray, own: FloatArray) -> tuple[float, float]:
    """Return limits that hold the policy's lead, and others' unless they are so far behind that they flatten it."""
    worst = _cumulative(min(scores.baselines, key=lambda each: float(growth_rate(each)[0]))) - passive
    top = float((_cumulative(scores.ceiling) - passive).max())
    return max(float(worst.min()), min(-1.2 * top, float(own.min()))) * 1.05 - 1e-5, top * 1.08 + 1e-5


def weights(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the weights over time: the mean of the seeds, the best baseline's, and hindsight's."""
    scores, figures = kept.scores[index], summary["scenarios"][index]
    days = days_of(scores.ceiling.timestamps)
    figure, panels = new_figure(3, 8)
    shown = (
        ("Learned policy, mean of the seeds", np.mean([each.weights[0] for each in scores.seeds], axis=0)),
        (f"Best baseline: {best_of(figures)}", scores.baseline(best_of(figures)).weights[0]),
        ("Hindsight", scores.ceiling.weights[0]),
    )
    colours = [*strategy_colours(len(kept.names)), IDLE]
    for axes, (title, values) in zip(panels, shown, strict=True):
        stack = np.vstack([values.T, np.maximum(1.0 - values.sum(-1), 0.0)])
        axes.stackplot(days, stack, colors=colours, labels=[*kept.names, "idle"], linewidth=0, step="post")
        axes.set_ylim(0, 1)
        axes.set_xlim(float(days[0]), float(days[-1]))
        axes.set_title(title)
        axes.set_ylabel("share of assets")
        axes.yaxis.set_major_formatter(in_percent(0))
        axes.grid(visible=False)
    panels[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), reverse=True)  # in the order of the stack
    mark_folds(summary, panels, CEILING)
    by_date(panels[-1])
    return figure


def rates(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw the supply rates of the test windows."""
    figure, (axes,) = new_figure(1, 4.4)
    days = days_of(kept.scores[index].ceiling.timestamps)
    count = len(kept.names)
    looks = zip(kept.names, strategy_colours(count), strategy_dashes(count), kept.rates.T, strict=True)
    for name, colour, dashes, values in looks:
        axes.plot(days, values, color=colour, linestyle=dashes, linewidth=1.3, label=name)
    usual, peak = float(np.quantile(kept.rates, 0.998)), float(kept.rates.max())
    cut = peak > _PEAK * usual
    axes.set_ylim(min(0.0, float(kept.rates.min())), 1.1 * (usual if cut else peak) + 1e-6)
    axes.set_title("Supply rates as seen" + (f" (peaks cut off, the highest at {peak:.1%})" if cut else ""))
    axes.set_ylabel("supply rate, APR")
    axes.yaxis.set_major_formatter(in_percent())
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    mark_folds(summary, (axes,))
    by_date(axes)
    return figure
