"""The analysers that have a venv of their own: slither over contracts/, and halmos over tests/proofs/."""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from tools.audit import part
from tools.audit.part import BrokenReportError, Findings, Options, Say, ToolFailedError, load_reasons, reading, run

VENV = part.ROOT / ".venv-audit"
LOCK = Path(__file__).with_name("requirements.lock")
REVIEWED = Path(__file__).with_name("slither_reviewed.toml")
MINOR = ("Low", "Informational", "Optimization")

PROVED, COUNTEREXAMPLE = 0, 1
"""Exit codes that halmos gives a property; others are time-outs and errors."""
MUST_FAIL = "refuted_"
"""Start of the name of a property that is false. Each set of assumptions has one: where halmos does not find the
counterexample, the assumptions contradict each other, or the solvers see nothing at all."""
SECONDS = 120
"""For one query."""


def install(say: Say) -> None:
    """Install the analysers from their lock, unless that is done already."""
    stamp, digest = VENV / ".ready", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    say("installing the audit tools (a minute)")
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(VENV)])
    run([str(VENV / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(LOCK)])
    stamp.write_text(digest, encoding="utf-8")


def slither(options: Options, say: Say) -> Findings:
    """Run slither: a finding of high or medium impact must be mended, or answered in the reviewed list."""
    answers = load_reasons(REVIEWED, "finding", "check", "place")
    install(say)
    root = part.workspace("slither", "contracts", "slither.config.json")
    report = root / "slither.json"
    report.unlink(missing_ok=True)
    say("compiling and analysing")
    run([str(VENV / "bin/slither"), ".", "--json", report.name, "--fail-none"], cwd=root, timeout=600)
    with reading(report.name):
        return read_slither(json.loads(report.read_text(encoding="utf-8")), answers)


def read_slither(report: Mapping[str, Any], answers: Mapping[tuple[str, ...], str]) -> Findings:
    """Compare slither's report with the answers, which are reasons by check and place."""
    if report["success"] is not True:
        raise BrokenReportError(f"Slither did not finish: {report['error']}")
    # Without findings, slither leaves the list out.
    found = report["results"].get("detectors", [])
    serious = {(item["check"], _place(item)): item["impact"].lower() for item in found if item["impact"] not in MINOR}
    unanswered = [f"{impact}: {check} at {at}" for (check, at), impact in serious.items() if (check, at) not in answers]
    stale = [f"answered, but no longer found: {check} at {at}" for check, at in answers if (check, at) not in serious]
    return Findings({"slither_findings": len(serious), "slither_unanswered": len(unanswered)}, [*unanswered, *stale])


def _place(finding: Mapping[str, Any]) -> str:
    """Return the place of a finding in the contract's own names, which outlive moved lines: `Vault._move.withdrawn`."""
    first = finding["description"].split("\n")[0].split(" (")[0]
    return re.sub(r"\([^()]*\)", "", first)


def proofs(options: Options, say: Say) -> Findings:
    """Prove every `check_` function of tests/proofs/, and see that every `check_refuted_` one has a counterexample."""
    install(say)
    root = part.workspace("proofs", "contracts", "tests/proofs")
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
        raise ToolFailedError(f"halmos gave no result:\n{part.tail(done)}")
    with reading(report.name):
        return read_halmos(json.loads(report.read_text(encoding="utf-8")), part.stated(root, "tests/proofs", "check_"))


def read_halmos(report: Mapping[str, Any], stated: Set[tuple[str, str]]) -> Findings:
    """Count the properties that halmos proved, of those that are `stated` by file and name.

    A property counts only when no query ran out of time, no loop was cut short, and some path reached its end. It says
    nothing of calls that revert. A property that halmos left out is not proved.
    """
    results = {
        (suite.split(":")[0], result["name"].split("(")[0]): result
        for suite, results in report["test_results"].items()
        for result in results
    }
    proved: list[str] = []
    notes: list[str] = []
    for file, function in sorted(stated | results.keys()):
        name, result = f"{Path(file).name.split('.')[0]}.{function}", results.get((file, function))
        if result is None:
            notes.append(f"not proved: {name}, which halmos did not try")
        elif function.startswith(f"check_{MUST_FAIL}"):
            if result["exitcode"] != COUNTEREXAMPLE or not any(model["is_valid"] for model in result["models"]):
                notes.append(f"no counterexample, though it is false: {name}; proofs with its assumptions mean nothing")
        elif result["exitcode"] == PROVED and result["num_bounded_loops"] == 0:
            proved.append(name)
        else:
            notes.append(f"not proved: {name}")
    return Findings({"halmos_proved": len(proved), "halmos_not_proved": len(notes)}, notes, {"proved": proved})
