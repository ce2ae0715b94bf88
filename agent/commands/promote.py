"""`agent promote`: the gate between a trained policy and the vault."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from agent.commands.common import DAY, PATH, Reading, history_options, limits_of, print_json, writable
from agent.errors import NotPromotedError

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("policy", type=PATH)
@click.option("--results", type=FOLDER, help="Folder of the walk-forward that the policy comes from.")
@click.option("--data", type=PATH, help="History to judge this very policy on, instead.")
@history_options
@click.option("--start", type=DAY, help="First day of the test on --data; all that is fitted ends before it.")
@click.option("--cost-bp", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Cost of each leg, bp.")
@click.option("--nav", type=click.FloatRange(min=0, min_open=True), default=1e7, show_default=True, help="Assets.")
@click.option("--limits", "limits_file", type=PATH, help="Limits file (TOML) of the vault. [default: caps of 60 %]")
@click.option("--out", type=PATH, help="Where the judged policy goes. [default: POLICY.promoted.npz or .refused.npz]")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def promote(
    policy: Path,
    results: Path | None,
    data: Path | None,
    reading: Reading,
    start: datetime | None,
    cost_bp: float,
    nav: float,
    limits_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Apply the rule for promotion to POLICY and write it anew with the verdict in its manifest.

    Promoted is what beats the best baseline out of sample: the lower 95 % bound of its net excess is above zero and its
    drawdown is no worse. Otherwise the baseline that should serve is named and the exit code is 1. The judged file has
    a digest of its own: that is the one for governance to commit.
    """
    from agent.evaluation.folder import load_about
    from agent.evaluation.promotion import judge_on_history, judge_walk_forward, write_verdict
    from agent.evaluation.scores import load_scores
    from agent.evaluation.study import Scenario
    from agent.policy import load_policy_file

    if (results is None) == (data is None) or (data is None) != (start is None):
        raise click.UsageError("give either --results, or --data and --start")
    judged, scenario = load_policy_file(policy), Scenario(cost_bp, nav)
    if results is not None:
        verdict = judge_walk_forward(judged, load_about(results), load_scores(results).scores, scenario)
    else:
        assert data is not None and start is not None  # noqa: S101, PT018  # as just checked
        history = reading.load(data)
        verdict = judge_on_history(judged, history, start.date(), scenario, limits_of(limits_file, len(history.names)))
    outcome = "promoted" if verdict.promoted else "refused"
    target = policy.with_suffix(f".{outcome}.npz") if out is None else out
    writable(target)
    written = write_verdict(policy, verdict, target)
    if as_json:
        print_json({"policy": str(target), "digest": written.digest, **verdict.to_json()})
    if not verdict.promoted:
        raise NotPromotedError(f"{verdict.sentence}. The verdict is in {target}")
    if not as_json:
        click.echo(f"{verdict.sentence}\n\npolicy  {target}\ndigest  {written.digest}")
