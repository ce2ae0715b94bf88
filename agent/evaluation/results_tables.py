"""The tables of `docs/RESULTS.md`: every scenario, every baseline in one, the stress days, the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
