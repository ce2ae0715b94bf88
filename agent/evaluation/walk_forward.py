"""The walk-forward: tune on inner folds, train each fold and seed, and test on the windows that follow.

Tuning runs, training runs and scoring runs are independent tasks (`agent.parallel.tasks`), in this order. Finished
policies lie in the results folder and are not trained again. `agent.evaluation.evidence` makes the figures and the
verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from agent.errors import ResultsError
from agent.evaluation.folder import describe, write_stress
from agent.evaluation.recipe import Run, carry_out, run_of_seed, runs_of_tuning
from agent.evaluation.scores import Scores, save_scores
from agent.evaluation.scoring_tasks import (
    RulesTask,
    SeedTask,
    StudyInputs,
    score_rules,
    score_seed,
    score_stress,
    stress_tasks,
)
from agent.evaluation.study import Study
from agent.market.history import RateHistory
from agent.parallel.tasks import run_tasks, values
from agent.vault.limits import Limits

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Executor:
    """Who does the tasks; see `agent.parallel.tasks.run_tasks`. `say` gets a line for each stage."""

    workers: int | None = None
    ray: str | None = None
    progress: bool = False
    say: Callable[[str], None] = lambda _: None

    def do(self, function: Callable[[Item], Value], items: Sequence[Item], name: Callable[[Item], str]) -> list[Value]:
        """Return what the function makes of the items, in order."""
        return values(
            run_tasks(function, items, workers=self.workers, ray=self.ray, progress=self.progress, describe=name)
        )


def walk_forward(study: Study, history: RateHistory, limits: Limits, out: Path, hands: Executor) -> None:
    """Carry out a study and leave its scores in a folder.

    Parameters
    ----------
    study
        What is tried.
    history
        All that is known; folds are cut from it.
    limits
        The vault's walls.
    out
        Folder of results: policies and scores, and what is already there of the same study. Where Ray runs on several
        machines, all must see it under the same path.
    hands
        Who does it.

    Raises
    ------
    AgentError
        If the history is too short, or a task failed; what was finished is kept.
    """
    ground = StudyInputs(study, history, limits)
    folds, tested = ground.folds, ground.tested
    window = f"{history.days[folds[0].test_start]} to {history.days[folds[-1].test_end]}"
    hands.say(f"{study.name}: {len(history)} rows of {', '.join(history.names)}; {len(folds)} folds, tested {window}")
    out.mkdir(parents=True, exist_ok=True)
    chosen = _tune(ground, out, hands)
    runs = [
        run_of_seed(study, history, limits, out, fold.index, seed, chosen[fold.index])
        for seed in range(1, study.seeds + 1)
        for fold in folds
    ]
    hands.say(f"training: {len(runs)} runs of {study.seconds:g} s")
    finished = hands.do(carry_out, runs, lambda run: run.label)
    for run in finished:
        if not run.policy.is_file():
            raise ResultsError(
                f"{run.policy} was written by another machine, which does not share {out}: give an --out that all "
                "machines of the Ray cluster see under the same path"
            )
    files = [tuple(run.policy for run in finished[at : at + len(folds)]) for at in range(0, len(runs), len(folds))]

    hands.say(f"scoring: {study.seeds} seeds and the baselines under {len(study.scenarios)} scenarios, and stress")
    seeds = [SeedTask(ground, seed, each) for seed, each in enumerate(files, start=1)]
    by_seed = hands.do(score_seed, seeds, lambda task: f"seed {task.seed}")
    rules = [RulesTask(ground, scenario) for scenario in study.scenarios]
    by_scenario = hands.do(score_rules, rules, lambda task: task.scenario.name)
    scores = [
        Scores(scenario, tuple(seed[index] for seed in by_seed), tuple(others[:-1]), others[-1])
        for index, (scenario, others) in enumerate(zip(study.scenarios, by_scenario, strict=True))
    ]
    save_scores(out, scores, names=history.names, rates=tested.rates[0, ground.warm_up :])
    write_stress(out, hands.do(score_stress, stress_tasks(ground, files), lambda task: f"stress case {task.case + 1}"))
    describe(out, ground, chosen, finished, files)


def _tune(ground: StudyInputs, out: Path, hands: Executor) -> list[int]:
    """Return the configuration of each fold: that with the best growth on the inner folds, the first of equals."""
    study, folds = ground.study, ground.folds
    if len(study.configurations) == 1:
        return [0] * len(folds)
    cases = [runs_of_tuning(study, ground.history, ground.limits, out, fold.index) for fold in folds]
    runs: list[Run] = [run for fold in cases for configuration in fold for run in configuration]
    hands.say(f"tuning on inner folds: {len(runs)} runs of {study.tune_seconds:g} s")
    growth = np.array([each.score for each in hands.do(carry_out, runs, lambda run: run.label)], dtype=np.float64)
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
