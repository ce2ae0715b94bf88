"""The SMT solver of the proofs: two solvers side by side, with the command line that halmos expects.

Runs under the Python of the audit tools. Prints `unsat` (proved), `sat` with a model (a counterexample), or `unknown`.
Three steps make proofs short and cannot make them wrong:

- Functions are written in a form that is easier on a solver and equal for every argument (`EASIER`).
- A query is a conjunction: where a part of it has no solution, the whole has none. So parts are tried first, each for a
  moment: the path up to each of its branches, and the path without its divisions (which mostly check for overflow).
- A quotient is replaced by an unknown of which only Euclid's inequalities are known (`without_divisions`). Whatever
  satisfies the query satisfies this weaker one, so where it has no solution, the query has none.

A `sat` is believed only of the whole query, with its divisions.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
YICES = (str(BIN / "yices-smt2"),)
BITWUZLA = (
    sys.executable,
    "-c",
    "import sys, bitwuzla as b; o = b.Options(); o.set(b.Option.PRODUCE_MODELS, True);"
    "b.Parser(b.TermManager(), o).parse(sys.argv[1])",
)
MOMENT, LONG = 3.0, 60.0
"""Seconds for a part, and for what is left when no part settles it."""
LAST = 110.0
"""Seconds after which this program ends by itself: halmos would end it, but not the solvers it started."""

# A product of two numbers of 128 bits needs no more than 256. A remainder is the number itself where that is smaller.
EASIER = {
    "(_ BitVec 512) (bvmul x y)": "(_ BitVec 512) (ite"
    " (and (= ((_ extract 511 128) x) (_ bv0 384)) (= ((_ extract 511 128) y) (_ bv0 384)))"
    " (concat (_ bv0 256) (bvmul ((_ extract 255 0) x) ((_ extract 255 0) y))) (bvmul x y))",
    "(bvurem x y)": "(ite (bvult x y) x (bvurem x y))",
}
LOGIC = "(set-logic QF_AUFBV)"


def main(path: Path) -> None:
    """Solve one SMT-LIB file, as halmos writes them."""
    end = time.monotonic() + LAST
    text = path.read_text(encoding="utf-8")
    for plain, easier in EASIER.items():
        text = text.replace(plain, easier)
    head, asserts = split(text)
    for part in parts(asserts):
        if race("\n".join((head, *part, "(check-sat)")), min(MOMENT, end - time.monotonic())).startswith("unsat"):
            print("unsat")
            return
    weaker = without_divisions("\n".join((head, *asserts)))
    if weaker and race(weaker, min(LONG, (end - time.monotonic()) / 2)).startswith("unsat"):
        print("unsat")
        return
    whole = text.replace(LOGIC, f"(set-option :produce-models true)\n{LOGIC}")
    print(race(whole, min(LONG, end - time.monotonic())) or "unknown")


def split(text: str) -> tuple[str, list[str]]:
    """Split a query into its declarations and its asserts.

    Raises
    ------
    ValueError
        The text is not a list of declarations, asserts and one `(check-sat)`, in this order.
    """
    head, *rest = re.split(r"^(?=\(assert\b)", text, flags=re.MULTILINE)
    if not rest or text.count("(check-sat)") != 1 or any("(declare-" in text or "(define-" in text for text in rest):
        raise ValueError("The query has not the form that halmos gives its queries.")
    return head, [*rest[:-1], rest[-1][: rest[-1].index("(check-sat)")]]


def parts(asserts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the parts of a conjunction that are worth a try."""
    plain = [text for text in asserts if "bvudiv" not in text]
    yield plain
    for end in range(1, len(asserts)):
        if "mul" in asserts[end - 1]:
            yield asserts[:end]
            yield [text for text in asserts[: end - 1] if "bvudiv" not in text] + [asserts[end - 1]]


def without_divisions(text: str) -> str | None:
    """Return a weaker query in which each quotient `q` of `x` and `y` is an unknown, or None where nothing is divided.

    Known of it is what holds of every quotient by something but 0: `q y <= x`, `x - q y < y` and `q <= x`.
    """
    import z3  # type: ignore[import-not-found]  # of the audit tools, not of the project

    def divisions(term: Any, seen: set[int]) -> Iterator[Any]:
        """Yield the divisions in a term, those within others first."""
        if term.get_id() in seen:
            return
        seen.add(term.get_id())
        for child in term.children():
            yield from divisions(child, seen)
        if term.decl().kind() in (z3.Z3_OP_BUDIV, z3.Z3_OP_BUDIV_I):
            yield term

    solver = z3.Solver()
    solver.from_string(text)
    goal = list(solver.assertions())
    count = 0
    while (division := next((found for part in goal for found in divisions(part, set())), None)) is not None:
        x, y = division.children()
        q = z3.BitVec(f"quotient_{count}", division.size())
        count += 1
        goal = [z3.substitute(part, (division, q)) for part in goal]
        goal.append(z3.Implies(y != 0, z3.And(z3.ULE(q * y, x), z3.ULT(x - q * y, y), z3.ULE(q, x))))
    if count == 0:
        return None
    weaker = z3.Solver()
    weaker.add(goal)
    return f"{LOGIC}\n{weaker.to_smt2()}"


def race(query: str, seconds: float) -> str:
    """Let both solvers run at a query; return the answer of the first that has one, nothing when time runs out."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "query.smt2"
        file.write_text(query, encoding="utf-8")
        racers = [
            subprocess.Popen([*solver, str(file)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
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
