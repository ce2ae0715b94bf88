"""README and docs name files, links, commands, options, targets and modules: each of them exists."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from agent.cli import cli as agent
from keeper.cli import main as keeper
from scripts import deploy, devnet, inspect

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
ROOMS = ("agent", "contracts", "docs", "examples", "keeper", "scripts", "snapshots", "tests", "tools")
COMMANDS: dict[str, click.Command] = {
    "agent": agent,
    "keeper": keeper,
    "ape run deploy": deploy.cli,
    "ape run devnet": devnet.cli,
    "ape run inspect": inspect.cli,
}
"""Programs whose words are checked: of `ape` the project's own commands, of `make` the targets."""
OF_APE = {"--network", "--account"}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def spans(page: Path) -> list[str]:
    """Everything between back-ticks in the prose."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def commands(page: Path) -> Iterator[str]:
    """Every line of the page's shell blocks, continued lines joined, and every span: what may be a command."""
    for language, block in FENCE.findall(page.read_text()):
        if language in ("sh", "bash"):
            yield from re.sub(r"\\\n\s*", "", block).splitlines()
    yield from spans(page)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Relative links of a page to no file, or to no heading of it."""
    broken = []
    for target in (first or second for first, second in LINK.findall(prose(page))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


def missing_files(page: Path) -> list[str]:
    """Paths of the repository, in prose, that do not exist."""
    paths = [span for span in spans(page) if re.fullmatch(rf"(?:{'|'.join(ROOMS)})/[\w./-]*", span)]
    return [path for path in paths if not (ROOT / path).exists()]


def missing_modules(page: Path) -> list[str]:
    """Dotted names in prose that are no module, nor anything in one."""
    names = [span for span in spans(page) if re.fullmatch(r"(?:agent|keeper|scripts|tools)(?:\.\w+)+", span)]
    return [name for name in names if not (name.endswith((".toml", ".json", ".sqlite")) or resolves(name))]


@cache
def resolves(name: str) -> bool:
    """Whether there is such a module, or a thing of that name in its module. A module is found, and not imported."""
    parent, _, last = name.rpartition(".")
    if not parent:
        return importlib.util.find_spec(name) is not None
    if not resolves(parent):
        return False
    found = importlib.util.find_spec(parent)
    if found is not None and found.submodule_search_locations and importlib.util.find_spec(name) is not None:
        return True
    return hasattr(importlib.import_module(parent), last)


def unknown_targets(page: Path) -> list[str]:
    """Targets of `make`, in code, that the Makefile does not have."""
    known = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = (target for line in commands(page) for target in re.findall(r"^make ([a-z0-9-]+)", line.strip()))
    return [target for target in named if target not in known]


def wrong_commands(page: Path) -> list[str]:
    """Commands of ours, in code, with a subcommand or an option that they do not have."""
    wrong = []
    for line in commands(page):
        for call in re.findall(r"(?:^|\$\(|&& |\| )((?:agent|keeper|ape run \w+) [^|)]*)", line.strip()):
            words = shlex.split(call, comments=True)
            fault = _fault(words)
            if fault is not None:
                wrong.append(f"{call.strip()}: {fault}")
    return wrong


def _fault(words: list[str]) -> str | None:
    """The first word that the command does not know, if any."""
    name, words = (" ".join(words[:3]), words[3:]) if words[0] == "ape" else (words[0], words[1:])
    command: click.Command | None = COMMANDS.get(name)
    if command is None:
        return name
    known = _options(command)
    for word in words:
        if word.startswith("-"):
            if word.partition("=")[0] not in known:
                return word
        elif isinstance(command, click.Group) and not word[0].isupper():
            if word not in command.commands:
                if word.endswith(".toml"):  # keeper --config FILE ...
                    continue
                return word
            command = command.commands[word]
            known |= _options(command)
    return None


def _options(command: click.Command) -> set[str]:
    """Options that a command takes; Ape adds its own when it runs one."""
    return {"--help", *OF_APE} | {option for parameter in command.params for option in parameter.opts}


@every_page
def test_page__every_link__leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@every_page
def test_page__every_path__exists(page: Path) -> None:
    assert missing_files(page) == []


@every_page
def test_page__every_module__imports(page: Path) -> None:
    assert missing_modules(page) == []


@every_page
def test_page__every_make_target__is_in_the_makefile(page: Path) -> None:
    assert unknown_targets(page) == []


@every_page
def test_page__every_command__is_known_with_its_options(page: Path) -> None:
    assert wrong_commands(page) == []


def test_pages__are_all_in_the_site() -> None:
    listed = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text())
    assert set(listed) == {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}


def test_readme__the_test_command__is_what_ci_runs() -> None:
    assert "make test " in (ROOT / "README.md").read_text()
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_checks__a_page_with_one_fault_of_each_kind__finds_each(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](#here) [b](#gone) [c](gone.md) `agent/gone.py` `agent.cli` `agent.gone` `agent.cli.gone`\n"
        "`make gone`, `make test`, `agent gone`, `keeper once --gone`\n"
        "```sh\nagent train --preset demo \\\n    --gone 1   # --comment\nape run deploy --seed 1 --network x --away\n"
        "X=$(keeper keystore old --out k.json | grep x)\nkeeper --config k.toml once --live\n```\n"
    )
    assert broken_links(page) == ["#gone", "gone.md"]
    assert missing_files(page) == ["agent/gone.py"]
    assert missing_modules(page) == ["agent.gone", "agent.cli.gone"]
    assert unknown_targets(page) == ["gone"]
    assert [fault.rpartition(": ")[2] for fault in wrong_commands(page)] == [
        "--gone",
        "--away",
        "old",
        "gone",
        "--gone",
    ]
