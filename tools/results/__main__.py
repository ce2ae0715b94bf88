"""Make `docs/RESULTS.md`: both walk-forwards, the gate, the reports, and the document.

Run it as `make results DATA=FOLDER`; `--help` lists the options. `python -m tools.results.data FOLDER` makes the
history files. Finished runs are kept under `out/results`.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from agent.commands.common import run
from agent.errors import DataFileError

STUDIES = {
    "aave": ("Aave V3 on Ethereum, six dollars", "aave_v3_daily.csv"),
    "compound": ("Compound V2, three dollars", "compound_v2_daily.csv"),
}
GAS = "eth_price_gas_daily.csv"
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--data", type=FOLDER, required=True, help="Folder with the history files.")
@click.option("--out", type=FOLDER, default=Path("out/results"), show_default=True, help="Folder of results.")
@click.option(
    "--document", type=click.Path(path_type=Path, dir_okay=False), default=Path("docs/RESULTS.md"), show_default=True
)
@click.option("--only", type=click.Choice(list(STUDIES)), help="Run one of the studies only.")
@click.option("--seeds", type=click.IntRange(min=1), help="Training runs per fold. [default: 10]")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Longest time of a run. [default: 90]")
@click.option("--workers", type=click.IntRange(min=1), help="Runs at a time. [default: one per core]")
@click.option("--ray", help="Address of a Ray cluster to run on.")
@click.option("--quiet", is_flag=True, help="No progress.")
def results(
    data: Path,
    out: Path,
    document: Path,
    only: str | None,
    seeds: int | None,
    seconds: float | None,
    workers: int | None,
    ray: str | None,
    quiet: bool,
) -> None:
    """Run the published walk-forwards on the history files in a folder, and write the document."""
    from agent.evaluation.evidence import results_of
    from agent.evaluation.folder import CANDIDATE, load_about
    from agent.evaluation.promotion import judge_walk_forward, write_verdict
    from agent.evaluation.report import write_report
    from agent.evaluation.scores import load_scores
    from agent.evaluation.serving import judged_part, write_rule
    from agent.evaluation.study import STUDIES as PLANS
    from agent.evaluation.walk_forward import Executor, walk_forward
    from agent.market.replay import load_history
    from agent.policies.files import load_policy_file
    from agent.policies.rules import BASELINES
    from agent.vault.limits import Limits
    from tools.results.document import Published, write_results

    started = time.monotonic()
    chosen = [name for name in STUDIES if only in (None, name)]
    for file in (*(STUDIES[name][1] for name in chosen), GAS):
        if not (data / file).is_file():
            raise DataFileError(f"{data / file} is not there: `python -m tools.results.data {data}` says how to get it")
    executor = Executor(
        workers, ray, progress=not quiet, say=lambda text: None if quiet else click.echo(text, err=True)
    )
    published = []
    for name in chosen:
        title, file = STUDIES[name]
        plan = PLANS[name] if seeds is None else replace(PLANS[name], seeds=seeds)
        plan = plan if seconds is None else plan.in_seconds(seconds)
        folder = out / name
        history = load_history(data / file, gas=data / GAS)
        limits = Limits.uniform(len(history.names))
        walk_forward(plan, history, limits, folder, executor)
        summary, _ = results_of(folder)
        report = write_report(folder, folder / "report")
        candidate, about, scenario = folder / CANDIDATE, load_about(folder), plan.scenarios[0]
        verdict = judge_walk_forward(load_policy_file(candidate), about, load_scores(folder).scores, scenario)
        outcome = "promoted" if verdict.promoted else "refused"
        write_verdict(candidate, verdict, candidate.with_suffix(f".{outcome}.npz"))
        if not verdict.promoted and verdict.serve not in BASELINES:
            rule = folder / f"{verdict.serve}.npz"
            write_rule(verdict.serve, judged_part(about, history, limits), scenario.setting(limits), rule)
            click.echo(f"{name}: the rule that serves instead is in {rule}")
        log = folder / "tuning.json"
        tuning = json.loads(log.read_text(encoding="utf-8")) if log.exists() else None
        published.append(Published(title, summary, verdict, report.page.parent, tuning))
        click.echo(f"{name}: {verdict.sentence}")
    given = {"SEEDS": seeds, "SECONDS": seconds and f"{seconds:g}", "ONLY": only}
    command = " ".join(["make results DATA=../history", *(f"{key}={value}" for key, value in given.items() if value)])
    written = write_results(published, command, (time.monotonic() - started) / 60.0, document)
    click.echo(f"\ndocument  {written}\npages     {', '.join(str(study.report / 'index.html') for study in published)}")


if __name__ == "__main__":
    sys.exit(run(results))
