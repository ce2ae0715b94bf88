"""The mutation score: how many small faults in the vault and its libraries the Forge tests notice.

Each mutant is compiled and tested in a scratch copy, in rounds: first the tests that are most about the function it is
in, then all unit tests, both with few fuzz runs, then a short invariant campaign. `make test` does more of each, so the
score is on the low side. A mutant that does not compile, or compiles to the same code, is no mutant. Survivors must be
killed by a new test or explained in a reviewed list; explained or not, they count as survivors.

A mutant that makes a round last `PATIENCE` times as long as it does without a fault, twice, runs for ever and is
caught. How many there were is noted.
"""

import json
import math
import time
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from scripts.auditing.errors import AuditError, ReviewError, ToolFailedError, ToolTimeoutError
from scripts.auditing.mutants import Mutant, find
from scripts.auditing.part import Findings, Options, Say
from scripts.auditing.tools import run, workspace

MUTATED = (
    "contracts/Vault.sol",
    "contracts/libraries/Bucket.sol",
    "contracts/libraries/HighWaterMark.sol",
    "contracts/libraries/BoundedCall.sol",
)
EXPLAINED = Path(__file__).with_name("survivors.toml")
# Neither is about the vault, and both are slow to compile.
LEFT_OUT = ("tests/contracts/AaveV3StrategyTest.t.sol", "tests/contracts/gas")
UNIT = ("--no-match-path", "tests/contracts/invariants/*")
CAMPAIGN = ("--match-path", "tests/contracts/invariants/*")
PATIENCE = 6.0
CAUGHT = ("killed", "endless")

ENVIRONMENT: Mapping[str, str] = {
    # Tests then load the vault's code when they run, and need not be compiled again for each mutant.
    "FOUNDRY_DYNAMIC_TEST_LINKING": "true",
    # No metadata in the code, so that equal code is seen to be equal.
    "FOUNDRY_BYTECODE_HASH": "none",
    "FOUNDRY_CBOR_METADATA": "false",
    "FOUNDRY_LINT_LINT_ON_BUILD": "false",
}
FEW_RUNS = {"FOUNDRY_FUZZ_RUNS": "24", "FOUNDRY_INVARIANT_RUNS": "24", "FOUNDRY_INVARIANT_DEPTH": "64"}
# Tests that are likely to notice a fault in a function, beside one that is named like it.
RELATED: Mapping[str, str] = {
    "_checkCaps": "Caps",
    "_setCaps": "Caps",
    "_checkIdleFloor": "IdleFloor",
    "_spendTurnover": "Budgets",
    "_checkOutcome": "Budgets,FlashDeposit,Drawdown",
    "_books": "PerformanceFee",
    "_accrue": "PerformanceFee",
    "_settle": "PerformanceFee",
    "_feeRate": "PerformanceFee",
    "_markAt": "SharePrice",
    "_startMark": "SharePrice",
    "_drawdownFloor": "Drawdown",
    "_checkTradable": "Drawdown",
    "_trip": "Drawdown",
    "_room": "Deposit",
    "_openRoom": "Deposit",
    "_openForDeposit": "Deposit,FlashDeposit",
    "_enter": "Deposit,Tokens",
    "_leave": "Withdraw,Drawdown",
    "_pull": "Withdraw",
    "_withdrawable": "Withdraw",
    "_liquid": "Withdraw",
    "_handOut": "InKind",
    "_value": "Quarantine,SharePrice",
    "_setLimit": "Governance",
    "_limit": "Governance",
    "_within": "Governance",
    "readText": "Lens",
    "tryTransfer": "InKind",
    "callUint": "Withdraw",
    "readUint": "Quarantine",
    "constructor": "Roles",
}


def mutation(options: Options, say: Say) -> Findings:
    """Plant faults, and count those that the tests catch.

    Raises
    ------
    ToolFailedError
        The contracts do not compile, or the tests do not pass without any fault.
    ReviewError
        The list of explained survivors is malformed.
    """
    explained = load_explained(EXPLAINED)
    say("compiling the scratch copies and running the tests without a fault")
    with ThreadPoolExecutor(options.jobs) as pool:
        benches = list(pool.map(Bench, range(options.jobs)))
    every = benches[0].mutants()
    chosen = sample(every, options.mutants, options.seed)
    free: SimpleQueue[Bench] = SimpleQueue()
    for bench in benches:
        free.put(bench)

    def judge(mutant: Mutant) -> str:
        bench = free.get()
        try:
            return bench.judge(mutant)
        finally:
            free.put(bench)

    verdicts: dict[Mutant, str] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(judge, mutant): mutant for mutant in chosen}
        try:
            for future in as_completed(running):
                verdicts[running[future]] = future.result()
                caught = sum(verdict in CAUGHT for verdict in verdicts.values())
                survived = sum(verdict == "survived" for verdict in verdicts.values())
                say(f"{len(verdicts)} of {len(chosen)} mutants: {caught} caught, {survived} survive")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return _findings(every, chosen, verdicts, explained)


def _findings(
    every: Sequence[Mutant], chosen: Sequence[Mutant], verdicts: Mapping[Mutant, str], explained: Mapping[str, str]
) -> Findings:
    survivors = [mutant for mutant in chosen if verdicts[mutant] == "survived"]
    killed = sum(verdict in CAUGHT for verdict in verdicts.values())
    endless = sum(verdict == "endless" for verdict in verdicts.values())
    valid = killed + len(survivors)
    score = killed / valid if valid else None
    notes = [f"a sample of {len(chosen)} of {len(every)} mutants; `--all` tries every one"] * (len(chosen) < len(every))
    if valid:
        low, high = wilson(killed, valid)
        notes.append(f"95 % interval of the score: {low:.1%} to {high:.1%}")
    if endless:
        notes.append(f"caught because they run for ever: {endless}")
    for mutant in survivors:
        reason = explained.get(key(mutant))
        notes.append(f"survives{'' if reason else ', unexplained'}: {mutant}" + (f" ({reason})" if reason else ""))
    figures = {
        "mutants": valid,
        "mutants_killed": killed,
        "mutants_unexplained": sum(key(mutant) not in explained for mutant in survivors),
        "mutation_score": score,
    }
    listed = [{**asdict(mutant), "explanation": explained.get(key(mutant))} for mutant in survivors]
    return Findings(figures, notes, {"mutants_possible": len(every), "survivors": listed})


class Bench:
    """A scratch copy of the project in which one mutant at a time is compiled and tested.

    Raises
    ------
    ToolFailedError
        The project does not compile, or its tests fail without a fault.
    """

    def __init__(self, number: int) -> None:
        self._root = workspace(f"mutation-{number}", ["contracts", "tests/contracts"])
        for name in LEFT_OUT:
            _remove(self._root / name)
        self._sources = {file: (self._root / file).read_bytes() for file in MUTATED}
        run(["forge", "build", "--ast", "--silent"], cwd=self._root, env=ENVIRONMENT)
        self._code = self._compiled()
        # Without a fault, and so with nothing to compile: how long each round lasts.
        self._seconds = {round_: self._timed(round_) for round_ in (UNIT, CAMPAIGN)}

    def mutants(self) -> list[Mutant]:
        """All mutants of the mutated files."""
        return [mutant for file in MUTATED for mutant in find(file, self._sources[file], self._tree(file))]

    def judge(self, mutant: Mutant) -> str:
        """Return `killed`, `endless`, `survived`, `invalid` (does not compile) or `same` (no fault)."""
        path = self._root / mutant.file
        path.write_bytes(mutant.apply(self._sources[mutant.file]))
        try:
            try:
                run(["forge", "build", "--ast", "--silent"], cwd=self._root, env=ENVIRONMENT)
            except ToolFailedError:
                return "invalid"
            if self._compiled() == self._code:
                return "same"
            for arguments, seconds in (
                (("--match-path", related(mutant)), self._seconds[UNIT]),
                (UNIT, self._seconds[UNIT]),
                (CAMPAIGN, self._seconds[CAMPAIGN]),
            ):
                verdict = self._verdict(arguments, seconds)
                if verdict != "survived":
                    return verdict
            return "survived"
        finally:
            path.write_bytes(self._sources[mutant.file])

    def _verdict(self, arguments: Sequence[str], seconds: float) -> str:
        for _ in range(2):  # a machine may be slow for a while
            try:
                return "killed" if self._test(arguments, good=(0, 1), timeout=PATIENCE * seconds) else "survived"
            except ToolTimeoutError:
                continue
        return "endless"

    def _timed(self, arguments: Sequence[str]) -> float:
        began = time.monotonic()
        self._test(arguments, good=(0,), timeout=None)
        return time.monotonic() - began

    def _test(self, arguments: Sequence[str], good: Sequence[int], timeout: float | None) -> int:
        command = ["forge", "test", "--ast", "--fail-fast", "-j", "1", *arguments]
        settings = {**ENVIRONMENT, **FEW_RUNS}
        return run(command, cwd=self._root, env=settings, good=good, timeout=timeout).returncode

    def _artifact(self, file: str) -> dict[str, object]:
        name = Path(file).stem
        artifact = self._root / f".forge/out/{name}.sol/{name}.json"
        loaded: dict[str, object] = json.loads(artifact.read_text(encoding="utf-8"))
        return loaded

    def _tree(self, file: str) -> dict[str, object]:
        tree = self._artifact(file)["ast"]
        if not isinstance(tree, dict):
            raise AuditError(f"Forge wrote no syntax tree for {file}.")
        return tree

    def _compiled(self) -> dict[str, object]:
        """Code of what is deployed; the libraries are inlined into it, or into the lens."""
        files = ("contracts/Vault.sol", "contracts/lens/VaultLens.sol")
        return {file: self._artifact(file)["bytecode"] for file in files}


def related(mutant: Mutant) -> str:
    """Return a glob of the test files that are most about a mutant's function: only a guess, which saves time."""
    names = RELATED.get(mutant.where, f"{mutant.where[:1].upper()}{mutant.where[1:]},Rebalance,Withdraw")
    own = f"{Path(mutant.file).stem}," if mutant.file != MUTATED[0] else ""
    return f"tests/contracts/{{{own}{names}}}Test.t.sol"


def sample(mutants: Sequence[Mutant], size: int | None, seed: int) -> list[Mutant]:
    """Return `size` of the mutants, without replacement, the same ones for the same seed; all of them for None."""
    if size is None or size >= len(mutants):
        return list(mutants)
    chosen = np.random.default_rng(seed).choice(len(mutants), size, replace=False)
    return [mutants[i] for i in sorted(chosen)]


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927)."""
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return centre - half, centre + half


def key(mutant: Mutant) -> str:
    """A name for a mutant that stays when lines move."""
    return f"{Path(mutant.file).name} {mutant.where}: {mutant.before} => {mutant.after}"


def load_explained(path: Path) -> dict[str, str]:
    """Read the explained survivors: reasons by `key`.

    Raises
    ------
    ReviewError
        An entry lacks its mutant or its reason.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
        explained = {entry["mutant"]: entry["reason"].strip() for entry in entries}
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
        raise ReviewError(f"{path.name}: every [[survivor]] needs mutant and reason ({error!r}).") from error
    if not all(explained.values()):
        raise ReviewError(f"{path.name}: a survivor without a reason is not explained.")
    return explained


def _remove(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
