"""The common ground of the audit's parts: options, findings, errors, and how programs and reports are handled."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / ".build/audit"
TAIL = 25
"""Lines of a failed tool's output that are shown."""

Figure = float | int | None
Say = Callable[[str], None]
"""Shows a line of progress."""


class AuditError(Exception):
    """Base of everything that keeps a part from giving its figures. A missed target is none: it is the exit code."""


class ToolFailedError(AuditError):
    """A tool ended without a result; the message holds the last lines of its output."""


class ToolTimeoutError(ToolFailedError):
    """A tool was not done in time."""


class BrokenReportError(AuditError):
    """A tool's report is missing, cut short, of an unknown form, or leaves out something that it must cover."""


class ReviewError(AuditError):
    """A list of reviewed findings or survivors cannot be read, or gives no reason."""


@dataclass(frozen=True)
class Options:
    """Choices of the command line.

    Attributes
    ----------
    jobs
        Processes that work at once.
    mutants
        Size of the sample; None: all.
    seed
        Of the sample, and of the first run of fuzz tests and campaigns.
    seeds
        Times that fuzz tests and campaigns are run, each with the next seed.
    """

    jobs: int = 2
    mutants: int | None = 140
    seed: int = 1
    seeds: int = 1


@dataclass(frozen=True)
class Findings:
    """Result of a part.

    Attributes
    ----------
    figures
        By their names in `out/audit.json`. None where a figure could not be had: its target is missed.
    notes
        Lines for the reader: findings, counterexamples, survivors.
    details
        Further entries for `out/audit.json`.
    """

    figures: Mapping[str, Figure]
    notes: Sequence[str] = ()
    details: Mapping[str, object] = field(default_factory=dict)


def workspace(name: str, *folders: str) -> Path:
    """Make a fresh scratch copy of the project with the named files and folders, and return its root.

    The compiler's output of an earlier run is kept, so that a second run is quicker.
    """
    root = SCRATCH / name
    for folder in ("foundry.toml", "scripts/solc.js", *folders):
        source, copy = ROOT / folder, root / folder
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".cache", "__pycache__"))
        else:
            shutil.copy2(source, copy)
    if not (root / "node_modules").is_symlink():
        (root / "node_modules").symlink_to((ROOT / "node_modules").resolve())
    return root


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    good: Sequence[int] = (0,),
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, in the project's root where no `cwd` is given, and return its output.

    Raises
    ------
    ToolFailedError
        The program is missing, or ended with an exit code that is not among the `good` ones.
    ToolTimeoutError
        It ran past `timeout` seconds.
    """
    name = " ".join(Path(part).name for part in command[:2])
    settings = {**os.environ, "NO_COLOR": "1", **(env or {})}
    try:
        done = subprocess.run(
            command,
            cwd=cwd or ROOT,
            env=settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise ToolFailedError(f"{command[0]} is missing. Run `make setup`, then `make audit` again.") from error
    except subprocess.TimeoutExpired as error:
        raise ToolTimeoutError(f"`{name}` was not done after {timeout:.0f} s.") from error
    if done.returncode not in good:
        raise ToolFailedError(f"`{name}` ended with {done.returncode}:\n{tail(done)}")
    return done


def tail(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last lines of a program's output."""
    return "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL:])


@contextmanager
def reading(report: str) -> Iterator[None]:
    """Turn any slip in reading a tool's report into a `BrokenReportError`; also a decorator."""
    try:
        yield
    except (OSError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise BrokenReportError(
            f"{report} is missing, cut short or of an unknown form ({error!r}). Run it again; if that does not help, "
            "compare the tool's version with the one in the lock."
        ) from error


@dataclass(frozen=True)
class ForgeTest:
    """A test that Forge ran: `name` is `Suite.function`, and `result` the whole of what Forge says."""

    file: str
    name: str
    status: str
    result: Mapping[str, Any]


@reading("The output of `forge test`")
def forge_tests(output: str) -> list[ForgeTest]:
    """Return the tests in the output of `forge test --json`; none where it found none."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    return [
        ForgeTest(suite.split(":")[0], f"{suite.split(':')[1]}.{name.split('(')[0]}", result["status"], result)
        for suite, results in json.loads(lines[-1] if lines else "{}").items()
        for name, result in results["test_results"].items()
    ]


def stated(root: Path, folder: str, prefix: str) -> set[tuple[str, str]]:
    """Return file and name of each Solidity function under a folder that starts with the prefix."""
    return {
        (file.relative_to(root).as_posix(), name)
        for file in (root / folder).rglob("*.sol")
        for name in re.findall(rf"^\s*function ({prefix}\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }


def load_reasons(path: Path, table: str, *keys: str) -> dict[tuple[str, ...], str]:
    """Read a reviewed list: the reason of each `[[table]]` entry, by the values of its `keys`.

    Raises
    ------
    ReviewError
        The file cannot be read, or an entry lacks a key or its reason.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get(table, [])
        reasons = {tuple(entry[key] for key in keys): entry["reason"].strip() for entry in entries}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReviewError(f"{path.name}: every [[{table}]] needs {', '.join(keys)} and reason ({error!r}).") from error
    if not all(reasons.values()):
        raise ReviewError(f"{path.name}: every [[{table}]] needs a reason; an empty one answers nothing.")
    return reasons
