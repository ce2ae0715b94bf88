"""The mutation score: how many small faults in the vault and its libraries the Forge tests notice.

Each mutant is compiled and tested in a scratch copy, in rounds: first the tests that are most about the function it is
in, then all unit tests, both with few fuzz runs, then a short invariant campaign. `make test` does more of each, so the
score is on the low side. A mutant that does not compile, or compiles to the same code, is no mutant. Survivors must be
killed by a new test or explained in a reviewed list; explained or not, they count as survivors.

A mutant that makes a round last `PATIENCE` times as long as it does without a fault, twice, runs for ever and is
caught. How many there were is noted.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from tools.audit.errors import ReviewError
from tools.audit.mutants import Mutant
from tools.audit.part import Findings, Options, Say
from tools.audit.scratch import Bench

CAUGHT = ("killed", "endless")
EXPLAINED = Path(__file__).with_name("survivors.toml")


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
                mutant = running[future]
                verdicts[mutant] = future.result()
                if verdicts[mutant] == "survived":
                    say(f"survives: {mutant}", lasting=True)
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
