"""Line and branch coverage of contracts/ by the Forge tests, interfaces aside."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.audit.errors import ToolFailedError
from tools.audit.part import Findings, Options, Say
from tools.audit.tools import run, workspace

MEASURED, ASIDE = "contracts/", "contracts/interfaces/"


@dataclass
class Count:
    """Lines and branches of one file: found, and hit. `missed` lists the lines that are not."""

    lines: int = 0
    lines_hit: int = 0
    branches: int = 0
    branches_hit: int = 0
    missed: tuple[int, ...] = ()


def coverage(options: Options, say: Say) -> Findings:
    """Measure coverage by unit and fuzz tests; the invariants are left out, which make the bar higher, not lower.

    Raises
    ------
    ToolFailedError
        The tests do not compile or do not pass: coverage of failing tests means nothing.
    """
    root = workspace("coverage", ["contracts", "tests/contracts"])
    say("compiling without the optimizer, and running the tests")
    report = root / "lcov.info"
    run(
        [
            *("forge", "coverage", "--report", "lcov", "--report-file", report.name, "-j", str(options.jobs)),
            *("--no-match-path", "tests/contracts/{invariants,gas}/*"),
        ],
        cwd=root,
        env={"FOUNDRY_FUZZ_RUNS": "64"},
        timeout=1200,
    )
    files = read_lcov(report.read_text(encoding="utf-8"))
    if not files:
        raise ToolFailedError("`forge coverage` reported no file of contracts/.")
    total = Count(
        sum(f.lines for f in files.values()),
        sum(f.lines_hit for f in files.values()),
        sum(f.branches for f in files.values()),
        sum(f.branches_hit for f in files.values()),
    )
    figures = {
        "coverage_lines": total.lines_hit / total.lines,
        "coverage_branches": total.branches_hit / total.branches if total.branches else 1.0,
    }
    notes = [
        f"{Path(name).name}: {f.lines_hit}/{f.lines} lines, {f.branches_hit}/{f.branches} branches"
        + (f"; not run: {', '.join(map(str, f.missed))}" if f.missed else "")
        for name, f in files.items()
        if f.lines_hit < f.lines or f.branches_hit < f.branches
    ]
    return Findings(figures, notes)


def read_lcov(text: str) -> Mapping[str, Count]:
    """Count lines (DA) and branches (BRDA) of each measured file in a tracefile of lcov."""
    files: dict[str, Count] = {}
    current: Count | None = None
    for line in text.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            measured = rest.startswith(MEASURED) and not rest.startswith(ASIDE)
            current = files.setdefault(rest, Count()) if measured else None
        elif current is not None and kind == "DA":
            number, hits = rest.split(",")[:2]
            current.lines += 1
            current.lines_hit += int(hits) > 0
            if int(hits) == 0:
                current.missed = (*current.missed, int(number))
        elif current is not None and kind == "BRDA":
            hits = rest.split(",")[3]
            current.branches += 1
            current.branches_hit += hits not in ("-", "0")
    return files
