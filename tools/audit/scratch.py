"""A bench for mutants: a scratch copy of the project in which one fault at a time is compiled and tested."""

import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.audit.errors import AuditError, ToolFailedError, ToolTimeoutError
from tools.audit.mutants import Mutant, find
from tools.audit.tools import run, workspace

MUTATED = (
    "contracts/Vault.sol",
    "contracts/libraries/Bucket.sol",
    "contracts/libraries/HighWaterMark.sol",
    "contracts/libraries/BoundedCall.sol",
)
# Neither is about the vault, and both are slow to compile.
LEFT_OUT = ("tests/contracts/AaveV3StrategyTest.t.sol", "tests/contracts/gas")
HARNESS = "tests/contracts/utils/VaultHarness.sol"
# Of the suites that run for several decimals, one is enough to find most faults; the others come after it.
FIRST = ("--no-match-contract", "[^1](0|6|8)$|24$")
CAMPAIGNS = "tests/contracts/invariants/*"
UNIT = (*FIRST, "--no-match-path", CAMPAIGNS)
DECIMALS = ("--match-contract", FIRST[1], "--no-match-path", CAMPAIGNS)
CAMPAIGN = ("--match-path", CAMPAIGNS)
PATIENCE = 6.0

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
    "constructor": "Roles,Governance,IdleFloor,Budgets",
}


class Bench:
    """A scratch copy of the project in which one mutant at a time is compiled and tested.

    Raises
    ------
    ToolFailedError
        The project does not compile, or its tests fail without a fault.
    """

    def __init__(self, number: int) -> None:
        self._root = workspace(f"mutation-{number}", ["contracts", "tests/contracts"])
        (self._root / LEFT_OUT[0]).unlink()
        shutil.rmtree(self._root / LEFT_OUT[1])
        self._move_harness()
        self._sources = {file: (self._root / file).read_bytes() for file in MUTATED}
        self._code = self._compile(ENVIRONMENT)
        self._optimized = self._compile(OPTIMIZED, "contracts")
        # Without a fault, and so with nothing to compile: how long each round lasts.
        self._seconds = {round_: self._timed(round_) for round_ in (UNIT, DECIMALS, CAMPAIGN)}

    def _move_harness(self) -> None:
        """Put the vault's harness among the contracts, which tests load when they run.

        What inherits from the vault must be compiled with it, and so must whoever imports that: every test.
        """
        harness = self._root / HARNESS
        source = harness.read_text(encoding="utf-8").replace("../../../contracts/Vault.sol", "./Vault.sol")
        (self._root / "contracts" / harness.name).write_text(source, encoding="utf-8")
        harness.unlink()
        for test in (self._root / "tests/contracts").rglob("*.sol"):
            text = re.sub(
                rf'"[./]*/utils/{harness.name}"', f'"contracts/{harness.name}"', test.read_text(encoding="utf-8")
            )
            test.write_text(text, encoding="utf-8")

    def mutants(self) -> list[Mutant]:
        """All mutants of the mutated files."""
        return [mutant for file in MUTATED for mutant in find(file, self._sources[file], self._tree(file))]

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
            for arguments, seconds in (
                ((*FIRST, "--match-path", related(mutant)), self._seconds[UNIT]),
                *self._seconds.items(),
            ):
                verdict = self._verdict(arguments, seconds)
                if verdict != "survived":
                    return verdict
            return "same" if self._compile(OPTIMIZED, "contracts") == self._optimized else "survived"
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
        command = ["forge", "test", "--fail-fast", "-j", "1", *arguments]
        settings = {**ENVIRONMENT, **FEW_RUNS}
        return run(command, cwd=self._root, env=settings, good=good, timeout=timeout).returncode

    def _compile(self, env: Mapping[str, str], *folders: str) -> list[object]:
        """Compile, and return the code of what is deployed; the libraries are inlined into it, or into the lens."""
        run(["forge", "build", *folders, "--silent"], cwd=self._root, env=env)
        out = env.get("FOUNDRY_OUT", ".forge/out")
        return [self._artifact(out, name)["bytecode"] for name in ("Vault", "VaultLens")]

    def _artifact(self, out: str, name: str) -> dict[str, object]:
        artifact = self._root / out / f"{name}.sol/{name}.json"
        loaded: dict[str, object] = json.loads(artifact.read_text(encoding="utf-8"))
        return loaded

    def _tree(self, file: str) -> dict[str, object]:
        tree = self._artifact(OPTIMIZED["FOUNDRY_OUT"], Path(file).stem)["ast"]
        if not isinstance(tree, dict):
            raise AuditError(f"Forge wrote no syntax tree for {file}.")
        return tree


def related(mutant: Mutant) -> str:
    """Return a glob of the test files that are most about a mutant's function: only a guess, which saves time."""
    names = RELATED.get(mutant.where, f"{mutant.where[:1].upper()}{mutant.where[1:]},Rebalance,Withdraw")
    own = f"{Path(mutant.file).stem}," if mutant.file != MUTATED[0] else ""
    return f"tests/contracts/{{{own}{names}}}Test.t.sol"
