"""Every example runs, and says what its reader is told it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.backtest import Setting, run
from agent.market.replay import load_history
from agent.policies.rules import BASELINES
from agent.vault.limits import Limits

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def _run(*command: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "MPLBACKEND": "Agg"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _code(notebook: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


def test_examples__are_all_there() -> None:
    assert [path.name for path in (*SCRIPTS, *NOTEBOOKS)] == ["my_policy.py", "my_rule.py", "backtest.ipynb"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script__from_anywhere__compares_itself_with_every_baseline(script: Path, tmp_path: Path) -> None:
    said = _run(sys.executable, str(script), folder=tmp_path)
    rows = re.findall(r"^(\S+) +(-?[\d.]+)% a year, +([\d.]+) rebalances$", said, flags=re.MULTILINE)
    first, *others = (name for name, _, _ in rows)
    assert first not in BASELINES
    assert others == list(BASELINES)
    assert all(float(growth) > 0 for _, growth, _ in rows)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("folder", [EXAMPLES, EXAMPLES.parent], ids=["examples", "root"])
def test_notebook__run_by_ipython__prints_what_the_backtest_returns(notebook: Path, folder: Path) -> None:
    """IPython runs the cells as Jupyter's kernel does; a browser is not needed for that."""
    cells = ["".join(cell["source"]) for cell in _code(notebook)]
    runner = "import json, sys; from IPython.core.interactiveshell import InteractiveShell as S; s = S();\n"
    runner += "for cell in json.loads(sys.argv[1]): s.run_cell(cell).raise_error()"
    said = _run(sys.executable, "-c", runner, json.dumps(cells), folder=folder)
    history = load_history(EXAMPLES / "history.csv")
    found = dict(re.findall(r"^(\S+) +(-?[\d.]+%) a year", said, flags=re.MULTILINE))
    assert found.keys() == BASELINES.keys()
    hold = run(BASELINES["hold"](), history, Setting(Limits.uniform(3), nav=10_000_000)).annual_return[0]
    assert float(found["hold"].rstrip("%")) == pytest.approx(100 * hold, abs=0.02)  # a leg costs 1 bp in the notebook


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook__in_git__has_no_outputs(notebook: Path) -> None:
    for cell in _code(notebook):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_history__is_long_enough_to_fit_a_market_to() -> None:
    history = load_history(EXAMPLES / "history.csv")
    assert len(history) == 400
    assert np.isfinite(history.rates).all()
