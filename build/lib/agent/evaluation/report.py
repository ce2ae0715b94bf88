"""The report of a walk-forward: one self-contained HTML file, its pictures as PNG, and the figures as JSON."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from agent.errors import ResultsError
from agent.evaluation.evidence import SUMMARY, load_summary
from agent.evaluation.scores import load_scores
from agent.units import DAY


@dataclass(frozen=True)
class Written:
    """The files of a report."""

    page: Path
    data: Path
    pictures: tuple[Path, ...]


def write_report(results: Path, out: Path, scenario: int = 0) -> Written:
    """Write the report of a walk-forward.

    Parameters
    ----------
    results
        Folder of the walk-forward.
    out
        Folder of the report.
    scenario
        Index of the scenario to draw; the tables show all.

    Raises
    ------
    ResultsError
        If there are no results, or no such scenario.
    """
    summary, kept = load_summary(results), load_scores(results)
    if not 0 <= scenario < len(kept.scores):
        raise ResultsError(f"there are {len(kept.scores)} scenarios: choose one from 0 to {len(kept.scores) - 1}")
    # matplotlib takes a second to load, and only reports need it.
    import matplotlib

    from agent.evaluation.figures import FIGURES, STYLE

    out.mkdir(parents=True, exist_ok=True)
    pictures, embedded = [], []
    for name, (draw, caption) in FIGURES.items():
        buffer = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            draw(kept, summary, scenario).savefig(buffer, format="png", facecolor="white")
        path = out / f"{name}.png"
        path.write_bytes(buffer.getvalue())
        pictures.append(path)
        embedded.append({"name": name, "caption": caption, "data": base64.b64encode(buffer.getvalue()).decode()})
    page, data = out / "index.html", out / "report.json"
    days = round(kept.scores[scenario].ceiling.seconds / DAY)
    page.write_text(_page(summary, scenario, embedded, days), encoding="utf-8")
    shutil.copyfile(results / SUMMARY, data)
    return Written(page, data, tuple(pictures))


def _page(summary: Mapping[str, Any], scenario: int, pictures: list[dict[str, str]], days: int) -> str:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["percent"] = percent
    text = resources.files("agent.evaluation").joinpath("report.html.jinja").read_text(encoding="utf-8")
    shown = summary["scenarios"][scenario]
    return environment.from_string(text).render(
        about=summary["about"],
        shown=shown,
        shown_days=days,
        rows=table_rows(shown),
        scenarios=summary["scenarios"],
        stress=summary["stress"],
        pictures=pictures,
        limits=json.dumps(summary["about"]["limits"]),
    )


def table_rows(scenario: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a scenario's table: hindsight at the top, then the others by net growth."""
    rows = [{"name": "learned policy", "test": None, **scenario["policy"]}]
    rows += [{"name": name, **figures} for name, figures in scenario["baselines"].items()]
    rows.sort(key=lambda row: -row["log_growth"])
    return [{"name": "hindsight", "test": None, **scenario["hindsight"]}, *rows]


def percent(value: float | None, decimals: int = 2, sign: bool = False) -> str:
    """Return a fraction as text in percent; a dash for None."""
    return "-" if value is None else f"{value:{'+' if sign else ''}.{decimals}%}"
