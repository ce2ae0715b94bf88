"""Picture of how daily returns are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from agent.evaluation.figures.style import BEST, POLICY, best_of, in_percent, new_figure
from agent.evaluation.scores import Kept


def distribution(kept: Kept, summary: Mapping[str, Any], index: int) -> Figure:
    """Draw how the daily lead over equal weight is distributed, for the policy and the best baseline."""
    scores, best = kept.scores[index], best_of(summary["scenarios"][index])
    passive = scores.equal_weight.log_returns[0]
    own = np.concatenate([each.log_returns[0] - passive for each in scores.seeds]) * 1e4
    rule = (scores.baseline(best).log_returns[0] - passive) * 1e4
    low, high = np.quantile(np.concatenate([own, rule]), (0.005, 0.995))
    edges = np.linspace(low, high, 61).tolist()
    figure, (axes,) = new_figure(1, 4.4)
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
    axes.yaxis.set_major_formatter(in_percent())
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
