"""The picture of a replay: rates or prices, weights, growth against the rules, and drawdown against the limit."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scripts.demonstration.replay import Step

# Okabe and Ito's colours, which colour-blind readers can tell apart, with a brown in place of their black, which is the
# policy's; idle and reference lines are grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7F4F24")
SHORT = 3.0  # days, up to which hours are told
GREY, INK, DANGER = "#B8BDC4", "#22262B", "#B3261E"


def draw(
    path: Path,
    title: str,
    names: Sequence[str],
    steps: Sequence[Step],
    caps: Sequence[float],
    growth: Mapping[str, NDArray[np.float64]],
    max_drawdown: float,
    stress: tuple[int, float] | None,
    by_price: bool,
) -> None:
    """Write the picture as PNG.

    Parameters
    ----------
    growth
        Net worth relative to the first step for the policy and each rule, each of shape `(len(steps),)`; the first is
        drawn as the main line.
    stress
        Timestamp and drawdown (fraction) of the bad day, or None when it has not happened.
    by_price
        Whether the venues' share prices tell more than their rates, and are drawn instead.
    """
    style: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.grid": True,
        "grid.color": "#ECEEF1",
        "axes.axisbelow": True,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 11), dpi=150, layout="constrained")
        axes = figure.subplots(4, 1, sharex=True, height_ratios=(2.4, 3, 2.4, 2))
        when = date2num([datetime.fromtimestamp(step.timestamp, UTC) for step in steps])
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
        (_prices if by_price else _rates)(axes[0], when, names, steps)
        _weights(axes[1], when, names, steps, caps)
        _growth(axes[2], when, names, growth)
        _drawdown(axes[3], when, steps, max_drawdown, stress)
        axes[3].xaxis.set_major_locator(AutoDateLocator(interval_multiples=False, maxticks=9))
        long = when[-1] - when[0] > SHORT
        axes[3].xaxis.set_major_formatter(DateFormatter("%-d %b %Y" if long else "%-d %b, %H:%M"))
        for axis in axes:
            axis.margins(x=0.01)
        figure.savefig(path)


def _heading(axis: Axes, text: str) -> None:
    axis.set_title(text, loc="left", fontsize=10, fontweight="bold")


def _label_ends(axis: Axes, x: float, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each line's name at its right end, moved apart where two would overlap."""
    low, high = axis.get_ylim()
    gap = (high - low) * 0.085
    last = -np.inf
    for y, text, colour in sorted(ends):
        at = max(y, last + gap)
        axis.annotate(
            text,
            (x, at),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontweight="bold",
            annotation_clip=False,
        )
        last = at


def _rates(axis: Axes, when: NDArray[np.float64], names: Sequence[str], steps: Sequence[Step]) -> None:
    rates = 100 * np.array([step.rates for step in steps])
    for i, name in enumerate(names):
        axis.plot(when, rates[:, i], color=COLOURS[i], lw=1.6, label=name)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("% a year")
    _heading(axis, "Supply rate of each market, on chain (APR)")
    _label_ends(axis, when[-1], [(rates[-1, i], name, COLOURS[i]) for i, name in enumerate(names)])


def _prices(axis: Axes, when: NDArray[np.float64], names: Sequence[str], steps: Sequence[Step]) -> None:
    prices = np.array([[p / q for p, q in zip(step.prices, steps[0].prices, strict=True)] for step in steps])
    gains = 100 * (prices - 1)
    for i in range(len(names)):
        axis.plot(when, gains[:, i], color=COLOURS[i], lw=1.6)
    axis.set_ylabel("% since the start")
    _heading(axis, "Worth of a share of each venue, on chain")
    _label_ends(axis, when[-1], [(gains[-1, i], name, COLOURS[i]) for i, name in enumerate(names)])


def _weights(
    axis: Axes, when: NDArray[np.float64], names: Sequence[str], steps: Sequence[Step], caps: Sequence[float]
) -> None:
    weights = 100 * np.array([step.weights for step in steps])
    layers = [*weights.T, 100 - weights.sum(axis=1)]
    colours = [*COLOURS[: len(names)], GREY]
    axis.stackplot(when, layers, colors=colours, alpha=0.9, step="post", labels=[*names, "idle"])
    mined = [t for t, step in zip(when, steps, strict=True) if step.mined]
    axis.plot(mined, np.full(len(mined), -3.0), "|", color=INK, ms=5, clip_on=False)
    axis.set_ylim(-5, 100)
    axis.set_ylabel("% of NAV")
    limits = f"cap {caps[0]:.0%} each" if len(set(caps)) == 1 else "caps " + ", ".join(f"{cap:.0%}" for cap in caps)
    _heading(axis, f"Weights after the keeper's cycle ({limits}); ticks are mined rebalances, {len(mined)}")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, reverse=True)
    axis.grid(False)


def _growth(
    axis: Axes, when: NDArray[np.float64], names: Sequence[str], growth: Mapping[str, NDArray[np.float64]]
) -> None:
    """A venue alone has the venue's colour, and the other rules those that are left."""
    ends, main, rules = [], next(iter(growth)), [name for name in growth if name not in names][1:]
    order = [*names, *rules]
    for i, (name, path) in enumerate(growth.items()):
        gain = 100 * (path - 1)
        colour = INK if name == main else COLOURS[order.index(name) % len(COLOURS)]
        axis.plot(when, gain, color=colour, lw=2.2 if i == 0 else 1.3, ls="-" if i == 0 else "--", zorder=10 - i)
        ends.append((float(gain[-1]), f"{name} {gain[-1]:+.2f} %", colour))
    axis.set_ylabel("% since the start")
    _heading(axis, "Net worth (NAV less the gas the keeper paid) against the baselines")
    _label_ends(axis, when[-1], ends)


def _drawdown(
    axis: Axes, when: NDArray[np.float64], steps: Sequence[Step], max_drawdown: float, stress: tuple[int, float] | None
) -> None:
    x = list(when)
    y = [-100 * step.drawdown for step in steps]
    if stress is not None:
        x.append(date2num(datetime.fromtimestamp(stress[0], UTC)))
        y.append(-100 * stress[1])
        axis.plot(x[-1], y[-1], "o", color=DANGER, ms=6, zorder=5)
        axis.annotate(
            "the bad day: anyone trips\nthe kill-switch, all leave",
            (x[-1], y[-1]),
            (-12, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=DANGER,
        )
    axis.fill_between(x, y, 0, step="post", color=DANGER, alpha=0.15, lw=0)
    axis.step(x, y, where="post", color=DANGER, lw=1.4)
    axis.axhline(-100 * max_drawdown, color=INK, lw=1.2, ls=":")
    axis.annotate(
        f"limit -{max_drawdown:.0%}",
        (when[0], -100 * max_drawdown),
        (4, 4),
        textcoords="offset points",
        color=INK,
    )
    axis.set_ylim(min(-125 * max_drawdown, 1.15 * min(y)), 100 * max_drawdown * 0.05)
    axis.set_ylabel("% under the mark")
    _heading(axis, "Drawdown of the share price from its high-water mark, against the limit on chain")
