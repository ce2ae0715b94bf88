"""`make structure`: the house in figures: files, lines, imports, arrows between rooms, circles, single importers.

Counts every tracked Python file of `agent`, `keeper`, `scripts` and `tools`, and the lines of `contracts`. A room is a
package at the second level (`agent.vault`), or the whole of `scripts` or `tools`. The order of the rooms, from the
bottom up, is the one that `pyproject.toml` gives to import-linter, which `make lint` enforces; an arrow that runs back
up is an import against it.
"""

from __future__ import annotations

import ast
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import grimp
import networkx
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("agent", "keeper", "scripts", "tools")


@dataclass(frozen=True)
class Structure:
    """The figures of one tree."""

    python_files: int
    python_lines: int
    solidity_lines: int
    import_lines: int
    modules_with_one_importer: int
    arrows_between_rooms: int
    circles: int

    @property
    def import_share(self) -> float:
        """Share of the Python lines that are import statements."""
        return self.import_lines / max(1, self.python_lines)


def measure(root: Path = ROOT) -> Structure:
    """Measure the tree under `root`, which must be importable (the project's own, or one on `sys.path`)."""
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    texts = [file.read_text(encoding="utf-8") for file in files]
    graph = grimp.build_graph(*PACKAGES, include_external_packages=False, cache_dir=None)
    importers = {module: graph.find_modules_that_directly_import(module) for module in graph.modules}
    arrows = {
        (room(importer), room(module))
        for module, found in importers.items()
        for importer in found
        if room(importer) != room(module)
    }
    return Structure(
        python_files=len(files),
        python_lines=sum(text.count("\n") for text in texts),
        solidity_lines=sum(file.read_text().count("\n") for file in _sources(root)),
        import_lines=sum(map(import_lines, texts)),
        modules_with_one_importer=sum(len(found) == 1 for found in importers.values()),
        arrows_between_rooms=len(arrows),
        circles=len(circles(graph)),
    )


def _sources(root: Path) -> list[Path]:
    return [file for file in (root / "contracts").rglob("*.sol") if ".cache" not in file.parts]  # Ape's copies


def room(module: str) -> str:
    """Room of a module: `agent.vault.limits` is in `agent.vault`, `tools.audit.slither` in `tools`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in ("agent", "keeper") else parts[0]


def import_lines(text: str) -> int:
    """Count the lines of a source that belong to import statements, wherever they stand."""
    statements = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom))
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in statements)


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Sets of modules that import one another, directly or not."""
    arrows = networkx.DiGraph(
        (module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)
    )
    return [sorted(found) for found in networkx.strongly_connected_components(arrows) if len(found) > 1]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def cli(as_json: bool) -> None:
    """Print the house in figures. Arrows that run back up fail `make lint`."""
    found = measure()
    if as_json:
        click.echo(json.dumps({**asdict(found), "import_share": round(found.import_share, 4)}, indent=1))
        return
    table = Table("figure", "now", title="The house in figures")
    for name, value in asdict(found).items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    table.add_row("share of import lines", f"{found.import_share:.1%}")
    Console().print(table)


if __name__ == "__main__":
    cli()
