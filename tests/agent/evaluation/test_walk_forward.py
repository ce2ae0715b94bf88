"""The walk-forward: what is trained on ends before what is tested, what is finished is not done again, and a tiny
one runs from the history to the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.backtest import Setting, run
from agent.errors import LookAheadError, ResultsError, ShapeError
from agent.evaluation.evidence import legs_paid, results_of
from agent.evaluation.folder import CANDIDATE, load_about
from agent.evaluation.promotion import judge_walk_forward
from agent.evaluation.recipe import Finished, carry_out, run_of_seed, runs_of_tuning, training_market
from agent.evaluation.report import write_report
from agent.evaluation.scores import load_scores
from agent.evaluation.scoring import Leg, relay, score, scored_rules
from agent.evaluation.study import Scenario, Study
from agent.evaluation.walk_forward import Executor, walk_forward
from agent.market.history import RateHistory, daily
from agent.market.lending import sample_rates, shipped_market
from agent.observation.observe import Observation
from agent.policies.files import load_policy_file
from agent.policies.rules import Greedy, GreedyBand, SingleAsset
from agent.units import FloatArray
from agent.vault.decision import Reason
from agent.vault.limits import Limits
from tests.agent.made_up import history_of, path_of
from tests.agent.tiny import tiny_preset
from tools.results.document import Published, write_results


@pytest.fixture
def history() -> RateHistory:
    """280 days of 2025, after those that the shipped model knows."""
    rates = sample_rates(shipped_market().model, np.random.default_rng(5), 1, 280)[0]
    return history_of(rates, date(2025, 1, 1), gas=3e-6)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    preset = tmp_path / "tiny.toml"
    preset.write_text(tiny_preset(seconds=60, steps=2000))
    scenarios = (Scenario(1.0, 1e7), Scenario(5.0, 1e5), Scenario(1.0, 1e7, latency=1))
    return Study("tiny", 200, 2, seeds=2, preset=str(preset), scenarios=scenarios, seconds=30, tune_seconds=30)


class _Spy:
    """Wants one strategy, and remembers how often it was asked."""

    name, digest = "spy", "0x0"

    def __init__(self, index: int) -> None:
        self.index, self.calls = index, 0

    def act(self, observation: Observation) -> FloatArray:
        self.calls += 1
        return np.tile(np.eye(observation.count)[self.index], (len(observation), 1))


def test_relay__each_policy_decides_its_own_rows(limits: Limits) -> None:
    spies = [_Spy(0), _Spy(2)]
    legs = [Leg(spies[0], 7), Leg(spies[1], 12)]
    result = score("relay", legs, path_of(np.full((30, 3), 0.05)), Setting(limits), warm_up=10)
    assert [spy.calls for spy in spies] == [7, 12]
    assert (result.weights[0, :7].argmax(-1) == 0).all()
    assert (result.weights[0, 7:19].argmax(-1) == 2).all()
    with pytest.raises(ShapeError, match="for 7 rows cannot decide 19"):
        score("relay", legs[:1], path_of(np.full((30, 3), 0.05)), Setting(limits), warm_up=10)


def test_relay__one_policy_in_two_legs__as_alone(limits: Limits, rng: np.random.Generator) -> None:
    path = path_of(rng.uniform(0.01, 0.1, (40, 3)), gas=1e-6)
    alone = run(GreedyBand(), path, Setting(limits), warm_up=5)
    halves = score("both", [Leg(GreedyBand(), 20), Leg(GreedyBand(), 14)], path, Setting(limits), warm_up=5)
    assert np.array_equal(alone.net_worth, halves.net_worth)


def test_relay__a_memory__is_not_handed_to_the_next() -> None:
    class Remembering(_Spy):
        memory_size = 1

        def act_with_memory(self, seen: Observation, memory: FloatArray) -> tuple[FloatArray, FloatArray]:
            return np.full_like(seen.weights, memory[0, 0]), memory + 1.0

    ask = relay([Leg(Remembering(0), 3), Leg(Remembering(1), 2)])
    state = np.zeros((1, 3))
    seen = Observation(state, np.ones(1), state, state, state, np.zeros(1), np.zeros(1), np.zeros(1))
    assert [float(ask(row, seen)[0, 0]) for row in range(5)] == [0, 1, 2, 0, 1]


def test_training_market__history_into_the_test__refused(history: RateHistory) -> None:
    market = training_market(history.part(0, 200), history.days[200])
    assert market.description["last_day"] == history.days[199].isoformat()
    with pytest.raises(LookAheadError, match="the test begins on"):
        training_market(history.part(0, 200), history.days[199])
    with pytest.raises(LookAheadError, match="shipped one knows days up to 2023-03-06"):
        training_market(replace(history.part(0, 100), timestamps=daily(date(2021, 1, 1), 100)), date(2022, 1, 1))


def test_runs__every_one__knows_nothing_of_its_test(study: Study, history: RateHistory, tmp_path: Path) -> None:
    limits = Limits.uniform(3)
    study = replace(study, configurations=({}, {"ppo": {"gamma": 0.9}}), inner=2)
    for fold in study.cut(history):
        made = run_of_seed(study, history, limits, tmp_path, fold.index, 1, 0)
        assert made.ends_before == history.days[fold.test_start]
        assert (made.ends_before - made.history.end).days == 1 + study.purge + study.embargo
        for runs in runs_of_tuning(study, history, limits, tmp_path, fold.index):
            assert len(runs) == 2
            for inner in runs:
                assert inner.validation is not None
                assert inner.history.end < inner.ends_before
                assert inner.validation.end < history.days[fold.train_end]  # nothing of the outer test
                assert inner.validation.days[inner.warm_up] == inner.ends_before


@pytest.mark.slow
def test_run__again__only_where_something_is_different(study: Study, history: RateHistory, tmp_path: Path) -> None:
    made = run_of_seed(study, history, Limits.uniform(3), tmp_path, 0, 1, 0)
    first = carry_out(made)
    before = first.policy.stat().st_mtime_ns
    assert carry_out(made) == first
    assert first.policy.stat().st_mtime_ns == before
    other = replace(history, gas_cost=np.full((1, 280), 4e-6))
    assert run_of_seed(study, other, Limits.uniform(3), tmp_path, 0, 1, 0).key != made.key
    carry_out(replace(made, key="another"))
    assert first.policy.stat().st_mtime_ns > before
    (made.folder / "policy.npz").write_bytes(b"torn")
    carry_out(replace(made, key="another"))
    load_policy_file(first.policy)


@pytest.mark.slow
def test_rules__fitted_before_the_test__change_nothing_when_the_test_does(history: RateHistory) -> None:
    """Baselines decide at the first test row without knowing any later one."""
    changed = replace(history, rates=history.rates.copy())
    changed.rates[0, 231:] = changed.rates[0, 231:, ::-1]
    setting = Setting(Limits.uniform(3))
    one, other = (
        scored_rules([each.part(0, 200)], [49], each.part(200, 280), setting, 30)[:-1] for each in (history, changed)
    )
    for here, there in zip(one, other, strict=True):
        assert np.array_equal(here.weights[0, 0], there.weights[0, 0]), here.policy


def test_legs_paid__of_a_backtest__add_up_to_what_net_worth_lost(rng: np.random.Generator) -> None:
    path = path_of(rng.uniform(0.01, 0.2, (60, 3)))
    free, dear = (run(Greedy(), path, Scenario(cost, 1e6).setting(Limits.uniform(3))) for cost in (0.0, 5.0))
    lost = float(free.net_worth[0, -1] - dear.net_worth[0, -1])
    assert dear.reasons[Reason.TRADE] > 20
    assert float(legs_paid(dear, 5.0).sum()) == pytest.approx(lost, rel=0.02)
    assert legs_paid(run(SingleAsset(0), path, Scenario(5.0, 1e6).setting(Limits.uniform(3))), 5.0)[1:].sum() < 1.0


def _tiny(study: Study, history: RateHistory, folder: Path, said: list[str] | None = None) -> None:
    configurations = ({}, {"ppo": {"gamma": 0.9}})
    hands = Executor(workers=2, say=(lambda _: None) if said is None else said.append)
    walk_forward(replace(study, configurations=configurations), history, Limits.uniform(3), folder, hands)


class _Elsewhere(Executor):
    """Machines that write where this one cannot read."""

    def do(self, function: object, items: Sequence[Any], name: object) -> list[Any]:
        return [Finished(item.policy_file.with_name("elsewhere.npz"), 0.0) for item in items]


def test_walk_forward__machines_that_share_no_folder__said(study: Study, history: RateHistory, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="give an --out that all machines of the Ray cluster see"):
        walk_forward(study, history, Limits.uniform(3), tmp_path / "results", _Elsewhere())


@pytest.mark.slow
def test_walk_forward__tiny__from_history_to_the_page(study: Study, history: RateHistory, tmp_path: Path) -> None:
    folder, said = tmp_path / "results", []
    with pytest.raises(ResultsError, match="run `agent walk-forward`"):
        results_of(folder)
    _tiny(study, history, folder, said)
    summary, _ = results_of(folder)
    about, kept = load_about(folder), load_scores(folder)
    assert [each["name"] for each in summary["scenarios"]] == ["1 bp, 10M", "5 bp, 100k", "1 bp, 10M, 1 row late"]
    assert about["folds"][0]["test"][0] == history.days[200].isoformat()
    assert date.fromisoformat(about["folds"][1]["train"][1]) < date.fromisoformat(about["folds"][1]["test"][0])
    assert about["trials"] == 2
    for scores in kept.scores:
        assert len(scores.seeds) == 2
        assert all(each.timestamps.size == 80 for each in (*scores.seeds, *scores.baselines, scores.ceiling))
        best = max(float(each.net_worth[0, -1]) for each in (*scores.seeds, *scores.baselines))
        assert float(scores.ceiling.net_worth[0, -1]) >= best * (1 - 1e-4)  # the ceiling's resolution
    figures = summary["scenarios"][0]
    for entry in (figures["policy"], figures["hindsight"], *figures["baselines"].values()):
        parts = entry["growth_from_interest"] + entry["growth_from_legs"] + entry["growth_from_gas"]
        assert parts == pytest.approx(entry["log_growth"], abs=1e-9)
    assert figures["baselines"]["equal-weight"]["headroom_captured"] == 0
    assert len(summary["stress"]) == 7

    before = {file: file.stat().st_mtime_ns for file in folder.glob("fold-*/*/policy.npz")}
    assert len(before) == 2 * 2 + 2 * 2
    _tiny(study, history, folder)
    assert before == {file: file.stat().st_mtime_ns for file in folder.glob("fold-*/*/policy.npz")}
    assert results_of(folder)[0] == summary

    _look_at(folder, summary, tmp_path)


def _look_at(folder: Path, summary: dict[str, object], tmp_path: Path) -> None:
    written = write_report(folder, tmp_path / "report")
    page = written.page.read_text()
    assert page.count("data:image/png;base64,") == len(written.pictures) == 7
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched from anywhere
    assert json.loads(written.data.read_text()) == summary
    with pytest.raises(ResultsError, match="3 scenarios"):
        write_report(folder, tmp_path / "report", 3)
    candidate = load_policy_file(folder / CANDIDATE)
    verdict = judge_walk_forward(candidate, load_about(folder), load_scores(folder).scores, Scenario(1.0, 1e7))
    tuning = json.loads((folder / "tuning.json").read_text())
    assert np.shape(tuning["mean_annual_growth_on_inner_folds"]) == (2, 2)
    study = Published("Tiny", summary, verdict, written.page.parent, tuning)
    text = write_results([study], "make results", 1.0, tmp_path / "RESULTS.md").read_text()
    assert "**Tiny.** At 1 bp, 10M the learned policy captures" in text
    assert candidate.digest in text
