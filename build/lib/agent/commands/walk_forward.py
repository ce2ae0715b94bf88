"""`agent walk-forward`: train and test through the past, out of sample, against every baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from agent.commands.common import PATH, Reading, history_options, limits_of, note, print_json
from agent.errors import AgentError

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("walk-forward")
@click.argument("file", type=PATH)
@history_options
@click.option("--study", default="aave", show_default=True, help="Study to carry out: aave or compound.")
@click.option("--out", type=FOLDER, help="Folder of results. [default: out/results/STUDY]")
@click.option("--limits", "limits_file", type=PATH, help="Limits file (TOML) of the vault. [default: caps of 60 %]")
@click.option("--preset", help="Training preset, instead of the study's.")
@click.option("--folds", type=click.IntRange(1, 50), help="Number of test windows, instead of the study's.")
@click.option("--first-test", type=click.IntRange(min=40), help="Row at which testing begins, instead of the study's.")
@click.option("--seeds", type=click.IntRange(1, 1000), help="Training runs per fold. [default: 10]")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Longest time of a run. [default: 90]")
@click.option("--workers", type=click.IntRange(min=1), help="Runs at a time. [default: one per core]")
@click.option("--ray", help="Run on this Ray cluster, HOST:PORT or auto; all its machines must see --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--quiet", is_flag=True, help="No progress.")
def walk_forward(
    file: Path,
    reading: Reading,
    study: str,
    out: Path | None,
    limits_file: Path | None,
    preset: str | None,
    folds: int | None,
    first_test: int | None,
    seeds: int | None,
    seconds: float | None,
    workers: int | None,
    ray: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Test a way of training on the history in FILE, out of sample, against every baseline.

    The history is cut into folds: train on the past, leave out a strip, test on the days that follow, move on. A few
    configurations are compared on folds within each training part. Finished runs are kept and not done again.
    """
    from agent.evaluation.evidence import results_of
    from agent.evaluation.study import STUDIES
    from agent.evaluation.walk_forward import Executor
    from agent.evaluation.walk_forward import walk_forward as carry_out

    if study not in STUDIES:
        raise AgentError(f"no study {study!r}: choose {' or '.join(STUDIES)}")
    changes: dict[str, Any] = {"preset": preset, "folds": folds, "first_test": first_test, "seeds": seeds}
    plan = replace(STUDIES[study], **{key: value for key, value in changes.items() if value is not None})
    plan = plan if seconds is None else plan.in_seconds(seconds)
    folder = Path("out/results") / study if out is None else out
    history = reading.load(file)
    executor = Executor(workers, ray, progress=not quiet, say=(lambda _: None) if quiet else note)
    carry_out(plan, history, limits_of(limits_file, len(history.names)), folder, executor)
    summary, written = results_of(folder)
    if as_json:
        print_json(summary)
        return
    for scenario in summary["scenarios"]:
        print_scenario(scenario)
    click.echo(f"results  {written}\npage     agent report {folder}")


def print_scenario(scenario: dict[str, Any]) -> None:
    """Print the table of a scenario."""
    rows = [("learned policy", scenario["policy"], None)]
    rows += [(name, figures, figures["test"]) for name, figures in scenario["baselines"].items()]
    rows.sort(key=lambda row: -row[1]["log_growth"])
    rows.append(("hindsight", scenario["hindsight"], None))
    click.echo(f"{scenario['name']}\n  {'':26s} growth/year  headroom  drawdown  trades  excess of policy (adjusted p)")
    for name, figures, test in rows:
        share = "-" if figures["headroom_captured"] is None else f"{figures['headroom_captured']:.0%}"
        against = "" if test is None else f"{test['excess']:+.2%} ({test['p_adjusted']:.3f})"
        click.echo(
            f"  {name:26s} {figures['log_growth']:11.3%}  {share:>8s}  {figures['max_drawdown']:8.3%}  "
            f"{figures['trades']:6.0f}  {against}"
        )
    verdict = scenario["verdict"]
    outcome = "promoted" if verdict["promoted"] else f"not promoted: {verdict['serve']} should serve"
    bound = f"{verdict['excess']:+.2%} a year, lower bound {verdict['lower_bound']:+.2%}"
    click.echo(f"  over {verdict['best']}: {bound}; {outcome}\n")
