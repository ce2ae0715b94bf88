"""The walk-forward: tune on inner folds, train each fold and seed, and test on the windows that follow.

Tuning, training and scoring are independent tasks (`agent.parallel.tasks`), in this order. Finished policies stay in
the results folder and are not trained again. `agent.evaluation.evidence` turns the scores into figures and a verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from agent.backtest import Backtest
from agent.errors import ResultsError
from agent.evaluation.folder import describe, write_stress
from agent.evaluation.recipe import carry_out, run_of_seed, runs_of_tuning
from agent.evaluation.scores import Scores, save_scores
from agent.evaluation.scoring import StudyInputs, score, scored_rules
from agent.evaluation.stress import cases, run_case
from agent.evaluation.study import Scenario, Study
from agent.market.history import RateHistory
from agent.parallel.tasks import run_tasks, values
from agent.policies.rules import BASELINES
from agent.vault.limits import Limits

Item = TypeVar("Item")
Value = TypeVar("Value")
Files = tuple[Path, ...]  # a seed's policies, one per fold


@dataclass(frozen=True)
class Executor:
    """Where tasks run; see `agent.parallel.tasks.run_tasks`. `say` gets a line for each stage."""

    workers: int | None = None
    ray: str | None = None
    progress: bool = False
    say: Callable[[str], None] = lambda _: None

    def do(self, function: Callable[[Item], Value], items: Sequence[Item], name: Callable[[Item], str]) -> list[Value]:
        """Return the function's value of each item, in order."""
        return values(
            run_tasks(function, items, workers=self.workers, ray=self.ray, progress=self.progress, describe=name)
        )


def walk_forward(study: Study, history: RateHistory, limits: Limits, out: Path, executor: Executor) -> None:
    """Carry out a study and leave its scores in a folder.

    Parameters
    ----------
    study
        Folds, seeds, configurations and scenarios.
    history
        The whole history; folds are cut from it.
    limits
        The vault's limits.
    out
        Folder of results: policies and scores. Finished runs of the same study in it are kept. Where Ray runs on
        several machines, all must see it under the same path.
    executor
        Where the tasks run.

    Raises
    ------
    AgentError
        If the history is too short, or a task failed; finished runs are kept.
    """
    inputs = StudyInputs(study, history, limits)
    folds, tested, say = inputs.folds, inputs.tested, executor.say
    window = f"{history.days[folds[0].test_start]} to {history.days[folds[-1].test_end]}"
    say(f"{study.name}: {len(history)} rows of {', '.join(history.names)}; {len(folds)} folds, tested {window}")
    out.mkdir(parents=True, exist_ok=True)
    chosen = _tune(inputs, out, executor)
    runs = [
        run_of_seed(study, history, limits, out, fold.index, seed, chosen[fold.index])
        for seed in range(1, study.seeds + 1)
        for fold in folds
    ]
    say(f"training: {len(runs)} runs of {study.seconds:g} s")
    finished = executor.do(carry_out, runs, lambda run: run.label)
    for run in finished:
        if not run.policy.is_file():
            raise ResultsError(
                f"{run.policy} was written by another machine, which does not share {out}: give an --out that all "
                "machines of the Ray cluster see under the same path"
            )
    files = [tuple(run.policy for run in finished[at : at + len(folds)]) for at in range(0, len(runs), len(folds))]

    say(f"scoring: {study.seeds} seeds and the baselines under {len(study.scenarios)} scenarios, and stress")
    seeds = list(enumerate(files, start=1))
    by_seed = executor.do(partial(_score_seed, inputs), seeds, lambda seed: f"seed {seed[0]}")
    by_scenario = executor.do(partial(_score_rules, inputs), study.scenarios, lambda scenario: scenario.name)
    scores = [
        Scores(scenario, tuple(seed[index] for seed in by_seed), tuple(others[:-1]), others[-1])
        for index, (scenario, others) in enumerate(zip(study.scenarios, by_scenario, strict=True))
    ]
    save_scores(out, scores, names=history.names, rates=tested.rates[0, inputs.warm_up :])
    count = len(cases(tested, tested.days, inputs.warm_up))
    write_stress(
        out, executor.do(partial(_score_stress, inputs, files), range(count), lambda case: f"stress case {case + 1}")
    )
    describe(out, inputs, chosen, finished, files)


def _tune(inputs: StudyInputs, out: Path, executor: Executor) -> list[int]:
    """Return the configuration of each fold: the one with the best growth on the inner folds, the first of equals."""
    study, folds = inputs.study, inputs.folds
    if len(study.configurations) == 1:
        return [0] * len(folds)
    tuning = [runs_of_tuning(study, inputs.history, inputs.limits, out, fold.index) for fold in folds]
    runs = [run for fold in tuning for configuration in fold for run in configuration]
    executor.say(f"tuning on inner folds: {len(runs)} runs of {study.tune_seconds:g} s")
    growth = np.array([each.score for each in executor.do(carry_out, runs, lambda run: run.label)], dtype=np.float64)
    means = growth.reshape(len(folds), len(study.configurations), -1).mean(-1)
    chosen = [int(index) for index in means.argmax(1)]
    log = {
        "trials": study.trials,
        "configurations": [dict(entry) for entry in study.configurations],
        "mean_annual_growth_on_inner_folds": means.tolist(),
        "chosen": chosen,
    }
    (out / "tuning.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    return chosen


def _score_seed(inputs: StudyInputs, seed: tuple[int, Files]) -> list[Backtest]:
    """Return the backtests of one seed's policies, one per scenario."""
    number, files = seed
    legs, path = inputs.loaded(files), inputs.tested
    return [
        score(f"seed {number}", legs, path, scenario.setting(inputs.limits), warm_up=inputs.warm_up)
        for scenario in inputs.study.scenarios
    ]


def _score_rules(inputs: StudyInputs, scenario: Scenario) -> list[Backtest]:
    """Return the backtests of all baselines under one scenario, and the ceiling, which comes last."""
    return scored_rules(
        [inputs.history.part(0, fold.train_end) for fold in inputs.folds],
        [fold.test_end - fold.test_start for fold in inputs.folds],
        inputs.tested,
        scenario.setting(inputs.limits),
        inputs.warm_up,
    )


def _score_stress(inputs: StudyInputs, files: Sequence[Files], index: int) -> dict[str, Any]:
    """Return the outcomes of one stress case for all seeds and the rules without parameters, at the first scenario."""
    tested, setting = inputs.tested, inputs.study.scenarios[0].setting(inputs.limits)
    path = tested
    case = cases(path, tested.days, inputs.warm_up)[index]
    players = {f"seed {seed}": inputs.loaded(each) for seed, each in enumerate(files, start=1)}
    players |= {name: inputs.legs([make()] * len(inputs.folds)) for name, make in BASELINES.items()}
    return {
        "case": case.name,
        "kind": case.kind,
        "days": [tested.days[case.first].isoformat(), tested.days[case.last].isoformat()],
        "outcomes": run_case(case, players, path, setting, inputs.warm_up),
    }
