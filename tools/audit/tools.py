"""The tools of the audit: their own venv, scratch copies of the project, and running them."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.audit.errors import ToolFailedError, ToolTimeoutError

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-audit"
LOCK = ROOT / "tools/audit/requirements.lock"
SCRATCH = ROOT / ".build/audit"
TAIL = 25
"""Lines of a failed tool's output that are shown."""


def install(say: Callable[[str], None]) -> None:
    """Install the audit tools from their lock into a venv of their own, unless that is done already.

    Raises
    ------
    ToolFailedError
        pip failed.
    """
    stamp = VENV / ".ready"
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    say("installing the audit tools (a minute)")
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(VENV)])
    pip = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(LOCK)]
    run(pip)
    stamp.write_text(digest, encoding="utf-8")


def workspace(name: str, folders: Sequence[str]) -> Path:
    """Make a fresh scratch copy of the project with the named files and folders, and return its root.

    What was compiled in it before is kept, so that a second run is quicker.
    """
    root = SCRATCH / name
    root.mkdir(parents=True, exist_ok=True)
    for folder in ("foundry.toml", "scripts/solc.js", *folders):
        source, copy = ROOT / folder, root / folder
        if source.is_dir():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".cache", "__pycache__"))
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    packages = root / "node_modules"
    if not packages.is_symlink():
        packages.symlink_to((ROOT / "node_modules").resolve())
    return root


def run(
    command: Sequence[str],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    good: Sequence[int] = (0,),
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said.

    Raises
    ------
    ToolFailedError
        It is missing, or ended with an exit code that is not among the `good` ones.
    ToolTimeoutError
        It ran past `timeout` seconds.
    """
    name = " ".join(Path(part).name for part in command[:2])
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "PATH": path, "NO_COLOR": "1", **(env or {})},
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
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL:])
        raise ToolFailedError(f"`{name}` ended with {done.returncode}:\n{said}")
    return done
