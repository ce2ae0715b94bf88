"""`agent report`: the page of a walk-forward."""

from __future__ import annotations

from pathlib import Path

import click

from agent.commands.common import print_json


@click.command()
@click.argument("results", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder. [default: RESULTS/report]")
@click.option(
    "--scenario", type=click.IntRange(min=0), default=0, show_default=True, help="Scenario to draw, from zero."
)
@click.option("--json", "as_json", is_flag=True, help="Print where everything is as JSON.")
def report(results: Path, out: Path | None, scenario: int, as_json: bool) -> None:
    """Write a page (index.html), its pictures (PNG) and report.json for the walk-forward in the folder RESULTS."""
    from agent.evaluation.report import write_report

    written = write_report(results, results / "report" if out is None else out, scenario)
    if as_json:
        print_json(
            {"page": str(written.page), "data": str(written.data), "pictures": [str(p) for p in written.pictures]}
        )
        return
    click.echo(f"page      {written.page}\ndata      {written.data}\npictures  {written.page.parent}/*.png")
