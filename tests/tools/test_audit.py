"""The audit: a planted fault misses its target, and a broken report is refused.

`recorded/` holds the reports of Slither, halmos and Forge on small contracts with known faults. A stub stands for the
tool and leaves them where the tool would. Mutation runs on the real Forge.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tools.audit import analysis, forge, mutants, mutation, part, solver
from tools.audit.__main__ import PARTS, Outcome, Part, Target, cli
from tools.audit.part import AuditError, BrokenReportError, Findings, Options, ReviewError, ToolFailedError

RECORDED = Path(__file__).with_name("recorded")
HEAD = "// SPDX-License-Identifier: MIT\npragma solidity 0.8.30;\n\n"
CONTRACT = """contract Tiny {
    function within(uint256 amount, uint256 most) external pure returns (bool) {
        return amount <= most;
    }
}
"""
# Nobody asks for the amount that is the most.
TEST = """import {Tiny} from "../../contracts/Tiny.sol";

contract TinyTest {
    function test_within() public {
        assert(new Tiny().within(1, 2));
        assert(!new Tiny().within(3, 2));
    }
}
"""
SURVIVOR = "Tiny.sol within: return amount <= most; => return amount < most;"
Tool = Callable[[Path, Sequence[str]], str | None]
Ended = tuple[int, dict[str, Any]]
"""Exit code and JSON of a run."""
Audit = Callable[..., Ended]


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one contract, which takes the place of the real one."""
    root = tmp_path / "project"
    files = {
        "contracts/Tiny.sol": CONTRACT,
        "contracts/interfaces/ITiny.sol": "interface ITiny {}\n",
        "tests/contracts/TinyTest.t.sol": TEST,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(HEAD + text, encoding="utf-8")
    (root / "scripts").mkdir()
    for name in ("foundry.toml", "scripts/solc.js", "slither.config.json"):
        shutil.copy2(part.ROOT / name, root / name)
    (root / "node_modules").symlink_to(part.ROOT / "node_modules")
    monkeypatch.setattr(part, "ROOT", root)
    monkeypatch.setattr(part, "SCRATCH", tmp_path / "scratch")
    return root


@pytest.fixture
def audit(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Audit:
    """Run the command on one part; with a tool, that takes the place of the real one."""

    def run(name: str, tool: Tool | None = None, *arguments: str) -> Ended:
        def stub(command: Sequence[str], *, cwd: Path = project, **_: object) -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess(command, 0, (tool and tool(cwd, command)) or "", "")

        if tool is not None:
            for module in (analysis, forge, mutation):
                monkeypatch.setattr(module, "run", stub)
        monkeypatch.setattr(analysis, "install", lambda say: None)
        out = tmp_path / "out/audit.json"
        ended = CliRunner(mix_stderr=False).invoke(
            cli, ["--only", name, "--jobs", "1", "--json", "--out", str(out), *arguments]
        )
        assert ended.exit_code in (0, 1), ended.output
        assert ended.stdout == out.read_text(encoding="utf-8")
        return ended.exit_code, json.loads(ended.stdout)

    return run


# --- Command and targets ---


def test_targets__each_just_met_and_just_missed() -> None:
    for target in (target for entry in PARTS.values() for target in entry.targets):
        beyond = target.bound + (-1e-9 if target.side == "at least" else 1e-9)
        assert target.met(target.bound), target
        assert not target.met(beyond), target
        assert not target.met(None), target
        assert not target.met(float("nan")), target
        assert target.side in ("at least", "at most")


@pytest.mark.parametrize(("value", "code"), [(10.0, 0), (9.9, 1), (None, 1)])
def test_cli__figure_on_either_side_of_its_target__exit_code(
    value: float | None, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub = Part(
        lambda options, say: Findings({"good": value}, ["look here"], {"more": 1}),
        [Target("good", "g", "at least", 10)],
    )
    monkeypatch.setitem(PARTS, "size", stub)
    out = tmp_path / "audit.json"
    ended = CliRunner(mix_stderr=False).invoke(cli, ["--only", "size", "--out", str(out)])
    assert ended.exit_code == code
    assert "look here" in ended.stdout
    assert ("MISSED" in ended.stdout) == bool(code)
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["good"] == value
    assert (written["passed"], written["missed"]) == (not code, ["good"] * code)
    assert written["parts"]["size"]["notes"] == ["look here"]
    assert written["parts"]["size"]["more"] == 1


def test_cli__a_part_that_fails__misses_its_targets_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(options: Options, say: part.Say) -> Findings:
        raise ToolFailedError("no such compiler")

    monkeypatch.setitem(PARTS, "size", Part(broken, PARTS["size"].targets))
    fine = Part(lambda options, say: Findings({"slither_unanswered": options.seed}), PARTS["slither"].targets)
    monkeypatch.setitem(PARTS, "slither", fine)
    out = tmp_path / "audit.json"
    arguments = ["--only", "slither", "--only", "size", "--seed", "0", "--out", str(out)]
    ended = CliRunner(mix_stderr=False).invoke(cli, arguments)
    assert ended.exit_code == 1
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["missed"] == ["contract_size_bytes"]
    assert written["contract_size_bytes"] is None
    assert written["slither_unanswered"] == 0
    assert "no such compiler" in written["parts"]["size"]["error"]
    assert "no such compiler" in ended.stdout


def test_cli__options__reach_the_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []

    def measure(options: Options, say: part.Say) -> Findings:
        seen.append(options)
        return Findings({})

    monkeypatch.setitem(PARTS, "mutation", Part(measure, ()))
    base = ["--only", "mutation", "--out", str(tmp_path / "audit.json")]
    CliRunner(mix_stderr=False).invoke(cli, [*base, "--all", "--jobs", "3"])
    CliRunner(mix_stderr=False).invoke(cli, [*base, "--mutants", "7", "--seed", "5", "--seeds", "3", "--jobs", "3"])
    assert seen == [Options(3, None, 1, 1), Options(3, 7, 5, 3)]


def test_run__missing_failing_or_endless_program__named_errors(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match="no-such-tool is missing"):
        part.run(["no-such-tool"], cwd=tmp_path)
    with pytest.raises(ToolFailedError, match=r"(?s)ended with 3.*it broke"):
        part.run(["sh", "-c", "echo it broke; exit 3"], cwd=tmp_path)
    assert part.run(["sh", "-c", "exit 3"], cwd=tmp_path, good=(3,)).returncode == 3
    with pytest.raises(part.ToolTimeoutError, match="not done after 0 s"):
        part.run(["sleep", "5"], cwd=tmp_path, timeout=0.05)


@pytest.mark.parametrize(
    ("name", "report"), [("coverage", "lcov.info"), ("slither", "slither.json"), ("proofs", "halmos.json")]
)
def test_report__of_an_earlier_run__does_not_count(name: str, report: str, audit: Audit, project: Path) -> None:
    (project / "tests/proofs").mkdir()
    (part.SCRATCH / name).mkdir(parents=True)
    (part.SCRATCH / name / report).write_text(recorded(report), encoding="utf-8")
    ended, figures = audit(name, lambda *_: None)
    assert ended == 1
    assert figures["parts"][name]["error"]


# --- Size ---


def built(root: Path, name: str, text: str) -> None:
    """Write a contract's artifact as Forge does."""
    artifact = root / forge.DEPLOYED / f"{name}.sol" / f"{name}.json"
    artifact.parent.mkdir(parents=True, exist_ok=True)
    artifact.write_text(text, encoding="utf-8")


def code(size: int) -> str:
    return json.dumps({"deployedBytecode": {"object": "0x" + "00" * size}})


@pytest.mark.parametrize("larger", forge.CODE)
@pytest.mark.parametrize(("size", "ended"), [(24_576, 0), (24_577, 1)])
def test_size__either_contract_at_and_over_the_limit(size: int, ended: int, larger: str, audit: Audit) -> None:
    def build(root: Path, _: object) -> None:
        for name in forge.CODE:
            built(root, name, code(size if name == larger else 1_000))

    exit_code, figures = audit("size", build)
    assert (exit_code, figures["contract_size_bytes"]) == (ended, size)
    assert figures["parts"]["size"]["sizes"][larger] == size


@pytest.mark.parametrize("name", forge.CODE)
@pytest.mark.parametrize("text", ['{"deployedBytecode": {"object": "0x"}}', "{}", '{"deployed', None])
def test_size__artifact_without_code__refused(text: str | None, name: str, project: Path, audit: Audit) -> None:
    for other in forge.CODE:
        if other != name:
            built(project, other, code(1_000))
        elif text is not None:
            built(project, name, text)
    ended, figures = audit("size", lambda *_: None)
    assert (ended, figures["contract_size_bytes"]) == (1, None)
    assert f"{name}.json" in figures["parts"]["size"]["error"]


# --- Slither ---

ANSWERS = """
[[finding]]
check = "reentrancy-eth"
place = "Reentrancy in Planted.pay"
reason = "Planted."

[[finding]]
check = "suicidal"
place = "Planted.destroy"
reason = "Planted."
"""
STALE = '\n[[finding]]\ncheck = "suicidal"\nplace = "Planted.gone"\nreason = "It was there once."\n'


def slither_says(text: str) -> Tool:
    def tool(root: Path, command: Sequence[str]) -> None:
        (root / command[command.index("--json") + 1]).write_text(text, encoding="utf-8")

    return tool


@pytest.mark.parametrize(
    ("answers", "code", "unanswered", "notes"),
    [
        ("", 1, 2, ["high: reentrancy-eth at Reentrancy in Planted.pay", "high: suicidal at Planted.destroy"]),
        (ANSWERS.split("\n\n")[0], 1, 1, ["high: suicidal at Planted.destroy"]),
        (ANSWERS, 0, 0, []),
        (
            ANSWERS.split("\n\n")[0] + STALE,
            1,
            1,
            ["high: suicidal at Planted.destroy", "answered, but no longer found: suicidal at Planted.gone"],
        ),
        (ANSWERS + STALE, 0, 0, ["answered, but no longer found: suicidal at Planted.gone"]),
    ],
    ids=["unanswered", "half", "answered", "elsewhere", "stale"],
)
def test_slither__planted_findings(
    answers: str,
    code: int,
    unanswered: int,
    notes: list[str],
    audit: Audit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(analysis, "REVIEWED", tmp_path / "reviewed.toml")
    analysis.REVIEWED.write_text(answers, encoding="utf-8")
    ended, figures = audit("slither", slither_says(recorded("slither.json")))
    assert (ended, figures["slither_findings"], figures["slither_unanswered"]) == (code, 2, unanswered)
    assert figures["parts"]["slither"]["notes"] == notes


@pytest.mark.parametrize(
    ("impact", "counts"),
    [("Medium", 1), ("Critical", 1), ("Low", 0), ("Informational", 0), ("Optimization", 0)],
)
def test_slither__only_known_minor_impacts_are_passed_over(impact: str, counts: int) -> None:
    report = json.loads(recorded("slither.json"))
    report["results"]["detectors"] = [{**report["results"]["detectors"][0], "impact": impact}]
    assert analysis.read_slither(report, {}).figures["slither_unanswered"] == counts


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"success": false, "error": "Compilation failed", "results": {}}', "Compilation failed"),
        (recorded("slither.json")[:200], "slither.json"),
        ("{}", "slither.json"),
        ("", "slither.json"),
    ],
    ids=["failed", "truncated", "no results", "empty"],
)
def test_slither__broken_report__refused(text: str, error: str, audit: Audit) -> None:
    ended, figures = audit("slither", slither_says(text))
    assert (ended, figures["slither_unanswered"]) == (1, None)
    assert error in figures["parts"]["slither"]["error"]


@pytest.mark.parametrize(
    "text",
    [
        '[[finding]]\ncheck = "a"\nplace = "b"\nreason = " "',
        '[[finding]]\ncheck = "a"\nreason = "c"',
        "[[finding",
        "finding = 3",
    ],
    ids=["no reason", "no place", "not TOML", "no list"],
)
def test_load_reasons__malformed__refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "reviewed.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReviewError, match=r"reviewed\.toml"):
        part.load_reasons(path, "finding", "check", "place")


def test_reviewed_lists__the_committed_ones__every_entry_with_a_reason() -> None:
    assert part.load_reasons(analysis.REVIEWED, "finding", "check", "place")
    assert part.load_reasons(mutation.EXPLAINED, "survivor", "mutant")


# --- Proofs ---

PROPERTIES = ("bounded", "everythingReverts", "fails", "holds", "refuted_holds", "refuted_isRefuted", "takesTooLong")


def halmos_says(functions: Sequence[str], report: str | None) -> Tool:
    """halmos on a project whose proofs state these functions."""

    def tool(root: Path, command: Sequence[str]) -> None:
        if report is not None:
            (root / command[command.index("--json-output") + 1]).write_text(report, encoding="utf-8")
        body = "".join(f"    function check_{name}(uint64 a) external pure {{}}\n" for name in functions)
        source = f"{HEAD}contract TinyProof {{\n{body}}}\n"
        (root / "tests/proofs/TinyProof.t.sol").write_text(source, encoding="utf-8")

    return tool


def only(report: str, *functions: str) -> str:
    loaded = json.loads(report)
    for suite, results in loaded["test_results"].items():
        loaded["test_results"][suite] = [r for r in results if r["name"].split("(")[0][len("check_") :] in functions]
    return json.dumps(loaded)


@pytest.fixture
def proofs(audit: Audit, project: Path) -> Audit:
    (project / "tests/proofs").mkdir()
    return lambda functions, report: audit("proofs", halmos_says(functions, report))


def test_proofs__failed_timed_out_reverting_cut_short_and_true_where_it_must_not__none_proved(proofs: Audit) -> None:
    ended, figures = proofs(PROPERTIES, recorded("halmos.json"))
    assert (ended, figures["halmos_proved"], figures["halmos_not_proved"]) == (1, 1, 5)
    assert figures["parts"]["proofs"]["proved"] == ["TinyProof.check_holds"]
    false = "TinyProof.check_refuted_holds; proofs with its assumptions mean nothing"
    assert figures["parts"]["proofs"]["notes"] == [
        "not proved: TinyProof.check_bounded",
        "not proved: TinyProof.check_everythingReverts",
        "not proved: TinyProof.check_fails",
        f"no counterexample, though it is false: {false}",
        "not proved: TinyProof.check_takesTooLong",
    ]


def test_proofs__all_as_they_should_be__passes(proofs: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "proofs", Part(analysis.proofs, PARTS["proofs"].targets[1:]))
    good = ("holds", "refuted_isRefuted")
    assert proofs(good, only(recorded("halmos.json"), *good))[0] == 0


@pytest.mark.parametrize("missing", ["holds", "refuted_isRefuted"])
def test_proofs__a_property_that_halmos_left_out__is_not_proved(
    missing: str, proofs: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PARTS, "proofs", Part(analysis.proofs, PARTS["proofs"].targets[1:]))
    good = ("holds", "refuted_isRefuted")
    ended, figures = proofs(good, only(recorded("halmos.json"), *set(good) - {missing}))
    assert (ended, figures["halmos_not_proved"]) == (1, 1)
    assert figures["parts"]["proofs"]["notes"] == [f"not proved: TinyProof.check_{missing}, which halmos did not try"]


@pytest.mark.parametrize("change", [{"models": [{"model": {}, "is_valid": False}]}, {"models": []}, {"exitcode": 2}])
def test_proofs__no_valid_counterexample__refutes_nothing(change: Mapping[str, object]) -> None:
    report = json.loads(only(recorded("halmos.json"), "refuted_isRefuted"))
    assert analysis.read_halmos(report, set()).figures["halmos_not_proved"] == 0
    next(iter(report["test_results"].values()))[0].update(change)
    assert analysis.read_halmos(report, set()).figures["halmos_not_proved"] == 1


@pytest.mark.parametrize("report", [None, "", "{}", recorded("halmos.json")[:300]])
def test_proofs__broken_report__refused(report: str | None, proofs: Audit) -> None:
    ended, figures = proofs(PROPERTIES, report)
    assert (ended, figures["halmos_proved"], figures["halmos_not_proved"]) == (1, None, None)
    error = figures["parts"]["proofs"]["error"]
    assert ("halmos gave no result" if report is None else "halmos.json") in error


def test_stated__the_proofs_of_the_house__are_found() -> None:
    names = {name for _, name in part.stated(part.ROOT, "tests/proofs", "check_")}
    assert {"check_theBidIsNeverOverNav", "check_refuted_theFloorIsTheMark"} <= names


# --- The solver of the proofs ---

QUERY = "(set-logic QF_AUFBV)\n(declare-const x Int)\n(assert (mul x))\n(assert (more x))\n(check-sat)\n"


@pytest.fixture
def solve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The solver's answer, with a shell script that reads the query in the place of each of the two solvers."""

    def run(yices: str, bitwuzla: str, query: str = QUERY) -> str:
        for name, script in (("YICES", yices), ("BITWUZLA", bitwuzla)):
            monkeypatch.setattr(solver, name, ("/bin/sh", "-c", script, "solver"))
        monkeypatch.setattr(solver, "MOMENT", 0.3)
        monkeypatch.setattr(solver, "LONG", 0.3)
        monkeypatch.setattr(solver, "without_divisions", lambda text: None)
        path = tmp_path / "query.smt2"
        path.write_text(query, encoding="utf-8")
        solver.main(path)
        return capsys.readouterr().out.strip()

    return run


def test_solver__a_part_without_solution__the_whole_has_none(solve: Callable[..., str]) -> None:
    assert solve('grep -q "(more x)" "$1" && echo unknown || echo unsat', "exit 1") == "unsat"


def test_solver__a_part_with_a_solution__says_nothing_of_the_whole(solve: Callable[..., str]) -> None:
    assert solve('grep -q produce-models "$1" && echo unsat || echo sat', "exit 1") == "unsat"
    assert solve('grep -q produce-models "$1" && printf "sat\\n(model)" || echo sat', "exit 1") == "sat\n(model)"


def test_solver__the_first_answer_counts_and_none_is_no_proof(solve: Callable[..., str]) -> None:
    assert solve("sleep 5", "echo unsat") == "unsat"
    assert solve("sleep 5", "echo unknown") == "unknown"
    assert solve("exit 1", "echo error: unsat core") == "unknown"


@pytest.mark.parametrize(
    "query", ["(check-sat)", QUERY + "(check-sat)", QUERY.replace("(assert (more", "(declare-const y (more")]
)
def test_solver__query_of_another_form__refused(query: str, solve: Callable[..., str]) -> None:
    with pytest.raises(ValueError, match="form"):
        solve("echo unsat", "echo unsat", query)


# --- Coverage ---


def forge_writes(text: str) -> Tool:
    def tool(root: Path, command: Sequence[str]) -> None:
        (root / command[command.index("--report-file") + 1]).write_text(text, encoding="utf-8")

    return tool


def test_coverage__lines_and_branches_not_run__exact_shares(audit: Audit) -> None:
    ended, figures = audit("coverage", forge_writes(recorded("lcov.info")))
    assert ended == 1
    assert (figures["coverage_lines"], figures["coverage_branches"]) == (3 / 6, 2 / 3)
    assert figures["parts"]["coverage"]["notes"] == ["Tiny.sol: 3/6 lines, 2/3 branches; not run: 12, 13, 14"]


def test_coverage__everything_run__passes_and_interfaces_do_not_count(audit: Audit) -> None:
    text = (
        recorded("lcov.info").replace("DA:12,0", "DA:12,1").replace("DA:13,0", "DA:13,1").replace("DA:14,0", "DA:14,1")
    )
    text = text.replace("1,0,-", "1,0,1").replace("LH:3", "LH:6").replace("BRH:2", "BRH:3")
    aside = "TN:\nSF:contracts/interfaces/ITiny.sol\nDA:3,0\nLF:1\nLH:0\nend_of_record\n"
    ended, figures = audit("coverage", forge_writes(text + aside))
    assert (ended, figures["coverage_lines"], figures["coverage_branches"]) == (0, 1.0, 1.0)


def broken_lcov() -> Mapping[str, str]:
    good = recorded("lcov.info")
    return {
        "empty": "",
        "truncated": good[: good.index("LF:")],
        "cut after all that counts": good + "TN:\nSF:contracts/interfaces/ITiny.sol\nDA:3,0\n",
        "cut in a record": good[: good.index("DA:13") + 4],
        "a line left out": good.replace("DA:14,0\n", ""),
        "hits that disagree": good.replace("DA:14,0", "DA:14,1"),
        "a branch left out": good.replace("BRDA:13,1,0,-\n", ""),
        "no number": good.replace("DA:14,0", "DA:14"),
        "another file": good.replace("Tiny.sol", "Other.sol"),
        "interfaces only": good.replace("contracts/", "contracts/interfaces/"),
        "no lines": "TN:\nSF:contracts/Tiny.sol\nLF:0\nLH:0\nend_of_record\n",
        "no report": "{}",
    }


@pytest.mark.parametrize("name", broken_lcov())
def test_coverage__broken_lcov__refused(name: str, audit: Audit) -> None:
    ended, figures = audit("coverage", forge_writes(broken_lcov()[name]))
    assert (ended, figures["coverage_lines"], figures["coverage_branches"]) == (1, None, None)
    assert "lcov" in figures["parts"]["coverage"]["error"]
    with pytest.raises(BrokenReportError):
        forge.read_lcov(broken_lcov()[name], ["contracts/Tiny.sol"])


def test_coverage__forge_writes_no_report__refused(audit: Audit) -> None:
    ended, figures = audit("coverage", lambda *_: None)
    assert (ended, figures["coverage_lines"]) == (1, None)


# --- Fuzz tests ---


@pytest.mark.slow
def test_fuzz__a_fault_that_one_input_in_256_shows__is_found_with_each_seed(audit: Audit, project: Path) -> None:
    """On the real Forge."""
    source = project / "tests/contracts/TinyTest.t.sol"
    rare = "    function test_rare(uint8 amount) public pure {\n        assert(amount != 77);\n    }\n"
    fine = "    function test_fine(uint8 amount) public pure {\n        assert(amount < 256);\n    }\n}\n"
    source.write_text(source.read_text(encoding="utf-8").rstrip("}\n") + "}\n" + rare + fine, encoding="utf-8")
    ended, figures = audit("fuzz", None, "--seeds", "2")
    assert (ended, figures["missed"]) == (1, ["fuzz_runs", "fuzz_failures"])
    assert figures["fuzz_failures"] == 2
    assert 2 * forge.FUZZ_RUNS <= figures["fuzz_runs"] < 4 * forge.FUZZ_RUNS
    notes = figures["parts"]["fuzz"]["notes"]
    assert [note.split(":")[0] for note in notes] == ["TinyTest.test_rare"] * 2
    assert [note.split("(")[-1] for note in notes] == ["seed 1)", "seed 2)"]


def test_fuzz__forge_ran_none__the_error_quotes_it(audit: Audit) -> None:
    ended, figures = audit("fuzz", lambda *_: "No tests found in project!")
    assert (ended, figures["fuzz_failures"]) == (1, None)
    assert "No tests found" in figures["parts"]["fuzz"]["error"]


# --- Invariants ---


@pytest.fixture
def campaign(audit: Audit, project: Path) -> Audit:
    """Run the invariants of a project that states two of them.

    Forge prints `text`, and the suites write their worst cases: `worst` of one figure, and `others` of the other. With
    more than one seed, `worst` is one number for each seed.
    """
    source = project / forge.CAMPAIGNS / "TinyInvariants.t.sol"
    source.parent.mkdir()
    functions = "".join(f"    function invariant_{name}() public view {{}}\n" for name in ("breaks", "holds"))
    source.write_text(f"{HEAD}contract TinyInvariants {{\n{functions}}}\n", encoding="utf-8")
    (project / "out").mkdir()
    for figure in forge.WORST_CASES:  # of an earlier run
        (project / f"out/{figure}-18.json").write_text(json.dumps({figure: "0"}))

    def run(
        text: str, *worst: int, figure: str = "worst_case_stolen_key", others: int | None = 0, seeds: int = 1
    ) -> Ended:
        left = iter(worst)

        def tool(root: Path, command: Sequence[str]) -> str:
            for name in forge.WORST_CASES:
                own = [next(left)] if seeds > 1 and name == figure else worst
                values = own if name == figure else [others]
                for number, value in enumerate(value for value in values if value is not None):
                    (root / f"out/{name}-{number}.json").write_text(json.dumps({name: str(value)}))
            return text

        return audit("invariants", tool, "--seeds", str(seeds))

    return run


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    """The recorded campaign with both invariants held, changed."""
    report = json.loads(recorded("invariants.json"))
    (suite,) = report.values()
    broken = suite["test_results"]["invariant_breaks()"]
    broken.update(status="Success", reason=None)
    broken["kind"]["Invariant"]["calls"] = 1_000_000
    change(suite["test_results"])
    return json.dumps(report)


def test_invariants__one_violated__fails(campaign: Audit) -> None:
    ended, figures = campaign(recorded("invariants.json"), forge.WAD // 2)
    assert (ended, figures["invariant_violations"], figures["invariant_calls"]) == (1, 1, 5000)
    assert figures["missed"] == ["invariant_calls", "invariant_violations"]
    notes = ["TinyInvariants.invariant_breaks: panic: assertion failed (0x01) (seed 1)"]
    assert figures["parts"]["invariants"]["notes"] == notes


def test_invariants__all_hold__passes_with_the_worst_of_all_suites(campaign: Audit) -> None:
    ended, figures = campaign(changed(lambda tests: None), forge.WAD // 4, forge.WAD // 2)
    assert (ended, figures["invariant_violations"], figures["invariant_calls"]) == (0, 0, 1_005_000)
    assert figures["worst_case_stolen_key"] == 0.5


@pytest.mark.parametrize("figure", forge.WORST_CASES)
def test_invariants__more_taken_than_the_bound__fails(figure: str, campaign: Audit) -> None:
    assert campaign(changed(lambda tests: None), forge.WAD + 1000, figure=figure)[1]["missed"] == [figure]


@pytest.mark.parametrize("figure", forge.WORST_CASES)
def test_invariants__all_of_the_bound_taken__passes(figure: str, campaign: Audit) -> None:
    ended, figures = campaign(changed(lambda tests: None), forge.WAD, figure=figure)
    assert (ended, figures[figure]) == (0, 1.0)


@pytest.mark.parametrize("figure", forge.WORST_CASES)
def test_invariants__an_earlier_worst_case__does_not_count(figure: str, campaign: Audit) -> None:
    ended, figures = campaign(changed(lambda tests: None), figure=figure)
    assert (ended, figures["missed"]) == (1, [figure])
    assert figures["parts"]["invariants"]["notes"] == [f"the invariant suite wrote no out/{figure}.json"]


@pytest.mark.parametrize("figure", forge.WORST_CASES)
def test_invariants__three_seeds__calls_add_up_and_the_worst_of_all_counts(figure: str, campaign: Audit) -> None:
    parts = (forge.WAD // 4, forge.WAD + 1000, forge.WAD // 2)
    ended, figures = campaign(changed(lambda tests: None), *parts, figure=figure, seeds=3)
    assert (ended, figures["missed"]) == (1, [figure])
    assert (figures["invariant_calls"], figures["parts"]["invariants"]["seeds"]) == (3 * 1_005_000, 3)


def test_invariants__one_violated_with_two_seeds__counts_for_each(campaign: Audit) -> None:
    figures = campaign(recorded("invariants.json"), 0, 0, seeds=2)[1]
    assert figures["invariant_violations"] == 2
    assert [note.split("(")[-1] for note in figures["parts"]["invariants"]["notes"]] == ["seed 1)", "seed 2)"]


def test_invariants__set_up_fails__is_a_violation(campaign: Audit) -> None:
    def fails(tests: dict[str, Any]) -> None:
        tests.clear()
        tests["setUp()"] = {"status": "Failure", "reason": "no vault", "kind": {"Unit": {"gas": 0}}}

    ended, figures = campaign(changed(fails), 0)
    assert (ended, figures["invariant_violations"], figures["invariant_calls"]) == (1, 1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "No tests found in project!",
        "{}",
        recorded("invariants.json")[:400],
        changed(lambda tests: tests.pop("invariant_holds()")),
        changed(lambda tests: tests["invariant_holds()"].pop("status")),
        changed(lambda tests: tests["invariant_holds()"]["kind"].update(Invariant={})),
    ],
    ids=["no tests", "empty", "truncated", "one left out", "no status", "no calls"],
)
def test_invariants__broken_report__refused(text: str, campaign: Audit) -> None:
    ended, figures = campaign(text, 0)
    assert (ended, figures["invariant_violations"]) == (1, None)
    assert figures["parts"]["invariants"]["error"]


def test_invariants__forge_found_none__the_error_quotes_it(campaign: Audit) -> None:
    assert "No tests found" in campaign("No tests found in project!", 0)[1]["parts"]["invariants"]["error"]


# --- Mutation ---

SUBJECT = mutation.Subject(mutated=("contracts/Tiny.sol",), deployed=("Tiny",))


@pytest.fixture
def explained(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The list of explained survivors, empty, beside the project that is mutated."""
    path = project / "survivors.toml"
    path.write_text("", encoding="utf-8")
    monkeypatch.setattr(mutation, "VAULT", SUBJECT)
    monkeypatch.setattr(mutation, "EXPLAINED", path)
    return path


def entry(key: str, reason: str) -> str:
    return f'[[survivor]]\nmutant = "{key}"\nreason = "{reason}"\n'


def test_mutation__the_house__every_room_and_library_of_the_vault_is_mutated() -> None:
    files = [file for folder in ("vault", "libraries") for file in (part.ROOT / "contracts" / folder).glob("*.sol")]
    names = {file.relative_to(part.ROOT).as_posix() for file in files} | {"contracts/Vault.sol"}
    assert set(mutation.VAULT.mutated) == names
    assert mutation.VAULT.mutated[0] == "contracts/Vault.sol"
    assert all((part.ROOT / name).exists() for name in (*mutation.VAULT.left_out, mutation.VAULT.harness or ""))


def test_mutation__related_tests__of_functions_and_files_that_exist() -> None:
    sources = [(part.ROOT / name).read_text(encoding="utf-8") for name in mutation.VAULT.mutated]
    functions = {name for source in sources for name in re.findall(r"\bfunction (\w+)", source)}
    assert set(mutation.RELATED) <= functions | {"constructor"}
    tests = {file.name.removesuffix("Test.t.sol") for file in (part.ROOT / "tests/contracts").glob("*Test.t.sol")}
    related = {name for names in mutation.RELATED.values() for name in names.split(",")}
    assert related <= tests


@pytest.mark.slow
def test_mutation__a_planted_survivor__reported(audit: Audit, explained: Path) -> None:
    """End to end, on the real Forge: of two faults, the tests miss one."""
    ended, figures = audit("mutation")
    assert ended == 1
    assert figures["parts"]["mutation"]["error"] is None
    assert (figures["mutants"], figures["mutants_killed"], figures["mutation_score"]) == (2, 1, 0.5)
    assert figures["mutants_unexplained"] == 1
    (survivor,) = figures["parts"]["mutation"]["survivors"]
    assert (survivor["line"], survivor["kind"], survivor["old"], survivor["new"]) == (6, "comparison", "<=", "<")
    assert f"survives, unexplained: Tiny.sol:6 comparison: `{survivor['before']}`" in "\n".join(
        figures["parts"]["mutation"]["notes"]
    )


class FakeForge:
    """Forge on the scratch copy: `fault(source)` tells what becomes of a source, `killed` where there is no fault."""

    def __init__(self, fault: Callable[[str], str]) -> None:
        self.fault = fault
        self.commands: list[Sequence[str]] = []

    def __call__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], good: Sequence[int] = (0,), **_: object
    ) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        source = (cwd / "contracts/Tiny.sol").read_text(encoding="utf-8")
        fate = "survived" if source == HEAD + CONTRACT else self.fault(source)
        done = subprocess.CompletedProcess(command, 0, "", "")
        if command[1] == "build":
            if fate == "invalid":
                raise ToolFailedError("does not compile")
            optimized = env["FOUNDRY_OPTIMIZER"] == "true"
            code = "" if fate == "same" or (fate == "equal when optimized" and optimized) else source
            if fate in ("same", "equal when optimized") and not code:
                code = HEAD + CONTRACT
            path = cwd / env.get("FOUNDRY_OUT", ".forge/out") / "Tiny.sol/Tiny.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"bytecode": code, "ast": {}}), encoding="utf-8")
            return done
        if fate == "endless":
            raise part.ToolTimeoutError("not done")
        if fate == "crashes":
            done.returncode, done.stdout = 1, "thread panicked"
        elif fate != "no tests":
            failed = fate == "killed"
            result = {"test_within()": {"status": "Failure" if failed else "Success"}}
            done.returncode = int(failed)
            done.stdout = json.dumps({"tests/contracts/TinyTest.t.sol:TinyTest": {"test_results": result}})
        assert done.returncode in good
        return done


FAULT = mutants.Mutant("contracts/Tiny.sol", "within", "comparison", 0, 2, 1, "//", "--", "// a", "-- a")


def bench(monkeypatch: pytest.MonkeyPatch, fate: str) -> tuple[mutation.Bench, FakeForge]:
    forge_ = FakeForge(lambda source: fate)
    monkeypatch.setattr(mutation, "run", forge_)
    return mutation.Bench(0, SUBJECT), forge_


@pytest.mark.parametrize(
    ("fate", "verdict"),
    [
        ("killed", "killed"),
        ("survived", "survived"),
        ("invalid", "invalid"),
        ("same", "same"),
        ("equal when optimized", "same"),
        ("endless", "endless"),
    ],
)
def test_bench__fate_of_a_mutant__verdict_and_the_source_is_restored(
    fate: str, verdict: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, fake = bench(monkeypatch, fate)
    assert judge.judge(FAULT) == verdict
    tested = sum(command[1] == "test" for command in fake.commands) > 1  # the first is the one without a fault
    assert tested == (fate not in ("invalid", "same"))
    source = part.SCRATCH / "mutation-0/contracts/Tiny.sol"
    assert source.read_text(encoding="utf-8") == HEAD + CONTRACT
    assert (project / "contracts/Tiny.sol").read_text(encoding="utf-8") == HEAD + CONTRACT


def test_progress__an_interrupted_run__goes_on_where_it_was(
    project: Path, explained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [replace(FAULT, start=start) for start in range(4)]
    tried: list[int] = []

    def judge(self: mutation.Bench, mutant: mutants.Mutant) -> str:
        if len(tried) == 2:
            raise KeyboardInterrupt
        tried.append(mutant.start)
        return "killed" if mutant.start else "survived"

    monkeypatch.setattr(mutation, "run", FakeForge(lambda source: "survived"))
    monkeypatch.setattr(mutation.Bench, "mutants", lambda self: every)
    monkeypatch.setattr(mutation.Bench, "judge", judge)
    options = part.Options(jobs=1, mutants=None)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        mutation.mutation(options, said.append)
    assert tried == [0, 1]
    (kept,) = part.SCRATCH.glob("mutation-*.jsonl")
    kept.write_text(kept.read_text(encoding="utf-8") + '["contracts/Tiny.sol:2', encoding="utf-8")  # cut short
    monkeypatch.setattr(mutation.Bench, "judge", lambda self, mutant: (tried.append(mutant.start), "killed")[1])
    figures = mutation.mutation(options, said.append).figures
    assert tried == [0, 1, 2, 3]
    assert (figures["mutants"], figures["mutants_killed"]) == (4, 3)
    assert "2 mutants were tried before the interruption" in said
    assert not kept.exists()


def test_progress__other_sources__begins_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, _ = bench(monkeypatch, "survived")
    before = judge.digest()
    assert mutation.Bench(0, SUBJECT).digest() == before
    test = part.ROOT / "tests/contracts/TinyTest.t.sol"
    test.write_text(test.read_text(encoding="utf-8") + "// another test", encoding="utf-8")
    assert mutation.Bench(0, SUBJECT).digest() != before


def test_bench__forge_ends_badly_without_a_failed_test__is_no_kill(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, _ = bench(monkeypatch, "crashes")
    with pytest.raises(BrokenReportError, match=r"(?s)ended with 1.*thread panicked"):
        judge.judge(FAULT)


def test_bench__no_test_runs_without_a_fault__refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = FakeForge(lambda source: "survived")
    monkeypatch.setattr(
        mutation,
        "run",
        lambda command, **k: (
            subprocess.CompletedProcess(command, 0, "", "") if command[1] == "test" else quiet(command, **k)
        ),
    )
    with pytest.raises(BrokenReportError, match="runs no test"):
        mutation.Bench(0, SUBJECT)


def test_summary__killed_endless_same_invalid_and_survivors__figures() -> None:
    def mutant(line: int) -> mutants.Mutant:
        return mutants.Mutant("contracts/Tiny.sol", "f", "logic", line, line, line, "a", "b", f"a{line}", f"b{line}")

    every = [mutant(line) for line in range(9)]
    verdicts = dict(zip(every, ["killed"] * 3 + ["endless", "same", "invalid", "survived", "survived"], strict=False))
    findings = mutation.summary(every, verdicts, {"Tiny.sol f: a6 => b6": "The same.", "Tiny.sol g: x => y": "Gone."})
    assert findings.figures == {
        "mutants": 6,
        "mutants_killed": 4,
        "mutants_unexplained": 1,
        "mutation_score": 4 / 6,
    }
    assert findings.notes == [
        "a sample of 8 of 9 mutants; `--all` tries every one",
        "95 % interval of the score: 30.0% to 90.3%",
        "caught because they run for ever: 1",
        "survives, explained: Tiny.sol:6 logic: `a6` becomes `b6` (The same.)",
        "survives, unexplained: Tiny.sol:7 logic: `a7` becomes `b7`",
        "explained, but no longer a mutant: Tiny.sol g: x => y",
    ]


def test_summary__no_mutant_at_all__no_score_and_so_a_miss() -> None:
    findings = mutation.summary([FAULT], {FAULT: "invalid"}, {})
    assert Outcome("mutation", 0.0, findings, None).missed == ["mutation_score"]


def test_sample__same_seed_same_mutants() -> None:
    every = [mutants.Mutant("f", "g", "k", i, i, i, "", "", "", "") for i in range(50)]
    assert mutation.sample(every, None, 1) == mutation.sample(every, 50, 1) == every
    chosen = mutation.sample(every, 10, 1)
    assert chosen == mutation.sample(every, 10, 1)
    assert chosen != mutation.sample(every, 10, 2)
    assert len(set(chosen)) == 10


MANY = """library Math { function min(uint256 a, uint256 b) internal pure returns (uint256) { return a < b ? a : b; } }

contract Many {
    uint256 total;
    event Done();
    modifier guarded() { _; }

    function act(uint256 amount, bool good) external guarded {
        require(good && amount != 0);
        if (!good) total += 1;
        total++;
        total = Math.min(amount, 7);
        emit Done();
    }
}
"""


def test_find__one_contract_with_every_kind__the_faults_of_each(tmp_path: Path) -> None:
    source = (HEAD + MANY).encode()
    question = {
        "language": "Solidity",
        "sources": {"Many.sol": {"content": source.decode()}},
        "settings": {"outputSelection": {"*": {"": ["ast"]}}},
    }
    command = ["node", str(part.ROOT / "scripts/solc.js"), "--standard-json"]
    answer = subprocess.run(
        command, input=json.dumps(question), capture_output=True, text=True, check=True, cwd=part.ROOT
    )
    tree = json.loads(answer.stdout)["sources"]["Many.sol"]["ast"]
    found = [mutant for mutant in mutants.find("contracts/Many.sol", source, tree) if mutant.where == "act"]
    assert [(mutant.kind, mutant.old, mutant.new) for mutant in found] == [
        ("modifier", "guarded", ""),
        ("require", "require(good && amount != 0);", ""),
        ("logic", "&&", "||"),
        ("comparison", "!=", "=="),
        ("constant", "0", "1"),
        ("condition", "!good", "false"),
        ("logic", "!good", "good"),
        ("condition", "!good", "true"),
        ("statement", "total += 1;", ""),
        ("assignment", "+=", "-="),
        ("constant", "1", "(1 + 1)"),
        ("increment", "total++", "total--"),
        ("statement", "total++;", ""),
        ("statement", "total = Math.min(amount, 7);", ""),
        ("opposite", "min", "max"),
        ("constant", "7", "(7 + 1)"),
        ("statement", "emit Done();", ""),
    ]
    assert found[2].key == "Many.sol act: require(good && amount != 0); => require(good || amount != 0);"
    assert found[2].apply(source) == source.replace(b"good && amount", b"good || amount")


def test_errors__all_are_of_the_audit() -> None:
    for error in (ToolFailedError, part.ToolTimeoutError, BrokenReportError, ReviewError):
        assert issubclass(error, AuditError)
