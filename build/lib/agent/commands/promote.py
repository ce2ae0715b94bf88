"""`agent promote`: the gate between a trained policy and the vault."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands.common import DAY, PATH, Reading, history_options, limits_of, print_json, writable
from agent.errors import NotPromotedError

if TYPE_CHECKING:
    from agent.backtest import Setting
    from agent.evaluation.promotion import Verdict
    from agent.market.history import RateHistory

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("policy", type=PATH)
@click.option("--results", type=FOLDER, help="Folder of the walk-forward that the policy comes from.")
@click.option(
    "--data",
    type=PATH,
    help="History to judge this very policy on, instead. With --results: the walk-forward's, to write the rule from.",
)
@history_options
@click.option("--start", type=DAY, help="First day of the test on --data; all that is fitted ends before it.")
@click.option("--cost-bp", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Cost of each leg, bp.")
@click.option("--nav", type=click.FloatRange(min=0, min_open=True), default=1e7, show_default=True, help="Assets.")
@click.option(
    "--limits",
    "limits_file",
    type=PATH,
    help="Limits file (TOML) of the vault. [default: caps of 60 %; with --results the walk-forward's]",
)
@click.option("--out", type=PATH, help="Where the judged policy goes. [default: POLICY.promoted.npz or .refused.npz]")
@click.option(
    "--serve-out",
    type=PATH,
    help="Where the rule that should serve goes. [default: POLICY.RULE.npz, as `agent export`]",
)
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
    serve_out: Path | None,
    as_json: bool,
) -> None:
    """Apply the rule for promotion to POLICY and write it anew with the verdict in its manifest.

    A policy is promoted if it beats the best baseline out of sample: the lower 95 % bound of its net excess is above
    zero and its drawdown is no worse. Otherwise the baseline that should serve is named and the exit code is 1; a
    baseline with fitted numbers is written to a file, fitted as it was judged. The judged file has a digest of its own:
    that, or the rule's, is the one for governance to commit. The verdict holds the limits that the policy was judged
    under: the keeper refuses to trade where the vault's are looser.

    POLICY is a file of `agent train`, or its integer form, which is judged with --data and --start.
    """
    from agent.evaluation.folder import judged_limits, load_about
    from agent.evaluation.promotion import judge_on_history, judge_walk_forward, load_trained, write_verdict
    from agent.evaluation.scores import load_scores
    from agent.evaluation.serving import judged_part
    from agent.evaluation.study import Scenario

    if (results is None) == (start is None) or (start is not None and data is None):
        raise click.UsageError("give either --results, or --data and --start")
    if results is not None and data is None and (reading.chosen or serve_out is not None):
        raise click.UsageError("--serve-out, --parts, --network and --gas are about the history of --data: give it too")
    judged, scenario = load_trained(policy), Scenario(cost_bp, nav)
    history = None if data is None else reading.load(data)
    given = limits_of(limits_file, judged.count if history is None else len(history.names))
    if results is None:
        assert history is not None and start is not None  # noqa: S101, PT018  checked above
        verdict = judge_on_history(judged, history, start.date(), scenario, given)
        known, limits = history.before(start.date()), given
    else:
        about = load_about(results)
        limits = judged_limits(about, None if limits_file is None else given)
        verdict = judge_walk_forward(judged, about, load_scores(results).scores, scenario)
        known = None if history is None else judged_part(about, history, limits)
    outcome = "promoted" if verdict.promoted else "refused"
    target = policy.with_suffix(f".{outcome}.npz") if out is None else out
    writable(target)
    written = write_verdict(policy, verdict, target)
    found = {"policy": str(target), "digest": written.digest, **verdict.to_json()}
    then = ""
    if not verdict.promoted:
        serving, then = _serving(verdict, known, scenario.setting(limits), policy, serve_out)
        found["serving"] = serving
    if as_json:
        print_json(found)
    if not verdict.promoted:
        raise NotPromotedError(f"{verdict.sentence}. The verdict is in {target}{then}")
    if not as_json:
        click.echo(f"{verdict.sentence}\n\npolicy  {target}\ndigest  {written.digest}")


def _serving(
    verdict: Verdict, known: RateHistory | None, setting: Setting, policy: Path, out: Path | None
) -> tuple[dict[str, str | None], str]:
    """Write the rule that should serve, where it needs a file; return the keeper's configuration, and it in words."""
    from agent.evaluation.serving import write_rule
    from agent.policies.load import load_policy
    from agent.policies.rules import BASELINES

    name = verdict.serve
    if name in BASELINES:
        digest = load_policy(name).digest
        return {"policy": name, "digest": digest}, f'; the keeper knows the rule: policy = "{name}", digest {digest}'
    if known is None:
        return {"policy": None, "digest": None}, f"; for the file of {name} give the walk-forward's history with --data"
    target = policy.with_suffix(f".{name}.npz") if out is None else out
    writable(target)
    written = write_rule(name, known, setting, target)
    return {"policy": str(target), "digest": written.digest}, f"; the rule is in {target}, digest {written.digest}"
