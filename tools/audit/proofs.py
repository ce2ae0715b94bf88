"""The halmos proofs: properties of the libraries and of the share conversions, for every value within stated bounds."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.audit.errors import ToolFailedError
from tools.audit.part import Findings, Options, Say
from tools.audit.tools import TAIL, VENV, run, workspace

PROVED, COUNTEREXAMPLE = 0, 1
"""Exit codes that halmos gives a property; others are time-outs and errors."""
MUST_FAIL = "refuted_"
"""Start of the name of a property that is false. Each set of assumptions has one: where halmos does not find the
counterexample, the assumptions contradict each other, or the solvers see nothing at all."""
SECONDS = 120
"""For one query."""


def proofs(options: Options, say: Say) -> Findings:
    """Prove every `check_` function of tests/proofs/, and see that every `check_refuted_` one has a counterexample.

    A property counts only when no query ran out of time, no loop was cut short, and some path reached its end. It says
    nothing of calls that revert.

    Raises
    ------
    ToolFailedError
        halmos could not read the proofs.
    """
    root = workspace("proofs", ["contracts", "tests/proofs"])
    report = root / "halmos.json"
    report.unlink(missing_ok=True)
    queries = root / "queries"  # those that ran out of time stay here
    shutil.rmtree(queries, ignore_errors=True)
    queries.mkdir()
    say("compiling and proving")
    done = run(
        [
            *(str(VENV / "bin/halmos"), "--forge-build-out", ".forge/out", "--json-output", report.name, "--no-status"),
            *("--solver-timeout-assertion", f"{SECONDS}s", "--solver-threads", str(options.jobs)),
            *("--solver-command", f"{VENV / 'bin/python'} {Path(__file__).with_name('solver.py')}"),
        ],
        cwd=root,
        env={"FOUNDRY_TEST": "tests/proofs", "TMPDIR": str(queries)},
        good=(0, 1),
        timeout=1800,
    )
    if not report.exists():
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL:])
        raise ToolFailedError(f"halmos gave no result:\n{said}")
    proved: list[str] = []
    notes: list[str] = []
    for name, result in _results(json.loads(report.read_text(encoding="utf-8"))):
        good = result["exitcode"] == PROVED and not result.get("num_bounded_loops")
        false = name.split(".")[-1].startswith(f"check_{MUST_FAIL}")
        if false and result["exitcode"] != COUNTEREXAMPLE:
            notes.append(f"no counterexample, though it is false: {name}; proofs with its assumptions mean nothing")
        elif not false and good:
            proved.append(name)
        elif not false:
            notes.append(f"not proved: {name}")
    return Findings({"halmos_proved": len(proved), "halmos_not_proved": len(notes)}, notes, {"proved": proved})


def _results(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for suite, results in report["test_results"].items():
        for result in results:
            yield f"{suite.split(':')[-1]}.{result['name'].split('(')[0]}", result
