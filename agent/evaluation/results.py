"""`docs/RESULTS.md`: every published figure, written from the results of the walk-forwards and from nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.evaluation.promotion import RULE, Verdict
from agent.evaluation.report import percent
from agent.evaluation.results_tables import RIVALS, baseline_table, fold_table, scenario_table, stress_table

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
        What tuning found.
    """

    title: str
    summary: Mapping[str, Any]
    verdict: Verdict
    report: Path
    tuning: Mapping[str, Any] | None


def write_results(studies: Sequence[Published], command: str, minutes: float, out: Path) -> Path:
    """Write the document and copy the pictures that it shows beside it.

    Parameters
    ----------
    studies
        What is published.
    command
        What makes it all.
    minutes
        How long that took.
    out
        Where the document goes; pictures go to the folder `results` beside it.
    """
    pictures = out.parent / "results"
    pictures.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Results",
        "",
        "Everything here is written by one command, from history files that are not part of this repository:",
        "",
        "```sh",
        command,
        "```",
        "",
        f"Its last run took {minutes:.0f} minutes (what was trained before is kept and not counted). Training ends "
        "after a number of steps; on a machine so slow that it ends by time first, or with another build of torch, the "
        "figures of the learned policy move within their intervals. All others are exact.",
        "",
        "## In short",
        "",
    ]
    for study in studies:
        lines += [f"**{study.title}.** {sentence(study)}", ""]
    lines += [*_method(studies[0].summary), ""]
    for study in studies:
        lines += [*_study(study, pictures), ""]
    out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
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


def _method(summary: Mapping[str, Any]) -> list[str]:
    about, limits = summary["about"], summary["about"]["limits"]
    return [
        "## How it was done",
        "",
        "- Walk-forward with expanding training parts; tests follow one another and make one path, on which the vault "
        f"is carried over. {about['purge']} row is purged and {about['embargo']} are embargoed before each test.",
        f"- {about['trials']} configurations were tried, on folds within each training part only; the deflated Sharpe "
        "ratio counts each with every seed.",
        f"- {about['seeds']} seeds. Interquartile means with bootstrap intervals over seeds (Agarwal et al., 2021).",
        "- Daily net log returns, after gas and legs, paired with each baseline's on the same days; studentised "
        "stationary bootstrap, p-values corrected for all baselines at once (Romano and Wolf, 2005).",
        "- A leg is a deposit or a withdrawal; a move from one pool to another is two. Gas is each day's real price.",
        "- Headroom: (policy - equal weight) / (hindsight - equal weight) of annualised net log returns; hindsight is "
        "a dynamic programme with full knowledge, under the same limits and costs.",
        "- One policy per fold and seed serves all costs and sizes.",
        f"- The gate's rule was fixed beforehand: {RULE}.",
        f"- Limits: caps of {max(limits['relative_caps']):.0%}, idle floor {limits['idle_floor']:.0%}.",
    ]


def _study(study: Published, pictures: Path) -> list[str]:
    about = study.summary["about"]
    name, data, folds = about["study"], about["data"], about["folds"]
    lines = [
        f"## {study.title}",
        "",
        f"`{data['source']}` (SHA-256 `{data['sha256'][:16]}...`), {data['first_day']} to {data['last_day']}: "
        f"{', '.join(data['strategies'])}. Tested {folds[0]['test'][0]} to {folds[-1]['test'][1]}. "
        + (
            "Own deposits dilute the rates by what others supplied."
            if data["depth"]
            else "What others supplied is not in the file: own deposits dilute nothing, which flatters all at 10M."
        ),
        "",
    ]
    for picture in PICTURES:
        shutil.copyfile(study.report / f"{picture}.png", pictures / f"{name}-{picture}.png")
        lines += [f"![{picture} of {study.title}](results/{name}-{picture}.png)", ""]
    lines += ["### Every scenario", "", *scenario_table(study.summary["scenarios"]), ""]
    for scenario in study.summary["scenarios"][:4]:
        lines += [f"### {scenario['name']}", "", *baseline_table(scenario), ""]
    lines += ["### Stress days", "", *stress_table(study.summary["stress"]), ""]
    lines += ["### Folds", "", *fold_table(about, study.tuning), ""]
    lines += [
        f"Candidate `{about['candidate']}`; judged: {study.verdict.sentence}. "
        f"Page with all pictures: `agent report out/results/{name}`.",
    ]
    return lines
