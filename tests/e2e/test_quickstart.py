"""docs/quickstart.md from beginning to end, as its reader runs it: on a devnet, every command as it stands."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.protocols.anvil import free_port
from tests.e2e.test_demo import ROOT, wait_for

PAGE = (ROOT / "docs" / "quickstart.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SET_UP, DEVNET, *REST = BLOCKS
ROOMS = ("agent", "ape-config.yaml", "contracts", "keeper", "node_modules", "pyproject.toml", "scripts", ".build")
PASSWORD = "BULKHEAD_KEYSTORE_PASSWORD"


@pytest.fixture
def clone() -> Iterator[Path]:
    """A folder that looks like a fresh clone; not a temporary one, which Ape takes for no project."""
    folder = ROOT / "out" / "quickstart-test"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ROOMS:
        (folder / name).symlink_to(ROOT / name)
    yield folder
    shutil.rmtree(folder)


def test_quickstart__followed_to_the_end__alice_has_lent_and_left(clone: Path) -> None:
    assert "make setup" in SET_UP
    port = str(free_port())
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    bash = shutil.which("bash")
    assert bash is not None
    devnet = subprocess.Popen([*DEVNET.split(), "--port", port], cwd=clone, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for("the devnet", (clone / "out" / "devnet.json").exists, 240)
        script = "\n".join(REST).replace("8545", port)
        # What the reader does by hand: copies the address that was printed, and edits three lines of keeper.toml.
        script, copied = re.subn(r"^KEEPER=0x\.\.\..*$", "KEEPER=$(cat address)", script, flags=re.MULTILINE)
        script, printed = re.subn(r"^(keeper keystore new.*)$", r"\1 | grep -o '0x.*' > address", script, flags=re.M)
        edit = f"{sys.executable} -c '{EDIT}' {port}"
        script, edited = re.subn(r"^(keeper init.*)$", rf"\1\n{edit}", script, flags=re.MULTILINE)
        assert (copied, printed, edited) == (1, 1, 1)
        (values,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        (clone / "values.toml").write_text(values)
        assert len(tomllib.loads(values)) == 3
        done = subprocess.run(
            [bash, "-c", f"set -euo pipefail\n{script}"],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            timeout=400,
        )
        said = done.stdout
        assert done.returncode == 0, f"{said}\n{done.stderr}"
        assert not re.search(r"^status +0", said, re.MULTILINE), said
        before, after = (float(idle.replace(",", "")) for idle in re.findall(r"idle ([\d,.]+)  share price", said))
        assert before > 999_000
        assert after < 0.05 * before
    finally:
        devnet.send_signal(signal.SIGINT)
        devnet.wait(60)


EDIT = """
import re, sys
from pathlib import Path
path = Path("keeper.toml")
text = path.read_text().replace("8545", sys.argv[1])
for line in Path("values.toml").read_text().splitlines():
    key = line.partition(" ")[0]
    text = re.sub(rf"^{key} = .*", line, text, flags=re.M)
path.write_text(text)
"""
