"""The walk-forward: tune on inner folds, train each fold and seed, and test on the windows that follow.

Everything is a task of its own (`agent.tasks`): tuning runs, then training runs, then scoring runs (one per seed, one
per scenario for the baselines and the ceiling). What is finished lies in the folder of results and is not done again.
The verdict on it all is `agent.evaluation.evidence`'s.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.errors import ResultsError
from agent.evaluation.backtest import Backtest
from agent.evaluation.recipe import Finished, Run, carry_out, run_of_seed, runs_of_tuning
from agent.evaluation.scores import Scores, save_scores
from agent.evaluation.scoring import Leg, score, scored_rules
from agent.evaluation.study import Scenario, Study
from agent.limits import Limits
from agent.market.history import RateHistory
from agent.policy import load_policy_file
from agent.tasks import run_tasks, values

CANDIDATE = "candidate.npz"
"""The policy that a gate may promote: of the last fold and the first seed, fixed before anything was run."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class _SeedTask:
    """Score one seed's policies, one per fold, under all scenarios."""

    study: Study
    history: RateHistory
    limits: Limits
    seed: int
    policies: tuple[Path, ...]


@dataclass(frozen=True)
class _RulesTask:
    """Fit the baselines to every fold's training part and score them, and the ceiling, under one scenario."""

    study: Study
    history: RateHistory
    limits: Limits
    scenario: Scenario


def walk_forward(
    study: Study,
    history: RateHistory,
    limits: Limits,
    out: Path,
    *,
    workers: int | None = None,
    ray: str | None = None,
    progress: bool = False,
    say: Say = lambda _: None,
) -> list[Scores]:
    """Carry out a study and keep its scores under `out`.

    Parameters
    ----------
    study
        What is tried.
    history
        All that is known; folds are cut from it.
    limits
        The vault's walls.
    out
        Folder of results: policies and scores, and what is already there of the same study.
    workers, ray, progress
        See `agent.tasks.run_tasks`.
    say
        Gets a line for each stage.

    Returns
    -------
    list of Scores
        One per scenario, in the study's order: seeds, baselines and ceiling.

    Raises
    ------
    AgentError
        If the history is too short, or a task failed; what was finished is kept.
    """
    folds = study.cut(history)
    window = f"{history.days[folds[0].test_start]} to {history.days[folds[-1].test_end]}"
    say(f"{study.name}: {len(history)} rows of {', '.join(history.names)}; {len(folds)} folds, tested {window}")
    tuned = _tune(study, history, limits, out, workers, ray, progress, say)
    runs = [
        run_of_seed(study, history, limits, out, fold.index, seed, tuned[fold.index])
        for seed in range(1, study.seeds + 1)
        for fold in folds
    ]
    say(f"training: {len(runs)} runs of {study.seconds:g} s")
    finished = values(
        run_tasks(carry_out, runs, workers=workers, ray=ray, progress=progress, describe=lambda run: run.label)
    )
    policies = np.array([[run.policy for run in finished[i : i + len(folds)]] for i in range(0, len(runs), len(folds))])
    say(f"scoring: {study.seeds} seeds and the baselines under {len(study.scenarios)} scenarios")
    by_seed = values(
        run_tasks(
            _score_seed,
            [
                _SeedTask(study, history, limits, seed, tuple(files))
                for seed, files in enumerate(policies.tolist(), start=1)
            ],
            workers=workers,
            ray=ray,
            progress=progress,
            describe=lambda task: f"seed {task.seed}",
        )
    )
    by_scenario = values(
        run_tasks(
            _score_rules,
            [_RulesTask(study, history, limits, scenario) for scenario in study.scenarios],
            workers=workers,
            ray=ray,
            progress=progress,
            describe=lambda task: task.scenario.name,
        )
    )
    scores = [
        Scores(
            scenario,
            tuple(seed[index] for seed in by_seed),
            tuple(by_scenario[index][:-1]),
            by_scenario[index][-1],
        )
        for index, scenario in enumerate(study.scenarios)
    ]
    _keep(study, history, limits, out, scores, tuned, finished, policies)
    return scores


def _tune(
    study: Study,
    history: RateHistory,
    limits: Limits,
    out: Path,
    workers: int | None,
    ray: str | None,
    progress: bool,
    say: Say,
) -> list[int]:
    """Return the configuration of each fold: that with the best growth on the inner folds, the first of equals."""
    folds = study.cut(history)
    if len(study.configurations) == 1:
        return [0] * len(folds)
    cases = [runs_of_tuning(study, history, limits, out, fold.index) for fold in folds]
    runs: list[Run] = [run for fold in cases for configuration in fold for run in configuration]
    say(f"tuning on inner folds: {len(runs)} runs of {study.tune_seconds:g} s")
    done = values(
        run_tasks(carry_out, runs, workers=workers, ray=ray, progress=progress, describe=lambda run: run.label)
    )
    growth = np.array([each.score for each in done], dtype=np.float64)
    means = growth.reshape(len(folds), len(study.configurations), -1).mean(-1)
    chosen = means.argmax(1).tolist()
    log = {
        "trials": study.trials,
        "configurations": [dict(entry) for entry in study.configurations],
        "mean_annual_growth_on_inner_folds": means.tolist(),
        "chosen": chosen,
    }
    (out / "tuning.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    return [int(index) for index in chosen]


def _score_seed(task: _SeedTask) -> list[Backtest]:
    """Return what one seed did, once per scenario."""
    folds = task.study.cut(task.history)
    legs = [
        Leg(load_policy_file(file), fold.test_end - fold.test_start)
        for file, fold in zip(task.policies, folds, strict=True)
    ]
    part, warm_up = tested_part(task.study, task.history)
    path, name = part.path(), f"seed {task.seed}"
    return [
        score(name, legs, path, scenario.setting(task.limits), warm_up=warm_up) for scenario in task.study.scenarios
    ]


def _score_rules(task: _RulesTask) -> list[Backtest]:
    """Return what every baseline did under one scenario, and the ceiling, which comes last."""
    folds = task.study.cut(task.history)
    part, warm_up = tested_part(task.study, task.history)
    return scored_rules(
        [task.history.part(0, fold.train_end) for fold in folds],
        [fold.test_end - fold.test_start for fold in folds],
        part,
        task.scenario.setting(task.limits),
        warm_up,
    )


def tested_part(study: Study, history: RateHistory) -> tuple[RateHistory, int]:
    """Return the rows of all test windows with those of the warm-up before them, and how many these are."""
    folds = study.cut(history)
    warm_up = min(study.warm_up, folds[0].test_start)
    return history.part(folds[0].test_start - warm_up, folds[-1].test_end + 1), warm_up


def _keep(
    study: Study,
    history: RateHistory,
    limits: Limits,
    out: Path,
    scores: Sequence[Scores],
    tuned: Sequence[int],
    finished: Sequence[Finished],
    policies: np.ndarray,  # type: ignore[type-arg]  # of paths
) -> None:
    """Write scores, the candidate and what it took."""
    folds = study.cut(history)
    part, warm_up = tested_part(study, history)
    save_scores(out, scores, names=history.names, rates=part.rates[warm_up:])
    candidate = Path(policies[0, -1])
    for suffix in (".npz", ".json"):
        shutil.copyfile(candidate.with_suffix(suffix), (out / CANDIDATE).with_suffix(suffix))
    about = {
        "study": study.name,
        "preset": study.preset,
        "data": {
            "source": history.source,
            "sha256": history.digest,
            "strategies": list(history.names),
            "first_day": history.start.isoformat(),
            "last_day": history.end.isoformat(),
            "rows": len(history),
            "gas": "daily prices" if history.gas is not None else "1 gwei at 3000 per ETH",
            "depth": history.depth is not None,
        },
        "limits": {"relative_caps": limits.relative_caps.tolist(), "idle_floor": limits.idle_floor},
        "folds": [
            {
                "train": [history.start.isoformat(), history.days[fold.train_end - 1].isoformat()],
                "test": [history.days[fold.test_start].isoformat(), history.days[fold.test_end].isoformat()],
                "configuration": dict(study.configurations[tuned[fold.index]]),
            }
            for fold in folds
        ],
        "purge": study.purge,
        "embargo": study.embargo,
        "seeds": study.seeds,
        "seconds_per_run": study.seconds,
        "trials": study.trials,
        "steps": int(sum(each.facts["steps"] for each in finished)),
        "policies": {
            f"seed {seed}": [load_policy_file(file).digest for file in files]
            for seed, files in enumerate(policies.tolist(), start=1)
        },
        "candidate": load_policy_file(out / CANDIDATE).digest,
    }
    (out / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def load_about(folder: Path) -> dict[str, object]:
    """Return what a walk-forward says about itself.

    Raises
    ------
    ResultsError
        If there is none in the folder.
    """
    try:
        about: dict[str, object] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"no walk-forward lies in {folder} ({error}): run `agent walk-forward` first") from error
    return about
