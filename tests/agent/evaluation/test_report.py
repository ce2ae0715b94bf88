"""The page of a walk-forward: every picture is there, nothing is fetched, and page, pictures and JSON say the same."""

from __future__ import annotations

import base64
import json
import re
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from agent.cli import cli
from agent.errors import ResultsError
from agent.evaluation.evidence import results_of
from agent.evaluation.figures import FIGURES, STYLE
from agent.evaluation.promotion import Verdict
from agent.evaluation.report import percent, table_rows, write_report
from agent.evaluation.scores import Kept, Scores, load_scores, save_scores
from agent.evaluation.scoring import Leg, score, scored_rules
from agent.evaluation.stress import cases, outcome
from agent.evaluation.study import Scenario
from agent.observation.observe import Observation
from agent.units import FloatArray
from agent.vault.limits import Limits
from tests.agent.made_up import history_of
from tools.results.document import PICTURES, Published, write_results

ASKED_FOR = {"net-worth", "weights", "rates", "parts", "distribution", "headroom", "sweep"}
WARM_UP, ROWS = 10, 60


class Swaying:
    """Wants the best rate, with more or less of an error; it plays the learned policy."""

    digest = "0x0"

    def __init__(self, seed: int) -> None:
        self.name = f"seed {seed}"
        self._rng = np.random.default_rng(seed)

    def act(self, seen: Observation) -> FloatArray:
        return np.eye(seen.count)[(seen.rates + self._rng.normal(0, 0.01, seen.rates.shape)).argmax(-1)]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a walk-forward leaves it, in which three made-up policies play the seeds."""
    folder, rng = tmp_path_factory.mktemp("results"), np.random.default_rng(3)
    steps = rng.normal(0, 0.003, (WARM_UP + ROWS + 100, 3)).cumsum(0)
    history = history_of(np.abs(0.05 + steps), gas=3e-6)
    tested, path = history.part(100, len(history)), history.part(100, len(history))
    scores, limits = [], Limits.uniform(3)
    for scenario in (Scenario(1.0, 1e6), Scenario(5.0, 1e4), Scenario(1.0, 1e6, latency=1)):
        setting = scenario.setting(limits)
        seeds = tuple(
            score(f"seed {n}", [Leg(Swaying(n), ROWS - 1)], path, setting, warm_up=WARM_UP) for n in (1, 2, 3)
        )
        *baselines, ceiling = scored_rules([history.part(0, 90)], [ROWS - 1], tested, setting, WARM_UP)
        scores.append(Scores(scenario, seeds, tuple(baselines), ceiling))
    save_scores(folder, scores, names=history.names, rates=tested.rates[0, WARM_UP:])
    everybody = {each.policy: each for each in (*scores[0].seeds, scores[0].baseline("equal-weight"))}
    stress = [
        {"case": case.name, "kind": case.kind, "outcomes": {n: outcome(r, case, WARM_UP) for n, r in everybody.items()}}
        for case in cases(path, tested.days, WARM_UP)
    ]
    (folder / "stress.json").write_text(json.dumps(stress))
    (folder / "about.json").write_text(json.dumps(_about(history.names, history.days)))
    results_of(folder)
    return folder


def _about(names: tuple[str, ...], days: Any) -> dict[str, Any]:
    first, middle, last = (day.isoformat() for day in (days[110], days[140], days[-1]))
    whole = [days[0].isoformat(), days[89].isoformat()]
    data = {"source": "made-up.csv", "sha256": "00", "strategies": list(names), "rows": len(days)}
    return {
        "study": "made up",
        "preset": "none",
        "data": {**data, "first_day": whole[0], "last_day": last, "gas": "daily prices", "depth": False},
        "limits": {"relative_caps": [0.6, 0.6, 0.6], "idle_floor": 0.02},
        "folds": [{"train": whole, "test": test, "configuration": {}} for test in ([first, middle], [middle, last])],
        **{"purge": 1, "embargo": 5, "seeds": 3, "seconds_per_run": 1.0, "trials": 1, "steps": 0, "candidate": "0x0"},
    }


class _Page(HTMLParser):
    """Tables by their id, pictures by their figure's; and everything that names another address."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.pictures: dict[str, bytes] = {}
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self._table: list[list[str]] = []
        self._figure, self._in_cell = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = {name: value or "" for name, value in attrs}
        self.addresses += [value for name, value in given.items() if name in ("src", "href", "srcset", "data")]
        if tag == "table":
            self._table = self.tables[given["id"]] = []
        elif tag == "tr":
            self._table.append([])
        elif tag in ("td", "th"):
            self._table[-1].append("")
            self._in_cell = True
        elif tag == "figure":
            self._figure = given["id"]
        elif tag == "img":
            assert given["alt"]
            self.pictures[self._figure] = base64.b64decode(given["src"].removeprefix("data:image/png;base64,"))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self._table[-1][-1] += data


@pytest.fixture(scope="module")
def report(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    done = CliRunner().invoke(cli, ["report", str(results), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert {Path(each).stem for each in said["pictures"]} == ASKED_FOR
    assert all(Path(each).is_file() for each in (said["page"], said["data"], *said["pictures"]))
    return out


@pytest.fixture(scope="module")
def summary(report: Path) -> dict[str, Any]:
    return json.loads((report / "report.json").read_text())


@pytest.fixture(scope="module")
def page(report: Path) -> _Page:
    return _Page((report / "index.html").read_text())


@pytest.fixture(scope="module")
def kept(results: Path) -> Kept:
    return load_scores(results)


def _draw(name: str, kept: Kept, summary: dict[str, Any], scenario: int = 0) -> Figure:
    with matplotlib.rc_context(STYLE):
        return FIGURES[name][0](kept, summary, scenario)


def test_page__every_picture__is_in_it_and_beside_it(report: Path, page: _Page) -> None:
    assert set(page.pictures) == set(FIGURES) == ASKED_FOR
    for name, picture in page.pictures.items():
        assert picture == (report / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(set(picture)) > 100


def test_page__offline__fetches_and_runs_nothing(report: Path, page: _Page) -> None:
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not page.tags & {"script", "link", "iframe", "object", "video"}
    assert not re.search(r"https?:|@import|url\(", (report / "index.html").read_text())


def test_page__every_figure_of_the_tables__as_in_the_json(page: _Page, summary: dict[str, Any]) -> None:
    shown = summary["scenarios"][0]
    rows = table_rows(shown)
    assert {row["name"] for row in rows} == {"learned policy", "hindsight", *shown["baselines"]}
    for row, returns, trading in zip(rows, page.tables["returns"][1:], page.tables["trading"][1:], strict=True):
        assert returns[:5] == [
            row["name"],
            percent(row["log_growth"], 3),
            percent(row["annual_return"], 3),
            percent(row["total_return"], 3),
            percent(row["headroom_captured"], 1),
        ]
        sharpe = "-" if row["sharpe"] is None else f"{row['sharpe']:.1f} ± {row['sharpe_error']:.1f}"
        assert returns[5:7] == [sharpe, percent(row["max_drawdown"], 4)]
        assert returns[9] == percent(row["win_rate"], 1)
        assert returns[10] == (percent(row["test"]["excess"], 3, True) if row["test"] else "")
        assert trading[:2] == [row["name"], f"{row['trades']:.1f}"]
        assert trading[3:5] == [f"{row['gas_paid']:,.0f}", percent(row["gas_share"], 2)]
    assert [row[0] for row in page.tables["scenarios"][1:]] == [each["name"] for each in summary["scenarios"]]
    assert len(page.tables["stress"]) == 1 + len(summary["stress"])
    for table in page.tables.values():
        assert all(len(row) == len(table[0]) for row in table)


def test_document__every_table__as_in_the_json(report: Path, summary: dict[str, Any], tmp_path: Path) -> None:
    verdict = Verdict(**summary["scenarios"][0]["verdict"])
    tuning = {"mean_annual_growth_on_inner_folds": [[0.01, 0.02], [0.03, 0.04]]}
    out = write_results([Published("Made up", summary, verdict, report, tuning)], "make it", 3.0, tmp_path / "R.md")
    tables = [block.splitlines() for block in out.read_text().split("\n\n") if block.startswith("|")]
    every, first, *_, stress, folds = [[line.strip("| ").split(" | ") for line in table] for table in tables]
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
    for row, scenario in zip(every[2:], summary["scenarios"], strict=True):
        assert row[:2] == [scenario["name"], percent(scenario["policy"]["growth_iqm"]["value"], 3)]
        assert row[5] == percent(scenario["verdict"]["excess"], 3, True)
    for row, figures in zip(first[2:], table_rows(summary["scenarios"][0]), strict=True):
        assert row[0].strip("*") == figures["name"]
        assert row[1:3] == [percent(figures["log_growth"], 3), percent(figures["headroom_captured"], 1)]
    assert len(stress) == 2 + len(summary["stress"])
    assert folds[3][-1] == "3.000%, 4.000%"
    assert {file.name for file in (tmp_path / "results").iterdir()} == {f"made up-{name}.png" for name in PICTURES}


def test_summary__returns__compound(summary: dict[str, Any], kept: Kept) -> None:
    worth = kept.scores[0].equal_weight.net_worth[0]
    passive = summary["scenarios"][0]["baselines"]["equal-weight"]
    assert passive["total_return"] == pytest.approx(worth[-1] / worth[0] - 1.0)
    years = (worth.size - 1) / 365.25
    assert passive["annual_return"] == pytest.approx((worth[-1] / worth[0]) ** (1.0 / years) - 1.0, rel=1e-2)
    assert passive["annual_return"] == pytest.approx(np.expm1(passive["log_growth"]), rel=1e-9)


@pytest.mark.parametrize("name", sorted(ASKED_FOR))
@pytest.mark.parametrize("scenario", [0, 2])
def test_picture__axes_and_legend__say_what_they_show(
    name: str, scenario: int, kept: Kept, summary: dict[str, Any]
) -> None:
    figure = _draw(name, kept, summary, scenario)
    assert all(axes.get_title(loc="left") for axes in figure.axes)
    assert figure.axes[-1].get_xlabel()
    rows_are_named = name in ("headroom", "parts")
    assert all(axes.get_ylabel() or rows_are_named for axes in figure.axes)
    if rows_are_named:
        named = {label.get_text() for label in figure.axes[0].get_yticklabels()}
        assert {"learned policy", *summary["scenarios"][scenario]["baselines"]} <= named
    if name != "headroom":  # its bars are named at the axis
        assert figure.legends or figure.axes[0].get_legend()


def test_headroom__bars_intervals_and_numbers__as_in_the_json(kept: Kept, summary: dict[str, Any]) -> None:
    shown = summary["scenarios"][0]
    (axes,) = _draw("headroom", kept, summary).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    values = {name: row["headroom_captured"] for name, row in shown["baselines"].items()}
    own = shown["policy"]["headroom_iqm"]
    values["learned policy"] = own["value"]
    bars = dict(zip(names, axes.patches, strict=True))
    assert set(bars) == set(values)
    written = {text.get_text() for text in axes.texts}
    intervals = {round(line.get_ydata()[0]): line.get_xdata() for line in axes.lines if len(set(line.get_ydata())) == 1}
    for at, name in enumerate(names):
        assert bars[name].get_width() == pytest.approx(values[name])
        assert f"{values[name]:.1%}" in written
        assert at in intervals
    drawn = [line.get_xdata() for line in axes.lines if list(line.get_ydata()) == [names.index("learned policy")] * 2]
    assert list(drawn[0]) == pytest.approx([own["low"], own["high"]])
    room = shown["hindsight"]["log_growth"] - shown["baselines"]["equal-weight"]["log_growth"]
    for name, row in shown["baselines"].items():
        ends = next(line.get_xdata() for line in axes.lines if list(line.get_ydata()) == [names.index(name)] * 2)
        middle = shown["policy"]["headroom_captured"] - row["test"]["excess"] / room
        assert ends[0] <= middle + 1e-9
        assert middle <= ends[1] + 1e-9
        assert middle == pytest.approx(values[name], abs=1e-6)  # the paired difference is that of the bars


def test_net_worth__lines__end_at_the_growth_of_the_json(kept: Kept, summary: dict[str, Any]) -> None:
    shown = summary["scenarios"][0]
    growth, lead, under = _draw("net-worth", kept, summary).axes
    years = kept.scores[0].ceiling.seconds / (365.25 * 86400)
    ends = {line.get_label(): line.get_ydata()[-1] for line in growth.lines}
    assert ends["learned policy, mean of 3 seeds"] == pytest.approx(shown["policy"]["log_growth"] * years, rel=2e-3)
    assert ends["hindsight (ceiling)"] == pytest.approx(shown["hindsight"]["log_growth"] * years, rel=2e-3)
    assert {"other baselines", f"best baseline: {shown['verdict']['best']}"} <= set(ends)
    assert len(lead.lines) > len(shown["baselines"])
    assert -min(under.lines[0].get_ydata()) == pytest.approx(shown["verdict"]["best_drawdown"])
    handed_over = date.fromisoformat(summary["about"]["folds"][1]["test"][0])
    assert (handed_over - date(1970, 1, 1)).days in [line.get_xdata()[0] for line in under.lines]


def test_weights__stacks__fill_everything(kept: Kept, summary: dict[str, Any]) -> None:
    for axes in _draw("weights", kept, summary).axes:
        assert len(axes.collections) == len(kept.names) + 1
        assert axes.collections[-1].get_paths()[0].vertices[:, 1].max() == pytest.approx(1.0)


def test_parts__of_every_row__add_up_to_the_net(kept: Kept, summary: dict[str, Any]) -> None:
    shown = summary["scenarios"][0]
    (axes,) = _draw("parts", kept, summary).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(3, len(names))
    passive = shown["baselines"]["equal-weight"]["growth_from_interest"]
    rows = {"learned policy": shown["policy"], "hindsight": shown["hindsight"], **shown["baselines"]}
    for name, parts in zip(names, widths.T, strict=True):
        assert parts.sum() == pytest.approx(rows[name]["log_growth"] - passive, abs=1e-12)
    assert list(widths[1:].ravel() <= 0) == [True] * (2 * len(names))
    assert all(left["log_growth"] <= right["log_growth"] for left, right in pairwise(rows[name] for name in names))


def test_sweep__what_lies_under_the_picture__is_written_there(kept: Kept, summary: dict[str, Any]) -> None:
    (axes,) = _draw("sweep", kept, summary).axes
    bottom = axes.get_ylim()[0]
    hidden = [
        value
        for line in axes.lines
        if line.get_label() in ("greedy", "greedy-band")
        for value in line.get_ydata()
        if value < bottom
    ]
    written = "\n".join(text.get_text() for text in axes.texts)
    assert hidden
    for value in hidden:
        assert f"{value:+.2%}" in written


def test_report__no_such_scenario_or_no_results__says_what_to_do(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="3 scenarios: choose one from 0 to 2"):
        write_report(results, tmp_path, 3)
    with pytest.raises(ResultsError, match="run `agent walk-forward` first"):
        write_report(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["net-worth", "headroom", "parts"])
def test_picture__policy_far_behind__is_not_cut_off(name: str, kept: Kept, summary: dict[str, Any]) -> None:
    """The made-up policies trade far too much where a leg is dear."""
    policy, ceiling = (summary["scenarios"][1][key] for key in ("policy", "hindsight"))
    assert policy["headroom_captured"] < -1.5
    assert policy["log_growth"] < ceiling["log_growth"] - 0.01
    figure = _draw(name, kept, summary, 1)
    if name == "net-worth":
        lead = figure.axes[1]
        own = next(line for line in lead.lines if str(line.get_label()).startswith("learned policy"))
        assert lead.get_ylim()[0] <= own.get_ydata().min()
        return
    (axes,) = figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    if name == "headroom":
        shown = policy["headroom_iqm"]["value"], policy["headroom_captured"]
    else:
        net = next(line for line in axes.lines if line.get_label() == "net")
        shown = (net.get_xdata()[rows.index("learned policy")],)
    assert axes.get_xlim()[0] <= min(shown)
