"""The deep invariant campaign: the thief of the keeper's key against the walls."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.audit.errors import ToolFailedError
from tools.audit.part import Findings, Options, Say
from tools.audit.tools import ROOT, TAIL, run

CAMPAIGN = "tests/contracts/invariants/*"
WORST_CASE = "worst_case_stolen_key"
"""The largest loss that the suite reached, as a share of the bound it was given; the suites write it under out/."""
WAD = 10**18


def invariants(options: Options, say: Say) -> Findings:
    """Run the invariants with the deep profile.

    Raises
    ------
    ToolFailedError
        The suite does not compile, or runs no invariant.
    """
    out = ROOT / "out"
    out.mkdir(exist_ok=True)
    for file in _worst_case_files(out):
        file.unlink()
    say("compiling and running the campaigns (about ten minutes)")
    command = ["forge", "test", "--json", "--match-path", CAMPAIGN, "-j", str(options.jobs)]
    done = run(command, env={"FOUNDRY_PROFILE": "deep", "FOUNDRY_FUZZ_SEED": hex(options.seed)}, good=(0, 1))
    tests = list(_tests(done.stdout))
    if not tests:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL:])
        raise ToolFailedError(f"`forge test` ran no invariant:\n{said}")
    failed = [(name, test) for name, test in tests if test["status"] != "Success"]
    worst = _worst_case(out)
    notes = [f"{name}: {test.get('reason') or 'failed'}" for name, test in failed]
    if worst is None:
        notes.append(f"the invariant suite wrote no out/{WORST_CASE}.json")
    figures = {
        "invariant_calls": sum(test["kind"]["Invariant"]["calls"] for _, test in tests),
        "invariant_violations": len(failed),
        WORST_CASE: worst,
    }
    return Findings(figures, notes, {"invariants": [name for name, _ in tests]})


def _tests(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and result of each invariant in the output of `forge test --json`."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    for suite, result in json.loads(lines[-1] if lines else "{}").items():
        for name, test in result["test_results"].items():
            if "Invariant" in test["kind"] or test["status"] != "Success":
                test["kind"].setdefault("Invariant", {"calls": 0})
                yield f"{suite.split(':')[-1]}.{name}", test


def _worst_case_files(out: Path) -> list[Path]:
    return sorted(out.glob(f"{WORST_CASE}*.json"))


def _worst_case(out: Path) -> float | None:
    """Return the worst of what the suites wrote; each runs in its own process and may have a file of its own."""
    found = [json.loads(file.read_text(encoding="utf-8"))[WORST_CASE] for file in _worst_case_files(out)]
    return max((int(worst) / WAD for worst in found), default=None)
