"""`make demo`: the whole path on a local chain: a devnet, a trained policy that steers a vault, and a bad day."""

import json
import logging
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click
import requests
import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agent.errors import AgentError
from agent.units import DAY, span
from agent.vault.limits_file import LimitsFile, load_limits
from keeper.errors import KeeperError, RpcUnavailableError
from scripts.demonstration import stress
from scripts.demonstration.picture import draw
from scripts.demonstration.preset import Preset
from scripts.demonstration.presets.table import PRESETS
from scripts.demonstration.replay import Diary, Step, play
from scripts.demonstration.results import LEARNED, Run, failures, growth, show, summarise
from scripts.demonstration.series import Series, learn, load_rates
from scripts.demonstration.series import draw as draw_series
from scripts.demonstration.stage import SYMBOL, set_stage
from scripts.deployment.plan import DEFAULT_DELAY
from scripts.errors import ScriptError
from scripts.protocols.anvil import Anvil
from scripts.protocols.devnet import deploy_devnet

MIN_DAYS = 60
LENDING = "lending"
PAUSE = 12  # steps, but a day at most, before the bad day


@click.command(short_help="Run the whole path on a local chain")
@click.option("--preset", type=click.Choice(list(PRESETS)), default=LENDING, show_default=True, help="What to play.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="CSV of daily supply rates to replay, for lending.  [built-in: synthetic]",
)
@click.option(
    "--start", type=click.DateTime(["%Y-%m-%d"]), help="First day, for lending.  [default: the last possible one]"
)
@click.option("--days", type=click.IntRange(MIN_DAYS, 1000), help="Days to replay, for lending.  [default: 90]")
@click.option(
    "--steps",
    type=click.IntRange(2, 10_000),
    help="Steps to play, for the others.  [default: "
    + ", ".join(f"{preset.steps} {preset.unit}s for {name}" for name, preset in PRESETS.items() if name != LENDING)
    + "]",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of training and synthetic series.")
@click.option("--train-seconds", type=click.FloatRange(1), default=100, show_default=True, help="Time to train for.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port for Anvil.  [default: a free one]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to; an earlier run's is kept beside it as NAME.previous.  [default: out/demo for lending, "
    "out/demo-PRESET for the others]",
)
def cli(
    preset: str,
    data: Path | None,
    start: datetime | None,
    days: int | None,
    steps: int | None,
    seed: int,
    train_seconds: float,
    port: int | None,
    out: Path | None,
) -> None:
    """Deploy a devnet and a vault, train a policy, let the keeper live through the series, then let a bad day come.

    Writes summary.json, a CSV with a row per step, and picture.png. Ends with exit code 1 when a wall did not hold.
    """
    chosen, is_lending = PRESETS[preset], preset == LENDING
    if is_lending and steps is not None:
        raise click.UsageError("--steps is of the other presets: give --days for lending")
    if not is_lending and (data, start, days) != (None, None, None):
        raise click.UsageError(f"--data, --start and --days are of lending: give --steps for {preset}")
    folder = out or Path("out/demo" if is_lending else f"out/demo-{preset}")
    began = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    _quiet_logs()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    anvil: Anvil | None = None
    try:
        limits = load_limits(chosen.limits)
        if is_lending:
            series = load_rates(data, start.date() if start else None, days or chosen.steps, seed, limits.names)
        else:
            series = draw_series(preset, steps or chosen.steps, seed)
        _clear(folder)
        first = int(series.path.timestamps[0])
        anvil = Anvil(port=port, timestamp=first - DAY - DEFAULT_DELAY, log=folder / "anvil.log")
        failures = _run(console, anvil, chosen, limits, series, seed, train_seconds, folder, began)
    except KeyboardInterrupt:
        raise SystemExit(_say_error("Interrupted. Everything is stopped.", chosen, folder, 130)) from None
    except (RpcUnavailableError, requests.ConnectionError, requests.Timeout) as error:
        dead = anvil is not None and not anvil.alive
        what = (
            "Anvil has ended in the middle of the demo" if dead else f"Anvil does not answer ({type(error).__name__})"
        )
        advice = f"Look at {folder / 'anvil.log'} and run `make demo` again."
        raise SystemExit(_say_error(f"{what}. {advice}", chosen, folder, 1)) from None
    except (AgentError, KeeperError, ScriptError, OSError) as error:
        raise SystemExit(_say_error(str(error), chosen, folder, 1)) from None
    finally:
        if anvil is not None:
            anvil.stop()
    for failure in failures:
        console.print(f"[red]This must not happen:[/red] {failure}")
    raise SystemExit(1 if failures else 0)


def _run(
    console: Console,
    anvil: Anvil,
    preset: Preset,
    limits: LimitsFile,
    series: Series,
    seed: int,
    train_seconds: float,
    out: Path,
    began: float,
) -> list[str]:
    """Play all acts; return the checks that failed."""
    console.print(f"[bold]1. Series[/bold]   {series.source}; {series.start} to {series.end}")

    console.print(f"[bold]2. Stage[/bold]    {preset.protocols}, and the vault")
    with console.status("starting Anvil") as status:
        devnet = deploy_devnet(anvil.start(), lambda step: status.update(f"deploying {step}"), preset.name)
        world = preset.world(devnet, series)
        world.prepare()
        stage = set_stage(devnet, limits, preset.deposits, out, status.update)
    console.print(f"            vault {stage.vault.address} at {anvil.url}")

    console.print(
        f"[bold]3. Training[/bold] PPO, {train_seconds:.0f} s, on markets drawn from a model, {series.market_source}"
    )
    learned = learn(preset.training, series, limits, seed, train_seconds, out)
    _go_on()
    stage.commit(learned.policy.digest)
    console.print(f"            policy {learned.policy.digest} announced, and {span(DEFAULT_DELAY)} later committed")
    world.move(0, int(series.path.timestamps[0]))

    console.print(f"            {learned.steps:,} steps in {learned.seconds:.0f} s")
    console.print(f"[bold]4. Replay[/bold]   the keeper wakes every {span(_spacing(series))}")
    rows = out / preset.rows_file
    policy, told = str(learned.path.relative_to(out)), world.told(stage)
    with stage.keeper(policy, told, preset.costs) as keeper, Diary(rows, stage.names, preset.unit) as diary:
        with _bar(console, series.path.length) as step:
            play(stage, keeper, world, series, diary, step)
        console.print(f"[bold]5. Bad day[/bold]  {preset.disaster}")
        bad = stress.happen(stage, keeper, world.strike, min(DAY, PAUSE * _spacing(series)))
    _tell(console, bad)

    run = Run(preset, series, limits, tuple(diary.steps), world.tracking, bad, learned)
    paths = growth(run)
    span_of = f"{len(run.steps) - 1} {preset.unit}s of a vault steered by a {LEARNED} policy on {preset.what}"
    draw(
        out / "picture.png",
        f"{span_of} ({series.source.split(':')[0]})",
        stage.names,
        run.steps,
        [entry.relative_cap for entry in limits.strategies],
        paths,
        limits.max_drawdown,
        (bad.timestamp, bad.drawdown),
        preset.by_price,
    )
    summary = summarise(run, paths, time.monotonic() - began)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    files = ("summary.json", preset.rows_file, "picture.png")
    show(console, run, summary, SYMBOL, {name.split(".")[0]: out / name for name in files})
    return failures(summary)


def _spacing(series: Series) -> int:
    """Return the seconds of a step."""
    return int(series.path.timestamps[1] - series.path.timestamps[0])


@contextmanager
def _bar(console: Console, total: int) -> Iterator[Callable[[Step], None]]:
    columns = (
        TextColumn("           "),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total)

        def tell(step: Step) -> None:
            _go_on()
            progress.update(task, advance=1, description=_short(step))

        yield tell


def _short(step: Step) -> str:
    when = datetime.fromtimestamp(step.timestamp, UTC).date()
    return f"{when} NAV {step.nav / 1e6:,.0f} {step.reason}"


def _tell(console: Console, bad: stress.BadDay) -> None:
    for line in bad.disaster.lines:
        console.print(f"            {line}")
    console.print(f"            loss {bad.loss / 1e6:,.0f} {SYMBOL}; drawdown {bad.drawdown:.1%}")
    console.print(f"            a stranger trips the kill-switch: halted {bad.tripped}")
    console.print(f"            the chain refuses the keeper's key: {bad.revert}")
    console.print(f"            the keeper refuses by itself: {bad.refusal}")
    for name, why in bad.stuck.items():
        console.print(f"            {name} is not sold, and handed out in kind: {why}")
    console.print(f"            unwound to idle {bad.unwound:.2%}; depositors repaid {bad.repaid:.6%} of what was left")


def _clear(out: Path) -> None:
    """Make an empty folder; the last run stays beside it."""
    previous = out.with_name(out.name + ".previous")
    if out.exists():
        shutil.rmtree(previous, ignore_errors=True)
        out.rename(previous)
    out.mkdir(parents=True)


def _say_error(message: str, preset: Preset, out: Path, code: int) -> int:
    click.echo(f"demo: {message}", err=True)
    rows = out / preset.rows_file
    if rows.exists():
        click.echo(f"demo: the {preset.unit}s so far are in {rows}", err=True)
    return code


def _quiet_logs() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


_interrupted = threading.Event()


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _go_on() -> None:
    """Raise the interrupt again: Python drops an exception that is raised inside a destructor or a callback."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


if __name__ == "__main__":
    cli()
