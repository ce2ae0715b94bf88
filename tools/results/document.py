"""`docs/RESULTS.md`: every published figure and table, from the results of the walk-forwards alone.

The text stands in `RESULTS.md.jinja`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from agent.evaluation.promotion import RULE, Verdict
from agent.evaluation.report import percent, table_rows

RIVALS = ("greedy-band", "greedy-band-tuned")
"""The cost-aware greedy rule: with its parameters from theory, and fitted to the training part."""

AIM = 0.6
"""Share of the headroom at 1 bp that was aimed for."""

PICTURES = ("net-worth", "headroom", "sweep")


@dataclass(frozen=True)
class Published:
    """One walk-forward as published.

    Attributes
    ----------
    title
        Heading.
    summary
        Its figures (`agent.evaluation.evidence`).
    verdict
        The gate's on its candidate.
    report
        Folder with its pictures.
    tuning
        Log of the tuning, if there was one.
    """

    title: str
    summary: Mapping[str, Any]
    verdict: Verdict
    report: Path
    tuning: Mapping[str, Any] | None


def write_results(studies: Sequence[Published], command: str, minutes: float, out: Path) -> Path:
    """Write the document, and copy its pictures into the folder `results` beside it.

    Parameters
    ----------
    studies
        One section each.
    command
        Command that makes it all.
    minutes
        How long that took.
    out
        Where the document goes.
    """
    pictures = out.parent / "results"
    pictures.mkdir(parents=True, exist_ok=True)
    for study in studies:
        for picture in PICTURES:
            name = f"{study.summary['about']['study']}-{picture}.png"
            shutil.copyfile(study.report / f"{picture}.png", pictures / name)
    environment = jinja2.Environment(  # noqa: S701  Markdown, not HTML
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "rows": table_rows, "sentence": sentence}
    template = environment.from_string(Path(__file__).with_name("RESULTS.md.jinja").read_text(encoding="utf-8"))
    text = template.render(
        studies=studies,
        command=command,
        minutes=minutes,
        about=studies[0].summary["about"],
        rule=RULE,
        rivals=RIVALS,
        pictures=PICTURES,
    )
    out.write_text(text.strip() + "\n", encoding="utf-8")
    return out


def sentence(study: Published) -> str:
    """Return in words whether the policy beats the cost-aware rule and reaches the aim, and who serves."""
    reference = study.summary["scenarios"][0]
    own = reference["policy"]["headroom_iqm"]
    if own is None:
        return f"At {reference['name']} hindsight earns no more than equal weight: there is nothing to win."
    text = (
        f"At {reference['name']} the learned policy captures {percent(own['value'], 1)} of the headroom "
        f"({percent(own['low'], 1)} to {percent(own['high'], 1)} over seeds)"
    )
    for rival in (name for name in RIVALS if name in reference["baselines"]):
        share = reference["baselines"][rival]["headroom_captured"]
        where = "above" if own["low"] > share else "below" if own["high"] < share else "not distinguishable from"
        text += f", {where} `{rival}` ({percent(share, 1)})"
    reached = "is reached" if own["value"] >= AIM else "is missed"
    verdict = study.verdict
    served = "the gate lets it serve" if verdict.promoted else f"the gate chooses `{verdict.serve}`"
    return (
        f"{text}; the aim of {AIM:.0%} {reached}. Against the best baseline, `{verdict.best}`, its net excess is "
        f"{percent(verdict.excess, 3, True)} a year, lower bound {percent(verdict.lower_bound, 3, True)}: {served}."
    )
