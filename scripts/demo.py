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
from datetime import UTC, datetime, timedelta
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
from scripts.demonstration.replay import Day, Diary, align, play
from scripts.demonstration.results import Run, failures, growth, show, summarise
from scripts.demonstration.series import DemoSeries, learn, load_series
from scripts.demonstration.stage import SYMBOL, set_stage
from scripts.deployment.plan import DEFAULT_DELAY
from scripts.errors import ScriptError
from scripts.protocols.anvil import Anvil

MIN_DAYS = 60
LIMITS = Path("scripts/limits.toml")
FILES = ("summary.json", "days.csv", "picture.png")


@click.command(short_help="Run the whole path on a local chain")
@click.option(
    "--data", type=click.Path(path_type=Path), help="CSV of daily supply rates to replay.  [built-in: synthetic]"
)
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), help="First day.  [default: the last possible one]")
@click.option("--days", type=click.IntRange(MIN_DAYS, 1000), default=90, show_default=True, help="Days to replay.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of training and synthetic series.")
@click.option("--train-seconds", type=click.FloatRange(1), default=100, show_default=True, help="Time to train for.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port for Anvil.  [default: a free one]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    help="Folder to write to; an earlier run's is kept beside it as NAME.previous.",
)
def cli(
    data: Path | None, start: datetime | None, days: int, seed: int, train_seconds: float, port: int | None, out: Path
) -> None:
    """Deploy a devnet and a vault, train a policy, let the keeper live through the days, then let a bad day come.

    Writes summary.json, days.csv and picture.png. Ends with exit code 1 when a wall did not hold.
    """
    began = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    _quiet_logs()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    anvil: Anvil | None = None
    try:
        limits = load_limits(LIMITS)
        series = load_series(data, start.date() if start else None, days, seed, limits.names)
        _clear(out)
        first = int(datetime.combine(series.start, datetime.min.time(), UTC).timestamp())
        anvil = Anvil(port=port, timestamp=first - DAY - DEFAULT_DELAY, log=out / "anvil.log")
        failures = _run(console, anvil, limits, series, first, seed, train_seconds, out, began)
    except KeyboardInterrupt:
        raise SystemExit(_say_error(console, "Interrupted. Everything is stopped.", out, 130)) from None
    except (RpcUnavailableError, requests.ConnectionError, requests.Timeout) as error:
        dead = anvil is not None and not anvil.alive
        what = (
            "Anvil has ended in the middle of the demo" if dead else f"Anvil does not answer ({type(error).__name__})"
        )
        advice = f"Look at {out / 'anvil.log'} and run `make demo` again."
        raise SystemExit(_say_error(console, f"{what}. {advice}", out, 1)) from None
    except (AgentError, KeeperError, ScriptError, OSError) as error:
        raise SystemExit(_say_error(console, str(error), out, 1)) from None
    finally:
        if anvil is not None:
            anvil.stop()
    for failure in failures:
        console.print(f"[red]This must not happen:[/red] {failure}")
    raise SystemExit(1 if failures else 0)


def _run(
    console: Console,
    anvil: Anvil,
    limits: LimitsFile,
    series: DemoSeries,
    first: int,
    seed: int,
    train_seconds: float,
    out: Path,
    began: float,
) -> list[str]:
    """Play all acts; return the checks that failed."""
    last = series.start + timedelta(days=len(series.rates) - 1)
    console.print(f"[bold]1. Series[/bold]   {series.source}; {series.start} to {last}")

    console.print("[bold]2. Stage[/bold]    Aave V3 and Uniswap V3 from their real bytecode, and the vault")
    with console.status("starting Anvil") as status:
        stage = set_stage(anvil.start(), limits, out, status.update)
    console.print(f"            vault {stage.vault.address} at {anvil.url}")

    console.print(
        f"[bold]3. Training[/bold] PPO, {train_seconds:.0f} s, on markets drawn from a model, {series.market_source}"
    )
    learned = learn(series.market, limits, seed, train_seconds, out)
    _go_on()
    stage.commit(learned.policy.digest)
    console.print(f"            policy {learned.policy.digest} announced, and {span(DEFAULT_DELAY)} later committed")
    align(stage, series.rates[0])

    console.print(f"            {learned.steps:,} steps in {learned.seconds:.0f} s")
    console.print("[bold]4. Replay[/bold]   the keeper wakes once a day")
    with stage.keeper(str(learned.path.relative_to(out))) as keeper, Diary(out / "days.csv", stage.names) as diary:
        with _bar(console, len(series.rates)) as step:
            played = play(stage, keeper, series.rates, first, diary, step)
        console.print("[bold]5. Bad day[/bold]  a strategy is robbed")
        bad = stress.happen(stage, keeper)
    _tell(console, bad)

    run = Run(series, limits, tuple(diary.days), played, bad, learned)
    paths = growth(run)
    what = f"{len(run.days) - 1} days of a vault steered by a PPO policy on three Aave V3 markets"
    draw(
        out / "picture.png",
        f"{what} ({series.source.split(':')[0]})",
        stage.names,
        run.days,
        [entry.relative_cap for entry in limits.strategies],
        paths,
        limits.max_drawdown,
        (bad.timestamp, bad.drawdown),
    )
    summary = summarise(run, paths, time.monotonic() - began)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    show(console, summary, SYMBOL, {name.split(".")[0]: out / name for name in FILES})
    return failures(summary)


@contextmanager
def _bar(console: Console, total: int) -> Iterator[Callable[[Day], None]]:
    columns = (
        TextColumn("           "),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total)

        def step(day: Day) -> None:
            _go_on()
            progress.update(task, advance=1, description=_short(day))

        yield step


def _short(day: Day) -> str:
    when = datetime.fromtimestamp(day.timestamp, UTC).date()
    return f"{when} NAV {day.nav / 1e6:,.0f} {day.reason}"


def _tell(console: Console, bad: stress.BadDay) -> None:
    console.print(f"            {bad.loss / 1e6:,.0f} {SYMBOL} stolen from {bad.strategy}; drawdown {bad.drawdown:.1%}")
    console.print(f"            a stranger trips the kill-switch: halted {bad.tripped}")
    console.print(f"            the chain refuses the keeper's key: {bad.revert}")
    console.print(f"            the keeper refuses by itself: {bad.refusal}")
    console.print(f"            unwound to idle {bad.unwound:.2%}; depositors repaid {bad.repaid:.6%} of what was left")


def _clear(out: Path) -> None:
    """Make an empty folder; the last run stays beside it."""
    previous = out.with_name(out.name + ".previous")
    if out.exists():
        shutil.rmtree(previous, ignore_errors=True)
        out.rename(previous)
    out.mkdir(parents=True)


def _say_error(console: Console, message: str, out: Path, code: int) -> int:
    click.echo(f"demo: {message}", err=True)
    if (out / "days.csv").exists():
        click.echo(f"demo: the days so far are in {out / 'days.csv'}", err=True)
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
