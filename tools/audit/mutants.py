"""Small faults to plant in a contract, found in the compiler's syntax tree: a mutant is one replaced piece of text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Node = Mapping[str, Any]

# The replacements of each operator: boundary first, then negation.
OPERATORS: Mapping[str, Sequence[str]] = {
    operator: others.split()
    for operator, others in {
        **{"<": "<= >", "<=": "< >", ">": ">= <", ">=": "> <", "==": "!=", "!=": "=="},
        **{"+": "-", "-": "+", "*": "/", "/": "*", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "&&": "||", "||": "&&"},
    }.items()
}
ASSIGNMENTS = {"+=": "-=", "-=": "+=", "|=": "&="}
# Members of OpenZeppelin's Math that have an opposite.
OPPOSITES = {"min": "max", "max": "min", "Floor": "Ceil", "Ceil": "Floor"}


@dataclass(frozen=True)
class Mutant:
    """A fault: in `file`, the bytes from `start` to `end` become `new`.

    Attributes
    ----------
    kind
        `comparison`, `arithmetic`, `logic`, `require`, `condition`, `constant`, `statement`, `assignment`, `increment`,
        `opposite` or `modifier`.
    where
        Name of the function around it.
    line
        Line of `start`, from 1.
    old, new
        The replaced text, and its replacement.
    before, after
        The whole lines around it, without and with the fault, in one line: they tell one `<` from another.
    """

    file: str
    where: str
    kind: str
    start: int
    end: int
    line: int
    old: str
    new: str
    before: str
    after: str

    @property
    def key(self) -> str:
        """A name that stays when lines move; the list of explained survivors uses it."""
        return f"{self.file.split('/')[-1]} {self.where}: {self.before} => {self.after}"

    def apply(self, source: bytes) -> bytes:
        """Return the source with the fault in it."""
        return source[: self.start] + self.new.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.file.split('/')[-1]}:{self.line} {self.kind}: `{self.before}` becomes `{self.after}`"


def find(file: str, source: bytes, tree: Node) -> list[Mutant]:
    """Return every mutant of a source file, in the order of the text; `tree` is its AST from the compiler."""
    found = {(m.start, m.end, m.new): m for where, node in _walk(tree) for m in _of_node(file, where, source, node)}
    return [found[key] for key in sorted(found)]


def _walk(node: object, where: str = "") -> Iterator[tuple[str, Node]]:
    """Yield every node that may be mutated, with the name of the function around it."""
    if isinstance(node, dict):
        if node.get("nodeType") in ("InlineAssembly", "ErrorDefinition", "EventDefinition", "ImportDirective"):
            return
        if node.get("nodeType") == "FunctionDefinition":
            where = node["name"] or node["kind"]
        yield where, node
        for child in node.values():
            yield from _walk(child, where)
    elif isinstance(node, list):
        for child in node:
            yield from _walk(child, where)


def _of_node(file: str, where: str, source: bytes, node: Node) -> Iterator[Mutant]:
    def mutant(kind: str, span: tuple[int, int], new: str) -> Mutant:
        start, end = span
        line = source.count(b"\n", 0, start) + 1
        first, last = source.rfind(b"\n", 0, start) + 1, source.find(b"\n", end)
        head, old, tail = (source[i:j].decode() for i, j in ((first, start), (start, end), (end, last)))
        before, after = (" ".join((head + text + tail).split()) for text in (old, new))
        return Mutant(file, where, kind, start, end, line, old, new, before, after)

    match node.get("nodeType"):
        case "BinaryOperation":
            for new in OPERATORS.get(node["operator"], ()):
                yield mutant(_kind(node["operator"]), _operator(source, node), new)
        case "Assignment":
            if node["operator"] in ASSIGNMENTS:
                span = _operator(source, node, "leftHandSide", "rightHandSide")
                yield mutant("assignment", span, ASSIGNMENTS[node["operator"]])
        case "UnaryOperation":
            start, end = _span(node)
            text = source[start:end].decode()
            if node["operator"] in ("++", "--"):
                new = text.replace(node["operator"], "--" if node["operator"] == "++" else "++")
                yield mutant("increment", (start, end), new)
            elif node["operator"] == "!":
                yield mutant("logic", (start, end), text.removeprefix("!"))
        case "Literal":
            if node.get("kind") == "number":
                start, end = _span(node)
                number = source[start:end].decode()
                yield mutant("constant", (start, end), "1" if number == "0" else f"({number} + 1)")
            elif node.get("kind") == "bool":
                yield mutant("constant", _span(node), "false" if node["value"] == "true" else "true")
        case "IfStatement":
            for new in ("true", "false"):
                yield mutant("condition", _span(node["condition"]), new)
        case "ExpressionStatement":
            start, end = _span(node)
            end += source[end : end + 1] == b";"
            kind = "require" if source[start:end].startswith(b"require") else "statement"
            yield mutant(kind, (start, end), "")
        case "EmitStatement":
            start, end = _span(node)
            yield mutant("statement", (start, end + (source[end : end + 1] == b";")), "")
        case "MemberAccess":
            new_name = OPPOSITES.get(node["memberName"])
            of_math = node["expression"].get("name") == "Math" or node["expression"].get("memberName") == "Rounding"
            if new_name and of_math:
                end = _span(node)[1]
                yield mutant("opposite", (end - len(node["memberName"]), end), new_name)
        case "ModifierInvocation":
            if node.get("kind") == "modifierInvocation":
                yield mutant("modifier", _span(node), "")


def _kind(operator: str) -> str:
    if operator in ("&&", "||"):
        return "logic"
    return "comparison" if operator in ("<", "<=", ">", ">=", "==", "!=") else "arithmetic"


def _span(node: Node) -> tuple[int, int]:
    start, length, _ = map(int, node["src"].split(":"))
    return start, start + length


def _operator(
    source: bytes, node: Node, left: str = "leftExpression", right: str = "rightExpression"
) -> tuple[int, int]:
    """Find the operator between its operands, past closing brackets."""
    begin, end = _span(node[left])[1], _span(node[right])[0]
    at = source.index(node["operator"].encode(), begin, end)
    return at, at + len(node["operator"])
