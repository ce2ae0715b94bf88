"""`make lock`: resolves `pyproject.toml` with all extras into `requirements.lock`, keeping what is locked where it can.

Nothing is installed. Give `--upgrade` to resolve afresh. The lock holds versions only, no addresses, so that it works
with every index.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEAD = """\
# The one resolve that is installed and tested (`make lock` writes it). Python 3.11.
# torch: where a CPU build is offered pip takes it; PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu offers one.
"""


@click.command()
@click.option("--upgrade", is_flag=True, help="Take the newest versions that fit together, not the locked ones.")
def cli(upgrade: bool) -> None:
    """Resolve all extras and write requirements.lock."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        kept = [] if upgrade else ["-c", str(LOCK)]
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        options = ["--no-build-isolation", "--report", str(report), *kept, "-e", ".[train,deploy,feeds,postgres,dev]"]
        done = subprocess.run([*command, *options], cwd=ROOT, check=False)
        if done.returncode:
            raise click.ClickException("pip found no set of versions that fits; the message above names the conflict.")
        packages = [entry["metadata"] for entry in json.loads(report.read_text())["install"]]
    pins = [f"{each['name']}=={each['version'].split('+')[0]}" for each in packages if each["name"] != "bulkhead"]
    LOCK.write_text(HEAD + "\n".join(sorted(pins, key=str.lower)) + "\n", encoding="utf-8")
    click.echo(f"{len(pins)} packages in {LOCK.name}; run make setup and make test.")


if __name__ == "__main__":
    cli()
