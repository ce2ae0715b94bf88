"""The wheel as a user installs it: alone in an empty virtual environment, without clone, torch or Ape."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.protocols.anvil import Anvil, connect
from tests.keeper.harness import KEEPER, World, deploy_world

ROOT = Path(__file__).resolve().parents[2]
MAX_MEGABYTES = 300
HEAVY = {"torch", "stable_baselines3", "sb3_contrib", "ray", "ape", "matplotlib", "optuna", "pandas"}


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel and what it depends on, and an empty folder to work in."""

    root: Path
    folder: Path

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command of the environment in the empty folder, which ends with `code`; its output, errors last."""
        environment = {"PATH": f"{self.root / 'bin'}:/usr/bin:/bin", "HOME": str(self.folder)}
        command = [str(self.root / "bin" / words[0]), *words[1:]]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: setuptools leaves a build folder, whose old files get into the next wheel
    for package in ("agent", "keeper"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source / file)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True, cwd=folder)
    (wheel,) = folder.glob("bulkhead-*.whl")
    venv.create(folder / "venv", with_pip=True)
    install = [str(folder / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([*install, "-c", str(ROOT / "requirements.lock"), str(wheel)], check=True, env=clean)
    (folder / "empty").mkdir()
    return Installed(folder / "venv", folder / "empty")


@pytest.fixture(scope="session")
def world(anvil: Anvil) -> World:
    return deploy_world(connect(anvil.url), anvil.url)


def test_install__base__is_small_and_without_the_extras(installed: Installed) -> None:
    names = {
        each["name"].lower().replace("-", "_") for each in json.loads(installed("pip", "list", "--format", "json"))
    }
    assert not names & (HEAVY | {"eth_ape"})
    site = installed.root / "lib/python3.11/site-packages"
    megabytes = sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) / 1e6
    assert megabytes < MAX_MEGABYTES


def test_help__every_command__in_plain_words(installed: Installed) -> None:
    for command in ("once", "run", "status", "inspect", "init", "keystore"):
        assert "Usage: keeper" in installed("keeper", command, "--help")
    for command in ("train", "evaluate", "walk-forward", "promote", "export", "report", "sweep", "data"):
        assert "Usage: agent" in installed("agent", command, "--help")


def test_evaluate__greedy__without_any_extra(installed: Installed) -> None:
    told = json.loads(installed("agent", "evaluate", "greedy", "--paths", "2", "--days", "20", "--json"))
    assert "greedy" in json.dumps(told)


def test_train__without_its_extra__says_how_to_get_it(installed: Installed) -> None:
    done = installed("agent", "train", "--preset", "quick", "--out", "policy.npz", "--json", code=1)
    assert "bulkhead[train]" in done


def test_inspect__a_vault_on_a_node__without_clone(installed: Installed, world: World) -> None:
    seen = json.loads(installed("keeper", "inspect", world.vault.address, "--rpc", world.url, "--json"))
    assert seen["keeper"]["address"] == KEEPER.address
    assert "stays idle" in installed("keeper", "inspect", world.vault.address, "--rpc", world.url)


def test_inspect__no_vault_there__one_line_and_exit_78(installed: Installed, world: World) -> None:
    told = installed("keeper", "inspect", KEEPER.address, "--rpc", world.url, "--json", code=78)
    assert "There is no contract" in told
