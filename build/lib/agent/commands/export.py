"""`agent export`: the integer form of a policy, or a rule fitted to history, as a policy file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
from click.core import ParameterSource

from agent.commands.common import (
    DAY,
    PATH,
    Reading,
    history_options,
    limits_of,
    names_of,
    note,
    print_json,
    writable,
)

_CALIBRATION_PATHS = 16
_OF_INTEGERS = ("paths", "rows", "seed")
_OF_RULES = ("until", "cost_bp", "nav", "parts", "network", "gas", "max_gap_days")


@click.command()
@click.argument("policy")
@click.option("--integer", is_flag=True, help="Export the integer form of a policy file.")
@click.option("--data", type=PATH, help="History to fit a rule to.")
@history_options
@click.option("--until", type=DAY, help="Fit to days before this one only. [default: all of the history]")
@click.option("--cost-bp", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Cost of each leg, bp.")
@click.option("--nav", type=click.FloatRange(min=0, min_open=True), default=1e7, show_default=True, help="Assets.")
@click.option("--out", type=PATH, required=True, help="Where the policy goes (.npz, manifest beside it).")
@click.option(
    "--limits", "limits_file", type=PATH, help="Limits file (TOML). [default: the environment's; rules: caps of 60 %]"
)
@click.option("--paths", type=click.IntRange(1, 1000), default=16, show_default=True, help="Test markets to draw.")
@click.option("--rows", type=click.IntRange(2, 36_500), help="Rows of each. [default: those of the policy's training]")
@click.option("--seed", type=click.IntRange(min=0), default=30_000, show_default=True, help="Seed to draw them with.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def export(
    context: click.Context,
    policy: str,
    integer: bool,
    data: Path | None,
    reading: Reading,
    until: datetime | None,
    cost_bp: float,
    nav: float,
    out: Path,
    limits_file: Path | None,
    paths: int,
    rows: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Export POLICY to a file that the keeper loads.

    With --integer POLICY is a file of `agent train`: it is exported in integers (int8 weights), as a contract can
    execute it. Weights are fitted to markets drawn from the model that the policy was trained for; the report of what
    that costs is of other ones (--paths, --rows, --seed).

    With --data POLICY is the name of a rule, such as forecast-var1, best-trailing, greedy-band-tuned, fixed-mix or
    min-variance: it is fitted to the history, under --limits, --cost-bp and --nav. The same again has the same digest.
    """
    if integer == (data is not None):
        raise click.UsageError("give a policy file and --integer, or a rule's name and --data")
    for name in _OF_RULES if integer else _OF_INTEGERS:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            kind = "rules, with --data" if integer else "the integer form, with --integer"
            raise click.UsageError(f"--{name.replace('_', '-')} is for {kind}")
    if data is not None:
        _export_rule(policy, data, reading, until, cost_bp, nav, limits_file, out, as_json)
    else:
        _export_integer(Path(policy), out, limits_file, paths, rows, seed, as_json)


def _export_rule(
    name: str,
    data: Path,
    reading: Reading,
    until: datetime | None,
    cost_bp: float,
    nav: float,
    limits_file: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    from agent.errors import LookAheadError
    from agent.evaluation.serving import write_rule
    from agent.evaluation.study import Scenario

    whole = reading.load(data)
    known = whole if until is None else whole.before(until.date())
    if known is None:
        raise LookAheadError(f"{whole.source} begins on {whole.start}, not before --until: nothing is left to fit to")
    limits = limits_of(limits_file, len(known.names))
    writable(out)
    written = write_rule(name, known, Scenario(cost_bp, nav).setting(limits), out)
    file = out.with_suffix(".npz")
    if as_json:
        print_json({"policy": str(file), "digest": written.digest, "name": written.name,
                    "strategies": list(known.names), "fitted": written.manifest["training"]})  # fmt: skip
        return
    click.echo(f"{name}, fitted to {len(known)} days of {known.source}, {known.start} to {known.end}: "
               f"{', '.join(known.names)}")  # fmt: skip
    click.echo(f"\npolicy  {file}\ndigest  {written.digest}")


def _export_integer(
    policy: Path, out: Path, limits_file: Path | None, paths: int, rows: int | None, seed: int, as_json: bool
) -> None:
    import numpy as np

    from agent.errors import IntegerFormError
    from agent.evaluation.integer_report import integer_report, vectors
    from agent.market.lending import shipped_market
    from agent.policies.files import save_integer
    from agent.policies.load import load_policy
    from agent.policies.network import NumpyPolicy
    from agent.policies.quantise import quantise
    from agent.training.preset import Preset, typical_setting

    loaded = load_policy(policy)
    if not isinstance(loaded, NumpyPolicy):
        raise IntegerFormError(f"{policy} is no float policy of `agent train`: give one")
    if out.with_suffix(".npz").resolve() == policy.with_suffix(".npz").resolve():
        raise IntegerFormError(f"--out {out} is the float policy itself: choose another file, and keep both")
    writable(out)
    preset = Preset.model_validate(loaded.manifest["training"]["preset"])
    lending = preset.env.preset == "lending"
    market = shipped_market(tuple(loaded.manifest["strategies"])) if lending else preset.env_preset.market()
    if loaded.manifest["training"]["market"].get("digest") != getattr(market, "digest", None):
        note("the policy was trained on another market than the shipped one, which the report is of")
    own = limits_of(limits_file, loaded.count) if lending or limits_file is not None else None
    setting = typical_setting(preset.env_config(own))
    if names_of(limits_file) not in (None, tuple(loaded.manifest["strategies"])):
        note(f"{limits_file} calls the strategies otherwise than the policy does")
    length = (rows or preset.evaluation.test_rows) + 1
    calibration, test = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    shown = vectors(loaded, market.sample(calibration, _CALIBRATION_PATHS, length), setting)
    made = quantise(loaded, shown)
    report = integer_report(loaded, made, market.sample(test, paths, length), setting)
    made.manifest["integer_report"] = {**report.to_json(), "paths": paths, "rows": length - 1, "seed": seed}
    saved = save_integer(out, made)
    if as_json:
        code = saved.network.code()
        print_json({"policy": str(out.with_suffix(".npz")), "digest": saved.digest, "code_bytes": len(code),
                    "report": made.manifest["integer_report"]})  # fmt: skip
        return
    click.echo(f"{report.decisions:,} decisions on {paths} markets of {length - 1} rows that it was not fitted to:")
    click.echo(f"  differ                  {report.differ:.2%} (other strategies traded: {report.other_trades:.2%})")
    click.echo(f"  difference of a weight  {report.largest_difference:.3%} at most, {report.mean_difference:.4%} mean")
    click.echo(f"  return per year         {report.integer_return:.4%} (float {report.float_return:.4%})")
    if report.cost is None or report.integer_captured is None:
        click.echo("  headroom                none: hindsight earns no more than equal weight")
    else:
        click.echo(f"  share of the headroom   {report.integer_captured:.2%}; the integer form costs {report.cost:.3%}")
    click.echo(f"\npolicy  {out.with_suffix('.npz')} ({len(saved.network.code()):,} bytes of code)")
    click.echo(f"digest  {saved.digest}")
