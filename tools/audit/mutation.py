"""The mutation score: how many small faults in the vault and its libraries the Forge tests notice.

Each mutant is compiled and tested in a scratch copy, in rounds: first the tests that are most about the function it is
in, then all unit tests, both with few fuzz runs, then a short invariant campaign. `make test` does more of each, so the
score is on the low side. A mutant that does not compile, or compiles to the same code, is no mutant. Survivors must be
killed by a new test or explained in a reviewed list; explained or not, they count as survivors.

A mutant that makes a round last `PATIENCE` times as long as it does without a fault, twice, runs for ever and is
caught. The notes say how many there were.

A run that is interrupted goes on where it was when it is started again over the same sources.
"""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock

import numpy as np
from scipy.stats import binomtest

from tools.audit import part
from tools.audit.mutants import Mutant, find
from tools.audit.part import BrokenReportError, Findings, Options, Say, ToolFailedError, ToolTimeoutError, reading, run

CAUGHT = ("killed", "endless")
EXPLAINED = Path(__file__).with_name("survivors.toml")
PATIENCE, MIN_SECONDS = 6.0, 20.0
"""A round may last `PATIENCE` times as long as without a fault, and `MIN_SECONDS` in any case."""

# Of the suites that run for several decimals, one is enough to find most faults; the others come after it.
LATER = "[^1](0|6|8)$|24$"
CAMPAIGNS = "tests/contracts/invariants/*"
SAID_EVERY = 20
"""Mutants between two lines of progress."""


@dataclass(frozen=True)
class Subject:
    """The contracts that are mutated, and the tests that must notice.

    Attributes
    ----------
    mutated
        Files that get a fault; the first is the vault itself.
    deployed
        Contracts whose code tells whether a mutant is the same; the libraries are inlined into them.
    left_out
        Test files and folders that are not about the mutated files, and slow to compile.
    harness
        A contract among the tests that inherits from a mutated one. It moves to the contracts, which tests load when
        they run: whoever imports it would be compiled again for each mutant.
    rounds
        Arguments of `forge test`, one list for each round.
    """

    mutated: Sequence[str]
    deployed: Sequence[str]
    left_out: Sequence[str] = ()
    harness: str | None = None
    rounds: Sequence[Sequence[str]] = ((),)


# The contracts that the vault is put together from.
ROOMS = ("Exits", "Governance", "LimitTable", "Positions", "Rebalancing", "Valuation", "VaultStorage")
VAULT = Subject(
    mutated=(
        "contracts/Vault.sol",
        *(f"contracts/vault/{room}.sol" for room in ROOMS),
        "contracts/libraries/Bucket.sol",
        "contracts/libraries/GrowthBound.sol",
        "contracts/libraries/BoundedCall.sol",
    ),
    deployed=("Vault", "Governance", "VaultLens"),
    left_out=("tests/contracts/strategies", "tests/contracts/oracles", "tests/contracts/gas"),
    harness="tests/contracts/utils/VaultHarness.sol",
    rounds=(
        ("--no-match-contract", LATER, "--no-match-path", CAMPAIGNS),
        ("--match-contract", LATER, "--no-match-path", CAMPAIGNS),
        ("--match-path", CAMPAIGNS),
    ),
)
ENVIRONMENT: Mapping[str, str] = {
    # Tests then load the vault's code when they run, and need not be compiled again for each mutant.
    "FOUNDRY_DYNAMIC_TEST_LINKING": "true",
    "FOUNDRY_OPTIMIZER": "false",  # five times as quick, and the faults are the same
    # No metadata in the code, so that equal code is seen to be equal.
    "FOUNDRY_BYTECODE_HASH": "none",
    "FOUNDRY_CBOR_METADATA": "false",
    "FOUNDRY_LINT_LINT_ON_BUILD": "false",
}
# Equal code is looked for once more where a mutant survived: the optimizer sees more of it.
OPTIMIZED: Mapping[str, str] = {
    **ENVIRONMENT,
    "FOUNDRY_OPTIMIZER": "true",
    "FOUNDRY_AST": "true",
    "FOUNDRY_OUT": ".forge/optimized/out",
    "FOUNDRY_CACHE_PATH": ".forge/optimized/cache",
}
FEW_RUNS = {"FOUNDRY_FUZZ_RUNS": "24", "FOUNDRY_INVARIANT_RUNS": "24", "FOUNDRY_INVARIANT_DEPTH": "64"}
# Tests that are likely to notice a fault in a function, beside one that is named like it.
RELATED: Mapping[str, str] = {
    **dict.fromkeys(("_checkCaps", "_setCaps", "_checkGroups", "setGroup"), "Caps,Groups"),
    "_checkGrown": "Caps,Liquidity",
    "_noteDiscount": "SharePrice,Deposit",
    "_checkIdleFloor": "IdleFloor",
    "_checkOutcome": "Budgets,FlashDeposit,Drawdown",
    **dict.fromkeys(("_books", "_accrue", "_settle", "_feeRate"), "PerformanceFee,SharePrice"),
    **dict.fromkeys(("_markAt", "_setMark", "_record", "_ceiling", "_grown"), "SharePrice"),
    **dict.fromkeys(("_drawdownFloor", "_checkTradable", "_trip"), "Drawdown"),
    **dict.fromkeys(("_room", "_openRoom", "_mostAssets", "_isNarrow"), "Deposit,SharePrice"),
    "_openForDeposit": "Deposit,FlashDeposit",
    "_enter": "Deposit,Tokens",
    "_leave": "Withdraw,Drawdown",
    **dict.fromkeys(("_pull", "_draw", "_liquid", "_most", "callUint"), "Withdraw,Slippage"),
    **dict.fromkeys(("_handOut", "_minimum", "_redeemInKind", "tryTransfer"), "InKind"),
    "_reduce": "InKind,SharePrice",
    **dict.fromkeys(("unwind", "_unwindable"), "Unwind"),
    **dict.fromkeys(("_value", "_checkPriced"), "Quarantine,SharePrice"),
    **dict.fromkeys(("_setLimit", "_limit", "_within", "_isTighter", "_checkTighter"), "Governance"),
    **dict.fromkeys(("_governLimit", "_governCaps", "_settlePositions"), "Governance"),
    **dict.fromkeys(("abdicate", "abdicateCaps", "loosen", "loosenCaps"), "Governance"),
    "readText": "Lens",
    "readUint": "Quarantine",
    "constructor": "Roles,Governance,IdleFloor,Budgets",
}


def mutation(options: Options, say: Say) -> Findings:
    """Plant faults, and count those that the tests catch."""
    reasons = {key: reason for (key,), reason in part.load_reasons(EXPLAINED, "survivor", "mutant").items()}
    say("compiling the scratch copies and running the tests without a fault")
    with ThreadPoolExecutor(options.jobs) as pool:
        benches = list(pool.map(lambda number: Bench(number, VAULT), range(options.jobs)))
        every = benches[0].mutants()
        progress = Progress(benches[0].digest())
        chosen = sample(every, options.mutants, options.seed)
        verdicts = progress.load(chosen)
        if verdicts:
            say(f"{len(verdicts)} mutants were tried before the interruption")
        left = iter([mutant for mutant in chosen if mutant not in verdicts])
        guard = Lock()

        def work(bench: Bench) -> None:
            while not stop.is_set():
                with guard:
                    mutant = next(left, None)
                if mutant is None:
                    return
                try:
                    verdict = bench.judge(mutant)
                except BaseException:
                    stop.set()  # the others end as well
                    raise
                with guard:
                    verdicts[mutant] = verdict
                    progress.add(mutant, verdict)
                if verdict == "survived":
                    say(f"survives: {mutant}")
                if len(verdicts) % SAID_EVERY == 0:
                    say(f"{len(verdicts)} mutants tried")

        stop = Event()
        try:
            list(pool.map(work, benches))
        finally:
            stop.set()  # also where the user interrupts
    progress.clear()
    return summary(every, verdicts, reasons)


def summary(every: Sequence[Mutant], verdicts: Mapping[Mutant, str], reasons: Mapping[str, str]) -> Findings:
    """Turn verdicts into figures; `reasons` explain survivors by `Mutant.key`."""
    survivors = [mutant for mutant in every if verdicts.get(mutant) == "survived"]
    killed = sum(verdict in CAUGHT for verdict in verdicts.values())
    endless = sum(verdict == "endless" for verdict in verdicts.values())
    valid = killed + len(survivors)
    notes = []
    if len(verdicts) < len(every):
        notes.append(f"a sample of {len(verdicts)} of {len(every)} mutants; `--all` tries every one")
    if valid:
        low, high = binomtest(killed, valid).proportion_ci(method="wilson")
        notes.append(f"95 % interval of the score: {low:.1%} to {high:.1%}")
    if endless:
        notes.append(f"caught because they run for ever: {endless}")
    for mutant in survivors:
        reason = reasons.get(mutant.key)
        notes.append(f"survives, {f'explained: {mutant} ({reason})' if reason else f'unexplained: {mutant}'}")
    stale = reasons.keys() - {mutant.key for mutant in every}
    notes += [f"explained, but no longer a mutant: {key}" for key in sorted(stale)]
    figures = {
        "mutants": valid,
        "mutants_killed": killed,
        "mutants_unexplained": sum(mutant.key not in reasons for mutant in survivors),
        "mutation_score": killed / valid if valid else None,
    }
    listed = [{**asdict(mutant), "explanation": reasons.get(mutant.key)} for mutant in survivors]
    return Findings(figures, notes, {"mutants_possible": len(every), "survivors": listed})


def sample(mutants: Sequence[Mutant], size: int | None, seed: int) -> list[Mutant]:
    """Return `size` of the mutants, without replacement, the same ones for the same seed; all of them for None."""
    if size is None or size >= len(mutants):
        return list(mutants)
    chosen = np.random.default_rng(seed).choice(len(mutants), size, replace=False)
    return [mutants[i] for i in sorted(chosen)]


class Progress:
    """Verdicts of a run over one state of the sources, kept in a file until the run is done."""

    def __init__(self, digest: str) -> None:
        self._file = part.SCRATCH / f"mutation-{digest}.jsonl"

    def load(self, mutants: Sequence[Mutant]) -> dict[Mutant, str]:
        """Return the verdicts on those of the mutants that were tried before the run was interrupted."""
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        kept: dict[str, str] = {}
        for line in lines:
            try:
                name, verdict = json.loads(line)
            except ValueError:  # cut short by the interruption
                continue
            kept[name] = verdict
        return {mutant: kept[self._name(mutant)] for mutant in mutants if self._name(mutant) in kept}

    def add(self, mutant: Mutant, verdict: str) -> None:
        """Keep one verdict."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([self._name(mutant), verdict]) + "\n")

    def clear(self) -> None:
        """Forget the verdicts: the run is done."""
        self._file.unlink(missing_ok=True)

    @staticmethod
    def _name(mutant: Mutant) -> str:
        return f"{mutant.file}:{mutant.start}-{mutant.end}:{mutant.new}"


class Bench:
    """A scratch copy of the project in which one mutant at a time is compiled and tested."""

    def __init__(self, number: int, subject: Subject) -> None:
        self._subject = subject
        self._root = part.workspace(f"mutation-{number}", "contracts", "tests/contracts")
        for name in subject.left_out:
            path = self._root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if subject.harness:
            self._move_harness(self._root / subject.harness)
        self._sources = {file: (self._root / file).read_bytes() for file in subject.mutated}
        self._code = self._compile(ENVIRONMENT)
        self._optimized = self._compile(OPTIMIZED, "contracts")
        # Without a fault, and so with nothing to compile: how long each round may last.
        self._rounds = [(arguments, self._patience(arguments)) for arguments in subject.rounds]

    def _move_harness(self, harness: Path) -> None:
        source = harness.read_text(encoding="utf-8").replace("../../../contracts/", "./")
        (self._root / "contracts" / harness.name).write_text(source, encoding="utf-8")
        harness.unlink()
        for test in (self._root / "tests/contracts").rglob("*.sol"):
            text = test.read_text(encoding="utf-8")
            moved = re.sub(rf'"[./]*/utils/{harness.name}"', f'"contracts/{harness.name}"', text)
            test.write_text(moved, encoding="utf-8")

    def mutants(self) -> list[Mutant]:
        """All mutants of the mutated files."""
        return [mutant for file, source in self._sources.items() for mutant in find(file, source, self._tree(file))]

    def digest(self) -> str:
        """A digest of the copy's sources and tests, and of this module: verdicts hold only for them."""
        files = sorted(
            [*self._root.glob("*.toml"), *self._root.glob("contracts/**/*.sol"), *self._root.glob("tests/**/*.sol")]
        )
        digest = hashlib.sha256()
        for file in [*files, Path(__file__)]:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:16]

    def judge(self, mutant: Mutant) -> str:
        """Return `killed`, `endless`, `survived`, `invalid` (does not compile) or `same` (no fault)."""
        path = self._root / mutant.file
        path.write_bytes(mutant.apply(self._sources[mutant.file]))
        try:
            try:
                code = self._compile(ENVIRONMENT)
            except ToolFailedError:
                return "invalid"
            if code == self._code:
                return "same"
            (first, patience), *_ = self._rounds
            for arguments, seconds in (((*first, *self._related(mutant)), patience), *self._rounds):
                verdict = self._verdict(arguments, seconds)
                if verdict != "survived":
                    return verdict
            return "same" if self._compile(OPTIMIZED, "contracts") == self._optimized else "survived"
        finally:
            path.write_bytes(self._sources[mutant.file])

    def _related(self, mutant: Mutant) -> Sequence[str]:
        """Name the test files that are most about a mutant's function: only a guess, which saves time."""
        names = RELATED.get(mutant.where, f"{mutant.where[:1].upper()}{mutant.where[1:]},Rebalance,Withdraw")
        own = "" if mutant.file == self._subject.mutated[0] else f"{Path(mutant.file).stem},"
        return "--match-path", f"tests/contracts/{{{own}{names}}}Test.t.sol"

    def _verdict(self, arguments: Sequence[str], seconds: float) -> str:
        for _ in range(2):  # a machine may be slow for a while
            try:
                return "survived" if all(self._test(arguments, (0, 1), seconds)) else "killed"
            except ToolTimeoutError:
                continue
        return "endless"

    def _patience(self, arguments: Sequence[str]) -> float:
        began = time.monotonic()
        if not self._test(arguments, (0,), None):
            raise BrokenReportError(f"`forge test {' '.join(arguments)}` runs no test: it would miss every fault.")
        return max(PATIENCE * (time.monotonic() - began), MIN_SECONDS)

    def _test(self, arguments: Sequence[str], good: Sequence[int], timeout: float | None) -> list[bool]:
        """Run tests up to the first failure; for each that ran, whether it passed."""
        command = ["forge", "test", "--json", "--fail-fast", "-j", "1", *arguments]
        done = run(command, cwd=self._root, env={**ENVIRONMENT, **FEW_RUNS}, good=good, timeout=timeout)
        passed = [test.status != "Failure" for test in part.forge_tests(done.stdout)]
        if all(passed) != (done.returncode == 0):
            raise BrokenReportError(
                f"`forge test` ended with {done.returncode}, but not by its tests:\n{part.tail(done)}"
            )
        return passed

    def _compile(self, env: Mapping[str, str], *folders: str) -> list[object]:
        """Compile, and return the code of the deployed contracts."""
        run(["forge", "build", *folders, "--silent"], cwd=self._root, env=env)
        out = env.get("FOUNDRY_OUT", ".forge/out")
        return [self._artifact(out, name, "bytecode") for name in self._subject.deployed]

    def _tree(self, file: str) -> Mapping[str, object]:
        tree = self._artifact(OPTIMIZED["FOUNDRY_OUT"], Path(file).stem, "ast")
        if not isinstance(tree, dict):
            raise BrokenReportError(f"Forge wrote no syntax tree for {file}.")
        return tree

    def _artifact(self, out: str, name: str, entry: str) -> object:
        path = self._root / out / f"{name}.sol/{name}.json"
        with reading(path.name):
            return json.loads(path.read_text(encoding="utf-8"))[entry]
