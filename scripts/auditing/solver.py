"""The SMT solver of the proofs: two solvers side by side, with the command line that halmos expects.

Runs under the Python of the audit tools. Prints `unsat` (proved), `sat` with a model (a counterexample), or `unknown`.
Two steps make proofs short and cannot make them wrong. A query is a conjunction: where a part of it has no solution,
the whole has none. So parts are tried first, each for a moment: the path up to each of its branches, and the path
without its divisions (which mostly come from overflow checks). And `x mod y` is written `x` where `x < y`, which keeps
512-bit remainders out of the way.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

BIN = Path(sys.executable).parent
YICES = (str(BIN / "yices-smt2"),)
BITWUZLA = (
    sys.executable,
    "-c",
    "import sys, bitwuzla as b; o = b.Options(); o.set(b.Option.PRODUCE_MODELS, True);"
    "b.Parser(b.TermManager(), o).parse(sys.argv[1])",
)
MOMENT, LONG = 3.0, 80.0
"""Seconds for a part, and for the whole."""


def main(path: Path) -> None:
    """Solve one SMT-LIB file, as halmos writes them."""
    text = path.read_text(encoding="utf-8").replace("(bvurem x y)", "(ite (bvult x y) x (bvurem x y))")
    head, asserts = split(text)
    with tempfile.TemporaryDirectory() as folder:
        query = Path(folder) / "query.smt2"
        for part in parts(asserts):
            query.write_text("\n".join((head, *part, "(check-sat)")), encoding="utf-8")
            if race(query, MOMENT).startswith("unsat"):
                print("unsat")
                return
        query.write_text(
            text.replace("(set-logic QF_AUFBV)", "(set-option :produce-models true)\n(set-logic QF_AUFBV)")
        )
        print(race(query, LONG) or "unknown")


def split(text: str) -> tuple[str, list[str]]:
    """Return what stands before a query's asserts, and the asserts."""
    head, *rest = re.split(r"^(?=\(assert\b)", text, flags=re.MULTILINE)
    at = rest[-1].find("(check-sat)")
    return head, [*rest[:-1], rest[-1][:at]]


def parts(asserts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the parts of a conjunction that are worth a try."""
    plain = [text for text in asserts if "bvudiv" not in text]
    yield plain
    for end in range(1, len(asserts)):
        if "mul" in asserts[end - 1]:
            yield asserts[:end]
            yield [text for text in asserts[: end - 1] if "bvudiv" not in text] + [asserts[end - 1]]


def race(query: Path, seconds: float) -> str:
    """Let both solvers run at a query; return the answer of the first that has one, nothing when time runs out."""
    racers = [
        subprocess.Popen([*solver, str(query)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for solver in (YICES, BITWUZLA)
    ]
    end = time.monotonic() + seconds
    waiting = list(racers)
    try:
        while waiting and time.monotonic() < end:
            for racer in [racer for racer in waiting if racer.poll() is not None]:
                waiting.remove(racer)
                answer = racer.communicate()[0].strip()
                if answer.startswith(("sat", "unsat")):
                    return answer
            time.sleep(0.01)
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
