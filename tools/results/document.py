"""`docs/RESULTS.md`: every published figure and table, written from the results of the walk-forwards alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.evaluation.promotion import RULE, Verdict
from agent.evaluation.report import percent, table_rows

RIVALS = ("greedy-band", "greedy-band-tuned")
"""The cost-aware greedy rule: with its parameters from theory, and fitted to the training part."""


def scenario_table(scenarios: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table of all scenarios, with the gate's verdict on each."""
    rows = []
    for each in scenarios:
        own, verdict = each["policy"]["headroom_iqm"], each["verdict"]
        shares = [each["baselines"][rival]["headroom_captured"] for rival in RIVALS if rival in each["baselines"]]
        rows.append(
            [
                each["name"],
                percent(each["policy"]["growth_iqm"]["value"], 3),
                "-"
                if own is None
                else f"{percent(own['value'], 1)} ({percent(own['low'], 1)} to {percent(own['high'], 1)})",
                " / ".join(percent(share, 1) for share in shares),
                f"{verdict['best']} {percent(each['baselines'][verdict['best']]['headroom_captured'], 1)}",
                percent(verdict["excess"], 3, True),
                percent(verdict["lower_bound"], 3, True),
                percent(each["deflated_sharpe"]["probability"], 1),
                "promoted" if verdict["promoted"] else verdict["serve"],
            ]
        )
    head = ("scenario", "net growth/year", "headroom (95 %)", "greedy-band / tuned", "best baseline", "excess over it",
            "lower bound", "deflated Sharpe", "gate")  # fmt: skip
    return _table(head, rows)


def baseline_table(scenario: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table of the policy and every baseline in one scenario."""
    rows = []
    for row in table_rows(scenario):
        test = row["test"]
        name = f"**{row['name']}**" if row["name"] == "learned policy" else row["name"]
        sharpe = "-" if row["sharpe"] is None else f"{row['sharpe']:.1f} ± {row['sharpe_error']:.1f}"
        rows.append(
            [
                name,
                percent(row["log_growth"], 3),
                percent(row["headroom_captured"], 1),
                percent(row["max_drawdown"], 3),
                f"{row['days_under_water']:.1f}",
                percent(row["cvar_5"], 4),
                sharpe,
                f"{row['trades']:.0f}",
                f"{row['turnover_per_year']:.1f}",
                f"{row['gas_paid']:,.0f}",
                f"{row['cap_hits']:.0f}",
                f"{row['halts']:.0f}",
                "" if test is None else percent(test["excess"], 3, True),
                "" if test is None else f"{test['p_adjusted']:.3f}",
            ]
        )
    head = ("", "net growth/year", "headroom", "drawdown", "days under water", "CVaR 5 %", "Sharpe", "trades",
            "turnover/year", "gas", "cap hits", "halts", "policy's excess", "adjusted p")  # fmt: skip
    return _table(head, rows)


def stress_table(stress: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table of what the policy and every baseline came to on the stress days."""
    names = list(stress[0]["outcomes"])
    rows = [
        [
            case["case"],
            case["kind"],
            *(
                f"{percent(out['log_return'], 3, True)}, {percent(out['drawdown'], 2)}"
                for out in case["outcomes"].values()
            ),
            f"{case['outcomes']['learned policy']['refused']:.1f}",
        ]
        for case in stress
    ]
    return [
        "Net log return from the day before to a week after, and drawdown within.",
        "",
        *_table(("case", "kind", *names, "policy's refused trades"), rows),
    ]


def fold_table(about: Mapping[str, Any], tuning: Mapping[str, Any] | None) -> list[str]:
    """Return the lines of a table of the folds, and of what was chosen in each."""
    rows = []
    for index, fold in enumerate(about["folds"]):
        inner = "" if tuning is None else ", ".join(
            percent(value, 3) for value in tuning["mean_annual_growth_on_inner_folds"][index]
        )  # fmt: skip
        rows.append(
            [
                str(index + 1),
                " to ".join(fold["train"]),
                " to ".join(fold["test"]),
                f"`{fold['configuration']}`" if fold["configuration"] else "as in the preset",
                inner,
            ]
        )
    return _table(
        ("fold", "trained on", "tested on", "configuration chosen", "net growth of each on inner folds"), rows
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "| --- |" + " ---: |" * (len(head) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


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
        "- Allowance: (policy - equal weight) / (hindsight - equal weight) of annualised net log returns; hindsight is "
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
