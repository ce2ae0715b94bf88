"""The `keeper` command: results on stdout (tables, or JSON with --json), logs on stderr.

Exit codes: 0 all went well, 1 refused or incomplete, 2 wrong usage, 75 try again later, 78 the set-up must be mended
first (`keeper.errors`), 70 a bug. No error shows a stack trace; set BULKHEAD_DEBUG=1 to see one.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from keeper.errors import ConfigError, KeeperError

if TYPE_CHECKING:  # the heavy modules are imported by the commands that need them, so that --help is quick
    from keeper.config import KeeperConfig
    from keeper.cycle import CycleResult

F = TypeVar("F", bound=Callable[..., Any])
BUG = 70  # EX_SOFTWARE
GRACE = 0.9  # seconds from a signal to the end of the process, whatever it waits for


def _common(command: F) -> F:
    """Add --config and --json; they may stand before or after the command's name."""
    command = click.option("--json", "as_json", is_flag=True, help="Print results as JSON.")(command)
    return click.option(
        "--config",
        "-c",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Configuration file.  [default: keeper.toml]",
    )(command)


def _handled(command: F) -> F:
    """Merge the common options and turn errors into one message and their exit code."""

    @functools.wraps(command)
    def wrapper(*arguments: Any, config: Path | None, as_json: bool, **options: Any) -> Any:
        group = click.get_current_context().find_root().obj or {}
        config = config or group.get("config") or Path("keeper.toml")
        as_json = as_json or bool(group.get("as_json"))
        try:
            return command(*arguments, config=config, as_json=as_json, **options)
        except KeeperError as error:
            _fail(type(error).__name__, str(error), as_json, error.exit_code)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise  # click's own
        except Exception as error:
            if os.environ.get("BULKHEAD_DEBUG"):
                raise
            text = " ".join(str(error).split()) or "no message"
            _fail(
                type(error).__name__,
                f"Unexpected {type(error).__name__}: {text}. This is a bug; BULKHEAD_DEBUG=1 shows where.",
                as_json,
                BUG,
            )

    return wrapper  # type: ignore[return-value]


def _fail(kind: str, message: str, as_json: bool, code: int) -> None:
    if as_json:
        click.echo(json.dumps({"outcome": "error", "error": kind, "reason": message}))
    click.secho(f"error: {message}", fg="red", err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@_common
@click.version_option(package_name="bulkhead", prog_name="keeper")
@click.pass_context
def main(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Keep a Bulkhead vault: read it, ask the policy, simulate, and with --live send the rebalance.

    Nothing is sent without --live. Start with: keeper init, then keeper status, then keeper once. To look at any vault
    without a configuration: keeper inspect ADDRESS.
    """
    context.obj = {"config": config, "as_json": as_json}


@main.command()
@click.option("--live", is_flag=True, help="Sign and send. Without it nothing is sent and no key is needed.")
@_common
@_handled
def once(config: Path, as_json: bool, live: bool) -> None:
    """Run one cycle: read, decide, simulate and, with --live, send and wait."""
    from keeper.cycle import Keeper

    loaded = _load(config, as_json)
    _announce(live, loaded)
    with Keeper(loaded) as keeper:
        result = keeper.cycle(live)
    _show_cycle(result, as_json)
    if not result.succeeded:
        click.secho(f"error: {result.outcome}: {result.reason}", fg="red", err=True)
        sys.exit(1)


@main.command()
@click.option("--live", is_flag=True, help="Sign and send. Without it nothing is sent and no key is needed.")
@_common
@_handled
def run(config: Path, as_json: bool, live: bool) -> None:
    """Run a cycle at the configured interval until stopped (SIGINT or SIGTERM, at once, also in the middle of one)."""
    from keeper.cycle import Keeper, repeat
    from keeper.watch import Watch

    loaded = _load(config, as_json)
    _announce(live, loaded)
    stop = _stop_on_signals()
    with Keeper(loaded, watch=Watch(stop)) as keeper:
        repeat(
            lambda: keeper.cycle(live),
            loaded.interval_seconds,
            stop,
            lambda result: _show_cycle(result, as_json, compact=True),
        )
    click.echo("Stopped.", err=True)


@main.command()
@click.option("--cycles", default=5, show_default=True, type=click.IntRange(1, 1000), help="Past cycles to show.")
@_common
@_handled
def status(config: Path, as_json: bool, cycles: int) -> None:
    """Show the vault, the transaction under way and the last cycles. Works beside a running keeper."""
    from keeper import status as report

    loaded = _load(config, as_json, "error")
    found = report.gather(loaded, cycles)
    if as_json:
        click.echo(json.dumps(found))
    else:
        report.show(found)
    if "error" in found["vault"]:
        click.secho(f"error: {found['vault']['error']}", fg="red", err=True)
        sys.exit(1)


@main.command()
@_common
@_handled
def price(config: Path, as_json: bool) -> None:
    """Show the native coin's price, what its sources say, and what the policy is shown. Exit code 1 if one fails."""
    from keeper import prices as report

    found = report.gather(_load(config, as_json, "error"))
    if as_json:
        click.echo(json.dumps(found))
    else:
        report.show(found)
    errors = [line["error"] for line in (found, *found["quotes"]) if line["error"] is not None]
    for error in errors:
        click.secho(f"error: {error}", fg="red", err=True)
    if errors:
        sys.exit(1)


@main.command()
@click.argument("address", required=False)
@click.option("--rpc", "url", metavar="URL", help="Node to read from.  [default: the configuration's, or a local one]")
@click.option("--lens", metavar="ADDRESS", help="VaultLens to read through.  [default: its code in a state override]")
@click.option(
    "--since",
    metavar="BLOCK",
    type=click.IntRange(0),
    help="Block from which to read the roles' events.  [default: where the AccessManager was created]",
)
@_common
@_handled
def inspect(
    config: Path, as_json: bool, address: str | None, url: str | None, lens: str | None, since: int | None
) -> None:
    """Print what the vault at ADDRESS enforces, how it stands, and who may change it, whoever deployed it.

    Reads any vault from any node; needs no key and no deployment files. Without ADDRESS it is the configured vault.

    \b
    Example:
      keeper inspect 0x5FbDB2315678afecb367f032d93F642f64180aa3 --rpc https://...
    """
    from keeper.chain.rpc import Rpc
    from keeper.config import DEFAULT_URL, load_config, safe_url
    from keeper.inspect.report import lines, to_json
    from keeper.inspect.state import inspect_vault

    _log_to_stderr(as_json, "error")
    loaded = None
    if address is None and not config.exists():
        raise ConfigError(f"Which vault? Give its ADDRESS, or a configuration that names one: there is no {config}.")
    if address is None or (url is None and config.exists()):
        loaded = load_config(config)
        url = url or loaded.rpc_url.get_secret_value()
    try:
        rpc = Rpc(url or DEFAULT_URL, shown_as=safe_url(url or DEFAULT_URL))
    except ValueError as error:
        raise ConfigError(f"--rpc {error}.") from None
    if loaded is not None:
        rpc.check_chain(loaded.chain_id)
    if loaded is not None and address is None:
        address, lens = loaded.vault, lens or loaded.lens
    state = inspect_vault(rpc, str(address), lens, since)
    click.echo(json.dumps(to_json(state)) if as_json else "\n".join(lines(state)))


@main.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="keeper.toml")
@click.option("--stdout", is_flag=True, help="Print the example instead of writing it.")
@_common
@_handled
def init(config: Path, as_json: bool, path: Path, stdout: bool) -> None:
    """Write an example configuration with all keys explained to PATH (keeper.toml). Never overwrites."""
    from keeper.config import EXAMPLE

    text = EXAMPLE.read_text(encoding="utf-8")
    if stdout:
        click.echo(text, nl=False)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} exists and is never overwritten. Give another path, or use --stdout.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error}). Give another path.") from None
    _show(as_json, {"written": str(path)}, f"Wrote {path}. Edit it, then run: keeper --config {path} status")


@main.group()
def keystore() -> None:
    """Make an encrypted keystore. The password comes from BULKHEAD_KEYSTORE_PASSWORD, --password-file or a prompt."""


def _keystore_options(command: F) -> F:
    out = click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
    password = click.option(
        "--password-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the password."
    )
    return out(password(command))


@keystore.command("new")
@_keystore_options
@_common
@_handled
def keystore_new(config: Path, as_json: bool, out: Path, password_file: Path | None) -> None:
    """Make a new random key and encrypt it into a new file."""
    _write_keystore(out, password_file, None, as_json)


@keystore.command("import")
@_keystore_options
@_common
@_handled
def keystore_import(config: Path, as_json: bool, out: Path, password_file: Path | None) -> None:
    """Encrypt an existing key, typed at a hidden prompt or piped in, into a new file."""
    if sys.stdin.isatty():
        private_key = click.prompt("Private key (not shown)", hide_input=True, default="", show_default=False)
    else:
        private_key = sys.stdin.readline()
    _write_keystore(out, password_file, private_key, as_json)


def _write_keystore(out: Path, password_file: Path | None, private_key: str | None, as_json: bool) -> None:
    from keeper.chain.signer import write_keystore
    from keeper.config import PASSWORD_VARIABLE, read_secret

    if password_file is not None:
        password = read_secret(password_file)
    elif PASSWORD_VARIABLE in os.environ:
        password = os.environ[PASSWORD_VARIABLE]
    elif sys.stdin.isatty():
        prompt = "New password for the keystore"
        password = click.prompt(prompt, hide_input=True, confirmation_prompt=True, default="", show_default=False)
    else:
        raise ConfigError(f"No password: set {PASSWORD_VARIABLE}, or give --password-file.")
    address = write_keystore(out, password, private_key)
    _show(as_json, {"address": address, "keystore": str(out)}, f"Wrote {out}. The keeper's address is {address}")


# --- helpers -----------------------------------------------------------------------------------------------------


def _load(path: Path, as_json: bool, level: str = "info") -> KeeperConfig:
    """Read the configuration, and send the log to stderr before anything can be logged to stdout."""
    from keeper.config import load_config

    _log_to_stderr(as_json, level)
    return load_config(path)


def _log_to_stderr(as_json: bool, level: str) -> None:
    import logging

    import structlog

    renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            structlog.processors.JSONRenderer() if as_json else renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _announce(live: bool, config: KeeperConfig) -> None:
    if live:
        click.secho(f"LIVE on chain {config.chain_id}: transactions will be sent.", fg="yellow", bold=True, err=True)
    else:
        click.secho("DRY RUN: nothing will be sent. Add --live to send.", fg="yellow", bold=True, err=True)


def _stop_on_signals() -> threading.Event:
    """Return what SIGINT and SIGTERM set; the process ends soon after, whatever its main thread waits for.

    Python runs handlers in the main thread, and not before a database that is locked gives it back. The wake-up pipe is
    written at once, and read in a thread of its own.
    """
    stop = threading.Event()
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: wake)  # which must not be collected

    def end() -> None:
        woken.recv(1)
        stop.set()
        os.write(2, b"Stopping ...\n")
        time.sleep(GRACE)
        os._exit(0)  # the journal bears it

    threading.Thread(target=end, name="signals", daemon=True).start()
    return stop


def _show(as_json: bool, data: dict[str, Any], text: str) -> None:
    click.echo(json.dumps(data) if as_json else text)


def _show_cycle(result: CycleResult, as_json: bool, compact: bool = False) -> None:
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    from keeper import status as report

    report.show_cycle(result, compact)
