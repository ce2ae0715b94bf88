"""`agent export`: the integer form of a policy, and what it costs."""

from __future__ import annotations

from pathlib import Path

import click

from agent.commands.common import PATH, limits_of, names_of, note, print_json, writable

_CALIBRATION_PATHS = 16


@click.command()
@click.argument("policy", type=PATH)
@click.option("--integer", is_flag=True, required=True, help="Export the integer form, the only other form there is.")
@click.option("--out", type=PATH, required=True, help="Where the integer policy goes (.npz, manifest beside it).")
@click.option("--limits", "limits_file", type=PATH, help="Limits file (TOML). [default: the environment's]")
@click.option("--paths", type=click.IntRange(1, 1000), default=16, show_default=True, help="Test markets to draw.")
@click.option("--rows", type=click.IntRange(2, 36_500), help="Rows of each. [default: those of the policy's training]")
@click.option("--seed", type=click.IntRange(min=0), default=30_000, show_default=True, help="Seed to draw them with.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def export(
    policy: Path, integer: bool, out: Path, limits_file: Path | None, paths: int, rows: int | None, seed: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Export POLICY in integers (int8 weights), as a contract can execute it, and report what that costs.

    Weights are fitted to markets drawn from the model that the policy was trained for; the report is of other ones.
    """
    import numpy as np

    from agent.errors import IntegerFormError
    from agent.evaluation.integer_report import integer_report, vectors
    from agent.integer import save_integer
    from agent.market.synthetic import shipped_market
    from agent.network import NumpyPolicy
    from agent.policy import load_policy
    from agent.quantise import quantise
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
