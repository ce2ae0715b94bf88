"""The figures that Forge measures: size of the code, coverage of contracts/, fuzz tests on new seeds, and campaigns."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.units import WAD
from tools.audit import part
from tools.audit.part import BrokenReportError, Findings, Options, Say, ToolFailedError, reading, run

DEPLOYED, CODE = Path(".forge/deployed/out"), ("Vault", "Governance")
"""The vault's code is in two contracts, each with a limit of its own."""
MEASURED, ASIDE = "contracts/", "contracts/interfaces/"
CAMPAIGNS = "tests/contracts/invariants"
FUZZ_RUNS = 1024
"""Of each fuzz test: four times those of `make test`, whose seed is always the same."""
WORST_CASES = ("worst_case_stolen_key", "worst_case_lying_strategy")
"""The largest losses that the campaigns reached, as shares of their bounds; each suite writes them to files in out/."""


def size(options: Options, say: Say) -> Findings:
    """Compile the contracts as they are deployed and measure the runtime code of the vault and of its governance."""
    say("compiling")
    run(["forge", "build", "contracts", "--silent"], env={"FOUNDRY_PROFILE": "deployed"})
    sizes = {name: _size(DEPLOYED / f"{name}.sol" / f"{name}.json") for name in CODE}
    return Findings({"contract_size_bytes": max(sizes.values())}, details={"sizes": sizes})


def _size(artifact: Path) -> int:
    with reading(artifact.name):
        loaded = json.loads((part.ROOT / artifact).read_text(encoding="utf-8"))
        code = loaded["deployedBytecode"]["object"].removeprefix("0x")
    if not code:
        raise BrokenReportError(f"{artifact} holds no code. Run `make clean`, then the part again.")
    return len(code) // 2


@dataclass
class Count:
    """Lines and branches of one file: found, and hit. `missed` lists the lines that no test runs."""

    lines: int = 0
    lines_hit: int = 0
    branches: int = 0
    branches_hit: int = 0
    missed: tuple[int, ...] = ()


def coverage(options: Options, say: Say) -> Findings:
    """Measure coverage of contracts/ by unit and fuzz tests. Leaving out the invariants raises the bar.

    What is asserted of gas does not hold without the optimizer.
    """
    root = part.workspace("coverage", "contracts", "tests/contracts")
    say("compiling without the optimizer, and running the tests")
    report = root / "lcov.info"
    report.unlink(missing_ok=True)
    run(
        [
            *("forge", "coverage", "--report", "lcov", "--report-file", report.name, "-j", str(options.jobs)),
            *("--no-match-path", "tests/contracts/{invariants,gas}/*", "--no-match-test", "^test_gas"),
        ],
        cwd=root,
        env={"FOUNDRY_FUZZ_RUNS": "64"},
        timeout=1200,
    )
    sources = [file.relative_to(root).as_posix() for file in (root / MEASURED).rglob("*.sol")]
    with reading(report.name):
        text = report.read_text(encoding="utf-8")
    files = read_lcov(text, [name for name in sources if not name.startswith(ASIDE)])
    hit, lines = (sum(getattr(f, name) for f in files.values()) for name in ("lines_hit", "lines"))
    taken, branches = (sum(getattr(f, name) for f in files.values()) for name in ("branches_hit", "branches"))
    notes = [
        f"{Path(name).name}: {f.lines_hit}/{f.lines} lines, {f.branches_hit}/{f.branches} branches"
        + (f"; not run: {', '.join(map(str, f.missed))}" if f.missed else "")
        for name, f in files.items()
        if f.lines_hit < f.lines or f.branches_hit < f.branches
    ]
    return Findings({"coverage_lines": hit / lines, "coverage_branches": taken / branches if branches else 1.0}, notes)


@reading("The lcov tracefile")
def read_lcov(text: str, sources: Collection[str]) -> Mapping[str, Count]:
    """Count lines (DA) and branches (BRDA) of each measured file in a tracefile of lcov.

    Broken is a record that does not end or disagrees with its own totals, and a tracefile without one of the `sources`.
    """
    files: dict[str, Count] = {}
    name, count = "", None
    for line in text.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            name, count = rest, Count()
        elif kind == "end_of_record" and count is not None:
            if name.startswith(MEASURED) and not name.startswith(ASIDE):
                files[name] = count
            count = None
        elif count is not None and kind == "DA":
            number, hits = map(int, rest.split(",")[:2])
            count.lines += 1
            count.lines_hit += hits > 0
            count.missed += (number,) * (hits == 0)
        elif count is not None and kind == "BRDA":
            count.branches += 1
            count.branches_hit += rest.split(",")[3] not in ("-", "0")
        elif count is not None and kind in ("LF", "LH", "BRF", "BRH"):
            found = {"LF": count.lines, "LH": count.lines_hit, "BRF": count.branches, "BRH": count.branches_hit}[kind]
            if int(rest) != found:
                raise BrokenReportError(f"The lcov tracefile says {kind}:{rest} of {name}, but lists {found}.")
    if count is not None:
        raise BrokenReportError(f"The lcov tracefile is cut short: the record of {name} does not end.")
    absent = sorted(source for source in sources if not files.get(source, Count()).lines)
    if absent or not files:
        raise BrokenReportError(f"The lcov tracefile has no lines of {', '.join(absent) or MEASURED}.")
    return files


def fuzz(options: Options, say: Say) -> Findings:
    """Run the unit and fuzz tests with more runs, once for each seed: `make test` has always the same one."""
    runs, failed = 0, []
    for seed in range(options.seed, options.seed + options.seeds):
        say(f"compiling, and running the fuzz tests with seed {seed} (minutes)")
        command = ["forge", "test", "--json", "--no-match-path", f"{CAMPAIGNS}/*", "-j", str(options.jobs)]
        env = {"FOUNDRY_FUZZ_SEED": hex(seed), "FOUNDRY_FUZZ_RUNS": str(FUZZ_RUNS)}
        done = run(command, env=env, good=(0, 1), timeout=3600)
        tests = part.forge_tests(done.stdout)
        with reading("The output of `forge test`"):
            seen = [test.result["kind"]["Fuzz"]["runs"] for test in tests if "Fuzz" in test.result["kind"]]
        if not seen:
            raise ToolFailedError(f"`forge test` ran no fuzz test:\n{part.tail(done)}")
        runs += sum(seen)
        failed += [
            f"{test.name}: {test.result.get('reason') or 'failed'} (seed {seed})"
            for test in tests
            if test.status == "Failure"
        ]
    return Findings({"fuzz_runs": runs, "fuzz_failures": len(failed)}, failed, {"seeds": options.seeds})


def invariants(options: Options, say: Say) -> Findings:
    """Run the invariants with the deep profile, once for each seed: the thief of the keeper's key against the walls."""
    out = part.ROOT / "out"
    out.mkdir(exist_ok=True)
    calls, failed, names = 0, [], []
    worst: dict[str, list[int]] = {figure: [] for figure in WORST_CASES}
    for seed in range(options.seed, options.seed + options.seeds):
        for file in (file for figure in WORST_CASES for file in out.glob(f"{figure}*.json")):
            file.unlink()
        say(f"compiling and running the campaigns of seed {seed} (about a quarter of an hour)")
        tests = _campaign(options.jobs, seed)
        names = [test.name for test in tests]
        failed += [
            f"{test.name}: {test.result.get('reason') or 'failed'} (seed {seed})"
            for test in tests
            if test.status != "Success"
        ]
        with reading("The output of `forge test`"):
            kinds = [test.result["kind"] for test in tests]
            calls += sum(kind["Invariant"]["calls"] for kind in kinds if "Invariant" in kind)
        for figure in WORST_CASES:
            with reading(f"out/{figure}*.json"):
                worst[figure] += [int(json.loads(file.read_text())[figure]) for file in out.glob(f"{figure}*.json")]
    silent = [f"the invariant suite wrote no out/{figure}.json" for figure in WORST_CASES if not worst[figure]]
    shares = {figure: max(losses) / WAD if losses else None for figure, losses in worst.items()}
    figures = {"invariant_calls": calls, "invariant_violations": len(failed), **shares}
    return Findings(figures, [*failed, *silent], {"invariants": names, "seeds": options.seeds})


def _campaign(jobs: int, seed: int) -> list[part.ForgeTest]:
    """Run every invariant once, and return them all."""
    command = ["forge", "test", "--json", "--match-path", f"{CAMPAIGNS}/*", "-j", str(jobs)]
    done = run(command, env={"FOUNDRY_PROFILE": "deep", "FOUNDRY_FUZZ_SEED": hex(seed)}, good=(0, 1))
    tests = part.forge_tests(done.stdout)
    if not tests:
        raise ToolFailedError(f"`forge test` ran no invariant:\n{part.tail(done)}")
    ran = {(test.file, test.name.split(".")[1]) for test in tests}
    absent = sorted(name for _, name in part.stated(part.ROOT, CAMPAIGNS, "invariant_") - ran)
    if absent and all(test.status == "Success" for test in tests):  # a suite whose setUp fails reports nothing else
        raise BrokenReportError(f"`forge test` did not run {', '.join(absent)}.")
    return tests
