"""The keeper's side runs alone: without the packages of training and deployment, and without their code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCKED = (
    *("torch", "stable_baselines3", "sb3_contrib", "gymnasium", "ray", "ape", "matplotlib", "optuna", "plotly"),
    *("pandas", "scipy"),
)
BLOCK = f"""
import sys
class Blocked:
    tried = []
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED}:
            self.tried.append(name)
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
"""
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "keeper").rglob("*.py"))
]
DECISION_SIDE = ("errors", "units", "columns", "digest", "vault", "policies", "observation")


def test_keeper__none_of_the_packages_for_training_and_deployment_is_imported() -> None:
    assert {"keeper.cli", "keeper.cycle", "keeper.inspect.report"} <= set(MODULES)
    program = f"{BLOCK}import {', '.join(MODULES)}, agent.policies.load\nsys.exit(' '.join(Blocked.tried) or None)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_keeper__imports_the_agents_decision_side_and_nothing_else_of_the_house() -> None:
    house = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"keeper"}
    allowed = tuple(f"agent.{name}" for name in DECISION_SIDE)
    for path in (ROOT / "keeper").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                assert name.partition(".")[0] not in house or name.startswith(allowed), f"{path}: {name}"
