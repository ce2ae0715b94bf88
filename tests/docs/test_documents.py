"""The documents name tests: each of them exists."""

import re
from pathlib import Path

from scripts.protocols.artifacts import ROOT

NAMED = re.compile(r"`(\w+)\.((?:test|testFuzz|invariant)_\w+)`")
FILES: dict[str, str] = {}
for path in (ROOT / "tests").rglob("*"):
    if path.suffix in (".py", ".sol"):  # two rooms may have a file of the same name
        FILES[path.name.split(".")[0]] = FILES.get(path.name.split(".")[0], "") + path.read_text()


def _missing(document: Path) -> list[str]:
    missing = []
    for file, name in NAMED.findall(document.read_text()):
        text = FILES.get(file, "")
        if not re.search(rf"(?:def|function) {name}\(", text):
            missing.append(f"{file}.{name}")
    return missing


def test_security__every_test_that_is_named__exists() -> None:
    document = ROOT / "docs" / "SECURITY.md"
    assert len(NAMED.findall(document.read_text())) > 60
    assert _missing(document) == []


def test_missing__a_test_that_does_not_exist__is_told(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(
        "`test_documents.test_security__every_test_that_is_named__exists`, `CapsTest.test_no`, `No.test_x`"
    )
    assert _missing(document) == ["CapsTest.test_no", "No.test_x"]
